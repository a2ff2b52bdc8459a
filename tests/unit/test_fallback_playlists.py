"""A playlist that no worker made: popular tracks, as long as was asked for, and words for what was left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producer import codec, fallback, keys, overdue
from producer.playlists.shapes import Playlist, PlaylistQuery
from producer.public import ModelInfo, PopularLists

REASON = "deadline passed after 30 s"
Maker = Callable[..., Playlist]


@pytest.fixture(scope="session")
def make(lists: PopularLists, info: ModelInfo) -> Maker:
    def make(**query: Any) -> Playlist:
        if not {"extend", "waypoints"} & set(query):
            query = {"seeds": [{"name": "?"}]} | query
        return fallback.playlist(PlaylistQuery.model_validate(query), info, lists, REASON)

    return make


def test_it_says_what_it_is(make: Maker, info: ModelInfo) -> None:
    made = make(length={"tracks": 12})
    assert (made.strategy, made.degraded, made.model, made.flow, made.arc) == (
        "popular",
        True,
        info.version,
        None,
        None,
    )
    assert [attempt.model_dump() for attempt in made.attempts] == [
        {"strategy": "popular", "outcome": "used", "reason": REASON, "ms": 0.0}
    ]
    assert made.warnings == [
        f"no worker answered ({REASON}): no seed was looked for; these are popular tracks, in no order",
        "the songs that were given are not in it",
    ]
    assert [track.rank for track in made.tracks] == list(range(1, 13))
    assert all((t.score, t.energy, t.given, t.transition) == (None, None, False, None) for t in made.tracks)
    assert made.duration_ms == sum(track.duration_ms or 0 for track in made.tracks)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"extend": [{"name": "a"}]}, "no playlist to extend was looked for"),
        ({"waypoints": [{"name": "a"}, {"name": "b"}]}, "no waypoint was looked for"),
        ({"arc": "wave"}, "arc was dropped"),
        ({"harmonic": True}, "harmonic was dropped"),
        ({"filters": {"explicit": False}}, "filters/explicit was dropped"),
        (
            {"length": {"tracks": 500}, "artist_gap": 50},
            "tracks instead of 500: the popular lists hold no more that fit",
        ),
        ({"length": {"minutes": 1440}, "artist_gap": 50}, "minutes instead of 1440"),
    ],
)
def test_what_is_left_out_is_said(make: Maker, query: dict[str, Any], words: str) -> None:
    made = make(**query)
    assert any(words in warning for warning in made.warnings), made.warnings


def test_a_playlist_without_its_songs_misses_nothing(make: Maker) -> None:
    assert len(make(include_seeds=False).warnings) == 1


@settings(deadline=None, max_examples=40)
@given(
    gap=st.integers(0, 12),
    cap=st.integers(1, 3),
    length=st.builds(lambda n: {"tracks": n}, st.integers(1, 60))
    | st.builds(lambda m: {"minutes": m}, st.floats(3, 90)),
)
def test_no_artist_comes_too_soon_again(make: Maker, gap: int, cap: int, length: dict[str, Any]) -> None:
    made = make(length=length, artist_gap=gap, max_per_artist=cap)
    artists = [set(track.artists) for track in made.tracks]
    for place, mine in enumerate(artists):
        assert all(mine.isdisjoint(other) for other in artists[max(0, place - gap) : place])
    assert len(made.tracks) <= length.get("tracks", 500)
    if "minutes" in length and len(made.tracks) > 1:
        assert made.duration_ms is not None
        last = made.tracks[-1].duration_ms or 0
        without = abs(made.duration_ms - last - length["minutes"] * 60_000)
        assert abs(made.duration_ms - length["minutes"] * 60_000) < without, "it would be nearer without its last"
    assert made == make(length=length, artist_gap=gap, max_per_artist=cap)


def test_seeds_are_not_among_the_popular_ones_and_known_ids_are_named(make: Maker) -> None:
    first = make(length={"tracks": 3}).tracks[0]
    made = make(seeds=[{"track_id": first.track_id}, {"name": "Nobody knows"}], length={"tracks": 3})
    assert first.track_id not in {track.track_id for track in made.tracks}
    assert [(seed.name, seed.match) for seed in made.seeds] == [(first.name, 1.0), (None, 0.0)]


def test_strategies_without_popular_give_none(make: Maker) -> None:
    made = make(strategies=["catalogue"])
    assert (made.tracks, made.strategy, made.attempts[0].outcome) == ([], "none", "skipped")


def test_past_its_deadline_a_playlist_is_popular_tracks_and_a_diagnosis_fails(
    lists: PopularLists, info: ModelInfo
) -> None:
    query = PlaylistQuery.model_validate({"seeds": [{"name": "a"}], "length": {"tracks": 4}, "deadline_s": 3})
    asked = codec.pack([keys.PLAYLIST, None, [query.model_dump(exclude_none=True)], {}])
    made = Playlist.model_validate(overdue._instead(lambda: (info, lists), asked)["ok"])
    assert (len(made.tracks), made.degraded) == (4, True)
    assert "no worker answered within 3 s" in made.warnings[0]
    doctor = codec.pack([keys.DIAGNOSE, None, [{"playlist": [{"name": "a"}, {"name": "b"}]}], {}])
    assert overdue._instead(lambda: (info, lists), doctor)["error"]["code"] == "deadline-exceeded"
