"""What `bench.queue_peers` measures of a system: how fast a queue empties, how soon a job is done, what it takes up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import psutil
import redis

from bench.queue_running import START_S, Bench, DidNotWork
from bench.queue_work import EXTRA

_FOOTPRINT_JOBS = 200


@dataclass(frozen=True)
class Drain:
    """rate: jobs a second; wall_us, cpu_us: what queuing a job cost its client, with no worker beside."""

    rate: float
    wall_us: float
    cpu_us: float


def drain(bench: Bench, kind: str, processes: int, most: int, fill_s: float, drain_s: float) -> Drain:
    """Fill a queue while its workers, who are warm, are held; then let them go, and see how fast it empties."""
    bench.clear()
    with bench.working(processes):
        bench.warm_up(processes)
        bench.hold()
        filled = bench.fill(kind, most, fill_s)
        before = bench.done()
        bench.release()
        bench.wait(before + int(filled["jobs"]), drain_s)
    return Drain(_rate(bench.records()), filled["wall_us"], filled["cpu_us"])


def _rate(records: npt.NDArray[np.void]) -> float:
    """Return jobs a second between 10 and 95 % of what was done."""
    times = records["time"][records["job"] < EXTRA]
    first, last = int(0.1 * len(times)), int(0.95 * len(times)) - 1
    if last <= first or times[last] <= times[first]:
        return float("nan")
    return float((last - first) / (times[last] - times[first]))


@dataclass(frozen=True)
class Footprint:
    """Bytes in Redis a job, queued and finished, everything counted; MB of a worker process and of others."""

    queued: float
    finished: float
    uss: float
    pss: float
    others_pss: float


@dataclass(frozen=True)
class Latency:
    """ms from when a job was due to be queued to when its function was done. behind: the queue only grew."""

    p50: float
    p99: float
    behind: bool


def steady(bench: Bench, rates: Sequence[float], seconds: float) -> tuple[Footprint, list[Latency]]:
    """Measure two workers at ease: what they and their jobs take up, then how soon they answer at each rate."""
    bench.clear()
    bench.fill("matvec", _FOOTPRINT_JOBS)
    with redis.Redis.from_url(bench.server.url) as connection, bench.working(2):
        queued = _bytes(connection) / _FOOTPRINT_JOBS
        if not bench.wait(_FOOTPRINT_JOBS, START_S):
            raise DidNotWork(f"{bench.system.name}: {bench.done()} of {_FOOTPRINT_JOBS} jobs ran")
        time.sleep(0.5)  # results are stored after the record
        finished = _bytes(connection) / _FOOTPRINT_JOBS
        uss, pss, others = _memory(bench)
        latencies: list[Latency] = []
        for i, rate in enumerate(rates):
            if latencies and latencies[-1].behind:
                latencies.append(latencies[-1])
                continue
            before, first = bench.done(), (i + 1) * 100_000
            due = np.array(bench.pace("matvec", rate, seconds, first)["due"])
            behind = not bench.wait(before + len(due), 0.5)
            latencies.append(_latency(bench.records(), first, due, behind))
    return Footprint(queued, finished, uss, pss, others), latencies


def _latency(records: npt.NDArray[np.void], first: int, due: npt.NDArray[np.float64], behind: bool) -> Latency:
    number = records["job"].astype(np.int64) - first
    inside = (number >= 0) & (number < len(due))
    ms = (records["time"][inside] - due[number[inside]]) * 1e3
    return Latency(float(np.median(ms)), float(np.percentile(ms, 99)), behind)


def _bytes(connection: redis.Redis) -> int:
    """Return what all keys take up, their names included."""
    names = list(connection.scan_iter(count=1000))
    pipeline = connection.pipeline(transaction=False)
    for name in names:
        pipeline.memory_usage(name, samples=0)
    return sum(size or 0 for size in pipeline.execute())


def _memory(bench: Bench) -> tuple[float, float, float]:
    """Return USS and PSS of a worker process, and the PSS of all processes that run no jobs, in MB."""
    ran = set(bench.records()["pid"].tolist())
    trees = [process for unit in bench.units for process in unit.tree()]
    # One that forks for each job runs none itself.
    workers = [p for p in trees if p.pid in ran] or [psutil.Process(unit.process.pid) for unit in bench.units]
    sizes = {process.pid: process.memory_full_info() for process in trees}
    mine = [sizes[process.pid] for process in workers]
    others = sum(size.pss for pid, size in sizes.items() if pid not in {p.pid for p in workers})
    uss, pss = (sum(getattr(size, name) for size in mine) / len(mine) / 2**20 for name in ("uss", "pss"))
    return uss, pss, others / 2**20
