"""The songs that a playlist may be made of, and the problem of putting them in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from artifacts.model import UNKNOWN, Model, Rows
from producer.songs import WINDOW
from worker import arcs, transitions
from worker.problem import Order, Problem
from worker.ranking import Candidate
from worker.transitions import Tracks

F64 = npt.NDArray[np.float64]

RELEVANCE = 0.4
"""What it costs to take the last song of the ranking instead of the first."""


@dataclass(frozen=True)
class Pool:
    """Songs in the order: those that stand before the others and stay, other given ones, the chosen, the spare.

    rows: (m,); artists: codes of each; seconds: (m,), NaN unknown; head, given, chosen: how many there are of each.
    own: float64 (m,), what it costs to use each; kind: (m,), which of several rankings each is from.
    """

    rows: Rows
    tracks: Tracks
    artists: list[tuple[int, ...]]
    seconds: F64
    head: int
    given: int
    chosen: int
    own: F64
    kind: Order

    @staticmethod
    def of(
        model: Model, head: Sequence[int], given: Sequence[int], chosen: Sequence[Candidate], spare: Sequence[Candidate]
    ) -> Pool:
        """Read what is needed of each song."""
        found = [*chosen, *spare]
        rows = np.array([*head, *given, *(c.row for c in found)], np.intp)
        first = len(head) + len(given)
        own, kind = np.zeros(len(rows)), np.full(len(rows), -1, np.intp)
        own[first:] = RELEVANCE * np.arange(len(found)) / max(len(found), 1)
        kind[first:] = [c.source for c in found]
        tracks = Tracks.of(model, rows)
        sizes = len(head), len(given), len(chosen)
        return Pool(rows, tracks, model.credits(rows), seconds_of(model, rows), *sizes, own, kind)

    @property
    def start(self) -> Order:
        """Head, given and chosen, as they are."""
        return np.arange(self.head + self.given + self.chosen)

    def problem(
        self, places: int, gap: int, most: int, harmonic: bool, wanted: F64 | None, opening: int = 0
    ) -> Problem:
        """Return the problem of filling `places` places, the head's included.

        wanted: energies to aim at behind the head, or None; opening: how many of the given songs stay in front, too.
        """
        m = len(self.rows)
        fixed = np.zeros(m, bool)
        fixed[: self.head + self.given] = True
        place = None
        if wanted is not None:
            place = np.zeros((places, m))
            place[self.head :] = arcs.costs(wanted, self.tracks.energy)
        pair = transitions.costs(self.tracks, self.tracks, harmonic)
        conflict, groups = conflicts(self.artists, most, gap)
        return Problem(
            pair=np.maximum(pair, pair.T),
            place=place,
            own=self.own,
            conflict=conflict,
            gap=gap,
            groups=groups,
            most=most,
            window=WINDOW,
            head=self.head + opening,
            fixed=fixed,
            kind=self.kind,
        )


def conflicts(artists: Sequence[Sequence[int]], most: int, gap: int) -> tuple[npt.NDArray[np.bool_], tuple[Order, ...]]:
    """Return which songs share an artist, and the songs of each artist who could be there too often.

    Where the gap alone keeps an artist from being more than `most` times in a window, no song is among the latter.
    """
    songs: dict[int, list[int]] = {}
    for item, codes in enumerate(artists):
        for code in codes:
            songs.setdefault(code, []).append(item)
    shared = np.zeros((len(artists), len(artists)), bool)
    groups = []
    for members in songs.values():
        if len(members) > 1:
            shared[np.ix_(members, members)] = True
        if len(members) > most and most * (gap + 1) < WINDOW:
            groups.append(np.array(members, np.intp))
    np.fill_diagonal(shared, False)
    return shared, tuple(groups)


def seconds_of(model: Model, rows: Rows) -> F64:
    """Return how long rows last, NaN unknown."""
    duration = model.arrays["duration_ms"][rows].astype(np.float64)
    return np.where(duration == UNKNOWN, np.nan, duration / 1000)
