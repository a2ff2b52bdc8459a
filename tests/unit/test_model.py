"""A model in memory: neighbours that are known, look-ups by id and name, and what answers show."""

from __future__ import annotations

import numpy as np
import pytest

from artifacts.features import DEFAULT_WEIGHTS, SOUND
from artifacts.model import Model
from producer.schema import Sound, TrackDetail
from tests import builders
from tests.builders import GROUP_SIZE, GROUPS, HOMES, LANTERNS, PROLIFIC, group_id, group_sound, special_id
from tests.unit.scoring import BruteForce, Request, check, crowd, random_request
from training.build import Built, popular_lists


@pytest.fixture(scope="module")
def brute(built: Built) -> BruteForce:
    return BruteForce(built.arrays, len(built.about["genres"]))


def test_nearest_is_what_scoring_every_track_gives(model: Model, brute: BruteForce) -> None:
    rng = np.random.default_rng(11)
    for _ in range(600):
        check(model, brute, random_request(rng, len(model)))


@pytest.mark.parametrize(("n", "spread", "outliers"), [(4000, 1, 1), (4000, 0.01, 1), (4000, 1e-4, 1), (4000, 1, 12)])
def test_nearest_is_exact_in_a_crowd_that_float32_cannot_part(n: int, spread: float, outliers: float) -> None:
    crowded, brute = crowd(n, spread, outliers, twins=1)
    rng = np.random.default_rng(12)
    for _ in range(60):
        check(crowded, brute, random_request(rng, n))
    for k in (1, 10, 100, n // 2, n - 1):
        check(crowded, brute, Request([0, 1, 2], dict.fromkeys(DEFAULT_WEIGHTS, 20.0), k))


@pytest.mark.parametrize("twins", [2, 7, 50])
def test_ties_are_broken_by_track_id_whatever_the_limit(twins: int) -> None:
    crowded, brute = crowd(1400, 1, 1, twins)
    rng = np.random.default_rng(13)
    for _ in range(40):
        check(crowded, brute, random_request(rng, len(crowded)))


@pytest.mark.parametrize("twins", [2, 7, 50])
def test_ties_within_a_cluster_are_broken_by_track_id(twins: int) -> None:
    crowded, brute = crowd(1400, 1, 1, twins)
    for seed in range(20):
        rows = crowded.nearest_in_cluster([seed, seed + 100], 1400).rows
        points = [tuple(point) for point in brute.x[:7, rows].T.tolist()]
        runs = [(points.index(point), rank) for point, rank in zip(points, crowded.ranks(rows).tolist(), strict=True)]
        assert runs == sorted(runs), "equal points stand together, by id"


def test_all_weights_zero_is_the_order_of_ids(model: Model) -> None:
    found = model.nearest(model.query([5], dict.fromkeys(DEFAULT_WEIGHTS, 0.0)), 20)
    assert model.ranks(found.rows).tolist() == list(range(20))
    assert found.score.tolist() == [0.0] * 20


@pytest.mark.parametrize(
    "weights", [{}, {"genre": 0.0, "popularity": 0.0}, {"genre": 0.0, "popularity": 0.0, "year": 0.0}]
)
def test_the_neighbours_of_a_track_are_its_group(model: Model, weights: dict[str, float]) -> None:
    for group in range(GROUPS):
        members = {model.row_of_id(group_id(group, member)) for member in range(GROUP_SIZE)}
        for seed in members:
            assert seed is not None
            assert set(model.nearest(model.query([seed], weights), GROUP_SIZE).rows.tolist()) == members


def test_several_seeds_count_by_their_mean(model: Model, brute: BruteForce) -> None:
    seeds = [row_of(model, group_id(0, 0)), row_of(model, group_id(0, 9)), row_of(model, group_id(1, 4))]
    query = model.query(seeds, {})
    np.testing.assert_allclose(query.wanted.mean, brute.x[:, seeds].sum(axis=1) / 3, atol=1e-12)
    np.testing.assert_allclose(query.wanted.genre[query.wanted.genre > 0], [2 / 3, 1 / 3])
    turned = model.nearest(model.query(seeds[::-1], {}), 10)
    assert model.nearest(query, 10).rows.tolist() == turned.rows.tolist()


def row_of(model: Model, track_id: str) -> int:
    row = model.row_of_id(track_id)
    assert row is not None
    return row


def test_nearest_in_cluster_is_a_brute_force_of_cosines(model: Model, built: Built) -> None:
    rng = np.random.default_rng(14)
    points, label = built.arrays["cluster_point"].astype(np.float64), built.arrays["cluster"]
    for _ in range(100):
        seeds = rng.choice(len(model), rng.choice([1, 1, 2, 5]), replace=False).tolist()
        k = int(rng.choice([1, 5, 1000]))
        mean = points[seeds].mean(axis=0)
        distance = ((built.arrays["centroid"].astype(np.float64) - mean) ** 2).sum(axis=1)
        own = label[seeds[0]] if len(seeds) == 1 else int(distance.argmin())
        inside = [row for row in range(len(model)) if label[row] == own]
        cosine = {r: float(points[r] @ mean / np.linalg.norm(points[r]) / np.linalg.norm(mean)) for r in inside}
        expected = sorted(inside, key=lambda row: -cosine[row])[:k]
        found = model.nearest_in_cluster(seeds, k)
        rows, scores = found.rows, found.score
        assert found.scanned == len(inside) / len(model)
        np.testing.assert_allclose(scores, [cosine[row] for row in expected], atol=1e-12)
        same = [abs(cosine[a] - cosine[b]) < 1e-12 for a, b in zip(rows.tolist(), expected, strict=True)]
        assert all(same), "where cosines differ, the order is theirs"
        assert len(seeds) > 1 or rows[0] == seeds[0] or scores[0] == pytest.approx(1)


def test_the_label_of_a_track_is_the_cluster_of_its_nearest_centroid(model: Model, built: Built) -> None:
    points, centroids = built.arrays["cluster_point"].astype(float), built.arrays["centroid"].astype(float)
    nearest = ((points[:, None] - centroids[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert model.cluster.tolist() == nearest.tolist()
    assert set(nearest.tolist()) == set(range(builders.CLUSTERS))


def test_every_track_is_found_by_its_id(model: Model) -> None:
    ids = [model.track(row)["track_id"] for row in range(len(model))]
    assert len(set(ids)) == len(ids) == len(model)
    assert [model.row_of_id(track_id) for track_id in ids] == list(range(len(ids)))
    assert ids == [model.id_of(row) for row in range(len(model))]
    by_rank = np.argsort(model.ranks(np.arange(len(model))))
    assert [ids[row] for row in by_rank] == sorted(ids)


@pytest.mark.parametrize(
    "track_id",
    [
        *("", "a", "zzz", "group00member00", group_id(0, 0) + "x", group_id(0, 0) + "\0", group_id(0, 0)[:-1] + "\0"),
        *(group_id(0, 0).upper(), " " + group_id(0, 0), "é" * 11, "夜" * 100, "x" * 10_000, "\0"),
    ],
)
def test_what_is_no_id_finds_nothing(model: Model, track_id: str) -> None:
    assert model.row_of_id(track_id) is None


def test_ids_beyond_ascii_are_found() -> None:
    ids = ["é", "e", "夜", "z", "z0", "𝄞"]
    model = builders.model_of(builders.train(builders.songs(*({"track_id": i} for i in ids)), clusters=2))
    by_rank = np.argsort(model.ranks(np.arange(6)))
    assert [model.track(row)["track_id"] for row in by_rank] == sorted(ids, key=lambda i: i.encode())
    assert all(model.track(row_of(model, i))["track_id"] == i for i in ids)


def named(model: Model, title: str, artist: str | None = None) -> list[str]:
    return [model.track(row)["track_id"] for row in model.rows_of_name(title, artist)]


@pytest.mark.parametrize("title", ["Home", "HOME", " home ", "Hóme", "home!", "Home - Live", "Home (feat. Anybody)"])
def test_songs_of_one_name_come_the_most_popular_first(model: Model, title: str) -> None:
    assert named(model, title) == [special_id(name) for name in ("home2", "home1", "home0", "home3")]


@pytest.mark.parametrize("title", [*LANTERNS.values(), "paper lantern", "Paper-Lantern (Live)"])
def test_every_version_of_a_song_is_found_by_its_core_title_the_asked_one_first(model: Model, title: str) -> None:
    asked_first = sorted(LANTERNS, key=lambda name: (LANTERNS[name] != title, name))
    assert named(model, title, "Nora Vale") == [special_id(name) for name in asked_first]


@pytest.mark.parametrize(
    ("artist", "name"),
    [("Ann Lee", "home0"), ("Ben Oak", "home1"), ("cy day", "home1"), ("DEE  FOX", "home2"), ("elan ete", "home3"),
     ("Ben Oak;Cy Day", "home1"), ("Cy Day & Ben Oak", "home1"), ("Ben Oak feat. Cy Day", "home1")],
)  # fmt: skip
def test_each_credited_artist_finds_the_song(model: Model, artist: str, name: str) -> None:
    assert HOMES[name]
    assert named(model, "Home", artist) == [special_id(name)]


@pytest.mark.parametrize("artist", ["Nora Vale", "Ann", "Ben Oak;Dee Fox", "Nobody", "???", "*", ".*"])
def test_another_artist_finds_nothing(model: Model, artist: str) -> None:
    assert named(model, "Home", artist) == []


@pytest.mark.parametrize(
    ("title", "artist", "name"),
    [
        *(("夜に駆ける", None, "kanji"), ("がまん", "ヨルノコエ", "kana"), ("か\u3099まん", None, "kana")),
        *(("группа ночь", "КИНОЛЕНТА", "cyrillic"), ("deja vu senor", "Soley Orn", "accents"), ("???", None, "marks")),
    ],
)
def test_names_in_other_alphabets(model: Model, title: str, artist: str | None, name: str) -> None:
    assert named(model, title, artist) == [special_id(name)]
    assert named(model, title) == [special_id(name)]


@pytest.mark.parametrize("title", ["", " ", "Hom", "Homes", "%", "か", "夜に", "x" * 10_000])
def test_what_is_no_title_finds_nothing(model: Model, title: str) -> None:
    assert named(model, title) == []


def test_a_track_with_everything_known(model: Model) -> None:
    assert model.track(row_of(model, group_id(3, 1))) == {
        **{"track_id": group_id(3, 1), "name": "Song 1 of Group 3", "artists": ["Band 03-1"], "genres": ["genre-03"]},
        **{"year": 1990, "popularity": 43, "key": 4, "mode": 1, "duration_ms": 150_001, "tempo": 166.2},
        **{"cluster": int(model.cluster[row_of(model, group_id(3, 1))])},
        **{"spotify_url": f"https://open.spotify.com/track/{group_id(3, 1)}", "at": [0.1155, 0.9259]},
    }


def test_tracks_are_shown_together_as_alone(model: Model) -> None:
    rows = [row_of(model, special_id(name)) for name in ("nothing", "genres", "kanji", "noartist", "home1", "nosound")]
    assert model.tracks(rows) == [model.track(row) for row in rows]
    assert model.tracks([]) == []


def test_a_track_in_detail(model: Model) -> None:
    row = row_of(model, group_id(3, 1))
    detail = TrackDetail.model_validate(model.track_detail(row))
    assert detail.model_dump(exclude={"features", "percentiles"}) == model.track(row)
    sound = group_sound(3, 1)
    for name in SOUND:
        assert getattr(detail.features, name) == pytest.approx(sound[name], abs=0.008 if name == "loudness" else 6e-4)
        column = model.arrays["sound"][SOUND.index(name)].astype(float)
        known, value = column[~np.isnan(column)], column[row]
        share = ((known < value).mean() + (known <= value).mean()) / 2
        assert getattr(detail.percentiles, name) == pytest.approx(share, abs=0.011)
    unknown = TrackDetail.model_validate(model.track_detail(row_of(model, special_id("nosound"))))
    assert unknown.features == unknown.percentiles == Sound()


def test_a_track_with_nothing_known(model: Model) -> None:
    nothing = model.track(row_of(model, special_id("nothing")))
    assert {name: nothing[name] for name in ("genres", "year", "popularity", "duration_ms")} == {
        **{"genres": [], "year": None, "popularity": None, "duration_ms": None}
    }
    no_sound = model.track(row_of(model, special_id("nosound")))
    assert (no_sound["tempo"], no_sound["key"], no_sound["mode"]) == (None, None, None)
    assert model.track(row_of(model, special_id("noartist")))["artists"] == []
    assert model.track(row_of(model, special_id("nogenre")))["genres"] == [], "a guess is not shown"


def test_a_track_of_several_genres(model: Model) -> None:
    track = model.track(row_of(model, special_id("genres")))
    assert (track["genres"], track["popularity"], track["year"]) == (["jazz", "rock"], 15, 1998)


def test_popular_lists(model: Model, built: Built) -> None:
    lists = built.public["popular"]
    assert lists == popular_lists(model, built.arrays)
    assert set(lists) == {"", *model.manifest.genres}
    for genre, tracks in lists.items():
        rows = [row_of(model, track["track_id"]) for track in tracks]
        assert 0 < len(tracks) <= (50 if genre else 200)
        assert all(genre in track["genres"] for track in tracks if genre)
        assert len({int(model.song[row]) for row in rows}) == len(rows)
        credits = [artist for track in tracks for artist in track["artists"]]
        assert all(credits.count(artist) <= 2 for artist in credits)
        popularity = [-1 if track["popularity"] is None else track["popularity"] for track in tracks]
        order = [(-p, track["track_id"]) for p, track in zip(popularity, tracks, strict=True)]
        assert order == sorted(order)
    assert len(lists[""]) > 100, "requests for a hundred tracks are answered from it where no worker is"
    assert lists[""][0]["track_id"] == special_id("home2")
    others = [f"other{i:02}" for i in range(10)]
    assert [track["track_id"] for track in lists["many"]] == [special_id(name) for name in (*others, *PROLIFIC[:2])]


def test_genres_are_counted(model: Model, built: Built) -> None:
    tracks = [model.track(row) for row in range(len(model))]
    assert built.public["genres"] == [
        {"genre": genre, "tracks": sum(genre in track["genres"] for track in tracks)} for genre in model.manifest.genres
    ]
    assert {"genre": "many", "tracks": 30} in built.public["genres"]
