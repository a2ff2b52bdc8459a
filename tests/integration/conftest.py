"""What the tests of look-ups outside share. Each module has its own `fake`: the songs that its server knows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.fakes.callers import Maker
from tests.fakes.spotify_server import FakeSpotify


@pytest.fixture
def make(fake: FakeSpotify, redis_url: str, connection: redis.Redis) -> Iterator[Maker]:
    with Maker(fake, redis_url) as maker:
        yield maker
