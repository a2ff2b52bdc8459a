"""Other ways to find the nearest tracks, on the same vectors: scikit-learn as one would write it first, faiss, usearch.

With the default weights the score is an inner product of a row and a query vector, so every library can search it; none
of them lets a request change the weights or filter exactly. `pip install faiss-cpu==1.15.1 usearch==2.26.6` first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics.pairwise import cosine_similarity
from usearch.index import Index

from artifacts import features
from artifacts.model import Model
from artifacts.score import COLUMNS, ScoreQuery
from bench.requests import requests

_QUERIES = 100
K = 100


def peers(model: Model) -> None:
    """Print a row a way: build seconds, p50 and p99, and the share of the exact answer that it finds."""
    faiss.omp_set_num_threads(1)
    asked = requests(model, "default, 5 seeds of a genre", _QUERIES)
    truth = [set(model.nearest(request, K).rows.tolist()) for request in asked]
    vectors = row_vectors(model)
    queries = [query_vector(request) for request in asked]
    print("| way | build s | p50 ms | p99 ms | of the exact 100 found |\n|---|---|---|---|---|")
    row("engine (exact)", 0.0, lambda i: model.nearest(asked[i], K).rows, truth)
    flat, seconds = built(lambda: _flat(vectors))
    row("faiss Flat", seconds, lambda i: flat.search(queries[i][None], K)[1][0], truth)
    ivf, seconds = built(lambda: _ivf(vectors))
    for probes in (8, 32):
        ivf.nprobe = probes
        row(f"faiss IVF1024, {probes} probes", seconds, lambda i: ivf.search(queries[i][None], K)[1][0], truth)
    order = np.random.default_rng(0).permutation(len(vectors))
    index, seconds = built(lambda: _usearch(vectors, order))
    row(
        "usearch, rows in shuffled order",
        seconds,
        lambda i: index.search(np.append(queries[i], np.float32(0)), K).keys,
        truth,
    )
    naive, seconds = built(lambda: _naive(model))
    row("pandas filter, scikit-learn cosine, sort", seconds, lambda i: naive(asked[i]), truth, 10)


def row(name: str, build_s: float, ask: Callable[[int], Any], truth: list[set[int]], count: int = _QUERIES) -> None:
    """Print the row of one way."""
    ask(0)
    seconds, share = [], []
    for i in range(count):
        started = time.perf_counter()
        found = ask(i)
        seconds.append(time.perf_counter() - started)
        share.append(len(truth[i] & {int(f) for f in found}) / len(truth[i]))
    ms = np.array(seconds) * 1e3
    figures = f"{np.median(ms):.2f} | {np.percentile(ms, 99):.1f} | {100 * np.mean(share):.1f} %"
    print(f"| {name} | {build_s:.1f} | {figures} |", flush=True)


def built(build: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `build` returns, and its seconds."""
    started = time.perf_counter()
    return build(), time.perf_counter() - started


def row_vectors(model: Model) -> npt.NDArray[np.float32]:
    """Return rows so that their product with `query_vector` is the score, but for a constant of the query."""
    weights = np.array([features.DEFAULT_WEIGHTS[name] for name in features.SCORE], np.float32)
    stored = np.asarray(model.arrays["score"])
    own = -0.5 * (weights @ stored[COLUMNS : 2 * COLUMNS] + features.DEFAULT_WEIGHTS["year"] * stored[2 * COLUMNS])
    genre = model.genre_vectors(np.arange(len(model))).astype(np.float32)
    return np.ascontiguousarray(np.column_stack([stored[:COLUMNS].T, stored[2 * COLUMNS + 1], own, genre]))


def query_vector(request: ScoreQuery) -> npt.NDArray[np.float32]:
    """Return what `row_vectors` are multiplied with."""
    own = [request.weights["popularity"], 1.0]
    return np.concatenate([request.column_weights * request.center, own, request.genre]).astype(np.float32)


def _flat(vectors: npt.NDArray[np.float32]) -> Any:
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


def _ivf(vectors: npt.NDArray[np.float32]) -> Any:
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], 1024, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[np.random.default_rng(0).choice(len(vectors), min(len(vectors), 100_000), replace=False)])
    index.add(vectors)
    return index


def _usearch(vectors: npt.NDArray[np.float32], order: npt.NDArray[np.intp]) -> Index:
    # Its graph needs a metric: one more column makes the greatest product the least distance (Bachrach et al. 2014).
    norms = (vectors.astype(np.float64) ** 2).sum(axis=1)
    lifted = np.column_stack([vectors, np.sqrt(norms.max() - norms)]).astype(np.float32)
    index = Index(ndim=lifted.shape[1], metric="l2sq", dtype="f32", connectivity=16, expansion_search=256)
    index.add(order, lifted[order], threads=2)
    return index


def _naive(model: Model) -> Callable[[ScoreQuery], npt.NDArray[np.intp]]:
    """Return the way that comes to mind first: filter a frame by cluster, cosine, sort."""
    points = np.asarray(model.arrays["cluster_point"])
    frame = pd.DataFrame(points).assign(cluster=np.asarray(model.cluster))

    def ask(request: ScoreQuery) -> npt.NDArray[np.intp]:
        # The track nearest to the request's centre stands for it: cosine takes a track, not a mean.
        seed = int(model.nearest(request, 1).rows[0])
        inside = frame[frame["cluster"] == frame["cluster"].iloc[seed]].drop(columns="cluster")
        alike = cosine_similarity(points[seed][None], inside.to_numpy())[0]
        nearest: npt.NDArray[np.intp] = inside.index.to_numpy()[np.argsort(-alike)[:K]]
        return nearest

    return ask
