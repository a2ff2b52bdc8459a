"""The systems that `bench.queue_peers` compares: how each is installed, tuned and started.

Each works in an environment of its own, because their requirements contradict each other (arq wants redis-py < 6).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import queue_work as work
from settings import ROOT

_SHARED = ("numpy==2.4.6", "hiredis==3.5.0")

PINS: Mapping[str, tuple[str, ...]] = {
    "celery": ("celery[redis]==5.7.0", "kombu[redis]==5.7.0", "redis==8.1.0", *_SHARED),
    "dramatiq": ("dramatiq[redis]==2.2.1", "redis==8.1.0", *_SHARED),
    "taskiq": ("taskiq==0.13.0", "taskiq-redis==1.2.4", "redis==8.1.0", "uvloop==0.23.0", *_SHARED),
    "arq": ("arq==0.28.0", "redis==5.3.1", "uvloop==0.23.0", *_SHARED),
    "huey": ("huey==3.5.4", "redis==8.1.0", *_SHARED),
}
"""What is installed for each; RQ and the bare loop use the project's own environment. hiredis for all: redis-py's
documentation asks for it."""


@dataclass(frozen=True)
class System:
    """One row of the tables.

    command: its worker, after the interpreter; {processes}: how many it starts, {unit}: a number of its own.
    several: whether one such command starts several processes; else one is started for each worker.
    supervises: whether it sees to the process that runs the jobs. forks: whether each job has a process of its own.
    kill_only: left out of all but the kills.
    """

    name: str
    adapter: str
    command: tuple[str, ...]
    tuning: str
    venv: str | None = None
    variant: str = ""
    several: bool = False
    supervises: bool = False
    forks: bool = False
    kill_only: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def python(self, venvs: Path) -> str:
        """Return the interpreter that it runs on."""
        return str(_place(venvs, self.venv) / "bin" / "python") if self.venv else sys.executable

    def unit(self, venvs: Path, unit: int, processes: int) -> list[str]:
        """Return the command that starts one unit."""
        return [self.python(venvs), *(part.format(unit=unit, processes=processes) for part in self.command)]

    def variables(self, url: str, log: Path) -> dict[str, str]:
        """Return the environment of its workers and clients. One BLAS thread: the workers are the parallel part."""
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            work.URL: url,
            work.LOG: str(log),
            work.VARIANT: self.variant,
            **self.environment,
        }


def _module(name: str) -> tuple[str, str]:
    return "-m", f"bench.queue_adapters.{name}"


_CELERY = (
    *("-m", "celery", "-A", "bench.queue_adapters.celery_app", "worker", "-P", "prefork", "-c", "{processes}"),
    *("-n", "unit{unit}@%h", "-l", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
)
_TASKIQ = (
    *("-m", "taskiq", "worker", "bench.queue_adapters.taskiq_app:broker", "--workers", "{processes}"),
    *("--log-level", "WARNING", "--no-parse"),
)
_HUEY = "from huey.bin.huey_consumer import consumer_main; consumer_main()"

BARE = System(
    "bare BLPOP loop",
    "bare",
    _module("bare"),
    "one BLPOP, one SET a job; jobs in msgpack",
)
SIMPLE = System(
    "RQ SimpleWorker",
    "rq_worker",
    _module("rq_worker"),
    "clean-up every 5 s, worker_ttl 20 s, job_timeout 5 s, two retries, pickle, no log line a job",
    variant="simple",
)
SYSTEMS = (
    BARE,
    System(
        "Segue, one at a time",
        "segue",
        _module("segue"),
        "as in service; functions without a batch form",
        variant="one",
    ),
    System(
        "Segue, batches",
        "segue",
        _module("segue"),
        "as in service; the batch form of matvec is one matrix product, that of the no-op a loop",
        variant="batches",
    ),
    System(
        "RQ Worker (forks)",
        "rq_worker",
        _module("rq_worker"),
        "as SimpleWorker",
        variant="fork",
        supervises=True,
        forks=True,
    ),
    SIMPLE,
    System(
        "Celery",
        "celery_app",
        _CELERY,
        "prefork, prefetch 64, early acknowledgement, no events, gossip, mingle or heartbeat",
        venv="celery",
        several=True,
        supervises=True,
    ),
    System(
        "Celery, late ack",
        "celery_app",
        _CELERY,
        "as Celery, with acks_late, reject_on_worker_lost, visibility_timeout 5 s looked at each second",
        venv="celery",
        variant="late",
        several=True,
        supervises=True,
        kill_only=True,
    ),
    System(
        "Dramatiq",
        "dramatiq_app",
        ("-m", "dramatiq", "bench.queue_adapters.dramatiq_app", "--processes", "{processes}", "--threads", "1"),
        "one thread a process, prefetch 64, heartbeat_timeout 15 s, maintenance in 10 % of its commands",
        venv="dramatiq",
        several=True,
        supervises=True,
        environment={"dramatiq_queue_prefetch": "64"},
    ),
    System(
        "Taskiq, list",
        "taskiq_app",
        _TASKIQ,
        "uvloop, no parsing of arguments, jobs as coroutines",
        venv="taskiq",
        variant="list",
        several=True,
        supervises=True,
    ),
    System(
        "Taskiq, stream",
        "taskiq_app",
        _TASKIQ,
        "the same, acknowledged once the result is saved; idle_timeout 5 s",
        venv="taskiq",
        variant="stream",
        several=True,
        supervises=True,
    ),
    System(
        "arq",
        "arq_app",
        _module("arq_app"),
        "poll_delay 20 ms instead of 500, uvloop, job_timeout 5 s, jobs as coroutines",
        venv="arq",
    ),
    System(
        "Huey",
        "huey_app",
        ("-c", _HUEY, "bench.queue_adapters.huey_app.huey", "-k", "process", "-w", "{processes}", "-n", "-q"),
        "process workers, blocking pop, no periodic tasks",
        venv="huey",
        several=True,
        supervises=True,
    ),
)


def prepare(venvs: Path, system: System) -> None:
    """Make a system's environment, unless it is there. Raises: CalledProcessError."""
    if system.venv is None:
        return
    place = _place(venvs, system.venv)
    if (place / "complete").exists():
        return
    print(f"installing {', '.join(PINS[system.venv])}", file=sys.stderr, flush=True)
    shutil.rmtree(place, ignore_errors=True)
    python = place / "bin" / "python"
    if uv := shutil.which("uv"):
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(place)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *PINS[system.venv]])
    else:
        _run([sys.executable, "-m", "venv", str(place)])
        _run([str(python), "-m", "pip", "install", "--quiet", *PINS[system.venv]])
    (place / "complete").touch()


def _place(venvs: Path, name: str) -> Path:
    """Return the folder of an environment; other pins have another one."""
    return venvs / f"{name}-{hashlib.sha256(' '.join(PINS[name]).encode()).hexdigest()[:8]}"


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
