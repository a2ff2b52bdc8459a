"""Find tracks by name: exactly, misspelt, in one line, and while it is being typed.

**What a score means.** The likeness of the titles times the likeness of the artists (artifacts/likeness.py), version
notes aside. 1 only if both are equal when normalised. Found in other fields than those it was typed in (swapped, or all
in one line): OTHER_FIELDS of that at most; by the title alone, and not exactly: TITLE_ALONE. An artist alone names no
song, so what it finds has ARTIST_ALONE of the likeness, which is below MATCH_THRESHOLD.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts import typeahead
from artifacts.likeness import alike
from artifacts.names import artist_form, artist_parts, normalise, title_forms
from artifacts.nametables import NameTables, Rows, union

MATCH_THRESHOLD = 0.75
"""A hit from here on may be taken as the song; below, it is a "did you mean".

Measured on 422,905 real tracks (bench/names.py): of 600 songs left out of the index, 3 % by title and artist found
something from here on, nearly always the same song under a spelling that no normaliser joins; none did that had another
track's title. Of names with one typo 99 % are found above it, with two 90 %.
"""
ARTIST_THRESHOLD = 0.8
"""An artist is taken as the one meant from this likeness on."""
OTHER_FIELDS = 0.97
TITLE_ALONE = 0.82
"""No artist speaks for it, and there are many titles: a likeness of 0.9 is taken where 0.75 is with the artist."""
ARTIST_ALONE = 0.5
ONE_OF_SEVERAL = 0.9
"""What is left of an artist's likeness if the line names others too, who are not all credited."""
PART_OF_TITLE, PART_OF_ARTIST = 0.7, 0.7
"""The likeness of a name that is some whole words of the other."""
JOINED_ARTIST = 0.85
"""… with "and" or the like beside them: "Garfunkel" for "Simon & Garfunkel", not for "Garfunkel Revival Band"."""

_ARTIST_PARTS = (PART_OF_ARTIST, JOINED_ARTIST)
_SURE = 0.9
"""No further route is tried once a hit has this score."""
_NOT_UNLIKE = 0.5
_AT_AN_END = 0.7
"""Least likeness of an artist at one end of a line."""
_ARTISTS, _TITLES = 24, 64
"""Names that are compared, of all that share trigrams."""
_MOST_ROWS = 1500
_MOST_TITLES = 4000
_MOST_WORDS = 16
_NOT_TOLD = float("nan")

Found = dict[int, tuple[float, float, float]]
"""Row → score, likeness of the title, likeness of the artist."""


@dataclass(frozen=True)
class Hit:
    """A row that a name may mean. score, and the likeness of its two halves: 0–1; NaN: not told, so not compared."""

    row: int
    score: float
    title: float
    artist: float


class TextIndex:
    """Rows by name, over the arrays of `build`, mapped."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """arrays: those of `build`, perhaps among others. Raises: KeyError if one is missing."""
        self._tables = NameTables(arrays)

    def exact(self, title: str, artist: str | None = None, limit: int = 1000) -> list[int]:
        """Return up to `limit` rows of this title (version notes aside), by `artist` if given.

        Of an artist line that names several, each must be credited, unless one is known by the whole line. If the title
        asks for a version ("Live"), rows of just that title come first; then by popularity, then by row.
        """
        tables, forms = self._tables, title_forms(title)
        rows = tables.of_title(forms)
        if artist and (who := artist_form(artist)):
            credited = tables.of_artist(who)
            if not len(credited) and (parts := artist_parts(artist)):
                credited = tables.of_artist(parts[0])
                for part in parts[1:]:
                    credited = np.intersect1d(credited, tables.of_artist(part), assume_unique=True)
            rows = np.intersect1d(rows, credited, assume_unique=True)
        found: list[int] = tables.in_order(rows, forms)[:limit].tolist()
        return found

    def search(self, title: str, artist: str | None = None, limit: int = 10) -> list[Hit]:
        """Return the `limit` best hits, the highest score first; ties as in `exact`.

        artist None: `title` is the one line that was typed: a title, both in either order, or an artist. With an
        artist, the two may be swapped. title "": the best known of the artist. Rows that match exactly leave no room
        for others.
        """
        if artist and artist_form(artist):
            found = self._both(title, artist) if normalise(title) else self._artist_alone(artist)
        else:
            found = self._one_line(title)
        tables = self._tables
        rows = np.fromiter(found, np.int32, len(found))
        score = np.fromiter((hit[0] for hit in found.values()), np.float64, len(found))
        other = tables.other_version(rows, title_forms(title))
        best = rows[np.lexsort((tables.rank[rows], other, -score.round(6)))[:limit]]
        return [Hit(row, *found[row]) for row in best.tolist()]

    def artist_rows(self, artist: str, limit: int) -> list[int]:
        """Return the rows of the artist most like this name, the most popular first.

        [] if none is alike by ARTIST_THRESHOLD or more; of equally alike ones, the one with the most popular track.
        """
        likeness = self._artists_like(artist)
        if not likeness or likeness[0][1] < ARTIST_THRESHOLD:
            return []
        names, rank = self._tables.artists, self._tables.rank
        lists = [names.best_rows(number, number + 1, limit) for number, how in likeness if how == likeness[0][1]]
        found: list[int] = min(lists, key=lambda rows: int(rank[rows[0]]))[:limit].tolist()
        return found

    def complete(self, prefix: str, limit: int = 10) -> list[int]:
        """Return the most popular rows whose title or artist begins with `prefix`: see artifacts/typeahead.py."""
        return typeahead.complete(self._tables, prefix, limit)

    def complete_nearly(self, prefix: str, limit: int = 10) -> list[int]:
        """Return rows that a misspelt `prefix` may become: those that begin nearly so, then those that are like it."""
        begun = typeahead.nearly(self._tables, prefix, limit)
        return begun + [hit.row for hit in self.search(prefix, limit=limit) if hit.score >= _NOT_UNLIKE]

    def each_song_once(self, rows: Sequence[int], limit: int) -> list[int]:
        """Return the first `limit` of these rows that differ in core title or first artist: versions are one song."""
        return typeahead.each_song_once(self._tables, rows, limit)

    def _both(self, title: str, artist: str) -> Found:
        """Find a title and an artist, in their fields or swapped."""
        readings = ((1.0, title, artist), (OTHER_FIELDS, artist, title))
        for fields, name, who in readings:
            if exact := self.exact(name, who):
                return dict.fromkeys(exact, (fields, 1.0, 1.0))
        found: Found = {}
        for fields, name, who in readings:
            core = title_forms(name)[-1]
            self._add_titles(found, core, self._artists_like(who), fields)
            if _best(found) < _SURE:
                self._add_artists(found, core, who, fields)
            if _best(found) >= MATCH_THRESHOLD:
                break
        return found

    def _one_line(self, line: str) -> Found:
        """Find what one line means: a title, title and artist in either order, or an artist."""
        tables, forms = self._tables, title_forms(line)
        exact = tables.in_order(tables.of_title(forms), forms)[: 10 * _TITLES]
        if len(exact):
            return dict.fromkeys(exact.tolist(), (1.0, 1.0, _NOT_TOLD))
        found: Found = {}
        for title, artist in (split for form in forms for split in _splits(form)):
            rows = np.intersect1d(tables.of_title([title]), tables.of_artist(artist), assume_unique=True)
            found.update(dict.fromkeys(rows.tolist(), (OTHER_FIELDS, 1.0, 1.0)))
        if found:
            return found
        self._add_splits(found, forms[-1])
        # The name of an artist is not a misspelt title.
        if _best(found) < _SURE and not len(tables.of_artist(artist_form(line))):
            self._add_titles_like(found, forms[-1])
        for row, hit in self._artist_alone(line).items():
            found.setdefault(row, hit)
        return found

    def _artist_alone(self, artist: str) -> Found:
        found: Found = {}
        for number, how in self._artists_like(artist)[:3]:
            for row in self._tables.artists.best_rows(number, number + 1, _TITLES).tolist():
                _add(found, row, _NOT_TOLD, how, ARTIST_ALONE)
        return found

    def _artists_like(self, artist: str) -> list[tuple[int, float]]:
        """Return the artists that a line may name and how alike each is, the likest first."""
        likeness: dict[int, float] = {}
        names = self._tables.artists
        for form, share in _artist_readings(artist):
            numbers = names.candidates(form, _ARTISTS).tolist()
            found = share * alike(form, [names[n] for n in numbers], *_ARTIST_PARTS)
            for number, how in zip(numbers, found.tolist(), strict=True):
                likeness[number] = max(how, likeness.get(number, 0.0))
        likely = [(number, how) for number, how in likeness.items() if how >= _NOT_UNLIKE]
        return sorted(likely, key=lambda item: (-item[1], item[0]))

    def _title_likeness(self, core: str, numbers: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        return alike(core, [self._tables.titles[number] for number in numbers.tolist()], PART_OF_TITLE)

    def _add_titles(self, found: Found, core: str, artists: Sequence[tuple[int, float]], fields: float) -> None:
        """Compare the titles of artists. artists: the number of each and how alike it is."""
        if not artists:
            return
        tables = self._tables
        lists = [self._rows_near(tables.artists.rows(number), core) for number, _ in artists]
        rows = np.concatenate(lists)
        artist = np.repeat([how for _, how in artists], [len(some) for some in lists])
        forms = np.stack([tables.full[rows], tables.core[rows]])
        numbers = np.unique(forms)
        title = self._title_likeness(core, numbers)[np.searchsorted(numbers, forms)].max(axis=0)
        for i in np.flatnonzero(title >= _NOT_UNLIKE).tolist():
            _add(found, int(rows[i]), float(title[i]), float(artist[i]), fields)

    def _rows_near(self, rows: Rows, core: str) -> Rows:
        """Return an artist's rows; of very many, those with titles like `core` and the best known."""
        if len(rows) <= _MOST_TITLES:
            return rows
        tables = self._tables
        near = union([tables.titles.rows(number) for number in tables.titles.candidates(core, _TITLES)])
        near = np.intersect1d(rows, near, assume_unique=True)
        return np.union1d(near, tables.most_popular(rows, _MOST_TITLES))

    def _add_titles_like(self, found: Found, core: str) -> None:
        """Add the best known rows of the titles that are like `core`, whoever they are by."""
        names = self._tables.titles
        numbers = names.candidates(core, _TITLES)
        for number, how in zip(numbers.tolist(), self._title_likeness(core, numbers).tolist(), strict=True):
            if how >= _NOT_UNLIKE:
                for row in names.best_rows(number, number + 1, _TITLES).tolist():
                    _add(found, row, how, _NOT_TOLD, TITLE_ALONE)

    def _add_artists(self, found: Found, core: str, artist: str, fields: float) -> None:
        """Compare the artists of the rows whose titles are like `core`."""
        tables = self._tables
        numbers = tables.titles.candidates(core, _TITLES)
        title = self._title_likeness(core, numbers)
        rows: list[tuple[int, float]] = []
        for i in np.flatnonzero(title >= _NOT_UNLIKE).tolist():
            some = tables.most_popular(tables.titles.rows(int(numbers[i])), _MOST_ROWS)
            rows += [(row, float(title[i])) for row in some.tolist()]
        credits = [tables.credits(row) for row, _ in rows]
        known = sorted({number for credit in credits for number in credit})
        names = [tables.artists[number] for number in known]
        readings = [share * alike(form, names, *_ARTIST_PARTS) for form, share in _artist_readings(artist)]
        likeness = dict(zip(known, np.max(readings, axis=0).tolist(), strict=True))
        for (row, how), credit in zip(rows, credits, strict=True):
            best = max((likeness[number] for number in credit), default=0.0)
            if best >= _NOT_UNLIKE:
                _add(found, row, how, best, fields)

    def _add_splits(self, found: Found, line: str) -> None:
        """Look for artists at either end of a line, and for what is left of it among their titles."""
        numbers = self._tables.artists.candidates(line, 2 * _ARTISTS, inside=True).tolist()
        names = [self._tables.artists[number] for number in numbers]
        for title, artist in _splits(line):
            slack = max(1, len(artist) // 3)
            near = [i for i, name in enumerate(names) if abs(len(name) - len(artist)) <= slack]
            likeness = alike(artist, [names[i] for i in near]).tolist()
            artists = [(numbers[i], how) for i, how in zip(near, likeness, strict=True) if how >= _AT_AN_END]
            self._add_titles(found, title, artists, OTHER_FIELDS)


def _artist_readings(artist: str) -> list[tuple[str, float]]:
    """Return the forms that a line of artists can be read as, and how much each counts."""
    return [(artist_form(artist), 1.0), *((part, ONE_OF_SEVERAL) for part in artist_parts(artist))]


def _splits(line: str) -> Iterator[tuple[str, str]]:
    """Yield (title, artist) for each way to read a normalised line as both; "by" between them is left out."""
    words = line.split(" ")[:_MOST_WORDS]
    for i in range(1, len(words)):
        left, right = words[:i], words[i:]
        yield " ".join(right), artist_form(" ".join(left))
        yield " ".join(left), artist_form(" ".join(right[1:] if right[0] == "by" and len(right) > 1 else right))


def _best(found: Found) -> float:
    return max((hit[0] for hit in found.values()), default=0.0)


def _add(found: Found, row: int, title: float, artist: float, fields: float) -> None:
    """Note a hit, unless the row has a better one."""
    score = fields * (1.0 if np.isnan(title) else title) * (1.0 if np.isnan(artist) else artist)
    if row not in found or score > found[row][0]:
        found[row] = (score, title, artist)
