"""The best order of a few items, exactly (Held, Karp 1962)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]

LARGEST = 12
"""Items that are put in order exactly. Each one more doubles time and memory: 4,096 subsets of twelve."""


def best(pair: F64, place: F64 | None, items: Order, head: int) -> Order:
    """Return the cheapest order of `items`, whose first `head` stay where they are; ties by their order.

    pair, place: as in `worker.problem.Problem`. A subset's size is the place of what comes next, so costs of places
    need no more room than costs of neighbours.
    """
    free = items[head:]
    k = len(free)
    if k < 2:
        return items.copy()
    steps = pair[np.ix_(free, free)]
    stay = np.zeros((k, k)) if place is None else place[head : head + k][:, free]
    cost = np.full((1 << k, k), np.inf)
    came = np.zeros((1 << k, k), np.intp)
    singles = 1 << np.arange(k)
    cost[singles, np.arange(k)] = stay[0] + (pair[items[head - 1], free] if head else 0.0)
    subsets = np.arange(1 << k)
    sizes = np.array([int(s).bit_count() for s in subsets])
    for size in range(1, k):
        here = subsets[sizes == size]
        through = cost[here][:, :, None] + steps[None]
        last = through.argmin(axis=1)
        least = np.take_along_axis(through, last[:, None, :], axis=1)[:, 0, :]
        which, item = np.nonzero((here[:, None] & singles[None, :]) == 0)
        grown = here[which] | singles[item]
        # Each grown subset with its last item comes from one subset only, so nothing is written twice.
        cost[grown, item] = least[which, item] + stay[size, item]
        came[grown, item] = last[which, item]
    subset, at = (1 << k) - 1, int(cost[-1].argmin())
    order = []
    while subset:
        order.append(at)
        subset, at = subset ^ (1 << at), int(came[subset, at])
    return np.concatenate([items[:head], free[order[::-1]]]).astype(np.intp)
