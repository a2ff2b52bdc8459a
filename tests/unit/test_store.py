"""Versions on disk: whole or not there, checked before they serve, and no pickle anywhere."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts import store
from artifacts.manifest import FORMAT, Manifest, ModelError, demo_source, file_source
from artifacts.model import Model
from tests import builders
from training.build import Built

ROOT = Path(__file__).parents[2]
ABOUT: dict[str, Any] = {
    **{"source": builders.SOURCE, "tracks": 3, "songs": 3, "artists": 1, "genres": ["rock"], "clusters": 1},
    **{"coverage": {}, "quantiles": {}, "metrics": {"explained_variance": 0.92}, "notice": None},
}
ARRAYS = {
    "numbers": np.arange(12, dtype=np.float32).reshape(3, 4),
    "ids": np.array([b"a", b"bb"]),
    "none": np.zeros((0, 2)),
}


def publish(root: Path, arrays: store.Arrays = ARRAYS, **about: Any) -> str:
    return store.publish(root, arrays, {"popular": {"": []}}, **(ABOUT | about))


def alter_manifest(directory: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = directory / "manifest.json"
    fields = json.loads(path.read_text())
    change(fields)
    path.write_text(json.dumps(fields))


def put_array(directory: Path, name: str, content: bytes) -> None:
    """Replace an array's file, and the hash that the manifest has of it, as an attacker would."""
    (directory / f"{name}.npy").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    alter_manifest(directory, lambda fields: fields["files"][name].update(sha256=digest))


def test_what_is_published_is_what_is_opened(tmp_path: Path) -> None:
    root = tmp_path / "not" / "there" / "yet"
    version = publish(root)
    assert store.current(root) == store.usable(root) == version
    manifest, arrays = store.open_arrays(root, version)
    assert (manifest.version, manifest.format, manifest.genres) == (version, FORMAT, ("rock",))
    assert {name: a.dtype for name, a in arrays.items()} == {name: a.dtype for name, a in ARRAYS.items()}
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
    assert store.read_public(root, version, "popular") == {"": []}


def test_arrays_are_mapped_and_cannot_be_written_to(tmp_path: Path) -> None:
    _, arrays = store.open_arrays(tmp_path, publish(tmp_path))
    assert builders.is_mapped(arrays["numbers"])
    with pytest.raises(ValueError, match="read-only"):
        arrays["numbers"][0, 0] = 1


def test_a_folder_without_versions(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        assert store.current(root) is None
        assert store.usable(root) is None
        assert store.versions(root) == []
        assert store.find(root, builders.SOURCE) is None


def test_a_publish_that_is_killed_leaves_nothing_to_be_seen(tmp_path: Path) -> None:
    version = publish(tmp_path)
    script = """
import os, sys, pathlib
import numpy as np
from artifacts import store
class Deadly(dict):
    def items(self):
        yield "first", np.arange(5)
        os.kill(os.getpid(), 9)
store.publish(pathlib.Path(sys.argv[1]), Deadly(), {})
"""
    killed = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert killed.returncode == -9
    leftover = list(tmp_path.glob(".partial-*"))
    assert len(leftover) == 1
    assert (leftover[0] / "first.npy").exists()
    assert store.versions(tmp_path) == [version]
    assert store.current(tmp_path) == version
    publish(tmp_path)
    assert list(tmp_path.glob(".partial-*")) == []


@pytest.mark.parametrize("failing", [np.array([object()]), np.array(["a", None], object)])
def test_arrays_of_objects_are_not_published(tmp_path: Path, failing: np.ndarray[Any, Any]) -> None:
    version = publish(tmp_path)
    with pytest.raises(ValueError, match="Object arrays"):
        publish(tmp_path, {"failing": failing})
    assert store.current(tmp_path) == version
    assert store.versions(tmp_path) == [version]


def test_a_damaged_byte_is_found_and_named(tmp_path: Path) -> None:
    version = publish(tmp_path)
    path = tmp_path / version / "numbers.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"numbers\.npy: damaged"):
        store.open_arrays(tmp_path, version)
    store.open_arrays(tmp_path, version, verify=False)


@pytest.mark.parametrize("name", ["popular", "model"])
def test_a_damaged_public_file_is_found_and_named(tmp_path: Path, name: str) -> None:
    version = publish(tmp_path)
    path = tmp_path / version / "public" / f"{name}.json"
    for content in (path.read_bytes() + b" ", b"", None):
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content)
        with pytest.raises(ModelError, match=rf"{name}\.json"):
            store.open_arrays(tmp_path, version)
        with pytest.raises(ModelError, match=rf"{name}\.json"):
            store.read_public(tmp_path, version, name)
        assert store.find(tmp_path, builders.SOURCE) is None
    store.open_arrays(tmp_path, version, verify=False)


def test_all_that_is_wrong_is_found_at_once(tmp_path: Path) -> None:
    version = publish(tmp_path)
    assert store.problems(tmp_path, version) == []
    put_array(tmp_path / version, "numbers", npy(np.zeros((4, 3), np.float32)))
    (tmp_path / version / "ids.npy").write_bytes(b"rubbish")
    (tmp_path / version / "none.npy").unlink()
    (tmp_path / version / "public" / "popular.json").write_text("{}")
    found = store.problems(tmp_path, version)
    assert [Path(problem.partition(": ")[0]).name for problem in found] == [
        *("numbers.npy", "ids.npy", "none.npy", "popular.json")
    ]
    (tmp_path / version).rename(tmp_path / OUTSIDE)
    assert store.problems(tmp_path, OUTSIDE)[0].endswith(f"its manifest is of version {version}")
    assert len(store.problems(tmp_path, version)) == 1


@pytest.mark.parametrize("verify", [True, False])
def test_a_missing_file_is_named(tmp_path: Path, verify: bool) -> None:
    version = publish(tmp_path)
    (tmp_path / version / "ids.npy").unlink()
    with pytest.raises(ModelError, match=r"ids\.npy"):
        store.open_arrays(tmp_path, version, verify)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("length", [0, 5, 40, 130, -1])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, length: int, verify: bool) -> None:
    version = publish(tmp_path)
    path = tmp_path / version / "numbers.npy"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelError, match=r"numbers\.npy"):
        store.open_arrays(tmp_path, version, verify)


def npy(array: np.ndarray[Any, Any]) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, numbers=ARRAYS["numbers"])
    return file.getvalue()


class Exploit:
    """Its pickle would end the process that unpacks it."""

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return os._exit, (66,)


def pickled() -> bytes:
    return pickle.dumps(Exploit())


@pytest.mark.parametrize(
    "content", [npy(np.array([Exploit()], object)), pickled(), npz(), b"", b"PK\x03\x04rubbish", b"rubbish"],
    ids=["objects", "pickle", "npz", "empty", "broken zip", "rubbish"],
)  # fmt: skip
@pytest.mark.parametrize("verify", [True, False])
def test_files_that_are_no_plain_arrays_are_refused(tmp_path: Path, content: bytes, verify: bool) -> None:
    version = publish(tmp_path)
    put_array(tmp_path / version, "numbers", content)
    with pytest.raises(ModelError, match=r"numbers\.npy"):
        store.open_arrays(tmp_path, version, verify)


@pytest.mark.parametrize(
    "other", [np.zeros((4, 3), np.float32), np.zeros((3, 4), np.float64), np.zeros(12, np.float32)]
)
def test_another_shape_or_type_than_the_manifests_is_refused(tmp_path: Path, other: np.ndarray[Any, Any]) -> None:
    version = publish(tmp_path)
    put_array(tmp_path / version, "numbers", npy(other))
    with pytest.raises(ModelError, match=r"numbers\.npy: .* the manifest says <f4 \(3, 4\)"):
        store.open_arrays(tmp_path, version)


def test_another_format_is_refused_with_advice(tmp_path: Path) -> None:
    version = publish(tmp_path)
    alter_manifest(tmp_path / version, lambda fields: fields.update(format=FORMAT + 1))
    with pytest.raises(ModelError, match=f"format {FORMAT + 1}, this release reads {FORMAT}; train again"):
        store.manifest_of(tmp_path, version)
    assert store.usable(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"format": 1}', '{"format": 1, "files": []}', "\udcff"])
def test_a_manifest_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    version = publish(tmp_path)
    (tmp_path / version / "manifest.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=r"manifest\.json"):
        store.manifest_of(tmp_path, version)
    assert store.usable(tmp_path) is None
    assert store.find(tmp_path, builders.SOURCE) is None


OUTSIDE = "20200101T000000-00000000"


@pytest.mark.parametrize(
    "name",
    ["", "\n", "../x", f"../outside/{OUTSIDE}", "/etc/passwd", "latest", f"{OUTSIDE}/", f"{OUTSIDE}\nx", "\xff", "é"],
)
def test_a_pointer_that_names_no_version_is_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    publish(root)
    (tmp_path / "outside").mkdir()
    (root / store.versions(root)[0]).rename(tmp_path / "outside" / OUTSIDE)
    (root / "CURRENT").write_bytes(name.encode("latin-1"))
    with pytest.raises(ModelError, match="CURRENT"):
        store.current(root)
    assert store.usable(root) is None


@pytest.mark.parametrize("name", ["../x", f"../outside/{OUTSIDE}", f"{OUTSIDE}/", f"./{OUTSIDE}", "", "."])
def test_only_a_versions_name_can_be_promoted(tmp_path: Path, name: str) -> None:
    root, other = tmp_path / "root", tmp_path / "outside"
    in_service = publish(root)
    (other / publish(other)).rename(other / OUTSIDE)
    (root / OUTSIDE).symlink_to(other / OUTSIDE)
    with pytest.raises(ModelError):
        store.promote(root, name)
    assert store.current(root) == in_service


def test_promoting_and_rolling_back(tmp_path: Path) -> None:
    older, newer = publish(tmp_path), publish(tmp_path, {"numbers": np.ones(1)})
    assert store.current(tmp_path) == newer
    store.promote(tmp_path, older)
    assert store.current(tmp_path) == older
    with pytest.raises(ModelError):
        store.promote(tmp_path, "20990101T000000-00000000")
    alter_manifest(tmp_path / newer, lambda fields: fields.update(format=0))
    with pytest.raises(ModelError):
        store.promote(tmp_path, newer)
    assert store.current(tmp_path) == older
    (tmp_path / "CURRENT").write_text("rubbish")
    store.promote(tmp_path, older)
    assert store.current(tmp_path) == older, "a pointer that cannot be read can be replaced"


def test_the_same_twice_within_a_second_is_one_version(tmp_path: Path) -> None:
    names = {publish(tmp_path) for _ in range(4)}
    assert set(store.versions(tmp_path)) == names
    store.open_arrays(tmp_path, max(names))


def test_a_version_is_found_by_its_source(tmp_path: Path) -> None:
    data = tmp_path / "tracks.csv"
    data.write_text("one")
    first = publish(tmp_path, {"a": np.ones(1)}, source=file_source(data))
    demo = publish(tmp_path, {"a": np.ones(2)}, source=demo_source(100, 1))
    assert store.find(tmp_path, file_source(data)) == first
    assert store.find(tmp_path, demo_source(100, 1)) == demo
    assert store.find(tmp_path, demo_source(100, 2)) is None
    data.write_text("two")
    assert store.find(tmp_path, file_source(data)) is None
    (tmp_path / first / "manifest.json").unlink()
    assert store.find(tmp_path, demo_source(100, 1)) == demo, "a broken version hides no whole one"


def test_only_the_newest_versions_and_the_one_in_service_are_kept(tmp_path: Path) -> None:
    old = [f"2020010{i}T000000-0000000{i}" for i in range(1, 8)]
    template = publish(tmp_path)
    for name in old:
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text((tmp_path / template / "manifest.json").read_text())
    newest = publish(tmp_path, {"a": np.ones(1)})
    kept = store.versions(tmp_path)
    assert len(kept) == store.KEEP_VERSIONS == 5
    assert kept[:3] == old[-3:]
    assert set(kept[3:]) == {template, newest}


def test_pruning_spares_the_version_in_service_however_old(tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / f"2099010{i + 1}T000000-00000000").mkdir()
    in_service = publish(tmp_path)
    assert store.current(tmp_path) == in_service
    assert len(store.versions(tmp_path)) == 6
    store.open_arrays(tmp_path, in_service)


def test_the_same_data_train_the_same_model(built: Built, published: tuple[Path, str], tmp_path: Path) -> None:
    shuffled = builders.atlas().sample(frac=1, random_state=9, ignore_index=True)
    again = builders.publish(tmp_path, builders.train(shuffled))
    first = store.manifest_of(*published)
    assert store.manifest_of(tmp_path, again).files == first.files
    assert len(first.files) == len(built.arrays) > 30


def test_a_version_is_plain_arrays_json_and_a_picture(published: tuple[Path, str]) -> None:
    directory = published[0] / published[1]
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".npy", ".json", ".png"}
    for path in files:
        if path.suffix == ".npy":
            assert not np.load(path, allow_pickle=False).dtype.hasobject
        elif path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
    shown = {path.name.removesuffix(".json") for path in files if path.parent.name == "public"}
    assert shown == {"model", "popular", "genres", "map", "map.png"} == store.manifest_of(*published).public.keys()


def altered(built: Built, name: str, change: Callable[[Any], Any]) -> Built:
    return Built({**built.arrays, name: change(built.arrays[name].copy())}, built.public, built.about)


@pytest.mark.parametrize(
    "name", ["score_mean", "score_std", "cluster_mean", "cluster_std", "pca_components", "probe_raw"]
)
def test_a_model_of_another_transform_is_refused(built: Built, tmp_path: Path, name: str) -> None:
    version = builders.publish(tmp_path, altered(built, name, lambda array: array + 0.01))
    with pytest.raises(ModelError, match="trained by another transform"):
        Model.load(tmp_path, version)


@pytest.mark.parametrize("name", ["probe_raw", "score_mean", "cluster_mean", "pca_components"])
def test_a_model_with_other_columns_is_refused(built: Built, tmp_path: Path, name: str) -> None:
    fewer = altered(built, name, lambda array: array[:-1] if name == "probe_raw" else array[..., :-1])
    version = builders.publish(tmp_path, fewer)
    with pytest.raises(ModelError):
        Model.load(tmp_path, version)


def test_a_model_without_one_of_its_arrays_is_refused(built: Built, tmp_path: Path) -> None:
    for name in ("song", "probe_raw", "text_core", "cell_rows", "id_rank", "stat_covariance"):
        fewer = Built({k: v for k, v in built.arrays.items() if k != name}, built.public, built.about)
        version = builders.publish(tmp_path, fewer)
        with pytest.raises(ModelError, match=f"'{name}' is missing"):
            Model.load(tmp_path, version)


def test_the_manifest_says_what_the_model_is(published: tuple[Path, str], built: Built) -> None:
    manifest = Manifest.read(published[0] / published[1])
    assert (manifest.source, manifest.tracks) == (builders.SOURCE, len(built.arrays["song"]))
    assert manifest.genres == tuple(sorted(manifest.genres))
    assert manifest.synthetic is False
    assert all(0 <= share <= 1 for share in manifest.coverage.values())
    with pytest.raises(ModelError, match=r"absent\.json"):
        store.read_public(*published, "absent")
