"""The map: every track at (valence, energy), both as percentiles of the catalogue, and which tracks lie in a window.

Percentiles, so that the map is filled evenly and a place says how a track compares: 0 darkest, calmest; 1 brightest,
most energetic. Features come rounded to three digits, so many tracks tie; those share out the interval of ranks that
they take together, or the map would be striped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

UNIT = 10_000
"""Places are whole numbers 0…UNIT: the four decimals that answers show, exactly."""

SIDE = 256
"""Squares of the grid along each side: some 18 tracks in each of a million's."""

NOWHERE = 65_535

_STEP = 2_654_435_761
"""Of a golden-ratio walk: neighbours in the order of ids come to lie far apart."""

F64 = npt.NDArray[np.float64]
Ints = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Window:
    """What lies in a window. rows: the best known, in that order; count: of all tracks in it, exact."""

    rows: npt.NDArray[np.intp]
    count: int


def places(valence: F64, energy: F64, id_rank: Ints) -> F64:
    """Return where tracks lie: percentiles within 0–1, (2, n), NaN where either value is unknown.

    valence, energy: (n,), NaN unknown. id_rank: of each track among all ids; it parts those that tie, in another
    order for each axis: in one order for both, tracks that tie in both would lie on a line.
    """
    walk = id_rank.astype(np.uint64) * np.uint64(_STEP) % np.uint64(2**32)
    place = np.stack([_percentiles(valence, id_rank), _percentiles(energy, walk)])
    place[:, np.isnan(place).any(axis=0)] = np.nan
    return place


def _percentiles(values: F64, ties: Ints) -> F64:
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.lexsort((ties[known], values[known]))]
    found = np.full(len(values), np.nan)
    found[order] = (np.arange(len(order)) + 0.5) / max(len(order), 1)
    return found


def map_arrays(place: F64, popular_row: Ints) -> dict[str, npt.NDArray[Any]]:
    """Return what a model keeps of the map. place: from `places`; popular_row: rows, the most popular first.

    → map_place uint16 (2, n), NOWHERE where unknown; map_rank int32: places in popular_row, ascending within each
    square, the squares row by row from the bottom left; map_start int32 (SIDE² + 1,): where each square begins in it.
    """
    known = ~np.isnan(place[0])
    units = np.full(place.shape, NOWHERE, np.uint16)
    units[:, known] = np.rint(place[:, known] * UNIT)
    x, y = units[:, popular_row].astype(np.int64)
    rank = np.flatnonzero(x != NOWHERE)
    square = _square(y[rank]) * SIDE + _square(x[rank])
    start = np.zeros(SIDE * SIDE + 1, np.int32)
    np.cumsum(np.bincount(square, minlength=SIDE * SIDE), out=start[1:])
    return {
        "map_place": units,
        "map_rank": rank[np.argsort(square, kind="stable")].astype(np.int32),
        "map_start": start,
    }


class Map:
    """The map of a model, for looking up."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self._place, self._rank, self._start = arrays["map_place"], arrays["map_rank"], arrays["map_start"]
        self._popular = arrays["popular_row"]

    def __len__(self) -> int:
        return len(self._rank)

    def at(self, rows: npt.NDArray[np.intp]) -> list[list[float] | None]:
        """Return where each of some rows lies, [x, y] within 0–1; None: its valence or its energy is unknown."""
        return [None if x == NOWHERE else [x / UNIT, y / UNIT] for x, y in self._place[:, rows].T.tolist()]

    def window(self, box: Sequence[float], limit: int) -> Window:
        """Return the `limit` best known tracks with x0 ≤ x ≤ x1 and y0 ≤ y ≤ y1, and how many there are.

        box: x0, y0, x1, y1.

        Of a square that lies within the window nothing but its best known tracks are read, and of those squares only
        such as may hold one of the `limit`; one that the border cuts is read whole. There are few of those: a strip
        of squares along one side holds a 256th of the catalogue.
        """
        x0, y0, x1, y1 = box
        x, y = _Span.of(x0, x1), _Span.of(y0, y1)
        if x is None or y is None:
            return Window(np.empty(0, np.intp), 0)
        on_border = self._on_border(x, y)
        found = [np.sort(on_border)[:limit]]
        count = len(on_border)
        if x.inner and y.inner:
            first = np.array(y.inner)[:, None] * SIDE + np.array(x.inner)
            start, stop = self._start[first], self._start[first + 1]
            count += int((stop - start).sum())
            filled = stop > start
            found.append(self._best_of(start[filled], stop[filled], limit))
        best = np.sort(np.concatenate(found))[:limit]
        return Window(self._popular[best].astype(np.intp), count)

    def _best_of(self, start: Ints, stop: Ints, limit: int) -> Ints:
        """Return ranks among which are the `limit` best of squares, which are given by where they begin and end."""
        best = self._rank[start]
        if len(best) > limit:  # what is worse than the `limit`-th of the squares' best is worse than `limit` tracks
            within = best <= np.partition(best, limit - 1)[limit - 1]
            start, stop = start[within], stop[within]
        parts = [self._rank[a : min(b, a + limit)] for a, b in zip(start.tolist(), stop.tolist(), strict=True)]
        ranks: Ints = np.concatenate(parts) if parts else self._rank[:0]
        return np.partition(ranks, limit - 1)[:limit] if len(ranks) > limit else ranks

    def _on_border(self, x: _Span, y: _Span) -> Ints:
        """Return the ranks of the tracks in the window that are in squares which its border cuts."""
        runs: list[tuple[int, int]] = []
        for square in y.all:
            cut = x.cut if square in y.inner else [x.all]
            runs += [(square * SIDE + run.start, square * SIDE + run.stop) for run in cut]
        parts = [self._rank[self._start[a] : self._start[b]] for a, b in runs]
        ranks: Ints = np.concatenate(parts) if parts else self._rank[:0]
        at = self._place[:, self._popular[ranks]]
        inside = (at[0] >= x.low) & (at[0] <= x.high) & (at[1] >= y.low) & (at[1] <= y.high)
        found: Ints = ranks[inside]
        return found


@dataclass(frozen=True)
class _Span:
    """A window along one axis. low, high: in units, both in it; all: the squares that it touches; inner: covers."""

    low: int
    high: int
    all: range
    inner: range

    @staticmethod
    def of(low: float, high: float) -> _Span | None:
        """Return the span of two places, None if there is nothing in it."""
        # What is a hair above a unit by the binary fraction alone was meant to be that unit.
        first = math.ceil(max(low, 0.0) * UNIT - 1e-6)
        last = math.floor(min(high, 1.0) * UNIT + 1e-6)
        if first > last:
            return None
        squares = range(_square(first), _square(last) + 1)
        begin = squares.start + (_first_unit(squares.start) < first)
        end = squares.stop - (_first_unit(squares.stop) - 1 > last)
        return _Span(first, last, squares, range(begin, max(begin, end)))

    @property
    def cut(self) -> list[range]:
        """The squares that it touches but does not cover, in runs."""
        if not self.inner:
            return [self.all]
        return [run for run in (range(self.all.start, self.inner.start), range(self.inner.stop, self.all.stop)) if run]


def _square(unit: Any) -> Any:
    """Return in which square along a side a unit lies: a number for a number, an array for an array."""
    return unit * SIDE // (UNIT + 1)


def _first_unit(square: int) -> int:
    return -(-square * (UNIT + 1) // SIDE)
