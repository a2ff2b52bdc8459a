"""The score as a request weighs it: docs/reference/features.md has the formula.

Songs to avoid make it score(mean of the wanted) − λ·score(mean of the unwanted). That is still, column by column, a
parabola that opens downwards, so the search and its bounds need not know of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from artifacts import features

F64 = npt.NDArray[np.float64]

COLUMNS = len(features.SCORE)
AVOID = 0.5
"""λ where the unwanted weigh as much as the wanted: their share of it otherwise, and never more. At λ = 1 nothing but
the direction would be left, and the answer would be the catalogue's farthest tracks."""


@dataclass(frozen=True)
class Target:
    """What candidates are compared with. mean: float64 (COLUMNS,), score space; genre: float64 (genres,)."""

    mean: F64
    genre: F64


def mean_target(targets: Sequence[Target], weights: Sequence[float]) -> Target:
    """Return the weighted mean of targets. weights: > 0."""
    return Target(
        np.average([t.mean for t in targets], axis=0, weights=weights),
        np.average([t.genre for t in targets], axis=0, weights=weights),
    )


@dataclass(frozen=True)
class Statistics:
    """Means over the catalogue: of each column of SCORE and its square, of doubt, genre vector and popularity.

    covariance: of the columns of SCORE, float64 (COLUMNS, COLUMNS).
    """

    mean: F64
    square: F64
    doubt: float
    genre: F64
    popularity: float
    covariance: F64


@dataclass(frozen=True)
class Parts:
    """Rows' stored values, float64. x: (COLUMNS, n); doubt, popularity: (n,); genre: unit vectors (n, genres)."""

    x: F64
    doubt: F64
    popularity: F64
    genre: F64


@dataclass(frozen=True)
class ScoreQuery:
    """A request to score by. weights: all names of features.DEFAULT_WEIGHTS; avoid: 0 ≤ λ ≤ AVOID."""

    wanted: Target
    weights: Mapping[str, float]
    unwanted: Target | None = None
    avoid: float = 0.0

    @cached_property
    def column_weights(self) -> F64:
        """The weights of SCORE's columns as requested, float64 (COLUMNS,)."""
        return np.array([self.weights[name] for name in features.SCORE])

    @cached_property
    def scale(self) -> float:
        """What is left of the quadratic terms, of popularity and of doubt: 1 − λ."""
        return 1 - self.avoid

    @cached_property
    def center(self) -> F64:
        """Where the parabolas have their tops, float64 (COLUMNS,)."""
        if self.unwanted is None:
            return self.wanted.mean
        return (self.wanted.mean - self.avoid * self.unwanted.mean) / self.scale

    @cached_property
    def genre(self) -> F64:
        """γ times the wanted genres less those to avoid, float64 (genres,); times a row's, it is the genre part."""
        genre = self.wanted.genre
        if self.unwanted is not None:
            genre = genre - self.avoid * self.unwanted.genre
        return self.weights["genre"] * genre

    @cached_property
    def _least_slack(self) -> float:
        w = self.column_weights
        return 1e-5 * float(w @ (self.center**2 + self.wanted.mean**2) + 4 * w.sum() + 10)

    def slack(self, score: float) -> float:
        """Return how far a float32 score, summed as −½wx² + wxc, may be from the true one: cancellation, generously.

        score: about what it is; a row far out has great terms and a very low score.
        """
        return self._least_slack + 1e-5 * abs(score)

    def total(self, x: F64, doubt: F64, popularity: F64, genre: F64) -> F64:
        """Return the score of some rows. x: (COLUMNS, n); doubt, popularity: (n,); genre: (n,), that part of the score.

        Sums, not matrix products: those round by a row's place in memory, and twins would no longer tie.
        """
        half = 0.5 * self.column_weights[:, None]
        score: F64 = -(half * (x - self.wanted.mean[:, None]) ** 2).sum(axis=0)
        if self.unwanted is not None:
            score += self.avoid * (half * (x - self.unwanted.mean[:, None]) ** 2).sum(axis=0)
        score += genre
        score += self.scale * (self.weights["popularity"] * popularity - 0.5 * self.weights["year"] * doubt)
        return score

    def parts(self, rows: Parts) -> dict[str, F64]:
        """Return each part of the score of some rows, by the names of DEFAULT_WEIGHTS; they sum to the score."""
        parts = self._distances(rows, self.wanted)
        if self.unwanted is not None:
            for name, value in self._distances(rows, self.unwanted).items():
                parts[name] = parts[name] - self.avoid * value
        parts["year"] = parts["year"] - 0.5 * self.weights["year"] * self.scale * rows.doubt
        parts["genre"] = (rows.genre * self.genre).sum(axis=1)
        parts["popularity"] = self.weights["popularity"] * self.scale * rows.popularity
        return parts

    def _distances(self, rows: Parts, target: Target) -> dict[str, F64]:
        return {
            name: -0.5 * weight * (rows.x[i] - target.mean[i]) ** 2
            for i, (name, weight) in enumerate(zip(features.SCORE, self.column_weights, strict=True))
        }

    def mean_parts(self, catalogue: Statistics) -> dict[str, float]:
        """Return the mean of each part over the catalogue; they sum to the mean score."""

        def distances(target: Target) -> F64:
            spread = catalogue.square - 2 * catalogue.mean * target.mean + target.mean**2
            return -0.5 * self.column_weights * spread

        values = distances(self.wanted)
        if self.unwanted is not None:
            values = values - self.avoid * distances(self.unwanted)
        means = dict(zip(features.SCORE, values.tolist(), strict=True))
        means["year"] -= 0.5 * self.weights["year"] * self.scale * catalogue.doubt
        means["genre"] = float(self.genre @ catalogue.genre)
        means["popularity"] = self.weights["popularity"] * self.scale * catalogue.popularity
        return means


def query(
    wanted: Target, weights: Mapping[str, float], unwanted: Target | None = None, against: float = 0.0
) -> ScoreQuery:
    """Return a request to score by.

    weights: those that differ from the defaults. against: the unwanted seeds' weight as a share of the wanted ones'.
    """
    plain = ScoreQuery(wanted, {**features.DEFAULT_WEIGHTS, **weights})
    if unwanted is None:
        return plain
    return replace(plain, unwanted=unwanted, avoid=AVOID * min(against, 1.0))
