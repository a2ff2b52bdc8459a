"""What a `kill -9` of a worker under load costs, for `bench.queue_peers`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np

from bench.queue_running import START_S, Bench
from bench.queue_work import EXTRA

_KILLS = 5
_STUCK_S = 5.0
"""How long to wait for the moment of a kill: it never comes where the kills before have cost too many jobs."""


@dataclass
class Kills:
    """What some kills of a worker under load cost, seen until `wait_s` after the last of them.

    whole: all processes of a worker were killed, as when its machine goes; else only the one that runs jobs, as when
    memory runs out. kills, jobs: how many. missing: jobs not run; twice: run more than once; seconds: from the last
    kill until every job had run.
    """

    bench: Bench
    whole: bool
    wait_s: float
    jobs: int = 0
    kills: int = 0
    killed_at: float = 0.0
    missing: int = 0
    twice: int = 0
    seconds: float = 0.0
    _next_job_at: float = 0.0

    @property
    def over(self) -> bool:
        """Whether the wait is."""
        return time.monotonic() > self.killed_at + self.wait_s

    def tend(self) -> None:
        """Start again what has ended, as a supervisor does, and queue a job a second. Raises: DidNotWork.

        The jobs, because some systems look for what a dead worker had only when there is something else to do.
        """
        self.bench.revive()
        if time.monotonic() > self._next_job_at:
            self._next_job_at = time.monotonic() + 1
            self.bench.fill("matvec", 1, first=EXTRA)

    def count(self) -> None:
        """Read the records."""
        records = self.bench.records()
        records = records[(records["job"] < EXTRA) & (records["time"] < self.killed_at + self.wait_s)]
        numbers, first, counts = np.unique(records["job"], return_index=True, return_counts=True)
        self.missing, self.twice = self.jobs - len(numbers), int((counts > 1).sum())
        self.seconds = max(0.0, float(records["time"][first].max(initial=0.0)) - self.killed_at)


@contextmanager
def killed(bench: Bench, *, whole: bool, jobs: int, wait_s: float) -> Iterator[Kills]:
    """Kill a worker some times while two work off a full queue, and leave them to recover inside.

    Who waits has to call `tend` meanwhile.
    """
    kills = Kills(bench, whole, wait_s)
    bench.clear()
    kills.jobs = int(bench.fill("matvec", jobs)["jobs"])
    # Two that do not depend on each other, also where one command could start both.
    with closing(bench), bench.units_working(2, 1):
        for number in range(1, _KILLS + 1):
            bench.wait(kills.jobs * number // (_KILLS + 1), _STUCK_S)
            kills.kills += _kill_a_busy_one(bench, whole)
            kills.killed_at = time.monotonic()
            bench.revive()
        yield kills


def _kill_a_busy_one(bench: Bench, whole: bool) -> bool:
    """Kill the worker that ran a job last, once one is seen that still lives. → whether one was."""
    deadline = time.monotonic() + START_S / 10
    while time.monotonic() < deadline:
        ran = bench.records()["pid"][-3:].tolist()
        for unit in bench.units:
            tree = unit.tree()
            # One that forks for each job: its child is the job, and gone before it can be looked up.
            busy = [process for process in tree if process.pid in ran] or (tree[1:] if bench.system.forks else [])
            if busy and whole:
                unit.kill()
                return True
            if busy:
                busy[-1].kill()
                return True
    return False
