"""run.sh under test: started from another folder, waited for, stopped, and seen to leave nothing behind."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

import settings
from tests.services import Client, is_gone, stop, wait_for

_READY = re.compile(rb"^Segue is ready: (http://127\.0\.0\.1:\d+)$", re.M)


@dataclass
class Launch:
    """A run of run.sh. out, err: what it has said."""

    process: subprocess.Popen[bytes]
    out: Path
    err: Path

    def client(self) -> Client:
        """Wait until it says that it is ready. → a client of the address that it prints."""

        def look() -> str | None:
            assert self.process.poll() is None, self.err.read_text()[-3000:]
            found = _READY.search(self.out.read_bytes())
            return found[1].decode() if found else None

        return Client(wait_for(look, f"run.sh to be ready; see {self.err}", 240))

    def refused(self) -> str:
        """Wait for its end. → what it said; it must have failed, without a traceback."""
        assert self.process.wait(120) == 1, self.err.read_text()[-3000:]
        said = self.err.read_text()
        assert "Traceback" not in said
        assert not _READY.search(self.out.read_bytes())
        return said

    def processes(self) -> list[psutil.Process]:
        """Everything that it has started."""
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def launch(clone: Path, home: Path, *options: str, **environment: str) -> Iterator[Launch]:
    """Run run.sh from another working directory; at the end stop it, and see that nothing of it is left."""
    out, err = home / "out.log", home / "err.log"
    environment = {"SEGUE_HOME": str(home), "DATASET_URL": "http://127.0.0.1:9/none.csv", **environment}
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            [str(clone / "run.sh"), *options],
            cwd=home,
            env=settings.child_environment(**environment),
            stdout=to_out,
            stderr=to_err,
            start_new_session=True,
        )
    launched = Launch(process, out, err)
    try:
        yield launched
        left = launched.processes() if process.poll() is None else []
        stop(process)
        gone(left)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def gone(processes: list[psutil.Process]) -> None:
    wait_for(lambda: all(is_gone(process) for process in processes), "their end")


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just gone
        return ""
