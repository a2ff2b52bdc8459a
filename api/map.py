"""The map: what it is, its picture, and the tracks in a window of it."""

from __future__ import annotations

import re
from typing import Annotated

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from pydantic import AfterValidator, BaseModel, Field

from api.catalogue import TAG, ask
from api.contract import problems
from api.model import either, public, told_source
from api.service import Parameters, connection, files
from producer import charts as kept
from producer import keys
from producer.charts import MAX_ON_MAP, MapInfo
from producer.schema import Track

charts = APIBlueprint("map", __name__, url_prefix="/v1")


_NUMBER = r"-?[0-9]{1,9}(\.[0-9]{1,20})?(e[-+]?[0-9]{1,2})?"
_BOX = rf"^{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}$"


def _checked(text: str) -> str:
    if not re.match(_BOX, text):
        raise ValueError("a box is four numbers with commas between them: x0,y0,x1,y1")
    return text


class WindowParameters(Parameters):
    """A part of the map."""

    box: Annotated[str, AfterValidator(_checked)] = Field(
        "0,0,1,1",
        max_length=200,
        description="`x0,y0,x1,y1`: two opposite corners; what lies on the border is in it. The map is 0–1.",
        json_schema_extra={"pattern": _BOX},
    )
    limit: int = Field(200, ge=1, le=MAX_ON_MAP)


class TracksOnMap(BaseModel):
    """What lies in a part of the map."""

    count: int = Field(description="Tracks in the box, all of them.")
    tracks: list[Track] = Field(description="The best known of them, in that order.")


@charts.get(
    "/map",
    summary="The map of all tracks",
    tags=[TAG],
    responses={200: MapInfo, **problems()},
)
def chart() -> Response:
    """Return what the directions of the map mean, and where the model's clusters lie."""
    return public(lambda: kept.map_info(connection()), lambda: files().map_info())


@charts.get(
    "/map.png",
    summary="The map as a picture",
    tags=[TAG],
    responses={
        200: {"description": "A PNG, in greys", "content": {"image/png": {}}},
        304: {"description": "as before"},
        **problems(),
    },
)
def picture() -> Response:
    """Return how densely the map is filled: lighter, more tracks; energetic at the top. The same for one model."""
    if request.if_none_match:
        version, error = either(lambda: kept.map_version(connection()), lambda: files().map_picture()[0])
        if request.if_none_match.contains(version):
            return _cached(Response(status=304), version, error)
    (version, png), error = either(lambda: kept.map_picture(connection()), lambda: files().map_picture())
    return _cached(Response(png, content_type="image/png"), version, error)


def _cached(response: Response, version: str, error: Exception | None) -> Response:
    response.set_etag(version)
    response.headers["Cache-Control"] = "no-cache"
    return told_source(response, error)


@charts.get(
    "/map/tracks",
    summary="Tracks in a part of the map",
    tags=[TAG],
    responses={200: TracksOnMap, **problems()},
)
def window(query: WindowParameters) -> Response:
    """Return the best known tracks in a box, and how many there are."""
    x0, y0, x1, y1 = (float(edge) for edge in query.box.split(","))
    box = [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]
    return ask(keys.ON_MAP, {"box": box, "limit": query.limit})
