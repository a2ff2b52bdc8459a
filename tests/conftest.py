"""What tests share: a Redis of our own, and a small model of the demo catalogue. Each is made when first asked for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import redis_server
from artifacts import store
from artifacts.model import Model
from training.__main__ import main as train

DEMO_ROWS = 3000


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Whoever runs the tests in the background of a script had them ignore Ctrl-C, and what they start would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the options of single tests."""
    parser.addoption(
        "--contract-cases", type=int, default=60, help="of each kind, of tests/integration/test_contract.py"
    )
    parser.addoption("--webhooks", type=int, default=800, help="of tests/integration/test_webhooks.py; in full: 5000")
    parser.addoption("--chaos-jobs", type=int, default=1500, help="of tests/e2e/test_chaos.py; its full form: 10000")
    parser.addoption("--batch-rows", type=int, default=400, help="of test_batch_run.py's kills; its full form: 10000")


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis or Valkey server for the whole session."""
    server = redis_server.start(tmp_path_factory.mktemp("redis"))
    yield server.url
    server.stop()


@pytest.fixture
def connection(redis_url: str) -> Iterator[redis.Redis]:
    """A client of that server, which is empty at the start of the test."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a published model of DEMO_ROWS invented tracks."""
    root = tmp_path_factory.mktemp("models")
    assert train(["--demo", str(DEMO_ROWS), "--artifacts", str(root)]) == 0
    return root


@pytest.fixture(scope="session")
def demo_model(models_dir: Path) -> Model:
    """That model, loaded."""
    version = store.current(models_dir)
    assert version
    return Model.load(models_dir, version)
