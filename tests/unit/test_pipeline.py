"""From a request to its answer, on a catalogue whose neighbours are known."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from artifacts.model import Model
from artifacts.score import mean_target, query
from producer.schema import Query, Result
from tests import builders
from tests.builders import GROUP_SIZE, LANTERNS, PROLIFIC, group_id, special_id
from tests.unit.asking import Asker, answer, ids
from worker.pipeline import recommend


@pytest.fixture
def ask(model: Model) -> Asker:
    return Asker(model)


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
        **{"match": 1.0, "strategy": "catalogue", "imputed": [], "alternatives": []},
    }


def test_an_answer_names_its_model(ask: Asker, model: Model) -> None:
    assert ask(group_id(0, 0)).model == model.manifest.version


def test_scores_are_the_models_rounded_to_four_decimals(ask: Asker, model: Model) -> None:
    seed = model.row_of_id(group_id(5, 5))
    assert seed is not None
    found = model.nearest(model.query([seed], {}), len(model))
    exact = dict(zip(map(model.id_of, found.rows.tolist()), found.score.tolist(), strict=True))
    result = ask(group_id(5, 5), limit=100)
    assert [track.score for track in result.tracks] == [round(exact[track_id], 4) for track_id in ids(result)]


def test_a_seed_by_name(ask: Asker) -> None:
    by_id = ask(special_id("home1"), limit=30)
    by_name = ask({"name": "home", "artist": "CY DAY"}, limit=30)
    assert by_name.tracks == by_id.tracks
    assert by_name.seeds == by_id.seeds
    assert by_name.seeds[0].match == 1
    assert by_name.warnings == []


def test_a_name_of_many_songs_takes_the_best_known_and_says_so(ask: Asker) -> None:
    result = ask({"name": "Home"})
    seed = result.seeds[0]
    assert (seed.track_id, seed.match) == (special_id("home2"), 0.9)
    assert [other.track_id for other in seed.alternatives] == [special_id(n) for n in ("home1", "home0", "home3")]
    expected = "seed 1: several artists have a song of this name; took the best known, by Dee Fox"
    assert result.warnings == [f"{expected}; give the artist to choose another"]


def test_a_name_of_many_versions_needs_no_warning(ask: Asker) -> None:
    result = ask({"name": "Paper Lantern"})
    assert result.seeds[0].track_id == special_id("lantern0")
    assert result.warnings == []


def test_several_seeds_count_by_their_mean(ask: Asker) -> None:
    one, other = group_id(0, 0), group_id(9, 0)
    groups = Counter(track_id[:7] for track_id in ids(ask(one, other, limit=18, weights={"genre": 20.0, "year": 0.0})))
    assert groups == {"group00": 9, "group09": 9}
    assert ids(ask(one, other)) == ids(ask(other, one))


def test_a_seed_given_twice_counts_twice(ask: Asker) -> None:
    twice = ask(group_id(0, 0), {"name": "Song 0 of Group 0"}, group_id(9, 0))
    assert [seed.track_id for seed in twice.seeds] == [group_id(0, 0), group_id(0, 0), group_id(9, 0)]
    weighed = ask({"track_id": group_id(0, 0), "weight": 2.0}, group_id(9, 0))
    assert twice.tracks == weighed.tracks != ask(group_id(0, 0), group_id(9, 0)).tracks


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
    assert result.warnings == [f"{len(songs)} tracks instead of 100: no more pass"]


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
    result = Asker(model)("t000", limit=3)
    assert ids(result) == ["t040", "t041", "t042"]
    assert result.warnings == []


def test_the_same_query_has_the_same_answer(ask: Asker) -> None:
    for fields in ({}, {"limit": 100}, {"method": "cluster"}, {"weights": {"year": 0.0}}, {"diversity": 0.4}):
        same = [answer(ask(group_id(3, 3), {"name": "Home"}, **fields)) for _ in range(2)]
        assert same[0] == same[1]
    short, long = ask(group_id(3, 3), limit=10), ask(group_id(3, 3), limit=100)
    assert short.tracks == long.tracks[:10]


def test_seeds_of_which_little_is_known_still_have_neighbours(ask: Asker) -> None:
    for name in ("nothing", "nosound", "nogenre", "noyear", "noartist"):
        result = ask(special_id(name), limit=30)
        assert len(result.tracks) == 30
        assert all(track.score is not None for track in result.tracks)
    assert ask(special_id("nosound"), limit=5).tracks[0].genres == ["genre-06"]


ORDERS: list[dict[str, object]] = [
    {"seeds": [{"track_id": group_id(3, 3)}]},
    {"seeds": [{"name": "Hoem", "artist": "Ben Oak"}], "explain": True},
    {"seeds": [{"track_id": group_id(3, 3)}, {"track_id": group_id(9, 1), "weight": -1.0}], "diversity": 0.3},
    {"seeds": [{"track_id": group_id(1, 1)}, {"name": "Home"}], "combine": "round_robin", "limit": 50},
    {"seeds": [{"features": {"energy": 0.9, "tempo": 170.0}}], "variation": 5},
    {"seeds": [{"track_id": special_id("nothing")}], "filters": {"year": [1960.0, 1990.0]}},
    {"seeds": [{"name": "Nowhere"}], "filters": {"genres": ["many"]}},
    {"seeds": [{"track_id": group_id(2, 2)}], "method": "cluster"},
    {"seeds": [{"track_id": group_id(2, 2)}], "weights": {"genre": 0.0, "year": 20.0, "popularity": -0.5}},
]


@pytest.mark.parametrize("length", [2, 31, 256])
def test_an_answer_is_the_same_alone_and_in_any_sequence(model: Model, length: int) -> None:
    queries = [Query.model_validate({"limit": 20} | fields) for fields in ORDERS]
    alone = [answer(recommend(model, query)) for query in queries]
    rng = np.random.default_rng(length)
    for i in rng.integers(0, len(queries), length).tolist():
        assert answer(recommend(model, queries[i])) == alone[i]


def test_scores_sum_from_their_reasons(ask: Asker) -> None:
    for fields in ({}, {"weights": {"year": 0.0, "valence": 20.0}}, {"diversity": 0.5}, {"variation": 3}):
        result = ask(group_id(3, 3), {"track_id": group_id(4, 0), "weight": -2.0}, explain=True, limit=30, **fields)
        assert result.mean_score is not None
        for track in result.tracks:
            assert track.score is not None
            assert len(track.reasons) == 13
            assert sum(r.value for r in track.reasons) == pytest.approx(track.score - result.mean_score, abs=2e-3)
            sizes = [abs(reason.value) for reason in track.reasons]
            assert sizes == sorted(sizes, reverse=True), "the greatest first"


def test_without_explain_there_are_no_reasons(ask: Asker) -> None:
    result = ask(group_id(3, 3))
    assert result.mean_score is None
    assert all(track.reasons == [] for track in result.tracks)


def test_with_round_robin_each_track_is_explained_by_the_seed_that_brought_it(ask: Asker) -> None:
    one, other = group_id(0, 0), group_id(9, 0)
    both = ask(one, other, combine="round_robin", explain=True, limit=10)
    single = {t.track_id: t for seed in (one, other) for t in ask(seed, explain=True, limit=10).tracks}
    assert both.mean_score is None, "there is one for each seed"
    for track in both.tracks:
        assert (track.score, track.reasons) == (single[track.track_id].score, single[track.track_id].reasons)


def test_with_round_robin_the_reasons_are_those_of_the_score_also_where_both_seeds_know_the_track(ask: Asker) -> None:
    seeds = [group_id(0, 0), group_id(0, 9)]
    both = ask(*seeds, combine="round_robin", explain=True, limit=8)
    single = [{t.track_id: t for t in ask(seed, explain=True, limit=100).tracks} for seed in seeds]
    for track in both.tracks:
        told = [(t[track.track_id].score, t[track.track_id].reasons) for t in single if track.track_id in t]
        assert (track.score, track.reasons) in told


@pytest.mark.parametrize("filters", [{}, {"year": [1960.0, 1979.0]}, {"popularity": [50.0, 100.0]}])
def test_closer_than_is_one_minus_rank_by_those_that_pass(
    ask: Asker, model: Model, filters: dict[str, list[float]]
) -> None:
    seed = group_id(5, 5)
    row = model.row_of_id(seed)
    assert row is not None
    shown = [model.track(i) for i in range(len(model))]
    passing = np.array([all(t[c] is not None and a <= t[c] <= b for c, (a, b) in filters.items()) for t in shown])
    found = model.nearest(model.query([row], {}), len(model), passing)
    place = {model.id_of(r): i for i, r in enumerate(found.rows.tolist(), start=1)}
    result = ask(seed, limit=40, filters=filters)
    assert [t.closer_than for t in result.tracks] == [
        round(1 - place[t.track_id] / int(passing.sum()), 6) for t in result.tracks
    ]
    closer = [t.closer_than or 0 for t in result.tracks]
    assert closer == sorted(closer, reverse=True)
    assert all(0 <= share < 1 for share in closer)


def groups_of(result: Result) -> Counter[str]:
    return Counter(track_id[:7] for track_id in ids(result))


def test_round_robin_shares_by_weight(ask: Asker) -> None:
    one, other = {"track_id": group_id(0, 0), "weight": 2.0}, {"track_id": group_id(9, 0), "weight": 1.0}
    assert groups_of(ask(one, other, combine="round_robin", limit=12)) == {"group00": 8, "group09": 4}
    assert groups_of(ask(group_id(0, 0), group_id(9, 0), combine="round_robin", limit=12)) == {
        "group00": 6,
        "group09": 6,
    }


def test_a_mean_weighs_its_seeds(ask: Asker, model: Model) -> None:
    rows = [model.row_of_id(group_id(g, 0)) or 0 for g in (0, 9)]
    target = mean_target([model.target([row]) for row in rows], [3.0, 1.0])
    found = model.nearest(query(target, {}), 60)
    expected = dict(zip(map(model.id_of, found.rows.tolist()), found.score.round(4).tolist(), strict=True))
    result = ask({"track_id": group_id(0, 0), "weight": 3.0}, group_id(9, 0), limit=10)
    assert {t.track_id: t.score for t in result.tracks}.items() <= expected.items()


def test_seeds_to_avoid_move_the_answer_away(ask: Asker) -> None:
    wanted, unwanted = [group_id(0, 0), group_id(9, 0)], {"track_id": group_id(9, 5), "weight": -2.0}
    plain, away = ask(*wanted, limit=12), ask(*wanted, unwanted, limit=12)
    assert groups_of(plain)["group09"] > groups_of(away)["group09"]
    assert group_id(9, 5) not in ids(away)
    assert away.seeds[2].track_id == group_id(9, 5)
    assert ask(*wanted, {"name": "Nowhere at all", "weight": -1.0}, limit=12).tracks == plain.tracks


@pytest.mark.parametrize("diversity", [0.3, 0.7, 1.0])
def test_diversity_takes_tracks_that_differ_more(ask: Asker, model: Model, diversity: float) -> None:
    def likeness(result: Result) -> float:
        vectors = model.likeness_vectors(np.array([model.row_of_id(i) for i in ids(result)]))
        return float((vectors @ vectors.T)[~np.eye(len(vectors), dtype=bool)].mean())

    plain, diverse = ask(group_id(3, 3), limit=20), ask(group_id(3, 3), limit=20, diversity=diversity)
    assert likeness(diverse) < likeness(plain)
    assert ids(ask(group_id(3, 3), limit=20, diversity=0.0)) == ids(plain)
    assert ids(diverse)[0] == ids(plain)[0] or diversity == 1


def test_a_variation_is_another_mix_of_the_good(ask: Asker) -> None:
    seed = special_id("home2")
    plain = ids(ask(seed, limit=20))
    assert ids(ask(seed, limit=20, variation=0)) == plain
    mixes = [ids(ask(seed, limit=20, variation=v)) for v in range(1, 8)]
    assert mixes == [ids(ask(seed, limit=20, variation=v)) for v in range(1, 8)]
    assert len({tuple(mix) for mix in [plain, *mixes]}) == 8
    best = ids(ask(seed, limit=100))
    assert all(len(set(mix) & set(best)) >= 15 for mix in mixes), "of the good"
