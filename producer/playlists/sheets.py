"""Read playlists as CSV: Exportify's, Soundiiz's, TuneMyMusic's, our own, or any that has a column for the title."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator

from producer.playlists.documents import clean
from producer.playlists.rows import (
    MAX_LINE,
    Prefer,
    Reading,
    Row,
    UnreadablePlaylist,
    bounded,
    is_track,
    passed_over,
    row_of,
)
from producer.playlists.tables import OUR_IDS, columns_of, first_artist, letters, plain_cell

MAX_ROW_LINES = 50
"""Lines of one row; a quote that is never closed would make the rest of the file one row."""

_DELIMITERS = ",;\t|"


class _Lines:
    """Gives csv.reader the lines of a file, and no more to one row than a row may have."""

    def __init__(self, text: str) -> None:
        self.lines = list(io.StringIO(text, newline=""))
        self.begin = self.end = 0
        self.stopped = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.end == len(self.lines) or self.end - self.begin == MAX_ROW_LINES or self._size() > MAX_LINE:
            self.stopped = True
            raise StopIteration
        self.end += 1
        return self.lines[self.end - 1]

    def _size(self) -> int:
        return sum(len(line) for line in self.lines[self.begin : self.end + 1])


def records(text: str, delimiter: str) -> Iterator[tuple[list[str], str, str | None]]:
    """Yield the cells of each row, the row as it stood, and what is wrong with it, then without cells."""
    feed = _Lines(text)
    while feed.begin < len(feed.lines):
        feed.stopped = False
        rows = csv.reader(feed, delimiter=delimiter)
        while not feed.stopped:
            cells = next(rows, None)
            if cells is None or feed.stopped:
                break
            yield cells, "".join(feed.lines[feed.begin : feed.end]).rstrip("\r\n"), None
            feed.begin = feed.end
        if feed.begin < len(feed.lines):
            line = feed.lines[feed.begin].rstrip("\r\n")
            long = f"it has {len(line):,} characters, over {MAX_LINE:,}"
            yield [], line, long if len(line) > MAX_LINE else "a quote in it is never closed"
            feed.begin = feed.end = feed.begin + 1


def has_header(text: str) -> bool:
    """Tell if the first row is a header that we know: with two columns or more, or one of ids alone."""
    cells, columns, _, _ = _header(text)
    return len(columns) > 1 or (len(cells) == 1 and "id" in columns and letters(cells[0]) not in ("id", "link", "url"))


def _header(text: str) -> tuple[list[str], dict[str, int], str, str]:
    """Return the first row's cells, what its columns hold, the delimiter that gives most of them, and its source."""
    start = text[: 4 * MAX_LINE]
    best: tuple[list[str], dict[str, int], str, str] = ([], {}, ",", "")
    for delimiter in _DELIMITERS:
        cells, source, _ = next(records(start, delimiter), ([], "", None))
        columns = columns_of(cells)
        if not best[0] or len(columns) > len(best[1]):
            best = (cells, columns, delimiter, source)
    return best


def csv_rows(text: str, prefer: Prefer) -> Reading:
    """Read CSV with a header; which character parts the columns is told by it.

    Raises UnreadablePlaylist if no column has the title or the id.
    """
    cells, columns, delimiter, header = _header(text)
    if not columns.keys() & {"title", "id"}:
        raise UnreadablePlaylist(
            "no column has the songs: the first row names the columns, and one of them is Track Name, Title, Name, "
            f"Track URI or track_id; here it is {header[:200]!r}"
        )
    skipped: Counter[str] = Counter()

    def found() -> Iterator[Row]:
        number = 0
        body = records(text, delimiter)
        next(body)
        for values, source, error in body:
            if not error and not any(value.strip() for value in values):
                skipped["empty rows"] += 1
                continue
            number += 1
            if error:
                yield Row(number, None, None, error, source)
            else:
                yield _row(number, source, cells, columns, values, prefer)

    return Reading("csv", bounded(found()), header, passed_over(skipped))


def _row(
    number: int, source: str, header: list[str], columns: dict[str, int], values: list[str], prefer: Prefer
) -> Row:
    found = {
        meaning: plain_cell(clean(values[column])).strip()
        for meaning, column in columns.items()
        if column < len(values)
    }
    title = found.get("playlist") or None
    track = found.get("id", "")
    if track and letters(header[columns["id"]]) in OUR_IDS and not is_track(track):
        return Row(number, {"track_id": track[:200]}, title, None, source)
    if track and not is_track(track):
        track = ""
    artist = first_artist(found.get("artist", ""), several_are_told="artist_uris" in columns)
    row = row_of(number, source, title, prefer, name=found.get("title"), artist=artist, track=track)
    return _weighed(row, found.get("weight", ""))


def _weighed(row: Row, weight: str) -> Row:
    if row.seed is None or not weight:
        return row
    try:
        value = float(weight.replace(",", "."))
    except ValueError:
        value = 0.0
    if not -10 <= value <= 10 or value == 0:
        return Row(
            row.number, None, row.title, f"its weight {weight[:40]!r} is no number from -10 to 10 but 0", row.source
        )
    return Row(row.number, {**row.seed, "weight": value}, row.title, None, row.source)
