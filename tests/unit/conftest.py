"""What is costly to make and never changed, one model of the atlas for all tests of a run; and the client's service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from artifacts.model import Model
from producer.public import ModelInfo, PopularLists
from tests import builders
from tests.fakes.segue_server import FakeSegue, serving
from tests.unit.calling import Asker
from training.build import Built


@pytest.fixture(scope="session")
def built() -> Built:
    """The atlas's model before it is published. Its arrays are shared: copy what you change."""
    return builders.train(builders.atlas())


@pytest.fixture(scope="session")
def published(built: Built, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where the atlas's model is published, and its version."""
    root = tmp_path_factory.mktemp("artifacts")
    return root, builders.publish(root, built)


@pytest.fixture(scope="session")
def model(published: tuple[Path, str]) -> Model:
    """The atlas's model as a worker has it: mapped from disk."""
    return Model.load(*published)


@pytest.fixture(scope="session")
def lists(built: Built) -> PopularLists:
    """The atlas's popular lists, as they are published."""
    lists: PopularLists = built.public["popular"]
    return lists


@pytest.fixture(scope="session")
def info(model: Model) -> ModelInfo:
    """What the atlas's model says of itself."""
    return ModelInfo.model_validate(model.manifest.describe())


@pytest.fixture(scope="module")
def server() -> Iterator[FakeSegue]:
    """A service for the client, which answers as it is told."""
    with serving() as fake:
        yield fake


@pytest.fixture
def fake(server: FakeSegue) -> FakeSegue:
    """It, before anybody has asked it anything."""
    server.asked.clear()
    return server


@pytest.fixture(params=["blocking", "asyncio"])
def ask(request: pytest.FixtureRequest, fake: FakeSegue) -> Asker:
    """Calls by the blocking client, then by the other."""
    return Asker(request.param, fake.address)
