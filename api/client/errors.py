"""What can go wrong between you and an answer.

SegueError
├── InvalidRequest   the request is wrong; the same request will fail again
├── NotAllowed       the key is missing or unknown, or may not do this
├── NotFound         there is no such job, batch, track or genre
├── Expired          there was one; its result is no longer kept
├── RateLimited      more requests than this key may send
├── Unavailable      nobody answered, or the service cannot answer now
│   └── QueueFull    too many jobs wait
├── ServiceError     the service broke, or what answered is not Segue
├── JobFailed        the job is over, without a result
├── JobCanceled      somebody has canceled the job
└── NotFinished      the job goes on, and the time to wait for it is over

`RateLimited` and `Unavailable` are raised only after the client has tried again, as often as it was told to.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from time import time
from typing import Any, ClassVar, cast

import httpx2

from .job_shapes import FieldError, Job
from .playlist_shapes import Playlist
from .shapes import Result

MOST_DETAIL = 500


class SegueError(Exception):
    """Root of the client's errors.

    code: stable, the same as in the service's documentation, or of the client's own: `no-answer`, `bad-answer`,
    `not-finished`, `http-<status>`. status: of the HTTP answer, None if there was none. request_id: what the service's
    log calls the request. body: the whole problem, or the job that the error is about.
    """

    retryable: ClassVar[bool] = False
    """Whether the same request may do later."""

    def __init__(
        self,
        detail: str,
        *,
        code: str = "bad-answer",
        status: int | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.body: Mapping[str, Any] = body or {}

    def __str__(self) -> str:
        known = [self.code, *([f"request {self.request_id}"] if self.request_id else [])]
        return f"{self.detail} ({', '.join(known)})"


class InvalidRequest(SegueError):
    """The request is wrong; the same request will fail again."""

    @property
    def errors(self) -> list[FieldError]:
        """The wrong fields, a JSON pointer to each."""
        return list(self.body.get("errors", []))


class NotAllowed(SegueError):
    """The key is missing or unknown, or may not do this."""


class NotFound(SegueError):
    """There is no such job, batch, track or genre."""


class Expired(SegueError):
    """There was such a job or batch; its result is no longer kept."""


class RateLimited(SegueError):
    """More requests than this key may send. `retry_after_s` says when it may send again."""

    retryable = True


class Unavailable(SegueError):
    """Nobody answered, or the service cannot answer now."""

    retryable = True


class QueueFull(Unavailable):
    """Too many jobs wait."""

    @property
    def fallback(self) -> Result | Playlist | None:
        """Popular tracks to show meanwhile, `degraded`, if the service knows any."""
        return cast("Result | Playlist | None", self.body.get("fallback"))


class ServiceError(SegueError):
    """The service broke, or what answered is not Segue."""


class _OfJob(SegueError):
    @property
    def job(self) -> Job | None:
        """The job, where the answer had it."""
        return cast(Job, self.body) if "id" in self.body else None


class JobFailed(_OfJob):
    """The job is over, without a result; `code` says why."""


class JobCanceled(_OfJob):
    """Somebody has canceled the job."""


class NotFinished(_OfJob):
    """The job goes on; `wait` for it again, or `cancel` it."""


_OF_CODE: dict[str, type[SegueError]] = {
    "queue-full": QueueFull,
    "job-failed": JobFailed,
    "job-canceled": JobCanceled,
}
_OF_STATUS: dict[int, type[SegueError]] = {
    **dict.fromkeys((401, 403), NotAllowed),
    404: NotFound,
    410: Expired,
    429: RateLimited,
    **dict.fromkeys((502, 503, 504), Unavailable),
}


def of_answer(response: httpx2.Response) -> SegueError:
    """Return the error that an answer means: problem JSON of ours, or whatever else stands in for the service."""
    try:
        body = response.json()
    except (JSONDecodeError, UnicodeDecodeError):
        body = None
    return of_problem(body if isinstance(body, dict) else {"detail": _words(response)}, response)


def of_problem(body: Mapping[str, Any], response: httpx2.Response, status: int | None = None) -> SegueError:
    """Return the error that a problem (RFC 9457) means. status: its own, if it is not that of `response`."""
    status = status or response.status_code
    code = str(body.get("code", f"http-{status}"))
    kind = _OF_CODE.get(code) or _OF_STATUS.get(status) or (InvalidRequest if 400 <= status < 500 else ServiceError)
    return kind(
        str(body.get("detail", code)),
        code=code,
        status=status,
        request_id=response.headers.get("X-Request-Id"),
        retry_after_s=retry_after_s(response),
        body=body,
    )


def of_silence(error: httpx2.RequestError) -> Unavailable:
    """Return the error that no answer, or half of one, means."""
    return Unavailable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, code="no-answer")


def retry_after_s(response: httpx2.Response) -> float | None:
    """Return how long to wait before asking again, in seconds; None: the answer does not say."""
    said = response.headers.get("Retry-After", "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time())
    except ValueError:
        return None


def _words(response: httpx2.Response) -> str:
    """Return what an answer says that is no problem JSON: a proxy's page, say."""
    if location := response.headers.get("Location"):
        return f"{response.status_code}: moved to {location}; give that as base_url, if it is yours"
    return f"{response.status_code} {response.reason_phrase}: {response.text[:MOST_DETAIL].strip() or 'no body'}"
