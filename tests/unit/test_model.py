"""A model in memory: exact neighbours against a brute force of our own, look-ups, and what answers show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from artifacts.features import DEFAULT_WEIGHTS, SCORE
from artifacts.model import Model
from tests import builders
from tests.builders import GROUP_SIZE, GROUPS, HOMES, LANTERNS, PROLIFIC, group_id, special_id
from training.build import Built, popular_lists

Array = npt.NDArray[np.float64]


class BruteForce:
    """The score of docs/reference/features.md for every track, in float64, one term after the other.

    score(c) = −½ Σ wᵢ (x̃ᵢ(c) − x̄ᵢ)² −½ w_year [(ŷ(c) − ȳ)² + v(c)] + γ g(c)·ḡ + β pop(c)
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], labels: int) -> None:
        d = len(SCORE)
        self.x = arrays["score"][:d].astype(np.float64)
        self.doubt = arrays["score"][2 * d].astype(np.float64)
        self.popularity = arrays["score"][2 * d + 1].astype(np.float64)
        self.genre = np.zeros((self.x.shape[1], labels))
        starts = arrays["set_offsets"]
        for row, code in enumerate(arrays["score_genre_set"]):
            members = arrays["set_genre"][starts[code] : starts[code + 1]]
            for label in members:
                self.genre[row, label] = 1 / np.sqrt(len(members))

    def scores(self, seeds: Sequence[int], weights: Mapping[str, float]) -> Array:
        w = {**DEFAULT_WEIGHTS, **weights}
        score = np.zeros(self.x.shape[1])
        for i, name in enumerate(SCORE):
            mean = sum(self.x[i, s] for s in seeds) / len(seeds)
            score -= 0.5 * w[name] * (self.x[i] - mean) ** 2
        score -= 0.5 * w["year"] * self.doubt
        genre = np.mean([self.genre[s] for s in seeds], axis=0)
        for label in np.flatnonzero(genre):
            score += w["genre"] * self.genre[:, label] * genre[label]
        score += w["popularity"] * self.popularity
        return score

    def nearest(self, seeds: Sequence[int], weights: Mapping[str, float], k: int) -> tuple[list[int], Array]:
        scores = self.scores(seeds, weights)
        rows = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]
        return rows, scores[rows]


def check(model: Model, brute: BruteForce, seeds: list[int], weights: dict[str, float], k: int) -> None:
    rows, scores = model.nearest(model.query(seeds, weights), k)
    expected_rows, expected = brute.nearest(seeds, weights, k)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)
    assert rows.tolist() == expected_rows, (seeds, weights, k)


def crowd(n: int, spread: float, outliers: float, twins: int) -> tuple[Model, BruteForce]:
    """Return a model of `n` random points, `spread` wide around places far from zero, some of them `outliers` out.

    Each point stands there `twins` times under neighbouring rows and far ones: nothing but their ids parts them.
    """
    rng = np.random.default_rng(n)
    d, distinct, labels = len(SCORE), n // twins, 6
    x = rng.normal(0, spread, (d, distinct)) + rng.choice([-3, 3], (d, 1))
    x[:, :3] *= outliers
    x = np.tile(x, twins)[:, rng.permutation(distinct * twins)] if twins > 1 else x
    n = x.shape[1]
    x = x.astype(np.float32)
    score = np.vstack([x, x**2, rng.choice([0, 0, 0.4, 1], n)[None] * (twins == 1), np.zeros((1, n))]).astype(
        np.float32
    )
    if twins == 1:
        score[-1] = rng.normal(size=n)
    sets = [(), (0,), (1,), (2, 3), (1, 2, 4), (5,)]
    no_text = np.zeros(n + 1, np.int64), np.zeros(0, np.uint8)
    arrays: dict[str, npt.NDArray[Any]] = {
        **{"score": score, "score_genre_set": rng.integers(0, len(sets), n) * (twins == 1)},
        **{"set_offsets": np.cumsum([0, *map(len, sets)]), "set_genre": np.array([g for s in sets for g in s])},
        **{
            "name_offsets": no_text[0],
            "name_utf8": no_text[1],
            "artist_offsets": no_text[0][:1],
            "artist_utf8": no_text[1],
        },
        **{"song": np.arange(n), "cluster": np.zeros(n, np.int16), "cluster_point": np.ascontiguousarray(x[:7].T)},
        **{"cluster_row": np.arange(n), "cluster_offsets": np.array([0, n]), "centroid": np.zeros((1, 7), np.float32)},
        **{"name_key": np.zeros(0, np.uint64), "name_row": np.zeros(0, np.int32)},
    }
    about: dict[str, Any] = {"source": {}, "coverage": {}, "metrics": {}, "notice": None}
    about |= {"songs": n, "artists": 0, "clusters": 1}
    genres = tuple(f"genre {i}" for i in range(labels))
    built = Built(arrays, {}, {"tracks": n, "genres": genres, **about})
    return builders.model_of(built), BruteForce(arrays, labels)


def random_request(rng: np.random.Generator, n: int) -> tuple[list[int], dict[str, float], int]:
    """Return seeds, weights and k such as anybody may ask for, and some that nobody would."""
    seeds = rng.choice(n, rng.choice([1, 1, 2, 3, 10]), replace=False).tolist()
    kind = rng.integers(5)
    weights: dict[str, float] = {}
    if kind == 1:
        weights = {name: float(rng.choice(np.array([0, 20, rng.uniform(0, 20)]))) for name in DEFAULT_WEIGHTS}
    elif kind == 2:
        weights = dict.fromkeys(DEFAULT_WEIGHTS, 20.0)
    elif kind == 3:
        weights = {**dict.fromkeys(DEFAULT_WEIGHTS, 0.0), str(rng.choice(list(DEFAULT_WEIGHTS))): 1.0}
    elif kind == 4:
        weights = {name: float(rng.uniform(0, 3)) for name in rng.choice(list(DEFAULT_WEIGHTS), 4)}
    if rng.random() < 0.7:
        weights["popularity"] = float(rng.choice([-0.5, 0, 2, rng.uniform(-0.5, 2)]))
    k = int(rng.choice(np.array([1, 2, 10, 100, n - 1, n, n + 1, 3 * n, rng.integers(1, n)])))
    return seeds, weights, k


@pytest.fixture(scope="module")
def brute(built: Built) -> BruteForce:
    return BruteForce(built.arrays, len(built.about["genres"]))


def test_nearest_is_what_scoring_every_track_gives(model: Model, brute: BruteForce) -> None:
    rng = np.random.default_rng(11)
    for _ in range(600):
        check(model, brute, *random_request(rng, len(model)))


@pytest.mark.parametrize(("n", "spread", "outliers"), [(4000, 1, 1), (4000, 0.01, 1), (4000, 1e-4, 1), (4000, 1, 12)])
def test_nearest_is_exact_in_a_crowd_that_float32_cannot_part(n: int, spread: float, outliers: float) -> None:
    crowded, brute = crowd(n, spread, outliers, twins=1)
    rng = np.random.default_rng(12)
    for _ in range(60):
        check(crowded, brute, *random_request(rng, n))
    for k in (1, 10, 100, n // 2, n - 1):
        check(crowded, brute, [0, 1, 2], dict.fromkeys(DEFAULT_WEIGHTS, 20.0), k)


@pytest.mark.parametrize("twins", [2, 7, 50])
def test_ties_are_broken_by_track_id_whatever_the_limit(twins: int) -> None:
    crowded, brute = crowd(1400, 1, 1, twins)
    rng = np.random.default_rng(13)
    for _ in range(40):
        seeds, weights, k = random_request(rng, len(crowded))
        check(crowded, brute, seeds, weights, k)


@pytest.mark.parametrize("twins", [2, 7, 50])
def test_ties_within_a_cluster_are_broken_by_track_id(twins: int) -> None:
    crowded, brute = crowd(1400, 1, 1, twins)
    for seed in range(20):
        rows, _ = crowded.nearest_in_cluster([seed, seed + 100], 1400)
        points = [tuple(point) for point in brute.x[:7, rows].T.tolist()]
        runs = [(points.index(point), row) for point, row in zip(points, rows.tolist(), strict=True)]
        assert runs == sorted(runs), "equal points stand together, by id"


def test_all_weights_zero_is_the_order_of_ids(model: Model) -> None:
    rows, scores = model.nearest(model.query([5], dict.fromkeys(DEFAULT_WEIGHTS, 0.0)), 20)
    assert rows.tolist() == list(range(20))
    assert scores.tolist() == [0.0] * 20


@pytest.mark.parametrize(
    "weights", [{}, {"genre": 0.0, "popularity": 0.0}, {"genre": 0.0, "popularity": 0.0, "year": 0.0}]
)
def test_the_neighbours_of_a_track_are_its_group(model: Model, weights: dict[str, float]) -> None:
    for group in range(GROUPS):
        members = {model.row_of_id(group_id(group, member)) for member in range(GROUP_SIZE)}
        for seed in members:
            assert seed is not None
            rows, _ = model.nearest(model.query([seed], weights), GROUP_SIZE)
            assert set(rows.tolist()) == members


def test_several_seeds_count_by_their_mean(model: Model, brute: BruteForce) -> None:
    seeds = [row_of(model, group_id(0, 0)), row_of(model, group_id(0, 9)), row_of(model, group_id(1, 4))]
    query = model.query(seeds, {})
    np.testing.assert_allclose(query.mean, brute.x[:, seeds].sum(axis=1) / 3, atol=1e-12)
    np.testing.assert_allclose(query.genre[query.genre > 0], [2 / 3, 1 / 3])
    assert model.nearest(query, 10)[0].tolist() == model.nearest(model.query(seeds[::-1], {}), 10)[0].tolist()


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
        expected = sorted(inside, key=lambda row: (-cosine[row], row))[:k]
        rows, scores = model.nearest_in_cluster(seeds, k)
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
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids) == len(model)
    assert [model.row_of_id(track_id) for track_id in ids] == list(range(len(ids)))


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
    assert [model.track(row)["track_id"] for row in range(6)] == sorted(ids, key=lambda i: i.encode())
    assert all(model.track(row_of(model, i))["track_id"] == i for i in ids)


def named(model: Model, title: str, artist: str | None = None) -> list[str]:
    return [model.track(row)["track_id"] for row in model.rows_of_name(title, artist)]


@pytest.mark.parametrize("title", ["Home", "HOME", " home ", "Hóme", "home!", "Home - Live", "Home (feat. Anybody)"])
def test_songs_of_one_name_come_the_most_popular_first(model: Model, title: str) -> None:
    assert named(model, title) == [special_id(name) for name in ("home2", "home1", "home0", "home3")]


@pytest.mark.parametrize("title", [*LANTERNS.values(), "paper lantern", "Paper-Lantern (Live)"])
def test_every_version_of_a_song_is_found_by_its_core_title(model: Model, title: str) -> None:
    assert named(model, title, "Nora Vale") == [special_id(name) for name in LANTERNS]


@pytest.mark.parametrize(
    ("artist", "name"),
    [("Ann Lee", "home0"), ("Ben Oak", "home1"), ("cy day", "home1"), ("DEE  FOX", "home2"), ("elan ete", "home3")],
)
def test_each_credited_artist_finds_the_song(model: Model, artist: str, name: str) -> None:
    assert HOMES[name]
    assert named(model, "Home", artist) == [special_id(name)]


@pytest.mark.parametrize("artist", ["Nora Vale", "Ann", "Ben Oak;Cy Day", "Nobody", "???", "*", ".*"])
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
    expected = [special_id(name)] if artist != "Soley Orn" else []  # ø is a letter of its own, not an accented o
    assert named(model, title, artist) == expected
    assert named(model, title) == [special_id(name)]


@pytest.mark.parametrize("title", ["", " ", "Hom", "Homes", "%", "か", "夜に", "x" * 10_000])
def test_what_is_no_title_finds_nothing(model: Model, title: str) -> None:
    assert named(model, title) == []


def test_a_track_with_everything_known(model: Model) -> None:
    assert model.track(row_of(model, group_id(3, 1))) == {
        **{"track_id": group_id(3, 1), "name": "Song 1 of Group 3", "artists": ["Band 03-1"], "genres": ["genre-03"]},
        **{"year": 1990, "popularity": 43, "key": 4, "mode": 1, "duration_ms": 150_001, "tempo": 166.2},
        **{"cluster": int(model.cluster[row_of(model, group_id(3, 1))])},
        **{"spotify_url": f"https://open.spotify.com/track/{group_id(3, 1)}"},
    }


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
        assert 0 < len(tracks) <= 50
        assert all(genre in track["genres"] for track in tracks if genre)
        assert len({int(model.song[row]) for row in rows}) == len(rows)
        credits = [artist for track in tracks for artist in track["artists"]]
        assert all(credits.count(artist) <= 2 for artist in credits)
        popularity = [-1 if track["popularity"] is None else track["popularity"] for track in tracks]
        assert [(-p, r) for p, r in zip(popularity, rows, strict=True)] == sorted(
            (-p, r) for p, r in zip(popularity, rows, strict=True)
        )
    assert len(lists[""]) == 50
    assert lists[""][0]["track_id"] == special_id("home2")
    others = [f"other{i:02}" for i in range(10)]
    assert [track["track_id"] for track in lists["many"]] == [special_id(name) for name in (*others, *PROLIFIC[:2])]
