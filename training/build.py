"""Build a model from cleaned rows: every array that a version holds, in the order in which they depend on each other.

| array | dtype, shape | holds |
|---|---|---|
| track_id | S (n,) | ids, ascending: a row's number is the rank of its id |
| name_offsets, name_utf8 · artist_offsets, artist_utf8 | int64, uint8 | names of tracks, of artists |
| credit_offsets, credit_artist | int32 | the artists of each row |
| genre_set, score_genre_set, set_offsets, set_genre | int32, int16 | label sets: the row's own; what the score uses |
| year, popularity, key, mode, duration_ms, explicit, tempo | small | what answers show; −1 or NaN unknown |
| song | int32 (n,) | versions of one song share a number |
| name_key, name_row | uint64, int32 | look-up by name |
| score | float32 (24, n) | 11 columns of x̃ (audio, year), their squares, v, popularity |
| cluster, cluster_point, cluster_row, cluster_offsets | int16, float32 (n, p), int32, int64 | the cluster space |
| score_mean, score_std, cluster_mean, cluster_std, pca_mean, pca_components, centroid | float | what training learnt |
| probe_raw, probe_score, probe_cluster | float64, float32 | rows to check the transform with at load |
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from artifacts import features
from artifacts.manifest import Manifest
from artifacts.model import Model, Strings, project
from artifacts.textindex import build as build_names
from training import catalogue, clusters
from training.cleaning import Ledger

POPULAR_TRACKS = 50
_PROBES = 64

Stage = Callable[[str], None]


@dataclass(frozen=True)
class Built:
    """A model that is ready to be published. about: the fields of its manifest that are not the store's to fill."""

    arrays: catalogue.Arrays
    public: dict[str, Any]
    about: dict[str, Any]


def build(
    frame: pd.DataFrame, genres: pd.DataFrame, ledger: Ledger, source: dict[str, Any], k: int, stage: Stage
) -> Built:
    """Build a model. frame, genres, ledger: from `cleaning.clean`; k: clusters; stage: told what begins."""
    stage("artists, genres, songs")
    arrays: catalogue.Arrays = catalogue.text_arrays(frame) | catalogue.column_arrays(frame)
    arrays |= catalogue.credit_arrays(frame, ledger)
    artist = catalogue.first_artist(arrays)
    labels, genre_arrays = catalogue.genre_arrays(genres, artist)
    arrays |= genre_arrays
    artists = Strings(arrays["artist_offsets"], arrays["artist_utf8"])
    arrays["song"] = catalogue.song_array(frame, artist, artists, ledger)
    stage("names")
    credits = _credits(arrays, artists)
    arrays["name_key"], arrays["name_row"] = build_names(zip(frame["track_name"], credits, strict=True))
    stage("features")
    raw = {name: frame[name].to_numpy(np.float64) for name in features.RAW}
    arrays |= _score_arrays(raw, artist)
    stage("PCA")
    cluster_scaling = features.ClusterScaling.learn(raw)
    x = features.cluster_columns(raw, cluster_scaling)
    pca = clusters.fit_pca(x)
    points = pca.transform(x).astype(np.float32)
    del x
    stage(f"K-means, {k} clusters")
    kmeans = clusters.fit_kmeans(points, k)
    rows, offsets = clusters.group_rows(kmeans.labels_, k)
    arrays |= {
        "cluster": kmeans.labels_.astype(np.int16),
        "cluster_point": points,
        "cluster_row": rows,
        "cluster_offsets": offsets,
        "cluster_mean": cluster_scaling.mean,
        "cluster_std": cluster_scaling.std,
        "pca_mean": pca.mean_.astype(np.float32),
        "pca_components": pca.components_.astype(np.float32),
        "centroid": kmeans.cluster_centers_.astype(np.float32),
    }
    arrays |= _probes(raw, arrays)
    stage("popular lists")
    about: dict[str, Any] = {
        "source": source,
        "tracks": len(frame),
        "songs": int(arrays["song"].max()) + 1,
        "artists": len(artists),
        "genres": labels,
        "clusters": k,
        "coverage": _coverage(frame, genres),
        "metrics": {
            "explained_variance": float(pca.explained_variance_ratio_.sum()),
            "components": int(pca.n_components_),
            "inertia_per_track": float(kmeans.inertia_) / len(frame),
            "cluster_sizes": np.diff(offsets).tolist(),
            "ledger": [[e.rule, e.action, e.count] for e in ledger.entries],
            "rows_in": ledger.rows_in,
        },
        "notice": "The songs and artists of this catalogue are invented." if source["kind"] == "demo" else None,
    }
    draft = Model(Manifest(version="", created_at="", files={}, **about), arrays)
    return Built(arrays, {"popular": popular_lists(draft, arrays), "genres": list(labels)}, about)


def _credits(arrays: catalogue.Arrays, artists: Strings) -> list[list[str]]:
    names = [artists[i] for i in range(len(artists))]
    offsets, codes = arrays["credit_offsets"].tolist(), arrays["credit_artist"].tolist()
    return [[names[c] for c in codes[a:b]] for a, b in pairwise(offsets)]


def _score_arrays(raw: dict[str, npt.NDArray[np.float64]], artist: npt.NDArray[np.int32]) -> catalogue.Arrays:
    scaling = features.Scaling.learn(raw)
    x, popularity = features.score_columns(raw, scaling)
    d = len(features.SCORE)
    features.smooth_by_artist(x[: d - 1], artist)
    score = np.empty((2 * d + 2, x.shape[1]), np.float32)
    score[:d] = x
    score[d - 1], score[2 * d] = features.fill_years(x[d - 1], artist)
    np.square(score[:d], out=score[d : 2 * d])
    score[2 * d + 1] = popularity
    return {"score": score, "score_mean": scaling.mean, "score_std": scaling.std}


def _probes(raw: dict[str, npt.NDArray[np.float64]], arrays: catalogue.Arrays) -> catalogue.Arrays:
    """Pick rows from all over the catalogue, with the vectors that this release makes of them."""
    n = len(raw["tempo"])
    some = {name: values[np.linspace(0, n - 1, min(_PROBES, n)).astype(int)] for name, values in raw.items()}
    x, popularity = features.score_columns(some, features.Scaling(arrays["score_mean"], arrays["score_std"]))
    scaled = features.cluster_columns(some, features.ClusterScaling(arrays["cluster_mean"], arrays["cluster_std"]))
    return {
        "probe_raw": np.vstack([some[name] for name in features.RAW]),
        "probe_score": np.vstack([x, popularity]),
        "probe_cluster": project(arrays, scaled),
    }


def _coverage(frame: pd.DataFrame, genres: pd.DataFrame) -> dict[str, float]:
    """Return the share of tracks that have each column, 0–1."""
    known = frame.drop(columns=["track_id", "track_name"]).notna().mean()
    return {"genre": round(genres["row"].nunique() / len(frame), 4)} | {str(c): round(v, 4) for c, v in known.items()}


def popular_lists(model: Model, arrays: catalogue.Arrays) -> dict[str, list[dict[str, Any]]]:
    """Return the most popular tracks by genre, "" for all genres: each song once, an artist at most twice a list.

    Ties and tracks of unknown popularity (which come last) are in the order of their ids.
    """
    order = np.lexsort((np.arange(len(model)), -arrays["popularity"].astype(np.int32)))
    sets = arrays["genre_set"][order]
    lists = {"": _first_of_each(model, order)}
    set_of_label = np.repeat(np.arange(len(arrays["set_offsets"]) - 1), np.diff(arrays["set_offsets"]))
    for code, label in enumerate(model.manifest.genres):
        with_label = np.isin(sets, set_of_label[arrays["set_genre"] == code])
        lists[label] = _first_of_each(model, order[with_label])
    return lists


def _first_of_each(model: Model, rows: npt.NDArray[np.intp]) -> list[dict[str, Any]]:
    songs: set[int] = set()
    artists: dict[int, int] = {}
    chosen: list[dict[str, Any]] = []
    for row in rows:
        song, credits = int(model.song[row]), model.artist_codes(row)
        if song in songs or any(artists.get(a, 0) >= 2 for a in credits):
            continue
        songs.add(song)
        for a in credits:
            artists[a] = artists.get(a, 0) + 1
        chosen.append(model.track(row))
        if len(chosen) == POPULAR_TRACKS:
            break
    return chosen
