"""What is answered without a worker: popular tracks that pass the request's filters, and words that say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.model import Model
from producer import codec, fallback
from producer.public import ModelInfo, PopularLists
from producer.schema import Query, Result
from tests import builders
from tests.builders import special_id
from worker.pipeline import recommend

REASON = "deadline passed after 30 s"
Answerer = Callable[..., Result]


@pytest.fixture(scope="session")
def answer(lists: PopularLists, info: ModelInfo) -> Answerer:
    def answer(**query: Any) -> Result:
        return fallback.answer(Query.model_validate({"seeds": [{"name": "?"}]} | query), info, lists, REASON)

    return answer


def ids(result: Result) -> list[str]:
    return [track.track_id for track in result.tracks]


def test_it_says_what_it_is(answer: Answerer, info: ModelInfo) -> None:
    result = answer(limit=10)
    assert (result.strategy, result.degraded, result.model) == ("popular", True, info.version)
    assert [attempt.model_dump() for attempt in result.attempts] == [
        {"strategy": "popular", "outcome": "used", "reason": REASON, "ms": 0.0}
    ]
    assert result.warnings == [
        f"no worker answered ({REASON}): no seed was looked for; these are popular tracks, not similar ones"
    ]
    assert (result.scanned, result.mean_score, result.notice) == (0.0, None, info.notice)
    assert [track.rank for track in result.tracks] == list(range(1, 11))
    assert all((t.score, t.closer_than, t.reasons) == (None, None, []) for t in result.tracks)


def test_it_is_what_a_worker_takes_for_popular(answer: Answerer, model: Model) -> None:
    query: dict[str, Any] = {"seeds": [{"name": "Qwxyzzy"}], "strategies": ["popular"], "limit": 30}
    for more in ({}, {"max_per_artist": 1}, {"filters": {"genres": ["folk", "rock"]}, "limit": 8}):
        degraded = recommend(model, Query.model_validate(query | more))
        assert ids(answer(**query | more)) == ids(degraded)
        assert answer(**query | more).strategy == degraded.strategy


def test_what_the_lists_do_not_tell_is_dropped_and_said(answer: Answerer) -> None:
    plain = answer(limit=5)
    mood = answer(limit=5, filters={"energy": [0.9, 1], "loudness": [-9, 0], "explicit": True})
    assert ids(mood) == ids(plain)
    assert mood.warnings == [
        *plain.warnings,
        "filters/energy was dropped: the popular lists do not tell how tracks sound",
        "filters/loudness was dropped: the popular lists do not tell how tracks sound",
        "filters/explicit was dropped: the popular lists do not tell which tracks are explicit",
    ]


BETWEEN = {"year": (1955, 2015), "popularity": (0, 100), "tempo": (60, 190), "duration_ms": (100_000, 380_000)}


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for name, (low, high) in BETWEEN.items():
        if draw(st.booleans()):
            chosen[name] = sorted(draw(st.tuples(*[st.integers(low, high).map(float)] * 2)))
    if draw(st.booleans()):
        chosen["genres"] = draw(st.lists(st.sampled_from(["folk", "rock", "many", "genre-03"]), min_size=1, max_size=3))
    if draw(st.booleans()):
        chosen["key"] = draw(st.lists(st.integers(0, 11), min_size=1, max_size=6))
    if draw(st.booleans()):
        chosen["mode"] = draw(st.integers(0, 1))
    return chosen


def passes(track: dict[str, Any], chosen: dict[str, Any]) -> bool:
    for name in BETWEEN.keys() & chosen.keys():
        if track[name] is None or not chosen[name][0] <= track[name] <= chosen[name][1]:
            return False
    genres = "genres" not in chosen or bool(set(chosen["genres"]) & set(track["genres"]))
    return (
        genres
        and track["key"] in chosen.get("key", [track["key"]])
        and track["mode"] == chosen.get("mode", track["mode"])
    )


def expected(tracks: list[dict[str, Any]], limit: int, cap: int) -> list[str]:
    """Return the ids of the best known, one after the other: the first whose artists the last nine leave room for."""
    songs = {(track["name"].lower(), *track["artists"][:1]): track for track in reversed(tracks)}
    waiting = [track for track in tracks if songs[track["name"].lower(), *track["artists"][:1]] is track]
    chosen: list[dict[str, Any]] = []
    while len(chosen) < limit:
        last = [artist for track in chosen[-9:] for artist in track["artists"]]
        free = [track for track in waiting if all(last.count(artist) < cap for artist in track["artists"])]
        if not free:
            break
        waiting.remove(free[0])
        chosen.append(free[0])
    return [track["track_id"] for track in chosen]


@settings(max_examples=150, deadline=None)
@given(chosen=filters(), limit=st.integers(1, 100), cap=st.integers(1, 3))
def test_the_best_known_that_pass_are_chosen(
    answer: Answerer, lists: PopularLists, chosen: dict[str, Any], limit: int, cap: int
) -> None:
    names = chosen.get("genres", list(lists) if chosen else [""])
    tracks = {track["track_id"]: track for name in names for track in lists[name] if passes(track, chosen)}
    known = sorted(
        (t for t in tracks.values() if t["popularity"] is not None), key=lambda t: (-t["popularity"], t["track_id"])
    )
    unknown = sorted((t for t in tracks.values() if t["popularity"] is None), key=lambda t: str(t["track_id"]))
    result = answer(filters=chosen, limit=limit, max_per_artist=cap)
    assert ids(result) == expected(known + unknown, limit, cap)
    fewer = f"{len(result.tracks)} tracks instead of {limit}: the popular lists hold no more that pass"
    assert (fewer in result.warnings) == (len(result.tracks) < limit)
    assert result.strategy == ("popular" if result.tracks else "none")


def test_who_and_what_is_excluded_is_not_there(answer: Answerer, lists: PopularLists) -> None:
    first, second, third = lists[""][:3]
    out = [f"spotify:track:{first['track_id']}", f"https://open.spotify.com/track/{second['track_id']}?si=1"]
    assert ids(answer(filters={"exclude_tracks": out}, limit=1)) == [third["track_id"]]
    assert ids(answer(filters={"exclude_tracks": [first["track_id"]]}, limit=1)) == [second["track_id"]]
    for name in ("Élan Été", "elan ete", "  ELAN   ÉTÉ. ", "The Elan Ete"):
        shown = answer(filters={"exclude_artists": [name], "genres": ["pop"]}, limit=100).tracks
        assert shown
        assert not any("Élan Été" in track.artists for track in shown)
    either = answer(filters={"exclude_artists": ["Cy Day"]}, limit=100)
    assert not any("Ben Oak" in track.artists for track in either.tracks), "one of several artists is enough"


def test_the_lists_do_not_tell_what_is_explicit_and_the_answer_says_so(answer: Answerer) -> None:
    result = answer(filters={"explicit": False}, limit=3)
    assert len(result.tracks) == 3
    assert result.warnings[1:] == [
        "filters/explicit was dropped: the popular lists do not tell which tracks are explicit"
    ]


def test_nothing_that_passes_is_an_empty_answer(answer: Answerer) -> None:
    for filters in ({"year": [1900, 1901]}, {"genres": ["no such genre"]}):
        result = answer(filters=filters, limit=5)
        assert (result.tracks, result.strategy, result.degraded) == ([], "none", True)
        assert (result.attempts[0].outcome, result.attempts[0].reason) == ("no_match", REASON)
        assert "0 tracks instead of 5: the popular lists hold no more that pass" in result.warnings


def test_who_asks_for_no_popular_tracks_gets_none(answer: Answerer) -> None:
    result = answer(strategies=["catalogue", "fuzzy"], limit=5)
    assert (result.tracks, result.strategy, result.degraded) == ([], "none", True)
    assert result.attempts[0].outcome == "skipped"
    assert REASON in result.warnings[0]
    assert answer(strategies=["catalogue", "popular"], limit=5).strategy == "popular"


def test_seeds_are_not_found_unless_the_lists_have_their_ids(answer: Answerer, lists: PopularLists) -> None:
    known = lists[""][0]
    seeds = [
        *({"track_id": f"spotify:track:{known['track_id']}"}, {"track_id": "no such id"}, {"name": known["name"]}),
        *({"artist": "Nobody"}, {"features": {"energy": 0.5}}, {"track_id": lists[""][3]["track_id"], "weight": -1}),
    ]
    found = answer(seeds=seeds, limit=5)
    assert [seed.match for seed in found.seeds] == [1, 0, 0, 0, 0, 1]
    assert [seed.track_id for seed in found.seeds] == [known["track_id"], *[None] * 4, lists[""][3]["track_id"]]
    assert (found.seeds[0].name, found.seeds[0].artists) == (known["name"], known["artists"])
    assert {seed.strategy for seed in found.seeds} == {None}


@pytest.mark.parametrize(
    ("seed", "is_it"),
    [
        ({"track_id": special_id("home2")}, True),
        ({"name": "HOME!"}, True),
        ({"name": "home", "artist": "dee fox"}, True),
        ({"name": "Home", "artist": "Dee  Foxes"}, False),
        ({"name": "Homes"}, False),
        ({"artist": "Dee Fox"}, False),
    ],
)
def test_a_seed_is_not_recommended(answer: Answerer, seed: dict[str, str], is_it: bool) -> None:
    shown = ids(answer(seeds=[seed], limit=100))
    assert (special_id("home2") not in shown) == is_it


def test_the_same_from_redis_and_from_files(lists: PopularLists, info: ModelInfo) -> None:
    packed = {name: codec.unpack(codec.pack(tracks)) for name, tracks in lists.items()}
    written = json.loads(json.dumps(lists))
    for query in ({}, {"filters": {"genres": ["folk"]}}, {"filters": {"year": [1990, 2005]}, "max_per_artist": 1}):
        asked = Query.model_validate({"seeds": [{"name": "?"}], **query})
        answers = [fallback.answer(asked, info, some, REASON) for some in (lists, packed, written)]
        assert answers[0] == answers[1] == answers[2]
        assert Result.model_validate_json(answers[0].model_dump_json()) == answers[0]


def test_tracks_of_unknown_popularity_come_last(info: ModelInfo) -> None:
    rows = [{"popularity": p, "artist_name": f"A{i}", "genre": "pop"} for i, p in enumerate((0, None, 5, None, 1))]
    lists = builders.train(builders.songs(*rows), clusters=2).public["popular"]
    query = Query.model_validate({"seeds": [{"name": "?"}], "filters": {"mode": 1}})
    shown = fallback.answer(query, info, lists, REASON).tracks
    assert [track.popularity for track in shown] == [5, 1, 0, None, None]
