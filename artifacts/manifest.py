"""The manifest of a model version: which files it has, what they hold, and where they came from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FORMAT = 4
"""Raised whenever a reader of the old files would misread the new ones; another format is refused."""

FILE_NAME = "manifest.json"


class ModelError(Exception):
    """A model version that cannot be used: not there, of another format, damaged, or not what it says it is."""


def file_source(path: Path) -> dict[str, Any]:
    """Return what a model records of the data set that it was trained from. Raises: OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"kind": "file", "name": path.name, "sha256": digest, "bytes": path.stat().st_size}


def demo_source(rows: int, seed: int) -> dict[str, Any]:
    """Return what a model records of the invented catalogue that it was trained from."""
    return {"kind": "demo", "rows": rows, "seed": seed}


@dataclass(frozen=True)
class FileEntry:
    """One array: dtype as numpy writes it, shape, and the sha256 of the whole file."""

    dtype: str
    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a version says of itself.

    source: from `file_source` or `demo_source`; a model is reused only if its source is the one asked for. coverage:
    share of tracks that have each column. quantiles: see artifacts/quantiles.py. metrics: what training measured.
    public: sha256 of each public file.
    """

    version: str
    created_at: str
    source: dict[str, Any]
    tracks: int
    songs: int
    artists: int
    genres: tuple[str, ...]
    clusters: int
    coverage: dict[str, float]
    quantiles: dict[str, list[float]]
    metrics: dict[str, Any]
    notice: str | None
    files: dict[str, FileEntry]
    public: dict[str, str]
    format: int = FORMAT

    @property
    def synthetic(self) -> bool:
        """Whether the songs are invented: all ids begin with "demo", and `notice` says so."""
        return self.notice is not None

    def describe(self) -> dict[str, Any]:
        """Return what clients may know of the version: `producer.public.ModelInfo` as a dict, `public/model.json`."""
        return {
            "version": self.version,
            "created_at": self.created_at,
            "tracks": self.tracks,
            "songs": self.songs,
            "artists": self.artists,
            "genres": list(self.genres),
            "clusters": self.clusters,
            "explained_variance": round(float(self.metrics["explained_variance"]), 4),
            "coverage": self.coverage,
            "quantiles": self.quantiles,
            "source": self.source,
            "synthetic": self.synthetic,
            "notice": self.notice,
        }

    def write(self, directory: Path) -> None:
        """Write the manifest into `directory`."""
        (directory / FILE_NAME).write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False), encoding="utf-8")

    @staticmethod
    def read(directory: Path) -> Manifest:
        """Read the manifest of the version in `directory`. Raises: ModelError."""
        path = directory / FILE_NAME
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            if fields["format"] != FORMAT:
                raise ModelError(f"{path}: format {fields['format']}, this release reads {FORMAT}; train again")
            fields["files"] = {
                name: FileEntry(f["dtype"], tuple(f["shape"]), f["sha256"]) for name, f in fields["files"].items()
            }
            fields["genres"] = tuple(fields["genres"])
            fields["public"] = dict(fields["public"])
            return Manifest(**fields)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{path}: not a model manifest ({type(error).__name__}: {error})") from error
