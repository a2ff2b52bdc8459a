"""From a request to its answer, on a catalogue whose neighbours are known."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from artifacts.model import Model
from producer import codec
from producer.schema import Query, Result
from tests import builders
from tests.builders import GROUP_SIZE, HOMES, LANTERNS, PROLIFIC, group_id, special_id
from training.build import Built
from worker.pipeline import recommend
from worker.ranking import WINDOW


@pytest.fixture(name="popular")
def _popular(built: Built) -> list[dict[str, Any]]:
    tracks: list[dict[str, Any]] = built.public["popular"][""]
    return tracks


class Asker:
    """Asks one model."""

    def __init__(self, model: Model, popular: list[dict[str, Any]]) -> None:
        self.model, self.popular = model, popular

    def __call__(self, *seeds: str | dict[str, str], **fields: Any) -> Result:
        """Recommend for seeds, ids or as in a request, checking what every answer promises."""
        given = [{"track_id": seed} if isinstance(seed, str) else seed for seed in seeds]
        query = Query.model_validate({"seeds": given, **fields})
        result = recommend(self.model, self.popular, query)
        assert len(result.tracks) <= query.limit
        assert [track.rank for track in result.tracks] == list(range(1, len(result.tracks) + 1))
        assert len(result.seeds) == len(given)
        assert len({track.track_id for track in result.tracks}) == len(result.tracks)
        assert not {seed.track_id for seed in result.seeds} & {track.track_id for track in result.tracks}
        rows = [self.model.row_of_id(track.track_id) for track in result.tracks]
        assert len({int(self.model.song[row]) for row in rows if row is not None}) == len(rows)
        for start in range(len(rows)):
            window = Counter(a for track in result.tracks[start : start + WINDOW] for a in track.artists)
            assert max(window.values(), default=0) <= query.max_per_artist
        codec.pack(result.model_dump())  # nothing of numpy's is left in it
        return result


@pytest.fixture
def ask(model: Model, popular: list[dict[str, Any]]) -> Asker:
    return Asker(model, popular)


def ids(result: Result) -> list[str]:
    return [track.track_id for track in result.tracks]


@pytest.mark.parametrize("group", [0, 7, 23])
def test_the_known_neighbours_come_first(ask: Asker, group: int) -> None:
    result = ask(group_id(group, 4), limit=9)
    assert set(ids(result)) == {group_id(group, m) for m in range(GROUP_SIZE) if m != 4}
    scores = [track.score for track in result.tracks]
    assert scores == sorted(scores, key=lambda score: -(score or 0))
    assert (result.strategy, result.degraded, result.warnings, result.notice) == ("catalogue", False, [], None)
    assert [(a.strategy, a.outcome, a.reason) for a in result.attempts] == [("catalogue", "used", "1 of 1 seeds found")]
    assert result.seeds[0].model_dump() == {
        **{"track_id": group_id(group, 4), "name": f"Song 4 of Group {group}", "artists": [f"Band {group:02}-4"]},
        **{"match": 1.0},
    }


def test_an_answer_names_its_model(ask: Asker, model: Model) -> None:
    assert ask(group_id(0, 0)).model == model.manifest.version


def test_scores_are_the_models_rounded_to_four_decimals(ask: Asker, model: Model) -> None:
    seed = model.row_of_id(group_id(5, 5))
    assert seed is not None
    rows, scores = model.nearest(model.query([seed], {}), len(model))
    exact = {model.track(row)["track_id"]: score for row, score in zip(rows.tolist(), scores.tolist(), strict=True)}
    result = ask(group_id(5, 5), limit=100)
    assert [track.score for track in result.tracks] == [round(exact[track_id], 4) for track_id in ids(result)]


def test_a_seed_by_name(ask: Asker) -> None:
    by_id = ask(special_id("home1"), limit=30)
    by_name = ask({"name": "home", "artist": "CY DAY"}, limit=30)
    assert by_name.tracks == by_id.tracks
    assert by_name.seeds == by_id.seeds
    assert by_name.warnings == []


def test_a_name_of_many_songs_takes_the_best_known_and_says_so(ask: Asker) -> None:
    result = ask({"name": "Home"})
    assert result.seeds[0].track_id == special_id("home2")
    assert len(HOMES) == 4
    expected = "seed 1: 4 artists have a song of this name; took the best known, by Dee Fox"
    assert result.warnings == [f"{expected}; give the artist to choose another"]


def test_a_name_of_many_versions_needs_no_warning(ask: Asker) -> None:
    result = ask({"name": "Paper Lantern"})
    assert result.seeds[0].track_id == special_id("lantern0")
    assert result.warnings == []


def test_unknown_seeds_get_popular_tracks_and_are_told(ask: Asker, popular: list[dict[str, Any]]) -> None:
    result = ask("absent", {"name": "Nowhere", "artist": "Nobody"}, limit=7)
    assert ids(result) == [track["track_id"] for track in popular[:7]]
    assert [track.score for track in result.tracks] == [None] * 7
    assert (result.strategy, result.degraded) == ("popular", True)
    assert [(a.strategy, a.outcome) for a in result.attempts] == [("catalogue", "no_match"), ("popular", "used")]
    assert [(seed.track_id, seed.name, seed.artists, seed.match) for seed in result.seeds] == [(None, None, [], 0)] * 2
    assert result.warnings[:2] == ["seed 1: not in the catalogue", "seed 2: not in the catalogue"]
    assert result.warnings[2:] == ["none of the seeds is in the catalogue: these are popular tracks, not similar ones"]


def test_more_popular_tracks_than_there_are(ask: Asker) -> None:
    result = ask("absent", limit=100)
    assert len(result.tracks) == 50
    assert "50 tracks instead of 100: there are no more" in result.warnings


def test_an_unknown_seed_among_known_ones_is_left_out_and_named(ask: Asker) -> None:
    result = ask(group_id(0, 0), "absent", group_id(0, 1))
    assert (result.strategy, result.degraded) == ("catalogue", False)
    assert [(a.outcome, a.reason) for a in result.attempts] == [("partial", "2 of 3 seeds found")]
    assert result.warnings == ["seed 2: not in the catalogue"]
    assert result.tracks == ask(group_id(0, 0), group_id(0, 1)).tracks


def test_several_seeds_count_by_their_mean(ask: Asker) -> None:
    one, other = group_id(0, 0), group_id(9, 0)
    groups = Counter(track_id[:7] for track_id in ids(ask(one, other, limit=18, weights={"genre": 20.0, "year": 0.0})))
    assert groups == {"group00": 9, "group09": 9}
    assert ids(ask(one, other)) == ids(ask(other, one))


def test_a_seed_given_twice_counts_once(ask: Asker) -> None:
    twice = ask(group_id(0, 0), {"name": "Song 0 of Group 0"}, group_id(9, 0))
    assert [seed.track_id for seed in twice.seeds] == [group_id(0, 0), group_id(0, 0), group_id(9, 0)]
    assert twice.tracks == ask(group_id(0, 0), group_id(9, 0)).tracks


def test_weights_are_the_requests(ask: Asker) -> None:
    seed = group_id(0, 0)
    only_popular = ask(seed, weights=dict.fromkeys(("year", "genre", "energy"), 0.0) | {"popularity": 2.0}, limit=5)
    assert only_popular.tracks != ask(seed, limit=5).tracks
    assert ask(seed, weights={"year": 6.0, "genre": 10.0}, limit=50).tracks == ask(seed, limit=50).tracks, (
        "the defaults"
    )


@pytest.mark.parametrize("seeds", [1, 3])
def test_method_cluster_stays_in_the_cluster(ask: Asker, model: Model, seeds: int) -> None:
    result = ask(*(group_id(6, m) for m in range(seeds)), method="cluster", limit=9)
    clusters = {track.cluster for track in result.tracks}
    assert clusters == {int(model.cluster[model.row_of_id(group_id(6, 0)) or 0])}
    scores = [track.score or 0 for track in result.tracks]
    assert scores == sorted(scores, reverse=True)
    assert all(-1 <= score <= 1 for score in scores)


def test_fewer_tracks_than_asked_for_are_all_there_are(ask: Asker, model: Model) -> None:
    seed = group_id(6, 0)
    row = model.row_of_id(seed)
    assert row is not None
    inside = [r for r in range(len(model)) if model.cluster[r] == model.cluster[row]]
    songs = {int(model.song[r]) for r in inside} - {int(model.song[row])}
    result = ask(seed, method="cluster", limit=100, max_per_artist=10)
    assert len(result.tracks) == len(songs) < 100
    assert result.warnings == [f"{len(songs)} tracks instead of 100: there are no more"]


def test_one_version_of_a_song_is_answered_and_none_of_the_seeds(ask: Asker) -> None:
    versions = {special_id(name) for name in LANTERNS}
    for version in versions:
        assert not versions & set(ids(ask(version, limit=100)))
    near = ids(ask(special_id("twin0"), limit=100))
    assert special_id("twin1") not in near
    assert len(versions & set(near)) == 1


def test_at_most_two_of_an_artist_in_any_ten(ask: Asker) -> None:
    result = ask(special_id(PROLIFIC[0]), limit=12)
    by_one = [place for place, track in enumerate(result.tracks) if track.artists == ["Max Many"]]
    assert by_one[:2] == [0, 1], "the nearest are the artist's own"
    assert by_one[2] == 10, "and the third of them waits its turn"


def test_the_artist_cap_is_the_requests(ask: Asker) -> None:
    result = ask(special_id(PROLIFIC[0]), limit=19, max_per_artist=10)
    assert sum(track.artists == ["Max Many"] for track in result.tracks) == 19


def test_a_tight_cap_looks_farther_down_the_list(ask: Asker) -> None:
    result = ask(special_id(PROLIFIC[0]), limit=100, max_per_artist=1)
    assert len(result.tracks) == 100
    assert result.warnings == []


def test_many_versions_of_one_song_do_not_hide_what_lies_behind_them() -> None:
    versions = [{"track_name": f"One Song - {year} Remaster", "artist_name": "Ann"} for year in range(1980, 2020)]
    others = [{"artist_name": f"Ben {i}", "year": 1960, "genre": "far"} for i in range(3)]
    model = builders.model_of(builders.train(builders.songs(*versions, *others), clusters=2))
    result = Asker(model, [])("t000", limit=3)
    assert ids(result) == ["t040", "t041", "t042"]
    assert result.warnings == []


def test_the_same_query_has_the_same_answer(ask: Asker, built: Built) -> None:
    def answer(**fields: Any) -> str:
        result = ask(group_id(3, 3), {"name": "Home"}, **fields).model_dump()
        return json.dumps({**result, "attempts": None})

    for fields in ({}, {"limit": 100}, {"method": "cluster"}, {"weights": {"year": 0.0}}):
        assert answer(**fields) == answer(**fields)
    short, long = ask(group_id(3, 3), limit=10), ask(group_id(3, 3), limit=100)
    assert long.tracks[:10] == short.tracks


def test_seeds_of_which_little_is_known_still_have_neighbours(ask: Asker) -> None:
    for name in ("nothing", "nosound", "nogenre", "noyear", "noartist"):
        result = ask(special_id(name), limit=30)
        assert len(result.tracks) == 30
        assert all(track.score is not None for track in result.tracks)
    assert ask(special_id("nosound"), limit=5).tracks[0].genres == ["genre-06"]
