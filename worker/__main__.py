"""Start a worker: `python -m worker recommend`. Loads the model, then answers jobs until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import suppress
from threading import Event
from typing import cast

import redis

import settings
import telemetry
from artifacts.manifest import ModelError
from producer import connections, keys
from producer.errors import Unavailable
from worker.features_provider import ReccoBeats, ReccoBeatsConfig
from worker.lookup import OutsideLookUp
from worker.models import HOLDER
from worker.queue_worker import QueueWorker
from worker.spotify import Spotify, SpotifyConfig
from worker.strategies import Strategy

log = logging.getLogger("segue.worker")


def main(arguments: list[str] | None = None) -> int:
    """Run a worker. Returns the exit code: 0 when told to leave, 1 after a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Answer jobs from the queue.")
    parser.add_argument("kind", choices=["recommend"], help="recommend: recommendations, from the CURRENT model")
    parser.parse_args(arguments)
    try:
        config = settings.load()
        telemetry.configure(config.log_level, config.log_format)
        if config.redis_url is None:
            raise settings.BadSettings("REDIS_URL is not set: say which Redis holds the queue, or start with ./run.sh")
        HOLDER.load(config.models_dir)
    except (settings.BadSettings, ModelError) as error:
        print(f"python -m worker: {error}", file=sys.stderr)
        return 1
    stopping = Event()
    connection = connections.patient(config.redis_url, stopping)
    HOLDER.order = cast(tuple[Strategy, ...], config.strategies)  # settings has checked the names
    HOLDER.look_up = _look_up(config)
    try:
        HOLDER.announce(connection)
    except Unavailable as error:
        print(f"python -m worker: {error}", file=sys.stderr)
        return 1
    while not stopping.is_set():
        # RQ leaves its loop when Redis stays away in the middle of a job; the model need not be loaded anew for that.
        with suppress(redis.RedisError, Unavailable):
            QueueWorker(keys.INTERACTIVE, connection, HOLDER.announce, stopping).work(logging_level="WARNING")
        stopping.wait(1)
    return 0


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
