"""What the tests of look-ups outside share, and those of the queue. A look-up's module has its own `fake`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.bare import Workers
from tests.fakes.callers import Maker
from tests.fakes.spotify_server import FakeSpotify


@pytest.fixture
def make(fake: FakeSpotify, redis_url: str, connection: redis.Redis) -> Iterator[Maker]:
    with Maker(fake, redis_url) as maker:
        yield maker


@pytest.fixture
def workers(redis_url: str, connection: redis.Redis, tmp_path: Path) -> Iterator[Workers]:
    """Starts bare workers; at the end they have to leave, and in good order."""
    started = Workers(redis_url, connection, tmp_path / "worker.log")
    yield started
    started.stop()


@pytest.fixture(params=["batches", "one-by-one"])
def either(
    request: pytest.FixtureRequest, redis_url: str, connection: redis.Redis, tmp_path: Path
) -> Iterator[Workers]:
    """As `workers`; then again with workers of the first release's loop, `--one-by-one`."""
    started = Workers(redis_url, connection, tmp_path / "worker.log", one_by_one=request.param == "one-by-one")
    yield started
    started.stop()
