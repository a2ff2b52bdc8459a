"""What stands between the HTTP server and the Flask app: whatever waits, waits here and holds no thread.

Bodies that arrive slowly, callers that wait for a job, readers that take their time and streams of events are all
served by one event loop a process (RSGI, granian's own interface); Flask runs in a few threads and never waits for a
client. The app says what to wait for in a header that is taken off here, see WAIT and EVENTS.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from api.hub import Hub
from api.wsgi import JOB, REFUSED, Answer, environ_of, get_of, run

log = logging.getLogger("segue.api")

WAIT = "Segue-Wait"
"""The app's answer is not final; `<job id> <seconds>`: ask again when that job ends, but answer within so long."""

EVENTS = "Segue-Events"
"""Stream, as server-sent events, what GET of this path answers, each time that it changes, until it is final."""

LAST = "segue.last"
"""In the environ, when the app is asked again for the last time: what it answers now is sent, final or not."""

MAX_BODY_BYTES = 1_000_000
MAX_BATCH_BYTES = 32_000_000
_ALL_BODIES_BYTES = 128_000_000
_BODY_S, _BATCH_BODY_S = 15.0, 120.0
_DRAIN_S = 5.0
_MOST_CALLS = 512
_MOST_WAITERS = 1000
_MOST_EVENTS_S = 600.0
_EVENTS_LOOK_S, _EVENTS_LEAST_S, _EVENTS_SILENCE_S = 0.5, 0.02, 10.0
_SEND_S = 60.0
_TEND_S = 1.0
_UNSURE_S = 0.1
_BUSY = json.dumps(
    {
        "type": "urn:segue:error:busy",
        "title": "Too many requests at once",
        "status": 503,
        "detail": "try again in a second",
        "code": "busy",
    }
).encode()
_FINAL = ("succeeded", "failed", "canceled")


class _Refused(Exception):
    """A body that is not taken."""


class _Gone(Exception):
    """The client has hung up before its request was whole."""


@dataclass
class _Body:
    """What has arrived of a body."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 0


class Front:
    """An RSGI application around a WSGI one.

    threads: how many requests the app works on at once; with those that wait for one, _MOST_CALLS. redis_url: where the
    ends of jobs are published. tend: called each second, in a thread, while anybody waits.
    """

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        redis_url: str,
        threads: int,
        tend: Callable[[], object] = lambda: None,
    ) -> None:
        self._app = app
        self._hub = Hub(redis_url)
        self._tend = tend
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="app")
        self._calls = self._streams = self._waiters = self._held_bytes = 0
        self._tasks: list[asyncio.Task[None]] = []

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen to Redis."""
        self._loop = loop
        self._tasks = [loop.create_task(self._hub.listen()), loop.create_task(self._tend_waiters())]

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let go."""
        for task in self._tasks:
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        """Answer a request."""
        body = _Body()
        try:
            try:
                await self._take_in(scope, proto, body)
                environ = environ_of(scope, b"".join(body.parts))
                body.parts.clear()
            except _Refused as refused:
                self._let_go(body)
                environ = environ_of(scope, b"") | {REFUSED: refused.args}
            since = self._hub.era
            answer = await self._call(environ)
            if (wait := answer.take(WAIT)) is not None:
                answer = await self._waited(environ, answer, wait, since, proto)
            path = answer.take(EVENTS)
            if path is not None and scope.method != "HEAD":
                await self._send_events(environ, answer, path, proto)
            else:
                await self._send(answer, proto)
        except _Gone:
            log.info("a caller hung up in the middle of its request")
            proto.response_empty(400, [])
        finally:
            self._let_go(body)

    async def _take_in(self, scope: Any, proto: Any, body: _Body) -> None:
        """Read the body. Raises: _Refused: too large, too slow, or more than this process can hold; _Gone."""
        if scope.method in ("GET", "HEAD", "OPTIONS"):
            return
        batch = scope.path == "/v1/batches"
        most, seconds = (MAX_BATCH_BYTES, _BATCH_BODY_S) if batch else (MAX_BODY_BYTES, _BODY_S)
        told = scope.headers.get("content-length") or ""
        refused, arrived = None, 0
        if told.isdecimal() and int(told) > most:
            refused, seconds = _Refused("too-large", f"{told} bytes; {most} at most"), _DRAIN_S
            if "expect" in scope.headers:  # this one looks for an answer before it sends
                raise refused
        try:
            async with asyncio.timeout(seconds) as time_left:
                async for part in proto:
                    arrived += len(part)
                    if refused is None:
                        refused = self._refusal(arrived, len(part), most)
                        if refused is not None:
                            self._let_go(body)
                            time_left.reschedule(self._loop.time() + _DRAIN_S)
                    if refused is None:
                        body.parts.append(part)
                        body.size += len(part)
                        self._held_bytes += len(part)
                    elif arrived > 2 * MAX_BATCH_BYTES:
                        break
        except TimeoutError:
            refused = refused or _Refused("too-slow", f"the body did not arrive within {seconds:.0f} s")
        if refused is not None:  # but read: many clients look for an answer only when they have sent everything
            raise refused
        if told.isdecimal() and body.size != int(told):
            raise _Gone

    def _refusal(self, arrived: int, part: int, most: int) -> _Refused | None:
        if arrived > most:
            return _Refused("too-large", f"more than {most} bytes")
        if self._held_bytes + part > _ALL_BODIES_BYTES:
            return _Refused("busy", "many large requests at once; try again in a second")
        return None

    def _let_go(self, body: _Body) -> None:
        self._held_bytes -= body.size
        body.size = 0
        body.parts.clear()

    async def _tend_waiters(self) -> None:
        """See to what nobody else may see to while somebody waits for it."""
        while True:
            await asyncio.sleep(_TEND_S)
            if self._waiters:
                with suppress(Exception):  # whoever waits is told what is wrong when asking again
                    await self._loop.run_in_executor(self._threads, self._tend)

    async def _call(self, environ: dict[str, Any]) -> Answer:
        """Let the app answer, in a thread."""
        if self._calls >= _MOST_CALLS:
            return _busy()
        self._calls += 1
        try:
            return await self._loop.run_in_executor(self._threads, run, self._app, environ)
        finally:
            self._calls -= 1

    async def _waited(self, environ: dict[str, Any], first: Answer, wait: str, since: int, proto: Any) -> Answer:
        """Wait for a job, then let the app answer again, until its answer is final or the time is over.

        since: the hub's era before the app answered first. While the app cannot say, because Redis is down for a
        moment, the wait goes on; what was known last is the answer if it lasts.
        """
        job_id, seconds = wait.split()
        until = self._loop.time() + float(seconds)
        if self._waiters >= _MOST_WAITERS:
            if first.status >= 500:
                return _busy()
            until = 0.0
        self._waiters += 1
        gone = self._loop.create_task(_disconnect(proto))
        answer = first
        try:
            while True:
                if (left := until - self._loop.time()) > 0:
                    heard = self._loop.create_task(self._hub.wait(job_id, left, since))
                    await asyncio.wait((heard, gone), return_when=asyncio.FIRST_COMPLETED)
                    if gone.done():
                        heard.cancel()
                        return answer
                era, is_last = self._hub.era, self._loop.time() >= until
                environ["wsgi.input"].seek(0)
                now = await self._call(environ | {JOB: job_id} | ({LAST: True} if is_last else {}))
                waits = now.take(WAIT) is not None
                if waits or now.status != 503:  # else it could not look, and what it saw last is of an older era
                    answer, since = now, era
                if is_last or not (waits or now.status == 503):
                    return answer
                await asyncio.sleep(_UNSURE_S)  # it was woken for nothing, or the app cannot say: not in a circle
        finally:
            self._waiters -= 1
            gone.cancel()

    async def _send(self, answer: Answer, proto: Any) -> None:
        if isinstance(answer.body, bytes):
            proto.response_bytes(answer.status, answer.headers, answer.body)
            return
        stream = proto.response_stream(answer.status, answer.headers)
        parts = answer.body
        try:
            while (part := await self._loop.run_in_executor(self._threads, next, parts, None)) is not None:
                try:
                    async with asyncio.timeout(_SEND_S):  # a reader that reads nothing for so long has gone
                        await stream.send_bytes(part)
                except (TimeoutError, RuntimeError):
                    log.info("a reader was too slow, or has gone; its stream was cut")
                    return
        finally:
            if close := getattr(parts, "close", None):
                await self._loop.run_in_executor(self._threads, close)

    async def _send_events(self, environ: dict[str, Any], answer: Answer, path: str, proto: Any) -> None:
        """Send what `path` answers each time that it changes: `event: progress`, and last `event: end`.

        path: of a job or a batch, with its id at the end.
        """
        if self._streams >= _MOST_WAITERS:
            await self._send(_busy(), proto)
            return
        self._streams += 1
        answer.take("Content-Length")
        stream = proto.response_stream(200, answer.headers)
        again, before = get_of(environ, path), b""
        until = said = self._loop.time()
        until += _MOST_EVENTS_S
        try:
            async with asyncio.timeout(_MOST_EVENTS_S + _SEND_S):
                with self._hub.watching(path.rpartition("/")[2]) as news:
                    while self._loop.time() < until:
                        news.clear()
                        now = await self._call(again)
                        body = now.body if isinstance(now.body, bytes) else b"".join(now.body)
                        final = now.status != 200 or json.loads(body).get("status") in _FINAL
                        if body != before or final:
                            kind, before, said = "end" if final else "progress", body, self._loop.time()
                            await stream.send_bytes(f"event: {kind}\ndata: {body.decode().strip()}\n\n".encode())
                        elif self._loop.time() - said > _EVENTS_SILENCE_S:
                            said = self._loop.time()
                            await stream.send_bytes(b": still there\n\n")
                        if final:
                            return
                        await asyncio.sleep(_EVENTS_LEAST_S)
                        with suppress(TimeoutError):
                            await asyncio.wait_for(news.wait(), _EVENTS_LOOK_S)
        except (TimeoutError, RuntimeError):
            log.info("a reader of events has gone")
        finally:
            self._streams -= 1


def _busy() -> Answer:
    return Answer(503, [("content-type", "application/problem+json"), ("retry-after", "1")], _BUSY)


async def _disconnect(proto: Any) -> None:
    """Return when the client has hung up."""
    await proto.client_disconnect()
