"""Playlists: what every one promises, and what each option does."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from artifacts.model import Model
from producer import codec
from producer.playlists.shapes import Playlist, PlaylistQuery
from producer.schema import Query
from producer.songs import WINDOW
from tests.builders import LANTERNS, PROLIFIC, group_id, model_of, songs, special_id, train
from worker import arcs, sequence, transitions
from worker.candidates import WrongField
from worker.pipeline import recommend
from worker.playlists import playlist
from worker.pool import Pool

NO_SUCH = {"name": "Qwxyzzy Vrblgrm"}


def ids(found: Playlist) -> list[str]:
    """Return the ids of a playlist's tracks."""
    return [track.track_id for track in found.tracks]


def best(model: Model, count: int) -> list[dict[str, Any]]:
    """Return seeds: popular songs of different artists."""
    rows = [int(row) for row in model.most_popular(400)]
    seen: set[int] = set()
    chosen = []
    for row in rows:
        if model.artist_codes(row) and not seen & set(model.artist_codes(row)):
            seen |= set(model.artist_codes(row))
            chosen.append({"track_id": model.id_of(row)})
    return chosen[:count]


def make(model: Model, spaced: bool = True, **fields: Any) -> Playlist:
    """Make a playlist, checking what every one promises. spaced: artists can keep their distance here."""
    query = PlaylistQuery.model_validate(fields)
    stages: list[tuple[str, float]] = []
    found = playlist(model, query, report=lambda stage, fraction: stages.append((stage, fraction)))
    assert [fraction for _, fraction in stages] == sorted(fraction for _, fraction in stages)
    assert [stage for stage, _ in stages] == ["seeds", "candidates", "ordering", "writing"]
    assert [track.rank for track in found.tracks] == list(range(1, len(found.tracks) + 1))
    rows = [model.row_of_id(track_id) for track_id in ids(found)]
    assert len({int(model.song[row]) for row in rows if row is not None}) == len(rows), "each song once"
    assert len(found.seeds) == len(query.given)
    steps = [track.transition for track in found.tracks]
    assert steps[:1] in ([], [None])
    scores = [step.score for step in steps[1:] if step is not None]
    assert len(scores) == max(len(rows) - 1, 0)
    assert found.flow == (pytest.approx(np.mean(scores), abs=1e-3) if scores else None)
    if spaced:
        artists = [track.artists for track in found.tracks]
        for i in range(len(artists)):
            near = {name for others in artists[i + 1 : i + 1 + query.artist_gap] for name in others}
            assert not near & set(artists[i]), i
            window = Counter(name for names in artists[i : i + WINDOW] for name in names)
            assert max(window.values(), default=0) <= query.max_per_artist
    codec.pack(found.model_dump())  # nothing of numpy's is left in it
    again = playlist(model, query)
    assert answer(again) == answer(found), "the same again"
    return found


def answer(found: Playlist) -> dict[str, Any]:
    """Return all of a playlist but how long it took."""
    shown = found.model_dump()
    for attempt in shown["attempts"]:
        del attempt["ms"]
    return shown


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Return Spearman's rank correlation."""
    ranks = [np.argsort(np.argsort(values)) for values in (a, b)]
    return float(np.asarray(np.corrcoef(np.stack(ranks)))[0, 1])


def test_a_playlist_without_wishes_is_what_would_be_recommended_in_another_order(demo_model: Model) -> None:
    seeds = best(demo_model, 2)
    found = make(demo_model, seeds=seeds, length={"tracks": 12})
    given = {track.track_id for track in found.tracks if track.given}
    assert given == {seed["track_id"] for seed in seeds}
    query = PlaylistQuery.model_validate({"seeds": seeds, "artist_gap": 0}).model_dump(include={"seeds"})
    recommended = recommend(demo_model, Query.model_validate({**query, "limit": 100}))
    places = [[t.track_id for t in recommended.tracks].index(i) for i in ids(found) if i not in given]
    assert len(places) == 10
    assert max(places) < 60, "the best, less those whose artists come too soon"
    scores = {t.track_id: t.score for t in recommended.tracks}
    assert all(track.score == scores[track.track_id] for track in found.tracks if not track.given)


def test_one_song_opens_its_playlist_and_can_be_left_out(demo_model: Model) -> None:
    seed = best(demo_model, 1)
    assert ids(make(demo_model, seeds=seed, length={"tracks": 20}))[0] == seed[0]["track_id"]
    without = make(demo_model, seeds=seed, length={"tracks": 20}, include_seeds=False)
    assert seed[0]["track_id"] not in ids(without)
    assert len(without.tracks) == 20


def test_the_order_is_the_best_there_is(demo_model: Model) -> None:
    """Ten songs: no other order of them flows better."""
    seeds = best(demo_model, 10)
    found = make(demo_model, seeds=seeds, length={"tracks": 10}, harmonic=True)
    assert {seed["track_id"] for seed in seeds} == set(ids(found))
    rng = np.random.default_rng(0)
    rows = np.array([demo_model.row_of_id(i) for i in ids(found)], np.intp)
    tracks = transitions.Tracks.of(demo_model, rows)
    cost = transitions.costs(tracks, tracks, True)
    ours = cost[np.arange(9), np.arange(1, 10)].sum()
    others = [cost[order[:-1], order[1:]].sum() for order in (rng.permutation(10) for _ in range(3000))]
    assert ours <= min(others) + 1e-9


@pytest.mark.parametrize("arc", ["build", "wind_down", "wave", "peak"])
def test_energy_follows_the_arc(demo_model: Model, arc: str) -> None:
    found = make(demo_model, seeds=best(demo_model, 1), length={"tracks": 40}, arc=arc)
    assert found.arc is not None
    assert len(found.arc) == 40
    energies = [track.energy or 0.0 for track in found.tracks]
    assert rank_correlation(energies, found.arc) > 0.75
    assert np.mean(np.abs(np.array(energies) - found.arc)) < 0.04
    if arc == "build":
        assert found.arc == sorted(found.arc)
    if arc == "wind_down":
        assert found.arc == sorted(found.arc, reverse=True)


def test_flat_energy_stays_near_to_one_value(demo_model: Model) -> None:
    found = make(demo_model, seeds=best(demo_model, 1), length={"tracks": 40}, arc="flat")
    assert found.arc is not None
    assert len(set(found.arc)) == 1
    off = [abs((track.energy or 0.0) - found.arc[0]) for track in found.tracks if not track.given]
    assert np.mean(off) < 0.07


def test_an_arc_of_points_is_the_energies_that_it_says(demo_model: Model) -> None:
    found = make(demo_model, seeds=best(demo_model, 1), length={"tracks": 21}, arc=[0.3, 0.8, 0.5])
    assert found.arc is not None
    assert [found.arc[0], found.arc[10], found.arc[20]] == [0.3, 0.8, 0.5]
    assert found.arc[5] == pytest.approx(0.55)


def test_an_arc_that_no_song_can_follow_is_told(demo_model: Model) -> None:
    found = make(demo_model, seeds=best(demo_model, 1), length={"tracks": 20}, arc=[0.0, 0.0])
    assert any("could not follow the arc" in warning for warning in found.warnings)


def test_harmonic_makes_keys_and_tempos_fit_better(demo_model: Model) -> None:
    def fit(found: Playlist) -> float:
        parts = [
            p.score for t in found.tracks if t.transition for p in t.transition.parts if p.part in ("key", "tempo")
        ]
        return float(np.mean([score for score in parts if score is not None]))

    seeds = best(demo_model, 1)
    plain, harmonic = (make(demo_model, seeds=seeds, length={"tracks": 40}, harmonic=h) for h in (False, True))
    assert fit(harmonic) > fit(plain) + 0.2


@pytest.mark.parametrize("minutes", [20.0, 45.0, 61.5, 180.0])
@pytest.mark.parametrize("options", [{}, {"harmonic": True, "arc": "build"}, {"include_seeds": False}])
def test_a_length_in_minutes_is_met_within_a_second(demo_model: Model, minutes: float, options: dict[str, Any]) -> None:
    found = make(demo_model, seeds=best(demo_model, 2), length={"minutes": minutes}, **options)
    assert found.duration_ms == sum(track.duration_ms or 0 for track in found.tracks)
    assert abs(found.duration_ms - 60_000 * minutes) <= 1000
    assert found.warnings == []


def test_a_length_that_cannot_be_met_is_told(demo_model: Model) -> None:
    short = make(demo_model, extend=best(demo_model, 2), length={"minutes": 1.0})
    assert len(short.tracks) == 2
    assert any("more than asked for" in warning for warning in short.warnings)
    long = make(
        demo_model, spaced=False, seeds=best(demo_model, 1), length={"minutes": 1440.0}, filters={"year": [2000, 2001]}
    )
    assert any("less than asked for" in warning for warning in long.warnings)


def test_an_extended_playlist_keeps_its_beginning(demo_model: Model) -> None:
    given = best(demo_model, 8)
    found = make(demo_model, extend=[*given[:4], NO_SUCH, *given[4:]], length={"tracks": 20}, harmonic=True)
    assert ids(found)[:8] == [seed["track_id"] for seed in given]
    assert [track.given for track in found.tracks] == [True] * 8 + [False] * 12
    assert found.seeds[4].track_id is None
    assert found.warnings == ["seed 5: not found in the catalogue"]
    new = make(demo_model, extend=given, length={"tracks": 12}, include_seeds=False, harmonic=True)
    assert len(new.tracks) == 12
    assert not set(ids(new)) & {seed["track_id"] for seed in given}


def test_an_extended_playlist_in_minutes_counts_all_of_it(demo_model: Model) -> None:
    found = make(demo_model, extend=best(demo_model, 14), length={"minutes": 90.0})
    assert abs((found.duration_ms or 0) - 90 * 60_000) <= 1000
    assert sum(track.given for track in found.tracks) == 14


def test_an_arc_goes_over_the_whole_of_an_extended_playlist(demo_model: Model) -> None:
    found = make(demo_model, extend=best(demo_model, 10), length={"tracks": 30}, arc=[0.2, 0.9])
    assert found.arc is not None
    assert (len(found.arc), found.arc[0], found.arc[29]) == (30, 0.2, 0.9)
    assert rank_correlation([t.energy or 0.0 for t in found.tracks[10:]], found.arc[10:]) > 0.6


def test_a_playlist_that_is_long_enough_is_left_as_it_is(demo_model: Model) -> None:
    given = best(demo_model, 8)
    found = make(demo_model, extend=given, length={"tracks": 5})
    assert ids(found) == [seed["track_id"] for seed in given]
    assert found.warnings == ["the playlist has 8 songs already, 5 were asked for: nothing was added"]
    seeds = make(demo_model, seeds=given, length={"tracks": 5})
    assert set(ids(seeds)) == {seed["track_id"] for seed in given[:5]}
    assert seeds.warnings == ["8 songs were given for 5 places: the first 5 are in the playlist"]


def test_versions_of_a_song_are_listed_once(model: Model) -> None:
    versions = [{"track_id": special_id(name)} for name in LANTERNS]
    found = make(model, seeds=versions, length={"tracks": 6})
    assert sum(track.given for track in found.tracks) == 1
    assert "seed 2: the same song as seed 1; it is listed once" in found.warnings


def test_seeds_that_are_no_songs_guide_only(model: Model) -> None:
    seeds = [{"track_id": group_id(3, 0)}, {"artist": "Band 03-1"}, {"features": {"energy": 0.5}}]
    found = make(model, seeds=seeds, length={"tracks": 6})
    assert [track.track_id for track in found.tracks if track.given] == [group_id(3, 0)]
    assert len([warning for warning in found.warnings if "guides the choice" in warning]) == 2
    assert not any("guides" in w for w in make(model, seeds=seeds, length={"tracks": 6}, include_seeds=False).warnings)


def test_songs_to_avoid_are_not_in_it(demo_model: Model) -> None:
    seeds = best(demo_model, 2)
    avoid = {**seeds[1], "weight": -1.0}
    found = make(demo_model, seeds=[seeds[0], avoid], length={"tracks": 20})
    assert seeds[1]["track_id"] not in ids(found)


@pytest.mark.parametrize("options", [{}, {"harmonic": True}])
def test_a_blend_is_fair_though_a_seed_is_missing(model: Model, options: dict[str, Any]) -> None:
    seeds = [{"track_id": group_id(0, 0)}, NO_SUCH, {"track_id": group_id(9, 0)}, {"track_id": group_id(17, 0)}]
    found = make(model, seeds=seeds, length={"tracks": 15}, combine="round_robin", artist_gap=2, **options)
    shares = Counter(track.track_id[:7] for track in found.tracks if not track.given)
    assert shares == {"group00": 4, "group09": 4, "group17": 4}
    assert "seed 2: not found in the catalogue" in found.warnings
    assert not found.degraded


def test_what_cannot_keep_its_distance_is_told(model: Model) -> None:
    seeds = [{"track_id": special_id(name)} for name in PROLIFIC[:6]]
    found = make(model, spaced=False, seeds=seeds, length={"tracks": 8})
    assert any("an artist comes again sooner" in warning for warning in found.warnings)
    roomy = make(model, seeds=seeds[:2], length={"tracks": 12}, artist_gap=4)
    assert roomy.warnings == []


@pytest.mark.parametrize("gap", [0, 1, 12, 50])
@pytest.mark.parametrize("most", [1, 2])
def test_artists_keep_the_distance_that_was_asked_for(demo_model: Model, gap: int, most: int) -> None:
    found = make(
        demo_model, seeds=best(demo_model, 3), length={"tracks": 30}, artist_gap=gap, max_per_artist=most, arc="build"
    )
    assert not any("artist" in warning for warning in found.warnings)


@pytest.mark.parametrize("options", [{"diversity": 0.5}, {"variation": 7}, {"method": "cluster"}, {"explain": True}])
def test_options_of_recommendations_hold(demo_model: Model, options: dict[str, Any]) -> None:
    seeds = best(demo_model, 1)
    plain = make(demo_model, seeds=seeds, length={"tracks": 20}, harmonic=True)
    found = make(demo_model, seeds=seeds, length={"tracks": 20}, harmonic=True, **options)
    assert len(found.tracks) == 20
    if "explain" in options:
        assert found.mean_score is not None
        assert all(
            sum(reason.value for reason in track.reasons)
            == pytest.approx((track.score or 0) - found.mean_score, abs=0.01)
            for track in found.tracks
            if not track.given
        )
    else:
        assert set(ids(found)) != set(ids(plain))


def test_filters_hold_but_for_the_songs_given(demo_model: Model) -> None:
    found = make(
        demo_model, seeds=best(demo_model, 1), length={"tracks": 20}, filters={"year": [1990, 1999]}, arc="wave"
    )
    assert all(1990 <= (track.year or 0) <= 1999 for track in found.tracks if not track.given)


def test_fewer_songs_than_asked_for_are_told(model: Model) -> None:
    seeds, genre = [{"track_id": group_id(5, 0)}], {"genres": ["genre-05"]}
    found = make(model, seeds=seeds, length={"tracks": 30}, filters=genre, artist_gap=4)
    assert len(found.tracks) == 10
    assert "10 tracks instead of 30: no more pass, with artists so far apart" in found.warnings


def test_without_a_seed_the_ladder_answers_in_order(demo_model: Model) -> None:
    found = make(demo_model, seeds=[NO_SUCH], length={"tracks": 20}, harmonic=True)
    assert (found.strategy, found.degraded) == ("popular", True)
    assert len(found.tracks) == 20
    assert all(track.score is None for track in found.tracks)
    none = make(demo_model, seeds=[NO_SUCH], length={"tracks": 20}, strategies=["catalogue"])
    assert (none.strategy, none.tracks, none.flow, none.duration_ms) == ("none", [], None, 0)


def test_a_path_passes_its_waypoints_in_their_order(demo_model: Model) -> None:
    stops = best(demo_model, 4)
    found = make(demo_model, waypoints=[*stops[:2], NO_SUCH, *stops[2:]], length={"tracks": 25})
    assert len(found.tracks) == 25
    assert ids(found)[0] == stops[0]["track_id"]
    assert ids(found)[-1] == stops[-1]["track_id"]
    assert [track.track_id for track in found.tracks if track.given] == [stop["track_id"] for stop in stops]
    assert found.warnings == ["seed 3: not found in the catalogue"]
    assert not found.degraded


def test_a_path_has_no_great_jump(demo_model: Model) -> None:
    stops = best(demo_model, 2)
    found = make(demo_model, waypoints=stops, length={"tracks": 20})
    straight = make(demo_model, waypoints=stops, length={"tracks": 2})
    worst = min(track.transition.score for track in found.tracks if track.transition)
    assert straight.flow is not None
    assert worst > straight.flow


@pytest.mark.parametrize("harmonic", [False, True])
def test_a_path_can_last_so_many_minutes(demo_model: Model, harmonic: bool) -> None:
    found = make(demo_model, waypoints=best(demo_model, 3), length={"minutes": 60.0}, harmonic=harmonic)
    assert abs((found.duration_ms or 0) - 3_600_000) <= 1000


def test_a_path_is_as_long_as_its_waypoints_at_least(demo_model: Model) -> None:
    stops = best(demo_model, 5)
    found = make(demo_model, waypoints=stops, length={"tracks": 2})
    assert ids(found) == [stop["track_id"] for stop in stops]
    assert found.warnings == ["2 tracks were asked for, but 5 waypoints were found: they are the path"]


def test_a_path_with_one_end_is_none(demo_model: Model) -> None:
    stop = best(demo_model, 1)
    found = make(demo_model, waypoints=[*stop, NO_SUCH], length={"tracks": 10})
    assert found.degraded
    assert "only one waypoint was found: these are songs like it, not a path" in found.warnings
    lost = make(demo_model, waypoints=[NO_SUCH, NO_SUCH], length={"tracks": 10})
    assert (lost.strategy, lost.degraded) == ("popular", True)


def test_waypoints_by_features_are_passed_near_to(demo_model: Model) -> None:
    found = make(demo_model, waypoints=[*best(demo_model, 1), {"features": {"energy": 0.9}}], length={"tracks": 12})
    assert len(found.tracks) == 12
    assert sum(track.given for track in found.tracks) == 1
    assert any("passes near to it" in warning for warning in found.warnings)


def test_minutes_need_durations() -> None:
    rows = [{"artist_name": f"Artist {i}", "duration_ms": None} for i in range(30)]
    model = model_of(train(songs(*rows), clusters=2))
    with pytest.raises(WrongField) as error:
        playlist(model, PlaylistQuery.model_validate({"seeds": [{"track_id": "t000"}], "length": {"minutes": 10}}))
    assert error.value.pointer == "/length/minutes"
    found = make(model, seeds=[{"track_id": "t000"}], length={"tracks": 10})
    assert found.duration_ms is None


def test_the_order_does_not_follow_from_how_the_pool_is_stored(demo_model: Model) -> None:
    """The same songs, stored in another order, are played in the same one."""
    rows = [int(row) for row in demo_model.most_popular(12)]
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(12)
        played = []
        for these in (rows, [rows[i] for i in order]):
            pool = Pool.of(demo_model, [], these, [], [])
            problem = pool.problem(12, 2, 2, True, np.linspace(0.3, 0.8, 12))
            played.append([these[i] for i in sequence.solve(problem, [np.arange(12)])])
        assert played[0] == played[1]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"seeds": [NO_SUCH], "extend": [NO_SUCH]},
        {"waypoints": [NO_SUCH]},
        {"waypoints": [NO_SUCH] * 11},
        {"waypoints": [NO_SUCH] * 2, "arc": "build"},
        {"waypoints": [NO_SUCH] * 2, "diversity": 0.5},
        {"waypoints": [NO_SUCH] * 2, "combine": "round_robin"},
        {"waypoints": [NO_SUCH] * 2, "include_seeds": False},
        {"extend": [{**NO_SUCH, "weight": -1.0}, NO_SUCH]},
        {"seeds": [{**NO_SUCH, "weight": -1.0}]},
        {"seeds": [NO_SUCH], "length": {}},
        {"seeds": [NO_SUCH], "length": {"tracks": 5, "minutes": 5.0}},
        {"seeds": [NO_SUCH], "length": {"tracks": 501}},
        {"seeds": [NO_SUCH], "arc": [0.5]},
        {"seeds": [NO_SUCH], "arc": [0.5, 1.5]},
        {"seeds": [NO_SUCH], "arc": "up"},
        {"seeds": [NO_SUCH], "artist_gap": 51},
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PlaylistQuery.model_validate(fields)


def test_an_arc_needs_songs_but_no_known_energy() -> None:
    assert arcs.targets("build", 3, np.array([np.nan])).tolist() == [0.5, 0.5, 0.5]
    assert arcs.targets([0.1, 0.7], 1, np.array([0.5])).tolist() == [0.1]
    cost = arcs.costs(np.array([0.2, 0.8]), np.array([0.2, np.nan, 0.8]))
    assert cost[0, 0] < cost[0, 1] < cost[0, 2]
