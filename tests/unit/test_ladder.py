"""The ladder: which strategy answers, what it says of itself, and that a fallback keeps what the request asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from artifacts import cells
from artifacts.features import SCORE
from artifacts.model import Model
from producer.schema import Filters, Result
from tests import builders
from tests.builders import LANTERNS, PROLIFIC, group_id, special_id
from tests.unit.asking import Asker, answer, ids
from training.build import Built
from worker.pipeline import DEFAULT_ORDER, WrongField, conditions_of
from worker.resolve import ARTIST_TRACKS, Outside
from worker.strategies import Strategy


@pytest.fixture
def ask(model: Model) -> Asker:
    return Asker(model)


def tried(result: Result) -> list[tuple[str, str]]:
    return [(attempt.strategy, attempt.outcome) for attempt in result.attempts]


NO_SUCH = {"name": "Qwxyzzy Vrblgrm"}


def test_a_seed_that_is_there_needs_one_attempt(ask: Asker) -> None:
    result = ask(group_id(0, 0))
    assert (result.strategy, tried(result)) == ("catalogue", [("catalogue", "used")])


@pytest.mark.parametrize("form", ["{}", "spotify:track:{}", "https://open.spotify.com/track/{}"])
@pytest.mark.parametrize("end", ["", "?si=0123abc", "#x"])
def test_ids_uris_and_urls_are_one_song(ask: Asker, form: str, end: str) -> None:
    if form == "{}" and end:
        return
    end = end if form.startswith("https") else ""
    assert ask(form.format(group_id(4, 4)) + end).seeds[0].track_id == group_id(4, 4)


def test_a_url_of_another_language_is_the_same_song(ask: Asker) -> None:
    assert ask(f"https://open.spotify.com/intl-de/track/{group_id(4, 4)}").seeds[0].track_id == group_id(4, 4)


@pytest.mark.parametrize(
    "seed",
    [
        *({"name": name, "artist": "Nora Vale"} for name in ("Paper Lanten", "Papr Lantern", "Pap er Lantern")),
        *({"name": "Paper Lantern", "artist": artist} for artist in ("Nora Vael", "Norah Vale", "nora  vâle x")),
        *({"name": name} for name in ("Paper Lantern Nora Vale", "nora vale - paper lantern")),
        {"name": "Papr Lantern Nora Vale"},
        {"name": "Nora Vale", "artist": "Paper Lantern"},
    ],
)  # fmt: skip
def test_a_name_that_is_nearly_right_is_found_and_said_to_be_a_guess(ask: Asker, seed: dict[str, str]) -> None:
    result = ask(seed)
    assert result.strategy == "fuzzy"
    assert not result.degraded
    assert tried(result) == [("catalogue", "no_match"), ("spotify", "skipped"), ("fuzzy", "used")]
    match = result.seeds[0]
    assert match.track_id in {special_id(name) for name in LANTERNS}
    assert match.strategy == "fuzzy"
    assert 0.75 <= match.match < 1
    assert result.tracks[0].score is not None


def test_what_is_not_like_enough_is_no_match_but_a_question(ask: Asker) -> None:
    result = ask({"name": "Paper Ladders Of Gold", "artist": "Nora Vale"})
    assert result.strategy == "genre"
    seed = result.seeds[0]
    assert (seed.track_id, seed.match, seed.strategy) == (None, 0, None)
    assert seed.alternatives
    assert all(0 < other.match < 0.75 for other in seed.alternatives)
    assert {special_id(name) for name in LANTERNS} & {other.track_id for other in seed.alternatives}
    assert len(seed.alternatives) <= 3


def test_a_known_artist_with_an_unknown_song_gives_a_sample_of_their_genres(ask: Asker) -> None:
    seed = {"name": "Qwxyzzy Vrblgrm", "artist": "Max Many"}
    result = ask(seed, limit=10)
    assert (result.strategy, result.degraded) == ("genre", True)
    assert tried(result)[-1] == ("genre", "used")
    assert result.attempts[-1].reason == "a sample of many"
    assert all(track.genres == ["many"] and track.score is None for track in result.tracks)
    assert "seed 1: not found in the catalogue" in result.warnings
    assert any("not similar songs" in warning for warning in result.warnings)
    assert answer(ask(seed, limit=10)) == answer(result), "the same request, the same sample"
    samples = {tuple(ids(ask(seed, limit=10, variation=v))) for v in range(6)}
    assert len(samples) == 6


def test_how_rows_are_stored_changes_no_answer(ask: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "CELL", 8)
    other = Asker(builders.model_of(builders.train(builders.atlas())))
    assert ids(other(group_id(0, 0))) == ids(ask(group_id(0, 0)))
    assert not np.array_equal(other.model.arrays["id_rank"], ask.model.arrays["id_rank"])
    for seed in ({**NO_SUCH, "artist": "Max Many"}, {**NO_SUCH, "artist": "Band 03-1"}, NO_SUCH):
        for variation in range(5):
            again = other(seed, limit=5, variation=variation)
            assert ids(again) == ids(ask(seed, limit=5, variation=variation)), seed


def test_the_better_known_are_likelier_in_a_sample() -> None:
    rows = [{"artist_name": f"A{i}", "popularity": 90 if i < 30 else 1} for i in range(60)]
    ask = Asker(builders.model_of(builders.train(builders.songs(*rows), clusters=2)))
    drawn = [ids(ask(NO_SUCH, limit=10, variation=v, filters={"genres": ["pop"]})) for v in range(20)]
    known = np.mean([track_id < "t030" for sample in drawn for track_id in sample])
    assert 0.85 < known <= 1


def test_a_genre_that_is_asked_for_is_a_hint_too(ask: Asker) -> None:
    result = ask(NO_SUCH, filters={"genres": ["genre-05"]}, limit=5)
    assert result.strategy == "genre"
    assert all("genre-05" in track.genres for track in result.tracks)


def test_an_unknown_song_of_an_unknown_artist_gives_what_is_popular(ask: Asker, built: Built) -> None:
    result = ask("absent", {"name": "Qwxyzzy", "artist": "Vrblgrm"}, limit=7)
    assert ids(result) == [track["track_id"] for track in built.public["popular"][""][:7]]
    assert [track.score for track in result.tracks] == [None] * 7
    assert [track.closer_than for track in result.tracks] == [None] * 7
    assert (result.strategy, result.degraded) == ("popular", True)
    assert tried(result) == [
        *(("catalogue", "no_match"), ("spotify", "skipped"), ("fuzzy", "no_match"), ("genre", "no_match")),
        ("popular", "used"),
    ]
    assert [(seed.track_id, seed.name, seed.artists, seed.match) for seed in result.seeds] == [(None, None, [], 0)] * 2
    assert result.warnings[:2] == [f"seed {i}: not found in the catalogue" for i in (1, 2)]
    assert result.warnings[2] == "no seed was found: these are popular tracks, not similar ones"


@pytest.mark.parametrize("strategies", [["catalogue"], ["catalogue", "spotify"], ["fuzzy"], ["genre"], ["spotify"]])
def test_with_few_strategies_there_may_be_no_answer_and_it_says_so(ask: Asker, strategies: list[str]) -> None:
    result = ask(NO_SUCH, strategies=strategies)
    assert (result.strategy, result.degraded, result.tracks) == ("none", True, [])
    assert [strategy for strategy, _ in tried(result)] == strategies
    assert "no seed was found, and no other strategy had an answer" in result.warnings


def test_the_order_is_the_requests_before_the_servers(model: Model) -> None:
    backwards: list[Strategy] = ["popular", "genre", "fuzzy", "spotify", "catalogue"]
    ask = Asker(model, backwards)
    exact = {"name": "Paper Lantern", "artist": "Nora Vale"}
    assert ask(exact).strategy == "fuzzy"
    assert tried(ask(exact)) == [("fuzzy", "used")]
    assert ask(exact, strategies=["catalogue", "fuzzy"]).strategy == "catalogue"
    hinted = {"name": "Qwxyzzy Vrblgrm", "artist": "Max Many"}
    assert ask(hinted).strategy == "popular"
    assert ask(hinted, strategies=["genre", "popular"]).strategy == "genre"
    assert Asker(model, ["popular"])(group_id(0, 0)).strategy == "popular", "no strategy to find it with"
    assert DEFAULT_ORDER == ("catalogue", "spotify", "fuzzy", "genre", "popular")


def test_an_unknown_seed_among_known_ones_is_left_out_and_named(ask: Asker) -> None:
    result = ask(group_id(0, 0), "absent", group_id(0, 1))
    assert (result.strategy, result.degraded) == ("catalogue", False)
    assert tried(result) == [("catalogue", "partial"), ("spotify", "skipped"), ("fuzzy", "no_match")]
    assert result.attempts[0].reason == "2 of 3 seeds found"
    assert result.warnings == ["seed 2: not found in the catalogue"]
    assert result.tracks == ask(group_id(0, 0), group_id(0, 1)).tracks


def test_each_seed_is_found_by_the_first_strategy_that_can(ask: Asker) -> None:
    result = ask(group_id(0, 0), {"name": "Papr Lantern", "artist": "Nora Vale"}, {"features": {"energy": 0.5}})
    assert [seed.strategy for seed in result.seeds] == ["catalogue", "fuzzy", "catalogue"]
    assert tried(result)[0] == ("catalogue", "partial")
    assert tried(result)[-1] == ("fuzzy", "used")


def test_an_artist_alone_stands_for_what_they_are_known_for(ask: Asker, model: Model) -> None:
    result = ask({"artist": "max many"}, limit=10, max_per_artist=10)
    rows = [row for row in range(len(model)) if model.artists_of(row) == ["Max Many"]]
    assert len(rows) == len(PROLIFIC) <= ARTIST_TRACKS
    expected = model.nearest(model.query(rows, {}), 10)
    assert result.strategy == "catalogue"
    assert (result.seeds[0].track_id, result.seeds[0].artists, result.seeds[0].match) == (None, ["Max Many"], 1)
    assert [track.score for track in result.tracks] == expected.score.round(4).tolist()


def test_an_excluded_song_stays_away_in_all_its_versions(model: Model) -> None:
    versions = np.flatnonzero(model.song == np.argmax(np.bincount(model.song))).tolist()
    assert len(versions) > 1
    for row in versions:
        filters = Filters(exclude_tracks=[model.id_of(row)])
        assert list(conditions_of(model, filters).without_rows) == versions
    assert conditions_of(model, Filters(exclude_tracks=["no such id"])).without_rows == ()


KEPT: list[dict[str, Any]] = [
    *({"year": [1960.0, 1975.0]}, {"popularity": [60.0, 70.0]}, {"mode": 0, "key": [1, 2]}, {"explicit": True}),
    *({"exclude_artists": ["Dee Fox", "Max Many"]}, {"exclude_tracks": [special_id("home2")]}),
    {"genres": ["genre-03", "many"]},
]


@pytest.mark.parametrize("filters", KEPT)
@pytest.mark.parametrize(
    "seed",
    [
        *({"track_id": group_id(0, 0)}, {"name": "Papr Lantern", "artist": "Nora Vale"}),
        *({**NO_SUCH, "artist": "Max Many"}, {**NO_SUCH, "artist": "Band 03-1"}, NO_SUCH),
    ],
)  # fmt: skip
def test_every_strategy_keeps_the_filters(ask: Asker, seed: dict[str, str], filters: dict[str, Any]) -> None:
    result = ask(seed, filters=filters, limit=40)
    assert result.tracks
    for track in result.tracks:
        for name in ("year", "popularity"):
            if name in filters:
                low, high = filters[name]
                value = getattr(track, name)
                assert value is not None
                assert low <= value <= high
        assert track.mode == filters.get("mode", track.mode)
        assert track.key in filters.get("key", [track.key])
        assert not set(track.artists) & set(filters.get("exclude_artists", []))
        assert track.track_id not in filters.get("exclude_tracks", [])
        assert set(track.genres) & set(filters.get("genres", track.genres)) or not track.genres
    if len(result.tracks) < 40:
        assert f"{len(result.tracks)} tracks instead of 40: no more pass" in result.warnings


def test_filters_that_nothing_passes_leave_an_empty_answer(ask: Asker) -> None:
    result = ask(group_id(0, 0), filters={"year": [1901.0, 1902.0]})
    assert (result.strategy, result.tracks, result.scanned) == ("catalogue", [], 0)
    assert result.warnings == ["0 tracks instead of 20: no more pass"]
    assert ask(NO_SUCH, filters={"year": [1901.0, 1902.0]}).strategy == "none"


def test_a_fallback_looks_as_far_as_it_must() -> None:
    rows = [{"artist_name": "Ann", "popularity": 90} for _ in range(60)]
    rows += [{"artist_name": f"Ben {i}", "popularity": 10} for i in range(10)]
    ask = Asker(builders.model_of(builders.train(builders.songs(*rows), clusters=2)))
    result = ask(NO_SUCH, limit=5, max_per_artist=1)
    assert result.strategy == "popular"
    assert len(result.tracks) == 5, result.warnings


def test_a_song_to_avoid_is_not_in_a_fallback_either(ask: Asker) -> None:
    hated = special_id("home2")
    assert ids(ask(NO_SUCH, limit=1)) == [hated], "it is the most popular of all"
    result = ask(NO_SUCH, {"track_id": hated, "weight": -1.0}, limit=5)
    assert result.strategy == "popular"
    assert hated not in ids(result)


@pytest.mark.parametrize(
    ("filters", "pointer"),
    [
        ({"genres": ["many", "polka", "genre-03", "ska"]}, "/filters/genres/1"),
        ({"genres": ["Many"]}, "/filters/genres/0"),
    ],
)
def test_a_genre_that_the_model_lacks_is_a_wrong_field(ask: Asker, filters: dict[str, Any], pointer: str) -> None:
    with pytest.raises(WrongField, match="this model has no genre") as wrong:
        ask(group_id(0, 0), filters=filters)
    assert wrong.value.pointer == pointer


@pytest.mark.parametrize(
    ("column", "filters"),
    [
        *(("year", {"year": [1990.0, 2000.0]}), ("popularity", {"popularity": [0.0, 100.0]})),
        *(("explicit", {"explicit": False}), ("artist_name", {"exclude_artists": ["Ann"]})),
        *(("genre", {"genres": ["pop"]}), ("duration_ms", {"duration_ms": [0.0, 9e9]})),
    ],
)
def test_a_filter_on_a_column_that_the_model_lacks_is_a_wrong_field(column: str, filters: dict[str, Any]) -> None:
    rows = [{column: None} for _ in range(20)]
    ask = Asker(builders.model_of(builders.train(builders.songs(*rows), clusters=2)))
    with pytest.raises(WrongField, match=f"this model has no {column}") as wrong:
        ask("t000", filters=filters)
    assert wrong.value.pointer == f"/filters/{next(iter(filters))}"
    assert ask("t000").tracks


@pytest.mark.parametrize("seed", [{"features": {"energy": 0.5}}, {"artist": "Max Many"}])
def test_method_cluster_needs_songs_of_the_catalogue(ask: Asker, seed: dict[str, Any]) -> None:
    with pytest.raises(WrongField, match="cluster needs songs") as wrong:
        ask(group_id(0, 0), seed, method="cluster")
    assert wrong.value.pointer == "/method"


def test_a_song_by_its_features_says_which_were_guessed(ask: Asker) -> None:
    seed = ask({"features": {"energy": 0.9, "tempo": 170.0, "year": 1999}}).seeds[0]
    assert (seed.track_id, seed.match, seed.strategy) == (None, 1, "catalogue")
    assert seed.imputed == [name for name in SCORE if name not in ("energy", "tempo", "year")]
    every = {**builders.group_sound(3, 0), "duration_ms": 150_000, "year": 1990}
    result = ask({"features": every}, limit=9)
    assert result.seeds[0].imputed == []
    weights = {"genre": 0.0, "popularity": 0.0}
    by_sound = ask({"features": every}, limit=10, weights=weights)
    assert {track_id[:7] for track_id in ids(by_sound)} == {"group03"}


def test_a_guess_is_the_best_linear_one_from_what_is_given(model: Model) -> None:
    stored = model.arrays["score"][: len(SCORE)].astype(np.float64)
    target, imputed = model.target_of_features({"energy": 0.8, "loudness": -5.0, "year": 1984})
    known = [SCORE.index(name) for name in ("energy", "loudness", "year")]
    design = np.column_stack([np.ones(stored.shape[1]), stored[known].T])
    for name in imputed:
        coefficients = np.linalg.lstsq(design, stored[SCORE.index(name)], rcond=None)[0]
        expected = coefficients @ [1, *target.mean[known]]
        assert target.mean[SCORE.index(name)] == pytest.approx(expected, abs=1e-3), name
    assert not target.genre.any()


class Elsewhere:
    """A look-up outside the catalogue that knows what it is told; it counts the questions."""

    def __init__(self, found: Outside, features: dict[str, float] | None = None) -> None:
        self.budget_s = 1.0
        self.found, self.features, self.asked = found, features or {}, list[tuple[str, str | None]]()

    def find(self, name: str, artist: str | None, budget_s: float) -> Outside:
        assert 0 <= budget_s <= self.budget_s
        self.asked.append((name, artist))
        return self.found

    def features_of(self, track_id: str, budget_s: float) -> dict[str, float]:
        assert 0 <= budget_s <= self.budget_s
        return self.features


@pytest.mark.parametrize(
    "candidate", [(group_id(4, 4), "Anything", "Anybody"), ("0" * 22, "Song 4 of Group 4!", "BAND 04-4")]
)
def test_what_spotify_calls_it_is_found_by_its_id_or_its_name(model: Model, candidate: tuple[str, str, str]) -> None:
    first = ("1" * 22, "Nowhere", "Nobody")
    elsewhere = Elsewhere(Outside("found", "2 candidates", (first, candidate)))
    result = Asker(model, look_up=elsewhere)({"name": "Sng 4 Grp 4", "artist": "Bnd"})
    assert (result.strategy, result.degraded) == ("spotify", False)
    assert tried(result) == [("catalogue", "no_match"), ("spotify", "used")]
    assert (result.seeds[0].track_id, result.seeds[0].strategy) == (group_id(4, 4), "spotify")
    assert 0 <= result.seeds[0].match < 1
    assert elsewhere.asked == [("Sng 4 Grp 4", "Bnd")]


def test_a_song_that_only_spotify_knows_counts_by_its_features(model: Model) -> None:
    sound = {**builders.group_sound(3, 0), "duration_ms": 150_000.0}
    elsewhere = Elsewhere(Outside("found", "1 candidate", (("1" * 22, "New Song", "New Band"),)), sound)
    result = Asker(model, look_up=elsewhere)({"name": "New Song", "artist": "New Band"}, limit=5)
    seed = result.seeds[0]
    assert (seed.track_id, seed.name, seed.artists, seed.match) == (None, "New Song", ["New Band"], 1)
    assert seed.imputed == ["year"]
    assert result.strategy == "spotify"
    assert all(track.score is not None for track in result.tracks)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (Outside("no_match", "Spotify does not know it"), "no_match"),
        (Outside("found", "1 candidate", (("1" * 22, "Nowhere", "Nobody"),)), "no_match"),
        (Outside("skipped", "the breaker is open"), "skipped"),
        (Outside("failed", "timed out"), "failed"),
    ],
)
def test_where_spotify_is_of_no_help_the_ladder_goes_on(model: Model, found: Outside, outcome: str) -> None:
    result = Asker(model, look_up=Elsewhere(found))({"name": "Papr Lantern", "artist": "Nora Vale"})
    assert result.strategy == "fuzzy"
    assert tried(result) == [("catalogue", "no_match"), ("spotify", outcome), ("fuzzy", "used")]


def test_spotify_is_asked_only_for_what_is_missing_and_not_again_after_a_failure(model: Model) -> None:
    elsewhere = Elsewhere(Outside("failed", "timed out"))
    ask = Asker(model, look_up=elsewhere)
    assert ask(group_id(0, 0)).strategy == "catalogue"
    assert elsewhere.asked == []
    ask(group_id(0, 0), {"name": "Qwxyzzy"}, {"name": "Vrblgrm"}, {"track_id": "absent"})
    assert elsewhere.asked == [("Qwxyzzy", None)]
    ask({"name": "Qwxyzzy"}, strategies=["catalogue", "fuzzy"])
    assert len(elsewhere.asked) == 1
