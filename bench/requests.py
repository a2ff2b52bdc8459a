"""Requests of many kinds, to measure the search with: each kind from its own random seed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from artifacts import features
from artifacts.filters import Filter
from artifacts.model import Model
from artifacts.score import ScoreQuery, query

KINDS = {
    "default, 1 seed": "the default weights, one random track",
    "default, 5 seeds of a genre": "the default weights, five random tracks of one label set",
    "random weights": "1–10 random seeds, weights × e^N(0,1), 15 % of them 0, γ 0–12, β −0.5–2",
    "10 scattered seeds": "the default weights, ten random tracks",
    "seeds to avoid": "the default weights, one wanted and one unwanted",
    "γ = 0": "the default weights without genre, one random track",
    "uniform weights": "1–10 random seeds, each column's weight uniform in 0–6",
    "most weights 0": "1–10 random seeds, 70 % of the columns' weights 0",
    "γ = 0, β = 2": "1–10 random seeds",
}

FILTERS = {
    "year 2010–2019": Filter(year=(2010, 2019)),
    "popularity ≥ 50": Filter(popularity=(50, 100)),
    "one genre": Filter(genres=(3,)),
    "five genres": Filter(genres=(1, 2, 3, 4, 5)),
    "one key": Filter(key=(4,)),
    "tempo 119.5–120": Filter(tempo=(119.5, 120)),
    "year 1971": Filter(year=(1971, 1971)),
    "year, popularity and genre": Filter(year=(2010, 2012), popularity=(60, 100), genres=(3,)),
    "without 20 artists": Filter(without_artists=tuple(range(20))),
}


def requests(model: Model, kind: str, count: int) -> list[ScoreQuery]:
    """Return `count` requests of a kind, the same for the same model."""
    rng = np.random.default_rng(list(KINDS).index(kind))
    return [_request(model, kind, rng) for _ in range(count)]


def _request(model: Model, kind: str, rng: np.random.Generator) -> ScoreQuery:
    n = len(model)
    if kind in ("default, 1 seed", "γ = 0", "seeds to avoid"):
        rows = [int(rng.integers(n))]
    elif kind == "default, 5 seeds of a genre":
        sets = model.arrays["score_genre_set"]
        same = np.flatnonzero(sets == sets[rng.integers(n)])
        rows = [int(row) for row in rng.choice(same, min(5, len(same)), replace=False)]
    else:
        count = 10 if kind == "10 scattered seeds" else rng.integers(1, 11)
        rows = [int(row) for row in rng.integers(n, size=count)]
    if kind == "seeds to avoid":
        return query(model.target(rows), {}, model.target([int(rng.integers(n))]), 1.0)
    return query(model.target(rows), _weights(kind, rng))


def _weights(kind: str, rng: np.random.Generator) -> Mapping[str, float]:
    if kind == "random weights":
        defaults = features.DEFAULT_WEIGHTS
        drawn = {c: min(20.0, defaults[c] * float(np.exp(rng.normal()))) * (rng.random() > 0.15) for c in defaults}
        return drawn | {"genre": float(rng.uniform(0, 12)), "popularity": float(rng.uniform(-0.5, 2))}
    if kind == "uniform weights":
        return {c: float(rng.uniform(0, 6)) for c in features.SCORE}
    if kind == "most weights 0":
        return {c: 0.0 for c in features.SCORE if rng.random() < 0.7}
    return {"γ = 0": {"genre": 0.0}, "γ = 0, β = 2": {"genre": 0.0, "popularity": 2.0}}.get(kind, {})
