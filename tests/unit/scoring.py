"""Scoring every track, in float64 and one term after the other: what the search has to agree with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts.cells import cell_arrays, order_rows
from artifacts.features import DEFAULT_WEIGHTS, SCORE
from artifacts.filters import Mask
from artifacts.map import map_arrays
from artifacts.model import Found, Model
from artifacts.nametables import build as build_names
from artifacts.score import AVOID, ScoreQuery, query
from tests import builders
from training.build import Built

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Request:
    """What a search is asked. seeds, unwanted: rows; against: what the unwanted weigh; passing: who may be found."""

    seeds: list[int]
    weights: dict[str, float] = field(default_factory=dict)
    k: int = 10
    unwanted: list[int] = field(default_factory=list)
    against: float = 1.0
    passing: Mask | None = None

    def query(self, model: Model) -> ScoreQuery:
        unwanted = model.target(self.unwanted) if self.unwanted else None
        return query(model.target(self.seeds), self.weights, unwanted, self.against)


class BruteForce:
    """The score of docs/reference/features.md for every track, in float64, one term after the other.

    score(c) = −½ Σ wᵢ (x̃ᵢ(c) − x̄ᵢ)² −½ w_year [(ŷ(c) − ȳ)² + v(c)] + γ g(c)·ḡ + β pop(c); with seeds to avoid
    score(mean of the wanted) − λ·score(mean of the unwanted).
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]], labels: int) -> None:
        d = len(SCORE)
        self.x = arrays["score"][:d].astype(np.float64)
        self.doubt = arrays["score"][2 * d].astype(np.float64)
        self.popularity = arrays["score"][2 * d + 1].astype(np.float64)
        self.rank = np.asarray(arrays["id_rank"])
        self.genre = np.zeros((self.x.shape[1], labels))
        starts = arrays["set_offsets"]
        for row, code in enumerate(arrays["score_genre_set"]):
            members = arrays["set_genre"][starts[code] : starts[code + 1]]
            for label in members:
                self.genre[row, label] = 1 / np.sqrt(len(members))

    def parts(self, seeds: Sequence[int], weights: Mapping[str, float]) -> dict[str, Array]:
        """Return each part of every track's score by the mean of some rows."""
        w = {**DEFAULT_WEIGHTS, **weights}
        parts = {}
        for i, name in enumerate(SCORE):
            mean = sum(self.x[i, s] for s in seeds) / len(seeds)
            parts[name] = -0.5 * w[name] * (self.x[i] - mean) ** 2
        parts["year"] = parts["year"] - 0.5 * w["year"] * self.doubt
        genre = np.mean([self.genre[s] for s in seeds], axis=0)
        parts["genre"] = np.zeros(self.x.shape[1])
        for label in np.flatnonzero(genre):
            parts["genre"] += w["genre"] * self.genre[:, label] * genre[label]
        parts["popularity"] = w["popularity"] * self.popularity
        return parts

    def parts_of(self, request: Request) -> dict[str, Array]:
        parts = self.parts(request.seeds, request.weights)
        if request.unwanted:
            share = AVOID * min(request.against, 1.0)
            away = self.parts(request.unwanted, request.weights)
            parts = {name: value - share * away[name] for name, value in parts.items()}
        return parts

    def scores(self, request: Request) -> Array:
        total: Array = np.sum(list(self.parts_of(request).values()), axis=0)
        return total

    def best(self, scores: Array, request: Request) -> list[int]:
        """Return the rows of the answer, best first, ties in the order of ids."""
        rows = np.arange(len(scores)) if request.passing is None else np.flatnonzero(request.passing)
        best: list[int] = rows[np.lexsort((self.rank[rows], -scores[rows]))][: request.k].tolist()
        return best


def check(model: Model, brute: BruteForce, request: Request) -> Found:
    """Search, and compare with scoring every track: the same rows in the same order, the same scores."""
    found = model.nearest(request.query(model), request.k, request.passing)
    scores = brute.scores(request)
    expected = brute.best(scores, request)
    told = (request.seeds, request.unwanted, request.against, request.weights, request.k)
    assert found.score.dtype == np.float64
    assert np.isfinite(found.score).all(), told
    assert len(found.rows) == len(expected), told
    np.testing.assert_allclose(found.score, scores[expected], rtol=0, atol=1e-9, err_msg=str(told))
    # What sums in another order may part by a rounding, and only where it does may the order differ.
    apart = [(a, b) for a, b in zip(found.rows.tolist(), expected, strict=True) if a != b]
    assert all(abs(scores[a] - scores[b]) < 1e-11 for a, b in apart), (apart, told)
    order = list(zip((-found.score).tolist(), brute.rank[found.rows].tolist(), strict=True))
    assert order == sorted(order), "best first, ties in the order of ids"
    assert 0 <= found.scanned <= 1
    assert found.passing == (len(model) if request.passing is None else int(request.passing.sum()))
    return found


def random_weights(rng: np.random.Generator) -> dict[str, float]:
    """Return weights such as anybody may ask for, and some that nobody would."""
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
    if rng.random() < 0.7 or weights.get("popularity", 0) > 2:
        weights["popularity"] = float(rng.choice([-0.5, 0, 2, rng.uniform(-0.5, 2)]))
    return weights


def random_mask(rng: np.random.Generator, n: int) -> Mask:
    """Return who may pass: nobody, one, few, half, most, or a run of neighbouring rows."""
    share = rng.choice(np.array([0, -1, 0.003, 0.05, 0.5, 0.95, 1.0, 2]))
    if share == 2:
        start = int(rng.integers(n))
        return np.asarray((np.arange(n) >= start) & (np.arange(n) < start + rng.integers(1, n)))
    if share < 0:
        return np.asarray(np.arange(n) == rng.integers(n))
    return np.asarray(rng.random(n) < share)


def random_request(rng: np.random.Generator, n: int, masks: bool = True) -> Request:
    """Return a request of any kind. masks: whether it may say who passes."""
    seeds = rng.choice(n, rng.choice([1, 1, 2, 3, 10]), replace=False).tolist()
    avoided = rng.choice(n, rng.choice([1, 1, 3]), replace=False).tolist() if rng.random() < 0.3 else []
    return Request(
        seeds,
        random_weights(rng),
        int(rng.choice(np.array([1, 2, 10, 100, n - 1, n, n + 1, 3 * n, rng.integers(1, n)]))),
        avoided,
        float(rng.choice([0.01, 0.5, 1, 7])),
        random_mask(rng, n) if masks and rng.random() < 0.5 else None,
    )


def crowd(n: int, spread: float, outliers: float, twins: int, labels: int = 6) -> tuple[Model, BruteForce]:
    """Return a model of `n` random points, `spread` wide around places far from zero, some of them `outliers` out.

    Each point stands there `twins` times under ids far apart: nothing but those parts them.
    """
    rng = np.random.default_rng(n)
    d, distinct = len(SCORE), n // twins
    x = rng.normal(0, spread, (d, distinct)) + rng.choice([-3, 3], (d, 1))
    x[:, :3] *= outliers
    x = np.tile(x, twins)[:, rng.permutation(distinct * twins)] if twins > 1 else x
    n = x.shape[1]
    x = x.astype(np.float32)
    alone = twins == 1
    doubt = (rng.choice([0, 0, 0.4, 1], n) * alone).astype(np.float32)
    popularity = (rng.normal(size=n) * alone).astype(np.float32)
    sets = [(), (0,), (1,), (2, 3), (1, 2, 4), (5,)]
    group = (rng.integers(0, len(sets), n) * alone).astype(np.int32)
    return points_model(np.vstack([x, x**2, doubt, popularity]), group, sets, labels)


def points_model(
    score: npt.NDArray[np.float32], group: npt.NDArray[np.int32], sets: Sequence[Sequence[int]], labels: int
) -> tuple[Model, BruteForce]:
    """Return a model of points that no songs stand behind. score: as the array of this name, in the order of ids."""
    d, n = len(SCORE), len(group)
    boxed = np.vstack([score[:d], score[-1]])
    spread = np.sqrt([*(DEFAULT_WEIGHTS[name] for name in SCORE), 1.0])
    order, starts = order_rows(boxed, score[2 * d], group, spread)
    score, boxed, group = score[:, order], boxed[:, order], group[order]
    id_row = np.empty(n, np.int32)
    id_row[order] = np.arange(n)
    offsets = np.cumsum([0, *map(len, sets)])
    vectors = np.zeros((len(sets), labels))
    for code, members in enumerate(sets):
        vectors[code, list(members)] = 1 / np.sqrt(max(len(members), 1))
    nameless = np.zeros(n + 1, np.int64), np.zeros(0, np.uint8)
    arrays: dict[str, npt.NDArray[Any]] = {
        **{"score": score, "score_genre_set": group, "genre_set": group, "set_offsets": offsets},
        **{"set_genre": np.array([g for s in sets for g in s], np.int16), "id_rank": order, "id_row": id_row},
        **{"track_id": np.array([f"{i:07}".encode() for i in range(n)])},
        **{"name_offsets": nameless[0], "name_utf8": nameless[1], "artist_offsets": nameless[0][:1]},
        **{"artist_utf8": nameless[1], "song": np.arange(n), "cluster": np.zeros(n, np.int16)},
        **{"cluster_point": np.ascontiguousarray(score[:7].T), "centroid": np.zeros((1, 7), np.float32)},
        **{"cluster_row": np.arange(n), "cluster_offsets": np.array([0, n])},
        **cell_arrays(boxed, score[2 * d], group, starts),
        **{"stat_mean": boxed.mean(axis=1, dtype=np.float64), "stat_doubt": score[2 * d : 2 * d + 1].mean(axis=1)},
        **{"stat_square": (boxed.astype(np.float64) ** 2).mean(axis=1), "stat_genre": vectors[group].mean(axis=0)},
        **{"stat_covariance": np.cov(boxed[:d].astype(np.float64), bias=True)},
        **build_names([("", [])] * n, np.zeros(n, np.int16)),
        **{"popular_row": id_row, **map_arrays(np.full((2, n), np.nan), id_row)},
    }
    about: dict[str, Any] = {"source": {}, "coverage": {}, "quantiles": {}, "metrics": {}, "notice": None}
    about |= {"songs": n, "artists": 0, "clusters": 1, "tracks": n}
    built = Built(arrays, {}, {"genres": tuple(f"genre {i}" for i in range(labels)), **about})
    return builders.model_of(built), BruteForce(arrays, labels)
