"""What a command was given: seeds as words or from standard input, playlists as files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from producer.cli.errors import Wrong
from producer.cli.service import Fields
from producer.playlists import reading
from producer.playlists.reading import Reading, UnreadablePlaylist
from producer.playlists.rows import is_track, row_of, titled

STDIN = Path("-")


def bytes_of(path: Path) -> bytes:
    """Return what a file, or standard input, holds. Raises: Wrong."""
    try:
        if path == STDIN:
            return sys.stdin.buffer.read(4 * reading.MAX_CHARACTERS + 1)
        if path.is_file() and path.stat().st_size > 4 * reading.MAX_CHARACTERS:
            raise Wrong(f"{path} has over {4 * reading.MAX_CHARACTERS:,} bytes; split it into several")
        return path.read_bytes()
    except OSError as error:
        raise Wrong(f"{path}: {error.strerror}") from error


def read(path: Path, data: bytes, told: Callable[[str], None]) -> Reading:
    """Return the rows of a file, and say what was passed over. Raises: Wrong."""
    try:
        found = reading.read(reading.text_of(data), filename="" if path == STDIN else path.name)
    except UnreadablePlaylist as error:
        raise Wrong(f"{'standard input' if path == STDIN else path}: {error}") from error
    for note in found.notes:
        told(note)
    return found


def songs(path: Path, told: Callable[[str], None]) -> list[Fields]:
    """Return the songs of a playlist as seeds; of rows that cannot be used, say why. Raises: Wrong: there are none."""
    found = []
    for row in read(path, bytes_of(path), told).rows:
        if row.seed is None:
            told(f"row {row.number}: {row.error}")
        else:
            found.append(row.seed)
    if not found:
        raise Wrong(f"{path}: none of its rows names a song")
    return found


def seeds(words: Sequence[str] | None, told: Callable[[str], None], artist: str | None = None) -> list[Fields]:
    """Return seeds: each "Title - Artist", a title, an id, a URI or URL; - reads more from standard input.

    Lines of files have the artist first. artist: whose songs they are. Raises: Wrong.
    """
    found: list[Fields] = []
    for word in words or []:
        if word == "-":
            found += songs(STDIN, told)
        else:
            found.append(_seed(word))
    if artist is not None:
        found = [seed | ({"artist": artist} if "name" in seed and "artist" not in seed else {}) for seed in found]
    return found or ([{"artist": artist}] if artist else [])


def _seed(word: str) -> Fields:
    words = " ".join(word.split())
    row = row_of(1, words, None, "names", **({"track": words} if is_track(words) else titled(words)))
    if row.seed is None:
        raise Wrong(f"{word!r}: {row.error}")
    return row.seed
