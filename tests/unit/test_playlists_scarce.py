"""Playlists of which there is too little: songs that pass, known durations, time for the songs that were given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from artifacts.filters import Mask
from artifacts.model import Found, Model
from artifacts.score import ScoreQuery
from producer.playlists.shapes import PlaylistQuery
from tests.builders import GROUPS, group_id, model_of, songs, train
from tests.unit.test_playlists import best, ids, make
from worker.playlists import playlist

LOUD: dict[str, Any] = {"features": {"energy": 0.9}}
SAD: dict[str, Any] = {"features": {"valence": 0.1}}
NOTHING_PASSES = {"year": [1900, 1900]}
NO_PATH = "this is no path: it takes two songs, and fewer pass near to the waypoints"


@pytest.mark.parametrize("length", [{"tracks": 12}, {"minutes": 30.0}])
@pytest.mark.parametrize("songs_given", [0, 1])
def test_a_path_of_which_nothing_passes_is_what_there_is(
    model: Model, length: dict[str, float], songs_given: int
) -> None:
    stop = {"track_id": group_id(3, 0)}
    waypoints = [stop, LOUD] if songs_given else [SAD, LOUD]
    found = make(model, waypoints=waypoints, length=length, filters=NOTHING_PASSES)
    assert ids(found) == [group_id(3, 0)] * songs_given
    assert found.degraded
    assert NO_PATH in found.warnings
    if "minutes" in length:
        assert any("less than asked for" in warning for warning in found.warnings)


@pytest.mark.parametrize("length", [{"tracks": 12}, {"minutes": 30.0}])
def test_a_path_of_two_songs_is_one(model: Model, length: dict[str, float]) -> None:
    only = {"genres": ["genre-05"], "duration_ms": [170_000, 170_000]}
    one = make(model, waypoints=[SAD, LOUD], length=length, filters=only)
    assert (ids(one), one.degraded) == ([group_id(5, 0)], True)
    two = make(model, waypoints=[{"track_id": group_id(9, 0)}, LOUD], length=length, filters=only)
    assert (ids(two), two.degraded) == ([group_id(9, 0), group_id(5, 0)], False)
    assert NO_PATH not in two.warnings


def test_minutes_of_songs_that_nobody_knows_the_length_of() -> None:
    rows = [{"artist_name": f"Artist {i}", "year": 1990, "duration_ms": 200_000 if i else None} for i in range(30)]
    model = model_of(train(songs(*rows), clusters=2))
    asked: dict[str, Any] = {"seeds": [{"track_id": "t000"}], "length": {"minutes": 30.0}, "filters": NOTHING_PASSES}
    found = make(model, **asked)
    assert ids(found) == ["t000"]
    assert found.duration_ms is None
    assert found.warnings == ["it lasts 1800 s less than asked for"]


@pytest.mark.parametrize("minutes", [28.0, 33.0])
@pytest.mark.parametrize("options", [{}, {"harmonic": True, "arc": "build"}])
def test_of_too_many_seeds_the_first_fit_into_the_minutes(
    demo_model: Model, minutes: float, options: dict[str, Any]
) -> None:
    seeds = best(demo_model, 50)
    found = make(demo_model, seeds=seeds, length={"minutes": minutes}, **options)
    off_s = (found.duration_ms or 0) / 1000 - 60 * minutes
    assert abs(off_s) < 150, "less than a short song, which is what could be added or left out"
    given = [track.track_id for track in found.tracks if track.given]
    assert set(given) == {seed["track_id"] for seed in seeds[: len(given)]}, "the first ones"
    rows = [demo_model.row_of_id(seed["track_id"]) for seed in seeds[: len(given) + 1]]
    total = int(demo_model.arrays["duration_ms"][np.array(rows, np.intp)].sum())
    assert total > 60_000 * minutes, "not one more would fit"
    kept, said = len(given), found.warnings
    assert said[0] == (
        f"50 songs were given for {minutes:g} minutes: the first {kept} are in the playlist, {50 - kept} left out"
    )
    assert any("than asked for" in warning for warning in said[1:]) == (abs(off_s) > 1)


def test_one_seed_is_in_it_however_short_the_time(demo_model: Model) -> None:
    seeds = best(demo_model, 3)
    found = make(demo_model, seeds=seeds, length={"minutes": 0.5})
    assert ids(found) == [seeds[0]["track_id"]]
    assert found.warnings[0] == ("3 songs were given for 0.5 minutes: the first 1 are in the playlist, 2 left out")
    assert "more than asked for" in found.warnings[1]
    without = make(demo_model, seeds=seeds, length={"minutes": 20.0}, include_seeds=False)
    assert without.warnings == []


def test_a_playlist_to_extend_stays_whole_however_short_the_time(demo_model: Model) -> None:
    given = best(demo_model, 20)
    found = make(demo_model, extend=given, length={"minutes": 10.0})
    assert ids(found) == [seed["track_id"] for seed in given]
    assert len(found.warnings) == 1
    assert "more than asked for" in found.warnings[0]


def test_no_songs_for_so_many_minutes_are_told(demo_model: Model) -> None:
    found = make(
        demo_model, seeds=best(demo_model, 2), length={"minutes": 10.0}, include_seeds=False, filters=NOTHING_PASSES
    )
    assert found.tracks == []
    assert found.warnings == ["it lasts 600 s less than asked for"]


def test_many_lists_are_not_looked_through_again_once_all_that_passes_is_in_them(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One artist of many songs: the gap lets few pass, and more searches would find no others."""
    looks: list[int] = []
    nearest = Model.nearest

    def counted(self: Model, request: ScoreQuery, k: int, passing: Mask | None = None) -> Found:
        looks.append(k)
        return nearest(self, request, k, passing)

    monkeypatch.setattr(Model, "nearest", counted)
    given = [{"track_id": group_id(group, member)} for group in range(GROUPS) for member in range(4)]
    query = PlaylistQuery.model_validate(
        {
            "extend": given,
            "combine": "round_robin",
            "length": {"tracks": 200},
            "include_seeds": False,
            "artist_gap": 50,
            "filters": {"year": [1960, 1985]},
        }
    )
    found = playlist(model, query)
    assert found.tracks
    assert len(found.tracks) < 200
    assert len(looks) == 2 * len(given), "once for each of the two gaps"
