"""Read playlists and lists of songs as seeds: CSV, JSONL, M3U8, XSPF, JSPF, plain lines.

A row that cannot be used says why, and the others are read all the same. `UnreadablePlaylist` is raised only where no
row could be told at all.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from producer.playlists import markup, rows, sheets
from producer.playlists.rows import Prefer, Reading, Row, UnreadablePlaylist

__all__ = ["KINDS", "MAX_CHARACTERS", "MAX_ROWS", "Prefer", "Reading", "Row", "UnreadablePlaylist", "read", "text_of"]

MAX_CHARACTERS = 64_000_000
MAX_ROWS = rows.MAX_ROWS

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".m3u8": "m3u8",
    ".m3u": "m3u8",
    ".xspf": "xspf",
    ".jspf": "jspf",
}
_PARSERS: dict[str, Callable[[str, Prefer], Reading]] = {
    "csv": sheets.csv_rows,
    "jsonl": rows.jsonl_rows,
    "m3u8": rows.m3u8_rows,
    "xspf": markup.xspf_rows,
    "jspf": markup.jspf_rows,
    "lines": rows.plain_rows,
}
KINDS = tuple(_PARSERS)


def text_of(data: bytes) -> str:
    """Return a file's text: UTF-8, or UTF-16 that says so in its first two bytes, as Excel and Apple Music write it.

    Raises UnreadablePlaylist for any other.
    """
    if len(data) > 4 * MAX_CHARACTERS:
        raise UnreadablePlaylist(f"the file has over {4 * MAX_CHARACTERS:,} bytes; split it into several")
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UnreadablePlaylist(f"line {line} is no UTF-8; save the file again with the encoding UTF-8") from None


def read(text: str, kind: str | None = None, filename: str = "", prefer: Prefer = "names") -> Reading:
    """Return what a file holds, row by row, as fields of a `schema.Seed`.

    kind: one of KINDS; None: told by the file's name, or else by what is in it.
    prefer: what a row that has title, artist and a Spotify id is looked up by. Names find the song in any version, also
    where the catalogue has it by another id.

    Raises UnreadablePlaylist for a file of which no row can be told, ValueError for a kind that there is not.
    """
    if len(text) > MAX_CHARACTERS:
        raise UnreadablePlaylist(f"the file has over {MAX_CHARACTERS:,} characters; split it into several")
    text = text.removeprefix("\ufeff")
    if kind is None:
        kind = _kind_by_name(filename) or _kind_by_content(text)
    if kind not in _PARSERS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
    return _PARSERS[kind](text, prefer)


def _kind_by_name(filename: str) -> str | None:
    suffix = re.search(r"\.\w+$", filename.lower())
    return _SUFFIXES.get(suffix[0]) if suffix else None


def _kind_by_content(text: str) -> str:
    start = text[:2000].lstrip()
    if start.startswith("#EXTM3U") or re.search(r"^#EXTINF:", start, re.M):
        return "m3u8"
    if start.startswith("<"):
        return "xspf"
    if start.startswith("{"):
        return "jsonl" if _is_track(text.lstrip().partition("\n")[0]) else "jspf"
    if sheets.has_header(text):
        return "csv"
    return "lines"


def _is_track(line: str) -> bool:
    try:
        return not isinstance(json.loads(line).get("playlist"), dict)
    except (ValueError, RecursionError, AttributeError):
        return False
