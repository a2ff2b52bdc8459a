"""What the model in service holds: asked of Redis, or of the model's own files where Redis is down or empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from api.contract import problems
from api.service import Parameters, connection, files, shown
from producer import fallback
from producer.charts import MapInfo
from producer.errors import NotReady, Unavailable
from producer.public import GenreList, ModelInfo, PopularList
from producer.schema import MAX_POPULAR

SOURCE = "Segue-Source"
"""The header that says where an answer about the model is from: `redis`, or `files` if Redis is down or empty."""

model = APIBlueprint("model", __name__, url_prefix="/v1")
_TAG = Tag(name="Catalogue", description="What the model holds.")


class PopularParameters(Parameters):
    """Which popular tracks."""

    genre: str | None = Field(None, min_length=1, max_length=200, description="All genres if left out.")
    limit: int = Field(20, ge=1, le=MAX_POPULAR)


@model.get(
    "/popular",
    summary="Popular tracks",
    tags=[_TAG],
    responses={200: PopularList, **problems(404)},
)
def popular(query: PopularParameters) -> Response:
    """Return precomputed popular tracks, of a genre or of all."""
    return public(
        lambda: fallback.popular(connection(), query.genre, query.limit),
        lambda: files().popular(query.genre, query.limit),
    )


@model.get(
    "/genres",
    summary="Genres",
    tags=[_TAG],
    responses={200: GenreList, **problems()},
)
def genres() -> Response:
    """Return the genres that the model knows, with how many tracks each has."""
    return public(lambda: fallback.genres(connection()), lambda: files().genres())


@model.get(
    "/model",
    summary="The model in service",
    tags=[_TAG],
    responses={200: ModelInfo, **problems()},
)
def info() -> Response:
    """Return what the model holds: its version, its size, its genres, which columns it knows."""
    return public(lambda: fallback.model_info(connection()), lambda: files().model_info())


_Shown = TypeVar("_Shown", PopularList, GenreList, ModelInfo, MapInfo)
_Found = TypeVar("_Found")


def public(from_redis: Callable[[], _Shown], from_files: Callable[[], _Shown]) -> Response:
    """Answer from Redis, where workers say what they answer from; if it is down or empty, from files, and say so."""
    found, error = either(from_redis, from_files)
    if error is not None:
        warning = f"from the files of the model that was published last, not from a worker: {error}"
        found = found.model_copy(update={"warnings": [warning]})
    return told_source(shown(found), error)


def either(from_redis: Callable[[], _Found], from_files: Callable[[], _Found]) -> tuple[_Found, Exception | None]:
    """Return what is found in Redis and None, or what is found in files and why. Raises: Unavailable, NotReady."""
    try:
        return from_redis(), None
    except (Unavailable, NotReady) as error:
        try:
            return from_files(), error
        except NotReady as no_files:
            raise type(error)(f"{error}; {no_files}") from error


def told_source(response: Response, error: Exception | None) -> Response:
    """Say in a response where it is from. error: why it is from files, None: it is not."""
    response.headers[SOURCE] = "redis" if error is None else "files"
    return response
