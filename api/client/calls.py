"""The calls, each written once: what it sends and how it goes on from the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from time import monotonic
from typing import Any, Unpack, cast

import httpx2

from .asking import id_of, parsed
from .batch_calls import BatchCalls
from .catalogue_calls import CatalogueCalls
from .errors import NotFinished, retry_after_s
from .job_shapes import Job, Webhook
from .playlist_calls import PlaylistCalls
from .playlist_shapes import Diagnosis, Playlist
from .shapes import Options, Result, Seeds
from .steps import Awaiting, Blocking, One, Send, Steps
from .submitting import request
from .webhook_calls import WebhookCalls

_RECOMMENDATIONS = "/v1/recommendations"


class Calls(BatchCalls, CatalogueCalls, PlaylistCalls, WebhookCalls):
    """What both clients can do, and how they are made.

    base_url: where the service is, such as http://127.0.0.1:8000, with a path in front if it has one. api_key: if it
    asks for one. timeout_s: how long to wait for a connection, and for each next byte. attempts: how often a request is
    sent at most; retry_s: within how long the last attempt begins. Raises: ValueError for a base_url that is none.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 10.0,
        attempts: int = 8,
        retry_s: float = 60.0,
    ) -> None:
        if not re.match(r"https?://[^/?#]+(/[^?#]*)?$", base_url):
            raise ValueError(f"base_url {base_url!r} is no address such as http://127.0.0.1:8000")
        self._attempts, self._retry_s = attempts, retry_s
        headers = {"User-Agent": "segue-client"} | ({"Authorization": f"Bearer {api_key}"} if api_key else {})
        self._connect(base_url, headers, timeout_s)

    def _connect(self, base_url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        raise NotImplementedError

    @One
    def recommend(
        self, seeds: Seeds, *, timeout_s: float = 60.0, idempotency_key: str | None = None, **options: Unpack[Options]
    ) -> Steps[Result]:
        """Ask for songs like `seeds`, and wait for the answer.

        seeds: one or several; each a song by its name with or without the artist's, by its Spotify URI or URL, or a
        `Seed`. timeout_s: how long to wait for the job, give or take an attempt; it goes on after that.
        idempotency_key: give your own to get the same job if you ask again after a crash. options: see `Options`.
        Raises: SegueError; of these NotFinished, JobFailed and JobCanceled have the `job`.
        """
        return self._answered(Result, _RECOMMENDATIONS, request(options, seeds=seeds), idempotency_key, timeout_s)

    @One
    def submit(
        self,
        seeds: Seeds,
        *,
        idempotency_key: str | None = None,
        webhook: Webhook | None = None,
        **options: Unpack[Options],
    ) -> Steps[Job]:
        """Ask as `recommend` does, and do not wait. webhook: where to tell of its end. → the job. Raises as that."""
        return self._submit(Job, _RECOMMENDATIONS, request(options, seeds=seeds, webhook=webhook), idempotency_key)

    @One
    def job(self, job: Job | str, *, wait_s: float = 0) -> Steps[Job]:
        """Return how a job stands. wait_s: let the service hold the answer until the job is over, 0–20 seconds."""
        return self._get(Job, f"/v1/jobs/{id_of(job)}", wait_s)

    @One
    def wait(self, job: Job | str, *, timeout_s: float = 60.0) -> Steps[Job]:
        """Wait until a job is over, well or not. → the job. Raises: NotFinished after `timeout_s`."""
        until, path = monotonic() + timeout_s, f"/v1/jobs/{id_of(job)}"
        now = (yield from self._poll(Job, path, until)) if isinstance(job, str) else job
        return (yield from self._until_over(now, path, until))

    @One
    def cancel(self, job: Job | str) -> Steps[Job]:
        """Cancel a job. → the job; one that was over is as it was."""
        return self._read(Job, Send("DELETE", f"/v1/jobs/{id_of(job)}"))

    @One
    def result(self, job: Job | str) -> Steps[Result | Playlist | Diagnosis]:
        """Return the result of a job that is over. Raises: NotFinished, JobFailed, JobCanceled, Expired."""
        found: Any = parsed(dict, (yield from self._result(job, "application/json")))
        return cast("Result | Playlist | Diagnosis", found)

    @One
    def result_as(self, job: Job | str, accept: str, *, title: str | None = None) -> Steps[bytes]:
        """Return the same in another form, as it comes.

        accept: a media type, application/msgpack or audio/x-mpegurl for two. title: of a playlist, where it has one.
        """
        return (yield from self._result(job, accept, title)).content

    def _result(self, job: Job | str, accept: str, title: str | None = None) -> Steps[httpx2.Response]:
        path, params = f"/v1/jobs/{id_of(job)}/result", {"title": title} if title else {}
        response = yield from self._ask(Send("GET", path, params, {"Accept": accept}))
        if response.status_code == httpx2.codes.ACCEPTED:
            now = parsed(Job, response)
            raise NotFinished(
                f"job {now['id']} is still {now['status']}",
                code="not-finished",
                status=response.status_code,
                request_id=response.headers.get("X-Request-Id"),
                retry_after_s=retry_after_s(response),
                body=now,
            )
        return response


class Client(Blocking, Calls):
    """Segue's client. Threads may share it; close it, or use it with `with`."""


class AsyncClient(Awaiting, Calls):
    """The same for asyncio, its calls awaited. Tasks may share it; close it, or use it with `async with`."""
