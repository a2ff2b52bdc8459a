"""The systems that an evaluation compares: the engine, the judge of it, and what it must be better than.

Each is a function from seeds to a list: rows, best first, one of each song, none of a seed's song, at most `limit`.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts import features
from artifacts.model import UNKNOWN, Model

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

SERVICE_LIMIT, SERVICE_SEEDS = 100, 50
"""The longest list, and the most seeds, of one request to the service."""

NO_CAP = 10
"""The service counts an artist's tracks among any ten."""

_ANSWER_S, _POLL_S = 60.0, 0.005


class ServiceError(OSError):
    """The service is not there, or answers otherwise than it promises."""


@dataclass(frozen=True)
class Straight:
    """What design and docs/reference/features.md score by, nothing precomputed.

    x: (11, n), audio columns towards their artist's and ŷ; doubt: v (n,); popularity: z-scored (n,); genre: unit
    vectors (sets, genres); label_set: the row of `genre` for each track (n,).
    """

    x: npt.NDArray[np.floating]
    doubt: npt.NDArray[np.floating]
    popularity: npt.NDArray[np.floating]
    genre: F64
    label_set: npt.NDArray[np.integer]

    @staticmethod
    def stored(model: Model) -> Straight:
        """Take what a model stores."""
        stored, d = model.arrays["score"], len(features.SCORE)
        offsets, labels = model.arrays["set_offsets"].tolist(), model.arrays["set_genre"]
        genre = np.zeros((len(offsets) - 1, len(model.manifest.genres)))
        for number, vector in enumerate(genre):
            mine = labels[offsets[number] : offsets[number + 1]]
            vector[mine] = 1 / np.sqrt(max(len(mine), 1))
        return Straight(stored[:d], stored[2 * d], stored[2 * d + 1], genre, model.arrays["score_genre_set"])

    def score(self, seeds: Rows) -> F64:
        """Return the default score of every row, float64 (n,), term by term: the judge of the engine.

        −½ Σ wᵢ(x̃ᵢ − x̄ᵢ)² − ½ w_year[(ŷ − ȳ)² + v] + γ g·ḡ + β pop; x̄, ȳ, ḡ: means over the seeds.
        """
        w = features.DEFAULT_WEIGHTS
        score = np.zeros(self.x.shape[1])
        for column, name in zip(self.x, features.SCORE, strict=True):
            value = column.astype(np.float64)
            score -= 0.5 * w[name] * (value - value[seeds].mean()) ** 2
        score -= 0.5 * w["year"] * self.doubt.astype(np.float64)
        wanted = self.genre[self.label_set[seeds]].mean(axis=0)
        score += (w["genre"] * (self.genre * wanted).sum(axis=1))[self.label_set]
        score += w["popularity"] * self.popularity.astype(np.float64)
        return score


@dataclass(frozen=True)
class Ground:
    """A model with what the systems need of it.

    known: the best-known row of each song, the most popular first, (songs,). sound: the ten audio columns as they were
    before artists were smoothed, z-scored, 0 where unknown, float32 (10, n).
    """

    model: Model
    known: Rows
    sound: F32
    straight: Straight

    @staticmethod
    def of(model: Model) -> Ground:
        """Prepare a model."""
        order = model.arrays["popular_row"]
        first = np.sort(np.unique(model.song[order], return_index=True)[1])
        return Ground(model, np.asarray(order[first], np.intp), plain_sound(model), Straight.stored(model))


Rank = Callable[[Ground, Rows, int, np.random.Generator], Rows]


def plain_sound(model: Model) -> F32:
    """Return the audio columns before they were pulled towards their artists': `features.smooth_by_artist` undone.

    x̃ = (1 − a)x + a·c, so the mean of an artist's x̃ is c·[(1 − a)·known ÷ all + a]. → float32 (10, n).
    """
    a, smoothed = model.arrays, model.arrays["score"][: len(features.AUDIO)]
    offsets = a["credit_offsets"]
    credited = np.flatnonzero(offsets[1:] > offsets[:-1])
    who = a["credit_artist"][offsets[credited]]
    count = np.maximum(np.bincount(who), 1)
    share = 0.5 * count / (count + 3)
    analysed, timed = ~np.isnan(a["tempo"][credited]), a["duration_ms"][credited] != UNKNOWN
    plain = smoothed.astype(np.float32)
    for name, row in zip(features.AUDIO, plain, strict=True):
        there = np.bincount(who, weights=timed if name == "duration" else analysed, minlength=len(count)) / count
        total = np.bincount(who, weights=row[credited], minlength=len(count)) / count
        centroid = total / np.maximum((1 - share) * there + share, 1e-9)
        row[credited] = (row[credited] - (share * centroid)[who]) / (1 - share)[who]
    return plain


def by_score(ground: Ground, seeds: Rows, limit: int, _: np.random.Generator) -> Rows:
    """Ask the engine, with the default weights."""
    request = ground.model.query(seeds.tolist(), {})
    return _one_of_each(ground, seeds, limit, lambda k: ground.model.nearest(request, k).rows)


def by_judge(ground: Ground, seeds: Rows, limit: int, _: np.random.Generator) -> Rows:
    """Score every row, straight from the formula."""
    return by_order(ground, ground.straight.score(seeds), seeds, limit)


def by_cluster(ground: Ground, seeds: Rows, limit: int, _: np.random.Generator) -> Rows:
    """Ask the engine for method "cluster": cosine of the principal components within the seeds' cluster."""
    return _one_of_each(ground, seeds, limit, lambda k: ground.model.nearest_in_cluster(seeds.tolist(), k).rows)


def by_distance(ground: Ground, seeds: Rows, limit: int, _: np.random.Generator) -> Rows:
    """Take the nearest to the seeds' mean in the ten audio columns, all alike, nothing else."""
    score = np.zeros(len(ground.model))
    for column in ground.sound:
        score -= (column - column[seeds].mean(dtype=np.float64)) ** 2
    return by_order(ground, score, seeds, limit)


def at_random(ground: Ground, seeds: Rows, limit: int, random: np.random.Generator) -> Rows:
    """Take any songs."""
    return _some(ground, ground.known, seeds, limit, random)


def by_popularity(ground: Ground, seeds: Rows, limit: int, _: np.random.Generator) -> Rows:
    """Take the most popular songs."""
    return _others(ground, ground.known[: limit + len(seeds)], seeds)[:limit]


def of_genre_at_random(ground: Ground, seeds: Rows, limit: int, random: np.random.Generator) -> Rows:
    """Take any songs that share a genre label with a seed."""
    return _some(ground, _of_genre(ground, seeds), seeds, limit, random)


def of_genre_by_popularity(ground: Ground, seeds: Rows, limit: int, _: np.random.Generator) -> Rows:
    """Take the most popular songs that share a genre label with a seed."""
    return _others(ground, _of_genre(ground, seeds)[: limit + len(seeds)], seeds)[:limit]


def of_cluster_at_random(ground: Ground, seeds: Rows, limit: int, random: np.random.Generator) -> Rows:
    """Take any songs of the seeds' clusters."""
    wanted = np.zeros(ground.model.manifest.clusters, bool)
    wanted[ground.model.cluster[seeds]] = True
    return _some(ground, ground.known[wanted[ground.model.cluster[ground.known]]], seeds, limit, random)


SYSTEMS: Mapping[str, Rank] = {
    "default": by_score,
    "judge": by_judge,
    "cluster": by_cluster,
    "euclid": by_distance,
    "genre-popular": of_genre_by_popularity,
    "genre-random": of_genre_at_random,
    "cluster-random": of_cluster_at_random,
    "popular": by_popularity,
    "random": at_random,
}


def through_service(url: str, method: str, max_per_artist: int = NO_CAP) -> Rank:
    """Return the system that asks a running service. method: "blend" or "cluster". Its Raises: ServiceError."""

    def rank(ground: Ground, seeds: Rows, limit: int, _: np.random.Generator) -> Rows:
        wanted = [{"track_id": ground.model.id_of(row)} for row in seeds.tolist()]
        query = {"seeds": wanted, "limit": limit, "method": method, "max_per_artist": max_per_artist}
        try:
            result = _answer(url, query)
            if result["model"] != ground.model.manifest.version or result["strategy"] != "catalogue":
                raise ServiceError(f"{url}: answered from model {result['model']} by strategy {result['strategy']}")
            rows = [ground.model.row_of_id(track["track_id"]) for track in result["tracks"]]
        except (KeyError, TypeError) as error:
            raise ServiceError(f"{url}: an answer of another shape than the contract's ({error!r})") from error
        return np.array([row for row in rows if row is not None], np.intp)

    return rank


def service_model(url: str) -> str:
    """Return the version of the model that a service answers from. Raises: ServiceError."""
    return str(_json(url, "/v1/model")["version"])


def by_order(ground: Ground, score: F64, seeds: Rows, limit: int) -> Rows:
    """Take the rows of the highest score, ties in the order of ids. score: (n,)."""

    def best(k: int) -> Rows:
        least = np.partition(score, -k)[-k] if k < len(score) else -np.inf
        rows = np.flatnonzero(score >= least)
        return rows[np.lexsort((ground.model.ranks(rows), -score[rows]))[:k]]

    return _one_of_each(ground, seeds, limit, best)


def _one_of_each(ground: Ground, seeds: Rows, limit: int, best: Callable[[int], Rows]) -> Rows:
    """Return the first row of each song but the seeds'. best: the k best rows; asked for more until they suffice."""
    look = 2 * limit + len(seeds)
    while True:
        found = best(look)
        songs = ground.model.song[found]
        rows = _others(ground, found[np.sort(np.unique(songs, return_index=True)[1])], seeds)[:limit]
        if len(rows) == limit or len(found) < look:
            return rows
        look *= 2


def _others(ground: Ground, rows: Rows, seeds: Rows) -> Rows:
    """Return the rows that are no version of a seed."""
    return rows[~np.isin(ground.model.song[rows], ground.model.song[seeds])]


def _some(ground: Ground, rows: Rows, seeds: Rows, limit: int, random: np.random.Generator) -> Rows:
    some = random.choice(rows, min(limit + len(seeds), len(rows)), replace=False)
    return _others(ground, some, seeds)[:limit]


def _of_genre(ground: Ground, seeds: Rows) -> Rows:
    """Return the best-known row of each song that shares a label with a seed, the most popular first.

    Tracks without a label have their artist's, as in the score. All songs if no seed has one.
    """
    straight = ground.straight
    shared = straight.genre @ straight.genre[straight.label_set[seeds]].sum(axis=0)
    sets = np.flatnonzero(shared > 0)
    if not len(sets):
        return ground.known
    of_genre: Rows = ground.known[np.isin(straight.label_set[ground.known], sets)]
    return of_genre


def _answer(url: str, query: Mapping[str, Any]) -> dict[str, Any]:
    """Submit a request and poll its job until it is over. → the result."""
    deadline = time.monotonic() + _ANSWER_S
    job = _json(url, "/v1/recommendations", query)
    while job["status"] not in ("succeeded", "failed", "canceled"):
        if time.monotonic() > deadline:
            raise ServiceError(f"{url}: job {job['id']} is {job['status']} after {_ANSWER_S:.0f} s")
        time.sleep(_POLL_S)
        job = _json(url, job["links"]["self"])
    if job["status"] != "succeeded":
        raise ServiceError(f"{url}: job {job['id']} {job['status']}: {job['error']}")
    result: dict[str, Any] = job["result"]
    return result


def _json(url: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise ServiceError(f"{url}: no http:// or https:// address")
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 — checked above
        url.rstrip("/") + path, data, {"Content-Type": "application/json", "User-Agent": "segue"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310 — checked above
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        with error:
            raise ServiceError(f"{url}{path}: {error.code} {error.read(500).decode(errors='replace')}") from error
    except (OSError, ValueError) as error:
        raise ServiceError(f"{url}{path}: {getattr(error, 'reason', None) or error}") from error
