"""What holds of songs wherever an answer is made, by a worker or without one: their names, and the artist cap."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence

WINDOW = 10
"""The artist cap counts among so many tracks that follow each other."""

_SPOTIFY_ID = re.compile(
    r"(?:spotify:track:|https?://open\.spotify\.com/(?:intl-[a-z]{2,3}/)?track/)([0-9A-Za-z]{22})(?:[?#].*)?"
)


def track_id_of(text: str) -> str:
    """Return the id in a Spotify URI or URL; anything else as it is."""
    found = _SPOTIFY_ID.fullmatch(text)
    return found[1] if found else text


def camelot_place(key: int, mode: int) -> int:
    """Return a key's place on the Camelot wheel, 0–23: its number less one, and 12 more for major (B).

    key: pitch class, 0 = C; mode: 1 major, 0 minor. A fifth up is a step on; 8B is C major, 8A its relative minor, A.
    """
    return (7 * (key if mode else key + 3) + 7) % 12 + (12 if mode else 0)


def camelot_name(place: int) -> str:
    """Return a place on the wheel as DJs write it: 8A, 11B."""
    return f"{place % 12 + 1}{'B' if place >= 12 else 'A'}"


def plain(name: str) -> str:
    """Return a title or an artist's name as it is compared without an index: no case, accents or punctuation.

    A name of nothing but punctuation stays as it is, so that it is like itself only.
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    words = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    return " ".join(words.split()) or name.strip()


def next_allowed(
    waiting: Iterable[Collection[Hashable]],
    chosen: Sequence[Collection[Hashable]],
    max_per_artist: int,
    gap: int = 0,
) -> int | None:
    """Return the place of the first of those waiting whose artists have not had their share of the last tracks.

    waiting, chosen: the artists of each track, in order; gap: other tracks, at least, between two of an artist.
    None: all have had it.
    """
    recent = Counter(artist for artists in chosen[-(WINDOW - 1) :] for artist in artists)
    full = {artist for artist, times in recent.items() if times >= max_per_artist}
    full.update(artist for artists in chosen[len(chosen) - min(gap, len(chosen)) :] for artist in artists)
    return next((i for i, artists in enumerate(waiting) if full.isdisjoint(artists)), None)
