"""A lexicon: distinct normalised names, sorted, each with the rows that bear it; all in arrays that can be mapped.

| array, after the lexicon's prefix | dtype, shape | holds |
|---|---|---|
| offsets, utf8 | int64 (m + 1,), uint8 | the m names, ascending by code point: a name's number is its rank |
| row_offsets, row | int64 (m + 1,), int32 | the rows of each name, ascending |
| block_rank | int32 | the best rank among each BLOCK of `row` |
| gram_offsets, gram_name | int64 (addresses + 1,), int32 | the names that have a trigram, by its address |
| grams | uint8 (m,) | how many trigrams a name has |

Because names are sorted, those that begin alike are neighbours and so are their rows: a prefix is one slice, whose best
rows are found by looking only into the blocks with the best ranks. Trigrams are addressed by a hash; two that share an
address make a candidate look better than it is, until the names themselves are compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

BLOCK = 256

_BUDGET = 120_000
"""Postings read for one look-up, rarest trigrams first. What is commoner tells little and would cost milliseconds."""
_FEWEST_GRAMS = 4
"""Trigrams read whatever they cost."""
_NEAR_BEST = 0.34
"""Names that share less than this part of what the best one shares are not looked at."""
_CHUNK = 50_000
_ADDRESS_BITS = 20
"""Of a trigram, at most; fewer in a small lexicon."""

Arrays = dict[str, npt.NDArray[Any]]
Ints = npt.NDArray[np.intp]


def build(names: Sequence[str], name_of: Ints, rows: Ints, rank: npt.NDArray[np.int32]) -> Arrays:
    """Index sorted distinct names.

    name_of, rows: pairs (number of a name, row that bears it), in any order. rank: int32, of each row, 0 the best.
    """
    encoded = [name.encode("utf-8") for name in names]
    offsets = np.array([0, *accumulate(map(len, encoded))], np.int64)
    pairs = _distinct(name_of.astype(np.int64) << 32 | rows.astype(np.int64))
    row = (pairs & 0xFFFFFFFF).astype(np.int32)
    row_offsets = np.searchsorted(pairs, np.arange(len(names) + 1, dtype=np.int64) << 32)
    blocks = np.minimum.reduceat(rank[row], np.arange(0, len(row), BLOCK)) if len(row) else np.zeros(0, np.int32)
    return {
        "offsets": offsets,
        "utf8": np.frombuffer(b"".join(encoded), np.uint8),
        "row_offsets": row_offsets.astype(np.int64),
        "row": row,
        "block_rank": blocks.astype(np.int32),
        **_grams(names),
    }


def _grams(names: Sequence[str]) -> Arrays:
    bits = min(_ADDRESS_BITS, max(8, len(names).bit_length() + 2))
    parts: list[npt.NDArray[np.int64]] = []
    counts: list[npt.NDArray[np.uint8]] = []
    for start in range(0, len(names), _CHUNK):
        some = names[start : start + _CHUNK]
        gram, name = _addresses(some, bits)
        keys = _distinct(gram << 32 | name)
        counts.append(np.minimum(np.bincount(keys & 0xFFFFFFFF, minlength=len(some)), 255).astype(np.uint8))
        parts.append(keys + start)
    keys = np.concatenate([np.zeros(0, np.int64), *parts])
    del parts
    keys.sort()
    return {
        "gram_offsets": np.searchsorted(keys, np.arange((1 << bits) + 1, dtype=np.int64) << 32).astype(np.int64),
        "gram_name": (keys & 0xFFFFFFFF).astype(np.int32),
        "grams": np.concatenate([np.zeros(0, np.uint8), *counts]),
    }


def _distinct(keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return `keys` sorted, each once; sorts in place. np.unique would hash them, which takes several times as long."""
    keys.sort()
    distinct: npt.NDArray[np.int64] = keys[np.diff(keys, prepend=-1) != 0]
    return distinct


def _addresses(names: Sequence[str], bits: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the address of each trigram of " name ", and the number of the name that it is of."""
    text = "\n".join(f" {name} " for name in names)
    code = np.frombuffer(text.encode("utf-32-le"), np.uint32).astype(np.uint64)
    ends = code == ord("\n")  # no normalised name has one
    whole = ~(ends[:-2] | ends[1:-1] | ends[2:])
    mixed = (code[:-2] * np.uint64(0x9E3779B97F4A7C15)) ^ (code[1:-1] * np.uint64(0xC2B2AE3D27D4EB4F))
    mixed = (mixed ^ (code[2:] * np.uint64(0x165667B19E3779F9))) * np.uint64(0xD6E8FEB86659FD93)
    address = (mixed >> np.uint64(64 - bits)).astype(np.int64)
    return address[whole], np.cumsum(ends[:-2])[whole].astype(np.int64)


class Lexicon:
    """The names of `build`, searched. Reads small pieces of the arrays, and holds nothing of them."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], prefix: str, rank: npt.NDArray[np.int32]) -> None:
        """arrays: those of `build`, each name after `prefix`. rank: as for `build`."""

        def array(name: str) -> npt.NDArray[Any]:
            return np.asarray(arrays[prefix + name])  # a plain view of the map: slices of np.memmap are slow to make

        self._offsets, self._utf8 = array("offsets").data, array("utf8").data
        self._row_offsets, self._row = array("row_offsets"), array("row")
        self._block_rank, self._rank = array("block_rank"), np.asarray(rank)
        self._gram_offsets, self._gram_name, self._grams = array("gram_offsets"), array("gram_name"), array("grams")
        self._address_bits = (len(self._gram_offsets) - 1).bit_length() - 1

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> str:
        return str(self._utf8[self._offsets[number] : self._offsets[number + 1]], "utf-8")

    def number(self, name: str) -> int | None:
        """Return the number of exactly this name, None if no row bears it."""
        found = self._first_from(name.encode("utf-8"))
        return found if found < len(self) and self[found] == name else None

    def rows(self, number: int) -> npt.NDArray[np.int32]:
        """Return the rows that bear a name, ascending."""
        start, stop = self._row_offsets[number : number + 2]
        found: npt.NDArray[np.int32] = self._row[start:stop]
        return found

    def starting_with(self, prefix: str) -> tuple[int, int]:
        """Return the numbers of the names that begin with `prefix`, as start and stop."""
        start = prefix.encode("utf-8")
        # 0xFF is in no UTF-8: this is after all that begin so, before all that come later.
        return self._first_from(start), self._first_from(start + b"\xff")

    def best_rows(self, start: int, stop: int, k: int) -> npt.NDArray[np.int32]:
        """Return the `k` rows of best rank among those of the names from `start` to `stop`, best first, each once."""
        low, high = self._row_offsets[start], self._row_offsets[stop]
        first, last = -(-low // BLOCK), high // BLOCK
        wanted = 2 * k  # a row may be there under two names
        if last - first <= wanted:
            rows = self._row[low:high]
        else:
            best = np.argpartition(self._block_rank[first:last], wanted)[:wanted]
            inside = ((first + np.sort(best))[:, None] * BLOCK + np.arange(BLOCK)).ravel()
            rows = np.concatenate([self._row[low : first * BLOCK], self._row[inside], self._row[last * BLOCK : high]])
        rank = self._rank[rows]
        if len(rank) > wanted:
            some = np.argpartition(rank, wanted)[:wanted]
            rows, rank = rows[some], rank[some]
        _, once = np.unique(rank, return_index=True)
        found: npt.NDArray[np.int32] = rows[once[:k]]
        return found

    def candidates(self, text: str, most: int, inside: bool = False, begun: bool = False) -> Ints:
        """Return up to `most` numbers of names that share trigrams with `text`, the likeliest first.

        inside: names that are a part of `text` rather than all of it; begun: those of which `text` is a part.
        """
        if not text:
            return np.zeros(0, np.intp)
        grams = np.unique(_addresses([text], self._address_bits)[0])
        starts, stops = self._gram_offsets[grams], self._gram_offsets[grams + 1]
        sizes = stops - starts
        order = np.argsort(sizes, kind="stable")
        order = order[sizes[order] > 0]
        within = int(np.searchsorted(np.cumsum(sizes[order]), _BUDGET, "right"))
        order = order[: max(within, _FEWEST_GRAMS)]
        if not len(order):
            return np.zeros(0, np.intp)
        postings = np.concatenate([self._gram_name[starts[g] : stops[g]] for g in order])
        postings.sort()
        begins = np.flatnonzero(np.diff(postings, prepend=-1))
        shared = np.diff(begins, append=len(postings))
        near = shared >= max(1.0, shared.max() * _NEAR_BEST)
        numbers, shared = postings[begins[near]], shared[near]
        length = self._grams[numbers].astype(np.float64)
        if begun:
            likeness = shared.astype(np.float64)
        else:
            likeness = shared**2 / length if inside else shared / (length + len(order))
        if len(numbers) > most:
            some = np.sort(np.argpartition(-likeness, most)[:most])
            numbers, likeness = numbers[some], likeness[some]
        found: Ints = numbers[np.argsort(-likeness, kind="stable")].astype(np.intp)
        return found

    def _first_from(self, wanted: bytes) -> int:
        """Return the number of the first name not before `wanted`."""
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._utf8[self._offsets[middle] : self._offsets[middle + 1]].tobytes() < wanted:
                low = middle + 1
            else:
                high = middle
        return low
