"""The public files of a model, published by one side and read by the other, as docs/reference/models.md says."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts import store
from artifacts.manifest import FORMAT
from producer import public
from producer.errors import NotFound, NotReady
from producer.public import PublicFiles
from settings import ROOT
from tests import builders
from tests.services import wait_for
from training.build import Built

Published = tuple[Path, str]


@pytest.fixture
def own(published: Published, tmp_path: Path) -> Published:
    """The atlas's model, published for one test that may change it."""
    shutil.copytree(published[0], tmp_path / "own")
    return tmp_path / "own", published[1]


def other(root: Path, built: Built) -> str:
    """Publish another version. → its name."""
    return builders.publish(root, Built(built.arrays | {"song": built.arrays["song"][::-1]}, built.public, built.about))


def test_what_is_published_is_what_is_read(published: Published, built: Built) -> None:
    files, manifest = PublicFiles(published[0]), store.manifest_of(*published)
    info = files.model_info()
    assert info.model_dump(exclude={"warnings"}) == manifest.describe() == store.read_public(*published, "model")
    assert (info.version, info.tracks, info.warnings) == (published[1], manifest.tracks, [])
    assert info.coverage == manifest.coverage
    for genre, expected in built.public["popular"].items():
        found = files.popular(genre or None, 200)
        assert [track.model_dump() for track in found.tracks] == expected
        assert (found.model, found.genre) == (published[1], genre or None)
    assert len(files.popular(None, 7).tracks) == 7
    assert [genre.model_dump() for genre in files.genres().genres] == built.public["genres"]
    assert files.popular_lists() == (info, built.public["popular"])
    assert files.map_info().model_dump(exclude={"model", "notice", "warnings"}) == built.public["map"]
    assert files.map_picture() == (published[1], built.public["map.png"])
    with pytest.raises(NotFound, match="no genre 'no such'"):
        files.popular("no such", 5)


def test_the_page_names_the_files_and_the_rules(published: Published) -> None:
    page = (ROOT / "docs/reference/models.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `public/(.+?)(?:\.json)?` \|", page, re.M)
    assert set(named) == store.manifest_of(*published).public.keys()
    assert f"(now {FORMAT})" in page
    assert public._VERSION_NAME.pattern == store._VERSION_NAME.pattern


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "absent", tmp_path / "empty"):
        for call in (PublicFiles(root).model_info, PublicFiles(root).genres, PublicFiles(root).popular_lists):
            with pytest.raises(NotReady, match=r"^there is no model in ARTIFACTS_DIR$"):
                call()


def damage(file: str, text: str | None = None) -> Callable[[Path], object]:
    return lambda directory: (directory / file).write_text(text) if text is not None else (directory / file).unlink()


def forget_hashes(directory: Path) -> None:
    """Make the manifest one of format 2."""
    fields = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    del fields["public"]
    (directory / "manifest.json").write_text(json.dumps(fields | {"format": 2}))


DAMAGES = {
    "no version": shutil.rmtree,
    "no manifest": damage("manifest.json"),
    "no JSON": damage("manifest.json", "{"),
    "no object": damage("manifest.json", "[]"),
    "no hashes": forget_hashes,
    "hash": damage("public/popular.json", '{"": []}'),
    "no genres": damage("public/genres.json"),
    "no map": damage("public/map.json"),
    "another picture": damage("public/map.png", "no picture"),
    "pointer": damage("../CURRENT", "../../etc"),
    "pointer, no text": lambda directory: (directory / "../CURRENT").write_bytes(b"\xff\xfe"),
    "pointer, folder": lambda directory: ((directory / "../CURRENT").unlink(), (directory / "../CURRENT").mkdir()),
}


@pytest.mark.parametrize("change", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_damaged_is_not_shown_and_said_once(
    own: Published, change: Callable[[Path], object], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public, "LOOK_AGAIN_S", 0.0)
    change(own[0] / own[1])
    files = PublicFiles(own[0])
    for _ in range(3):
        with pytest.raises(NotReady, match=r"^the public files of the model in ARTIFACTS_DIR cannot be read$"):
            files.model_info()
    (logged,) = caplog.records
    assert logged.levelno == logging.WARNING
    assert str(own[0]) in logged.getMessage()


@pytest.mark.parametrize("change", [{"version": "20200101T000000-00000000"}, {"tracks": "many"}, {"colour": "red"}])
def test_a_file_that_says_something_else_is_not_shown(own: Published, change: dict[str, str]) -> None:
    path = own[0] / own[1] / "public" / "model.json"
    digest = store._write_public(path, json.loads(path.read_bytes()) | change)
    manifest = own[0] / own[1] / "manifest.json"
    fields = json.loads(manifest.read_bytes())
    fields["public"]["model"] = digest
    manifest.write_text(json.dumps(fields))
    with pytest.raises(NotReady):
        PublicFiles(own[0]).model_info()


def test_another_version_is_noticed_within_a_second_or_so(own: Published, built: Built) -> None:
    files = PublicFiles(own[0])
    assert files.model_info().version == own[1]
    newer = other(own[0], built)
    wait_for(lambda: files.model_info().version == newer, "the version that was published", 5)
    store.promote(*own)
    wait_for(lambda: files.model_info().version == own[1], "the version that was put back in service", 5)


def test_the_folder_is_not_looked_at_each_time(own: Published, built: Built, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 < public.LOOK_AGAIN_S <= 1
    monkeypatch.setattr(public, "LOOK_AGAIN_S", 3600.0)
    files = PublicFiles(own[0])
    before = files.model_info()
    other(own[0], built)
    assert files.model_info() is before


def test_what_was_read_is_kept_until_something_better_is_there(
    own: Published, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public, "LOOK_AGAIN_S", 0.0)
    files = PublicFiles(own[0])
    before = files.model_info()
    newer = other(own[0], built)
    (own[0] / newer / "public" / "genres.json").write_text("[]")
    assert files.model_info() is before
    (own[0] / "CURRENT").unlink()
    assert files.model_info() is before
    shutil.rmtree(own[0])
    assert files.genres().model == own[1]
    newest = builders.publish(own[0], built)
    assert files.genres().model == newest
