"""Run the command line as a process of its own, and interrupt it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import settings
from tests.services import wait_for


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class CommandLine:
    """Runs commands. module: what is run; first: arguments that come first; environment: what they are told."""

    environment: dict[str, str]
    folder: Path
    module: str = "producer"
    first: tuple[str, ...] = ()

    def start(self, *arguments: str | Path, stdin: bytes | None = None) -> subprocess.Popen[bytes]:
        """Start a command; what it says can be read when it is over."""
        process = subprocess.Popen(
            [sys.executable, "-m", self.module, *self.first, *map(str, arguments)],
            cwd=settings.ROOT,
            env=settings.child_environment(**self.environment),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        if stdin is not None:
            assert process.stdin
            process.stdin.write(stdin)
            process.stdin.close()
            process.stdin = None
        return process

    def run(self, *arguments: str | Path, stdin: bytes | None = None, timeout_s: float = 120) -> Done:
        """Run a command to its end."""
        return self.end(self.start(*arguments, stdin=stdin), timeout_s)

    @staticmethod
    def end(process: subprocess.Popen[bytes], timeout_s: float = 120) -> Done:
        """Wait for a command's end; a traceback is never one."""
        try:
            out, err = process.communicate(timeout=timeout_s)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        done = Done(process.returncode, out.decode(), err.decode())
        assert "Traceback" not in done.err, done.err
        return done


def grown(path: Path, size: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a file has `size` bytes, or the process has ended."""
    wait_for(
        lambda: process.poll() is not None or (path.exists() and path.stat().st_size >= size),
        f"{path.name} to grow",
        120,
    )


def same_files(one: Path, other: Path) -> int:
    """See that two folders hold the same, byte by byte. → how many files that is."""
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    return len(names)


def rows_of(path: Path) -> Sequence[bytes]:
    """Return the lines of a file."""
    return path.read_bytes().splitlines()
