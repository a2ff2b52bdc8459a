"""Waiting for a job, as the app sees it: it answers what is so far, and says that it may be asked again.

`api/front.py` takes the header off, waits, and asks again with JOB in the environ; the view must not submit then.
"""

from __future__ import annotations

import re

from flask import Response, request

from api.front import EVENTS, WAIT
from api.wsgi import JOB
from producer.jobs import Batch, Job

MOST_S = 20.0

_PREFER = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})\"?(?=$|[,;\s])", re.IGNORECASE)


def asked_before() -> str | None:
    """Return the id of the job that this very request has submitted already, None if this is the first time."""
    job_id: str | None = request.environ.get(JOB)
    return job_id


def preferred_s() -> float:
    """Return for how long the caller would wait, by `Prefer: wait=…` (RFC 7240), 0 … MOST_S seconds."""
    found = _PREFER.search(request.headers.get("Prefer", ""))
    return min(float(found[1]), MOST_S) if found else 0.0


def not_over(response: Response, job_id: str, seconds: float) -> Response:
    """Mark what shows a job or a batch that is not over: look again in a second, or be held for `seconds`."""
    response.headers["Retry-After"] = "1"
    return ask_again(response, job_id, seconds)


def ask_again(response: Response, job_id: str, seconds: float) -> Response:
    """Mark an answer that is not final: it may be asked for again when the job ends, within `seconds`."""
    if seconds > 0:
        response.headers[WAIT] = f"{job_id} {seconds:g}"
    return response


def followed(found: Job | Batch) -> Response:
    """Return a job or a batch as server-sent events: `api/front.py` goes on from the first."""
    response = Response(f"event: progress\ndata: {found.model_dump_json()}\n\n", content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers[EVENTS] = found.links.self
    return response
