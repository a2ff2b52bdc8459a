"""How to come to an answer: try again, poll, read on. Steps only; nothing here knows what is asked.

Nearly whatever is sent may be sent twice without harm: it reads, or does what can be done twice, or carries an
idempotency key. So it is sent again when no answer comes, and on 429, 502, 503 and 504; but for what says `once`.
"""

from __future__ import annotations

import json
import math
import random
from collections import deque
from collections.abc import Mapping
from itertools import count
from time import monotonic
from typing import TypeVar, cast
from urllib.parse import quote

import httpx2

from .errors import NotFinished, ServiceError, Unavailable, of_answer, of_silence, retry_after_s
from .job_shapes import Batch, Delivery, Endpoint, Job
from .steps import More, Pause, Send, Steps

MOST_WAIT_S = 20
"""How long the service holds an answer at most."""

FIRST_PAUSE_S, MOST_PAUSE_S = 0.2, 5.0
"""Between attempts: the first, doubled each time up to the most; less up to half of it by chance."""

GOES_ON = ("queued", "running")

Identified = Job | Batch | Endpoint | Delivery
T = TypeVar("T")
Over = TypeVar("Over", Job, Batch)


def pause_s(tried: int, told_s: float | None) -> float:
    """Return how long to wait after `tried` attempts in vain. told_s: what Retry-After says; never less than that.

    Chance keeps those who failed together from coming back together.
    """
    chance = random.random()  # noqa: S311 - it guards nothing
    if told_s:
        return told_s * (1 + chance / 4)
    return min(MOST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tried - 1, 10)) * (1 - chance / 2)


class Asking:
    """Asks until there is an answer.

    attempts: how often each thing is sent at most; retry_s: the time within which the last attempt begins.
    """

    _attempts: int
    _retry_s: float

    def _ask(self, send: Send, until: float = math.inf) -> Steps[httpx2.Response]:
        """Send until it is answered well. until: no attempt but the first begins later. Raises: SegueError."""
        until = min(until, monotonic() + self._retry_s)
        for tried in count(1):
            answer = yield send
            if isinstance(answer, httpx2.Response) and answer.is_success:
                return answer
            error = of_answer(answer) if isinstance(answer, httpx2.Response) else of_silence(answer)
            pause = pause_s(tried, error.retry_after_s)
            if send.once or not error.retryable or tried >= self._attempts or monotonic() + pause > until:
                raise error
            yield Pause(pause)
        raise AssertionError

    def _read(self, shape: type[T], send: Send, until: float = math.inf) -> Steps[T]:
        """Send until it is answered well. → the answer's JSON. Raises: SegueError."""
        return parsed(shape, (yield from self._ask(send, until)))

    def _get(self, shape: type[T], path: str, wait_s: float = 0, **params: object) -> Steps[T]:
        given = {name: value for name, value in ({"wait": wait_s or None} | params).items() if value is not None}
        return self._read(shape, Send("GET", path, given, hold_s=wait_s))

    def _poll(self, shape: type[Over], path: str, until: float) -> Steps[Over]:
        """Ask for a job or batch; the service holds the answer until it is over, or `until`. Raises: SegueError."""
        wait_s = math.ceil(max(0, min(MOST_WAIT_S, until - monotonic())))
        began = monotonic()
        response = yield from self._ask(Send("GET", path, {"wait": wait_s}, hold_s=wait_s), until)
        found = parsed(shape, response)
        if found["status"] in GOES_ON and monotonic() - began < max(1, wait_s) / 2:
            # It did not hold the answer, having too many to hold: do not run in a circle.
            yield Pause(max(0, min(pause_s(1, retry_after_s(response) or 1), until - monotonic())))
        return found

    def _until_over(self, job: Job, path: str, until: float) -> Steps[Job]:
        """Poll until a job is over. Raises: SegueError; NotFinished."""
        while job["status"] in GOES_ON:
            if monotonic() >= until:
                raise NotFinished(f"job {job['id']} is still {job['status']}", code="not-finished", body=job)
            job = yield from self._poll(Job, path, until)
        return job

    def _again(self, broken: Unavailable, times: int) -> Steps[int]:
        """Wait before a broken download goes on. times: how often it broke since something came. → the same, now.

        Raises: `broken`, when that was too often.
        """
        if times + 1 >= self._attempts:
            raise broken
        yield Pause(pause_s(times + 1, None))
        return times + 1


class Lines:
    """The lines of a body that arrives in pieces. Only a line that has its end is one."""

    def __init__(self) -> None:
        self._ready: deque[bytes] = deque()
        self._rest = b""

    def next(self) -> Steps[bytes | None]:
        """Return the next line without its end, None after the last. Raises: Unavailable if the body breaks off."""
        while not self._ready:
            piece = yield More()
            if isinstance(piece, httpx2.RequestError):
                raise of_silence(piece)
            if piece is None:
                if self._rest:
                    raise Unavailable("the answer ended within a line", code="no-answer")
                return None
            *whole, self._rest = (self._rest + piece).split(b"\n")
            self._ready.extend(whole)
        return self._ready.popleft()


def id_of(thing: Identified | str) -> str:
    """Return an id as it stands in a path."""
    return quote(thing if isinstance(thing, str) else thing["id"], safe="")


def post(
    path: str,
    body: object,
    headers: Mapping[str, str] | None = None,
    hold_s: float = 0,
    *,
    method: str = "POST",
    once: bool = False,
) -> Send:
    """Return a request with JSON in its body."""
    content = json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    headers = {"Content-Type": "application/json", **(headers or {})}
    return Send(method, path, headers=headers, content=content, hold_s=hold_s, once=once)


def parsed(shape: type[T], response: httpx2.Response) -> T:
    """Return the JSON of an answer. Raises: ServiceError if it is none."""
    return loaded(shape, response.content, response)


def loaded(_shape: type[T], text: bytes, response: httpx2.Response) -> T:
    """Return JSON that is part of an answer; that it has the shape is taken on trust. Raises: ServiceError."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        detail = f"{response.request.url} answers what is no object of JSON; is it Segue?"
        raise ServiceError(detail, status=response.status_code, request_id=response.headers.get("X-Request-Id"))
    return cast(T, found)
