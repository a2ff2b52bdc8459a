"""The map as anybody may know it: its axes, where the clusters lie, and a picture of how densely it is filled.

Training draws it; a worker keeps it in Redis with the model's description. `producer/public.py` reads the same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis
from pydantic import BaseModel, Field
from redis.client import Pipeline

from producer import codec, keys
from producer.connections import translated
from producer.errors import NotReady
from producer.schema import Between, Query

MAX_ON_MAP = 500
"""Tracks of a window that are answered at most."""

_PNG = b"\x89PNG\r\n\x1a\n"


class MapAxis(BaseModel):
    """What a direction of the map means. Places along it are percentiles of the catalogue, 0–1."""

    model_config = Query.model_config  # as strict as all messages

    name: str = Field(description="The feature.")
    low: str = Field(description="What to call its end at 0.")
    high: str = Field(description="What to call its end at 1.")


class MapLabel(BaseModel):
    """A K-means cluster, by the genres that are typical of it."""

    model_config = Query.model_config

    cluster: int
    genres: list[str] = Field(description="Up to three, the most typical first. Empty: no genre is typical of it.")
    share: float = Field(description="Of all tracks, 0–1.")
    at: Between = Field(description="The median place of its tracks, [x, y].")
    room: float = Field(
        description="The distance to the nearest label before it in this list, which goes from the largest cluster to "
        "the smallest, as a share of the map's side: show a label where that is wide enough for it on the screen."
    )


class MapInfo(BaseModel):
    """The map of the model in service."""

    model_config = Query.model_config

    model: str
    tracks: int = Field(description="Tracks that have a place: both features are known.")
    x: MapAxis
    y: MapAxis
    labels: list[MapLabel]
    notice: str | None
    warnings: list[str] = Field(default_factory=list, description="Why this may not be what the workers answer from.")


@dataclass(frozen=True)
class Chart:
    """A map as the model's public files hold it. described: `MapInfo` without model and notice; picture: a PNG."""

    described: dict[str, Any]
    picture: bytes

    def info(self, version: str, notice: str | None) -> MapInfo:
        """Return the description as clients get it."""
        return MapInfo.model_validate({"model": version, "notice": notice, **self.described})

    def check(self) -> None:
        """Check that it is a map. Raises: ValueError."""
        self.info("", None)
        if not self.picture.startswith(_PNG):
            raise ValueError("the picture of the map is no PNG")


def publish(pipe: Pipeline, info: dict[str, Any], chart: Chart | None) -> None:
    """Replace the map, in the transaction of `pipe`. info: the `ModelInfo` of its model as a dict."""
    pipe.delete(keys.MAP)
    if chart is not None:
        described = chart.info(info["version"], info["notice"]).model_dump()
        fields: dict[Any, Any] = {"version": info["version"], "map": codec.pack(described), "picture": chart.picture}
        pipe.hset(keys.MAP, mapping=fields)


def map_info(connection: redis.Redis) -> MapInfo:
    """Return the map of the model in service. Raises: NotReady, Unavailable."""
    (packed,) = _fields(connection, "map")
    return MapInfo.model_validate(codec.unpack(packed))


def map_version(connection: redis.Redis) -> str:
    """Return the version of the model whose picture there is. Raises: NotReady, Unavailable."""
    (version,) = _fields(connection, "version")
    return version.decode()


def map_picture(connection: redis.Redis) -> tuple[str, bytes]:
    """Return the picture, and the version of its model. Raises: NotReady, Unavailable."""
    version, picture = _fields(connection, "version", "picture")
    return version.decode(), picture


def _fields(connection: redis.Redis, *names: str) -> list[bytes]:
    with translated():
        found: list[Any] = connection.hmget(keys.MAP, names)
    if None in found:
        raise NotReady("no worker has loaded a model yet")
    return found
