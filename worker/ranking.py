"""Choose from ranked candidates: one version of a song, not too much of one artist, and as different as asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from hashlib import blake2b
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from producer.songs import WINDOW, next_allowed

VARIATION_SPREAD = 0.4
"""How far a variation moves a score, in its own units: about what lies between the 1st and the 20th of an answer."""

Vectors = npt.NDArray[np.float64]


class Candidate(NamedTuple):
    """A row with its score, its song's number and the codes of its artists.

    place: from 1, among all that pass; source: which of several lists it is from.
    """

    row: int
    score: float
    song: int
    artists: tuple[int, ...]
    place: int = 0
    source: int = 0


def one_version_each(candidates: Sequence[Candidate], without_songs: Collection[int]) -> list[Candidate]:
    """Return the first candidate of each song. without_songs: songs to leave out, the seeds' own."""
    songs = set(without_songs)
    kept = []
    for candidate in candidates:
        if candidate.song not in songs:
            songs.add(candidate.song)
            kept.append(candidate)
    return kept


Artists = Sequence[Collection[int]]


def choose(
    candidates: Sequence[Candidate], limit: int, max_per_artist: int, gap: int = 0, before: Artists = ()
) -> list[Candidate]:
    """Return up to `limit` candidates, no artist more than `max_per_artist` times in any WINDOW.

    gap: other tracks, at least, between two of an artist; before: the artists of the tracks before the first.
    candidates: best first. One that comes too soon after others of its artist waits for its turn, so the order is that
    of the candidates as far as the cap allows.
    """
    waiting, chosen = list(candidates), list[Candidate]()
    while len(chosen) < limit:
        turn = next_allowed((c.artists for c in waiting), _last(before, chosen, gap), max_per_artist, gap)
        if turn is None:
            break
        chosen.append(waiting.pop(turn))
    return chosen


def _last(before: Artists, chosen: Sequence[Candidate], gap: int) -> Artists:
    """Return the artists of the last tracks, as many as matter."""
    tail = max(WINDOW, gap)
    return [*before[-tail:], *(candidate.artists for candidate in chosen[-tail:])]


def choose_diverse(
    candidates: Sequence[Candidate],
    vectors: Vectors,
    limit: int,
    max_per_artist: int,
    diversity: float,
    gap: int = 0,
    before: Artists = (),
) -> list[Candidate]:
    """Return up to `limit` candidates by maximal marginal relevance (Carbonell, Goldstein 1998), under the artist cap.

    Each turn takes the candidate with the greatest (1 − d)·relevance − d·likeness to the most alike already chosen;
    relevance is the score's place between the worst (0) and the best (1) of the candidates. Ties go to the better.

    vectors: float64 (len(candidates), m), unit length: their products are the likeness, −1…1. diversity: d, 0–1.
    gap, before: as in `choose`.
    """
    if not candidates:
        return []
    score = np.array([c.score for c in candidates])
    relevance = (score - score.min()) / (np.ptp(score) or 1.0)
    alike = np.full(len(candidates), -1.0)
    free = np.ones(len(candidates), bool)
    chosen: list[Candidate] = []
    while len(chosen) < limit and free.any():
        marginal = (1 - diversity) * relevance - diversity * alike
        order = np.flatnonzero(free)[np.argsort(-marginal[free], kind="stable")]
        artists = (candidates[i].artists for i in order)
        turn = next_allowed(artists, _last(before, chosen, gap), max_per_artist, gap)
        if turn is None:
            break
        taken = int(order[turn])
        free[taken] = False
        chosen.append(candidates[taken])
        # A sum, not a matrix product, whose rounding depends on a row's place.
        alike = np.maximum(alike, (vectors * vectors[taken]).sum(axis=1))
    return chosen


def vary(candidates: Sequence[Candidate], ids: Sequence[str], variation: int) -> list[Candidate]:
    """Return the candidates in another order: each score moved by a number that follows from its id and `variation`."""

    def moved(candidate: Candidate, track_id: str) -> float:
        digest = blake2b(f"{variation}\n{track_id}".encode(), digest_size=8).digest()
        uniform = (int.from_bytes(digest, "big") + 0.5) / 2**64
        return candidate.score - VARIATION_SPREAD * float(np.log(-np.log(uniform)))  # Gumbel noise

    order = sorted(zip(candidates, ids, strict=True), key=lambda pair: (-moved(*pair), pair[1]))
    return [candidate for candidate, _ in order]


def interleave(lists: Sequence[Sequence[Candidate]], weights: Sequence[float]) -> list[Candidate]:
    """Return the candidates of several lists in turns, each list as often as its weight says, best first.

    Each song once, from the list that reaches it first. weights: > 0, one a list.
    """
    songs: set[int] = set()
    rest = [iter(candidates) for candidates in lists]
    taken = [0] * len(lists)
    merged: list[Candidate] = []
    turns = [(1 / weight, i) for i, weight in enumerate(weights)]
    heapify(turns)
    while turns:
        turn = turns[0][1]
        # What other lists had before does not count as a turn.
        candidate = next((c for c in rest[turn] if c.song not in songs), None)
        if candidate is None:
            heappop(turns)
            continue
        songs.add(candidate.song)
        merged.append(candidate)
        taken[turn] += 1
        heapreplace(turns, ((taken[turn] + 1) / weights[turn], turn))
    return merged
