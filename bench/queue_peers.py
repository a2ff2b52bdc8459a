"""Compare queues: `python -m bench.queue_peers [--passes 3] [--wait 100] [--quick] [--venvs DIR] [--only NAME …]`.

Ours, RQ's two workers, Celery, Dramatiq, Taskiq, arq, Huey and a bare BLPOP loop, each with the same jobs at the same
Redis, which is started for this alone. The systems take turns in every pass; a figure is the median of the passes, a
ratio the median of the ratios of each pass. Latency is from when a job was due to be queued until its function was
done. Takes about 15 minutes on two cores, and at first the time to install the peers.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np
import redis
from threadpoolctl import threadpool_limits

import redis_server
from bench import machine, queue_work
from bench.queue_kills import Kills, killed
from bench.queue_measure import Drain, Footprint, Latency, drain, steady
from bench.queue_running import Bench, DidNotWork
from bench.queue_systems import BARE, PINS, SIMPLE, SYSTEMS, System, prepare

RATES = (50, 200)
Cell = tuple[str, int]
CELLS: tuple[Cell, ...] = (("noop", 1), ("noop", 2), ("matvec", 1), ("matvec", 2))
_MOST = 20_000
_VENVS = Path(tempfile.gettempdir()) / "segue-queue-peers"


@dataclass(frozen=True)
class Effort:
    """How long everything is measured, in seconds."""

    passes: int
    wait: float
    fill: float = 0.8
    drain: float = 1.0
    pace: float = 2.5
    load: float = 2.5
    both_kills: bool = True


@dataclass
class Figures:
    """What was measured of a system. drains: by cell and number of the pass."""

    drains: dict[Cell, dict[int, Drain]] = field(default_factory=lambda: defaultdict(dict))
    footprints: list[Footprint] = field(default_factory=list)
    latencies: list[list[Latency]] = field(default_factory=list)
    kills: list[Kills] = field(default_factory=list)


Results = dict[str, Figures]


def main() -> None:
    """Measure, then print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.queue_peers")
    parser.add_argument("--passes", type=int, default=3, help="0: only the kills")
    parser.add_argument("--wait", type=float, default=100, help="seconds to wait for jobs after a kill")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one short pass, about four minutes")
    parser.add_argument("--venvs", type=Path, default=_VENVS, help="where the peers are installed")
    parser.add_argument("--only", nargs="+", help="parts of the names of systems")
    parser.add_argument("--matvec-ms", type=float, default=2, help="how long a matvec job is to take by itself")
    parser.add_argument("--rows", type=int, help="rows of its matrix, instead of as many as take that long")
    parser.add_argument("--skip-kills", action="store_true")
    options = parser.parse_args()
    systems = [s for s in SYSTEMS if not options.only or any(part in s.name for part in options.only)]
    for system in systems:
        prepare(options.venvs, system)
    effort = Effort(options.passes, options.wait)
    if options.quick:
        effort = Effort(1, min(options.wait, 10), fill=0.3, drain=0.5, pace=1.0, load=1.0, both_kills=False)
    rows = options.rows or rows_for(options.matvec_ms)
    os.environ[queue_work.ROWS] = str(rows)
    print(
        f"{machine.describe()}, {_server()} with AOF every second.\nmatvec: {rows:,} × {queue_work.COLUMNS} float32 "
        f"({rows * queue_work.COLUMNS * 4 / 1e6:.0f} MB in a worker, unless it is forked off one that has it), "
        f"{product_ms(rows, 1):.2f} ms alone on a core, {product_ms(rows, 32):.2f} ms in a product of 32.\n"
        f"Medians of {effort.passes} passes, in which the systems take turns.\n",
        flush=True,
    )
    results: Results = defaultdict(Figures)
    with tempfile.TemporaryDirectory(prefix="segue-queues-") as folder:
        measure(results, [s for s in systems if not s.kill_only], effort, options.venvs, Path(folder))
        if not options.skip_kills:
            kill(results, systems, effort, options.venvs, Path(folder))
    report(results, systems, effort)


def rows_for(ms: float) -> int:
    """Return how many rows make a product with one vector take so long, on one core of this machine."""
    rows = 67_000
    for _ in range(5):  # a matrix that leaves the cache takes more than its share
        rows = max(10_000, round(int(rows * ms / product_ms(rows, 1)), -4))
    return rows


def product_ms(rows: int, vectors: int) -> float:
    """Return what a product takes for each of its vectors, on one core."""
    random = np.random.default_rng(0)
    matrix, others = (random.random((n, queue_work.COLUMNS), dtype=np.float32) for n in (rows, vectors))
    took = []
    with threadpool_limits(1):
        for _ in range(max(5, 60 // vectors)):
            started = time.perf_counter()
            matrix @ (others.T if vectors > 1 else others[0])
            took.append(time.perf_counter() - started)
    return statistics.median(took) / vectors * 1e3


def measure(results: Results, systems: Sequence[System], effort: Effort, venvs: Path, folder: Path) -> None:
    """Have every system measured in every pass, in another order each time."""
    server = redis_server.start(folder / "redis")
    try:
        # Nothing that a system writes may have the server rewrite its log while the next one is measured.
        with redis.Redis.from_url(server.url) as connection:
            connection.config_set("auto-aof-rewrite-percentage", 0)
        for number in range(effort.passes):
            for system in (*systems[number:], *systems[:number]):
                started = time.monotonic()
                try:
                    with closing(Bench(system, venvs, server, folder)) as bench:
                        _measure(results[system.name], bench, effort, number)
                except DidNotWork as error:
                    _say(str(error))
                _say(f"pass {number + 1}, {system.name}: {time.monotonic() - started:.0f} s")
    finally:
        server.stop()


def _measure(figures: Figures, bench: Bench, effort: Effort, number: int) -> None:
    for cell in CELLS:
        most = min(_MOST, max(200, int(2 * effort.drain * _rate(figures, cell, otherwise=_MOST))))
        figures.drains[cell][number] = drain(bench, *cell, most, effort.fill, effort.drain)
    footprint, latencies = steady(bench, RATES, effort.pace)
    figures.footprints.append(footprint)
    figures.latencies.append(latencies)


def kill(results: Results, systems: Sequence[System], effort: Effort, venvs: Path, folder: Path) -> None:
    """Kill workers of one system after the other, each at a Redis of its own; then wait for all at once."""
    with ExitStack() as stack:
        for system in systems:
            jobs = int(effort.load * _rate(results[system.name], ("matvec", 2), otherwise=400))
            for whole in (True, False) if system.supervises and effort.both_kills else (True,):
                place = folder / f"kill-{system.adapter}-{system.variant}-{whole}"
                server = redis_server.start(place)
                stack.callback(server.stop)
                bench = Bench(system, venvs, server, place)
                try:
                    kills = stack.enter_context(killed(bench, whole=whole, jobs=jobs, wait_s=effort.wait))
                except DidNotWork as error:
                    _say(str(error))
                    continue
                results[system.name].kills.append(kills)
                _say(f"killed {system.name}{'' if whole else ', the process that runs jobs'}")
        everybody = [kills for figures in results.values() for kills in figures.kills]
        while not all(kills.over for kills in everybody):
            for kills in everybody:
                kills.tend()
            time.sleep(0.1)
        for kills in everybody:
            kills.count()


def report(results: Results, systems: Sequence[System], effort: Effort) -> None:
    """Print the tables."""
    if effort.passes:
        measured = [system for system in systems if not system.kill_only]
        throughput(results, measured)
        latency(results, measured)
        cost(results, measured)
    if any(figures.kills for figures in results.values()):
        crashes(results, systems, effort)
    print("\n| system | installed | tuning |\n|---|---|---|")
    for system in systems:
        installed = ", ".join(PINS[system.venv]) if system.venv else _own()
        print(f"| {system.name} | {installed} | {system.tuning} |")


def throughput(results: Results, systems: Sequence[System]) -> None:
    print("Jobs a second while a full queue empties; ratios to RQ's SimpleWorker and to the bare loop:\n")
    print(
        "| system | no-op, 1 worker | 2 | matvec, 1 | 2 | ÷ SimpleWorker | ÷ bare loop |\n|---|---|---|---|---|---|---|"
    )
    for system in systems:
        rates = [f"{_rate(results[system.name], cell):,.0f}" for cell in CELLS]
        ratios = [" / ".join(_ratio(results, system, to, cell) for cell in CELLS) for to in (SIMPLE, BARE)]
        print(f"| {system.name} | {' | '.join([*rates, *ratios])} |")


def latency(results: Results, systems: Sequence[System]) -> None:
    print("\nms from when a matvec job was due to be queued until its function was done, 2 workers, open loop:\n")
    print("| system | 50 a second: p50 | p99 | 200 a second: p50 | p99 |\n|---|---|---|---|---|")
    for system in systems:
        cells = []
        for i in range(len(RATES)):
            passes = [latencies[i] for latencies in results[system.name].latencies]
            if 2 * sum(one.behind for one in passes) > len(passes):
                cells += ["falls behind", "–"]
            else:
                cells += [f"{_median([x.p50 for x in passes]):.1f}", f"{_median([x.p99 for x in passes]):.0f}"]
        print(f"| {system.name} | {' | '.join(cells)} |")


def cost(results: Results, systems: Sequence[System]) -> None:
    print("\nWhat a job costs its client and Redis, and what a worker takes (others: processes that run no jobs):\n")
    print("| system | enqueue, wall µs | CPU µs | bytes queued | finished | USS MB | PSS MB | others, PSS MB |")
    print("|---|---|---|---|---|---|---|---|")
    for system in systems:
        figures = results[system.name]
        drains = [one for cell in CELLS for one in figures.drains[cell].values()]
        columns: list[Callable[[Footprint], float]] = [
            lambda f: f.queued,
            lambda f: f.finished,
            lambda f: f.uss,
            lambda f: f.pss,
            lambda f: f.others_pss,
        ]
        cells = [_median([d.wall_us for d in drains]), _median([d.cpu_us for d in drains])]
        cells += [_median([column(f) for f in figures.footprints]) for column in columns]
        print(f"| {system.name} | {' | '.join(f'{cell:,.0f}' for cell in cells)} |")


def crashes(results: Results, systems: Sequence[System], effort: Effort) -> None:
    print("\nkill -9 of one of 2 workers under load: all of the worker, or only its process that runs the jobs:\n")
    print(f"| system | killed | times | jobs | not run {effort.wait:.0f} s later | run twice | s until all had run |")
    print("|---|---|---|---|---|---|---|")
    for system in systems:
        for kills in results[system.name].kills:
            seconds = f"> {effort.wait:.0f}" if kills.missing else f"{kills.seconds:.1f}"
            what = "worker" if kills.whole else "job's process"
            cells = [system.name, what, kills.kills, kills.jobs, kills.missing, kills.twice, seconds]
            print(f"| {' | '.join(map(str, cells))} |")


def _rate(figures: Figures, cell: Cell, otherwise: float = math.nan) -> float:
    """Return the median of the passes so far."""
    rate = _median([one.rate for one in figures.drains[cell].values()])
    return otherwise if math.isnan(rate) else rate


def _ratio(results: Results, system: System, to: System, cell: Cell) -> str:
    """Return the median of the ratios in each pass."""
    mine, theirs = results[system.name].drains[cell], results[to.name].drains[cell]
    ratio = _median([mine[number].rate / theirs[number].rate for number in mine.keys() & theirs.keys()])
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.2g}"


def _median(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return statistics.median(known) if known else float("nan")


def _own() -> str:
    return ", ".join(f"{name}=={version(name)}" for name in ("rq", "redis", "hiredis", "msgpack", "numpy"))


def _server() -> str:
    """Return the server's name and version."""
    binary = redis_server.find_binary()
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout
    return f"{binary.name} {next(word[2:] for word in said.split() if word.startswith('v='))}"


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
