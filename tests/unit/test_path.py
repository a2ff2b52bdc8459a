"""Paths: the smallest worst step, exactly; then the least sum; songs shared out among the places."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.path import own_layer, places_between, smallest_steps


def steps(costs: list[np.ndarray], path: tuple[int, ...]) -> list[float]:
    """Return what each step of a path costs."""
    return [float(cost[a, b]) for cost, (a, b) in zip(costs, pairwise(path), strict=True)]


@settings(max_examples=80, deadline=None)
@given(sizes=st.lists(st.integers(1, 4), min_size=2, max_size=6), seed=st.integers(0, 1000), coarse=st.booleans())
def test_the_path_is_the_best_of_all(sizes: list[int], seed: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    costs = [rng.random((a, b)) for a, b in pairwise(sizes)]
    if coarse:
        costs = [np.round(4 * cost) / 4 for cost in costs]  # many paths whose worst steps are equal
    found = steps(costs, tuple(smallest_steps(costs)))
    every = [steps(costs, path) for path in product(*(range(size) for size in sizes))]
    best = min((max(path), sum(path)) for path in every)
    least = min(sum(path) for path in every if max(path) <= best[0] + 1e-9)
    assert max(found) == pytest.approx(best[0])
    assert sum(found) == pytest.approx(least)


def test_what_is_left_out_is_not_passed() -> None:
    costs = [np.array([[np.inf, 0.9, 0.8]]), np.array([[0.0], [0.1], [np.inf]])]
    assert smallest_steps(costs) == [0, 1, 0]


@given(st.lists(st.floats(0, 10), min_size=1, max_size=9), st.integers(0, 100))
def test_legs_get_places_by_their_lengths(distances: list[float], places: int) -> None:
    found = places_between(distances, places)
    assert sum(found) == places
    total = sum(distances)
    if total > 0:
        assert all(abs(n - places * d / total) < 1 + 1e-6 for n, d in zip(found, distances, strict=True))


@given(st.lists(st.lists(st.integers(0, 30), unique=True, max_size=12), max_size=8), st.integers(1, 6))
def test_a_song_is_in_one_layer_only(ranked: list[list[int]], size: int) -> None:
    taken = {0, 7}
    layers = own_layer(ranked, taken, size)
    songs = [ranked[i][at] for i, layer in enumerate(layers) for at in layer]
    assert len(set(songs)) == len(songs)
    assert not taken & set(songs)
    assert all(len(layer) <= size and layer == sorted(layer) for layer in layers)


def test_layers_take_turns() -> None:
    assert own_layer([[1, 2, 3, 4], [1, 2, 3, 4]], set(), 2) == [[0, 2], [1, 3]]
