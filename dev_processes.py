"""Processes of one launcher: kept alive, ended with it, and cleared away by the next if it was killed."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import redis_server
import settings

STOP_S = 14.0
"""How long a process may take to leave before it is made to: a little longer than the workers' parent gives them."""

_BACKOFF_S = (0.5, 1, 2, 4, 8, 16, 30)


class CannotStart(Exception):
    """Segue cannot start; the message says why and what to do."""


@dataclass
class Child:
    """A process that is kept alive. command: arguments after the interpreter."""

    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] = field(init=False)
    deaths: int = 0
    started: float = 0.0
    again_at: float | None = None

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it, in a session of its own, so that Ctrl-C in the terminal reaches the launcher alone."""
        self.process = spawn(self.command, self.environment)
        self.started, self.again_at = time.monotonic(), None

    def look_after(self) -> None:
        """Start it again if it died; the more often it dies soon after its start, the later."""
        if self.process.poll() is None:
            return
        kill_group(self.process)
        now = time.monotonic()
        if self.again_at is None:
            self.deaths = 0 if now - self.started > 60 else self.deaths
            pause = _BACKOFF_S[min(self.deaths, len(_BACKOFF_S) - 1)]
            say(f"{self.name} ended with {self.process.returncode}; starting it again in {pause:g} s")
            self.deaths, self.again_at = self.deaths + 1, now + pause
        elif now >= self.again_at:
            self.start()


def spawn(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a Python process of ours; it ends with the launcher."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=settings.ROOT,
        env=environment,
        stdout=sys.stderr,
        start_new_session=True,
        preexec_fn=redis_server.die_with_parent,
    )


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask processes to leave, then make them."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + STOP_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        kill_group(process)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what a process that has ended left of its group: the API's server and the workers are its processes."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def say(what: str) -> None:
    """Tell the person at the terminal."""
    print(f"segue: {what}", file=sys.stderr, flush=True)


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the lock of this SEGUE_HOME. Raises: CannotStart if another launcher holds it."""
    with (home / "launcher.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Segue runs already from {home}{_pid_in(lock)}; stop it, or set SEGUE_HOME to another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _pid_in(lock: IO[str]) -> str:
    lock.seek(0)
    return f" (process {pid})" if (pid := lock.read(20).strip()) else ""


@contextmanager
def no_leftovers(home: Path) -> Iterator[Callable[[list[int]], None]]:
    """End what a launcher that was killed left running (where the kernel did not); yield how to note what runs now."""
    path = home / "processes.json"
    noted: list[int] = []
    with suppress(OSError, ValueError):  # no file, or written halfway: then the kernel's word counts
        noted = [int(pid) for pid in json.loads(path.read_text())]
    for pid in noted:
        if _is_ours(pid, home):
            say(f"ending process {pid}, left by a launcher that was killed")
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_S
    while any(_is_ours(pid, home) for pid in noted) and time.monotonic() < deadline:
        time.sleep(0.1)
    written: list[int] = []

    def register(pids: list[int]) -> None:
        nonlocal written
        if pids != written:
            path.write_text(json.dumps(pids))
            written = pids

    yield register


def _is_ours(pid: int, home: Path) -> bool:
    """Whether `pid` is a process of Segue's: a number may have been given to somebody else since."""
    try:
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)],  # noqa: S607 — wherever the system keeps it
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return any(
        mark in shown.stdout
        for mark in ("-m worker recommend", "-m worker webhooks", "-m api serve", str(home / "redis"))
    )
