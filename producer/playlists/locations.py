"""Where a player finds a song: its own address, or a place made from a template such as Music/{artist}/{title}.mp3."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from producer.playlists.documents import Song, one_line

DEFAULT = "{artist} - {title}.mp3"
"""The location of a song without an address: a file beside the playlist."""

FIELDS: dict[str, Callable[[Song], str]] = {
    "artist": lambda song: song.artists[0] if song.artists else "",
    "artists": lambda song: ", ".join(song.artists),
    "title": lambda song: song.title,
    "album": lambda song: song.album or "",
    "year": lambda song: str(song.year or ""),
    "track_id": lambda song: song.track_id or "",
}

MAX_NAME_BYTES = 120
"""Of one field within a path. Most file systems allow 255 bytes between two slashes."""

_FIELD = re.compile(r"\{(\w*)\}")
_UNSAFE = re.compile(r'[/\\:*?"<>|#]|%(?=[0-9A-Fa-f]{2})')
"""What a file name must not hold on one system or another; and # and %41, which VLC reads as in an address."""

_DRIVE = re.compile(r"[A-Za-z]:[/\\]")
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def check(template: str) -> None:
    """Raise ValueError if a location cannot be made of this template."""
    unknown = [name for name in _FIELD.findall(template) if name not in FIELDS]
    if unknown or not _FIELD.search(template) or re.search(r"[\x00-\x1f]|^#", template):
        known = " ".join(f"{{{name}}}" for name in FIELDS)
        raise ValueError(f"a template for locations is one line and holds some of {known}; this one is {template!r}")


def location(song: Song, template: str) -> str:
    """Return where the song is by a template: a path, or an address if the template begins with a scheme and ://.

    What a file name must not hold becomes _; in an address it is percent-encoded. An unknown field is "Unknown".
    """
    if "://" in template:
        return _FIELD.sub(lambda found: quote(_field(song, found[1]), safe=""), template)
    return _FIELD.sub(lambda found: _file_name(_field(song, found[1])), template)


def _field(song: Song, name: str) -> str:
    return one_line(FIELDS[name](song)) or "Unknown"


def _file_name(text: str) -> str:
    name = _UNSAFE.sub("_", text).encode()[:MAX_NAME_BYTES].decode(errors="ignore").strip(". ") or "_"
    return f"{name}_" if _RESERVED.fullmatch(name) else name


def as_uri(place: str) -> str:
    """Return a location as XSPF wants it: an address as it is, a path percent-encoded."""
    if "://" in place:
        return place
    path = quote(place.replace("\\", "/"), safe="/!$&'()*+,;=@~")
    if path.startswith("/"):
        return f"file://{path}"
    return f"file:///{place[0]}:{path[4:]}" if _DRIVE.match(place) else path
