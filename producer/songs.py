"""How requests name songs and artists, for readers without the name index of artifacts/names.py."""

from __future__ import annotations

import re
import unicodedata

_SPOTIFY_ID = re.compile(
    r"(?:spotify:track:|https?://open\.spotify\.com/(?:intl-[a-z]{2,3}/)?track/)([0-9A-Za-z]{22})(?:[?#].*)?"
)


def track_id_of(text: str) -> str:
    """Return the id in a Spotify URI or URL; anything else as it is."""
    found = _SPOTIFY_ID.fullmatch(text)
    return found[1] if found else text


def plain(name: str) -> str:
    """Return a title or an artist's name as it is compared without an index: no case, accents or punctuation.

    A name of nothing but punctuation stays as it is, so that it is like itself only.
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    words = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    return " ".join(words.split()) or name.strip()
