"""Build a model from cleaned rows: every array that a version holds, in the order in which they depend on each other.

| array | dtype, shape | holds |
|---|---|---|
| track_id | S (n,) | ids, ascending |
| id_row, id_rank | int32 (n,) | the row of the i-th id; the place of row i's id among the ids |
| name_offsets, name_utf8 · artist_offsets, artist_utf8 | int64, uint8 | names of tracks, of artists |
| credit_offsets, credit_artist | int32 | the artists of each row |
| genre_set, score_genre_set, set_offsets, set_genre | int32, int16 | label sets: the row's own; what the score uses |
| year, popularity, key, mode, duration_ms, explicit, tempo | small | what answers show; −1 or NaN unknown |
| song | int32 (n,) | versions of one song share a number |
| text_… | | look-up by name: see artifacts/nametables.py |
| score | float32 (24, n) | 11 columns of x̃ (audio, year), their squares, v, popularity |
| cell_rows, cell_low, cell_high, cell_doubt, cell_group, cell_start | float32, int32 | see artifacts/cells.py |
| stat_mean, stat_square, stat_doubt, stat_genre, stat_covariance | float64 | see artifacts.score.Statistics |
| popular_row | int32 (n,) | rows, the most popular first |
| cluster, cluster_point, cluster_row, cluster_offsets | int16, float32 (n, p), int32, int64 | the cluster space |
| score_mean, score_std, cluster_mean, cluster_std, pca_mean, pca_components, centroid | float | what training learnt |
| map_place, map_rank, map_start | uint16, int32 | where each row lies on the map: see artifacts/map.py |
| probe_raw, probe_score, probe_cluster | float64, float32 | rows to check the transform with at load |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from artifacts import features
from artifacts.cells import cell_arrays, order_rows
from artifacts.manifest import Manifest
from artifacts.map import map_arrays, places
from artifacts.model import Model, project, unit_vectors
from artifacts.nametables import build as build_names
from artifacts.quantiles import quantiles_of
from artifacts.score import COLUMNS
from artifacts.strings import Strings
from training import catalogue, clusters
from training import map as drawing
from training.cleaning import Ledger

POPULAR_OVERALL = 200
"""More than of a genre: when no worker answers, they have to do for requests without a genre, 100 tracks at a time."""

POPULAR_OF_GENRE = 50
INVENTED = "The songs and artists of this catalogue are invented."
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
    credits = catalogue.credit_arrays(frame, ledger)
    artist = catalogue.first_artist(credits)
    labels, genre_arrays = catalogue.genre_arrays(genres, artist)
    artists = Strings(credits["artist_offsets"], credits["artist_utf8"])
    song = catalogue.song_array(frame, artist, artists, ledger)
    stage("features")
    score = _score_arrays(_raw(frame), artist, song)
    order, cell_start = _order(score["score"], genre_arrays["score_genre_set"])
    stage("names")
    arrays: catalogue.Arrays = catalogue.id_arrays(frame, order)
    frame = frame.iloc[order].reset_index(drop=True)
    arrays |= catalogue.name_arrays(frame) | catalogue.column_arrays(frame) | catalogue.reorder_credits(credits, order)
    arrays |= {**genre_arrays, "song": song[order], "score_mean": score["score_mean"], "score_std": score["score_std"]}
    for name in ("genre_set", "score_genre_set"):
        arrays[name] = genre_arrays[name][order]
    arrays["score"] = score.pop("score")[:, order]
    arrays |= _cells(arrays["score"], arrays["score_genre_set"], cell_start)
    arrays |= _statistics(arrays, len(labels))
    arrays |= build_names(zip(frame["track_name"], _credits(arrays, artists), strict=True), arrays["popularity"])
    arrays["popular_row"] = np.lexsort((arrays["id_rank"], -arrays["popularity"].astype(np.int32))).astype(np.int32)
    raw = _raw(frame)
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
    stage("map")
    place = places(raw["valence"], raw["energy"], arrays["id_rank"])
    arrays |= map_arrays(place, arrays["popular_row"])
    stage("popular lists")
    about: dict[str, Any] = {
        "source": source,
        "tracks": len(frame),
        "songs": int(arrays["song"].max()) + 1,
        "artists": len(artists),
        "genres": labels,
        "clusters": k,
        "coverage": _coverage(frame, genres),
        "quantiles": quantiles_of(raw),
        "metrics": {
            "explained_variance": float(pca.explained_variance_ratio_.sum()),
            "components": int(pca.n_components_),
            "inertia_per_track": float(kmeans.inertia_) / len(frame),
            "cluster_sizes": np.diff(offsets).tolist(),
            "ledger": [[e.rule, e.action, e.count] for e in ledger.entries],
            "rows_in": ledger.rows_in,
        },
        "notice": INVENTED if frame["track_id"].str.startswith("demo").all() else None,
    }
    draft = Model(Manifest(version="", created_at="", files={}, public={}, **about), arrays)
    public = {
        "popular": popular_lists(draft, arrays),
        "genres": genre_counts(arrays, labels),
        "map": drawing.description(place, arrays, labels),
        "map.png": drawing.picture(place),
    }
    return Built(arrays, public, about)


def _credits(arrays: catalogue.Arrays, artists: Strings) -> list[list[str]]:
    names = [artists[i] for i in range(len(artists))]
    offsets, codes = arrays["credit_offsets"].tolist(), arrays["credit_artist"].tolist()
    return [[names[c] for c in codes[a:b]] for a, b in pairwise(offsets)]


def _raw(frame: pd.DataFrame) -> dict[str, npt.NDArray[np.float64]]:
    return {name: frame[name].to_numpy(np.float64) for name in features.RAW}


def _order(
    score: npt.NDArray[np.float32], genre_set: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the order of the rows in cells, and where each cell begins."""
    spread = np.sqrt(np.array([*(features.DEFAULT_WEIGHTS[name] for name in features.SCORE), 1.0]))
    return order_rows(_boxed(score), score[2 * COLUMNS], genre_set, spread)


def _cells(
    score: npt.NDArray[np.float32], genre_set: npt.NDArray[np.int32], start: npt.NDArray[np.int32]
) -> catalogue.Arrays:
    return cell_arrays(_boxed(score), score[2 * COLUMNS], genre_set, start)


def _boxed(score: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the columns that a cell's box bounds: those of SCORE, and popularity."""
    return np.vstack([score[:COLUMNS], score[2 * COLUMNS + 1]])


def _statistics(arrays: catalogue.Arrays, genres: int) -> catalogue.Arrays:
    """Return means over the catalogue, for explanations: see artifacts.score.Statistics."""
    boxed = _boxed(arrays["score"]).astype(np.float64)
    vectors = unit_vectors(arrays["set_offsets"], arrays["set_genre"], genres)
    share = np.bincount(arrays["score_genre_set"], minlength=len(vectors)) / boxed.shape[1]
    return {
        "stat_mean": boxed.mean(axis=1),
        "stat_square": (boxed**2).mean(axis=1),
        "stat_doubt": np.array([arrays["score"][2 * COLUMNS].mean(dtype=np.float64)]),
        "stat_genre": share @ vectors,
        "stat_covariance": np.cov(boxed[:COLUMNS], bias=True),
    }


def _score_arrays(
    raw: dict[str, npt.NDArray[np.float64]], artist: npt.NDArray[np.int32], song: npt.NDArray[np.int32]
) -> catalogue.Arrays:
    """Return the score space. A song is as old as its first version and as popular as its best known, in all of them.

    Without that a remaster of 2011 would be no neighbour of its own decade.
    """
    scaling = features.Scaling.learn(raw)
    versions = pd.DataFrame({"year": raw["year"], "popularity": raw["popularity"]}).groupby(song)
    shared = {"year": versions["year"].transform("min"), "popularity": versions["popularity"].transform("max")}
    x, popularity = features.score_columns(raw | {name: v.to_numpy() for name, v in shared.items()}, scaling)
    features.smooth_by_artist(x[: COLUMNS - 1], artist)
    score = np.empty((2 * COLUMNS + 2, x.shape[1]), np.float32)
    score[:COLUMNS] = x
    score[COLUMNS - 1], score[2 * COLUMNS] = features.fill_years(x[COLUMNS - 1], artist)
    np.square(score[:COLUMNS], out=score[COLUMNS : 2 * COLUMNS])
    score[2 * COLUMNS + 1] = popularity
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
    order = arrays["popular_row"]
    sets = arrays["genre_set"][order]
    lists = {"": _first_of_each(model, order, POPULAR_OVERALL)}
    set_of_label = np.repeat(np.arange(len(arrays["set_offsets"]) - 1), np.diff(arrays["set_offsets"]))
    for code, label in enumerate(model.manifest.genres):
        with_label = np.isin(sets, set_of_label[arrays["set_genre"] == code])
        lists[label] = _first_of_each(model, order[with_label], POPULAR_OF_GENRE)
    return lists


def genre_counts(arrays: catalogue.Arrays, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return how many tracks have each label: `producer.public.GenreCount` as dicts, in the order of `labels`."""
    rows_of_set = np.bincount(arrays["genre_set"], minlength=len(arrays["set_offsets"]) - 1)
    rows = np.repeat(rows_of_set, np.diff(arrays["set_offsets"]))
    counts = np.bincount(arrays["set_genre"], weights=rows, minlength=len(labels)).astype(int).tolist()
    return [{"genre": label, "tracks": count} for label, count in zip(labels, counts, strict=True)]


def _first_of_each(model: Model, rows: npt.NDArray[np.intp], most: int) -> list[dict[str, Any]]:
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
        if len(chosen) == most:
            break
    return chosen
