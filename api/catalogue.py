"""Questions about the catalogue that take the model's arrays: a worker answers them, ahead of everything else."""

from __future__ import annotations

from typing import Any

from flask import Response, current_app, jsonify
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field

from api.auth import caller
from api.contract import problems
from api.errors import problem
from api.limits import rate_of
from api.service import QUEUE_LIMIT, Parameters, connection, nobody_works, wrong_filters
from api.waiting import ask_again, asked_before
from producer import keys, queue, results
from producer.queue import Work
from producer.schema import MAX_POPULAR, Filters, Track, TrackDetail

catalogue = APIBlueprint("tracks", __name__, url_prefix="/v1/tracks")
TAG = Tag(name="Catalogue", description="What the model holds.")

_ANSWER_S = 2.0
"""How long somebody who types, or moves a slider, is made to wait at most."""

_KEPT_S = 15


class TypedParameters(Parameters):
    """What was typed so far."""

    q: str = Field(min_length=1, max_length=200, description="The beginning of a title, an artist, or both.")
    limit: int = Field(10, ge=1, le=MAX_POPULAR)


class TrackPath(Parameters):
    """The id of a track, as the catalogue or Spotify has it."""

    track_id: str = Field(max_length=200)


class CountBody(BaseModel):
    """Which tracks to count."""

    model_config = ConfigDict(extra="forbid")
    filters: Filters = Field(default_factory=Filters)


class Tracks(BaseModel):
    """Tracks that begin as was typed, the best known first."""

    tracks: list[Track]


class Count(BaseModel):
    """How many tracks pass."""

    count: int
    of: int = Field(description="Tracks in the catalogue.")


@catalogue.get(
    "",
    summary="Type-ahead",
    tags=[TAG],
    responses={200: Tracks, **problems()},
)
def typed(query: TypedParameters) -> Response:
    """Return the tracks whose title or artist begins with what was typed so far, the best known first.

    Where there are few, then those that begin nearly so, or are written nearly like it. A song is there once.
    """
    return ask(keys.COMPLETE, query.model_dump())


@catalogue.get(
    "/<track_id>",
    summary="One track",
    tags=[TAG],
    responses={200: TrackDetail, **problems(404)},
)
def track(path: TrackPath) -> Response:
    """Return a track of the catalogue, with its audio features and how they compare with those of all tracks."""
    return ask(keys.TRACK, path.model_dump())


@catalogue.post(
    "/count",
    summary="Count the tracks that pass filters",
    tags=[TAG],
    responses={200: Count, **problems(body=True)},
)
def count(body: CountBody) -> Response:
    """Return how many tracks pass."""
    return wrong_filters(body.filters) or ask(keys.COUNT, {"filters": body.filters.model_dump(exclude_none=True)})


def ask(function: str, payload: dict[str, Any]) -> Response:
    """Have a worker answer, and wait for it."""
    job_id = asked_before()
    if job_id is None:
        if nobody_works():
            return problem("no-workers", "no worker is alive to answer")
        work = Work(function, payload, deadline_s=_ANSWER_S, result_ttl_s=_KEPT_S, failure_ttl_s=_KEPT_S)
        limit = current_app.config[QUEUE_LIMIT]
        job_id, _ = queue.submit(connection(), work, limit=limit, rate=rate_of(caller()))
        return ask_again(_nobody(), job_id, _ANSWER_S)
    answer = results.get_answer(connection(), job_id)
    if answer is None:
        return ask_again(_nobody(), job_id, _ANSWER_S)
    if "error" in answer:
        error = answer["error"]
        if error["code"] == "deadline-exceeded":
            return _nobody()
        errors = [{"pointer": error["pointer"], "detail": error["detail"]}] if error["pointer"] else []
        return problem(error["code"], error["detail"], errors)
    return jsonify(answer["ok"])


def _nobody() -> Response:
    return problem("no-workers", f"no worker answered within {_ANSWER_S:g} s")
