"""What tests of webhooks share: jobs that end, and the process that delivers, started for real."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from producer import deliveries, endpoints, keys, outbox, queue
from producer.addresses import Policy
from producer.deliveries import Delivery
from producer.queue import Work
from producer.scripts import DELIVER
from producer.webhooks import Webhook
from tests.services import running, wait_for

LOOPBACK = "127.0.0.0/8"
POLICY = Policy.of(LOOPBACK, "443", "off")
CALLER = "caller-1"
HOOK = Webhook("http://127.0.0.1:9/hook")


@contextmanager
def delivering(
    redis_url: str, log: Path, *, quick: bool = True, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the process that delivers. quick: with pauses and time limits for tests."""
    module = ["tests.quick_webhooks"] if quick else ["worker", "webhooks"]
    environment = {"REDIS_URL": redis_url, "WEBHOOK_ALLOW_NETWORKS": LOOPBACK, **environment}
    with running([sys.executable, "-m", *module], log, environment) as process:
        yield process


def submit(connection: redis.Redis, webhook: Webhook | None = None, **more: Any) -> str:
    """Queue a job that no worker need know. → its id."""
    work = Work(keys.RECOMMEND, {"n": 1}, caller=more.pop("caller", CALLER), webhook=webhook, **more)
    return queue.submit(connection, work, limit=10**6)[0]


def end(connection: redis.Redis, webhook: Webhook | None = None, answer: Any = None, **more: Any) -> str:
    """Queue a job, and end it. → its id."""
    job_id = submit(connection, webhook, **more)
    assert queue.finish(connection, job_id, "finished", answer or {"ok": {"tracks": []}})
    return job_id


def of(connection: redis.Redis, owner: str | None = None) -> list[Delivery]:
    """Return an owner's deliveries, the newest first; by default those to the addresses in CALLER's requests."""
    return deliveries.page(connection, owner or deliveries.owner_of(CALLER), limit=1000)[0]


def over(connection: redis.Redis, count: int = 1, owner: str | None = None, deadline_s: float = 20.0) -> list[Delivery]:
    """Wait until an owner has so many deliveries, all of them over. → them, the newest first."""

    def look() -> list[Delivery] | None:
        found = of(connection, owner)
        return found if len(found) == count and all(one.state != "pending" for one in found) else None

    return wait_for(look, f"{count} deliveries to be over: {[one.tries for one in of(connection, owner)]}", deadline_s)


def notices(connection: redis.Redis) -> list[outbox.Notice]:
    """Return what lies in the outbox."""
    raws = connection.lrange(keys.WEBHOOK_OUTBOX, 0, -1)
    return [outbox.read_notice(raw) for raw in raws if isinstance(raw, bytes)]


def events(connection: redis.Redis) -> list[str]:
    """Return what its notices tell of."""
    return [notice.text("event") for notice in notices(connection)]


def expand(connection: redis.Redis) -> int:
    """Make deliveries of all notices, as the process does that delivers. → how many."""
    found = notices(connection)
    callers = {notice.caller: endpoints.of_caller(connection, notice.caller or "") for notice in found}
    entries = [{"raw": n.raw, "deliveries": outbox.expand(n, callers[n.caller])} for n in found]
    return deliveries.make(connection, entries) if entries else 0


def register(connection: redis.Redis, caller: str = CALLER, **options: Any) -> endpoints.Endpoint:
    """Register an endpoint of HOOK's address."""
    return endpoints.create(connection, caller, HOOK.url, POLICY, **options)[0]


def deliver(connection: redis.Redis, *settled: dict[str, Any], slots: int = 64, **options: Any) -> list[list[Any]]:
    """Be a process that delivers, for one round trip. → what it took."""
    breaker = {"after": 5, "least_s": 30, "most_s": 300}
    given = {"lease": f"test.{time.monotonic_ns()}", "lease_s": 20, "others": slots, "off_after_s": 432_000} | options
    found = DELIVER(connection, settled=settled, slots=slots, breaker=breaker, tries_kept=20, host_ttl=60, **given)
    return list(found[1])


def came(row: list[Any], outcome: str, **more: Any) -> dict[str, Any]:
    """Say what came of what was taken."""
    log = deliveries.pack_try(time.time(), 500, "status 500", 1.0, b"", None)
    taken = {"id": row[0].decode(), "lease": row[1].decode(), "host": row[2].decode()}
    return taken | {"outcome": outcome, "log": log, "healthy": True, "prompt": True, **more}
