"""Versions on disk: written aside, flushed, renamed; `CURRENT` names the one in service.

    ARTIFACTS_DIR/
      CURRENT                   the name of a version, moved by rename
      20261121T204500-1a2b3c4d/ one version: manifest.json, an .npy file for each array, public/*.json
      .partial-…/               a version being written; a leftover of one that was killed goes with the next publish

Arrays are mapped read-only, so workers on one machine share their pages. No pickle anywhere.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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

    arrays: name → array without objects. public: name → what `public/<name>.json` holds, for readers without numpy.
    about: the remaining fields of Manifest. Keeps the KEEP_VERSIONS newest versions.
    → the version's name.
    """
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        for leftover in root.glob(".partial-*"):
            shutil.rmtree(leftover)
        partial = root / f".partial-{os.getpid()}"
        (partial / "public").mkdir(parents=True)
        files = {name: _write_array(partial / f"{name}.npy", array) for name, array in arrays.items()}
        for name, value in public.items():
            (partial / "public" / f"{name}.json").write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        now = time.gmtime()
        digest = hashlib.sha256("".join(entry.sha256 for entry in files.values()).encode()).hexdigest()
        version = f"{time.strftime('%Y%m%dT%H%M%S', now)}-{digest[:8]}"
        created_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", now)
        Manifest(version=version, created_at=created_at, files=files, **about).write(partial)
        for path in (*partial.rglob("*"), partial):
            _flush(path)
        if (root / version).exists():  # the same data trained again within a second
            shutil.rmtree(root / version)
        partial.rename(root / version)
        _point(root, version)
        _prune(root)
    return version


def promote(root: Path, version: str) -> None:
    """Make `version` CURRENT. Raises: ModelError if it is not there or cannot be read."""
    if current(root) == version and manifest_of(root, version):
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

    verify: read every byte once and compare hashes.
    Raises: ModelError if a file is missing, or not what the manifest says.
    """
    manifest = manifest_of(root, version)
    arrays: Arrays = {}
    for name, entry in manifest.files.items():
        path = root / version / f"{name}.npy"
        try:
            if verify and _sha256(path) != entry.sha256:
                raise ModelError(f"{path}: damaged (sha256 differs from the manifest's)")
            array = np.lib.format.open_memmap(path, mode="r")
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: {error}") from error
        if (array.dtype.str, array.shape) != (entry.dtype, entry.shape):
            raise ModelError(f"{path}: {array.dtype.str} {array.shape}, the manifest says {entry.dtype} {entry.shape}")
        arrays[name] = np.asarray(array)  # a plain view: numpy.memmap pays for its class at every look
    return manifest, arrays


def read_public(root: Path, version: str, name: str) -> Any:
    """Return what `public/<name>.json` of a version holds. Raises: ModelError."""
    path = root / version / "public" / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error


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


def _prune(root: Path) -> None:
    """Delete the oldest versions. A worker that still maps one keeps its pages until it lets go."""
    in_service = current(root)
    for version in versions(root)[:-KEEP_VERSIONS]:
        if version != in_service:
            shutil.rmtree(root / version)


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    with (root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
