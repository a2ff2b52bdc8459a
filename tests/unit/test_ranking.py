"""Choosing from ranked candidates, as properties."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer.songs import WINDOW
from worker.ranking import (
    Candidate,
    Vectors,
    choose,
    choose_diverse,
    interleave,
    one_version_each,
    vary,
)

credits = st.lists(st.integers(0, 6), max_size=3, unique=True).map(tuple)
any_candidates = st.lists(st.tuples(st.integers(0, 40), credits), max_size=60).map(
    lambda drawn: [Candidate(row, -float(row), song, artists) for row, (song, artists) in enumerate(drawn)]
)
candidate_lists = any_candidates.map(lambda candidates: one_version_each(candidates, ()))
limits, caps = st.integers(1, 70), st.integers(1, 4)
song_sets = st.frozensets(st.integers(0, 40), max_size=10)
diversities = st.floats(0, 1)


def candidate(row: int, *artists: int, song: int | None = None, score: float | None = None) -> Candidate:
    return Candidate(row, -float(row) if score is None else score, row if song is None else song, artists)


def fits(chosen: Sequence[Candidate], following: Candidate, cap: int) -> bool:
    """Whether `following` may come after `chosen`: counted afresh over the window that it would end."""
    window = [*chosen, following][-WINDOW:]
    count = Counter(artist for c in window for artist in c.artists)
    return all(count[artist] <= cap for artist in following.artists)


def assert_capped(chosen: Sequence[Candidate], cap: int) -> None:
    for start in range(len(chosen)):
        count = Counter(artist for c in chosen[start : start + 10] for artist in c.artists)
        assert max(count.values(), default=0) <= cap


def directions(n: int, seed: int = 0, m: int = 4) -> Vectors:
    """Return `n` unit vectors, the same for the same seed."""
    vectors = np.random.default_rng(seed).normal(size=(n, m))
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


@given(any_candidates, song_sets)
def test_each_song_once_by_its_best_version_and_none_of_the_seeds(
    candidates: list[Candidate], without: frozenset[int]
) -> None:
    kept = one_version_each(candidates, without)
    songs = [c.song for c in kept]
    assert set(songs) == {c.song for c in candidates} - without
    assert len(set(songs)) == len(songs)
    best = {c.song: c for c in reversed(candidates)}
    assert all(best[c.song] is c for c in kept)
    assert [c.row for c in kept] == sorted(c.row for c in kept)
    assert one_version_each(tuple(candidates), sorted(without)) == kept


@given(candidate_lists, limits, caps)
def test_no_artist_is_over_the_cap_in_any_ten_that_follow_each_other(
    candidates: list[Candidate], limit: int, cap: int
) -> None:
    chosen = choose(candidates, limit, cap)
    assert len(chosen) <= limit
    assert len({c.song for c in chosen}) == len(chosen)
    assert_capped(chosen, cap)


@given(candidate_lists, limits, caps)
def test_the_order_is_that_of_the_scores_as_far_as_the_cap_allows_and_it_ends_only_when_it_must(
    candidates: list[Candidate], limit: int, cap: int
) -> None:
    chosen = choose(candidates, limit, cap)
    waiting = list(candidates)
    for place, taken in enumerate(chosen):
        passed_over = [c for c in waiting if c.row < taken.row]
        assert fits(chosen[:place], taken, cap)
        assert not any(fits(chosen[:place], c, cap) for c in passed_over)
        waiting.remove(taken)
    if len(chosen) < limit:
        assert not any(fits(chosen, c, cap) for c in waiting)


@given(candidate_lists, limits, caps)
def test_the_same_again_and_a_shorter_answer_is_the_start_of_a_longer_one(
    candidates: list[Candidate], limit: int, cap: int
) -> None:
    chosen = choose(candidates, limit, cap)
    assert choose(tuple(candidates), limit, cap) == chosen
    assert choose(candidates, limit + 5, cap)[:limit] == chosen


@given(candidate_lists)
def test_without_a_binding_cap_the_order_is_that_of_the_scores(candidates: list[Candidate]) -> None:
    assert choose(candidates, 70, WINDOW) == candidates


def test_a_third_track_of_an_artist_waits_until_the_first_leaves_the_window() -> None:
    of_one = [candidate(row, 1) for row in range(3)]
    of_others = [candidate(row, row) for row in range(10, 30)]
    chosen = choose([*of_one, *of_others], 15, 2)
    assert [c.row for c in chosen] == [0, 1, 10, 11, 12, 13, 14, 15, 16, 17, 2, 18, 19, 20, 21]


def test_every_credited_artist_counts() -> None:
    chosen = choose([candidate(0, 1, 2), candidate(1, 2, 3), candidate(2, 4, 2), candidate(3, 3)], 10, 2)
    assert [c.row for c in chosen] == [0, 1, 3]


def test_tracks_of_unknown_artists_are_not_one_artists() -> None:
    assert len(choose([candidate(row) for row in range(20)], 20, 1)) == 20


def test_nothing_to_choose_from() -> None:
    assert choose([], 5, 2) == []
    assert choose_diverse([], np.zeros((0, 3)), 5, 2, 0.5) == []
    assert one_version_each([candidate(0, song=7)], {7}) == []
    assert vary([], [], 3) == []
    assert interleave([], []) == interleave([[], []], [1, 2]) == []


@given(candidate_lists, limits, caps)
def test_diversity_0_is_the_plain_choice(candidates: list[Candidate], limit: int, cap: int) -> None:
    chosen = choose_diverse(candidates, directions(len(candidates)), limit, cap, 0.0)
    assert chosen == choose(candidates, limit, cap)


@given(candidate_lists, limits, caps, diversities)
def test_a_diverse_choice_keeps_the_cap_and_is_the_same_again(
    candidates: list[Candidate], limit: int, cap: int, diversity: float
) -> None:
    vectors = directions(len(candidates))
    chosen = choose_diverse(candidates, vectors, limit, cap, diversity)
    assert chosen == choose_diverse(tuple(candidates), vectors.copy(), limit, cap, diversity)
    assert len(chosen) <= limit
    assert len({c.row for c in chosen}) == len(chosen)
    assert {c.row for c in chosen} <= {c.row for c in candidates}
    assert_capped(chosen, cap)
    if len(chosen) < limit:
        left = [c for c in candidates if c not in chosen]
        assert not any(fits(chosen, c, cap) for c in left), "it ends only when it must"


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(2, 40), diversities)
def test_each_turn_takes_the_greatest_marginal_relevance(seed: int, n: int, diversity: float) -> None:
    scores = np.sort(np.random.default_rng(seed).normal(size=n))[::-1]
    candidates = [candidate(i, score=float(score)) for i, score in enumerate(scores)]
    vectors = directions(n, seed)
    chosen = [c.row for c in choose_diverse(candidates, vectors, 10, 2, diversity)]
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    for place, row in enumerate(chosen):
        alike = (vectors @ vectors[chosen[:place]].T).max(axis=1) if place else np.full(n, -1.0)
        marginal = (1 - diversity) * relevance - diversity * alike
        rest = [i for i in range(n) if i not in chosen[:place]]
        assert marginal[row] >= max(marginal[i] for i in rest) - 1e-12
    assert chosen[0] == 0 or diversity == 1


def likeness_within(chosen: Sequence[Candidate], vectors: Vectors) -> float:
    """Return how alike the chosen are to each other, on average."""
    some = vectors[[c.row for c in chosen]]
    products = some @ some.T
    return float((products.sum() - len(some)) / (len(some) * (len(some) - 1)))


def test_towards_1_the_chosen_differ_more_and_are_less_near() -> None:
    likeness, nearness = [], []
    for diversity in (0.0, 0.3, 0.6, 1.0):
        inside, mean = [], []
        for seed in range(20):
            vectors = directions(200, seed) * np.linspace(0, 2, 200)[:, None] + [1, 0, 0, 0]  # the near are alike
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            chosen = choose_diverse([candidate(i) for i in range(200)], vectors, 20, 2, diversity)
            inside.append(likeness_within(chosen, vectors))
            mean.append(np.mean([c.score for c in chosen]))
        likeness.append(np.mean(inside))
        nearness.append(np.mean(mean))
    assert likeness == sorted(likeness, reverse=True)
    assert likeness[0] - likeness[-1] > 0.1
    assert nearness == sorted(nearness, reverse=True)


def test_equal_scores_and_equal_vectors_keep_their_order() -> None:
    same = [candidate(i, score=1.0) for i in range(6)]
    vectors = np.tile([1.0, 0.0], (6, 1))
    for diversity in (0.0, 0.5, 1.0):
        assert [c.row for c in choose_diverse(same, vectors, 6, 2, diversity)] == list(range(6))


def test_a_twin_of_what_is_chosen_waits() -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    three = [candidate(0, score=1.0), candidate(1, score=0.99), candidate(2, score=0.9)]
    assert [c.row for c in choose_diverse(three, vectors, 3, 2, 0.5)] == [0, 2, 1]


def names_of(candidates: Sequence[Candidate]) -> list[str]:
    return [f"id{c.row:04}" for c in candidates]


@given(candidate_lists, st.integers(1, 2**31 - 1))
def test_a_variation_is_the_same_again_and_loses_nobody(candidates: list[Candidate], variation: int) -> None:
    varied = vary(candidates, names_of(candidates), variation)
    assert varied == vary(candidates, names_of(candidates), variation)
    assert sorted(varied, key=lambda c: c.row) == candidates
    shuffled = candidates[::-1]
    assert vary(shuffled, names_of(shuffled), variation) == varied, "it depends on ids and scores, not on the order"


def test_variations_differ_and_keep_what_is_far_better_before() -> None:
    near = [candidate(i, score=-0.01 * i) for i in range(40)]
    orders = {tuple(c.row for c in vary(near, names_of(near), variation)) for variation in range(1, 30)}
    assert len(orders) == 29
    far = [candidate(0, score=100.0), *(candidate(i, score=0.0) for i in range(1, 40))]
    assert all(vary(far, names_of(far), variation)[0].row == 0 for variation in range(1, 200))


def test_the_better_come_first_more_often() -> None:
    pair = [candidate(0, score=0.4), candidate(1, score=0.0)]
    first = sum(vary(pair, names_of(pair), v)[0].row == 0 for v in range(1, 2001)) / 2000
    assert first == pytest.approx(1 / (1 + np.exp(-1)), abs=0.04), "Gumbel noise of spread 0.4: a softmax"


any_lists = st.lists(st.tuples(any_candidates, st.floats(0.1, 10)), min_size=1, max_size=5)


@given(any_lists)
def test_interleaving_takes_each_song_once_and_all_of_them(drawn: list[tuple[list[Candidate], float]]) -> None:
    lists, weights = [one_version_each(candidates, ()) for candidates, _ in drawn], [w for _, w in drawn]
    merged = interleave(lists, weights)
    songs = [c.song for c in merged]
    assert len(set(songs)) == len(songs)
    assert set(songs) == {c.song for candidates in lists for c in candidates}
    assert interleave([tuple(candidates) for candidates in lists], weights) == merged


def in_turns(lists: Sequence[Sequence[Candidate]], weights: Sequence[float]) -> list[Candidate]:
    """Interleave as it is defined: at each step look at all lists for the one whose turn it is."""
    songs: set[int] = set()
    at, taken = [0] * len(lists), [0] * len(lists)
    merged: list[Candidate] = []
    while left := [i for i, candidates in enumerate(lists) if at[i] < len(candidates)]:
        turn = min(left, key=lambda i: ((taken[i] + 1) / weights[i], i))
        found = lists[turn][at[turn]]
        at[turn] += 1
        if found.song not in songs:
            songs.add(found.song)
            taken[turn] += 1
            merged.append(found)
    return merged


any_weights = st.one_of(st.floats(0.01, 10), st.sampled_from([0.1, 0.25, 0.3, 0.5, 1.0, 3.0]))


@settings(deadline=None)
@given(st.lists(st.tuples(any_candidates, any_weights), max_size=9))
def test_interleaving_is_as_it_is_defined(drawn: list[tuple[list[Candidate], float]]) -> None:
    lists, weights = [candidates for candidates, _ in drawn], [weight for _, weight in drawn]
    assert interleave(lists, weights) == in_turns(lists, weights)


def test_interleaving_many_lists_looks_at_each_song_once() -> None:
    asked = 0

    class Weight(float):
        """Counts how often it is asked whose turn it is."""

        def __rtruediv__(self, other: float) -> float:
            nonlocal asked
            asked += 1
            return other / float(self)

    lists = [[candidate(1000 * i + j, song=j) for j in range(200)] for i in range(100)]
    merged = interleave(lists, [Weight(1)] * 100)
    assert [c.song for c in merged] == list(range(200))
    assert asked <= 100 + 200


@pytest.mark.parametrize("weights", [(1, 1), (2, 1), (5, 3), (1, 10), (0.5, 0.25), (1, 1, 1), (3, 2, 1)])
def test_shares_are_by_weight(weights: tuple[float, ...]) -> None:
    lists = [[candidate(1000 * i + j) for j in range(300)] for i in range(len(weights))]
    merged = interleave(lists, weights)
    for n in (1, 5, 12, 60, 120):
        shares = Counter(c.row // 1000 for c in merged[:n])
        for i, weight in enumerate(weights):
            assert abs(shares[i] - n * weight / sum(weights)) <= 1, "no list is ever a whole turn off its share"
    for i in range(len(weights)):
        own = [c.row for c in merged if c.row // 1000 == i]
        assert own == sorted(own), "the best of each list first"


def test_the_list_that_weighs_most_begins() -> None:
    lists = [[candidate(1000 * i + j) for j in range(5)] for i in range(2)]
    assert [c.row for c in interleave(lists, [1, 3])] == [1000, 1001, 0, 1002, 1003, 1004, 1, 2, 3, 4]
    assert [c.row for c in interleave(lists, [1, 1])][:3] == [0, 1000, 1], "of equals the first"


def test_a_list_that_ends_leaves_the_rest_to_the_others() -> None:
    merged = interleave([[candidate(0)], [candidate(i) for i in range(10, 15)]], [5, 1])
    assert [c.row for c in merged] == [0, 10, 11, 12, 13, 14]


def test_a_song_of_two_lists_counts_for_the_one_that_reached_it_first() -> None:
    merged = interleave([[candidate(0, song=7), candidate(1)], [candidate(2, song=7), candidate(3)]], [1, 1])
    assert [c.row for c in merged] == [0, 3, 1]
