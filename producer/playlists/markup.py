"""Read XSPF and JSPF. XML with a document type is refused, so there are no entities to expand and nothing to fetch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape

from producer.playlists.documents import clean, id_of
from producer.playlists.rows import (
    Prefer,
    Reading,
    Row,
    UnreadablePlaylist,
    bounded,
    is_track,
    row_of,
    too_long,
)

MAX_DEPTH = 50
_FIELDS = ("location", "identifier", "title", "creator", "album", "duration")
Track = dict[str, list[str]]


class _Xspf:
    """Takes from XSPF the playlist's title and the fields of each track, wherever else they may stand."""

    def __init__(self) -> None:
        self.path: list[str] = []
        self.title = ""
        self.tracks: list[Track] = []
        self.text: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.text.append

    def read(self, text: str) -> None:
        try:
            self.parser.Parse(clean(text), True)
        except expat.ExpatError as error:
            what = expat.errors.messages.get(error.code, "error")
            raise UnreadablePlaylist(f"no well-formed XML: {what}, line {error.lineno}") from None

    def _doctype(self, *_: object) -> None:
        raise UnreadablePlaylist("XML with a DOCTYPE is not read; take it out of the file")

    def _start(self, name: str, _: dict[str, str]) -> None:
        self.path.append(name.rpartition(" ")[2])
        if len(self.path) > MAX_DEPTH:
            raise UnreadablePlaylist(f"XML nested deeper than {MAX_DEPTH} levels")
        if len(self.path) == 1 and self.path[0] != "playlist":
            raise UnreadablePlaylist(f"no XSPF: it begins with <{self.path[0][:80]}>, not with <playlist>")
        if self.path == ["playlist", "trackList", "track"]:
            self.tracks.append({})
        self.text.clear()

    def _end(self, _: str) -> None:
        text = "".join(self.text)
        if self.path == ["playlist", "title"]:
            self.title = text.strip()
        elif self.path[:-1] == ["playlist", "trackList", "track"] and self.path[-1] in _FIELDS:
            self.tracks[-1].setdefault(self.path[-1], []).append(text)
        self.path.pop()
        self.text.clear()


def xspf_rows(text: str, prefer: Prefer) -> Reading:
    """Read XSPF 1 or 0. Raises UnreadablePlaylist if it is none."""
    xspf = _Xspf()
    xspf.read(text)
    title = xspf.title or None

    def found() -> Iterator[Row]:
        for number, track in enumerate(xspf.tracks, 1):
            fields = (f"<{name}>{escape(value)}</{name}>" for name in _FIELDS for value in track.get(name, []))
            yield _row(number, f"<track>{''.join(fields)}</track>", title, track, prefer)

    named = f"<title>{escape(title)}</title>" if title else ""
    header = f'<?xml version="1.0" encoding="UTF-8"?>\n<playlist version="1" xmlns="http://xspf.org/ns/0/">{named}<trackList>'
    return Reading("xspf", bounded(found()), header, (), footer="</trackList></playlist>")


def jspf_rows(text: str, prefer: Prefer) -> Reading:
    """Read JSPF. Raises UnreadablePlaylist if it is none."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        raise UnreadablePlaylist("no JSON; JSPF is one JSON object with the name playlist") from None
    playlist = whole.get("playlist") if isinstance(whole, dict) else None
    tracks = playlist.get("track") if isinstance(playlist, dict) else None
    if not isinstance(playlist, dict) or not isinstance(tracks, list):
        raise UnreadablePlaylist("no JSPF: it has no playlist with a list named track")
    title = clean(_strings(playlist.get("title"))[0]).strip() or None

    def found() -> Iterator[Row]:
        for number, track in enumerate(tracks, 1):
            source = json.dumps(track, ensure_ascii=False)
            if isinstance(track, dict):
                yield _row(number, source, title, {name: _strings(track.get(name)) for name in _FIELDS}, prefer)
            else:
                yield Row(number, None, title, "it is no JSON object", source)

    header = json.dumps({"playlist": {**({"title": title} if title else {}), "track": []}}, ensure_ascii=False)
    return Reading("jspf", bounded(found()), header[: -len("]}}")], (), between=",\n", footer="]}}")


def _strings(value: Any) -> list[str]:
    """Return the texts of a field that holds one or a list of them; at least an empty one."""
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)] or [""]


def _row(number: int, source: str, title: str | None, track: Track, prefer: Prefer) -> Row:
    addresses = [text.strip() for name in ("identifier", "location") for text in track.get(name, [])]
    ours = [text for text in addresses if id_of(text)]
    links = [text for text in addresses if is_track(text)]
    return too_long(number, source) or row_of(
        number,
        source,
        title,
        prefer,
        name=track.get("title", [""])[0],
        artist=track.get("creator", [""])[0],
        track=(ours or links or [""])[0],
    )
