"""Make an order better by small changes until none helps, and by kicks after that, within a budget of work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from worker import moves
from worker.problem import F64, Order, Problem

EPSILON = 1e-7
"""A gain that is less than this is none: sums in another order differ by more than nothing."""

CLASH = 1000.0
"""More than any order can cost: what a conflict weighs where moves are compared."""

_SET_UP = 60_000
"""What a round costs beside the numbers that it looks at, in the same unit."""

_TRY = 3_000
"""What it costs to try a move."""

_STRETCH = 40
"""Places that are searched again after a kick."""

_SWAP = next(i for i, kind in enumerate(moves.KINDS) if kind.name == "swap")

_SINGLE = [(i, kind.back) for i, kind in enumerate(moves.KINDS) if kind.name == "shift" and kind.length == 1]

_TAKEN = 24
"""Moves tried of a round, the best first; those that do not touch each other are made together …"""

_LOOKED_AT = 200
"""… and so many until one is found that makes no clash."""

_SOFT = (0.1, 0.4)
"""What a clash costs at first, and then, where a search begins among orders with clashes."""


@dataclass(frozen=True)
class Move:
    """A change of the places low … high. kind: None: `item` comes to place low."""

    low: int
    high: int
    kind: moves.Kind | None
    item: int = -1


class Search:
    """A local search with a budget. work: what is left of it."""

    def __init__(self, problem: Problem, work: int) -> None:
        self.problem, self.work = problem, work
        m = len(problem.pair)
        # One more item that stands beside both ends and costs nothing.
        self.pair = np.zeros((m + 1, m + 1))
        self.pair[:m, :m] = problem.pair
        self.bound = problem.bound
        self.weight = CLASH
        self.near = problem.conflict.view(np.uint8)
        self.masks: dict[int, npt.NDArray[np.bool_]] = {}
        self.open = np.ones(m, bool) if problem.fixed is None else ~problem.fixed

    def descend(self, order: Order, choose: bool, low: int | None = None, high: int | None = None) -> Order:
        """Return what no single move makes better any more. low, high: the places that may change."""
        low = self.problem.head if low is None else low
        high = len(order) if high is None else high
        while self.work > 0:
            found = self._round(order, choose, low, high)
            if found is None:
                break
            order = found
        return order

    def harden(self, order: Order, choose: bool) -> Order:
        """Return what `descend` does where clashes cost little at first, and then ever more.

        Where items can hardly stand apart, nearly every move makes a clash, and a search that never may ends soon.
        """
        for self.weight in _SOFT:
            order = self.descend(order, choose)
        self.weight = CLASH
        return self.descend(order, choose)

    def sweep(self, order: Order, choose: bool) -> Order:
        """Return what no single move within a stretch makes better: cheaper than all at once, where there is much."""
        for low in range(self.problem.head, len(order), _STRETCH // 2):
            if len(order) > 2 * _STRETCH:
                order = self.descend(order, choose, low, min(low + _STRETCH, len(order)))
        return order

    def kick(self, order: Order, choose: bool) -> Order:
        """Exchange two blocks somewhere, search again there, and keep what is better, until the work is done."""
        head, n = self.problem.head, len(order)
        if n - head < 5:
            return order
        rng = np.random.default_rng(n)
        value = self.problem.value(order)
        while self.work > 0:
            middle = int(rng.integers(head, n))
            low, high = max(head, middle - _STRETCH // 2), min(n, middle + _STRETCH // 2)
            a, b, c = np.sort(rng.choice(np.arange(low, high + 1), 3, replace=False))
            kicked = np.concatenate([order[:a], order[b:c], order[a:b], order[c:]])
            found = self.descend(kicked, choose, low, high)
            self.work -= _SET_UP
            if (worth := self.problem.value(found)) < (value[0], value[1] - EPSILON):
                order, value = found, worth
        return order

    def _round(self, order: Order, choose: bool, low: int, high: int) -> Order | None:
        """Make the best moves that do not touch each other. → the order; None: nothing is better."""
        clashes = self.problem.clashes(order)
        gain, found = self._moves(order, choose, low, high, clashes)
        touched = np.zeros(len(order) + 2, bool)
        used: set[int] = set()
        made = False
        for tried, i in enumerate(np.argsort(gain, kind="stable")):
            if made and tried >= _TAKEN:
                break
            move = found(int(i))
            self.work -= _TRY
            if touched[move.low : move.high + 3].any() or move.item in used:
                continue
            changed = self._made(order, move)
            after = self.problem.clashes(changed) if self.bound else 0
            if self._loss(order, changed, low, high) + self.weight * (after - clashes) > -EPSILON:
                continue
            order, clashes, made = changed, after, True
            touched[move.low + 1 : move.high + 2] = True
            if move.kind is None:
                used.add(move.item)
        return order if made else None

    def _loss(self, order: Order, changed: Order, low: int, high: int) -> float:
        """Return how much more the changed order costs."""
        span = slice(max(low - 1, 0), min(high + 1, len(order)))
        problem = replace(self.problem, place=None if self.problem.place is None else self.problem.place[span])
        return problem.cost(changed[span]) - problem.cost(order[span])

    def _moves(
        self, order: Order, choose: bool, low: int, high: int, clashes: int
    ) -> tuple[F64, Callable[[int], Move]]:
        """Return what the moves of a stretch cost that may be worth it, and which they are."""
        problem, k = self.problem, high - low
        edge = len(problem.pair)
        items = order[low:high]
        around = np.concatenate(
            [[order[low - 1] if low else edge], items, [order[high] if high < len(order) else edge]]
        )
        steps = self.pair[np.ix_(around, around)]
        stay = None if problem.place is None else problem.place[low:high][:, items]
        near = self._near(order, low, high) if self.bound and (clashes or choose) else None
        deltas = moves.changes(steps, stay)
        if clashes and near is not None:
            mutual = near[:, items]
            own = np.diagonal(mutual)
            deltas[_SWAP] += self.weight * (mutual + mutual.T - own[:, None] - own[None, :])
            for which, back in _SINGLE:
                there = mutual[::-1, ::-1] if back else mutual
                deltas[which] += self.weight * (there.T - np.diagonal(there)[:, None])
        gains = deltas.ravel()
        worth = gains < -EPSILON
        worth &= self._allowed(k)
        if choose:
            fresh = self._replacements(order, around, steps, low, high, near).ravel()
            gains, worth = np.concatenate([gains, fresh]), np.concatenate([worth, fresh < -EPSILON])
        self.work -= _SET_UP + len(gains)
        places = np.flatnonzero(worth)
        most = _LOOKED_AT if self.bound else _TAKEN
        if len(places) > most:
            places = np.sort(places[np.argpartition(gains[places], most)[:most]])

        def found(index: int) -> Move:
            place = int(places[index])
            if place >= deltas.size:
                at, item = divmod(place - deltas.size, len(problem.pair))
                return Move(low + at, low + at, None, item)
            which, at = divmod(place, k * k)
            i, j = divmod(at, k)
            if moves.KINDS[which].back:
                i, j = k - 1 - j, k - 1 - i
            return Move(low + i, low + j, moves.KINDS[which])

        return gains[places], found

    def _allowed(self, k: int) -> npt.NDArray[np.bool_]:
        if k not in self.masks:
            self.masks[k] = moves.allowed(k).ravel()
        return self.masks[k]

    def _near(self, order: Order, low: int, high: int) -> F64:
        """Return with how many items each item would clash at each place of a stretch, float64 (k, m)."""
        gap, k = self.problem.gap, high - low
        table = np.zeros((k + 2 * gap, len(self.near)), np.uint8)
        begin, end = max(low - gap, 0), min(high + gap, len(order))
        table[begin - low + gap : end - low + gap] = self.near[order[begin:end]]
        total = np.zeros((k, len(self.near)), np.uint8)
        for apart in range(1, gap + 1):
            total += table[gap - apart : gap - apart + k]
            total += table[gap + apart : gap + apart + k]
        return total.astype(np.float64)

    def _replacements(self, order: Order, around: Order, steps: F64, low: int, high: int, near: F64 | None) -> F64:
        problem = self.problem
        items = order[low:high]
        entering = np.broadcast_to(problem.own, (high - low, len(problem.own))).copy()
        leaving = problem.own[items].copy()
        if problem.place is not None:
            entering += problem.place[low:high]
            leaving += problem.place[np.arange(low, high), items]
        if near is not None:
            entering += self.weight * near
            leaving += self.weight * near[np.arange(high - low), items]
        pair = self.pair[:, :-1]
        delta = moves.replacements(steps, pair[around[:-2]], pair[around[2:]], entering, leaving)
        delta[~self.open[items]] = np.inf
        delta[:, order] = np.inf
        if problem.kind is not None:
            delta[problem.kind[items][:, None] != problem.kind[None, :]] = np.inf
        return delta

    @staticmethod
    def _made(order: Order, move: Move) -> Order:
        """Return the order after a move."""
        low, high, kind, changed = move.low, move.high, move.kind, order.copy()
        if kind is None:
            changed[low] = move.item
        elif kind.name == "swap":
            changed[[low, high]] = order[[high, low]]
        elif kind.name == "turn":
            changed[low : high + 1] = order[low : high + 1][::-1]
        else:
            span = order[low : high + 1]
            at = len(span) - kind.length if kind.back else kind.length
            left, right = span[:at], span[at:]
            if kind.turned and kind.back:
                right = right[::-1]
            elif kind.turned:
                left = left[::-1]
            changed[low : high + 1] = np.concatenate([right, left])
        return changed
