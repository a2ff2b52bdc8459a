"""What it is to put items in order: costs to keep low, and items to keep apart. Knows no songs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Problem:
    """What to put in order. There are m items, of which n are to be used.

    pair: float64 (m, m), symmetric, the cost of two neighbours, 0–1; place: (n, m), the cost of an item at a place, or
    None; own: (m,), what using an item costs. conflict: bool (m, m), pairs that need `gap` others between them.
    groups: the items of each group that has more than `most`, which is how many may stand in any `window` places.
    head: how many items of an order's beginning stay where they are. fixed: bool (m,), items that must be used. kind:
    (m,), an item may only take the place of one of its kind.
    """

    pair: F64
    place: F64 | None
    own: F64
    conflict: npt.NDArray[np.bool_]
    gap: int
    groups: tuple[Order, ...] = ()
    most: int = 10
    window: int = 10
    head: int = 0
    fixed: npt.NDArray[np.bool_] | None = None
    kind: npt.NDArray[np.intp] | None = None

    def cost(self, order: Order) -> float:
        """Return the sum that is minimised."""
        total = float(self.pair[order[:-1], order[1:]].sum() + self.own[order].sum())
        if self.place is not None:
            total += float(self.place[np.arange(len(order)), order].sum())
        return total

    def clashes(self, order: Order) -> int:
        """Return how many times items stand nearer to each other than they may."""
        if not self.bound:
            return 0
        found = 0
        if apart := max(min(self.gap, len(order) - 1), 0):
            # Each item with the `gap` ones behind it, then the last ones with each other.
            first = np.arange(len(order) - apart)[:, None]
            found += int(np.count_nonzero(self.conflict[order[first], order[first + np.arange(1, apart + 1)]]))
            end = order[-apart:]
            found += int(np.count_nonzero(self.conflict[end[:, None], end])) // 2
        for members in self.groups:
            at = np.flatnonzero(np.isin(order, members))
            found += int(np.count_nonzero(at[self.most :] - at[: max(len(at) - self.most, 0)] < self.window))
        return found

    @cached_property
    def bound(self) -> bool:
        """Whether there is anything that must stand apart."""
        return bool(self.groups) or (self.gap > 0 and bool(self.conflict.any()))

    def value(self, order: Order) -> tuple[int, float]:
        """Return what is minimised: clashes first, then the cost."""
        return self.clashes(order), self.cost(order)
