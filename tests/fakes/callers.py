"""Who asks the fakes: objects as worker processes have them, and several at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import redis

from producer import connections
from tests.fakes.spotify_server import CLIENT_ID, CLIENT_SECRET, FakeSpotify
from tests.services import wait_for
from worker.breaker import Limits
from worker.features_provider import ReccoBeats, ReccoBeatsConfig
from worker.spotify import Found, Spotify, SpotifyConfig

T = TypeVar("T")

MANY = Limits(burst=1000)
"""A bucket that no test empties by chance."""

ONCE = Limits(burst=1000, failures=1, open_s=0.5)
"""A breaker that opens at the first failure, for a moment."""


class Maker:
    """Makes objects as worker processes would, each with connections of its own, and closes them at the end."""

    def __init__(self, fake: FakeSpotify, redis_url: str) -> None:
        self.fake, self.redis_url = fake, redis_url
        self._made: list[Any] = []

    def __enter__(self) -> Maker:
        return self

    def __exit__(self, *_: object) -> None:
        for made in reversed(self._made):
            made.close()

    def __call__(self, **config: Any) -> Spotify:
        """Make an object that asks the fake Spotify; config: other values than that takes."""
        client = self._client(config)
        urls = {"api_url": self.fake.api_url, "accounts_url": self.fake.accounts_url}
        who = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        spotify = Spotify(client, SpotifyConfig(**{**urls, **who, "limits": MANY, **config}))
        self._made.append(spotify)
        return spotify

    def reccobeats(self, **config: Any) -> ReccoBeats:
        """Make an object that asks the fake ReccoBeats, if asked to ask at all."""
        client = self._client(config)
        made = ReccoBeats(
            client, ReccoBeatsConfig(**{"enabled": True, "url": self.fake.reccobeats_url, "limits": MANY, **config})
        )
        self._made.append(made)
        return made

    def _client(self, config: dict[str, Any]) -> redis.Redis:
        client = connections.quick(config.pop("redis_url", self.redis_url), 0.4)
        self._made.append(client)
        return client


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Call all at the same time, each in a thread. → what they return, in order."""
    answers: dict[int, T] = {}
    start = threading.Barrier(len(calls))

    def run(number: int) -> None:
        start.wait(10)
        answers[number] = calls[number]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return [answers[number] for number in range(len(calls))]


def once_asked(spotify: Spotify) -> Found:
    """Look up until it is not skipped."""

    def look() -> Found | None:
        found = spotify.find("Song")
        return found if found.outcome != "skipped" else None

    return wait_for(look, "the breaker to let a call through", 10)


def breaker_opens_for(connection: redis.Redis) -> float:
    """Return for how many seconds from now the breaker is open; 0 if it is closed."""
    found = connection.keys("segue:breaker:*")
    until = connection.hget(found[0], "until") if found else None
    return int(until) / 1000 - time.time() if until else 0.0


def hanging() -> list[threading.Thread]:
    """Return the threads of look-ups that go on."""
    return [thread for thread in threading.enumerate() if thread.name == "outside"]
