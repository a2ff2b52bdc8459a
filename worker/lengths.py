"""Bring a playlist to a length in time: how many songs it takes, and which to exchange for the last seconds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.local_search import CLASH
from worker.problem import Order, Problem

F64 = npt.NDArray[np.float64]

NEAR_S = 1.0
"""A total so near to the wish is as wished."""

SONG_S = 225.0
"""How long a song lasts, where that is known of none."""

_ROUNDS = 6
_PAIRS = 400
"""Exchanges, the cheapest, of which two at once are tried."""


def count(seconds: F64, wish_s: float, at_least: int) -> int:
    """Return how many of the first songs come nearest to the wish. seconds: of each, none unknown; → ≥ at_least."""
    totals = np.concatenate([[0.0], np.cumsum(seconds)])
    off = np.abs(totals - wish_s)
    return max(at_least, int(off[at_least:].argmin()) + at_least) if at_least < len(off) else len(seconds)


def off(seconds: F64, wish_s: float) -> list[str]:
    """Say how far these are from the wish together, if farther than a second. seconds: of each, NaN unknown."""
    more = float(np.nansum(seconds)) - wish_s
    return [f"it lasts {abs(more):.0f} s {'more' if more > 0 else 'less'} than asked for"] if abs(more) > NEAR_S else []


def missing(seconds: F64, wish_s: float) -> int:
    """Return how many songs more, or fewer, would come nearest to the wish, by how long these last, NaN unknown."""
    usual = SONG_S if np.isnan(seconds).all() else max(float(np.nanmean(seconds)), 1.0)
    return round((wish_s - float(np.nansum(seconds))) / usual)


def fitting(seconds: F64, wish_s: float) -> int:
    """Return how many of the first songs last no longer than is wished, one at least. seconds: of each, NaN unknown."""
    totals = np.cumsum(np.nan_to_num(seconds))
    return max(int(np.searchsorted(totals, wish_s + NEAR_S, side="right")), 1)


def exchanged(problem: Problem, order: Order, seconds: F64, wish_s: float) -> Order:
    """Return the order with songs exchanged so that its total comes near to the wish, at the least cost.

    One song at a time, then two at once. seconds: float64 (m,), NaN unknown: such songs stay, and none comes in.
    """
    order = order.copy()
    for _ in range(_ROUNDS):
        off = float(np.nansum(seconds[order])) - wish_s
        if abs(off) <= NEAR_S:
            break
        loss, places, items = _single(problem, order)
        change = seconds[items] - seconds[order[places]]
        known = ~np.isnan(change)
        loss, places, items, change = loss[known], places[known], items[known], change[known]
        if not len(loss):
            break
        left = np.abs(off + change)
        if (good := np.flatnonzero(left <= NEAR_S)).size:
            best = good[int(np.argmin(loss[good]))]
            order[places[best]] = items[best]
            break
        pair = _pair(problem, order, loss, places, items, off + change, change)
        if pair is not None:
            order = pair
            break
        nearest = int(np.lexsort((loss, left))[0])
        if left[nearest] >= abs(off) - 1e-9:
            break
        order[places[nearest]] = items[nearest]
    return order


def _single(problem: Problem, order: Order) -> tuple[F64, Order, Order]:
    """Return every allowed exchange: what it costs, its place, the item that comes in. Only those without a clash."""
    n, m = len(order), len(problem.pair)
    pair = np.zeros((m + 1, m))
    pair[:m] = problem.pair
    before = np.concatenate([[m], order[:-1]])
    after = np.concatenate([order[1:], [m]])
    at = np.arange(n)
    beside = pair[before] + pair[after] + problem.own
    if problem.place is not None:
        beside = beside + problem.place
    loss = beside - beside[at, order][:, None]
    if problem.bound and problem.gap:
        gap = problem.gap
        total = np.zeros((n + 1, m))
        np.cumsum(problem.conflict[order], axis=0, out=total[1:])
        near = total[np.minimum(at + gap + 1, n)] - total[np.maximum(at - gap, 0)] - problem.conflict[order]
        loss += CLASH * np.maximum(near - near[at, order][:, None], 0)
    loss[:, order] = np.inf
    loss[: problem.head] = np.inf
    if problem.fixed is not None:
        loss[problem.fixed[order]] = np.inf
    if problem.kind is not None:
        loss[problem.kind[order][:, None] != problem.kind[None, :]] = np.inf
    places, items = np.nonzero(loss < CLASH / 2)
    if problem.groups:
        clashes = problem.clashes(order)
        keep = [problem.clashes(_with(order, (p, x))) <= clashes for p, x in zip(places, items, strict=True)]
        places, items = places[keep], items[keep]
    return loss[places, items], places, items


def _pair(
    problem: Problem, order: Order, loss: F64, places: Order, items: Order, reached: F64, change: F64
) -> Order | None:
    """Return the order with the cheapest two exchanges that together reach the wish, None if none do."""
    few = np.argsort(loss, kind="stable")[:_PAIRS]
    off = np.abs(reached[few][:, None] + change[few][None, :])
    fits = np.triu(off <= NEAR_S, 1)
    fits &= (np.abs(places[few][:, None] - places[few][None, :]) > 1) & (items[few][:, None] != items[few][None, :])
    a, b = np.nonzero(fits)
    clashes = problem.clashes(order)
    for i in np.argsort(loss[few][a] + loss[few][b], kind="stable")[:_PAIRS]:
        first, second = few[a[i]], few[b[i]]
        changed = _with(order, (int(places[first]), int(items[first])), (int(places[second]), int(items[second])))
        if problem.clashes(changed) <= clashes:
            return changed
    return None


def _with(order: Order, *exchanges: tuple[np.intp | int, np.intp | int]) -> Order:
    changed = order.copy()
    for place, item in exchanges:
        changed[place] = item
    return changed
