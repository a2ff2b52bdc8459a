"""Requests for recommendations, and what becomes of them."""

from __future__ import annotations

from http import HTTPStatus

import msgpack
from flask import Response, current_app, make_response, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import ConfigDict, Field

from api.auth import caller
from api.contract import problems
from api.errors import problem
from api.limits import rate_of
from api.service import (
    QUEUE_LIMIT,
    Parameters,
    connection,
    instead,
    nobody_works,
    retry_after_s,
    shown,
    wrong_filters,
)
from api.waiting import MOST_S, asked_before, not_over, preferred_s
from api.webhook_checks import wrong_webhook
from api.webhook_shapes import Submission
from producer import keys, queue, results
from producer.errors import QueueFull, Unavailable
from producer.jobs import Job, Status
from producer.schema import Result
from producer.webhooks import JOB_EVENTS

jobs = APIBlueprint("jobs", __name__, url_prefix="/v1")
_TAG = Tag(name="Recommendations", description="Ask for songs like songs.")
_ID_LENGTH = 36
"""Of a UUID."""

_KINDS = ("application/json", "application/msgpack")


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


class KeyHeader(Parameters):
    """How a request is told from another."""

    model_config = ConfigDict(extra="ignore")

    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern="^[!-~]([ -~]*[!-~])?$",
        description="1–200 visible characters of your choice. Sent again within a day with the same body it gives the "
        "same job, so a submission whose answer was lost can simply be repeated.",
    )


class SubmitHeaders(KeyHeader):
    """How a request is submitted."""

    prefer: str | None = Field(None, alias="Prefer", description="wait=n: answer 200 if it is done within n ≤ 20 s.")


@jobs.post(
    "/recommendations",
    summary="Ask for recommendations",
    tags=[_TAG],
    responses={200: Job, 202: Job, **problems(body=True)},
)
def recommend(header: SubmitHeaders, body: Submission) -> Response:
    """Queue a request. 202 with the job; `Location` says where to ask for its result. 200 if it is over already."""
    seconds = preferred_s()
    if job_id := asked_before():
        return _submitted(results.get_job(connection(), job_id), seconds)
    if wrong := wrong_filters(body.filters):
        return wrong
    try:
        if wrong := wrong_webhook(body.webhook, JOB_EVENTS, header.idempotency_key):
            return wrong
        job, new = queue.recommend(
            connection(),
            body,
            limit=current_app.config[QUEUE_LIMIT],
            idempotency_key=header.idempotency_key,
            caller=caller().id,
            rate=rate_of(caller()),
            webhook=body.webhook.webhook if body.webhook else None,
        )
    except (QueueFull, Unavailable) as error:
        return problem(
            error.code, str(error), retry_after_s=retry_after_s(error), more={"fallback": instead(body, error)}
        )
    if not new:
        job = results.get_job(connection(), job.id)
    elif nobody_works():
        job = job.model_copy(update={"warnings": [_NOBODY.format(seconds=body.deadline_s)]})
    response = _submitted(job, seconds)
    if not new:
        response.headers["Idempotency-Replayed"] = "true"
    return response


_NOBODY = "no worker is alive: this job waits for one, and is answered with the fallback {seconds:g} s after submission"


def _submitted(job: Job, seconds: float) -> Response:
    response = shown(job)
    response.headers["Location"] = job.links.self
    response.headers["Cache-Control"] = "no-store"
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds:g}"
    if job.status.is_final:
        return response
    response.status_code = HTTPStatus.ACCEPTED
    return not_over(response, job.id, seconds)


@jobs.get(
    "/jobs/<job_id>",
    summary="Ask what became of a job",
    tags=[_TAG],
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
    tags=[_TAG],
    responses={200: Result, 202: Job, **problems(404, 406, 409, 410)},
)
def result(path: JobPath, query: WaitParameters) -> Response:
    """Return the result as JSON or, by `Accept`, as msgpack; 202 with the job until it is there."""
    kind = request.accept_mimetypes.best_match(_KINDS) if request.accept_mimetypes else _KINDS[0]
    if kind is None:
        return problem("not-acceptable", "results come as application/json or application/msgpack")
    found = results.get_job(connection(), path.known)
    if not found.status.is_final:
        response = shown(found)
        response.status_code = HTTPStatus.ACCEPTED
        return not_over(response, found.id, query.wait)
    if found.status is Status.CANCELED:
        return problem("job-canceled", "this job was canceled; there is no result")
    if found.error is not None:
        return problem("job-failed", found.error.detail)
    assert found.result is not None, "a job that succeeded has a result"
    if kind == "application/json":
        response = shown(found.result)
    else:
        response = make_response(msgpack.packb(found.result.model_dump()))
    response.content_type = kind
    response.headers["Vary"] = "Accept"
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@jobs.delete(
    "/jobs/<job_id>",
    summary="Cancel a job",
    tags=[_TAG],
    responses={200: Job, **problems(404, 408, 410, 413)},
)
def cancel(path: JobPath) -> Response:
    """Cancel a job that is not over: it leaves the queue, or its result is discarded. Again, it changes nothing."""
    queue.cancel(connection(), path.known)
    return shown(results.get_job(connection(), path.known))
