"""The tables that names are looked up in: two lexicons, of titles and of artists, and the arrays that join them.

| array | dtype, shape | holds |
|---|---|---|
| text_title_…, text_artist_… | | the lexicons (artifacts/lexicon.py); titles as they are, and without version notes |
| text_full, text_core | int32 (n,) | the number of each row's title as it is, and without version notes |
| text_credit_offsets, text_credit | int64 (n + 1,), int32 | the numbers of each row's artists, in credit order |
| text_rank, text_by_rank | int32 (n,) | each row's place by popularity, ties by row; the row at each place |
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts import lexicon
from artifacts.lexicon import Arrays, Lexicon
from artifacts.names import artist_form, title_forms

Rows = npt.NDArray[np.int32]


def build(names: Iterable[tuple[str, Sequence[str]]], popularity: npt.NDArray[np.int16]) -> Arrays:
    """Index tracks by name.

    names: (title, credited artists) of each row, in row order. popularity: of each row, −1 unknown, which comes last.
    """
    titles: dict[str, int] = {}
    artists: dict[str, int] = {}
    artist_number: dict[str, int] = {}
    full, core, credit, credits = array("i"), array("i"), array("i"), array("i")
    for title, credited in names:
        forms = title_forms(title)
        full.append(titles.setdefault(forms[0], len(titles)))
        core.append(titles.setdefault(forms[-1], len(titles)))
        for artist in credited:
            if artist not in artist_number:
                artist_number[artist] = artists.setdefault(artist_form(artist), len(artists))
            credit.append(artist_number[artist])
        credits.append(len(credited))
    rows = np.arange(len(full))
    order = np.lexsort((rows, -popularity.astype(np.int32))).astype(np.int32)
    rank = np.empty_like(order)
    rank[order] = rows
    sorted_titles, place = _sorted(titles)
    text_full, text_core = place[np.asarray(full)], place[np.asarray(core)]
    title_arrays = lexicon.build(sorted_titles, np.concatenate([text_full, text_core]), np.tile(rows, 2), rank)
    del titles, sorted_titles
    sorted_artists, place = _sorted(artists)
    text_credit, per_row = place[np.asarray(credit)], np.asarray(credits)
    artist_arrays = lexicon.build(sorted_artists, text_credit, np.repeat(rows, per_row), rank)
    return {
        **{f"text_title_{name}": values for name, values in title_arrays.items()},
        **{f"text_artist_{name}": values for name, values in artist_arrays.items()},
        "text_full": text_full,
        "text_core": text_core,
        "text_credit_offsets": np.concatenate([[0], np.cumsum(per_row)]).astype(np.int64),
        "text_credit": text_credit,
        "text_rank": rank,
        "text_by_rank": order,
    }


def _sorted(numbers: Mapping[str, int]) -> tuple[list[str], Rows]:
    """Return the names in order, and old number → place in that order."""
    names = sorted(numbers)
    place = np.empty(len(names), np.int32)
    place[np.fromiter((numbers[name] for name in names), np.intp, len(names))] = np.arange(len(names))
    return names, place


class NameTables:
    """The arrays of `build`, mapped. Reads small pieces of them and holds nothing."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """arrays: those of `build`, perhaps among others. Raises: KeyError if one is missing."""

        def plain(name: str) -> npt.NDArray[Any]:
            return np.asarray(arrays[name])  # a plain view of the map: slices of np.memmap are slow to make

        self.rank, self.by_rank = plain("text_rank"), plain("text_by_rank")
        self.titles = Lexicon(arrays, "text_title_", self.rank)
        self.artists = Lexicon(arrays, "text_artist_", self.rank)
        self.full, self.core = plain("text_full"), plain("text_core")
        self._credit_offsets, self._credit = plain("text_credit_offsets"), plain("text_credit")

    def of_title(self, forms: Sequence[str]) -> Rows:
        """Return the rows whose title, or core title, is one of `forms`. Ascending."""
        numbers = [number for form in forms if form and (number := self.titles.number(form)) is not None]
        return union([self.titles.rows(number) for number in numbers])

    def of_artist(self, form: str) -> Rows:
        """Return the rows that credit an artist of this form. Ascending."""
        number = self.artists.number(form)
        return self.artists.rows(number) if number is not None else np.zeros(0, np.int32)

    def credits(self, row: int) -> list[int]:
        """Return the numbers of a row's artists, in credit order."""
        found: list[int] = self._credit[self._credit_offsets[row] : self._credit_offsets[row + 1]].tolist()
        return found

    def other_version(self, rows: Rows, forms: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Tell which rows are not of the version that a title asks for; none if it asks for none."""
        wanted = self.titles.number(forms[0]) if len(forms) > 1 else None
        return np.zeros(len(rows), np.bool_) if wanted is None else self.full[rows] != wanted

    def in_order(self, rows: Rows, forms: Sequence[str]) -> Rows:
        """Return rows sorted: the version that `forms` ask for, then by popularity, then by row."""
        return rows[np.lexsort((self.rank[rows], self.other_version(rows, forms)))]

    def most_popular(self, rows: Rows, most: int) -> Rows:
        """Return the `most` best known of rows, in no order."""
        return rows if len(rows) <= most else rows[np.argpartition(self.rank[rows], most)[:most]]


def union(lists: Sequence[Rows]) -> Rows:
    """Return the rows that are in any of the lists, each of which is ascending. Ascending."""
    if len(lists) == 1:
        return lists[0]
    return np.unique(np.concatenate([np.zeros(0, np.int32), *lists]))
