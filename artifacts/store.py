"""Versions on disk: written aside, flushed, renamed; `CURRENT` names the one in service.

    ARTIFACTS_DIR/
      CURRENT                   the name of a version, moved by rename
      20261121T204500-1a2b3c4d/ one version: manifest.json, an .npy file for each array, public/*
      .partial-…/               a version being written, or deleted; what a kill leaves goes with the next publish

Arrays are mapped read-only, so workers on one machine share their pages. No pickle anywhere. What `public/` holds, and
what its readers rely on, stands in docs/reference/models.md.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts.manifest import FileEntry, Manifest, ModelError

CURRENT = "CURRENT"
KEEP_VERSIONS = 5
_VERSION_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")

Arrays = dict[str, npt.NDArray[Any]]


def publish(root: Path, arrays: Mapping[str, npt.NDArray[Any]], public: Mapping[str, Any], **about: Any) -> str:
    """Write a version and make it CURRENT; until the last rename, readers see nothing of it.

    arrays: name → array without objects. public: name → what `public/<name>.json` holds, for readers without numpy;
    where it is bytes the name is the whole name of the file. "model" is added: what the manifest says of itself.
    about: the remaining fields of Manifest. Keeps the KEEP_VERSIONS newest versions.
    → the version's name.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        _delete_leftovers(root)
        aside = root / f".partial-{os.getpid()}"
        (aside / "public").mkdir(parents=True)
        files = {name: _write_array(aside / f"{name}.npy", array) for name, array in arrays.items()}
        now = time.gmtime()
        digest = hashlib.sha256("".join(entry.sha256 for entry in files.values()).encode()).hexdigest()
        version = f"{time.strftime('%Y%m%dT%H%M%S', now)}-{digest[:8]}"
        created_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", now)
        manifest = Manifest(version=version, created_at=created_at, files=files, public={}, **about)
        shown = {**public, "model": manifest.describe()}
        hashes = {name: _write_public(_public_file(aside, name), value) for name, value in shown.items()}
        replace(manifest, public=hashes).write(aside)
        for path in (*aside.rglob("*"), aside):
            _flush(path)
        if (root / version).exists():  # the same data trained again within a second
            shutil.rmtree(root / version)
        aside.rename(root / version)
        _point(root, version)
        _prune(root, KEEP_VERSIONS)
    return version


def promote(root: Path, version: str) -> None:
    """Make `version` CURRENT. Raises: ModelError if it is not there or cannot be read."""
    if usable(root) == version:
        return
    with _locked(root):
        manifest_of(root, version)
        _point(root, version)


def current(root: Path) -> str | None:
    """Return the name of the version in service, None if none was ever published. Raises: ModelError."""
    try:
        name = (root / CURRENT).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{root / CURRENT} cannot be read: {error}") from error
    if not _VERSION_NAME.fullmatch(name):
        raise ModelError(f"{root / CURRENT} holds {name[:80]!r}, which is no version's name")
    return name


def usable(root: Path) -> str | None:
    """Return the version in service if this release can read its manifest, else None."""
    try:
        version = current(root)
        return version if version and manifest_of(root, version) else None
    except ModelError:
        return None


def versions(root: Path) -> list[str]:
    """Return the names of all versions, oldest first."""
    return sorted(path.name for path in root.glob("*") if _VERSION_NAME.fullmatch(path.name))


def previous(root: Path) -> str:
    """Return the version that was published before the one in service. Raises: ModelError if there is none."""
    in_service = current(root)
    if in_service is None:
        raise ModelError(f"{root}: no version is in service")
    older = [version for version in versions(root) if version < in_service]
    if not older:
        raise ModelError(f"{root}: no version was published before {in_service}")
    return older[-1]


def prune(root: Path, keep: int) -> list[str]:
    """Delete all but the `keep` (≥ 1) newest versions and the one in service. → what was deleted, oldest first.

    Raises: ModelError if nobody can tell which one is in service.
    """
    with _locked(root):
        _delete_leftovers(root)
        return _prune(root, keep)


def find(root: Path, source: Mapping[str, Any]) -> str | None:
    """Return the newest undamaged version that was trained from `source`, None if there is none."""
    for version in reversed(versions(root)):
        try:
            if manifest_of(root, version).source == dict(source):
                open_arrays(root, version)
                return version
        except ModelError:
            continue  # of another release, or damaged: a new one will be trained
    return None


def manifest_of(root: Path, version: str) -> Manifest:
    """Return the manifest of a version. Raises: ModelError."""
    if not _VERSION_NAME.fullmatch(version):
        raise ModelError(f"{version[:80]!r} is no version's name")
    return Manifest.read(root / version)


def open_arrays(root: Path, version: str, verify: bool = True) -> tuple[Manifest, Arrays]:
    """Map the arrays of a version, read-only.

    verify: read every byte once and compare hashes, the public files' too.
    Raises: ModelError if a file is missing, or not what the manifest says.
    """
    manifest = manifest_of(root, version)
    arrays = {name: _open(root / version, name, entry, verify) for name, entry in manifest.files.items()}
    if verify:
        for name in manifest.public:
            read_public(root, version, name)
    return manifest, arrays


def problems(root: Path, version: str) -> list[str]:
    """Return all that is wrong with the files of a version, as sentences that name them; nothing: all is well."""
    try:
        manifest = manifest_of(root, version)
    except ModelError as error:
        return [str(error)]
    found = [] if manifest.version == version else [f"{root / version}: its manifest is of version {manifest.version}"]
    looks: list[Callable[[], object]] = [
        *(partial(_open, root / version, name, entry, True) for name, entry in manifest.files.items()),
        *(partial(read_public, root, version, name) for name in manifest.public),
    ]
    for look in looks:
        try:
            look()
        except ModelError as error:
            found.append(str(error))
    return found


def read_public(root: Path, version: str, name: str) -> Any:
    """Return what `public/<name>.json` of a version holds, or the bytes of `public/<name>` if the name has a suffix.

    Raises: ModelError, also if it is damaged.
    """
    expected = manifest_of(root, version).public.get(name)
    path = _public_file(root / version, name)
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise ModelError(f"{path}: damaged (sha256 differs from the manifest's)")
        return json.loads(content) if path.suffix == ".json" else content
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error


def _open(directory: Path, name: str, entry: FileEntry, verify: bool) -> npt.NDArray[Any]:
    path = directory / f"{name}.npy"
    try:
        if verify and _sha256(path) != entry.sha256:
            raise ModelError(f"{path}: damaged (sha256 differs from the manifest's)")
        array = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error
    if (array.dtype.str, array.shape) != (entry.dtype, entry.shape):
        raise ModelError(f"{path}: {array.dtype.str} {array.shape}, the manifest says {entry.dtype} {entry.shape}")
    return np.asarray(array)  # a plain view: numpy.memmap pays for its class at every look


def _public_file(directory: Path, name: str) -> Path:
    return directory / "public" / (name if "." in name else f"{name}.json")


def _write_public(path: Path, value: Any) -> str:
    """Write a public file. → its sha256."""
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode())
    return _sha256(path)


def _write_array(path: Path, array: npt.NDArray[Any]) -> FileEntry:
    np.save(path, np.ascontiguousarray(array), allow_pickle=False)
    return FileEntry(array.dtype.str, array.shape, _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _point(root: Path, version: str) -> None:
    aside = root / f"{CURRENT}.new"
    aside.write_text(version + "\n", encoding="ascii")
    _flush(aside)
    aside.rename(root / CURRENT)
    _flush(root)


def _prune(root: Path, keep: int) -> list[str]:
    """Delete the oldest versions. A worker that still maps one keeps its pages until it lets go."""
    in_service = current(root)
    deleted = [version for version in versions(root)[:-keep] if version != in_service]
    for version in deleted:
        aside = root / f".partial-{version}"
        (root / version).rename(aside)  # first: half of it must not be seen, not even after a kill
        shutil.rmtree(aside)
    return deleted


def _delete_leftovers(root: Path) -> None:
    for leftover in root.glob(".partial-*"):
        shutil.rmtree(leftover)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
