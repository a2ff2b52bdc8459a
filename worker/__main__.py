"""Start workers: `python -m worker recommend --processes 2`. They answer jobs until SIGTERM or SIGINT.

This process loads the model and looks after those that answer (`worker/processes.py`).
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import time
from functools import partial
from typing import cast

import redis

import settings
import telemetry
from artifacts.manifest import ModelError
from producer import connections
from producer.errors import Unavailable
from worker.batching import BatchWorker
from worker.features_provider import ReccoBeats, ReccoBeatsConfig
from worker.lookup import OutsideLookUp
from worker.models import HOLDER
from worker.processes import Parent
from worker.queue_worker import QueueWorker
from worker.slots import Slot
from worker.spotify import Spotify, SpotifyConfig
from worker.strategies import Strategy

log = logging.getLogger("segue.worker")

_NICE = 5
"""Beside API and Redis on one machine: a batch at full speed must not keep them from the processor."""


def main(arguments: list[str] | None = None) -> int:
    """Run workers. Returns the exit code: 0 when told to leave, 1 after a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Answer jobs from the queue.")
    parser.add_argument("kind", choices=["recommend"], help="recommend: recommendations, from the CURRENT model")
    parser.add_argument("--processes", type=_positive, default=1, metavar="N", help="processes that answer (1)")
    parser.add_argument("--one-by-one", action="store_true", help="work with RQ's own loop, one job at a time")
    options = parser.parse_args(arguments)
    try:
        config = settings.load()
        telemetry.configure(config.log_level, config.log_format)
        if config.redis_url is None:
            raise settings.BadSettings("REDIS_URL is not set: say which Redis holds the queue, or start with ./run.sh")
        HOLDER.load(config.models_dir)
    except (settings.BadSettings, ModelError) as error:
        print(f"python -m worker: {error}", file=sys.stderr)
        return 1
    HOLDER.order = cast(tuple[Strategy, ...], config.strategies)  # settings has checked the names
    work = partial(_work, config, config.redis_url, QueueWorker if options.one_by_one else BatchWorker)
    Parent(options.processes, config.models_dir, config.worker_memory_mb, work).run()
    return 0


def _work(config: settings.Settings, redis_url: str, kind: type[QueueWorker], slot: Slot) -> None:
    """Be one of the processes that answer, until told to leave."""
    os.nice(_NICE)
    connection = connections.patient(redis_url, slot.stopping)
    HOLDER.look_up = _look_up(config)

    def between() -> None:
        try:
            HOLDER.follow(config.models_dir, slot.version)
        except ModelError as error:
            # Its parent has it, so the process that will be forked in its stead has it, too.
            log.error("leaving, because the model that is wanted cannot be loaded here: %s", error)
            signal.raise_signal(signal.SIGTERM)
        if slot.orphaned:
            log.error("leaving, because the parent of this process is gone")
            signal.raise_signal(signal.SIGTERM)
        HOLDER.announce_news(connection)

    while not slot.stopping.is_set():
        try:
            kind(connection, announce=HOLDER.announce, stopping=slot.stopping, between=between, busy=slot.busy).work(
                logging_level="WARNING"
            )
        except (redis.RedisError, Unavailable) as error:
            log.warning("Redis does not answer (%s); trying on", error)
        # A worker leaves its loop when Redis is away at its start, RQ's also in the middle of a job.
        if not slot.stopping.is_set():
            time.sleep(1)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _look_up(config: settings.Settings) -> OutsideLookUp | None:
    """Return what looks up songs outside the catalogue, None without credentials."""
    secret = config.spotipy_client_secret
    if not (config.spotipy_client_id and secret and config.redis_url):
        return None
    # Look-ups have a budget, which a patient connection would not keep.
    quick = connections.quick(config.redis_url, config.redis_timeout_s, connections=4)
    spotify = SpotifyConfig(
        client_id=config.spotipy_client_id,
        client_secret=secret.get_secret_value(),
        budget_s=config.spotify_budget_s,
        api_url=config.spotify_api_url,
        accounts_url=config.spotify_accounts_url,
    )
    reccobeats = ReccoBeatsConfig(config.reccobeats == "on", config.reccobeats_url, config.spotify_budget_s)
    return OutsideLookUp(Spotify(quick, spotify), ReccoBeats(quick, reccobeats), config.spotify_budget_s)


if __name__ == "__main__":
    sys.exit(main())
