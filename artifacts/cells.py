"""Exact search in cells: small boxes of rows, with bounds that hold for any weights.

A row's score is a sum of terms, one a column. Within a cell each column lies between two known values, so each term,
and with it the score, has a bound, whatever the request's weights (≥ 0), γ, β and seeds are. A cell whose bound is
below the k-th best score found so far cannot hold anything better and is never read; the rest is scored, best bound
first. The answer is the one that scoring every row would give.

Rows are ordered by label set, then by what is known of their year (v), then by a tree of splits down to CELL rows:
each split cuts the column whose values, weighted by the default weights, spread most. Every cell but the last of its
group is full. The idea is that of k-d trees searched best bin first (Friedman, Bentley, Finkel 1977; Beis, Lowe 1997).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts.score import COLUMNS, ScoreQuery

CELL = 128
"""Rows of a full cell. 64 to 256 were measured: flat between 128 and 256, slower below."""

_FIRST_CELLS = 24
_ROUND_CELLS = 64
_DECIDE_AFTER = 128
_TOO_MANY = 0.35
"""Share of all cells: if after _DECIDE_AFTER more are still in play, one product over all rows is quicker."""

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


def order_rows(
    columns: F32, doubt: F32, group: npt.NDArray[np.integer], spread: F64
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Order rows into cells.

    columns: (c, n), what the boxes bound. doubt: v (n,). group: label-set code (n,). spread: (c,), the square root of
    each column's default weight.
    → the rows in their new order, int32 (n,); where each cell begins, int32 (cells + 1,).
    """
    weighted = columns * spread[:, None].astype(np.float32)
    start = np.lexsort((doubt, group))
    keys = np.stack([group[start].astype(np.float64), doubt[start].astype(np.float64)])
    borders = np.flatnonzero(np.any(np.diff(keys, axis=1) != 0, axis=0)) + 1
    order: list[npt.NDArray[np.intp]] = []
    sizes: list[int] = []
    for rows in np.split(start, borders):
        stack = [rows]
        while stack:
            part = stack.pop()
            if len(part) <= CELL:
                order.append(part)
                sizes.append(len(part))
                continue
            values = weighted[:, part]
            widest = values[int(values.var(axis=1).argmax())]
            # Cut at a whole number of cells, so that all but the last are full.
            half = max(CELL, round(len(part) / 2 / CELL) * CELL)
            halves = np.argpartition(widest, half - 1)
            stack += [part[halves[half:]], part[halves[:half]]]
    starts = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(sizes, out=starts[1:])
    return np.concatenate(order).astype(np.int32), starts


def cell_arrays(
    columns: F32, doubt: F32, group: npt.NDArray[np.integer], starts: npt.NDArray[np.int32]
) -> dict[str, Any]:
    """Return what the search needs of rows that are in cell order already.

    → cell_rows float32 (cells, c, CELL), a cell's rows, the last repeated to fill it; cell_low, cell_high float32
    (c, cells); cell_doubt float32 (cells,); cell_group int32 (cells,).
    """
    at = np.minimum(starts[:-1, None] + np.arange(CELL), starts[1:, None] - 1)
    blocks = np.ascontiguousarray(columns[:, at].transpose(1, 0, 2))
    return {
        "cell_rows": blocks,
        "cell_low": np.ascontiguousarray(blocks.min(axis=2).T),
        "cell_high": np.ascontiguousarray(blocks.max(axis=2).T),
        "cell_doubt": doubt[starts[:-1]],
        "cell_group": group[starts[:-1]].astype(np.int32),
        "cell_start": starts,
    }


class Cells:
    """The search over one model's cells."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        self._blocks: F32 = arrays["cell_rows"]
        # A megabyte in all, read by every search: views without the map's overhead.
        self._low, self._high = np.asarray(arrays["cell_low"]), np.asarray(arrays["cell_high"])
        self._doubt, self._group = np.asarray(arrays["cell_doubt"]), np.asarray(arrays["cell_group"])
        self._start = np.asarray(arrays["cell_start"])
        self._size = np.diff(self._start)

    def __len__(self) -> int:
        return len(self._size)

    def bounds(self, query: ScoreQuery, genre: F32) -> F32:
        """Return what no row of each cell can exceed. genre: that term for each label set. → float32 (cells,)."""
        weights = query.scale * query.column_weights
        used = np.flatnonzero(weights)
        center = query.center[used].astype(np.float32)[:, None]
        every = len(used) == COLUMNS
        low, high = (a[:COLUMNS] if every else a[used] for a in (self._low, self._high))
        gap = low - center
        np.maximum(gap, center - high, out=gap)
        np.maximum(gap, 0, out=gap)
        np.multiply(gap, gap, out=gap)
        bound: F32 = (-0.5 * weights[used]).astype(np.float32) @ gap
        bound += genre[self._group]
        popularity = query.scale * query.weights["popularity"]
        if popularity:
            bound += np.float32(popularity) * (self._high if popularity > 0 else self._low)[-1]
        bound -= self._doubt * np.float32(0.5 * query.scale * query.weights["year"])
        return bound

    def search(
        self, query: ScoreQuery, genre: F32, k: int, passing: npt.NDArray[np.bool_] | None
    ) -> tuple[Rows | None, int]:
        """Return every row that may be among the `k` best, and how many rows were scored.

        genre: the genre term of each label set, float32. passing: bool (n,), the rows that may be chosen; None: all.
        → rows None where one product over all rows is quicker.
        """
        bound = self.bounds(query, genre)
        if passing is not None:
            bound[~np.logical_or.reduceat(passing, self._start[:-1])] = -np.inf
        weights = query.scale * query.column_weights
        linear = np.append(weights * query.center, query.scale * query.weights["popularity"]).astype(np.float32)
        square = np.append(-0.5 * weights, 0).astype(np.float32)
        fixed = genre[self._group] - self._doubt * np.float32(0.5 * query.scale * query.weights["year"])
        fixed -= np.float32(0.5 * float(weights @ query.center**2))
        first = min(len(bound), max(_FIRST_CELLS, 4 * -(-k // CELL)))
        todo = np.argpartition(-bound, first - 1)[:first]
        todo = todo[bound[todo] > -np.inf]
        rest: Rows | None = None
        found = _Best(k, query)
        scored = read = 0
        while len(todo):
            block = np.take(self._blocks, todo, axis=0)
            score = np.matmul(linear, block)
            np.multiply(block, block, out=block)
            score += np.matmul(square, block)
            score += fixed[todo][:, None]
            scored += int(self._size[todo].sum())
            cell, at = np.nonzero(score >= found.least)
            real = at < self._size[todo[cell]]
            rows = self._start[todo[cell]] + at
            if passing is not None:
                real[real] = passing[rows[real]]
            found.add(rows[real], score[cell[real], at[real]])
            if rest is None:
                bound[todo] = -np.inf
                left = np.flatnonzero((bound >= found.least) & (bound > -np.inf))
                rest = left[np.argsort(-bound[left], kind="stable")]
            else:
                rest = rest[: np.searchsorted(-bound[rest], -found.least, side="right")]
            read += len(todo)
            if read >= _DECIDE_AFTER and len(rest) > _TOO_MANY * len(bound):
                return None, scored
            todo, rest = rest[:_ROUND_CELLS], rest[_ROUND_CELLS:]
        return found.rows, scored


class _Best:
    """The rows that may still be among the k best: those whose score is about the k-th so far, or better."""

    def __init__(self, k: int, query: ScoreQuery) -> None:
        self._k, self._query = k, query
        self.rows: Rows = np.empty(0, np.intp)
        self._scores: F32 = np.empty(0, np.float32)
        self.least = np.float32(-np.inf)

    def add(self, rows: Rows, scores: F32) -> None:
        self.rows, self._scores = np.concatenate([self.rows, rows]), np.concatenate([self._scores, scores])
        if len(self._scores) >= self._k:
            at = len(self._scores) - self._k
            kth = float(np.partition(self._scores, at)[at])
            self.least = np.float32(kth - self._query.slack(kth))
            keep = self._scores >= self.least
            self.rows, self._scores = self.rows[keep], self._scores[keep]
