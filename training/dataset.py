"""Read a data set: CSV (also .gz) or Parquet, in any of the known column layouts; or fetch one over HTTP.

Nothing is guessed: a missing column, a word where a number belongs, a row with too few fields or a file that ends
in the middle is an error that says where.
"""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import os
import re
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import pandas as pd
import pyarrow
import pyarrow.parquet
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

import settings

ALIASES = {"artists": "artist_name", "track_genre": "genre"}
"""Column names of the 114,000-row layout → ours, which are those of the 1,159,764-track file."""

TEXT = ("track_id", "track_name", "artist_name", "genre", "album_name")
NUMBERS = (
    *("popularity", "year", "danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness"),
    *("instrumentalness", "liveness", "valence", "tempo", "duration_ms", "time_signature"),
)
FLAG = "explicit"
OPTIONAL = frozenset({"popularity", "year", "genre", "album_name", "duration_ms", "time_signature", FLAG})
_COLUMNS = (*TEXT, *NUMBERS, FLAG)
_MISSING = ["", "nan", "NaN", "null", "NA", "None"]  # in number columns; a song may well be called "None"
_FLAGS = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}

Opener = Callable[[Path], BinaryIO]


class DatasetError(Exception):
    """A file that cannot be read as a data set. The message names the file and, where there is one, column and row."""


def read(path: Path, opener: Opener = lambda path: path.open("rb")) -> pd.DataFrame:
    """Return the rows of `path` in our column names, an absent optional column wholly unknown.

    opener: opens the file for reading bytes; for a progress bar. Text is str or missing, numbers float64 or NaN,
    explicit 1, 0 or NaN. Rows keep their order.

    Raises: DatasetError. Row numbers in it count from 1 and leave out the header.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise DatasetError(f"{path}: the file is empty")
    frame = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path, opener)
    if frame.empty:
        raise DatasetError(f"{path}: has columns but no rows")
    return complete(frame)


def complete(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with all our columns, in their types; those that it lacks are wholly unknown."""
    for column in _COLUMNS:
        values = frame[column] if column in frame else pd.Series(None, index=frame.index, dtype="object")
        frame[column] = values.astype("str") if column in TEXT else values.astype("float64")
    return frame[list(_COLUMNS)]


def fetch(
    url: str, path: Path, *, connect_timeout_s: float, total_timeout_s: float, tell: Callable[[int, int], None]
) -> None:
    """Download `url` to `path`, whole or not at all, and check that it is a data set.

    connect_timeout_s: to connect, and for each silence after that. tell: called with bytes so far and bytes in all
    (0 if the server does not say).

    Raises: DatasetError, in a sentence; nothing is left behind.
    """
    partial = path.with_name(path.name + ".part")
    deadline = time.monotonic() + total_timeout_s
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not url.startswith(("http://", "https://")):
            raise DatasetError(f"{url}: no http:// or https:// address")
        request = urllib.request.Request(url, headers={"User-Agent": "segue"})  # noqa: S310 — checked above
        with (
            urllib.request.urlopen(request, timeout=connect_timeout_s) as answer,  # noqa: S310 — checked above
            partial.open("wb") as file,
        ):
            expected, received = int(answer.headers.get("Content-Length") or 0), 0
            while block := answer.read1(1 << 16):
                file.write(block)
                received += len(block)
                tell(received, expected)
                if time.monotonic() > deadline:
                    raise DatasetError(f"{url}: not done after {total_timeout_s:.0f} s ({received:,} bytes)")
            file.flush()
            os.fsync(file.fileno())
        if expected and received != expected:
            raise DatasetError(f"{url}: broke off after {received:,} of {expected:,} bytes")
        with partial.open("rb") as file:
            header = _header(path, file)
        _check_fields(partial, len(header))
        partial.rename(path)
    except urllib.error.HTTPError as error:
        with error:
            raise DatasetError(f"{url}: {error.reason}") from error
    except (OSError, http.client.HTTPException, urllib.error.URLError, ValueError) as error:
        raise DatasetError(f"{url}: {getattr(error, 'reason', None) or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _check_columns(path: Path, columns: list[str]) -> None:
    ours = [ALIASES.get(column, column) for column in columns]
    missing = [column for column in _COLUMNS if column not in ours and column not in OPTIONAL]
    if missing:
        names = ", ".join(f"{c} (or {a})" if (a := _alias(c)) else c for c in missing)
        raise DatasetError(f"{path}: column missing: {names}; the file has: {', '.join(columns)[:500]}")
    twice = sorted({column for column in _COLUMNS if ours.count(column) > 1})
    if twice:
        raise DatasetError(f"{path}: column there twice: {', '.join(twice)}")


def _alias(column: str) -> str | None:
    return next((alias for alias, ours in ALIASES.items() if ours == column), None)


def _read_parquet(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame
    try:
        schema = pyarrow.parquet.read_schema(path)
        columns = schema.names
        _check_columns(path, columns)
        for field in schema:
            binary = pyarrow.types.is_binary(field.type) or pyarrow.types.is_large_binary(field.type)
            if ALIASES.get(field.name, field.name) in TEXT and (binary or pyarrow.types.is_nested(field.type)):
                raise DatasetError(f"{path}: column {field.name} holds {field.type}, not text")
        wanted = [column for column in columns if ALIASES.get(column, column) in _COLUMNS]
        frame = pyarrow.parquet.read_table(path, columns=wanted).to_pandas().rename(columns=ALIASES)
    except (pyarrow.ArrowException, OSError) as error:
        raise DatasetError(f"{path}: not a whole Parquet file ({error})") from error
    for column in frame:
        if column in NUMBERS:
            frame[column] = _numbers(path, str(column), frame[column], 0)
        elif column == FLAG:
            frame[column] = _flags(path, frame[column], 0)
        else:
            frame[column] = frame[column].astype("str")
    return frame


def _read_csv(path: Path, opener: Opener) -> pd.DataFrame:
    def parse(file: BinaryIO, dtype: Any, **options: Any) -> Any:
        return pd.read_csv(
            gzip.open(file) if path.suffix == ".gz" else file,
            usecols=lambda column: ALIASES.get(column, column) in _COLUMNS,
            dtype=dtype,
            keep_default_na=False,
            na_values={c: [""] if ALIASES.get(c, c) in TEXT else _MISSING for c in header},
            encoding="utf-8",
            **options,
        )

    try:
        with _plain(path) as file:
            header = _header(path, file)
        _check_fields(path, len(header))
        types = {c: "float64" if ALIASES.get(c, c) in NUMBERS else "str" for c in header}
        try:
            with opener(path) as file:
                frame = parse(file, types)
        except ValueError as error:
            if isinstance(error, pd.errors.ParserError | UnicodeDecodeError):
                raise
            first = 0
            with path.open("rb") as file:
                for chunk in parse(file, "str", chunksize=100_000):
                    for column in chunk:
                        if ALIASES.get(column, column) in NUMBERS:
                            _numbers(path, str(column), chunk[column], first)
                    first += len(chunk)
            raise DatasetError(f"{path}: {error}") from error
    except pd.errors.ParserError as error:
        if found := re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error)):
            expected, line, saw = map(int, found.groups())
            raise DatasetError(f"{path}: row {line - 1} has {saw} fields, the header has {expected}") from error
        raise DatasetError(f"{path}: {error}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetError(f"{path}: the .gz is cut off or damaged after row {_whole_rows(path)}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: row {_undecodable_row(path)} is not UTF-8 text") from error
    renamed: pd.DataFrame = frame.rename(columns=ALIASES)
    if FLAG in renamed:
        renamed[FLAG] = _flags(path, renamed[FLAG], 0)
    return renamed


def _header(path: Path, file: IO[bytes]) -> list[str]:
    line = file.readline(100_000)
    try:
        header = next(csv.reader([line.decode("utf-8-sig")]))
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise DatasetError(f"{path}: the first line is no CSV header in UTF-8") from error
    _check_columns(path, header)
    return header


def _numbers(path: Path, column: str, values: pd.Series, first: int) -> pd.Series:
    """Return `values` as float64. first: rows before these in the file. Raises: DatasetError at the first word."""
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    bad = numbers.isna() & values.notna() & (values.astype("str").str.lower() != "nan")
    if bad.any():
        at = int(bad.to_numpy().argmax())
        raise DatasetError(f"{path}: column {column}, row {first + at + 1}: {str(values.iloc[at])[:80]!r} is no number")
    return numbers


def _flags(path: Path, values: pd.Series, first: int) -> pd.Series:
    flags = values.astype("str").str.strip().str.lower().map(_FLAGS)
    bad = flags.isna() & values.notna()
    if bad.any():
        at = int(bad.to_numpy().argmax())
        word = str(values.iloc[at])[:80]
        raise DatasetError(f"{path}: column {FLAG}, row {first + at + 1}: {word!r} is neither true nor false")
    return flags.astype("float64")


def _plain(path: Path) -> IO[bytes]:
    """Open a file for reading what is in it, unpacked."""
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _check_fields(path: Path, expected: int) -> None:
    """Refuse rows with too few or too many fields, and quotes left open: pandas passes over most of them in silence."""
    row = 0
    with _plain(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
        fields: list[str] = []
        try:
            for row, fields in enumerate(csv.reader(text, strict=True)):  # noqa: B007
                if fields and len(fields) != expected:
                    break
            else:
                return
        except csv.Error as error:
            raise DatasetError(f"{path}: row {row + 1}: {error}; is the file cut off?") from error
        cut = "" if any(map(str.strip, text)) else ": is it cut off?"
        raise DatasetError(f"{path}: row {row} has {len(fields)} fields, the header has {expected}{cut}")


def _whole_rows(path: Path) -> int:
    rows = -1  # the header
    try:
        with _plain(path) as file:
            for _ in file:
                rows += 1
    except (EOFError, zlib.error, gzip.BadGzipFile):
        pass
    return max(rows, 0)


def _undecodable_row(path: Path) -> int:
    with _plain(path) as file:
        for row, line in enumerate(file):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return row
    return 0


def main() -> int:
    """Download a data set with a progress bar: `python -m training.dataset URL FILE`. Returns the exit code."""
    url, path = sys.argv[1], Path(sys.argv[2])
    config = settings.load()
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    try:
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("", total=None)
            fetch(
                url,
                path,
                connect_timeout_s=config.download_connect_timeout_s,
                total_timeout_s=config.download_timeout_s,
                tell=lambda so_far, total: progress.update(task, completed=so_far, total=total or None),
            )
    except DatasetError as error:
        print(f"the download failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
