"""A playlist as the file formats see it: songs with what is known of them, and text that a file can hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

OURS = "urn:segue:track:"
"""Before the id of a track that Spotify does not have, where a URI is wanted."""

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_URI_CHARACTERS = "!$%&'()*+,/:;=?@~"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


@dataclass(frozen=True)
class Song:
    """A song of a playlist. None or empty: unknown.

    uri: a name of it, `spotify:track:…`; url: where a browser or player finds it; key: 0 = C … 11 = B;
    mode: 1 major, 0 minor; tempo: beats per minute; popularity: 0–100.
    """

    title: str
    artists: tuple[str, ...]
    track_id: str | None = None
    uri: str | None = None
    url: str | None = None
    album: str | None = None
    isrc: str | None = None
    duration_ms: int | None = None
    year: int | None = None
    genres: tuple[str, ...] = ()
    tempo: float | None = None
    key: int | None = None
    mode: int | None = None
    popularity: int | None = None


@dataclass(frozen=True)
class Document:
    """A playlist to write. note: a sentence for those who open it, where the format has a place for one."""

    title: str
    songs: tuple[Song, ...]
    note: str = ""


def document_of(result: Mapping[str, Any], title: str) -> Document:
    """Return an answer as a playlist to write. result: a Result, Playlist or Diagnosis as a dict."""
    return Document(
        title, tuple(_song_of(track) for track in result.get("tracks") or ()), note=result.get("notice") or ""
    )


def _song_of(track: Mapping[str, Any]) -> Song:
    url = track.get("spotify_url")
    return Song(
        title=track.get("name") or "",
        artists=tuple(track.get("artists") or ()),
        track_id=track.get("track_id"),
        uri=f"spotify:track:{track['track_id']}" if url else None,
        url=url,
        album=track.get("album"),
        isrc=track.get("isrc"),
        genres=tuple(track.get("genres") or ()),
        **{name: track.get(name) for name in ("duration_ms", "year", "tempo", "key", "mode", "popularity")},
    )


def clean(text: str) -> str:
    """Return a text that every format can hold and give back.

    A surrogate without its partner becomes U+FFFD; all kinds of line end become a newline; control characters other
    than tab and newline, and the two code points that XML forbids, are left out.
    """
    if _SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _UNWRITABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def one_line(text: str) -> str:
    """Return a text, cleaned, with each run of white space or line ends as one space."""
    return " ".join(clean(text).split())


def uri_of(song: Song) -> str | None:
    """Return the song's name as a URI: its own, or one that wraps the catalogue's id; None: it has no id."""
    if song.uri:
        return valid_uri(song.uri)
    return OURS + quote(clean(song.track_id), safe="") if song.track_id else None


def id_of(uri: str) -> str | None:
    """Return the catalogue's id that `uri_of` wrapped; None: this is another URI."""
    return unquote(uri[len(OURS) :]) if uri.startswith(OURS) else None


def valid_uri(text: str) -> str | None:
    """Return an address with all that RFC 3986 forbids percent-encoded; None: it has no scheme."""
    text = clean(text).strip()
    if not _SCHEME.match(text):
        return None
    address, mark, fragment = _LONE_PERCENT.sub("%25", text).partition("#")
    return quote(address, safe=_URI_CHARACTERS) + mark + quote(fragment, safe=_URI_CHARACTERS)
