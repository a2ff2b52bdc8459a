"""The service under load, over HTTP: `python -m bench.load --models DIR`.

Everything on this machine: this client, granian with API_PROCESSES processes, workers, Redis. Latencies are measured in
an open loop, from when a request was due: a service that is late makes the next ones wait, and that counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

import redis_server
from artifacts import store
from artifacts.model import Model
from bench import machine
from bench.http_client import Connection, Pool, Reply, closed_loop, open_loop
from tests.services import Client, running, wait_for

WAIT = (("Prefer", "wait=10"),)
PROCESSES = 2


class Load:
    """The running service, and tracks to ask for."""

    def __init__(self, models: Path, folder: Path, stack: ExitStack) -> None:
        version = store.current(models)
        assert version is not None, f"{models}: no model"
        model = Model.load(models, version, verify=False)
        rng = np.random.default_rng(3)
        self.ids = [model.id_of(int(row)) for row in rng.integers(len(model), size=20_000)]
        self.tracks = len(model)
        server = redis_server.start(folder / "redis")
        stack.callback(server.stop)
        self._models, self._folder, self.redis_url = models, folder, server.url
        self._worker = stack.enter_context(self.process("worker", "worker", "recommend", "--processes", str(PROCESSES)))
        self.port = self.serve(stack, "api.app:from_environment", "rsgi")
        wait_for(lambda: Client(f"http://127.0.0.1:{self.port}").get("/readyz").status == 200, "the service", 60)

    @contextmanager
    def process(self, name: str, *module: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run a Python module of ours."""
        environment |= {"REDIS_URL": self.redis_url, "ARTIFACTS_DIR": str(self._models), "LOG_LEVEL": "WARNING"}
        environment |= {"QUEUE_LIMIT": "100000"}
        with running([sys.executable, "-m", *module], self._folder / f"{name}.log", environment) as process:
            yield process

    @contextmanager
    def workers_held(self) -> Iterator[None]:
        """Hold the workers, so that what is measured is how jobs are taken, not how they are worked off."""
        for process in psutil.Process(self._worker.pid).children():
            process.suspend()
        try:
            yield
        finally:
            for process in psutil.Process(self._worker.pid).children():
                process.resume()

    def serve(self, stack: ExitStack, app: str, interface: str) -> int:
        """Run an app the way that the service runs its own. → its port."""
        port = redis_server.free_port()
        granian = ["granian", "--interface", interface, "--factory", "--port", str(port), "--workers", str(PROCESSES)]
        granian += ["--log-level", "error", *(["--blocking-threads", "16"] if interface == "wsgi" else []), app]
        stack.enter_context(self.process(app.replace(":", "."), *granian))
        wait_for(Client(f"http://127.0.0.1:{port}").is_up, app, 60)
        return port

    def request(self, n: int) -> bytes:
        """Return the body of the n-th request: one song, twenty tracks."""
        return json.dumps({"seeds": [{"track_id": self.ids[n % len(self.ids)]}]}).encode()


def milliseconds(replies: list[Reply]) -> tuple[float, float]:
    """Return p50 and p99 of the replies' times. Raises: AssertionError if one is no success."""
    wrong = [r for r in replies if r.status != 200]
    assert not wrong, (len(wrong), wrong[0].status, wrong[0].body[:300])
    ms = np.array([r.seconds for r in replies]) * 1e3
    return float(np.median(ms)), float(np.percentile(ms, 99))


def ratios(load: Load, bare: int, seconds: float, passes: int) -> None:
    """Print what taking a job, and reading one, cost beside a server that only validates."""
    job = asyncio.run(Pool(load.port).ask("POST", "/v1/recommendations", load.request(0), WAIT)).json["id"]
    waits = ""

    def submit(n: int) -> tuple[Any, ...]:
        return ("POST", "/v1/recommendations", load.request(n))

    def read(_: int) -> tuple[Any, ...]:
        return ("GET", f"/v1/jobs/{job}")

    def look(_: int) -> tuple[Any, ...]:
        return ("GET", f"/v1/jobs/{waits}")

    print("| 16 callers in turn | bare /s | ours /s | ours ÷ bare |\n|---|---|---|---|")
    for name, make in (("read of a job that waits", look), ("of one with its 20 tracks", read), ("submit", submit)):
        with load.workers_held():
            waits = asyncio.run(Pool(load.port).ask(*submit(0))).json["id"]
            rates = [
                (
                    asyncio.run(closed_loop(bare, 16, seconds, make)),
                    asyncio.run(closed_loop(load.port, 16, seconds, make)),
                )
                for _ in range(passes)
            ]
        share = median(ours / of for of, ours in rates)
        print(f"| {name} | {median(r[0] for r in rates):,.0f} | {median(r[1] for r in rates):,.0f} | {share:.2f} |")
    wait_for(lambda: asyncio.run(idle(load)), "the queue to be empty", 120)


async def idle(load: Load) -> bool:
    """Return whether workers are alive and nothing waits for them."""
    reply = await Pool(load.port).ask("GET", "/readyz")
    return reply.status == 200 and reply.json["waiting"] == 0


def latencies(load: Load, seconds: float) -> None:
    """Print submit → result at 50 requests a second, beside nothing, a batch, 200 callers who wait; and type-ahead."""

    async def at_50(**beside: Any) -> tuple[float, float]:
        pool = Pool(load.port)
        asked = open_loop(pool, 50, seconds, lambda n: ("POST", "/v1/recommendations", load.request(n), WAIT))
        return milliseconds(await asked)

    async def beside_batch() -> tuple[float, float]:
        task = asyncio.create_task(batches_until(load, stop))
        await asyncio.sleep(0.5)
        try:
            return await at_50()
        finally:
            stop.set()
            await task

    async def beside_waiters() -> tuple[float, float]:
        connections = [Connection(load.port) for _ in range(200)]
        stuck = await submit_stuck(load)
        held = [asyncio.create_task(c.ask("GET", f"/v1/batches/{stuck}?wait=20")) for c in connections]
        await asyncio.sleep(0.3)
        try:
            return await at_50()
        finally:
            await asyncio.gather(*held)

    stop = asyncio.Event()
    print("| 50 requests a second | p50 ms | p99 ms |\n|---|---|---|")
    for name, run in (
        ("submit → result, nothing beside", at_50),
        ("the same beside batches of 10,000", beside_batch),
        ("the same beside 200 callers who wait", beside_waiters),
    ):
        p50, p99 = asyncio.run(run())
        print(f"| {name} | {p50:.1f} | {p99:.1f} |", flush=True)

    async def typing() -> list[Reply]:
        letters = ["lo", "lov", "love", "the+b", "sun", "midn", "ra", "blue"]
        return await open_loop(Pool(load.port), 20, seconds, lambda n: ("GET", f"/v1/tracks?q={letters[n % 8]}"))

    p50, p99 = milliseconds(asyncio.run(typing()))
    print(f"| type-ahead, 20 a second | {p50:.1f} | {p99:.1f} |", flush=True)


async def submit_stuck(load: Load) -> str:
    """Submit a batch that takes a while. → its id."""
    reply = await Pool(load.port).ask("POST", "/v1/batches", batch_body(load, 10_000))
    return str(reply.json["id"])


async def batches_until(load: Load, stop: asyncio.Event) -> None:
    """Keep a batch of 10,000 at work until told to stop."""
    pool = Pool(load.port)
    while not stop.is_set():
        batch = (await pool.ask("POST", "/v1/batches", batch_body(load, 10_000))).json["id"]
        while not stop.is_set():
            found = (await pool.ask("GET", f"/v1/batches/{batch}?wait=2")).json
            if found["status"] in ("succeeded", "canceled"):
                break
        else:
            await pool.ask("POST", f"/v1/batches/{batch}/cancel")


def batch_body(load: Load, count: int) -> bytes:
    """Return a batch of songs by id."""
    return json.dumps({"items": [{"seeds": [{"track_id": load.ids[n]}]} for n in range(count)]}).encode()


def batch(load: Load, count: int) -> None:
    """Print how fast a batch of songs by id goes: from the submission to the last line in the client's hands."""

    async def run() -> tuple[float, float, int]:
        pool, started = Pool(load.port), time.perf_counter()
        found = (await pool.ask("POST", "/v1/batches", batch_body(load, count))).json
        while found["status"] not in ("succeeded", "canceled"):
            found = (await pool.ask("GET", f"/v1/batches/{found['id']}?wait=5")).json
        worked = time.perf_counter() - started
        lines = (await pool.ask("GET", f"/v1/batches/{found['id']}/results")).body.count(b"\n")
        return worked, time.perf_counter() - started, lines

    worked, whole, lines = asyncio.run(run())
    assert lines == count, lines
    print(f"batch of {count:,}: {count / worked:,.0f} a second until it is done, {count / whole:,.0f} with its results")


def capacity(load: Load, port: int, interface: str) -> None:
    """Print the highest rate, of steps of a quarter, whose p99 is at most 100 ms."""
    headers = WAIT if interface == "ours" else ()
    best, rate = (0.0, 0.0, 0.0), 50.0
    while rate < 5000:
        make = lambda n: ("POST", "/v1/recommendations", load.request(n), headers)  # noqa: E731
        try:
            p50, p99 = milliseconds(asyncio.run(open_loop(Pool(port), rate, 5, make)))
        except (AssertionError, OSError, asyncio.IncompleteReadError):
            break
        if p99 > 100:
            break
        best = (rate, p50, p99)
        rate *= 1.25
    print(f"| {interface} | {best[0]:.0f} | {best[1]:.1f} | {best[2]:.1f} |", flush=True)


def main() -> None:
    """Measure it all."""
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("--models", type=Path, required=True, help="a folder of published models")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--passes", type=int, default=3, help="of the ratios")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        load = Load(options.models.resolve(), Path(folder), stack)
        print(f"{machine.describe()}; {load.tracks:,} tracks; {PROCESSES} API processes, {PROCESSES} workers\n")
        bare = load.serve(stack, "bench.bare_app:bare", "rsgi")
        ratios(load, bare, options.seconds / 3, options.passes)
        print()
        latencies(load, options.seconds)
        print()
        batch(load, 10_000)
        print("\n| requests a second at p99 ≤ 100 ms | /s | p50 ms | p99 ms |\n|---|---|---|---|")
        capacity(load, load.port, "ours")
        capacity(load, load.serve(stack, "bench.bare_app:synchronous", "wsgi"), "engine in a Flask view")


if __name__ == "__main__":
    main()
