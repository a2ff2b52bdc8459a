"""The hub hears of each job's end, whoever waits when, and wakes everybody when it may have missed one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from api.front import WAIT, Front
from api.hub import Hub
from producer import keys


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Hub]:
    hub = Hub(url)
    task = asyncio.create_task(hub.listen())
    await until(lambda: hub.era > 0)
    yield hub
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(look: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not look():
            await asyncio.sleep(0.01)


def waiting(hub: Hub, job_id: str, seconds: float = 10.0) -> asyncio.Task[None]:
    return asyncio.create_task(hub.wait(job_id, seconds, hub.era))


@pytest.mark.parametrize("first", ["waiter", "end"])
def test_an_end_is_heard_whoever_comes_first(redis_url: str, connection: redis.Redis, first: str) -> None:
    async def play() -> float:
        async with listening(redis_url) as hub:
            since = hub.era
            if first == "end":
                connection.publish(keys.DONE, "job")
                connection.publish(keys.DONE, "marker")
                await hub.wait("marker", 10, since)  # so the one before it was heard, too
                began = time.monotonic()
                await hub.wait("job", 10, since)
            else:
                began = time.monotonic()
                waiters = [waiting(hub, "job") for _ in range(100)] + [waiting(hub, "other", 0.2)]
                await asyncio.sleep(0)
                connection.publish(keys.DONE, "job")
                await asyncio.gather(*waiters)
            return time.monotonic() - began

    assert asyncio.run(play()) < 5


def test_what_nobody_says_is_waited_for_as_long_as_told(redis_url: str, connection: redis.Redis) -> None:
    async def play() -> float:
        async with listening(redis_url) as hub:
            began = time.monotonic()
            await hub.wait("job", 0.3, hub.era)
            return time.monotonic() - began

    assert 0.3 <= asyncio.run(play()) < 5


def test_a_broken_subscription_wakes_everybody_and_is_made_again(redis_url: str, connection: redis.Redis) -> None:
    async def play() -> None:
        async with listening(redis_url) as hub:
            since = hub.era
            waiters = [waiting(hub, f"job {n}", 30) for n in range(10)]
            await asyncio.sleep(0)
            connection.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            async with asyncio.timeout(10):
                await asyncio.gather(*waiters)
            await until(lambda: hub.era >= since + 2)
            async with asyncio.timeout(10):
                await hub.wait("job", 30, since)  # whoever looked before that has to look again
                late = waiting(hub, "job", 30)
                await asyncio.sleep(0)
                connection.publish(keys.DONE, "job")
                await late

    asyncio.run(play())


def test_who_could_not_look_after_an_outage_looks_again(redis_url: str, connection: redis.Redis) -> None:
    """The end was never heard, and Redis answers the app later than it answers the hub."""
    cut_at = 0.0

    def app(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
        since = time.monotonic() - cut_at if cut_at else -1.0
        status, waits = ("200 OK", True) if since < 0 else ("503 Down", False) if since < 2 else ("200 OK", False)
        start(status, [("Content-Length", "0")] + ([(WAIT, "job 30")] if waits else []))
        return [b""]

    class Asked:
        """The server's side of a request."""

        status = 0

        def response_bytes(self, status: int, headers: object, body: bytes) -> None:
            self.status = status

        async def client_disconnect(self) -> None:
            await asyncio.Event().wait()

    async def play() -> int:
        nonlocal cut_at
        front, asked = Front(app, redis_url, 2), Asked()
        front.__rsgi_init__(asyncio.get_running_loop())
        await until(lambda: front._hub.era > 0)
        headers: dict[str, str] = {}
        scope = SimpleNamespace(
            method="GET", path="/", query_string="", http_version="1.1", scheme="http", headers=headers, authority=None
        )
        scope.server = scope.client = "127.0.0.1:1"
        answer = asyncio.create_task(front.__rsgi__(scope, asked))
        await until(lambda: front._hub._waiting)
        cut_at = time.monotonic()
        connection.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        async with asyncio.timeout(10):
            await answer
        front.__rsgi_del__(asyncio.get_running_loop())
        return asked.status

    assert asyncio.run(play()) == 200
