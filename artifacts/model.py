"""A model in memory: the catalogue, and who is near whom in it. Exact, mapped read-only, shared between processes.

Rows are in the order of their track ids, so that a tie broken by row is a tie broken by id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts import features, store
from artifacts.manifest import Manifest, ModelError
from artifacts.textindex import NameIndex

UNKNOWN = -1
"""In the whole-number columns."""

Rows = npt.NDArray[np.intp]

_D = len(features.SCORE)


class Strings:
    """Many strings in two arrays: UTF-8 bytes, and where each string ends."""

    def __init__(self, offsets: npt.NDArray[np.int64], utf8: npt.NDArray[np.uint8]) -> None:
        self._offsets, self._utf8 = offsets, utf8

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, i: int) -> str:
        return self._utf8[self._offsets[i] : self._offsets[i + 1]].tobytes().decode("utf-8")

    @staticmethod
    def pack(strings: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Return (offsets, utf8) for `strings`."""
        encoded = [s.encode("utf-8") for s in strings]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(e) for e in encoded], out=offsets[1:])
        return offsets, np.frombuffer(b"".join(encoded), np.uint8)


@dataclass(frozen=True)
class ScoreQuery:
    """What the score compares with: the seeds' means and the weights of the request.

    mean: float64 (len(SCORE),); genre: float64 (genres,), the mean of the seeds' unit vectors; weights: by name, all of
    features.DEFAULT_WEIGHTS.
    """

    mean: npt.NDArray[np.float64]
    genre: npt.NDArray[np.float64]
    weights: Mapping[str, float]

    @property
    def column_weights(self) -> npt.NDArray[np.float64]:
        """The weights of SCORE's columns, float64 (len(SCORE),)."""
        return np.array([self.weights[name] for name in features.SCORE])


class Model:
    """One version, mapped. See training/publish.py for the arrays and what each holds."""

    def __init__(self, manifest: Manifest, arrays: store.Arrays) -> None:
        self.manifest = manifest
        self._a = arrays
        self.name = Strings(arrays["name_offsets"], arrays["name_utf8"])
        self.artist_name = Strings(arrays["artist_offsets"], arrays["artist_utf8"])
        self.song = arrays["song"]
        self.cluster = arrays["cluster"]
        self._names = NameIndex(
            arrays["name_key"], arrays["name_row"], lambda row: (self.name[row], self.artists_of(row))
        )
        # Unit vectors of the distinct label sets, float64 (sets, genres): some hundreds to thousands of rows.
        self._genre_vectors = _unit_vectors(arrays["set_offsets"], arrays["set_genre"], len(manifest.genres))

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

    def __len__(self) -> int:
        return self.manifest.tracks

    def row_of_id(self, track_id: str) -> int | None:
        """Return the row of a track id, None if the catalogue does not have it."""
        ids = self._a["track_id"]
        wanted = track_id.encode("utf-8")
        if len(wanted) > ids.dtype.itemsize:
            return None
        row = int(np.searchsorted(ids, np.array(wanted, ids.dtype)))
        return row if row < len(ids) and ids[row] == wanted else None

    def rows_of_name(self, title: str, artist: str | None) -> list[int]:
        """Return the rows of an exact (normalised) name, the most popular first."""
        rows = self._names.find(title, artist)
        return sorted(rows, key=lambda row: (-int(self._a["popularity"][row]), row))

    def artist_codes(self, row: int) -> list[int]:
        """Return the codes of a row's credited artists, in credit order; empty if unknown."""
        start, stop = self._a["credit_offsets"][row : row + 2]
        return [int(code) for code in self._a["credit_artist"][start:stop]]

    def artists_of(self, row: int) -> list[str]:
        """Return the names of a row's credited artists."""
        return [self.artist_name[code] for code in self.artist_codes(row)]

    def track(self, row: int) -> dict[str, Any]:
        """Return what answers show of a row: `producer.schema.Track` as a dict."""
        track_id = self._a["track_id"][row].decode("utf-8")
        genre_set = int(self._a["genre_set"][row])
        start, stop = self._a["set_offsets"][genre_set : genre_set + 2]
        tempo = float(self._a["tempo"][row])
        on_spotify = not self.manifest.synthetic and len(track_id) == 22
        return {
            "track_id": track_id,
            "name": self.name[row],
            "artists": self.artists_of(row),
            "genres": [self.manifest.genres[g] for g in self._a["set_genre"][start:stop]],
            **{name: self._known(name, row) for name in ("year", "popularity", "key", "mode", "duration_ms")},
            "tempo": None if np.isnan(tempo) else round(tempo, 1),
            "cluster": int(self.cluster[row]),
            "spotify_url": f"https://open.spotify.com/track/{track_id}" if on_spotify else None,
        }

    def _known(self, column: str, row: int) -> int | None:
        value = int(self._a[column][row])
        return None if value == UNKNOWN else value

    def query(self, rows: Sequence[int], weights: Mapping[str, float]) -> ScoreQuery:
        """Return the query of seed rows. weights: those that differ from the defaults, by name."""
        return ScoreQuery(
            self._a["score"][:_D, rows].astype(np.float64).mean(axis=1),
            self._genre_vectors[self._a["score_genre_set"][rows]].mean(axis=0),
            {**features.DEFAULT_WEIGHTS, **weights},
        )

    def nearest(self, query: ScoreQuery, k: int) -> tuple[Rows, npt.NDArray[np.float64]]:
        """Return the `k` best rows of the whole catalogue by the score of docs/reference/features.md, exactly.

        One product over all rows in float32 finds who may be among them; those are scored in float64 and sorted, ties
        by row. → rows (k,), scores float64 (k,), descending.
        """
        k = min(k, len(self))
        w, mean = query.column_weights, query.mean
        vector = np.concatenate([w * mean, -0.5 * w, [-0.5 * query.weights["year"], query.weights["popularity"]]])
        scores = vector.astype(np.float32) @ self._a["score"]
        scores += (query.weights["genre"] * (self._genre_vectors @ query.genre)).astype(np.float32)[
            self._a["score_genre_set"]
        ]
        kth = np.partition(scores, len(scores) - k)[len(scores) - k]
        # What float32 may have lost by cancellation in −½wx² + wx·x̄; anything this near the k-th is looked at again.
        slack = 1e-5 * (float(w @ mean**2) + 4 * float(w.sum()) + 10)
        rows = np.flatnonzero(scores >= kth - slack)
        exact = self.score(query, rows)
        order = np.lexsort((rows, -exact))[:k]
        return rows[order], exact[order]

    def score(self, query: ScoreQuery, rows: Rows) -> npt.NDArray[np.float64]:
        """Return the score of each row in float64, by the formula as it is written."""
        stored = self._a["score"][:, rows].astype(np.float64)
        # Sums, not matrix products: those round by a row's place in memory, and twins would no longer tie.
        distance = (query.column_weights[:, None] * (stored[:_D] - query.mean[:, None]) ** 2).sum(axis=0)
        year_doubt = query.weights["year"] * stored[2 * _D]
        genre = query.weights["genre"] * (self._genre_vectors @ query.genre)[self._a["score_genre_set"][rows]]
        result: npt.NDArray[np.float64] = (
            -0.5 * distance - 0.5 * year_doubt + genre + query.weights["popularity"] * stored[2 * _D + 1]
        )
        return result

    def nearest_in_cluster(self, seeds: Sequence[int], k: int) -> tuple[Rows, npt.NDArray[np.float64]]:
        """Return the `k` rows of the seeds' cluster nearest to their mean by cosine of the principal components.

        → rows (≤ k,), cosine float64 −1…1, descending, ties by row.
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
        inside = points[rows].astype(np.float64)
        length = np.linalg.norm(inside, axis=1) * np.linalg.norm(mean)
        cosine = np.divide(inside @ mean, length, out=np.zeros(len(rows)), where=length > 0)
        order = np.lexsort((rows, -cosine))[:k]
        return rows[order], cosine[order]

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


def _unit_vectors(offsets: npt.NDArray[np.int32], genres: npt.NDArray[np.int16], count: int) -> npt.NDArray[np.float64]:
    """Return the unit vector of each label set, zero for the empty set. → float64 (sets, count)."""
    sets = len(offsets) - 1
    vectors = np.zeros((sets, count))
    sizes = np.diff(offsets)
    vectors[np.repeat(np.arange(sets), sizes), genres] = np.repeat(1 / np.sqrt(np.maximum(sizes, 1)), sizes)
    return vectors
