"""Write playlists as files: M3U8, XSPF, JSPF, CSV, URI lists, JSONL. docs/reference/playlist-files.md has each in full.

The same playlist gives the same text; none holds a time or a name of the machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any
from xml.sax.saxutils import escape

from producer.playlists import locations
from producer.playlists.documents import Document, Song, clean, document_of, one_line, uri_of, valid_uri
from producer.playlists.tables import COLUMNS, cell

__all__ = ["FORMATS", "Document", "Format", "Song", "document_of"]

XSPF = "http://xspf.org/ns/0/"


@dataclass(frozen=True)
class Format:
    """A kind of file. suffix: with its dot. has_locations: `write` takes a template for them, too."""

    name: str
    suffix: str
    media_type: str
    write: Callable[..., str]
    has_locations: bool = False


def m3u8(document: Document, location: str | None = None) -> str:
    """Return the playlist for players. location: a template for every song; None: for those without an address.

    Raises ValueError for a template of which no location can be made.
    """
    locations.check(location or locations.DEFAULT)
    lines = ["#EXTM3U", f"#PLAYLIST:{one_line(document.title)}"]
    for song in document.songs:
        seconds = -1 if song.duration_ms is None else round(song.duration_ms / 1000)
        lines += [f"#EXTINF:{seconds},{_in_one(song)}", _location(song, location) or _beside(song)]
    return "\n".join(lines) + "\n"


def _in_one(song: Song) -> str:
    """Return "Artist - Title"; readers part it at the first " - ", so no other may come before."""
    artists, title = one_line(", ".join(song.artists)), one_line(song.title)
    return f"{artists.replace(' - ', ' – ')} - {title}" if artists else title.replace(" - ", " – ")


def _location(song: Song, template: str | None) -> str | None:
    if template is not None:
        return locations.location(song, template)
    return valid_uri(song.url) if song.url else None


def _beside(song: Song) -> str:
    return locations.location(song, locations.DEFAULT)


def xspf(document: Document, location: str | None = None) -> str:
    """Return the playlist as XSPF 1. location: as for `m3u8`; without one, a song with no address has no location.

    Raises ValueError for a template of which no location can be made.
    """
    if location is not None:
        locations.check(location)
    head = _element("title", document.title) + _element("annotation", document.note)
    tracks = "".join(f"    <track>{_xspf_track(song, location)}</track>\n" for song in document.songs)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<playlist version="1" xmlns="{XSPF}">\n'
        f"  {head}\n  <trackList>\n{tracks}  </trackList>\n</playlist>\n"
    )


def _xspf_track(song: Song, template: str | None) -> str:
    place = _location(song, template)
    return "".join(
        _element(name, text)
        for name, text in (
            ("location", locations.as_uri(place) if place else None),
            ("identifier", uri_of(song)),
            ("title", song.title),
            ("creator", ", ".join(song.artists)),
            ("album", song.album),
            ("duration", None if song.duration_ms is None else str(max(0, song.duration_ms))),
        )
    )


def _element(name: str, text: str | None) -> str:
    return f"<{name}>{escape(clean(text))}</{name}>" if text else ""


def jspf(document: Document) -> str:
    """Return the playlist as JSPF: XSPF's names in JSON, locations and identifiers as lists."""
    tracks = [
        _known(
            location=[url] if song.url and (url := valid_uri(song.url)) else None,
            identifier=[uri] if (uri := uri_of(song)) else None,
            title=clean(song.title),
            creator=clean(", ".join(song.artists)),
            album=clean(song.album or ""),
            duration=None if song.duration_ms is None else max(0, song.duration_ms),
        )
        for song in document.songs
    ]
    head = _known(title=clean(document.title), annotation=clean(document.note))
    return json.dumps({"playlist": {**head, "track": tracks}}, ensure_ascii=False, indent=1) + "\n"


def csv(document: Document) -> str:
    """Return the playlist as CSV with Exportify's columns, every cell in quotes."""
    rows = [COLUMNS, *([value(song) for value in COLUMNS.values()] for song in document.songs)]
    return "".join(",".join(cell(value) for value in row) + "\n" for row in rows)


def uris(document: Document) -> str:
    """Return the songs' URIs, one a line. A song that has none is a comment."""
    return "".join((uri_of(song) or f"# {_in_one(song)}") + "\n" for song in document.songs)


def jsonl(document: Document) -> str:
    """Return the songs as JSON, one a line, with all that is known of each and the playlist's title."""
    lines = (_known(playlist=document.title, **_renamed(song)) for song in document.songs)
    return "".join(json.dumps(_cleaned(line), ensure_ascii=False, allow_nan=False) + "\n" for line in lines)


def _renamed(song: Song) -> dict[str, Any]:
    """Return a song's fields as an answer calls them."""
    fields = asdict(song)
    return {"track_id": fields.pop("track_id"), "name": fields.pop("title"), **fields}


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, "", (), []) and value == value}


def _cleaned(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: clean(value) if isinstance(value, str) else _listed(value) for name, value in fields.items()}


def _listed(value: Any) -> Any:
    return [clean(one) for one in value] if isinstance(value, tuple) else value


def _formats() -> Iterator[Format]:
    yield Format("m3u8", ".m3u8", "audio/x-mpegurl", m3u8, has_locations=True)
    yield Format("xspf", ".xspf", "application/xspf+xml", xspf, has_locations=True)
    yield Format("jspf", ".jspf", "application/jspf+json", jspf)
    yield Format("csv", ".csv", "text/csv", csv)
    yield Format("uris", ".txt", "text/uri-list", uris)
    yield Format("jsonl", ".jsonl", "application/jsonl", jsonl)


FORMATS: dict[str, Format] = {form.name: form for form in _formats()}
