"""The addresses that programs use."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

import redis
from flask import Response, current_app, jsonify, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, ConfigDict, Field
from werkzeug.exceptions import UnsupportedMediaType

from api.errors import problem
from producer import fallback, queue, results
from producer.errors import NotReady
from producer.schema import (
    MAX_POPULAR,
    Filters,
    Job,
    ModelInfo,
    PopularList,
    Query,
    Status,
    filters_beyond,
)

REDIS = "segue.redis"
"""Where the app keeps its Redis client, in `app.extensions`."""

QUEUE_LIMIT = "QUEUE_LIMIT"

routes = APIBlueprint("v1", __name__, url_prefix="/v1")
_RECOMMENDATIONS = Tag(name="Recommendations", description="Ask for songs like songs.")
_CATALOGUE = Tag(name="Catalogue", description="What the model holds.")


def connection() -> redis.Redis:
    """Return the app's Redis client."""
    return cast(redis.Redis, current_app.extensions[REDIS])


class Problem(BaseModel):
    """An error: RFC 9457 problem JSON."""

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; docs/reference/errors.md lists them.")
    errors: list[dict[str, str]] = Field(default_factory=list, description="For wrong fields: pointer and detail.")


_PROBLEMS: dict[int, Any] = {
    status: {"description": what, "content": {"application/problem+json": {"schema": Problem.model_json_schema()}}}
    for status, what in ((404, "no such thing"), (410, "expired"), (422, "wrong fields"), (503, "try again"))
}


class JobPath(BaseModel):
    """The id of a job."""

    job_id: str = Field(max_length=100)


class PopularParameters(BaseModel):
    """Which popular tracks."""

    model_config = ConfigDict(extra="forbid")
    genre: str | None = Field(None, min_length=1, max_length=200, description="All genres if left out.")
    limit: int = Field(20, ge=1, le=MAX_POPULAR)


def require_json() -> Response | None:
    """Refuse a POST whose body is not JSON, with 415 or 400, before its fields are looked at (422)."""
    if request.method != "POST" or request.endpoint is None:
        return None
    if not request.is_json:
        raise UnsupportedMediaType("send the body as application/json")
    try:
        body = request.get_data()
        current_app.json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        return problem("malformed-json", f"the body is no JSON: {error}")
    return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


@routes.post(
    "/recommendations",
    summary="Ask for recommendations",
    tags=[_RECOMMENDATIONS],
    responses={202: Job, **{s: _PROBLEMS[s] for s in (422, 503)}},
)
def recommend(body: Query) -> Response:
    """Queue a request. 202 with the job; `Location` says where to ask for its result."""
    if wrong := _wrong_filters(body):
        return wrong
    job = queue.submit(connection(), body, queue_limit=current_app.config[QUEUE_LIMIT])
    response = jsonify(job.model_dump())
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = job.links.self
    response.headers["Retry-After"] = "1"
    return response


def _wrong_filters(query: Query) -> Response | None:
    """Refuse filters on what the model in service does not have, now and not as a failed job later."""
    if query.filters == Filters():
        return None
    try:
        info = fallback.model_info(connection())
    except NotReady:
        return None  # the worker that loads one will say
    lacking = filters_beyond(query.filters, info.coverage, info.genres)
    if lacking:
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in lacking]
        return problem("invalid-request", errors[0]["detail"], errors)
    return None


@routes.get(
    "/jobs/<job_id>",
    summary="Ask what became of a job",
    tags=[_RECOMMENDATIONS],
    responses={200: Job, **{s: _PROBLEMS[s] for s in (404, 410, 503)}},
)
def job(path: JobPath) -> Response:
    """Return the job, with its result once it is there. 200 whatever its status."""
    found = results.get_job(connection(), path.job_id)
    if found.status is Status.QUEUED and fallback.live_workers(connection()) == 0:
        found = found.model_copy(update={"warnings": ["no worker is alive: this job waits for one"]})
    response = jsonify(found.model_dump())
    if not found.status.is_final:
        response.headers["Retry-After"] = "1"
    response.headers["Cache-Control"] = "no-store"
    return response


@routes.get(
    "/popular",
    summary="Popular tracks",
    tags=[_CATALOGUE],
    responses={200: PopularList, **{s: _PROBLEMS[s] for s in (404, 422, 503)}},
)
def popular(query: PopularParameters) -> Response:
    """Return precomputed popular tracks, of a genre or of all."""
    return jsonify(fallback.popular(connection(), query.genre, query.limit).model_dump())


@routes.get(
    "/model", summary="The model in service", tags=[_CATALOGUE], responses={200: ModelInfo, 503: _PROBLEMS[503]}
)
def model() -> Response:
    """Return what the model holds: its version, its size, its genres, which columns it knows."""
    return jsonify(fallback.model_info(connection()).model_dump())
