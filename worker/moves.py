"""What small changes of a sequence cost, all of one kind at once: reversals, shifts, swaps, replacements.

A stretch is the part of a sequence that may change, of k places; its neighbours stand still. `steps`: float64
(k + 2, k + 2), pair costs among the stretch and its two neighbours; `stay`: float64 (k, k), what the item that is now
at place q costs at place p, or None. All results are differences of the total cost.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]


class Kind(NamedTuple):
    """A kind of change, each of which two places i and j ≥ i + apart tell.

    turn: places i…j in reverse. swap: i and j exchange. shift: the `length` items from i on go to just behind j, and
    what lies between moves up; back: counted from the other end of the stretch. turned: those items in reverse.
    """

    name: str
    apart: int
    length: int = 0
    back: bool = False
    turned: bool = False


KINDS = (
    Kind("turn", 1),
    Kind("swap", 2),
    *(
        Kind("shift", length, length, back, turned)
        for length in (1, 2, 3)
        for back in (False, True)
        for turned in (False, True)[: min(length, 2)]
    ),
)


def allowed(k: int) -> npt.NDArray[np.bool_]:
    """Return which changes there are on a stretch of k places, bool (len(KINDS), k, k)."""
    i, j = np.arange(k)[:, None], np.arange(k)[None, :]
    return np.stack([j >= i + kind.apart for kind in KINDS])


def changes(steps: F64, stay: F64 | None) -> F64:
    """Return what each change costs, float64 (len(KINDS), k, k); only those that are allowed mean anything."""
    k = len(steps) - 2
    out = np.empty((len(KINDS), k, k))
    back, back_stay = steps[::-1, ::-1], None if stay is None else stay[::-1, ::-1]
    for kind, delta in zip(KINDS, out, strict=True):
        if kind.name == "turn":
            _turns(steps, stay, delta)
        elif kind.name == "swap":
            _swaps(steps, stay, delta)
        elif kind.back:
            _shifts(back, back_stay, kind, delta)
        else:
            _shifts(steps, stay, kind, delta)
    return out


def _turns(steps: F64, stay: F64 | None, delta: F64) -> None:
    following = np.diagonal(steps, 1)
    np.add(steps[:-2, 1:-1], steps[1:-1, 2:], out=delta)
    delta -= following[:-1, None]
    delta -= following[None, 1:]
    if stay is not None:
        delta += _turned_stay(stay)


def _turned_stay(stay: F64) -> F64:
    """Return how the place costs change, by sums along anti-diagonals: place p takes the item of place i + j − p."""
    k = len(stay)
    flat = np.zeros((k + 1) * 2 * k + k)
    # A view in which row p, column q is row p + 1, column p + q of a table: its columns are the anti-diagonals.
    size = flat.itemsize
    table = flat[: (k + 1) * 2 * k].reshape(k + 1, 2 * k)
    strides = ((2 * k + 1) * size, size)
    skewed = np.lib.stride_tricks.as_strided(flat[2 * k :], (k, k), strides)
    skewed[:] = stay
    np.cumsum(table, axis=0, out=table)
    # What lies up to place j on the anti-diagonal i + j, less what lies before place i: the view turned, and a row up.
    own = np.concatenate([[0.0], np.cumsum(np.diagonal(stay))])
    changed: F64 = skewed.T - np.lib.stride_tricks.as_strided(flat, (k, k), strides)
    changed -= own[1:][None, :] - own[:-1][:, None]
    return changed


def _swaps(steps: F64, stay: F64 | None, delta: F64) -> None:
    following = np.diagonal(steps, 1)
    # Items i and j between the neighbours of the other one.
    beside = steps[:-2, 1:-1] + steps[2:, 1:-1]
    np.add(beside, beside.T, out=delta)
    around = following[:-1] + following[1:]
    if stay is not None:
        delta += stay
        delta += stay.T
        around = around + np.diagonal(stay)
    delta -= around[:, None]
    delta -= around[None, :]


def _shifts(steps: F64, stay: F64 | None, kind: Kind, delta: F64) -> None:
    k, length = len(steps) - 2, kind.length
    if k <= length:
        return
    following = np.diagonal(steps, 1)
    n = k - length  # places from which a block can start and have something behind it
    first, last = steps[1 : n + 1], steps[length : n + length]
    if kind.turned:
        first, last = last, first
    found = delta[:n]
    np.add(first[:, 1:-1], last[:, 2:], out=found)
    from_here = np.diagonal(steps, length + 1)[:n] - following[:n] - following[length : length + n]
    behind = -following[1:]
    if stay is not None:
        own = np.diagonal(stay)
        up_to = np.cumsum(np.concatenate([np.zeros(length), np.diagonal(stay, length) - own[length:]]))
        behind = behind + up_to
        from_here = from_here - up_to[length - 1 : -1]
        for s in range(length):
            # The item of place i + s comes to place j − before.
            before = s if kind.turned else length - 1 - s
            found[:, length:] += stay.T[s : s + n, length - before : k - before]
            from_here = from_here - own[s : s + n]
    found += from_here[:, None]
    found += behind[None, :]


def replacements(steps: F64, to_before: F64, to_after: F64, entering: F64, leaving: F64) -> F64:
    """Return what it costs that place p takes item x instead, float64 (k, x).

    to_before, to_after: (k, x), pair costs of x with the neighbours of place p; entering: (k, x), what x costs there
    beside; leaving: (k,), the same of the item that stands there.
    """
    following = np.diagonal(steps, 1)
    delta: F64 = to_before + to_after + entering - (following[:-1] + following[1:] + leaving)[:, None]
    return delta
