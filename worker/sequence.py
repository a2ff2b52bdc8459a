"""Put items into an order whose neighbours fit: exact for a few, local search for many. Knows only costs.

What is minimised is the sum of the costs of neighbours, of items at their places, and of the items themselves. Items
that conflict must stand apart; an order that breaks that as little as can be found comes before any that is cheaper.
Nothing here depends on the clock: the same problem gives the same order everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worker import exact
from worker.local_search import CLASH, Search
from worker.problem import Order, Problem

LEAST_WORK, WORK = 10_000_000, 36_000
"""What a search may do at most, in numbers looked at: WORK · n^1.4, as moves take longer to compare in longer orders
and more of them are to be made. It sets the time, without a clock: 10,000,000 take about 30 ms."""

_NEVER = CLASH * CLASH

_INSERTED = 200
"""Items that are also put in order by cheapest insertion, which takes the cube of their number."""


def solve(problem: Problem, starts: Sequence[Order], choose: bool = False, work: int | None = None) -> Order:
    """Return the best order found of the items of `starts`.

    starts: orders of n items to begin from, all with the same head; without `choose` all of the same items.
    choose: items that are not in the order may take the place of others. work: None: what is usual for so many.
    """
    first = starts[0]
    search = Search(problem, max(LEAST_WORK, round(WORK * len(first) ** 1.4)) if work is None else work)
    if not choose and len(first) - problem.head <= exact.LARGEST:
        order = exact.best(problem.pair, problem.place, first, problem.head)
        if not problem.clashes(order):
            return order
    greedy = [nearest(problem, first, begin, choose) for begin in _begins(problem, first)]
    candidates = [min([*(np.asarray(start, np.intp) for start in starts), *greedy], key=problem.value)]
    if problem.place is None and len(first) <= _INSERTED:
        candidates.append(inserted(problem, first))
    if problem.bound:
        cheapest = min([*greedy, *candidates], key=problem.cost)
        if problem.clashes(cheapest):
            candidates.append(search.harden(cheapest, choose))
    best = min((search.descend(search.sweep(order, choose), choose) for order in candidates), key=problem.value)
    return search.kick(best, choose)


def polish(problem: Problem, order: Order) -> Order:
    """Return an order of the same items that is at least as good: exact for a few, else what a short search finds."""
    return min(order, solve(problem, [order], work=LEAST_WORK), key=problem.value)


def _begins(problem: Problem, order: Order) -> list[int]:
    """Return items to begin with: what fits the first place best; if all do, the two that fit the others least."""
    free = order[problem.head :]
    if problem.head:
        return [int(order[0])]
    if problem.place is not None:
        return [int(free[np.argmin(problem.place[0, free])])]
    lone = free[np.argsort(-problem.pair[np.ix_(free, free)].sum(axis=1), kind="stable")]
    return [int(item) for item in lone[:2]]


def nearest(problem: Problem, items: Order, begin: int, choose: bool = False) -> Order:
    """Return the order in which each item is followed by what costs least there, of those left (greedy).

    begin: the first item, if there is no head. choose: of all items there are, as many of each kind as in `items`.
    """
    order = [int(item) for item in items[: problem.head]] or [begin]
    m = len(problem.pair)
    kind = np.zeros(m, np.intp) if problem.kind is None else problem.kind - problem.kind.min()
    if problem.fixed is not None:
        kind = np.where(problem.fixed, kind.max() + 1, kind)  # all of these are used, so they are a kind of their own
    left = np.bincount(kind[items], minlength=int(kind.max()) + 1)
    left -= np.bincount(kind[order], minlength=len(left))
    barred = np.full(m, _NEVER)
    barred[slice(None) if choose else items] = 0.0
    barred[order] = _NEVER
    barred[left[kind] == 0] = _NEVER
    recent = problem.conflict[order[-problem.gap :]].sum(axis=0) if problem.gap else np.zeros(m)
    base = problem.own if choose else np.zeros(m)
    for place in range(len(order), len(items)):
        cost = problem.pair[order[-1]] + base + barred + CLASH * recent
        if problem.place is not None:
            cost += problem.place[place]
        item = int(cost.argmin())
        order.append(item)
        barred[item] = _NEVER
        left[kind[item]] -= 1
        if not left[kind[item]]:
            barred[kind == kind[item]] = _NEVER
        if problem.gap:
            recent = recent + problem.conflict[item]
            if len(order) > problem.gap:
                recent -= problem.conflict[order[-problem.gap - 1]]
    return np.array(order, np.intp)


def inserted(problem: Problem, items: Order) -> Order:
    """Return the order that grows by the item and the gap that cost least (cheapest insertion)."""
    order = [int(item) for item in items[: problem.head]] or [int(items[0])]
    left = np.array(items[len(order) :], np.intp)
    fixed = max(problem.head, 0)
    while len(left):
        here = np.array(order, np.intp)
        to = problem.pair[np.ix_(left, here)]
        cost = np.full((len(left), len(here) + 1), np.inf)
        cost[:, 1:-1] = to[:, :-1] + to[:, 1:] - problem.pair[here[:-1], here[1:]]
        cost[:, -1] = to[:, -1]
        if not fixed:
            cost[:, 0] = to[:, 0]
        cost[:, :fixed] = np.inf
        which, where = np.unravel_index(int(np.argmin(cost)), cost.shape)
        order.insert(int(where), int(left[which]))
        left = np.delete(left, which)
    return np.array(order, np.intp)
