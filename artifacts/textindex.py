"""Names: one normaliser for index and query, and look-up by exact normalised name.

The index is two sorted arrays, hash → row, searched by bisection; a hit is checked against the real name, so a
collision of hashes can cost time but never give a wrong song. User text is never a pattern.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

_MARKS = re.compile(r"[\u0300-\u036f]")  # accents only: the voicing marks of Japanese are letters to their readers
_SEPARATORS = re.compile(r"[\W_]+")
_APOSTROPHES = re.compile(r"['’‘`´]")
_GUEST = re.compile(
    r"\s*[(\[]\s*(?:feat\.?|ft\.?|featuring|with)\s[^)\]]*[)\]]|\s+(?:feat\.?|ft\.?|featuring)\s.*$", re.I
)
_VERSION = re.compile(
    r"\b(?:remaster(?:ed)?|live|acoustic|demo|mono|stereo|edit|unplugged|instrumental|version|deluxe|bonus track|"
    r"re-?recorded|original mix|radio mix|\d{4} (?:re)?mix)\b",
    re.I,
)
_BRACKET = re.compile(r"\s*[(\[]([^()\[\]]*)[)\]]\s*$")
_DASH = re.compile(r"\s+[-–—]\s+([^-–—]+)$")


def normalise(text: str) -> str:
    """Return `text` as names are compared: lower case, no accents or punctuation, "&" as "and", single spaces.

    Idempotent. A name of nothing but punctuation stays as it is, so that "???" can be found.
    """
    if text.isascii():
        folded = text.lower()
    else:
        folded = _MARKS.sub("", unicodedata.normalize("NFKD", text).casefold())
        folded = unicodedata.normalize("NFKC", folded)
    bare = _SEPARATORS.sub(" ", _APOSTROPHES.sub("", folded.replace("&", " and "))).strip()
    return unicodedata.normalize("NFKC", bare) or folded.strip() or text.strip()


def core_title(title: str) -> str:
    """Return `title` without what tells versions of one song apart: guests, "Remastered 2011", "(Live)" and such.

    Loops at most four times; never returns an empty title.
    """
    core = title
    for _ in range(4):
        before = core
        core = _GUEST.sub("", core)
        for pattern in (_BRACKET, _DASH):
            found = pattern.search(core)
            if found and _VERSION.search(found[1]):
                core = core[: found.start()]
        if core == before:
            break
    return core.strip() or title


def title_forms(title: str) -> tuple[str, ...]:
    """Return the normalised title and, if it differs, the normalised core title."""
    full, core = normalise(title), normalise(core_title(title))
    return (full,) if core == full else (full, core)


def _key(artist: str, title: str) -> int:
    return int.from_bytes(blake2b(f"{artist}\n{title}".encode(), digest_size=8).digest(), "little")


def build(names: Iterable[tuple[str, Sequence[str]]]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int32]]:
    """Index tracks by name.

    names: (title, artists) of each row, in row order; each credited artist is indexed on its own, and the title alone.
    → keys uint64 (m,), ascending, and rows int32 (m,), ascending among equal keys.
    """
    keys: list[int] = []
    rows: list[int] = []
    artist_form: dict[str, str] = {}
    for row, (title, artists) in enumerate(names):
        forms = title_forms(title)
        for artist in ("", *artists):
            if artist not in artist_form:
                artist_form[artist] = normalise(artist)
            for form in forms:
                keys.append(_key(artist_form[artist], form))
                rows.append(row)
    key_array, row_array = np.array(keys, np.uint64), np.array(rows, np.int32)
    order = np.lexsort((row_array, key_array))
    return key_array[order], row_array[order]


class NameIndex:
    """Rows by exact normalised name."""

    def __init__(
        self,
        keys: npt.NDArray[np.uint64],
        rows: npt.NDArray[np.int32],
        name_of: Callable[[int], tuple[str, Sequence[str]]],
    ) -> None:
        """keys, rows: from `build`. name_of: row → (title, artists), to check hits against."""
        self._keys, self._rows, self._name_of = keys, rows, name_of

    def find(self, title: str, artist: str | None = None, limit: int = 1000) -> list[int]:
        """Return up to `limit` rows whose title, or core title, is `title`, by `artist` if given. Ascending."""
        return sorted(set(self._hits(title, artist, limit)))

    def _hits(self, title: str, artist: str | None, limit: int) -> Iterator[int]:
        who = normalise(artist) if artist else ""
        for form in title_forms(title):
            key = np.uint64(_key(who, form))
            start, stop = np.searchsorted(self._keys, key, "left"), np.searchsorted(self._keys, key, "right")
            for row in self._rows[start : min(stop, start + limit)].tolist():
                found_title, found_artists = self._name_of(row)
                if form in title_forms(found_title) and (not who or who in map(normalise, found_artists)):
                    yield row
