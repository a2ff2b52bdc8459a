"""The solver: exact where it says so, near to it elsewhere, and never against what it must keep."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker import exact, moves, sequence
from worker.local_search import CLASH, Search
from worker.problem import Order, Problem
from worker.sequence import solve


def problem(
    rng: np.random.Generator,
    m: int,
    n: int,
    *,
    place: bool = False,
    gap: int = 0,
    artists: int = 0,
    plane: bool = False,
) -> Problem:
    """Return a random problem. plane: costs are distances, as those of songs nearly are."""
    if plane:
        points = rng.random((m, 4))
        pair = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))
    else:
        pair = rng.random((m, m))
        pair = (pair + pair.T) / 2
    np.fill_diagonal(pair, 0.0)
    who = rng.integers(0, artists, m) if artists else np.arange(m)
    conflict = (who[:, None] == who[None, :]) & ~np.eye(m, dtype=bool)
    return Problem(pair, rng.random((n, m)) if place else None, 0.2 * rng.random(m), conflict, gap)


def best_of_all(p: Problem, n: int, head: int = 0) -> float:
    """Return the least cost of all orders of the first n items."""
    return min(p.cost(np.array([*range(head), *rest])) for rest in permutations(range(head, n)))


def clashes_counted(p: Problem, order: Order) -> int:
    """Count what `Problem.clashes` counts, place by place."""
    pairs = [(i, j) for i in range(len(order)) for j in range(i + 1, min(i + p.gap, len(order) - 1) + 1)]
    found = sum(bool(p.conflict[order[i], order[j]]) for i, j in pairs)
    for members in p.groups:
        at = [i for i, item in enumerate(order) if item in members]
        found += sum(at[k + p.most] - at[k] < p.window for k in range(len(at) - p.most))
    return found


@pytest.mark.parametrize("n", range(1, 8))
@pytest.mark.parametrize("place", [False, True])
def test_few_items_are_put_in_the_best_order_there_is(n: int, place: bool) -> None:
    for case in range(8):
        p = problem(np.random.default_rng(100 * n + case), n, n, place=place)
        for head in range(min(n, 2)):
            order = solve(replace(p, head=head), [np.arange(n)])
            assert sorted(order.tolist()) == list(range(n))
            assert order[:head].tolist() == list(range(head))
            assert p.cost(order) == pytest.approx(best_of_all(p, n, head))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(3, 14),
    place=st.booleans(),
    gap=st.integers(0, 3),
    low=st.integers(0, 2),
    off=st.integers(0, 2),
)
def test_every_move_costs_what_it_says(seed: int, n: int, place: bool, gap: int, low: int, off: int) -> None:
    rng = np.random.default_rng(seed)
    p = problem(rng, n + 4, n, place=place, gap=gap, artists=6)
    search, order = Search(p, 10**9), rng.permutation(n + 4)[:n]
    high = n - off
    if high - low < 1:
        return
    gains, found = search._moves(order, True, low, high, 0)
    for i, gain in enumerate(gains):
        move = found(i)
        changed = search._made(order, move)
        assert len(set(changed.tolist())) == n
        assert changed[:low].tolist() == order[:low].tolist()
        assert changed[high:].tolist() == order[high:].tolist()
        loss = p.cost(changed) - p.cost(order)
        assert search._loss(order, changed, low, high) == pytest.approx(loss)
        if move.kind is None:
            loss += CLASH * (p.clashes(changed) - p.clashes(order)) if p.bound else 0.0
        assert gain == pytest.approx(loss, abs=1e-6)


def test_the_moves_of_a_stretch_are_all_there_are() -> None:
    """Of four places: 6 reversals, 3 swaps of places that are no neighbours, and the shifts of 1, 2 and 3 items."""
    count = moves.allowed(4).sum(axis=(1, 2)).tolist()
    names = [kind.name for kind in moves.KINDS]
    assert dict(zip(names, count, strict=True))["turn"] == 6
    assert count[names.index("swap")] == 3
    assert [c for kind, c in zip(moves.KINDS, count, strict=True) if kind.length == 3] == [1, 1, 1, 1]


@pytest.mark.parametrize(("place", "plane"), [(False, False), (False, True), (True, True)])
def test_the_search_alone_comes_near_to_the_best(place: bool, plane: bool) -> None:
    """Twelve items without the exact solver: within 2 % of it on average."""
    over = []
    for case in range(12):
        p = problem(np.random.default_rng(case), 12, 12, place=place, plane=plane)
        search = Search(p, sequence.LEAST_WORK)
        found = search.kick(search.descend(np.arange(12), False), False)
        over.append(p.cost(found) / p.cost(exact.best(p.pair, p.place, np.arange(12), 0)) - 1)
    assert min(over) > -1e-9
    assert np.mean(over) < 0.02


def test_a_long_order_beats_the_greedy_one() -> None:
    p = problem(np.random.default_rng(5), 80, 80, plane=True)
    greedy = min(p.cost(sequence.nearest(p, np.arange(80), begin)) for begin in range(80))
    assert p.cost(solve(p, [np.arange(80)])) < greedy


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), gap=st.integers(0, 4), n=st.integers(8, 30), place=st.booleans())
def test_items_stand_apart_where_they_can(seed: int, gap: int, n: int, place: bool) -> None:
    rng = np.random.default_rng(seed)
    p = problem(rng, n, n, place=place, gap=gap)
    who = np.arange(n) // 2  # pairs, and enough others between any two
    p = replace(p, conflict=(who[:, None] == who[None, :]) & ~np.eye(n, dtype=bool))
    order = solve(p, [np.arange(n)])
    assert sorted(order.tolist()) == list(range(n))
    assert p.clashes(order) == clashes_counted(p, order)
    if n >= 2 * (gap + 1):
        assert p.clashes(order) == 0


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), gap=st.integers(0, 12), n=st.integers(1, 20), most=st.integers(1, 3))
def test_clashes_are_counted(seed: int, gap: int, n: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    p = problem(rng, n, n, gap=gap, artists=4)
    p = replace(p, groups=(np.flatnonzero(rng.random(n) < 0.5),), most=most)
    order = rng.permutation(n)
    assert p.clashes(order) == clashes_counted(p, order)


def test_what_cannot_stand_apart_stands_as_far_apart_as_can_be() -> None:
    """Six items of one artist among eight, two others between any two asked for: some clash, and none that need not."""
    p = problem(np.random.default_rng(0), 8, 8)
    shared = np.zeros((8, 8), bool)
    shared[:6, :6] = ~np.eye(6, dtype=bool)
    p = replace(p, conflict=shared, gap=2)
    least = min(p.clashes(np.array(order)) for order in permutations(range(8)))
    assert least > 0
    assert p.clashes(solve(p, [np.arange(8)])) == least


def test_items_are_exchanged_where_that_pays_and_never_those_that_must_be_used() -> None:
    rng = np.random.default_rng(3)
    p = problem(rng, 60, 20, place=True, gap=2, artists=25)
    fixed = np.zeros(60, bool)
    fixed[[2, 5]] = True
    kind = np.arange(60) % 2
    p = replace(p, fixed=fixed, kind=kind)
    start = np.arange(20)
    order = solve(p, [start], choose=True)
    assert len(set(order.tolist())) == 20
    assert {2, 5} <= set(order.tolist())
    assert np.bincount(kind[order]).tolist() == [10, 10], "each kind keeps its share"
    assert p.clashes(order) == 0
    assert p.cost(order) < p.cost(solve(p, [start]))


def test_the_head_stays() -> None:
    p = replace(problem(np.random.default_rng(4), 50, 30, gap=3, artists=20), head=10)
    order = solve(p, [np.arange(30)], choose=True)
    assert order[:10].tolist() == list(range(10))


def test_the_same_problem_gives_the_same_order() -> None:
    p = problem(np.random.default_rng(6), 60, 30, place=True, gap=3, artists=20)
    assert solve(p, [np.arange(30)], True).tolist() == solve(p, [np.arange(30)], True).tolist()


def test_items_in_another_order_give_the_same_sequence() -> None:
    rng = np.random.default_rng(7)
    p = problem(rng, 12, 12, place=True)
    other = rng.permutation(12)
    moved = replace(p, pair=p.pair[np.ix_(other, other)], place=p.place[:, other], own=p.own[other])  # type: ignore[index]
    assert other[solve(moved, [np.arange(12)])].tolist() == solve(p, [np.arange(12)]).tolist()


def test_work_is_bounded() -> None:
    """With no work allowed, the best first order is the answer; more work never makes it worse."""
    p = problem(np.random.default_rng(8), 40, 40, plane=True)
    costs = [p.cost(solve(p, [np.arange(40)], work=work)) for work in (0, 1_000_000, 10_000_000)]
    assert costs[0] >= costs[1] >= costs[2]
