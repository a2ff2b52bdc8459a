"""Choosing from ranked candidates, as properties."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from worker.ranking import WINDOW, Candidate, choose

credits = st.lists(st.integers(0, 6), max_size=3, unique=True).map(tuple)
candidate_lists = st.lists(st.tuples(st.integers(0, 40), credits), max_size=60).map(
    lambda drawn: [Candidate(row, -float(row), song, artists) for row, (song, artists) in enumerate(drawn)]
)
limits, caps = st.integers(1, 70), st.integers(1, 4)
song_sets = st.frozensets(st.integers(0, 40), max_size=10)


def candidate(row: int, *artists: int, song: int | None = None) -> Candidate:
    return Candidate(row, -float(row), row if song is None else song, artists)


def fits(chosen: Sequence[Candidate], following: Candidate, cap: int) -> bool:
    """Whether `following` may come after `chosen`: counted afresh over the window that it would end."""
    window = [*chosen, following][-WINDOW:]
    count = Counter(artist for c in window for artist in c.artists)
    return all(count[artist] <= cap for artist in following.artists)


@given(candidate_lists, limits, caps, song_sets)
def test_no_artist_is_over_the_cap_in_any_ten_that_follow_each_other(
    candidates: list[Candidate], limit: int, cap: int, without: frozenset[int]
) -> None:
    chosen = choose(candidates, limit, cap, without)
    for start in range(len(chosen)):
        count = Counter(artist for c in chosen[start : start + 10] for artist in c.artists)
        assert max(count.values(), default=0) <= cap


@given(candidate_lists, limits, caps, song_sets)
def test_each_song_once_by_its_best_version_and_none_of_the_seeds(
    candidates: list[Candidate], limit: int, cap: int, without: frozenset[int]
) -> None:
    chosen = choose(candidates, limit, cap, without)
    songs = [c.song for c in chosen]
    assert len(set(songs)) == len(songs) <= limit
    assert without.isdisjoint(songs)
    best = {c.song: c for c in reversed(candidates)}
    assert all(best[c.song] is c for c in chosen)


@given(candidate_lists, limits, caps, song_sets)
def test_the_order_is_that_of_the_scores_as_far_as_the_cap_allows_and_it_ends_only_when_it_must(
    candidates: list[Candidate], limit: int, cap: int, without: frozenset[int]
) -> None:
    chosen = choose(candidates, limit, cap, without)
    best = {c.song: c for c in reversed(candidates) if c.song not in without}
    waiting = sorted(best.values(), key=lambda c: c.row)
    for place, taken in enumerate(chosen):
        passed_over = [c for c in waiting if c.row < taken.row]
        assert fits(chosen[:place], taken, cap)
        assert not any(fits(chosen[:place], c, cap) for c in passed_over)
        waiting.remove(taken)
    if len(chosen) < limit:
        assert not any(fits(chosen, c, cap) for c in waiting)


@given(candidate_lists, limits, caps, song_sets)
def test_the_same_again_and_a_shorter_answer_is_the_start_of_a_longer_one(
    candidates: list[Candidate], limit: int, cap: int, without: frozenset[int]
) -> None:
    chosen = choose(candidates, limit, cap, without)
    assert choose(tuple(candidates), limit, cap, sorted(without)) == chosen
    assert choose(candidates, limit + 5, cap, without)[:limit] == chosen


@given(candidate_lists, song_sets)
def test_without_a_binding_cap_the_order_is_that_of_the_scores(
    candidates: list[Candidate], without: frozenset[int]
) -> None:
    chosen = choose(candidates, 70, WINDOW, without)
    assert chosen == sorted(chosen, key=lambda c: c.row)
    assert len(chosen) == len({c.song for c in candidates} - without)


def test_a_third_track_of_an_artist_waits_until_the_first_leaves_the_window() -> None:
    of_one = [candidate(row, 1) for row in range(3)]
    of_others = [candidate(row, row) for row in range(10, 30)]
    chosen = choose([*of_one, *of_others], 15, 2, ())
    assert [c.row for c in chosen] == [0, 1, 10, 11, 12, 13, 14, 15, 16, 17, 2, 18, 19, 20, 21]


def test_every_credited_artist_counts() -> None:
    chosen = choose([candidate(0, 1, 2), candidate(1, 2, 3), candidate(2, 4, 2), candidate(3, 3)], 10, 2, ())
    assert [c.row for c in chosen] == [0, 1, 3]


def test_tracks_of_unknown_artists_are_not_one_artists() -> None:
    assert len(choose([candidate(row) for row in range(20)], 20, 1, ())) == 20


def test_nothing_to_choose_from() -> None:
    assert choose([], 5, 2, ()) == []
    assert choose([candidate(0, song=7)], 5, 2, {7}) == []
