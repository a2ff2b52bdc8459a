"""What a run leaves: a file a row or a line a row, and a file of the rows to retry. All of it from the journal alone.

Each file is written beside its name and then renamed, so nobody meets half of one.
"""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from producer import files
from producer.cli.asked import STDIN
from producer.cli.errors import Wrong
from producer.cli.journal import Journal, as_line
from producer.cli.options import Output
from producer.cli.service import Fields
from producer.cli.stopping import Stop
from producer.playlists.reading import Reading, Row
from producer.playlists.writing import FORMATS, document_of

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u2028\u2029\ud800-\udfff]')
_MOST_BYTES = 120
"""Of a title in a file's name: file systems take 255 with all that stands around it."""

_SUFFIXES = {"csv": ".csv", "jsonl": ".jsonl", "m3u8": ".m3u8", "xspf": ".xspf", "jspf": ".jspf", "lines": ".txt"}


@dataclass(frozen=True)
class Trouble:
    """A row that was not answered as asked. fallback: it has an answer, which is second best."""

    row: Row
    why: str
    fallback: bool


@contextmanager
def whole(path: Path, lasting: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that appears under its name when it is whole, and not at all if that fails. Raises: Wrong.

    A link stays one: what it leads to is written. A pipe or a device is written to as it is. lasting: the file
    outlives a loss of power.
    """
    try:
        if _is_special(path):
            with path.open("wb") as file:
                yield file
            return
        with files.whole(path.resolve(), lasting) as file:
            yield file
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise Wrong(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _is_special(path: Path) -> bool:
    """Whether something other than a file stands there, which must not be replaced by one."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return False


def refuse_input(file: Path, *places: Path) -> None:
    """See that what is read is not among what will be written. Raises: Wrong."""
    for place in places:
        if file != STDIN and file.is_file() and place.is_file() and file.samefile(place):
            raise Wrong(f"{file} is the input, and {place} would be written over it; give another --out")


def write(answer: Fields, form: str, title: str, location: str | None = None) -> str:
    """Return an answer as a file's text. A fallback says there that it is one.

    form: a name of FORMATS, or json. location: a template, in forms that have a place for it.
    """
    if form == "json":
        return json.dumps(answer, ensure_ascii=False, indent=2) + "\n"
    document = document_of(answer, title)
    if answer.get("degraded"):
        note = f"A fallback ({answer['strategy']}): these are not songs like the one that was asked for."
        document = replace(document, note=f"{note} {document.note}".strip())
    return FORMATS[form].write(document, location) if FORMATS[form].has_locations else FORMATS[form].write(document)


def put(output: Output, answer: Fields, title: str) -> None:
    """Write an answer where it is to go. Raises: Wrong."""
    text = write(answer, output.name, title, output.location).encode(errors="replace")
    if output.output in (None, STDIN, Path("/dev/stdout")):
        try:
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # whoever reads has seen enough (| head)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    with whole(output.output) as file:
        file.write(text)


class Outputs:
    """Where a run's answers go. out: a .jsonl for a line a row, else a folder for a file a row in each of `formats`.

    location: a template, for those that have a place for it.
    """

    def __init__(self, out: Path, formats: Sequence[str], reading: Reading, location: str | None = None) -> None:
        """Take the place by its name. Raises: Wrong: it has none."""
        self.out = out.resolve() if out.name in ("", "..") else out
        if not self.out.name:
            raise Wrong(f"--out {out} has no name for the journal and the rows to retry; give a folder within it")
        self._formats, self._reading, self._location = formats, reading, location
        self._digits = max(4, len(str(reading.rows[-1].number)))

    @property
    def journal(self) -> Path:
        """Where the journal stands."""
        return self.out.with_name(f"{self.out.name}.journal")

    @property
    def retry(self) -> Path:
        """Where the rows to retry stand."""
        return self.out.with_name(f"{self.out.name}.failed{_SUFFIXES[self._reading.kind]}")

    @property
    def is_lines(self) -> bool:
        """Whether it is one file, with a line a row."""
        return self.out.suffix.lower() == ".jsonl"

    def prepare(self, file: Path) -> None:
        """See that it can be written to. file: the input, which is to outlive it. Raises: Wrong."""
        refuse_input(file, self.out, self.journal, self.retry)
        try:
            (self.out.parent if self.is_lines else self.out).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Wrong(f"--out {self.out}: {error.strerror}") from error
        if self.is_lines and self.out.is_dir():
            raise Wrong(f"--out {self.out} is a folder")

    def write(self, journal: Journal, stop: Stop) -> list[Trouble]:
        """Write all of it, in the rows' order. → what was not answered as asked. Raises: Wrong, Stopped."""
        troubles: list[Trouble] = []
        if self.is_lines:
            with whole(self.out, lasting=True) as file:
                for _, line in self._lines(journal, troubles, stop):
                    file.write(line)
        else:
            for row, line in self._lines(journal, troubles, stop):
                found = json.loads(line)
                if "result" in found:
                    self._write_files(row, found["result"])
            os.sync()  # thousands of files: one by one it would take minutes
        self._write_retry(troubles)
        return troubles

    def _lines(self, journal: Journal, troubles: list[Trouble], stop: Stop) -> Iterator[tuple[Row, bytes]]:
        for row in self._reading.rows:
            stop.check()
            if row.seed is None:
                error = {"code": "unreadable", "detail": row.error, "pointer": ""}
                line = as_line({"row": row.number, "seed": None, "status": "failed", "error": error})
                troubles.append(Trouble(row, str(row.error), fallback=False))
            else:
                line = journal.line(row.number)
                if trouble := _trouble(row, line):
                    troubles.append(trouble)
            yield row, line

    def _write_files(self, row: Row, answer: Fields) -> None:
        title = _title(row, answer)
        for form in self._formats:
            suffix = FORMATS[form].suffix if form in FORMATS else f".{form}"
            path = self.out / f"{row.number:0{self._digits}} {safe(title)}{suffix}"
            with whole(path) as file:
                file.write(write(answer, form, f"Songs like {title}", self._location).encode())

    def _write_retry(self, troubles: Iterable[Trouble]) -> None:
        rows = [trouble.row for trouble in troubles]
        if not rows:
            self.retry.unlink(missing_ok=True)
            return
        with whole(self.retry) as file:
            file.write(self._reading.retry(rows).encode(errors="replace"))


def safe(title: str) -> str:
    """Return a title as part of a file's name, on every system."""
    kept = " ".join(_FORBIDDEN.sub(" ", title).split())
    return kept.encode()[:_MOST_BYTES].decode(errors="ignore").strip(" .") or "untitled"


def _title(row: Row, answer: Fields) -> str:
    """Return what a row's list is called after: the song as the catalogue has it, or as it was given."""
    found: dict[str, Any] = answer["seeds"][0] if answer["seeds"] else {}
    given = row.seed or {}
    return str(found.get("name") or given.get("name") or given.get("track_id") or given.get("artist") or "")


def _trouble(row: Row, line: bytes) -> Trouble | None:
    """Return what is wrong with an answer. Only a line that may have something is read: most have nothing."""
    if b'"status":"succeeded"' in line and b'"degraded":false' in line and b'"tracks":[]' not in line:
        return None
    found = json.loads(line)
    if "error" in found:
        error = found["error"]
        return Trouble(row, f"{error['pointer']} {error['detail']}".strip(), fallback=False)
    answer = found["result"]
    if answer["degraded"] or not answer["tracks"]:
        return Trouble(row, "; ".join(answer["warnings"]) or f"a fallback ({answer['strategy']})", fallback=True)
    return None
