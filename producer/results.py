"""Read what became of a job."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from rq.job import Job as RQJob
from rq.job import JobStatus

from producer import codec, keys
from producer.connections import translated
from producer.errors import BadMessage, Expired, NotFound
from producer.schema import Job, JobError, Links, Status

# RQ's words on the left never leak: what is not named here is somewhere on its way to a worker.
_STATUS = {
    JobStatus.STARTED: Status.RUNNING,
    JobStatus.FINISHED: Status.SUCCEEDED,
    JobStatus.FAILED: Status.FAILED,
    JobStatus.STOPPED: Status.CANCELED,
    JobStatus.CANCELED: Status.CANCELED,
}
_FIELDS = ("status", "created_at", "started_at", "ended_at", "meta")


def get_job(connection: redis.Redis, job_id: str) -> Job:
    """Return the job with its result, in one round trip.

    Raises: NotFound (no such id), Expired (there was one, its result is gone), Unavailable.
    """
    with translated(), connection.pipeline(transaction=True) as pipe:
        pipe.hmget(RQJob.key_for(job_id), *_FIELDS)
        pipe.get(keys.RESULT.format(job_id=job_id))
        raw, packed = pipe.execute()
    status, created_at, started_at, ended_at, meta = raw
    if status is None:
        raise _missing(job_id)
    state = _STATUS.get(JobStatus(status.decode()), Status.QUEUED)
    answer: dict[str, Any] = {}
    if state is Status.SUCCEEDED:
        if packed is None:
            raise _missing(job_id)
        answer = codec.unpack(packed)
    elif state is Status.FAILED:
        # The traceback is the operator's, in RQ's FailedJobRegistry; a client can do nothing with it.
        answer = {"error": {"code": "job-failed", "detail": "the worker could not answer this request; it was logged"}}
    ended = _time(ended_at) if state.is_final else None
    failed = state is Status.FAILED
    return Job(
        id=job_id,
        status=Status.FAILED if "error" in answer else state,
        created_at=_time(created_at) or "",
        started_at=_time(started_at),
        finished_at=ended,
        expires_at=_later(ended, keys.FAILURE_TTL_S if failed else keys.RESULT_TTL_S) if ended else None,
        links=Links(self=f"/v1/jobs/{job_id}"),
        metadata=_metadata(meta),
        result=answer.get("ok"),
        error=JobError.model_validate(answer["error"]) if "error" in answer else None,
    )


def _missing(job_id: str) -> NotFound | Expired:
    """Tell an id that has expired from one that was never given out, by the time in it."""
    try:
        parsed = uuid.UUID(job_id)
    except ValueError:
        return NotFound(f"no job has the id {job_id[:64]!r}")
    age_s = time.time() - (parsed.int >> 80) / 1000
    if parsed.version == 7 and keys.RESULT_TTL_S <= age_s < 10 * 365 * 86_400:
        return Expired(f"results are kept for {keys.RESULT_TTL_S // 60} minutes; submit the request again")
    return NotFound(f"no job has the id {job_id}")


def _metadata(meta: bytes | None) -> dict[str, str]:
    """Read the client's metadata from the record's `meta`; a job that others enqueued has none of ours."""
    try:
        return dict(codec.unpack(meta)["metadata"]) if meta else {}
    except (BadMessage, LookupError, TypeError, ValueError):
        return {}


def _time(raw: bytes | None) -> str | None:
    return raw.decode() if raw else None


def _later(moment: str, seconds: int) -> str:
    at = datetime.fromisoformat(moment).astimezone(UTC) + timedelta(seconds=seconds)
    return f"{at:%Y-%m-%dT%H:%M:%S.%f}Z"
