"""What anybody may know of the model: its description, its genres, popular lists and map; and the files that hold them.

A worker keeps them in Redis (`producer/fallback.py`); where Redis is down or empty, the API reads the model's own
files. Which files there are, and what they hold, stands in docs/reference/models.md; artifacts/store.py writes them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter

from producer.charts import Chart, MapInfo
from producer.errors import NotFound, NotReady
from producer.schema import Query, Track

log = logging.getLogger("segue.public")

LOOK_AGAIN_S = 1.0
"""How long a reader goes on with what it has before it looks whether another version was published."""

_VERSION_NAME = re.compile(r"\d{8}T\d{6}-[0-9a-f]{8}")
_WARNINGS = "Why this may not be what the workers answer from."


class PopularList(BaseModel):
    """Popular tracks, precomputed with the model."""

    model_config = Query.model_config  # as strict as all messages

    model: str
    genre: str | None
    tracks: list[Track]
    notice: str | None
    warnings: list[str] = Field(default_factory=list, description=_WARNINGS)


class GenreCount(BaseModel):
    """A genre of the catalogue. A track may have several."""

    model_config = Query.model_config

    genre: str
    tracks: int


class GenreList(BaseModel):
    """The genres that the model knows, by name."""

    model_config = Query.model_config

    model: str
    genres: list[GenreCount]
    notice: str | None
    warnings: list[str] = Field(default_factory=list, description=_WARNINGS)


class ModelInfo(BaseModel):
    """What the model in service holds."""

    model_config = Query.model_config

    version: str
    created_at: str
    tracks: int
    songs: int = Field(description="Tracks with the versions of one song counted once.")
    artists: int
    genres: list[str]
    clusters: int
    explained_variance: float = Field(description="Share of the cluster space's variance that the PCA keeps, 0–1.")
    coverage: dict[str, float] = Field(description="Share of tracks that have each column, 0–1.")
    quantiles: dict[str, list[float]] = Field(
        default_factory=dict,
        description="For each column that can be filtered by range: 101 values, from the least at 0 % of the tracks to "
        "the greatest at 100 %. A column that no track has is left out.",
    )
    source: dict[str, Any] = Field(description="What the model was trained from.")
    synthetic: bool
    notice: str | None
    warnings: list[str] = Field(default_factory=list, description=_WARNINGS)


PopularLists = Mapping[str, list[dict[str, Any]]]
"""Tracks (`Track` as dicts) by genre, "" for all genres, each list best first."""


def popular_list(info: ModelInfo, genre: str | None, tracks: list[dict[str, Any]] | None, limit: int) -> PopularList:
    """Return the first `limit` of `tracks`, the list of `genre`. Raises: NotFound if there is no list."""
    if tracks is None:
        raise NotFound(f"the model has no genre {genre!r}; GET /v1/genres lists those it has")
    return PopularList.model_validate(
        {"model": info.version, "genre": genre, "tracks": tracks[:limit], "notice": info.notice}
    )


def genre_list(info: ModelInfo, genres: list[dict[str, Any]]) -> GenreList:
    """Return the genres as clients get them. genres: `GenreCount` as dicts."""
    return GenreList.model_validate({"model": info.version, "genres": genres, "notice": info.notice})


@dataclass(frozen=True)
class _Version:
    """What the public files of one version hold."""

    info: ModelInfo
    genres: list[dict[str, Any]]
    popular: PopularLists
    chart: Chart


class PublicFiles:
    """Reads the public files of the CURRENT version below a folder; for any number of threads.

    A version is read once, and kept until another one that can be read is CURRENT. Needs neither Redis nor numpy.
    """

    def __init__(self, root: Path) -> None:
        """root: ARTIFACTS_DIR. It need not be there, neither now nor later."""
        self._root = root
        self._lock = Lock()
        self._look_again = 0.0
        self._version: _Version | None = None
        self._problem = ""

    def model_info(self) -> ModelInfo:
        """Return what the model holds. Raises: NotReady."""
        return self._current().info

    def genres(self) -> GenreList:
        """Return the genres. Raises: NotReady."""
        version = self._current()
        return genre_list(version.info, version.genres)

    def popular(self, genre: str | None, limit: int) -> PopularList:
        """Return the `limit` most popular tracks of `genre`, or of all. Raises: NotReady; NotFound: no such genre."""
        version = self._current()
        return popular_list(version.info, genre, version.popular.get(genre or ""), limit)

    def popular_lists(self) -> tuple[ModelInfo, PopularLists]:
        """Return the model's description with all of its popular lists. Raises: NotReady."""
        version = self._current()
        return version.info, version.popular

    def map_info(self) -> MapInfo:
        """Return the map. Raises: NotReady."""
        version = self._current()
        return version.chart.info(version.info.version, version.info.notice)

    def map_picture(self) -> tuple[str, bytes]:
        """Return the map's picture, a PNG, and the version of its model. Raises: NotReady."""
        version = self._current()
        return version.info.version, version.chart.picture

    def _current(self) -> _Version:
        """Return the version to answer from. Raises: NotReady, in words that may be shown to clients."""
        with self._lock:
            if time.monotonic() >= self._look_again:
                self._look()
                self._look_again = time.monotonic() + LOOK_AGAIN_S
            if self._version is None:
                raise NotReady(self._problem)
            return self._version

    def _look(self) -> None:
        """Read CURRENT, and its version if it is another one; what cannot be read leaves what was read before."""
        current, problem = self._root / "CURRENT", ""
        try:
            if not current.exists():
                problem = "there is no model in ARTIFACTS_DIR"
            else:
                name = current.read_text(encoding="ascii").strip()
                if self._version is None or self._version.info.version != name:
                    self._version = _read(self._root, name)
        except (OSError, ValueError, LookupError, TypeError) as error:
            problem = "the public files of the model in ARTIFACTS_DIR cannot be read"  # clients are shown no paths
            if problem != self._problem:
                log.warning("%s: %s: %s", self._root, type(error).__name__, error)
        self._problem = problem


def _read(root: Path, name: str) -> _Version:
    """Read and check the public files of a version. Raises: OSError, ValueError, LookupError, TypeError."""
    if not _VERSION_NAME.fullmatch(name):
        raise ValueError(f"CURRENT holds {name[:80]!r}, which is no version's name")
    hashes = json.loads((root / name / "manifest.json").read_bytes())["public"]

    def read_bytes(file: str) -> bytes:
        content = (root / name / "public" / file).read_bytes()
        if hashlib.sha256(content).hexdigest() != hashes[file.removesuffix(".json")]:
            raise ValueError(f"version {name}: public/{file} is damaged")
        return content

    def read(file: str) -> Any:
        return json.loads(read_bytes(f"{file}.json"))

    info = ModelInfo.model_validate(read("model"))
    if info.version != name:
        raise ValueError(f"version {name}: public/model.json is of version {info.version}")
    genres, popular = read("genres"), read("popular")
    TypeAdapter(list[GenreCount]).validate_python(genres)
    TypeAdapter(dict[str, list[Track]]).validate_python(popular)
    chart = Chart(read("map"), read_bytes("map.png"))
    chart.check()
    return _Version(info, genres, popular, chart)
