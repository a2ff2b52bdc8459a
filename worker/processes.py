"""The parent of the worker processes: forks them off the model that it has loaded, and looks after them.

It answers nothing itself. It has one thread, so that it may fork, and no connection to Redis, so that nothing that
happens to Redis can stop it. Five times a second it
- starts what has died again, the more often it died the later;
- kills what has been busy for longer than it said that it would be: Python code is stopped by a time limit within the
  process, but code in C that never returns, perhaps with the lock of the interpreter in hand, only from outside;
- looks, once a second, whether CURRENT names another model. It loads that one, hashes checked, and tells its processes,
  which load it beside the old one and change over between two batches. One that cannot be used is refused.
SIGTERM and SIGINT go on to the processes, which finish what they have in hand.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import FrameType
from typing import NoReturn

from artifacts import store
from artifacts.manifest import ModelError
from worker.models import HOLDER
from worker.slots import SharedMemory, Slot

log = logging.getLogger("segue.worker")

_LOOK_S = 0.2
_LOOK_AT_CURRENT_S = 1.0
_STOP_S = 12.0
_LATE_LOOKS = 10
"""How often in a row a process is seen to be late before it is killed: 2 s. Looks, not seconds: after a pause of the
whole machine everybody is late, and may first go on."""

_BACKOFF_S = (0.5, 1, 2, 4, 8, 16, 30)
_STABLE_S = 60.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_PR_SET_PDEATHSIG = 1


@dataclass
class _Process:
    """A worker process, or the place of one. pid: None while it is dead; deaths: those soon after a start."""

    number: int
    pid: int | None = None
    started: float = 0.0
    again_at: float = 0.0
    deaths: int = 0
    deadline: float = 0.0
    late: int = 0

    @property
    def name(self) -> str:
        return f"worker {self.number + 1}"


class Parent:
    """Keeps `count` processes at work, each running `work`, from the model that HOLDER has loaded from `root`.

    memory_mb: what each may have, mapped models not counted.
    """

    def __init__(self, count: int, root: Path, memory_mb: int, work: Callable[[Slot], None]) -> None:
        self._root, self._memory_mb, self._work = root, memory_mb, work
        self._version = self._seen = HOLDER.model.manifest.version
        self._shared = SharedMemory(count, self._version)
        self._processes = [_Process(number) for number in range(count)]
        self._pid = os.getpid()
        self._looked_at = 0.0
        self._stopping: float | None = None
        self._told = False

    def run(self) -> None:
        """Look after the processes until told to stop, and until all of them have left."""
        for number in _SIGNALS:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as a shell may pass it on, it would hide how one ended
        _limit_memory(self._memory_mb)
        _keep_shared()
        while self._stopping is None or any(process.pid for process in self._processes):
            if self._stopping is not None:
                self._pass_on()
            for process in self._processes:
                if process.pid is not None:
                    self._look_at(process, process.pid)
                elif self._stopping is None and time.monotonic() >= process.again_at:
                    self._start(process)
            if self._stopping is None and time.monotonic() >= self._looked_at + _LOOK_AT_CURRENT_S:
                self._looked_at = time.monotonic()
                self._look_at_current()
            time.sleep(_LOOK_S)

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        # No more than that: the process that a signal goes on to may be starting, or ending, at this moment.
        self._stopping = self._stopping or time.monotonic()

    def _pass_on(self) -> None:
        """Tell the processes to leave, once."""
        if not self._told:
            log.info("told to stop: the worker processes leave")
            self._told = True
            for process in self._processes:
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGTERM)

    def _start(self, process: _Process) -> None:
        # Held back, so that no signal comes to the new process before its own handlers are there.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            if self._stopping is None:
                self._shared.set_deadline(process.number, 0.0)
                pid = os.fork()
                if pid == 0:
                    self._be(process)
                process.pid, process.started, process.late = pid, time.monotonic(), 0
                log.info("%s is process %d", process.name, pid)
        except OSError as error:  # no memory, or too many processes
            pause_s = self._again_later(process)
            log.error("%s could not be started (%s); trying again in %g s", process.name, error, pause_s)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _be(self, process: _Process) -> NoReturn:
        """Be a worker process, from its fork to its end."""
        code = 1
        try:
            _die_with(self._pid)
            stopping = Event()
            for number in _SIGNALS:
                signal.signal(number, lambda *_: stopping.set())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._work(Slot(process.number, self._shared, stopping, self._pid))
            code = 0
        except BaseException:
            log.exception("%s ends with an error", process.name)
        finally:
            logging.shutdown()
            os._exit(code)  # what the parent would do at its end is not for its copies to do

    def _look_at(self, process: _Process, pid: int) -> None:
        """See whether a process has ended, or has to."""
        ended, status = os.waitpid(pid, os.WNOHANG)
        now = time.monotonic()
        if ended:
            process.pid = None
            how = _how(os.waitstatus_to_exitcode(status))
            if self._stopping is not None:
                log.info("%s (process %d) has left (%s)", process.name, pid, how)
                return
            process.deaths = 0 if now - process.started > _STABLE_S else process.deaths
            pause_s = self._again_later(process)
            log.warning("%s (process %d) ended (%s); starting it again in %g s", process.name, pid, how, pause_s)
            return
        deadline = self._shared.deadline(process.number)
        process.late = process.late + 1 if 0 < deadline < now and deadline == process.deadline else 0
        process.deadline = deadline
        if process.late > _LATE_LOOKS:
            log.error("%s (process %d) hangs, its time was over %.1f s ago: killed", process.name, pid, now - deadline)
        elif self._stopping is None or now < self._stopping + _STOP_S:
            return
        else:
            log.error("%s (process %d) has not left within %g s: killed", process.name, pid, _STOP_S)
        process.late = 0
        os.kill(pid, signal.SIGKILL)

    def _again_later(self, process: _Process) -> float:
        """Note when to start a process again. → how many seconds from now."""
        pause_s = _BACKOFF_S[min(process.deaths, len(_BACKOFF_S) - 1)]
        process.deaths += 1
        process.again_at = time.monotonic() + pause_s
        return pause_s

    def _look_at_current(self) -> None:
        """Go over to the model that CURRENT names, if it names another one than at the last look."""
        try:
            version = store.current(self._root) or "CURRENT is gone"
        except ModelError as error:
            version = str(error)  # no version's name, and refused as such
        if version == self._seen:
            return
        self._seen = version
        if version == self._version:
            return
        try:
            HOLDER.load(self._root, version)
        except ModelError as error:
            log.error("going on with model %s; refused: %s", self._version, error)
            return
        self._version = version
        _keep_shared()
        self._shared.publish(version)


def _keep_shared() -> None:
    """Keep the garbage collector from writing to what is there, so that its pages stay shared after a fork."""
    gc.collect()
    gc.freeze()


def _limit_memory(memory_mb: int) -> None:
    """Limit what this process, and each one forked from it, may have for its data: more is a MemoryError.

    On Linux that is all memory that can be written and is not shared, mapped models not among it.
    """
    _, hardest = resource.getrlimit(resource.RLIMIT_DATA)
    limit = memory_mb * 2**20
    limit = limit if hardest == resource.RLIM_INFINITY else min(limit, hardest)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (limit, hardest))
    except (OSError, ValueError) as error:
        log.warning("memory is not limited, because this system refuses to (%s)", error)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone, even by kill -9 (Linux; elsewhere nothing).

    SIGKILL, because a process that hangs would not heed anything else, and nobody would be there to see that it does.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has gone already
        os._exit(1)


def _how(exit_code: int) -> str:
    """Say how a process ended. exit_code: negative, the number of the signal that killed it."""
    try:
        return f"exit code {exit_code}" if exit_code >= 0 else signal.Signals(-exit_code).name
    except ValueError:
        return f"signal {-exit_code}"
