"""How things are submitted: under a key, so that it may be tried again; and waited for, where that is wanted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from time import monotonic
from typing import Any, TypeVar, cast
from uuid import uuid4

from .asking import Asking, id_of, post
from .errors import JobCanceled, JobFailed
from .job_shapes import Job
from .shapes import Seed, Seeds
from .steps import Steps

SUBMIT_WAIT_S = 10
"""How long a call that waits for its job lets the service hold its first answer."""

_SPOTIFY = ("spotify:track:", "https://open.spotify.com/")

T = TypeVar("T")


class Submitting(Asking):
    """Submits, once however often it has to be sent."""

    def _submit(
        self,
        shape: type[T],
        path: str,
        body: object,
        key: str | None,
        hold_s: float = 0,
        headers: Mapping[str, str] | None = None,
        until: float = math.inf,
    ) -> Steps[T]:
        headers = {"Idempotency-Key": key or str(uuid4()), **(headers or {})}
        return self._read(shape, post(path, body, headers, hold_s), until)

    def _answered(self, shape: type[T], path: str, body: object, key: str | None, timeout_s: float) -> Steps[T]:
        """Submit, and wait for the job. → its result. Raises: SegueError."""
        until = monotonic() + timeout_s
        hold_s = int(min(SUBMIT_WAIT_S, timeout_s))
        job = yield from self._submit(Job, path, body, key, hold_s, {"Prefer": f"wait={hold_s}"}, until)
        job = yield from self._until_over(job, f"/v1/jobs/{id_of(job)}", until)
        if job["status"] == "succeeded" and job["result"] is not None:
            return cast(T, job["result"])
        if job["status"] == "canceled":
            raise JobCanceled(f"job {job['id']} was canceled", code="job-canceled", body=job)
        why = job["error"] or {"code": "job-failed", "detail": f"job {job['id']} failed"}
        raise JobFailed(why["detail"], code=why["code"], body=job)


def songs(seeds: Seeds) -> list[Seed]:
    """Return one or several songs as the service takes them."""
    several = [seeds] if isinstance(seeds, (str, Mapping)) else seeds
    return [_song(seed) for seed in several]


def _song(seed: str | Seed) -> Seed:
    if not isinstance(seed, str):
        return seed
    return {"track_id": seed} if seed.startswith(_SPOTIFY) else {"name": seed}


def request(options: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return the body of a request; songs may be given in short wherever they stand, and what is None is left out."""
    body = {**options, **{name: value for name, value in more.items() if value is not None}}
    return body | {name: songs(body[name]) for name in ("seeds", "extend", "waypoints", "playlist") if name in body}
