"""Evaluation: measures worked out by hand, and a catalogue on which the right answer to a playlist is known."""

from __future__ import annotations

import json
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.model import Model
from tests import builders
from training import baselines, evaluate, metrics
from training.__main__ import main
from training.baselines import SYSTEMS, Ground
from training.dataset import DatasetError

GROUPS = (0, 5, 12, 17)
PERFECT = {name: metrics.Interval(1.0, 1.0, 1.0) for name in metrics.ACCURACY}

Songs = st.lists(st.integers(0, 30), unique=True)


def entries(group: int, *more: str) -> pd.DataFrame:
    """Return a playlist of a group of the atlas, and of more ids."""
    ids = [builders.group_id(group, member) for member in range(builders.GROUP_SIZE)] + list(more)
    rows = [
        {"playlist_id": f"group {group:02}", "position": i, "track_id": track_id, "track_name": "", "artist_name": ""}
        for i, track_id in enumerate(ids)
    ]
    return pd.DataFrame(rows)


def playlists(model: Model, *groups: int) -> list[evaluate.Playlist]:
    return evaluate.match(model, pd.concat([entries(group) for group in groups]))[0]


@pytest.fixture(scope="session")
def ground(model: Model) -> Ground:
    return Ground.of(model)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lists.parquet"
    pd.concat([entries(group) for group in GROUPS]).assign(mood="any").to_parquet(path, index=False)
    return path


def test_accuracy_by_hand() -> None:
    found = metrics.accuracy([1, 2, 3, 4, 5], {2, 5, 9}, 5)
    best = 1 + 1 / log2(3) + 1 / log2(4)
    assert found == pytest.approx((1 / 3, (1 / log2(3) + 1 / log2(6)) / best, 1, 2 / 3))


@pytest.mark.parametrize(("place", "hit"), [(9, 1.0), (10, 0.0)])
def test_a_hit_counts_on_the_first_page_only(place: int, hit: float) -> None:
    ranked = [*range(100, 100 + place), 7, *range(200, 220)]
    assert metrics.accuracy(ranked, {7}, 100)[2] == hit


def test_a_song_that_comes_twice_is_one_hit() -> None:
    assert metrics.accuracy([7, 7, 7], {7, 8}, 3)[3] == 0.5


def test_the_best_list_of_a_length_has_ndcg_1_though_it_cannot_hold_the_truth() -> None:
    r_precision, ndcg, hit, recall = metrics.accuracy([1, 2], {1, 2, 3, 4}, 2)
    assert (r_precision, ndcg, hit, recall) == (0.5, 1.0, 1.0, 0.5)


@given(Songs, Songs.filter(bool))
def test_accuracy_is_a_share_and_grows_with_hits(ranked: list[int], truth: list[int]) -> None:
    found = metrics.accuracy(ranked, truth, 31)
    assert all(0 <= value <= 1 + 1e-12 for value in found)
    assert (found[3] > 0) == bool(set(ranked) & set(truth)) == (found[1] > 0)
    better = metrics.accuracy([s for s in ranked if s in truth] + [s for s in ranked if s not in truth], truth, 31)
    assert all(b >= a - 1e-12 for a, b in zip(found, better, strict=True))
    assert metrics.accuracy(truth, truth, 31) == pytest.approx((1, 1, 1, 1))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(0, 5))
def test_an_interval_holds_between_the_extremes_and_is_the_same_each_time(values: list[float], seed: int) -> None:
    found = metrics.bootstrap(np.array(values), seed)
    assert min(values) - 1e-12 <= found.low <= found.high <= max(values) + 1e-12
    assert found == metrics.bootstrap(np.array(values), seed)


def test_an_interval_is_about_two_standard_errors_wide() -> None:
    values = np.random.default_rng(0).normal(0, 1, 400)
    found = metrics.bootstrap(values, 0)
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)


def test_lists_by_hand(model: Model) -> None:
    rows = {name: model.row_of_id(builders.special_id(name)) or 0 for name in ("lantern0", "lantern1", "home0")}
    other = model.row_of_id(builders.group_id(0, 0)) or 0
    sound = np.zeros((10, len(model)), np.float32)
    sound[:2, rows["home0"]] = 3, 4
    lists = [np.array([rows["lantern0"], rows["lantern1"]]), np.array([rows["home0"], other])]
    found = metrics.describe(model, sound, lists, [np.array([other]), np.array([rows["lantern0"]])])
    assert found == metrics.Lists(coverage=3, diversity=2.5, popularity=45.0, duplicates=0.5, one_artist=1.5)
    seeds = [np.array([rows["lantern1"]]), np.array([rows["lantern0"]])]
    assert metrics.describe(model, sound, [lists[0][:1], lists[1]], seeds).duplicates == 0.5  # a version of a seed


def test_the_rest_of_a_group_is_found(model: Model) -> None:
    asked = {name: SYSTEMS[name] for name in ("default", "judge", "euclid", "random", "popular")}
    for outcome in evaluate.evaluate(model, playlists(model, *GROUPS), [1, 5], 20, asked, 1):
        assert (outcome.playlists, outcome.left_out, outcome.agree) == (4, 0, 1.0)
        assert outcome.systems["default"].accuracy == PERFECT == outcome.systems["judge"].accuracy
        assert outcome.systems["random"].accuracy["r_precision"].mean < 0.5
        assert outcome.systems["popular"].lists.coverage <= 10 + 5 * 4
        for figures in outcome.systems.values():
            assert figures.lists.duplicates == 0


def test_every_system_answers_with_other_songs_each_once(ground: Ground) -> None:
    song = ground.model.song
    for name, rank in SYSTEMS.items():
        for group in GROUPS:
            seeds = np.array([ground.model.row_of_id(builders.group_id(group, member)) for member in range(3)])
            rows = rank(ground, seeds, 12, np.random.default_rng(1))
            assert 0 < len(rows) <= 12, name
            assert len(rows) == 12 or name.startswith(("cluster", "genre")), name
            assert len(np.unique(song[np.concatenate([seeds, rows])])) == 3 + len(rows), name


def test_lists_within_a_genre_or_cluster_stay_there(ground: Ground) -> None:
    model, seeds = ground.model, np.array([ground.model.row_of_id(builders.group_id(5, 0))])
    for name in ("genre-random", "genre-popular"):
        rows = SYSTEMS[name](ground, seeds, 5, np.random.default_rng(1))
        assert {tuple(model.genre_codes(row)) for row in rows.tolist()} == {tuple(model.genre_codes(int(seeds[0])))}
    popularity = model.arrays["popularity"][SYSTEMS["genre-popular"](ground, seeds, 5, np.random.default_rng(1))]
    assert popularity.tolist() == [67, 64, 61, 58, 55]
    for name in ("cluster", "cluster-random"):
        rows = SYSTEMS[name](ground, seeds, 5, np.random.default_rng(1))
        assert set(model.cluster[rows].tolist()) == {int(model.cluster[seeds[0]])}


@given(st.lists(st.integers(0, 299), min_size=1, max_size=12, unique=True), st.integers(1, 400))
def test_the_judge_agrees_with_the_engine(ground: Ground, seeds: list[int], limit: int) -> None:
    model, rows = ground.model, np.array([seed % len(ground.model) for seed in seeds])
    everything = np.arange(len(model))
    score = ground.straight.score(rows)
    assert score == pytest.approx(model.score(model.query(rows.tolist(), {}), everything), abs=1e-9)
    ours, judged = (SYSTEMS[name](ground, rows, limit, np.random.default_rng(0)) for name in ("default", "judge"))
    assert score[ours] == pytest.approx(score[judged], abs=1e-9)


def test_plain_sound_is_that_of_the_data(model: Model) -> None:
    stored = model.arrays["probe_score"][:10]
    at = np.linspace(0, len(model) - 1, stored.shape[1]).astype(int)
    assert baselines.plain_sound(model)[:, at] == pytest.approx(np.nan_to_num(stored, nan=0.0), abs=1e-5)


def test_entries_are_found_by_id_else_by_name_and_versions_are_one_song(model: Model) -> None:
    lantern = {"track_name": "PAPER LANTERN (2011 Remaster)", "artist_name": "nora vale"}
    frame = pd.DataFrame(
        [
            {"track_id": "spotify:track:" + builders.special_id("lantern2"), "track_name": "", "artist_name": ""},
            {"track_id": "unknown", **lantern},
            {"track_id": "", "track_name": "Home", "artist_name": "Dee Fox"},
            {"track_id": "", "track_name": "Home", "artist_name": ""},
            {"track_id": "unknown", "track_name": "No Such Song", "artist_name": "Nora Vale"},
        ]
    ).assign(playlist_id="one", position=range(5))
    (playlist,), matched = evaluate.match(model, frame)
    assert matched == evaluate.Matched(playlists=1, entries=5, by_id=1, by_name=2)
    assert [model.id_of(row) for row in playlist.rows] == [builders.special_id(name) for name in ("lantern2", "home2")]


def test_a_draw_depends_on_the_playlist_and_the_seed_alone(model: Model) -> None:
    few, many = playlists(model, 5), playlists(model, 0, 5, 12)
    one, other = evaluate.draw(few[0], 3, 1), evaluate.draw(many[1], 3, 1)
    assert one is not None
    assert other is not None
    assert one.seeds.tolist() == other.seeds.tolist()
    assert one.truth == other.truth
    assert not one.truth & set(model.song[one.seeds].tolist())
    assert len(one.truth) == builders.GROUP_SIZE - 3
    more, elsewhere = evaluate.draw(few[0], 4, 1), evaluate.draw(few[0], 3, 2)
    assert more is not None
    assert elsewhere is not None
    assert more.seeds[:3].tolist() == one.seeds.tolist() != elsewhere.seeds.tolist()


def test_short_playlists_are_left_out_and_counted(model: Model) -> None:
    lists = playlists(model, *GROUPS)
    short = evaluate.Playlist("short", lists[0].rows[:9], lists[0].songs[:9])
    (outcome,) = evaluate.evaluate(model, [*lists, short], [5], 10, {"popular": SYSTEMS["popular"]}, 1)
    assert (outcome.playlists, outcome.left_out) == (4, 1)
    with pytest.raises(DatasetError, match="no playlist has 10 songs"):
        evaluate.evaluate(model, [short], [5], 10, {}, 1)


def test_two_runs_give_the_same_figures(model: Model) -> None:
    asked = {name: SYSTEMS[name] for name in ("random", "genre-random", "cluster-random")}
    first, second = (evaluate.evaluate(model, playlists(model, *GROUPS), [1, 3], 20, asked, 3) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz"])
def test_each_layout_reads_the_same(tmp_path: Path, suffix: str) -> None:
    frame = entries(3).sample(frac=1, random_state=1).assign(mood="any", track_name=None)
    path = tmp_path / f"lists.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    found = evaluate.read(path)
    assert list(found.columns) == list(evaluate.COLUMNS)
    assert found["track_id"].tolist() == entries(3)["track_id"].tolist()
    assert found["track_name"].tolist() == [""] * builders.GROUP_SIZE


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda frame: frame.drop(columns="track_id"), "column missing: track_id; the file has: playlist_id"),
        (lambda frame: frame.assign(position=["0", "1", "x", *"3456789"]), "column position, row 3: 'x' is no number"),
        (lambda frame: frame.assign(playlist_id=["a", " ", *"cdefghij"]), "column playlist_id, row 2"),
        (lambda frame: frame[:0], "has columns but no rows"),
    ],
)
@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_a_wrong_file_is_an_error_that_says_where(tmp_path: Path, change: Any, says: str, suffix: str) -> None:
    path, frame = tmp_path / f"wrong.{suffix}", change(entries(0))
    if suffix == "parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False)
    with pytest.raises(DatasetError) as error:
        evaluate.read(path)
    assert str(error.value).startswith(str(path))
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("name", "body"), [("a.csv", b""), ("a.parquet", b"no"), ("a.csv.gz", b"no"), ("b.csv", b"\xff")]
)
def test_a_damaged_file_is_an_error(tmp_path: Path, name: str, body: bytes) -> None:
    (tmp_path / name).write_bytes(body)
    with pytest.raises(DatasetError, match=name):
        evaluate.read(tmp_path / name)


def test_a_column_of_lists_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lists.parquet"
    entries(0).assign(artist_name=pd.Series([["a"]] * builders.GROUP_SIZE)).to_parquet(path, index=False)
    with pytest.raises(DatasetError, match="column artist_name holds list"):
        evaluate.read(path)


def test_the_command_shows_a_table_and_writes_json(
    published: tuple[Path, str], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    asked = ["--k", "5", "--limit", "20", "--system", "default", "judge", "random", "--json", str(out)]
    assert main(["evaluate", "--playlists", str(file), "--artifacts", str(published[0]), *asked]) == 0
    said = capsys.readouterr()
    assert "k = 5: 4 playlists" in said.out
    assert "default and judge: the same list for 100.0%" in said.out
    assert "1.0000 [1.0000–1.0000]" in said.out
    assert "k = 5, judge …" in said.err
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["model"], found["limit"], found["by_id"], found["entries"]) == (published[1], 20, 40, 40)
    assert found["outcomes"][0]["systems"]["default"]["accuracy"]["hit"] == {"mean": 1.0, "low": 1.0, "high": 1.0}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--playlists", "none.parquet"], "none.parquet: no such file"),
        (["--url", "http://127.0.0.1:9"], "http://127.0.0.1:9/v1/model: "),
        (["--url", "ftp://127.0.0.1"], "ftp://127.0.0.1: no http"),
        (["--artifacts", "nowhere"], "nowhere: no model there"),
    ],
)
def test_the_command_says_what_is_wrong(
    published: tuple[Path, str], file: Path, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--playlists", str(file), "--artifacts", str(published[0]), *options]) == 1
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said
