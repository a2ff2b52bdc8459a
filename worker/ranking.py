"""Choose from ranked candidates: one version of a song, and not too much of one artist."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

WINDOW = 10
"""The artist cap counts among so many tracks that follow each other."""


@dataclass(frozen=True)
class Candidate:
    """A row with its score, its song's number and the codes of its artists."""

    row: int
    score: float
    song: int
    artists: tuple[int, ...]


def choose(
    candidates: Sequence[Candidate], limit: int, max_per_artist: int, without_songs: Collection[int]
) -> list[Candidate]:
    """Return up to `limit` candidates: each song once, no artist more than `max_per_artist` times in any WINDOW.

    candidates: best first. without_songs: songs to leave out, the seeds' own. A candidate that comes too soon after
    others of its artist waits for its turn, so the order is that of the scores as far as the cap allows.
    """
    songs = set(without_songs)
    waiting: list[Candidate] = []
    for candidate in candidates:
        if candidate.song not in songs:
            songs.add(candidate.song)
            waiting.append(candidate)
    chosen: list[Candidate] = []
    while len(chosen) < limit:
        recent = [artist for other in chosen[-(WINDOW - 1) :] for artist in other.artists]
        turn = next(
            (i for i, c in enumerate(waiting) if all(recent.count(artist) < max_per_artist for artist in c.artists)),
            None,
        )
        if turn is None:
            break
        chosen.append(waiting.pop(turn))
    return chosen
