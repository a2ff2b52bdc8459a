"""How often a caller may ask.

Submissions are counted in Redis, in the step that queues them, for all API processes together. Requests of any kind are
counted at ten times that rate, by each process for itself, which costs nothing.

The headers are those of draft-ietf-httpapi-ratelimit-headers: `RateLimit-Policy` says the quota `q` of `w` seconds,
`RateLimit` what remains of it, `r`, and in how many seconds all of it is there again, `t`.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from flask import Flask, Response, request

from api.auth import Caller, caller
from api.errors import problem
from producer import queue

REQUESTS_PER_SUBMISSION = 10
"""A job is submitted, looked at some times, and a page shows popular tracks beside it."""

_MOST_CALLERS = 10_000

_ENVIRON = "segue.rate"
"""In the WSGI environ, once a request was counted: the headers that its answer has, also when it is asked again."""


def rate_of(asking: Caller) -> queue.Rate | None:
    """Return what limits a caller's submissions; None: nothing does."""
    return queue.Rate(asking.id, asking.per_s, asking.burst) if asking.per_s else None


class Buckets:
    """A token bucket for each of the callers that asked last; one that is not there is full."""

    def __init__(self, most: int = _MOST_CALLERS, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = Lock()
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, per_s: float, burst: int) -> tuple[bool, float]:
        """Take a token of `name`'s if there is one. → whether there was, and how many are left."""
        with self._lock:
            now = self._clock()
            tokens, at = self._held.pop(name, (float(burst), now))
            tokens = min(burst, tokens + (now - at) * per_s)
            taken = tokens >= 1
            self._held[name] = (tokens - taken, now)
            if len(self._held) > self._most:
                self._held.popitem(last=False)
            return taken, tokens - taken


def register(app: Flask) -> None:
    """Count the requests of each caller of `app` that has a limit, answer 429 above it, and say how much is left."""
    buckets = Buckets()

    def count() -> Response | None:
        asking = caller()
        if not asking.per_s or _ENVIRON in request.environ:
            return None
        per_s, burst = asking.per_s * REQUESTS_PER_SUBMISSION, asking.burst * REQUESTS_PER_SUBMISSION
        taken, left = buckets.take(asking.id, per_s, burst)
        if request.method in ("GET", "HEAD") or not taken:
            request.environ[_ENVIRON] = _headers("requests", per_s, burst, left)
        else:
            request.environ[_ENVIRON] = _headers("default", asking.per_s, asking.burst)
        if taken:
            return None
        wait_s = (1 - left) / per_s
        return problem("rate-limited", f"too many requests; the next is taken in {wait_s:.1f} s", retry_after_s=wait_s)

    def say(response: Response) -> Response:
        said = request.environ.get(_ENVIRON)
        if said:
            if response.status_code == 429 and "RateLimit" not in said:  # refused by the step that queues
                said = _headers("default", caller().per_s, caller().burst, 0.0)
            response.headers.update(said)
        return response

    app.before_request(count)
    app.after_request(say)


def _headers(policy: str, per_s: float, burst: int, left: float | None = None) -> dict[str, str]:
    """Return the headers of a token bucket. left: tokens in it, None if that is not known."""
    window_s = max(1, math.ceil(burst / per_s))
    headers = {"RateLimit-Policy": f'"{policy}";q={max(burst, int(per_s * window_s))};w={window_s}'}
    if left is not None:
        headers["RateLimit"] = f'"{policy}";r={int(left)};t={math.ceil((burst - left) / per_s)}'
    return headers
