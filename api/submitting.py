"""What submissions have in common: how a request is sent, who refuses it, and what is answered at once."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from flask import Response, current_app
from pydantic import ConfigDict, Field

from api.auth import caller
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
from api.waiting import asked_before, not_over, preferred_s
from api.webhook_checks import wrong_webhook
from api.webhook_shapes import DoctorSubmission, PlaylistSubmission, Submission
from producer import results
from producer.errors import QueueFull, Unavailable
from producer.jobs import Job
from producer.webhooks import JOB_EVENTS

_NOBODY = "no worker is alive: this job waits for one, and {end} {seconds:g} s after submission"


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


def submit(
    queue_it: Callable[..., tuple[Job, bool]],
    header: SubmitHeaders,
    body: Submission | PlaylistSubmission | DoctorSubmission,
) -> Response:
    """Queue a request by one of `producer.queue`'s functions, once for all times that the front asks. → 202, or 200."""
    seconds = preferred_s()
    if job_id := asked_before():
        return _submitted(results.get_job(connection(), job_id), seconds)
    if not isinstance(body, DoctorSubmission) and (wrong := wrong_filters(body.filters)):
        return wrong
    try:
        if wrong := wrong_webhook(body.webhook, JOB_EVENTS, header.idempotency_key):
            return wrong
        job, new = queue_it(
            connection(),
            body,
            limit=current_app.config[QUEUE_LIMIT],
            idempotency_key=header.idempotency_key,
            caller=caller().id,
            rate=rate_of(caller()),
            webhook=body.webhook.webhook if body.webhook else None,
        )
    except (QueueFull, Unavailable) as error:
        more = {} if isinstance(body, DoctorSubmission) else {"fallback": instead(body, error)}
        return problem(error.code, str(error), retry_after_s=retry_after_s(error), more=more)
    if not new:
        job = results.get_job(connection(), job.id)
    elif nobody_works():
        end = "fails" if isinstance(body, DoctorSubmission) else "is answered with the fallback"
        job = job.model_copy(update={"warnings": [_NOBODY.format(end=end, seconds=body.deadline_s)]})
    response = _submitted(job, seconds)
    if not new:
        response.headers["Idempotency-Replayed"] = "true"
    return response


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
