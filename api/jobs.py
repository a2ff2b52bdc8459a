"""Requests for recommendations, and what becomes of all jobs."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from api import formats
from api.contract import problems
from api.errors import problem
from api.formats import ResultParameters
from api.service import Parameters, connection, nobody_works, shown
from api.submitting import SubmitHeaders, submit
from api.waiting import MOST_S, followed, not_over
from api.webhook_shapes import Submission
from producer import keys, queue, results
from producer.jobs import Job, Status

jobs = APIBlueprint("jobs", __name__, url_prefix="/v1")
_TAG = Tag(name="Recommendations", description="Ask for songs like songs.")
_JOBS = Tag(name="Jobs", description="What became of what was asked.")
_ID_LENGTH = 36
"""Of a UUID."""


class JobPath(Parameters):
    """The id of a job."""

    job_id: str = Field(max_length=100)

    @property
    def known(self) -> str:
        """It, if it may be one. A part of a batch is a job as well, but none of the contract's. Raises: NotFound."""
        if len(self.job_id) != _ID_LENGTH:
            raise results.missing(self.job_id, keys.RESULT_TTL_S)
        return self.job_id


class WaitParameters(Parameters):
    """Whether to wait."""

    wait: float = Field(0, ge=0, le=MOST_S, description="Seconds to wait until it is over, at most.")


@jobs.post(
    "/recommendations",
    summary="Ask for recommendations",
    tags=[_TAG],
    responses={200: Job, 202: Job, **problems(body=True)},
)
def recommend(header: SubmitHeaders, body: Submission) -> Response:
    """Queue a request. 202 with the job; `Location` says where to ask for its result. 200 if it is over already."""
    return submit(queue.recommend, header, body)


@jobs.get(
    "/jobs/<job_id>",
    summary="Ask what became of a job",
    tags=[_JOBS],
    responses={200: Job, **problems(404, 410)},
)
def job(path: JobPath, query: WaitParameters) -> Response:
    """Return the job, with its result once it is there; 200 whatever its status. `wait` holds the answer until then."""
    found = results.get_job(connection(), path.known)
    if found.status is Status.QUEUED and nobody_works():
        found = found.model_copy(update={"warnings": ["no worker is alive: this job waits for one, or its deadline"]})
    response = shown(found)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    if not found.status.is_final:
        not_over(response, found.id, query.wait)
    return response


@jobs.get(
    "/jobs/<job_id>/result",
    summary="Fetch the result alone",
    tags=[_JOBS],
    responses={
        200: {"description": "The result, in the form that was asked for", "content": formats.CONTENT},
        202: Job,
        **problems(404, 406, 409, 410),
    },
)
def result(path: JobPath, query: ResultParameters) -> Response:
    """Return the result, as JSON or in the form that `Accept` or `format` names; 202 with the job until it is there.

    Recommendations and playlists also come as files for players and services, a diagnosis as JSON or msgpack only.
    """
    found = results.get_job(connection(), path.known)
    form = formats.wanted(found.type, query.format)
    if form is None:
        kinds = ", ".join(formats.possible(found.type).values())
        return problem("not-acceptable", f"a {found.type} comes as {kinds}")
    if not found.status.is_final:
        response = shown(found)
        response.status_code = HTTPStatus.ACCEPTED
        return not_over(response, found.id, query.wait)
    if found.status is Status.CANCELED:
        return problem("job-canceled", "this job was canceled; there is no result")
    if found.error is not None:
        return problem("job-failed", found.error.detail)
    response = formats.written(form, found, query.title)
    response.headers["Vary"] = "Accept"
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@jobs.get(
    "/jobs/<job_id>/events",
    summary="Follow a job",
    tags=[_JOBS],
    responses={
        200: {"description": "Server-sent events: progress, end", "content": {"text/event-stream": {}}},
        **problems(404, 410),
    },
)
def events(path: JobPath) -> Response:
    """Send the job each time that it has got on, until it is over; at last with its result."""
    return followed(results.get_job(connection(), path.known))


@jobs.delete(
    "/jobs/<job_id>",
    summary="Cancel a job",
    tags=[_JOBS],
    responses={200: Job, **problems(404, 408, 410, 413)},
)
def cancel(path: JobPath) -> Response:
    """Cancel a job that is not over: it leaves the queue, or its result is discarded. Again, it changes nothing."""
    queue.cancel(connection(), path.known)
    return shown(results.get_job(connection(), path.known))
