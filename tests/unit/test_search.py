"""The search over cells: what it finds is what scoring every track would give, whatever is asked."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts import cells
from artifacts import model as models
from artifacts.cells import CELL
from artifacts.features import DEFAULT_WEIGHTS, SCORE
from artifacts.model import Model
from tests import builders
from tests.unit.scoring import BruteForce, Request, check, crowd, points_model, random_mask, random_request
from training import dataset, demo
from training.build import Built

D = len(SCORE)


@pytest.fixture(scope="module")
def demo_built() -> Built:
    return builders.train(dataset.complete(demo.generate(6000, 3)), clusters=20)


@pytest.fixture(scope="module")
def wide(demo_built: Built) -> Model:
    return builders.model_of(demo_built)


@pytest.fixture(scope="module")
def brute(demo_built: Built) -> BruteForce:
    return BruteForce(demo_built.arrays, len(demo_built.about["genres"]))


@pytest.fixture(scope="module")
def flock() -> tuple[Model, BruteForce]:
    """40,000 points in many tight groups: some 350 cells, of which a search needs few."""
    rng = np.random.default_rng(5)
    n, groups = 40_000, 200
    of = rng.integers(0, groups, n)
    x = (rng.normal(0, 1.2, (D, groups))[:, of] + rng.normal(0, 0.15, (D, n))).astype(np.float32)
    sets = [(), *((i,) for i in range(8)), (0, 1), (2, 5, 7)]
    doubt = rng.choice([0, 0, 0, 0.4, 1], n).astype(np.float32)
    popularity = rng.normal(size=n).astype(np.float32)
    group = (of % len(sets)).astype(np.int32)
    return points_model(np.vstack([x, x**2, doubt, popularity]), group, sets, 8)


PATHS = ("cells", "product", "few")


@pytest.fixture
def reached(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each way to the answer was taken."""
    count = dict.fromkeys(PATHS, 0)
    search, product, exact = cells.Cells.search, Model.product, Model._exact
    in_search = False

    def counted_search(self, *arguments):  # type: ignore[no-untyped-def]
        nonlocal in_search
        rows, scanned = search(self, *arguments)
        in_search = True
        count["cells"] += rows is not None
        return rows, scanned

    def counted_product(self, *arguments):  # type: ignore[no-untyped-def]
        count["product"] += 1
        return product(self, *arguments)

    def counted_exact(self, *arguments):  # type: ignore[no-untyped-def]
        nonlocal in_search
        count["few"] += not in_search
        in_search = False
        return exact(self, *arguments)

    monkeypatch.setattr(cells.Cells, "search", counted_search)
    monkeypatch.setattr(Model, "product", counted_product)
    monkeypatch.setattr(Model, "_exact", counted_exact)
    return count


def test_every_way_to_the_answer_gives_what_scoring_every_track_does(
    wide: Model, brute: BruteForce, reached: dict[str, int]
) -> None:
    rng = np.random.default_rng(21)
    for _ in range(400):
        check(wide, brute, random_request(rng, len(wide)))
    assert reached["cells"] >= 100 <= reached["few"], reached


def test_a_search_of_many_cells_is_exact_and_reads_few(
    flock: tuple[Model, BruteForce], reached: dict[str, int]
) -> None:
    model, brute = flock
    rng = np.random.default_rng(22)
    scanned = []
    for _ in range(80):
        check(model, brute, random_request(rng, len(model)))
        seed = rng.choice(len(model), 1).tolist()
        scanned.append(check(model, brute, Request(seed, {}, 20)).scanned)
        check(model, brute, Request(seed, dict.fromkeys(DEFAULT_WEIGHTS, 0.0) | {"tempo": 5.0}, 20))
    assert all(reached[path] >= 5 for path in PATHS), reached
    assert len(model.arrays["cell_start"]) > 300
    assert np.median(scanned) < 0.15


@pytest.mark.parametrize(
    ("constants", "path"),
    [
        ({"_TOO_MANY": 2.0}, "cells"),
        ({"_TOO_MANY": 2.0, "_FIRST_CELLS": 1, "_ROUND_CELLS": 1}, "cells"),
        ({"_TOO_MANY": -1.0, "_DECIDE_AFTER": 0}, "product"),
        ({"_FEW": 10**9}, "few"),
        ({"_FEW": -1, "_TOO_MANY": 2.0}, "cells"),
        ({"_FEW": -1, "_TOO_MANY": -1.0, "_DECIDE_AFTER": 0}, "product"),
        ({"_FEW": -1, "_DECIDE_AFTER": 24, "_TOO_MANY": 0.5}, "cells"),
    ],
)
def test_the_way_is_a_matter_of_time_only(
    wide: Model,
    brute: BruteForce,
    reached: dict[str, int],
    monkeypatch: pytest.MonkeyPatch,
    constants: dict[str, float],
    path: str,
) -> None:
    for name, value in constants.items():
        monkeypatch.setattr(models if hasattr(models, name) else cells, name, value)
    rng = np.random.default_rng(23)
    for _ in range(60):
        check(wide, brute, random_request(rng, len(wide)))
    assert reached[path] >= 20, reached


@pytest.mark.parametrize("share", [0.0, 0.0002, 0.01, 0.3, 0.75, 0.99, 1.0])
@pytest.mark.parametrize("few", [4_000, -1])
def test_whoever_may_pass_the_best_of_those_are_found(
    wide: Model, brute: BruteForce, monkeypatch: pytest.MonkeyPatch, share: float, few: int
) -> None:
    monkeypatch.setattr(models, "_FEW", few)
    rng = np.random.default_rng(24)
    for k in (1, 7, 100, len(wide) + 5):
        passing = rng.random(len(wide)) < share
        found = check(wide, brute, Request([int(rng.integers(len(wide)))], {}, k, passing=passing))
        assert passing[found.rows].all()
        assert len(found.rows) == min(k, int(passing.sum()))


def test_where_nobody_passes_nothing_is_scored(wide: Model) -> None:
    found = wide.nearest(wide.query([0], {}), 10, np.zeros(len(wide), bool))
    assert (found.rows.tolist(), found.score.tolist(), found.scanned, found.passing) == ([], [], 0, 0)


weights = st.fixed_dictionaries(
    {name: st.just(0.0) | st.just(20.0) | st.floats(0, 20) for name in DEFAULT_WEIGHTS if name != "popularity"}
    | {"popularity": st.just(0.0) | st.floats(-0.5, 2)}
)
seed_rows = st.lists(st.integers(0, 5900), min_size=1, max_size=5)


@settings(max_examples=150, deadline=None)
@given(
    seeds=seed_rows,
    weights=weights,
    k=st.integers(1, 7000),
    unwanted=st.just([]) | seed_rows,
    against=st.floats(0, 50),
    mask=st.none() | st.integers(0, 2**31),
)
def test_any_request_gets_what_scoring_every_track_gives(
    wide: Model,
    brute: BruteForce,
    seeds: list[int],
    weights: dict[str, float],
    k: int,
    unwanted: list[int],
    against: float,
    mask: int | None,
) -> None:
    passing = None if mask is None else random_mask(np.random.default_rng(mask), len(wide))
    check(wide, brute, Request(seeds, weights, k, unwanted, against, passing))


@settings(max_examples=150, deadline=None)
@given(seeds=seed_rows, weights=weights, unwanted=st.just([]) | seed_rows, against=st.floats(0, 5))
def test_no_row_exceeds_its_cells_bound(
    wide: Model,
    brute: BruteForce,
    seeds: list[int],
    weights: dict[str, float],
    unwanted: list[int],
    against: float,
) -> None:
    request = Request(seeds, weights, 1, unwanted, against)
    query = request.query(wide)
    arrays = wide.arrays
    genre = (wide._genre_vectors @ query.genre).astype(np.float32)
    bound = wide._cells.bounds(query, genre).astype(np.float64)
    start = arrays["cell_start"]
    # The search's scores leave out what is the same for every row of the catalogue.
    w = query.column_weights
    constant = -0.5 * float(w @ query.wanted.mean**2)
    if query.unwanted is not None:
        constant += 0.5 * query.avoid * float(w @ query.unwanted.mean**2)
    constant += 0.5 * query.scale * float(w @ query.center**2)
    best = np.maximum.reduceat(brute.scores(request), start[:-1])
    assert (best <= bound + constant + query.slack(float(np.abs(best).max()))).all()
    assert np.isfinite(bound).all()


def test_a_cell_of_one_row_is_bounded_by_its_score(wide: Model, brute: BruteForce) -> None:
    arrays = wide.arrays
    alone = np.flatnonzero(np.diff(arrays["cell_start"]) == 1)
    assert len(alone)
    query = wide.query([17], {})
    bound = wide._cells.bounds(query, (wide._genre_vectors @ query.genre).astype(np.float32))
    scores = brute.scores(Request([17]))[arrays["cell_start"][alone]]
    np.testing.assert_allclose(bound[alone], scores, atol=query.slack(float(np.abs(scores).max())))


def test_the_cells_part_the_rows_by_what_they_have_in_common(wide: Model) -> None:
    a = wide.arrays
    start = a["cell_start"]
    assert (start[0], start[-1]) == (0, len(wide))
    assert (np.diff(start) > 0).all()
    assert (np.diff(start) <= CELL).all()
    full: dict[tuple[int, float], list[int]] = {}
    for number, (first, stop) in enumerate(pairwise(start.tolist())):
        rows = np.arange(first, stop)
        boxed = np.vstack([a["score"][:D, rows], a["score"][-1:, rows]])
        assert set(a["score_genre_set"][rows].tolist()) == {int(a["cell_group"][number])}
        assert set(a["score"][2 * D, rows].tolist()) == {float(a["cell_doubt"][number])}
        np.testing.assert_array_equal(a["cell_low"][:, number], boxed.min(axis=1))
        np.testing.assert_array_equal(a["cell_high"][:, number], boxed.max(axis=1))
        np.testing.assert_array_equal(a["cell_rows"][number][:, : stop - first], boxed)
        assert (a["cell_rows"][number][:, stop - first :] == boxed[:, -1:]).all()
        key = (int(a["cell_group"][number]), float(a["cell_doubt"][number]))
        full.setdefault(key, []).append(stop - first)
    for sizes in full.values():
        assert sum(size < CELL for size in sizes) <= 1, "every cell but the last of its group is full"
    assert sorted(a["id_rank"].tolist()) == list(range(len(wide)))
    np.testing.assert_array_equal(a["id_row"][a["id_rank"]], np.arange(len(wide)))


def test_the_share_that_was_scored_is_told(wide: Model) -> None:
    everything = wide.nearest(wide.query([3], {}), len(wide))
    assert everything.scanned == 1
    one = np.arange(len(wide)) == 77
    assert wide.nearest(wide.query([3], {}), 5, one).scanned == pytest.approx(1 / len(wide))


def test_a_row_scores_the_same_alone_and_among_others(wide: Model) -> None:
    rng = np.random.default_rng(25)
    for _ in range(20):
        query = random_request(rng, len(wide)).query(wide)
        together = wide.score(query, np.arange(len(wide)))
        for row in rng.choice(len(wide), 25).tolist():
            assert wide.score(query, np.array([row]))[0] == together[row]
        some = rng.choice(len(wide), 300)
        assert wide.score(query, some).tolist() == together[some].tolist()


def test_the_same_rows_build_the_same_cells(demo_built: Built) -> None:
    shuffled = dataset.complete(demo.generate(6000, 3)).sample(frac=1, random_state=4, ignore_index=True)
    again = builders.train(shuffled, clusters=20)
    assert again.arrays.keys() == demo_built.arrays.keys()
    for name, array in demo_built.arrays.items():
        assert again.arrays[name].dtype == array.dtype, name
        assert np.ascontiguousarray(again.arrays[name]).tobytes() == np.ascontiguousarray(array).tobytes(), name


def test_explanations_add_up(wide: Model, brute: BruteForce) -> None:
    rng = np.random.default_rng(26)
    for _ in range(40):
        request = random_request(rng, len(wide))
        query = request.query(wide)
        rows = rng.choice(len(wide), 50)
        parts, means = wide.parts(query, rows), query.mean_parts(wide.statistics)
        expected = brute.parts_of(request)
        assert list(parts) == list(means) == list(DEFAULT_WEIGHTS)
        for name, values in expected.items():
            np.testing.assert_allclose(parts[name], values[rows], rtol=0, atol=1e-9, err_msg=name)
            assert means[name] == pytest.approx(float(values.mean()), abs=1e-9, rel=0), name
        mean_score = float(brute.scores(request).mean())
        assert sum(means.values()) == pytest.approx(mean_score, abs=1e-9, rel=0)
        reasons = np.sum([parts[name] - means[name] for name in parts], axis=0)
        np.testing.assert_allclose(reasons, wide.score(query, rows) - mean_score, rtol=0, atol=1e-9)


def test_nothing_stored_is_nan_however_little_is_known() -> None:
    unknown: list[dict[str, Any]] = [
        {"year": None},
        {"genre": None},
        {"popularity": None},
        {"artist_name": None},
        {"tempo": 0},
    ]
    rows = [unknown[i % 5] | unknown[i % 3] for i in range(60)] + [{"artist_name": f"B{i}"} for i in range(60)]
    built = builders.train(builders.songs(*rows), clusters=3)
    floats = {name: a for name, a in built.arrays.items() if a.dtype.kind == "f"}
    assert {name for name, a in floats.items() if np.isnan(a).any()} <= {"tempo", "sound", "probe_raw", "probe_score"}
    model, brute = builders.model_of(built), BruteForce(built.arrays, len(built.about["genres"]))
    rng = np.random.default_rng(27)
    for _ in range(60):
        check(model, brute, random_request(rng, len(model)))


def test_an_unknown_year_costs_its_expected_distance() -> None:
    """Two tracks, alike but that the year of one is unknown: the more years count, the farther it is."""
    n = 400
    x = np.random.default_rng(28).normal(size=(D, n)).astype(np.float32)
    x[:, 1] = x[:, 0]
    doubt = np.zeros(n, np.float32)
    doubt[1] = 1
    score = np.vstack([x, x**2, doubt, np.zeros(n, np.float32)])
    model, brute = points_model(score, np.zeros(n, np.int32), [()], 1)
    known, unknown = (int(model.arrays["id_row"][i]) for i in (0, 1))
    for weight in (0.0, 1.0, 6.0, 20.0):
        found = check(model, brute, Request([known], {"year": weight}, n))
        by_row = dict(zip(found.rows.tolist(), found.score.tolist(), strict=True))
        assert by_row[known] - by_row[unknown] == pytest.approx(weight / 2)


def test_seeds_to_avoid_move_the_answer_away(wide: Model) -> None:
    for seed, other in ((5, 3000), (999, 42), (77, 5500)):
        plain = Request([seed], k=50)
        away = Request([seed], k=50, unwanted=[other])
        rows = [wide.nearest(request.query(wide), 50).rows for request in (plain, away)]
        to_other = [wide.score(wide.query([other], {"popularity": 0.0}), r).mean() for r in rows]
        assert to_other[1] < to_other[0]
        unheard = wide.nearest(Request([seed], unwanted=[other], against=0.0).query(wide), 50)
        assert unheard.rows.tolist() == rows[0].tolist(), "what weighs nothing changes nothing"


def test_far_out_points_and_heavy_weights_keep_it_exact() -> None:
    model, brute = crowd(6000, 1, 40, twins=1)
    rng = np.random.default_rng(29)
    for _ in range(60):
        check(model, brute, random_request(rng, len(model)))


def test_twins_across_cells_are_in_the_order_of_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "_TOO_MANY", 2.0)
    model, brute = crowd(12_000, 1, 1, twins=400)
    for k in (1, 5, 100, 399, 401, 1000):
        found = check(model, brute, Request([0, 7], {}, k))
        assert found.rows.tolist() == brute.best(brute.scores(Request([0, 7])), Request([0, 7], {}, k))
