"""The calls, each written once: what it sends and how it goes on from the answer."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any, TypeVar, Unpack, cast
from uuid import uuid4

import httpx2

from .asking import GOES_ON, MOST_WAIT_S, Lines, id_of, loaded, parsed, post
from .errors import JobCanceled, JobFailed, NotFinished, Unavailable, of_problem, retry_after_s
from .shapes import (
    Batch,
    Filters,
    GenreList,
    Item,
    Job,
    Line,
    ModelInfo,
    Options,
    PopularList,
    Result,
    Seed,
    Seeds,
    Track,
    Webhook,
)
from .steps import Awaiting, Blocking, Emit, Feed, Many, One, Send, Steps
from .webhook_calls import WebhookCalls

SUBMIT_WAIT_S = 10
"""How long `recommend` lets the service hold its first answer."""

QUIET_S = 600.0
"""How long a batch may show nothing new."""

_SPOTIFY = ("spotify:track:", "https://open.spotify.com/")

T = TypeVar("T")


class Calls(WebhookCalls):
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
        until = monotonic() + timeout_s
        hold_s = int(min(SUBMIT_WAIT_S, timeout_s))
        query, prefer = _query(seeds, options), {"Prefer": f"wait={hold_s}"}
        job = yield from self._submit(Job, "/v1/recommendations", query, idempotency_key, hold_s, prefer, until)
        job = yield from self._until_over(job, f"/v1/jobs/{id_of(job)}", until)
        if job["status"] == "succeeded" and job["result"] is not None:
            return job["result"]
        if job["status"] == "canceled":
            raise JobCanceled(f"job {job['id']} was canceled", code="job-canceled", body=job)
        why = job["error"] or {"code": "job-failed", "detail": f"job {job['id']} failed"}
        raise JobFailed(why["detail"], code=why["code"], body=job)

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
        query = _query(seeds, options) | ({"webhook": webhook} if webhook else {})
        return self._submit(Job, "/v1/recommendations", query, idempotency_key)

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
    def result(self, job: Job | str) -> Steps[Result]:
        """Return the result of a job that is over. Raises: NotFinished, JobFailed, JobCanceled, Expired."""
        return parsed(Result, (yield from self._result(job, "application/json")))

    @One
    def result_as(self, job: Job | str, accept: str) -> Steps[bytes]:
        """Return the same in another form, as it comes. accept: a media type, application/msgpack for one."""
        return (yield from self._result(job, accept)).content

    @One
    def popular(self, genre: str | None = None, *, limit: int = 20) -> Steps[PopularList]:
        """Return the most popular tracks, of a genre or of all. limit: 1–50. Waits for no worker."""
        return self._get(PopularList, "/v1/popular", genre=genre, limit=limit)

    @One
    def genres(self) -> Steps[GenreList]:
        """Return the genres that the model knows."""
        return self._get(GenreList, "/v1/genres")

    @One
    def model(self) -> Steps[ModelInfo]:
        """Return what the model in service holds."""
        return self._get(ModelInfo, "/v1/model")

    @One
    def tracks(self, q: str, *, limit: int = 10) -> Steps[list[Track]]:
        """Return tracks that somebody who has typed `q` may mean, the likeliest first."""
        found: dict[str, list[Track]] = yield from self._get(dict, "/v1/tracks", q=q, limit=limit)
        return found["tracks"]

    @One
    def track(self, track_id: str) -> Steps[Track]:
        """Return a track of the catalogue."""
        return self._get(Track, f"/v1/tracks/{id_of(track_id)}")

    @One
    def count(self, filters: Filters) -> Steps[int]:
        """Return how many tracks of the catalogue pass."""
        found: dict[str, int] = yield from self._read(dict, post("/v1/tracks/count", {"filters": filters}))
        return found["count"]

    @One
    def batch(
        self,
        items: Iterable[Item],
        *,
        metadata: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        webhook: Webhook | None = None,
    ) -> Steps[Batch]:
        """Ask for many things at once, 10,000 at most, and do not wait. → the batch. Raises: SegueError.

        webhook: where to tell of its end.
        """
        body = {
            "items": [{**item, "seeds": _seeds(item["seeds"])} for item in items],
            "metadata": metadata or {},
            **({"webhook": webhook} if webhook else {}),
        }
        return self._submit(Batch, "/v1/batches", body, idempotency_key, MOST_WAIT_S)

    @One
    def batch_status(self, batch: Batch | str, *, wait_s: float = 0) -> Steps[Batch]:
        """Return how a batch stands. wait_s: let the service hold the answer until it is over, 0–20 seconds."""
        return self._get(Batch, f"/v1/batches/{id_of(batch)}", wait_s)

    @One
    def cancel_batch(self, batch: Batch | str) -> Steps[Batch]:
        """Cancel what still waits of a batch. → the batch."""
        return self._read(Batch, post(f"/v1/batches/{id_of(batch)}/cancel", {}))

    @Many
    def batch_results(self, batch: Batch | str, *, after: int | None = None, timeout_s: float = QUIET_S) -> Feed[Line]:
        """Yield what became of each item, in the order of the items, as soon as it is known, until the batch is over.

        A download that breaks goes on where it was. after: the index of the last line that you have, to go on in
        another process. timeout_s: how long to wait for another line. Raises: SegueError; NotFinished.
        """
        path = f"/v1/batches/{id_of(batch)}"
        until, wait_s, broken, over = monotonic() + timeout_s, 1, 0, False
        while True:
            response = yield from self._ask(_stream(f"{path}/results", "application/jsonl", after=after))
            lines, due = Lines(), int(response.headers.get("Segue-Lines", 0))
            try:
                while (text := (yield from lines.next())) is not None:
                    line = loaded(Line, text, response)
                    after, until, wait_s, broken = line["index"], monotonic() + timeout_s, 1, 0
                    due -= 1
                    yield Emit(line)
                if due > 0:
                    raise Unavailable("the answer ended before its last line", code="no-answer")
            except Unavailable as error:
                broken = yield from self._again(error, broken)
                continue
            if over or response.headers.get("Segue-Complete") == "true":
                return
            _in_time(until, batch)
            now = yield from self._poll(Batch, path, monotonic() + wait_s)
            over = now["status"] not in GOES_ON  # what is read from here on is all that there will be
            wait_s = min(2 * wait_s, MOST_WAIT_S)

    @Many
    def events(self, batch: Batch | str, *, timeout_s: float = QUIET_S) -> Feed[Batch]:
        """Yield a batch whenever it has got on, the last time when it is over. Connects again when that breaks.

        timeout_s: how long to wait for another event. Raises: SegueError; NotFinished.
        """
        until, broken = monotonic() + timeout_s, 0
        while True:
            response = yield from self._ask(_stream(f"/v1/batches/{id_of(batch)}/events", "text/event-stream"))
            lines, event = Lines(), b""
            try:
                while (line := (yield from lines.next())) is not None:
                    name, _, value = line.partition(b":")
                    if name == b"event":
                        event = value.strip()
                    elif name == b"data":  # the service writes the data of an event in one line, after its name
                        now = loaded(Batch, value, response)
                        if "code" in now:
                            raise of_problem(now, response, cast(Any, now).get("status"))
                        until, broken = monotonic() + timeout_s, 0
                        yield Emit(now)
                        if event == b"end":
                            return
                    _in_time(until, batch)
                raise Unavailable("the events ended before the batch did", code="no-answer")
            except Unavailable as error:
                broken = yield from self._again(error, broken)

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

    def _result(self, job: Job | str, accept: str) -> Steps[httpx2.Response]:
        response = yield from self._ask(Send("GET", f"/v1/jobs/{id_of(job)}/result", headers={"Accept": accept}))
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


def _query(seeds: Seeds, options: Options) -> dict[str, Any]:
    return {"seeds": _seeds(seeds), **options}


def _seeds(seeds: Seeds) -> list[Seed]:
    several = [seeds] if isinstance(seeds, (str, Mapping)) else seeds
    return [_seed(seed) for seed in several]


def _seed(seed: str | Seed) -> Seed:
    if not isinstance(seed, str):
        return seed
    return {"track_id": seed} if seed.startswith(_SPOTIFY) else {"name": seed}


def _stream(path: str, accept: str, **params: object) -> Send:
    """Return a request whose answer is read as it comes. The service is never silent for longer than a poll."""
    given = {name: value for name, value in params.items() if value is not None}
    return Send("GET", path, given, {"Accept": accept}, hold_s=MOST_WAIT_S, stream=True)


def _in_time(until: float, batch: Batch | str) -> None:
    """Raise NotFinished if it is later than `until`."""
    if monotonic() > until:
        raise NotFinished(f"nothing new of batch {id_of(batch)} for too long", code="not-finished")


class Client(Blocking, Calls):
    """Segue's client. Threads may share it; close it, or use it with `with`."""


class AsyncClient(Awaiting, Calls):
    """The same for asyncio, its calls awaited. Tasks may share it; close it, or use it with `async with`."""
