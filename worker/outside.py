"""Ask a service outside for something, whatever that service or Redis does: cache, gate, budget, verdict.

A look-up ends in an `Answer`, never in an exception for what the world outside did.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import redis

from producer import codec, keys
from producer.errors import BadMessage
from producer.walled_http import OutsideError, Refused, Session, TooSlow
from worker.breaker import Closed, Gate, Limits

log = logging.getLogger("segue.worker")

Outcome = Literal["found", "no_match", "skipped", "failed"]
"""found and no_match: the service said so, now or lately; skipped: not asked; failed: asked, or tried to, in vain."""

_AT_ONCE = 4
"""Look-ups of one process that may be under way; those given up on end by themselves, mostly at once."""

_COUNTED = None


@dataclass(frozen=True)
class Answer:
    """How a look-up ended. value: msgpack's types, None unless found; cached: from Redis; ms: it took."""

    outcome: Outcome
    reason: str
    value: Any = None
    cached: bool = False
    ms: float = 0.0


@dataclass(frozen=True)
class Call:
    """One look-up's right to call. deadline: `time.monotonic` at which it has to end."""

    deadline: float
    caller: str
    gate: Gate

    def permit(self) -> bool:
        """Take a token, for each HTTP call one. → whether this is a probe. Raises: Closed, redis.RedisError."""
        return self.gate.enter(self.caller)


class Service:
    """One service outside, as this process sees it."""

    def __init__(
        self,
        name: str,
        connection: redis.Redis,
        *,
        budget_s: float,
        limits: Limits,
        hit_ttl_s: int,
        miss_ttl_s: int,
    ) -> None:
        """name: of the breaker and the bucket. budget_s: seconds that a look-up may take, all in all.

        hit_ttl_s, miss_ttl_s: how long Redis keeps what was found, and that nothing was.
        """
        self.session = Session()
        self._connection, self._budget_s, self._ttl_s = connection, budget_s, (hit_ttl_s, miss_ttl_s)
        self._gate = Gate(connection, name, limits, probe_s=budget_s + 1)
        self._slots = threading.BoundedSemaphore(_AT_ONCE)

    def look_up(self, key: str, ask: Callable[[Call], Any], budget_s: float | None = None) -> Answer:
        """Return what Redis keeps under `key`, else what `ask` returns.

        ask: makes the calls, through `session`, and returns msgpack's types or None for no match; runs in another
        thread; may raise OutsideError, Closed, redis.RedisError. budget_s: seconds, where there are fewer left than
        the service's own.
        """
        started = time.perf_counter()
        budget_s = self._budget_s if budget_s is None else min(budget_s, self._budget_s)
        if budget_s <= 0:
            return Answer("skipped", "no time left")
        answer = self._within(budget_s, lambda deadline: self._look_up(key, ask, deadline, budget_s))
        return replace(answer, ms=round((time.perf_counter() - started) * 1000, 2))

    def close(self) -> None:
        """Close the connections."""
        self.session.close()

    def _within(self, budget_s: float, work: Callable[[float], Answer]) -> Answer:
        """Do `work` in a thread and wait for it, but no longer than `budget_s`.

        Neither looking up a host's name nor trying its addresses one by one can be bounded from within.
        """
        if not self._slots.acquire(blocking=False):
            return Answer("skipped", f"{_AT_ONCE} look-ups hang already")
        # What the thread can bound itself it ends a little earlier, so that it can still say how it went.
        deadline = time.monotonic() + budget_s - min(0.1, budget_s / 10)
        future: Future[Answer] = Future()

        def run() -> None:
            try:
                future.set_result(work(deadline))
            except Exception as error:  # noqa: BLE001 — handed to whoever waits, who raises it
                future.set_exception(error)
            finally:
                self._slots.release()

        threading.Thread(target=run, name="outside", daemon=True).start()
        try:
            return future.result(budget_s)
        except TimeoutError:
            return Answer("failed", f"timed out after {budget_s:g} s")

    def _look_up(self, key: str, ask: Callable[[Call], Any], deadline: float, budget_s: float) -> Answer:
        call = Call(deadline, uuid.uuid4().hex, self._gate)
        try:
            if kept := self._kept(key):
                return kept
            probe = call.permit()
            with self.session.until(deadline):
                value = ask(call)
        except Closed as closed:
            return Answer("skipped", str(closed))
        except OutsideError as error:
            reason, open_s = _verdict(error, budget_s)
            # A caller who had less time than a look-up takes proves nothing about the service.
            if not (isinstance(error, TooSlow) and budget_s < self._budget_s):
                with self._best_effort():
                    self._report(reason, open_s)
            return Answer("failed", reason)
        except redis.RedisError as error:
            return Answer("failed", f"Redis failed ({type(error).__name__})")
        with self._best_effort():
            self._connection.set(key, codec.pack({"value": value}), ex=self._ttl_s[value is None])
            if probe:
                self._gate.succeeded()
        return _answer(value)

    def _kept(self, key: str) -> Answer | None:
        packed = self._connection.get(key)
        try:
            return replace(_answer(codec.unpack(packed)["value"]), cached=True) if isinstance(packed, bytes) else None
        except BadMessage:
            return None  # not ours; it will be written over

    def _report(self, reason: str, open_s: float | None) -> None:
        if open_s is _COUNTED:
            self._gate.failed(reason)
        elif open_s:
            self._gate.open(reason, open_s)
        else:
            self._gate.succeeded()

    @contextmanager
    def _best_effort(self) -> Iterator[None]:
        """Go on if Redis fails: there is an answer already."""
        try:
            yield
        except redis.RedisError as error:
            log.warning("could not be noted: Redis failed (%s)", type(error).__name__)


def _answer(value: Any) -> Answer:
    return Answer("no_match", "not known there") if value is None else Answer("found", "", value)


def _verdict(error: OutsideError, budget_s: float) -> tuple[str, float | None]:
    """Return what to say of an error, and for how many seconds nobody shall ask again.

    _COUNTED: the breaker counts it among its failures. 0: the request's own fault, the service is well.
    """
    if isinstance(error, TooSlow):
        return f"timed out after {budget_s:g} s", _COUNTED
    if not isinstance(error, Refused):
        return str(error), _COUNTED
    match error.status:
        case 429 if "QUOTA_EXCEEDED" in error.body:
            wait_s = max(error.retry_after_s, keys.QUOTA_OPEN_S)
            return f"QUOTA_EXCEEDED: the account's quota is used up, not asked for {wait_s:.0f} s", wait_s
        case 429:
            return f"rate limited for {error.retry_after_s:.0f} s", error.retry_after_s
        case 401:
            return "401: credentials refused", keys.REFUSED_OPEN_S
        case 403 if "premium" in error.body.casefold():
            return "403: the app's owner needs Premium", keys.PREMIUM_OPEN_S
        case 403:
            return "403: refused", keys.REFUSED_OPEN_S
        case status if status >= 500 or status == 404 or status < 400:
            return f"{status}: {'no such address' if status == 404 else 'the service is unwell'}", _COUNTED
        case status:
            return f"{status}: request refused", 0.0
