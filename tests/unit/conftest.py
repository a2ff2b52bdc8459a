"""What is costly to make and never changed: one model of the atlas, for all tests of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from artifacts.model import Model
from tests import builders
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
