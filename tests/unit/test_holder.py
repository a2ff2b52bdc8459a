"""The holder of the model in service: what it takes in, what it refuses, and when it changes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from artifacts import store
from artifacts.manifest import ModelError
from producer.errors import NotReady
from tests import builders
from tests.services import wait_for
from training.build import Built
from worker.models import Holder


@pytest.fixture
def two(built: Built, tmp_path: Path) -> tuple[Path, str, str]:
    """A folder with two versions, and their names."""
    first = builders.publish(tmp_path, built)
    reversed_lists = {**built.arrays, "popular_row": built.arrays["popular_row"][::-1].copy()}
    return tmp_path, first, builders.publish(tmp_path, replace(built, arrays=reversed_lists))


def followed(holder: Holder, root: Path, version: str) -> bool:
    holder.follow(root, version)
    return holder.model.manifest.version == version


def test_before_the_first_model_there_is_none(tmp_path: Path) -> None:
    holder = Holder()
    with pytest.raises(NotReady):
        _ = holder.model
    with pytest.raises(ModelError, match="training --demo"):
        holder.load(tmp_path)
    with pytest.raises(NotReady):
        _ = holder.model


def test_another_version_comes_into_service_between_two_calls_and_the_first_again(two: tuple[Path, str, str]) -> None:
    root, first, second = two
    holder = Holder()
    held = holder.load(root, first)
    holder.follow(root, first)
    assert holder.model is held
    holder.follow(root, second)
    assert holder.model is held, "it is only being loaded"
    wait_for(lambda: followed(holder, root, second), "the second version")
    assert list(holder.model.most_popular(3)) != list(held.most_popular(3))
    wait_for(lambda: followed(holder, root, first), "the first version")


def test_a_version_that_is_no_longer_wanted_is_not_taken(two: tuple[Path, str, str]) -> None:
    root, first, second = two
    holder = Holder()
    held = holder.load(root, first)
    holder.follow(root, second)
    assert holder._coming
    wait_for(holder._coming[1].done, "the second version to be loaded")
    for _ in range(3):
        holder.follow(root, first)
        assert holder.model is held


def test_a_version_that_is_gone_is_said_to_be_and_the_old_one_stays(two: tuple[Path, str, str]) -> None:
    root, first, second = two
    holder = Holder()
    held = holder.load(root, first)
    shutil.rmtree(root / second)

    def refused() -> bool:
        try:
            holder.follow(root, second)
        except ModelError:
            return True
        return False

    wait_for(refused, "a refusal")
    assert holder.model is held


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("public/popular.json", "[]"),
        ("public/popular.json", "{"),
        ("public/popular.json", '{"": [{"name": "no id"}]}'),
        ("public/popular.json", None),
        ("score.npy", "no array"),
        ("score.npy", None),
        ("manifest.json", '{"format": 1}'),
        ("manifest.json", None),
    ],
)
def test_a_version_of_no_use_is_refused_and_the_old_one_stays(
    two: tuple[Path, str, str], file: str, text: str | None
) -> None:
    root, first, second = two
    holder = Holder()
    held = holder.load(root, first)
    if text is None:
        (root / second / file).unlink()
    else:
        (root / second / file).write_text(text)
    assert store.current(root) == second
    with pytest.raises(ModelError, match=second):
        holder.load(root)
    assert holder.model is held
