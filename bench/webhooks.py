"""Measure webhooks: how many a second, and how long after a job's end one arrives.

    python -m bench.webhooks

The process that delivers is the real one; receivers answer at once, without TLS, in a process of their own. Jobs are
ended by the script that ends all of them, without workers, so that nothing else is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import redis

import redis_server
from bench.machine import describe
from producer import codec, keys, queue
from producer.queue import Work
from producer.webhooks import Webhook
from tests.fakes.receiver import Reply, dead, receiving
from tests.services import running, wait_for

MANY = 5000
PER_S, SECONDS = 100, 15
ROUNDS = 5
DEAD = 50
BEHIND_EACH = 20
FIRST = "127.0.5."


def main() -> int:
    """Print one table: medians of ROUNDS, with the least and the most. The ways take turns: the machine is shared."""
    print(describe())
    print(f"\n| what, {ROUNDS} rounds | webhooks a round | a second | delay p50 ms | p99 ms |")
    print("|---|---|---|---|---|")
    rates: dict[int, list[float]] = {1: [], 32: []}
    for _ in range(ROUNDS):
        for hosts, found in rates.items():
            found.append(rate(hosts))
    for hosts, found in rates.items():
        print(f"| {hosts} receiver{'s' * (hosts > 1)}, all at once | {MANY:,} | {spread(found, 0)} | | |", flush=True)
    delays: dict[int, list[tuple[float, float]]] = {0: [], DEAD: []}
    for _ in range(ROUNDS):
        for dead_hosts, cuts in delays.items():
            cuts.append(delay(dead_hosts))
    for dead_hosts, cuts in delays.items():
        name = f"the same beside {dead_hosts} hosts that do not answer" if dead_hosts else "1 receiver, evenly"
        p50, p99 = (spread(part, 1) for part in zip(*cuts, strict=True))
        print(f"| {name} | {PER_S * SECONDS:,} | {PER_S} | {p50} | {p99} |")
    ratios = [(b[0] / a[0], b[1] / a[1]) for a, b in zip(delays[0], delays[DEAD], strict=True)]
    p50, p99 = (spread(part, 2) for part in zip(*ratios, strict=True))
    print(f"\nBeside them ÷ alone, round by round: p50 {p50}, p99 {p99}")
    return 0


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median, and in brackets the least and the most."""
    least, most = min(values), max(values)
    return f"{statistics.median(values):,.{digits}f} ({least:,.{digits}f}–{most:,.{digits}f})"


def rate(hosts: int) -> float:
    """Return how many webhooks a second arrive that all wait at the start, at so many receivers."""
    with started(deliver=False) as (connection, receiver, url):
        jobs = {end(connection, receiver, 1 + n % hosts) for n in range(MANY)}
        with delivering(url):
            found = arrived(receiver, MANY)
    assert {job_id for _, job_id in found} == jobs
    assert len(found) == MANY  # none came twice
    times = [at for at, _ in found]
    return (MANY - 1) / (max(times) - min(times))


def delay(dead_hosts: int) -> tuple[float, float]:
    """Return how long after its job's end a webhook arrives, p50 and p99 in ms; they come evenly."""
    with ExitStack() as stack:
        connection, receiver, _ = stack.enter_context(started())
        for n in range(5):
            end(connection, receiver, 1)
            arrived(receiver, n + 1)
        for n in range(1, dead_hosts + 1):
            if n % 2:
                address = stack.enter_context(dead(f"127.0.6.{n}"))
            else:
                silent = stack.enter_context(receiving(f"127.0.6.{n}"))
                silent.replies["/hook"] = [Reply(hang=True)]
                address = silent.address
            for _ in range(BEHIND_EACH):
                end_at(connection, f"{address}/hook")
        ended = {}
        began = time.time()
        for n in range(PER_S * SECONDS):
            time.sleep(max(0.0, began + n / PER_S - time.time()))
            at = time.time()
            ended[end(connection, receiver, 1)] = at
        found = arrived(receiver, 5 + len(ended))
    delays = [(at - ended[job_id]) * 1000 for at, job_id in found if job_id in ended]
    cuts = statistics.quantiles(delays, n=100)
    return cuts[49], cuts[98]


def end(connection: redis.Redis, receiver: Receivers, host: int) -> str:
    """End a job that one of the receivers is to be told of. → its id."""
    return end_at(connection, f"http://{FIRST}{host}:{receiver.port}/hook")


def end_at(connection: redis.Redis, url: str) -> str:
    work = Work(keys.RECOMMEND, {}, caller="bench", webhook=Webhook(url), metadata={"user": "42"})
    job_id, _ = queue.submit(connection, work, limit=10**6)
    queue.finish(connection, job_id, "finished", {"ok": {"tracks": []}})
    return job_id


def arrived(receiver: Receivers, count: int) -> list[tuple[float, str]]:
    """Wait until so many webhooks have arrived. → when each did, and of which job."""
    return wait_for(lambda: found if len(found := receiver.got()) >= count else None, f"{count} webhooks", 120)


class Receivers:
    """Receivers on many loopback addresses, in a process of their own."""

    def __init__(self) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(target=_receive, args=(theirs,), daemon=True)
        self.process.start()
        self.port: int = self._ours.recv()

    def got(self) -> list[tuple[float, str]]:
        """Return what has arrived: when, and of which job."""
        self._ours.send(None)
        found: list[tuple[float, str]] = codec.unpack(self._ours.recv_bytes())
        return found


def _receive(theirs: Connection) -> None:
    got: list[tuple[float, str]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                got.append((time.time(), json.loads(body)["data"]["id"]))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    def tell() -> None:
        theirs.recv()
        theirs.send_bytes(codec.pack(got))

    async def run() -> None:
        server = await asyncio.start_server(serve, f"{FIRST}1", 0, backlog=512)
        port = server.sockets[0].getsockname()[1]
        for n in range(2, 33):
            await asyncio.start_server(serve, f"{FIRST}{n}", port, backlog=512)
        asyncio.get_running_loop().add_reader(theirs.fileno(), tell)
        theirs.send(port)
        await server.serve_forever()

    asyncio.run(run())


@contextmanager
def delivering(url: str) -> Iterator[None]:
    """Run the process that delivers."""
    environment = {"REDIS_URL": url, "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8", "LOG_LEVEL": "ERROR"}
    with running([sys.executable, "-m", "worker", "webhooks"], Path(tempfile.gettempdir()) / "bench.log", environment):
        yield


@contextmanager
def started(*, deliver: bool = True) -> Iterator[tuple[redis.Redis, Receivers, str]]:
    """Run Redis, receivers and, unless told otherwise, the process that delivers. → a client of Redis, and its URL."""
    with ExitStack() as stack:
        server = redis_server.start(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.callback(server.stop)
        receivers = Receivers()
        stack.callback(receivers.process.terminate)
        if deliver:
            stack.enter_context(delivering(server.url))
        yield stack.enter_context(redis.Redis.from_url(server.url)), receivers, server.url


if __name__ == "__main__":
    sys.exit(main())
