"""The one transform: each formula by hand, both spaces, and that serving computes what training stored."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts import features
from artifacts.features import CLUSTER, RAW, SCORE, ClusterScaling, Scaling
from artifacts.model import Model, project
from tests import builders
from training import catalogue
from training.build import Built
from training.cleaning import clean

PLAIN = {
    **{"danceability": 0.3, "energy": 0.7, "loudness": -8.0, "speechiness": 0.04, "acousticness": 0.19},
    **{"instrumentalness": 0.0, "liveness": 0.09, "valence": 0.2, "tempo": 128.0, "duration_ms": 180_000.0},
    **{"key": 3.0, "mode": 1.0, "year": 2000.0, "popularity": 70.0},
}
UNSCALED = Scaling(np.zeros(len(SCORE) + 1), np.ones(len(SCORE) + 1))
CLUSTER_UNSCALED = ClusterScaling(np.zeros(11), np.ones(11))

Columns = dict[str, npt.NDArray[np.float64]]


def columns(*rows: dict[str, float]) -> Columns:
    """Return rows, each PLAIN but for what it says, as the columns of RAW."""
    return {name: np.array([(PLAIN | row)[name] for row in rows]) for name in RAW}


def score_of(**row: float) -> dict[str, float]:
    """Return a row's score columns and its popularity before they are scaled."""
    x, popularity = features.score_columns(columns(row), UNSCALED)
    return dict(zip(SCORE, x[:, 0].tolist(), strict=True)) | {"popularity": float(popularity[0])}


def cluster_of(**row: float) -> dict[str, float]:
    """Return a row's cluster columns, the continuous ones before they are scaled."""
    return dict(zip(CLUSTER, features.cluster_columns(columns(row), CLUSTER_UNSCALED)[0].tolist(), strict=True))


def random_columns(n: int, seed: int = 0) -> Columns:
    """Return rows whose values are spread as in real files, with gaps."""
    rng = np.random.default_rng(seed)
    made = {name: rng.beta(2, 3, n) for name in RAW}
    made |= {
        "loudness": -rng.gamma(3, 3, n),
        "tempo": rng.normal(120, 30, n).clip(30, 250),
        "duration_ms": rng.lognormal(12.2, 0.4, n),
        "instrumentalness": np.where(rng.random(n) < 0.3, 0, rng.beta(0.5, 2, n)),
        "key": rng.integers(0, 12, n).astype(float),
        "mode": rng.integers(0, 2, n).astype(float),
        "year": rng.integers(1950, 2024, n).astype(float),
        "popularity": rng.integers(0, 101, n).astype(float),
    }
    for values in made.values():
        values[rng.random(n) < 0.05] = np.nan
    return made


def test_the_score_columns_by_hand() -> None:
    assert score_of() == pytest.approx(
        {
            **{"danceability": 0.3, "energy": 0.7, "loudness": -8, "valence": 0.2, "popularity": 70},
            **{"speechiness": math.log(0.05), "acousticness": math.log(0.2), "instrumentalness": math.log(0.01)},
            **{"liveness": math.log(0.1), "tempo": 7, "duration": math.log(180), "year": -math.log(30)},
        },
        rel=1e-6,
    )


@pytest.mark.parametrize(
    ("column", "value", "limit"),
    [
        *(("loudness", -55.0, -40.0), ("loudness", 4.0, 0.0), ("tempo", 12.0, 40.0), ("tempo", 260.0, 240.0)),
        *(("duration_ms", 3_000.0, 30_000.0), ("duration_ms", 4_000_000.0, 1_200_000.0)),
        *(("year", 1923.0, 1950.0), ("year", 2027.0, 2026.0)),
    ],
)
def test_values_beyond_the_scale_count_as_its_ends(column: str, value: float, limit: float) -> None:
    assert score_of(**{column: value}) == score_of(**{column: limit})
    assert score_of(**{column: limit}) != score_of()


def test_ten_years_count_for_more_near_the_present() -> None:
    year = [score_of(year=y)["year"] for y in (1955, 1965, 2005, 2015, 2025)]
    assert year[1] - year[0] < year[3] - year[2] < year[4] - year[3]


@pytest.mark.parametrize("column", [*SCORE[:9], "duration_ms", "year"])
def test_an_unknown_value_is_nan_in_its_column_only(column: str) -> None:
    unknown = {name for name, value in score_of(**{column: math.nan}).items() if math.isnan(value)}
    assert unknown == {column.removesuffix("_ms")}


def test_unknown_popularity_is_the_mean() -> None:
    rows = columns({"popularity": 20}, {"popularity": math.nan}, {"popularity": 40})
    _, popularity = features.score_columns(rows, Scaling.learn(rows))
    assert popularity.tolist() == [-1, 0, 1]


def test_scaling_is_learnt_from_what_is_known() -> None:
    rows = columns({"energy": 0.1, "tempo": 64}, {"energy": math.nan, "tempo": 128}, {"energy": 0.5, "tempo": 256})
    scaling = Scaling.learn(rows)
    energy, tempo, valence = SCORE.index("energy"), SCORE.index("tempo"), SCORE.index("valence")
    assert scaling.mean[energy] == pytest.approx(0.3)
    assert scaling.std[energy] == pytest.approx(0.2)
    assert scaling.mean[tempo] == pytest.approx((6 + 7 + math.log2(240)) / 3)
    assert scaling.mean[valence] == pytest.approx(0.2)
    assert scaling.std[valence] == 1, "a column of one value"
    assert scaling.mean.shape == scaling.std.shape == (len(SCORE) + 1,)
    x, _ = features.score_columns(rows, scaling)
    assert x[energy].tolist() == pytest.approx([-1, math.nan, 1], nan_ok=True)
    assert x.dtype == np.float32


def test_a_column_that_nobody_knows_scales_to_nothing() -> None:
    rows = columns({"year": math.nan, "key": math.nan}, {"year": math.nan, "key": math.nan})
    scaling = Scaling.learn(rows)
    assert (scaling.mean[SCORE.index("year")], scaling.std[SCORE.index("year")]) == (0, 1)
    assert np.isfinite(features.cluster_columns(rows, ClusterScaling.learn(rows))).all()


def test_smoothing_by_hand() -> None:
    # Artist 0 has three tracks, one of unknown value; artist 1 has one; then nobody; artist 2 is wholly unknown.
    x = np.array([[1, 3, np.nan, 8, 5, np.nan, np.nan]], np.float32)
    features.smooth_by_artist(x, np.array([0, 0, 0, 1, -1, -1, 2]))
    a = 0.5 * 3 / (3 + 3)
    assert x[0].tolist() == pytest.approx([(1 - a) + a * 2, (1 - a) * 3 + a * 2, a * 2, 8, 5, 0, 0])


def test_smoothing_keeps_an_artists_mean() -> None:
    rng = np.random.default_rng(3)
    x, artist = rng.normal(size=(10, 500)).astype(np.float32), rng.integers(0, 60, 500)
    before = np.array([[x[:, artist == a].mean(axis=1)] for a in range(60)])
    features.smooth_by_artist(x, artist)
    after = np.array([[x[:, artist == a].mean(axis=1)] for a in range(60)])
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_unknown_years_by_hand() -> None:
    nan = np.nan
    year = np.array([1, 3, nan, 5, 7, nan, nan, 2], np.float32)
    artist = np.array([0, 0, 0, 1, 1, 2, -1, -1])
    guess, doubt = features.fill_years(year, artist)
    # Leaving one out, each of the four is 2 from its artist's other; the variance of 1, 3, 5, 7 is 5.
    assert guess.tolist() == [1, 3, 2, 5, 7, 0, 0, 2]
    assert doubt.tolist() == pytest.approx([0, 0, 4 / 5, 0, 0, 1, 1, 0])
    assert guess.dtype == doubt.dtype == np.float32


@pytest.mark.parametrize(
    ("year", "artist", "expected_guess", "expected_doubt"),
    [
        ([np.nan, np.nan], [0, -1], 0, 1),
        ([np.nan, 1], [0, 0], 1, 1),  # no artist has two: no saying how good an artist's mean is
        ([np.nan, 1, 1, 2, 2], [0, 0, 0, 1, 1], 1, 0),  # artists never change
        ([np.nan, 1, 9, 9, 1], [0, 0, 0, 1, 1], 5, 1),  # artists tell nothing: never more than no guess
        ([np.nan, 1, 2], [-1, -1, -1], 0, 1),
    ],
)
def test_the_doubt_of_a_guessed_year(
    year: list[float], artist: list[int], expected_guess: float, expected_doubt: float
) -> None:
    guess, doubt = features.fill_years(np.array(year, np.float32), np.array(artist))
    assert (guess[0], doubt[0]) == (expected_guess, expected_doubt)
    assert not np.isnan(guess).any()
    assert not doubt[~np.isnan(year)].any()


def test_the_cluster_columns_by_hand() -> None:
    found = cluster_of()
    third, one_of_two = 1 / math.sqrt(12), 1 / math.sqrt(2)
    expected = {
        **{name: PLAIN[name] for name in CLUSTER[:7]},
        **{"tempo": 128 / 250, "loudness": -8, "energy_to_acousticness": math.log(0.71 / 0.2)},
        **{"vocal_character": 0.04 * (1 - 0)},
        **{f"key_{k}": third if k == 3 else 0 for k in range(12)},
        **{"mode_0": 0, "mode_1": one_of_two},
    }
    assert list(expected) == list(CLUSTER)
    assert found == pytest.approx(expected, rel=1e-6)


def test_an_unknown_key_or_mode_is_every_one_in_equal_parts() -> None:
    found = cluster_of(key=math.nan, mode=math.nan)
    assert [found[f"key_{k}"] for k in range(12)] == pytest.approx([1 / math.sqrt(12) / 12] * 12)
    assert [found["mode_0"], found["mode_1"]] == pytest.approx([1 / math.sqrt(2) / 2] * 2)
    known = cluster_of()
    assert sum(found[f"key_{k}"] for k in range(12)) == pytest.approx(sum(known[f"key_{k}"] for k in range(12)))


@pytest.mark.parametrize("column", [*CLUSTER[:7], "tempo", "loudness"])
def test_an_unknown_value_is_the_mean_of_its_cluster_columns(column: str) -> None:
    rows = random_columns(50)
    scaling = ClusterScaling.learn(rows)
    x = features.cluster_columns({**rows, column: np.full(50, np.nan)}, scaling)
    assert (x[:, CLUSTER.index(column)] == 0).all()
    assert np.isfinite(x).all()


def test_the_cluster_matrix_has_no_column_twice_and_full_rank() -> None:
    rows = random_columns(3000)
    x = features.cluster_columns(rows, ClusterScaling.learn(rows)).astype(np.float64)
    centred = x - x.mean(axis=0)
    assert np.linalg.matrix_rank(centred, tol=1e-3) == len(CLUSTER) - 2
    likeness = np.corrcoef(centred.T) - np.eye(len(CLUSTER))
    assert np.abs(np.where(np.arange(25)[:, None] < 23, likeness, 0)[:, :23]).max() < 0.999
    assert len(set(CLUSTER)) == len(CLUSTER) == 25


def test_every_continuous_cluster_column_has_unit_variance_and_each_one_hot_group_less() -> None:
    rows = {name: values[~np.isnan(values)][:2000] for name, values in random_columns(3000).items()}
    x = features.cluster_columns(rows, ClusterScaling.learn(rows)).astype(np.float64)
    assert x[:, :11].mean(axis=0).tolist() == pytest.approx([0] * 11, abs=1e-5)
    assert x[:, :11].var(axis=0).tolist() == pytest.approx([1] * 11, rel=1e-4)
    assert x[:, 11:23].var(axis=0).sum() == pytest.approx((1 - 1 / 12) / 12, rel=0.01), "twelve keys: no key groups"
    assert x[:, 23:].var(axis=0).sum() == pytest.approx((1 - 1 / 2) / 2, rel=0.01)


values = {
    **{name: st.floats(0, 1) for name in RAW[:8]},
    **{"loudness": st.floats(-60, 0), "tempo": st.floats(1, 300), "duration_ms": st.floats(1, 1e7)},
    **{"key": st.integers(0, 11).map(float), "mode": st.integers(0, 1).map(float)},
    **{"year": st.integers(1901, 2027).map(float), "popularity": st.integers(0, 100).map(float)},
}
any_row = st.fixed_dictionaries({name: value | st.just(math.nan) for name, value in values.items()})


@settings(max_examples=50, deadline=None)
@given(st.lists(any_row, min_size=1, max_size=40))
def test_a_row_alone_is_transformed_as_in_a_batch(rows: list[dict[str, float]]) -> None:
    learnt = random_columns(100)
    scaling, cluster_scaling = Scaling.learn(learnt), ClusterScaling.learn(learnt)
    batch, batch_popularity = features.score_columns(columns(*rows), scaling)
    batch_cluster = features.cluster_columns(columns(*rows), cluster_scaling)
    for i, row in enumerate(rows):
        x, popularity = features.score_columns(columns(row), scaling)
        np.testing.assert_array_equal(x[:, 0], batch[:, i])
        assert popularity[0] == batch_popularity[i]
        np.testing.assert_array_equal(features.cluster_columns(columns(row), cluster_scaling)[0], batch_cluster[i])


def test_serving_computes_the_vectors_that_training_stored(built: Built, model: Model) -> None:
    frame, _, _ = clean(builders.atlas(), builders.NEWEST_YEAR)
    arrays = built.arrays
    raw = {name: frame[name].to_numpy()[arrays["id_rank"]] for name in RAW}  # in the order of rows, not of ids
    shared = dict(raw)  # a song is as old as its first version, as popular as its best known
    for name, of in (("year", np.fmin), ("popularity", np.fmax)):
        best = np.full(arrays["song"].max() + 1, np.nan)
        of.at(best, arrays["song"], raw[name])
        shared[name] = best[arrays["song"]]
    x, popularity = features.score_columns(shared, Scaling(arrays["score_mean"], arrays["score_std"]))
    artist = catalogue.first_artist(arrays)
    features.smooth_by_artist(x[:10], artist)
    x[10], doubt = features.fill_years(x[10], artist)
    np.testing.assert_array_equal(arrays["score"], np.vstack([x, x**2, doubt, popularity]))
    points = project(arrays, features.cluster_columns(raw, model.cluster_scaling))
    np.testing.assert_allclose(points, arrays["cluster_point"], atol=1e-5)
    nearest = ((points[:, None].astype(float) - arrays["centroid"]) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, arrays["cluster"])


def test_every_part_of_the_score_has_a_default_weight() -> None:
    assert list(features.DEFAULT_WEIGHTS) == [*SCORE, "genre", "popularity"]
    assert features.DEFAULT_WEIGHTS == {
        **{"danceability": 1, "energy": 1, "loudness": 1, "valence": 1, "acousticness": 1.5, "instrumentalness": 0.75},
        **{
            "duration": 0.75,
            "speechiness": 0.5,
            "liveness": 0.2,
            "tempo": 0.15,
            "year": 6,
            "genre": 10,
            "popularity": 0.5,
        },
    }
