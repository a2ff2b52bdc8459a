"""What `python -m worker recommend` does: load the model, and look after the processes that answer from it.

Apart from `worker/__main__.py`, so that the process that delivers webhooks loads none of it.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from functools import partial
from typing import cast

import redis

import settings
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


def run(config: settings.Settings, redis_url: str, processes: int, *, one_by_one: bool) -> None:
    """Answer jobs until told to leave. one_by_one: with RQ's own loop. Raises: BadSettings."""
    try:
        HOLDER.load(config.models_dir)
    except ModelError as error:
        raise settings.BadSettings(str(error)) from error
    HOLDER.order = cast(tuple[Strategy, ...], config.strategies)  # settings has checked the names
    work = partial(_work, config, redis_url, QueueWorker if one_by_one else BatchWorker)
    Parent(processes, config.models_dir, config.worker_memory_mb, work).run()


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
