"""A model in memory: the catalogue, and who is near whom in it. Exact, mapped read-only, shared between processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts import features, store
from artifacts.catalogue import UNKNOWN, Catalogue, Rows
from artifacts.cells import Cells
from artifacts.filters import Mask
from artifacts.manifest import Manifest, ModelError
from artifacts.score import COLUMNS, Parts, ScoreQuery, Statistics, Target, query

__all__ = ["UNKNOWN", "Found", "Model", "Rows", "project", "unit_vectors"]

_FEW = 4_000
"""So few rows are scored outright: finding the cells that they are in would take longer."""

_BLOCK = 256


@dataclass(frozen=True)
class Found:
    """What a search found.

    rows: best first; score: float64, descending; scanned: share of the rows that were scored, 0–1; passing: how many
    rows passed the filter.
    """

    rows: Rows
    score: npt.NDArray[np.float64]
    scanned: float
    passing: int


class Model(Catalogue):
    """One version, mapped."""

    def __init__(self, manifest: Manifest, arrays: store.Arrays) -> None:
        super().__init__(manifest, arrays)
        self._cells = Cells(arrays)
        self.statistics = Statistics(
            mean=np.asarray(arrays["stat_mean"][:-1]),
            square=np.asarray(arrays["stat_square"][:-1]),
            doubt=float(arrays["stat_doubt"][0]),
            genre=np.asarray(arrays["stat_genre"]),
            popularity=float(arrays["stat_mean"][-1]),
            covariance=np.asarray(arrays["stat_covariance"]),
        )
        # Unit vectors of the distinct label sets, float64 (sets, genres): some hundreds to thousands of rows.
        self._genre_vectors = unit_vectors(arrays["set_offsets"], arrays["set_genre"], len(manifest.genres))

    @staticmethod
    def load(root: Path, version: str, verify: bool = True) -> Model:
        """Map a version and check it: hashes, and that this release's transform still gives the stored vectors.

        Raises: ModelError.
        """
        manifest, arrays = store.open_arrays(root, version, verify)
        try:
            model = Model(manifest, arrays)
            model._check_skew()
        except KeyError as error:
            raise ModelError(f"{root / version}: the array {error} is missing") from error
        except (ValueError, IndexError) as error:
            raise ModelError(f"{root / version}: arrays of other columns than this release's ({error})") from error
        return model

    def target(self, rows: Sequence[int]) -> Target:
        """Return the mean of rows as something to compare with."""
        genre = self.genre_vectors(np.asarray(rows, np.intp))
        return Target(self._a["score"][:COLUMNS, rows].astype(np.float64).mean(axis=1), genre.mean(axis=0))

    def target_of_features(self, values: Mapping[str, float]) -> tuple[Target, list[str]]:
        """Return a song that is known by its features only, and the names of those that had to be guessed.

        values: by the names of features.RAW, in their units. A missing one is its conditional mean given the others
        (the best linear guess from the catalogue's covariances); the genre is unknown.
        """
        raw = {name: np.array([values.get(name, np.nan)], np.float64) for name in features.RAW}
        scaling = features.Scaling(self._a["score_mean"], self._a["score_std"])
        x = features.score_columns(raw, scaling)[0][:, 0].astype(np.float64)
        known = ~np.isnan(x)
        mean, covariance = self.statistics.mean, self.statistics.covariance
        # A little on the diagonal: two columns that always go together must not blow up the guess.
        among = covariance[np.ix_(known, known)] + 1e-6 * np.eye(int(known.sum()))
        guess = covariance[np.ix_(~known, known)] @ np.linalg.solve(among, x[known] - mean[known])
        x[~known] = mean[~known] + guess
        imputed = [name for name, is_known in zip(features.SCORE, known, strict=True) if not is_known]
        return Target(x, np.zeros(len(self.manifest.genres))), imputed

    def query(self, rows: Sequence[int], weights: Mapping[str, float]) -> ScoreQuery:
        """Return the request for tracks like some rows. weights: those that differ from the defaults, by name."""
        return query(self.target(rows), weights)

    def likeness_vectors(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return rows as unit vectors, by the default weights: their products tell how alike two tracks are, −1…1."""
        w = features.DEFAULT_WEIGHTS
        x = self._a["score"][:COLUMNS, rows].astype(np.float64).T
        audio = x * np.sqrt([w[name] for name in features.SCORE])
        genre = self._genre_vectors[self._a["score_genre_set"][rows]] * np.sqrt(w["genre"])
        vectors: npt.NDArray[np.float64] = np.hstack([audio, genre])
        vectors /= np.maximum(np.sqrt((vectors**2).sum(axis=1, keepdims=True)), 1e-12)
        return vectors

    def nearest(self, request: ScoreQuery, k: int, passing: Mask | None = None) -> Found:
        """Return the `k` best rows by the score: those that scoring every row would give, ties broken by track id.

        passing: bool (n,), the rows that may be chosen; None: all. The cells that cannot hold one of the best are not
        read; what may be among them by float32 is scored again in float64.
        """
        count = len(self) if passing is None else int(np.count_nonzero(passing))
        k = min(k, count)
        if k == 0:
            return Found(np.empty(0, np.intp), np.empty(0), 0.0, count)
        rows: Rows | None
        by_set = self._genre_vectors @ request.genre
        genre = by_set.astype(np.float32)
        if passing is not None and count <= _FEW:
            rows, scanned = np.flatnonzero(passing), count
        else:
            rows, scanned = self._cells.search(request, genre, k, passing)
            if rows is None:
                rows, scanned = self.product(request, k, passing), len(self)
        score = self._exact(request, by_set, rows)
        order = np.lexsort((self._rank[rows], -score))[:k]
        return Found(rows[order], score[order], min(scanned / len(self), 1.0), count)

    def genre_vectors(self, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the unit vectors of rows' labels as the score takes them. float64 (len(rows), genres)."""
        vectors: npt.NDArray[np.float64] = self._genre_vectors[self._a["score_genre_set"][rows]]
        return vectors

    def genre_table(self, request: ScoreQuery) -> npt.NDArray[np.float32]:
        """Return the genre part of the score for each label set. float32 (sets,)."""
        return (self._genre_vectors @ request.genre).astype(np.float32)

    def product(self, request: ScoreQuery, k: int, passing: Mask | None = None) -> Rows:
        """Return the rows that may be among the `k` best, by one product over all rows, in no order.

        passing: as in `nearest`; at least k of them.
        """
        genre = self.genre_table(request)
        w = request.scale * request.column_weights
        vector = np.concatenate(
            [
                w * request.center,
                -0.5 * w,
                request.scale * np.array([-0.5 * request.weights["year"], request.weights["popularity"]]),
            ]
        )
        scores = vector.astype(np.float32) @ self._a["score"]
        scores += genre[self._a["score_genre_set"]]
        if passing is not None:
            scores[~passing] = -np.inf
        # The k-th best of the blocks' maxima is a bound below which no block holds one of the k best rows.
        blocks = np.maximum.reduceat(scores, np.arange(0, len(scores), _BLOCK))
        if len(blocks) > k:
            scores_in = np.flatnonzero(scores >= np.partition(blocks, len(blocks) - k)[len(blocks) - k])
        else:
            scores_in = np.flatnonzero(scores > -np.inf)
        best = scores[scores_in]
        kth = np.partition(best, len(best) - k)[len(best) - k]
        return np.flatnonzero(scores >= kth - request.slack(float(kth)))

    def score(self, request: ScoreQuery, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the score of each row in float64."""
        return self._exact(request, self._genre_vectors @ request.genre, rows)

    def _exact(self, request: ScoreQuery, by_set: npt.NDArray[np.float64], rows: Rows) -> npt.NDArray[np.float64]:
        stored = self._a["score"][:, rows].astype(np.float64)
        genre = by_set[self._a["score_genre_set"][rows]]
        return request.total(stored[:COLUMNS], stored[2 * COLUMNS], stored[2 * COLUMNS + 1], genre)

    def parts(self, request: ScoreQuery, rows: Rows) -> dict[str, npt.NDArray[np.float64]]:
        """Return the parts of the score of each row, by the names of features.DEFAULT_WEIGHTS; they sum to it."""
        stored = self._a["score"][:, rows].astype(np.float64)
        sets = self._a["score_genre_set"][rows]
        return request.parts(
            Parts(stored[:COLUMNS], stored[2 * COLUMNS], stored[2 * COLUMNS + 1], self._genre_vectors[sets])
        )

    def nearest_in_cluster(self, seeds: Sequence[int], k: int, passing: Mask | None = None) -> Found:
        """Return the `k` rows of the seeds' cluster nearest to their mean by cosine of the principal components.

        passing: as in `nearest`. The score is the cosine, −1…1, ties are broken by track id.
        """
        points = self._a["cluster_point"]
        mean = points[seeds].astype(np.float64).mean(axis=0)
        cluster = (
            int(((self._a["centroid"] - mean) ** 2).sum(axis=1).argmin())
            if len(seeds) > 1
            else int(self.cluster[seeds[0]])
        )
        start, stop = self._a["cluster_offsets"][cluster : cluster + 2]
        rows = self._a["cluster_row"][start:stop].astype(np.intp)
        if passing is not None:
            rows = rows[passing[rows]]
        inside = points[rows].astype(np.float64)
        length = np.linalg.norm(inside, axis=1) * np.linalg.norm(mean)
        cosine = np.divide(inside @ mean, length, out=np.zeros(len(rows)), where=length > 0)
        order = np.lexsort((self._rank[rows], -cosine))[:k]
        return Found(
            rows[order],
            cosine[order],
            len(inside) / len(self),
            len(self) if passing is None else int(np.count_nonzero(passing)),
        )

    def _check_skew(self) -> None:
        """Compare what this release makes of some raw rows with what training stored. Raises: ModelError."""
        raw = dict(zip(features.RAW, self._a["probe_raw"], strict=True))
        scaling = features.Scaling(self._a["score_mean"], self._a["score_std"])
        x, popularity = features.score_columns(raw, scaling)
        points = project(self._a, features.cluster_columns(raw, self.cluster_scaling))
        for name, found in (("probe_score", np.vstack([x, popularity])), ("probe_cluster", points)):
            if not np.allclose(found, self._a[name], rtol=1e-4, atol=1e-4, equal_nan=True):
                raise ModelError(f"version {self.manifest.version}: trained by another transform ({name}); train again")

    @property
    def cluster_scaling(self) -> features.ClusterScaling:
        """The constants of the cluster space."""
        return features.ClusterScaling(self._a["cluster_mean"], self._a["cluster_std"])


def project(arrays: Mapping[str, npt.NDArray[Any]], x: features.Array) -> features.Array:
    """Return the principal components of cluster-space rows. x: float32 (n, len(CLUSTER)) → float32 (n, p)."""
    projected: features.Array = (x - arrays["pca_mean"]) @ arrays["pca_components"].T
    return projected


def unit_vectors(offsets: npt.NDArray[np.int32], genres: npt.NDArray[np.int16], count: int) -> npt.NDArray[np.float64]:
    """Return the unit vector of each label set, zero for the empty set. → float64 (sets, count)."""
    sets = len(offsets) - 1
    vectors = np.zeros((sets, count))
    sizes = np.diff(offsets)
    vectors[np.repeat(np.arange(sets), sizes), genres] = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    return vectors
