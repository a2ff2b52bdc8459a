"""Measures of recommendation: of one ranked list against the songs that belong in it, and of many lists together.

Lists hold rows of a model or numbers of songs, best first. What each measure means: docs/explanation/quality.md.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from artifacts.model import UNKNOWN, Model

TOP = 10
"""Hit@10 and all that is said of many lists look at so many tracks of each: a first page."""

RESAMPLES = 1000

ACCURACY = ("r_precision", "ndcg", "hit", "recall")
"""The measures of one list, in the order of `accuracy`."""

F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


def accuracy(ranked: Sequence[int], truth: Collection[int], limit: int) -> tuple[float, float, float, float]:
    """Return R-precision, NDCG, Hit@10 and recall of one list, each 0–1, in the order of ACCURACY.

    ranked: songs, at most `limit`; of one that comes twice, the first time counts. truth: the songs sought, not empty.
    R-precision: share of the truth among the first so many as there are of it. NDCG: a hit at rank r is worth
    1 ÷ log2(r + 1), divided by what the best list of `limit` would be worth (Järvelin, Kekäläinen 2002).
    """
    hits = np.zeros(len(ranked), bool)
    left = set(truth)
    for i, song in enumerate(ranked):
        if song in left:
            left.remove(song)
            hits[i] = True
    size = len(set(truth))
    worth = 1 / np.log2(np.arange(2, max(limit, 1) + 2))
    return (
        float(hits[:size].sum()) / size,
        float(worth[: len(hits)] @ hits) / float(worth[:size].sum()),
        float(hits[:TOP].any()),
        float(hits.sum()) / size,
    )


@dataclass(frozen=True)
class Interval:
    """A mean over playlists and its 95 % interval."""

    mean: float
    low: float
    high: float


def bootstrap(values: F64, seed: int) -> Interval:
    """Return the mean and its 95 % interval: percentiles of the means of RESAMPLES draws with replacement.

    values: one a playlist, (n,), n ≥ 1. Two systems with one seed and the same playlists share the draws.
    """
    draws = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))


@dataclass(frozen=True)
class Lists:
    """What many lists are like: in their first TOP tracks, and for duplicates in all of them.

    coverage: distinct songs in all lists. diversity: mean distance of two tracks of a list in the ten audio columns,
    each in units of its standard deviation. popularity: the median, 0–100, None if unknown throughout. duplicates:
    share of the lists with two versions of one song, or one of a seed. one_artist: most tracks by one artist, the mean
    over the lists.
    """

    coverage: int
    diversity: float
    popularity: float | None
    duplicates: float
    one_artist: float


@dataclass(frozen=True)
class Figures:
    """What a system reached on all draws of one k. accuracy: by the names of ACCURACY."""

    accuracy: dict[str, Interval]
    lists: Lists


def describe(model: Model, sound: npt.NDArray[np.float32], lists: Sequence[Rows], seeds: Sequence[Rows]) -> Lists:
    """Describe lists of rows, at least one. sound: (10, n), z-scored. seeds: what each list was asked for."""
    tops = [rows[:TOP] for rows in lists]
    popularity = model.arrays["popularity"][np.concatenate(tops)]
    known = popularity[popularity != UNKNOWN]
    return Lists(
        coverage=len(set(chain.from_iterable(model.song[rows].tolist() for rows in tops))),
        diversity=float(np.mean([_mean_distance(sound[:, rows].T) for rows in tops])),
        popularity=float(np.median(known)) if len(known) else None,
        duplicates=float(
            np.mean([_has_twice(model.song[np.concatenate(pair)]) for pair in zip(seeds, lists, strict=True)])
        ),
        one_artist=float(np.mean([_most_of_one_artist(model, rows) for rows in tops])),
    )


def headings(limit: int) -> list[str]:
    """Return the names of what `cells` gives."""
    accuracy = ["R-precision", f"NDCG@{limit}", "Hit@10", f"recall@{limit}"]
    return [*accuracy, "coverage", "diversity", "popularity", "duplicates", "one artist"]


def cells(figures: Figures) -> list[str]:
    """Return figures as a table shows them."""
    digits = zip(figures.accuracy.values(), (4, 3, 3, 3), strict=True)
    shown = [f"{_share(i.mean, d)} [{_share(i.low, d)}–{_share(i.high, d)}]" for i, d in digits]
    lists = figures.lists
    popularity = "?" if lists.popularity is None else f"{lists.popularity:.0f}"
    shown += [f"{lists.coverage:,}", f"{lists.diversity:.2f}", popularity, f"{lists.duplicates:.1%}"]
    return [*shown, f"{lists.one_artist:.1f}"]


def _share(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".removeprefix("0")


def _mean_distance(points: npt.NDArray[np.float32]) -> float:
    """Return the mean Euclidean distance of two different points, 0 if there are not two. points: (m, d)."""
    m = len(points)
    apart = np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=2)
    return float(apart.sum()) / (m * (m - 1)) if m > 1 else 0.0


def _has_twice(songs: npt.NDArray[np.int32]) -> bool:
    return len(np.unique(songs)) < len(songs)


def _most_of_one_artist(model: Model, rows: Rows) -> int:
    codes = [code for row in rows.tolist() for code in set(model.artist_codes(row))]
    return int(np.bincount(codes).max()) if codes else 0
