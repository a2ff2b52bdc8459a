"""PCA and K-means in the cluster space, and the sweep over k that shows what the number of clusters costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score, silhouette_score
from threadpoolctl import threadpool_limits

SEED = 42
CLUSTERS = 35
VARIANCE = 0.9199
"""Share of the variance that the PCA keeps at least: the seed projects' figure."""

SWEEP = tuple(range(10, 51, 5))
_SWEEP_ROWS = 100_000
_SILHOUETTE_ROWS = 10_000  # 50,000 took 17 times as long for a silhouette 0.001 away (438,237 real tracks)

Array = npt.NDArray[np.float32]


def fit_pca(x: Array) -> PCA:
    """Fit the fewest principal components that keep VARIANCE. x: float32 (n, d)."""
    with threadpool_limits(1):
        return PCA(n_components=VARIANCE, svd_solver="covariance_eigh").fit(x)


def fit_kmeans(points: Array, k: int = CLUSTERS) -> KMeans:
    """Cluster `points` float32 (n, p) into `k`, the same for the same points.

    The best of five starts on a sample, then Lloyd on all: within 0.1 % of the inertia of ten full runs, in a
    twelfth of the time. One thread, because the order in which threads add up changes the last bits.
    """
    rng = np.random.default_rng(SEED)
    sample = points if len(points) <= _SWEEP_ROWS else points[rng.choice(len(points), _SWEEP_ROWS, replace=False)]
    with threadpool_limits(1):
        start = KMeans(k, n_init=5, random_state=SEED).fit(sample)
        return KMeans(k, init=start.cluster_centers_, n_init=1, max_iter=100, random_state=SEED).fit(points)


def group_rows(labels: npt.NDArray[np.integer], k: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return the rows ordered by cluster, ascending within each, and where each cluster begins: int64 (k + 1,)."""
    offsets = np.zeros(k + 1, np.int64)
    np.cumsum(np.bincount(labels, minlength=k), out=offsets[1:])
    return np.argsort(labels, kind="stable").astype(np.int32), offsets


def sweep(points: Array, ks: Sequence[int], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Cluster a sample of `points` for each k and measure the outcome.

    → one dict a k: k, silhouette (−1…1, higher is better), davies_bouldin (lower), calinski_harabasz (higher),
    inertia (a row; falls with k by itself).
    """
    rng = np.random.default_rng(SEED)
    sample = points if len(points) <= _SWEEP_ROWS else points[rng.choice(len(points), _SWEEP_ROWS, replace=False)]
    outcome = []
    for k in ks:
        tell(f"k = {k}")
        with threadpool_limits(1):
            model = KMeans(k, n_init=3, random_state=SEED).fit(sample)
            some = min(_SILHOUETTE_ROWS, len(sample))
            outcome.append(
                {
                    "k": k,
                    "silhouette": float(silhouette_score(sample, model.labels_, sample_size=some, random_state=SEED)),
                    "davies_bouldin": float(davies_bouldin_score(sample, model.labels_)),
                    "calinski_harabasz": float(calinski_harabasz_score(sample, model.labels_)),
                    "inertia": float(model.inertia_) / len(sample),
                }
            )
    return outcome


def plot_sweep(outcome: Sequence[dict[str, Any]], path: Path, chosen: int) -> None:
    """Draw the four measures over k into the picture file `path`, the chosen k marked."""
    from matplotlib.figure import Figure  # takes a second to import, and only a sweep needs it

    figure = Figure(figsize=(9, 6), layout="constrained")
    titles = {
        "silhouette": "Silhouette (higher is better)",
        "davies_bouldin": "Davies–Bouldin (lower is better)",
        "calinski_harabasz": "Calinski–Harabasz (higher is better)",
        "inertia": "Inertia a row (falls by itself)",
    }
    ks = [row["k"] for row in outcome]
    for axis, (name, title) in zip(np.ravel(figure.subplots(2, 2)), titles.items(), strict=True):
        axis.plot(ks, [row[name] for row in outcome], marker="o", color="#444")
        axis.axvline(chosen, color="#b5541c", linewidth=1, linestyle="--")
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("clusters")
    figure.savefig(path, dpi=120)
