"""What a run of a file has asked and been answered, on disk: a line at a time, so that nothing is asked twice.

The first line tells what the run is. Then, as it happens, a line for each batch that was submitted and one for each
answer, which is the line that the output will hold. A line that a crash tore in two is the last; it is dropped. Nothing
of an answer stays in memory but where it stands.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from producer.cli.errors import Wrong

_FORMAT = 1
_SYNC_EVERY_S = 1.0
_NOWHERE = 2**64 - 1


class Journal:
    """The journal of one run.

    head: what the run is. is_begun: it is this process's own. batches: by chunk, what was submitted last: `attempt`,
    `batch`, `rows` (those asked). answered: how many rows are.
    """

    def __init__(self, path: Path, most: int) -> None:
        """most: the highest number of a row. Raises: Wrong: another process writes it."""
        self.path = path
        self.batches: dict[int, dict[str, Any]] = {}
        self.head: dict[str, Any] = {}
        self._starts = array("Q", [_NOWHERE]) * (most + 1)
        self._lengths = array("I", [0]) * (most + 1)
        self.answered = 0
        self.is_begun = False
        with self._told():
            self._file = _locked(path)
        self._end = 0
        self._synced = time.monotonic()

    @property
    def is_empty(self) -> bool:
        """Whether no line of it is whole: a run begins."""
        self._file.seek(0)
        return not self._file.readline().endswith(b"\n")

    def begin(self, head: dict[str, Any]) -> None:
        """Begin a run. head: what it is; kept as it is."""
        with self._told():
            self._file.truncate(0)
        self.head = {"journal": _FORMAT, **head}
        self._write(as_line(self.head))
        self.sync()
        self.is_begun = True

    def read_head(self) -> None:
        """Read what the run is. Raises: Wrong: this is no journal."""
        self._file.seek(0)
        self.head = _read(self._file.readline()) or {}
        if self.head.get("journal") != _FORMAT:
            raise Wrong(f"{self.path} is no journal of this release; delete it to begin anew")

    def resume(self) -> None:
        """Read what was done, and drop a line that was torn. Only with the input that `head` tells of."""
        self.is_begun = True
        self._file.seek(0)
        for number, line in enumerate(self._file):
            found = _read(line)
            if found is None:
                break
            if "batch" in found:
                self.batches[found["chunk"]] = found
            elif number > 0:
                self._note(found["row"], self._end, len(line))
            self._end += len(line)
        self._file.truncate(self._end)
        self._file.seek(self._end)

    def submitted(self, chunk: int, attempt: int, batch: str, rows: Sequence[int]) -> None:
        """Note a batch, for good, before anything of it is read."""
        self.batches[chunk] = {"chunk": chunk, "attempt": attempt, "batch": batch, "rows": list(rows)}
        self._write(as_line(self.batches[chunk]))
        self.sync()

    def answer(self, line: dict[str, Any]) -> None:
        """Note what became of `row`. line: as the output will hold it; the first that is noted counts."""
        if self.has(line["row"]):
            return
        written = as_line(line)
        self._note(line["row"], self._end, len(written))
        self._write(written)
        if time.monotonic() > self._synced + _SYNC_EVERY_S:
            self.sync()

    def has(self, row: int) -> bool:
        """Whether a row is answered."""
        return self._starts[row] != _NOWHERE

    def line(self, row: int) -> bytes:
        """Return what became of a row, as it was noted."""
        return os.pread(self._file.fileno(), self._lengths[row], self._starts[row])

    def sync(self) -> None:
        """See that what was noted outlives a loss of power. Raises: Wrong: the disk does not take it."""
        with self._told():
            self._file.flush()
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Write out what was noted, and let others have it; one in which nothing stands goes."""
        with suppress(OSError, Wrong):  # a disk that is full was told of already
            self.sync()
        with suppress(OSError):
            if self.is_empty:
                self.path.unlink(missing_ok=True)
                self.is_begun = False
        with suppress(OSError):
            self._file.close()

    def delete(self) -> None:
        """Delete it: all that it holds stands elsewhere."""
        self.path.unlink(missing_ok=True)
        self._file.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say of what fails on the disk what it is. Raises: Wrong."""
        try:
            yield
        except OSError as error:
            raise Wrong(f"{self.path}: {error.strerror or error}") from error

    def _note(self, row: int, start: int, length: int) -> None:
        if not self.has(row):
            self.answered += 1
            self._starts[row], self._lengths[row] = start, length

    def _write(self, line: bytes) -> None:
        with self._told():
            self._file.write(line)
        self._end += len(line)


def _locked(path: Path) -> IO[bytes]:
    """Open a file that no other process has. Raises: OSError; Wrong: one has."""
    while True:
        file = path.open("a+b")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise Wrong(f"another run writes to the same place: it holds {path}") from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # a run that ended meanwhile has deleted it


def _read(line: bytes) -> dict[str, Any] | None:
    """Return what a line holds; None: it is torn."""
    try:
        found = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def as_line(value: dict[str, Any]) -> bytes:
    """Return a line of JSON Lines. Half a character, which JSON may hold and UTF-8 not, stays escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace") + b"\n"
