"""Read what became of a job."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from rq.job import JobStatus

from producer import codec, keys, overdue
from producer.connections import translated
from producer.errors import BadMessage, Expired, NotFound
from producer.jobs import RESULTS, Job, JobError, Links, Progress, Status, type_of
from producer.scripts import READ

# RQ's words on the left never leak: what is not named here is somewhere on its way to a worker.
_STATUS = {
    JobStatus.STARTED: Status.RUNNING,
    JobStatus.FINISHED: Status.SUCCEEDED,
    JobStatus.FAILED: Status.FAILED,
    JobStatus.STOPPED: Status.CANCELED,
    JobStatus.CANCELED: Status.CANCELED,
}
# The traceback is the operator's, in RQ's FailedJobRegistry; a client can do nothing with it.
_FAILED: dict[str, Any] = {
    "error": {"code": "job-failed", "detail": "the worker could not answer this request; it was logged", "pointer": ""}
}
_FIELDS = ("status", "created_at", "started_at", "ended_at", "meta", "description", "progress")


def get_job(connection: redis.Redis, job_id: str) -> Job:
    """Return the job with its result, in one round trip; one past its deadline is answered with the fallback first.

    Raises: NotFound (no such id), Expired (there was one, its result is gone), Unavailable.
    """
    raw, packed, deadline = _read(connection, job_id)
    if deadline is not None and deadline < time.time() and overdue.answer(connection, [job_id]):
        raw, packed, _ = _read(connection, job_id)
    status, created_at, started_at, ended_at, meta, description, progress = raw
    if status is None:
        raise missing(job_id, keys.RESULT_TTL_S)
    state = _STATUS.get(JobStatus(status.decode()), Status.QUEUED)
    answer: dict[str, Any] = {}
    if state is Status.SUCCEEDED:
        if packed is None:
            raise missing(job_id, keys.RESULT_TTL_S)
        answer = codec.unpack(packed)
    elif state is Status.FAILED:
        answer = _FAILED
    ended = _time(ended_at) if state.is_final else None
    failed = state is Status.FAILED
    kind = type_of((description or b"").decode("utf-8", "replace"))
    return Job(
        id=job_id,
        type=kind,
        status=Status.FAILED if "error" in answer else state,
        created_at=_time(created_at) or "",
        started_at=_time(started_at),
        finished_at=ended,
        expires_at=later(ended, keys.FAILURE_TTL_S if failed else keys.RESULT_TTL_S) if ended else None,
        links=Links.of(job_id),
        metadata=_metadata(meta),
        progress=_progress(progress) if state is Status.RUNNING else None,
        result=RESULTS[kind].model_validate(answer["ok"]) if "ok" in answer else None,
        error=JobError.model_validate(answer["error"]) if "error" in answer else None,
    )


def get_answer(connection: redis.Redis, job_id: str) -> dict[str, Any] | None:
    """Return what a task answered, `{"ok"}` or `{"error"}`; None: it is not over.

    Raises: NotFound, Expired, Unavailable.
    """
    raw, packed, _ = _read(connection, job_id)
    if raw[0] is None:
        raise missing(job_id, keys.RESULT_TTL_S)
    if packed is not None:
        answer: dict[str, Any] = codec.unpack(packed)
        return answer
    return _FAILED if JobStatus(raw[0].decode()) in (JobStatus.FAILED, JobStatus.CANCELED, JobStatus.STOPPED) else None


def _read(connection: redis.Redis, job_id: str) -> tuple[list[bytes | None], bytes | None, float | None]:
    """Return a job's record, its answer, and its deadline (Unix seconds) if it is not over."""
    with translated():
        raw, packed, deadline = READ(connection, id=job_id, fields=_FIELDS)
    return raw, packed, None if deadline is None else float(deadline)


def missing(job_id: str, kept_s: int) -> NotFound | Expired:
    """Tell an id that has expired from one that was never given out, by the time in it. kept_s: how long it is kept."""
    try:
        parsed = uuid.UUID(job_id)
    except ValueError:
        return NotFound(f"nothing has the id {job_id[:64]!r}")
    age_s = time.time() - (parsed.int >> 80) / 1000
    if parsed.version == 7 and kept_s <= age_s < 10 * 365 * 86_400:
        return Expired("it was kept for a while after its end, and is gone; submit the request again")
    return NotFound(f"nothing has the id {job_id}")


def _metadata(meta: bytes | None) -> dict[str, str]:
    """Read the client's metadata from the record's `meta`; a job that others enqueued has none of ours."""
    try:
        return dict(codec.unpack(meta)["metadata"]) if meta else {}
    except (BadMessage, LookupError, TypeError, ValueError):
        return {}


def _progress(packed: bytes | None) -> Progress | None:
    """Read how far a job is; what another release has noted in other words is nothing to fail for."""
    try:
        return Progress.model_validate(codec.unpack(packed)) if packed else None
    except (BadMessage, ValueError):
        return None


def _time(raw: bytes | None) -> str | None:
    return raw.decode() if raw else None


def later(moment: str, seconds: int) -> str:
    """Return an ISO 8601 time, `seconds` on."""
    at = datetime.fromisoformat(moment).astimezone(UTC) + timedelta(seconds=seconds)
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"
