"""What the tests of look-ups outside share, those of the queue, and those of a running service.

A look-up's module has its own `fake`; a module whose service needs more than usual has its own `service`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser

from tests import services
from tests.bare import Workers
from tests.fakes.callers import Maker
from tests.fakes.spotify_server import FakeSpotify
from tests.integration.browsing import chromium
from tests.services import Service, wait_for


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


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    """A service with a Redis of its own and without a worker."""
    with services.service(tmp_path_factory.mktemp("service"), models_dir) as service:
        yield service


@pytest.fixture(scope="module")
def told(service: Service) -> dict[str, Any]:
    """What a worker says of the model when it starts."""
    return service.told()


@pytest.fixture
def idle(service: Service, told: dict[str, Any]) -> Service:
    """The service without a worker, its queue empty; it knows the model."""
    service.tell(told)
    return service


@pytest.fixture
def busy(idle: Service) -> Iterator[Service]:
    """The service with a worker."""
    with idle.worker():
        wait_for(idle.is_ready, "a worker")
        yield idle


@pytest.fixture(scope="module")
def staffed(service: Service) -> Iterator[Service]:
    """The service with a worker that stays for the whole module."""
    with service.worker():
        wait_for(service.is_ready, "a worker")
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's Chromium."""
    with chromium() as browser:
        yield browser
