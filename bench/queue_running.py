"""One system at work, for `bench.queue_peers`: its clients, its workers, and the records of what has run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
import redis

import redis_server
from bench.queue_systems import System
from bench.queue_work import EXTRA, RECORD
from redis_server import RedisServer
from settings import ROOT

START_S = 30.0
"""How long workers may take to run their first job."""


class DidNotWork(Exception):
    """A system did not run its jobs. The message says where its output is."""


@dataclass
class Unit:
    """A command that was started, with all processes that come of it."""

    number: int
    process: subprocess.Popen[bytes]

    def tree(self) -> list[psutil.Process]:
        """Return its living processes, itself first."""
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """Kill all of it at once, by id. Stopped first, so that it starts nobody meanwhile."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)
        for process in self.tree():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


@dataclass
class Bench:
    """One system at one Redis. Its records are of what ran since `clear`."""

    system: System
    venvs: Path
    server: RedisServer
    folder: Path
    units: list[Unit] = field(default_factory=list)
    runs: int = 0
    _client: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file of records."""
        return self.folder / f"{self.system.adapter}-{self.system.variant}-{self.runs}.log"

    def clear(self) -> None:
        """Begin anew: an empty Redis, an empty log, and a client that knows of nothing."""
        self.close()
        self.log.unlink(missing_ok=True)  # not emptied: who was told of it may still write to it
        self.runs += 1
        self.log.write_bytes(b"")
        with redis.Redis.from_url(self.server.url) as connection:
            connection.flushall()

    def close(self) -> None:
        """End the client."""
        if self._client:
            self._client.kill()
            self._client.communicate()
            self._client = None

    def fill(self, kind: str, most: int, seconds: float = START_S, first: int = 0) -> dict[str, Any]:
        """Have the client queue jobs; see `bench.queue_client`. → what it said. Raises: DidNotWork."""
        return self._ask(what="fill", kind=kind, first=first, most=most, seconds=seconds)

    def pace(self, kind: str, rate: float, seconds: float, first: int) -> dict[str, Any]:
        """Have the client queue jobs at a rate; see `bench.queue_client`. → what it said. Raises: DidNotWork."""
        return self._ask(what="pace", kind=kind, first=first, rate=rate, seconds=seconds)

    def _ask(self, **given: Any) -> dict[str, Any]:
        if self._client is None:
            command = [self.system.python(self.venvs), "-m", "bench.queue_client", self.system.adapter]
            self._client = self._start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._client.stdin
        assert self._client.stdout
        with suppress(BrokenPipeError):
            self._client.stdin.write(json.dumps(given).encode() + b"\n")
            self._client.stdin.flush()
        line = self._client.stdout.readline()
        if not line:
            raise self._failure("its client failed")
        said: dict[str, Any] = json.loads(line)
        return said

    @contextmanager
    def working(self, processes: int) -> Iterator[None]:
        """Have workers at work inside."""
        units = 1 if self.system.several else processes
        with self.units_working(units, processes // units):
            yield

    @contextmanager
    def units_working(self, units: int, processes: int) -> Iterator[None]:
        """Have so many units at work inside, of so many worker processes each."""
        try:
            for number in range(units):
                command = self.system.unit(self.venvs, number, processes)
                self.units.append(Unit(number, self._start(command)))
            yield
        finally:
            for unit in self.units:
                unit.kill()
            self.units.clear()

    def warm_up(self, processes: int) -> None:
        """Give jobs to the client and the workers until so many have run one. Raises: DidNotWork."""
        deadline, jobs = time.monotonic() + START_S, 0
        while self.done() < jobs or len(np.unique(self.records()["pid"])) < processes:
            if time.monotonic() > deadline:
                raise self._failure(f"{self.done()} of {jobs} jobs ran, but not on {processes} workers")
            if len(np.unique(self.records()["pid"])) < processes:
                self.fill("matvec", 2, first=EXTRA)
                jobs += 2
            time.sleep(0.05)

    def hold(self) -> None:
        """Have the kernel stop all processes of the workers."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def release(self) -> None:
        """Have them go on."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def revive(self) -> None:
        """Start units of one worker process that have ended again, as a supervisor does."""
        for unit in self.units:
            if unit.process.poll() is not None:
                unit.process = self._start(self.system.unit(self.venvs, unit.number, 1))

    def done(self) -> int:
        """Return how many jobs have run."""
        return self.log.stat().st_size // RECORD.itemsize

    def records(self) -> npt.NDArray[np.void]:
        """Return what has run, in the order of time."""
        records = np.fromfile(self.log, RECORD, count=self.done())
        return records[np.argsort(records["time"], kind="stable")]

    def wait(self, jobs: int, seconds: float) -> bool:
        """Wait until so many have run. → whether they did. The time begins with the first. Raises: DidNotWork."""
        started, deadline = time.monotonic(), None
        while (done := self.done()) < jobs:
            now = time.monotonic()
            if done and deadline is None:
                deadline = now + seconds
            if deadline and now > deadline:
                return False
            if not done and now > started + START_S:
                raise self._failure("no job ran")
            time.sleep(0.002)
        return True

    def _processes(self) -> list[psutil.Process]:
        return [process for unit in self.units for process in unit.tree()]

    def _start(
        self, command: list[str], stdin: int = subprocess.DEVNULL, stdout: int | None = None
    ) -> subprocess.Popen[bytes]:
        with self._output.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.system.variables(self.server.url, self.log),
                stdin=stdin,
                stdout=stdout or output,
                stderr=output,
                start_new_session=True,
                preexec_fn=redis_server.die_with_parent,
            )

    @property
    def _output(self) -> Path:
        return self.folder / f"{self.system.adapter}-{self.system.variant}.out"

    def _failure(self, what: str) -> DidNotWork:
        tail = self._output.read_text(errors="replace")[-2000:]
        return DidNotWork(f"{self.system.name}: {what}; the end of its output:\n{tail}")
