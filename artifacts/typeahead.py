"""Guess, while a name is being typed, which track it will be: the best known of those that begin so."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

from artifacts.names import artist_form, normalise
from artifacts.nametables import NameTables, Rows

_MOST_ROWS = 1000
_MOST_WORDS = 8
_MOST_NEAR = 200
"""Names that are compared with a misspelt start, of all that share trigrams with it."""
_LONG = 8


def complete(tables: NameTables, prefix: str, limit: int) -> list[int]:
    """Return the `limit` most popular rows whose title or artist begins with `prefix`, each title of an artist once.

    Also those by a whole artist and the start of a title, or a whole title and the start of an artist.
    """
    typed = normalise(prefix)
    if not typed:
        return []
    artist = artist_form(prefix)
    slices = [
        (tables.titles, tables.titles.starting_with(typed)),
        (tables.artists, tables.artists.starting_with(artist)),
    ]
    joined = [rows for split in _splits(typed) for rows in _both_started(tables, *split)]
    for k in (4 * limit, 40 * limit):
        lists = [names.best_rows(start, stop, k) for names, (start, stop) in slices if start < stop]
        ranks = np.unique(tables.rank[np.concatenate([np.zeros(0, np.int32), *lists, *joined])])
        chosen = each_song_once(tables, tables.by_rank[ranks].tolist(), limit)
        if len(chosen) == limit or all(len(rows) < k for rows in lists):
            break
    return chosen


def nearly(tables: NameTables, prefix: str, limit: int) -> list[int]:
    """Return up to `limit` rows whose title or artist begins with a misspelt `prefix`, the least misspelt first.

    One edit may be in it, from _LONG characters on two; then the most popular come first.
    """
    found: dict[int, int] = {}
    for names, typed in ((tables.titles, normalise(prefix)), (tables.artists, artist_form(prefix))):
        numbers = names.candidates(typed, _MOST_NEAR, begun=True).tolist()
        edits = _edits_at_the_start(typed, [names[number] for number in numbers])
        for number, edit in zip(numbers, edits.tolist(), strict=True):
            if edit <= 1 + (len(typed) >= _LONG):
                for row in names.best_rows(number, number + 1, limit).tolist():
                    found[row] = min(edit, found.get(row, edit))
    return sorted(found, key=lambda row: (found[row], int(tables.rank[row])))[:limit]


def _edits_at_the_start(typed: str, names: Sequence[str]) -> npt.NDArray[np.int32]:
    """Return how many edits `typed` is from the start of each name, int32 (len(names),)."""
    starts = [[name[: len(typed) + more] for name in names] for more in (-1, 0, 1)]
    edits: npt.NDArray[np.int32] = np.min([cdist([typed], start, scorer=OSA.distance)[0] for start in starts], axis=0)
    return edits


def _splits(typed: str) -> list[tuple[str, str]]:
    words = typed.split(" ")
    return [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, min(len(words), _MOST_WORDS))]


def _both_started(tables: NameTables, whole: str, start: str) -> list[Rows]:
    """Return rows by an artist that is `whole` with a title that begins with `start`, and the other way round."""
    result = []
    artist = tables.artists.number(artist_form(whole))
    if artist is not None:
        low, high = tables.titles.starting_with(start)
        rows = tables.artists.rows(artist)
        result += [rows[(column[rows] >= low) & (column[rows] < high)] for column in (tables.full, tables.core)]
    title = tables.titles.number(whole)
    if title is not None:
        low, high = tables.artists.starting_with(artist_form(start))
        rows = tables.most_popular(tables.titles.rows(title), _MOST_ROWS)
        result.append(rows[[any(low <= number < high for number in tables.credits(row)) for row in rows.tolist()]])
    return result


def each_song_once(tables: NameTables, rows: Sequence[int], limit: int) -> list[int]:
    """Return the first `limit` rows that differ in core title or first artist."""
    songs: dict[tuple[int, int], int] = {}
    for row in rows:
        songs.setdefault((int(tables.core[row]), next(iter(tables.credits(row)), -1)), row)
        if len(songs) == limit:
            break
    return list(songs.values())
