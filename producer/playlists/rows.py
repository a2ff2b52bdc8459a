"""One song of a list, as a seed or an error; and the formats that hold a song a line: plain lines, JSONL, M3U8."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import unquote, unquote_plus

from pydantic import ValidationError

from producer.playlists.documents import clean, id_of
from producer.schema import Seed

MAX_ROWS = 100_000
MAX_LINE = 20_000
"""Characters of a row; a longer one is an error."""

MAX_NAME = 200
"""Characters of a name that a seed may have; of a longer one its beginning is looked up."""

Prefer = Literal["names", "id"]

_SPOTIFY_ID = re.compile(r"[0-9A-Za-z]{22}")
_SPOTIFY = re.compile(
    r"(?:spotify:|https?://(?:open|play)\.spotify\.com/(?:intl-[a-z-]+/)?(?:embed/)?)"
    r"(?P<what>[a-z]+)[:/](?P<id>[^?#]+).*",
    re.I | re.S,
)
_OTHER_LINK = re.compile(r"(?:https?|ftp|file)://\S+|spotify\.link/\S+", re.I)
_VERSION_WORD = re.compile(
    "original|radio|extended|single|album|live|acoustic|club|digital|mono|stereo|"
    "remaster|remastered|version|edit|mix|remix|instrumental|bonus|track|the"
)
_VERSION_BEGINS = ("live at ", "live in ", "live from ", "feat. ", "feat ", "from the ")
_EXTINF = re.compile(r"#EXTINF:\s*-?[\d.]*[^,]*,(.*)", re.S)
_PATH_END = re.compile(r"\.[A-Za-z0-9]{2,4}$")


class UnreadablePlaylist(ValueError):
    """A file that is no playlist, or not of the kind that it was said to be; the message says what to do."""


@dataclass(frozen=True)
class Row:
    """A song of a file.

    number: from 1; of plain lines and JSONL the line's. seed: fields of a `schema.Seed`; None: `error` says why.
    title: the playlist's that the row belongs to. source: the row as it stood.
    """

    number: int
    seed: dict[str, Any] | None
    title: str | None
    error: str | None
    source: str


@dataclass(frozen=True)
class Reading:
    """What a file holds. header: what a file with some of its rows begins with; notes: what was passed over."""

    kind: str
    rows: tuple[Row, ...]
    header: str
    notes: tuple[str, ...] = ()
    between: str = field(default="\n", repr=False)
    footer: str = field(default="", repr=False)

    def retry(self, rows: Iterable[Row]) -> str:
        """Return a file of the same kind that holds just these rows."""
        body = self.between.join(row.source for row in rows)
        return "\n".join(part for part in (self.header, body, self.footer) if part) + "\n"


class Unusable(Exception):
    """A row that names no song; the message says why."""


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines, without their ends. Only CR and LF end one: U+2028 and the like may be part of a title."""
    return (line.rstrip("\r\n") for line in io.StringIO(text, newline=""))


def row_of(number: int, source: str, title: str | None, prefer: Prefer, **found: str | None) -> Row:
    """Return a row with a seed or an error. found: `name`, `artist`, `track` (an id, URI or URL)."""
    try:
        seed = seed_of(found.get("name"), found.get("artist"), found.get("track"), prefer)
    except Unusable as error:
        return Row(number, None, title, str(error), source)
    return Row(number, seed, title, None, source)


def seed_of(name: str | None, artist: str | None, track: str | None, prefer: Prefer = "names") -> dict[str, Any]:
    """Return the fields of a seed: by the id of our catalogue, else by title and artist, else by what there is.

    Raises Unusable.
    """
    name, artist, track = (clean(text or "").strip() for text in (name, artist, track))
    ours, why = None, ""
    if track:
        ours = id_of(track)
        try:
            spotify = spotify_id(track)
        except Unusable as error:
            spotify, why = None, str(error)
            if track.lower().startswith("spotify:local:") and not name:
                artist, name = _local_names(track)
    if ours and ours.strip():
        return {"track_id": ours.strip()[:MAX_NAME]}
    if track and spotify and (prefer == "id" or not (name and artist) or len(name) > MAX_NAME):
        return {"track_id": spotify}
    if name:
        return {"name": name[:MAX_NAME].strip(), **({"artist": _cut(artist)} if artist else {})}
    if why:
        raise Unusable(why)
    raise Unusable(f"it has no title, only the artist {artist[:MAX_NAME]!r}" if artist else "it is empty")


def spotify_id(text: str) -> str:
    """Return the track's id that an id, URI or URL holds. Raises Unusable, saying what it is instead."""
    if _SPOTIFY_ID.fullmatch(text):
        return text
    found = _SPOTIFY.fullmatch(text)
    what = found["what"].lower() if found else ""
    if found and what == "track" and _SPOTIFY_ID.fullmatch(found["id"]):
        return found["id"]
    if what == "local":
        raise Unusable("it is a file of somebody's own, and has no title")
    if what == "track":
        raise Unusable(f"{text[:80]!r} is no track's address: its id has not 22 letters and digits")
    if found:
        raise Unusable(f"it is a Spotify {what}, not a song")
    raise Unusable(f"{text[:80]!r} is not the address of a track on Spotify; give title and artist")


def _cut(artists: str) -> str:
    """Return artists that a seed can hold: all, or as many whole ones as there is room for."""
    if len(artists) <= MAX_NAME:
        return artists
    whole, comma, _ = artists[:MAX_NAME].rpartition(", ")
    return (whole if comma else artists[:MAX_NAME]).strip()


def _local_names(uri: str) -> tuple[str, str]:
    """Return artist and title of spotify:local:artist:album:title:seconds."""
    parts = [unquote_plus(part) for part in uri.split(":")[2:]]
    return (parts[0].strip(), parts[2].strip()) if len(parts) > 2 else ("", "")


def is_track(text: str) -> bool:
    """Tell if a text is a track's address, an id, or another link, rather than a name."""
    return bool(_SPOTIFY_ID.fullmatch(text) or _SPOTIFY.fullmatch(text) or _OTHER_LINK.fullmatch(text) or id_of(text))


def too_long(number: int, source: str) -> Row | None:
    """Return an error in place of a row that has too many characters."""
    if len(source) <= MAX_LINE:
        return None
    return Row(number, None, None, f"it has {len(source):,} characters, over {MAX_LINE:,}", source)


def bounded(found: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows. Raises UnreadablePlaylist if there are too many, or none."""
    taken: list[Row] = []
    for row in found:
        if len(taken) == MAX_ROWS:
            raise UnreadablePlaylist(f"the file has over {MAX_ROWS:,} rows; split it into several")
        taken.append(row)
    if not taken:
        raise UnreadablePlaylist("the file holds no songs")
    return tuple(taken)


def passed_over(counts: Counter[str]) -> tuple[str, ...]:
    """Return in words what a reader passed over."""
    return tuple(f"{what} passed over: {count}" for what, count in counts.items())


def names_in(line: str) -> dict[str, str]:
    """Return `name` and `artist` of "Artist - Title"; of "Title" or "Title - Live" the name alone."""
    artist, dash, name = line.partition(" - ")
    if not (dash and artist.strip() and name.strip()) or _is_version(name):
        return {"name": line}
    return {"artist": artist, "name": name}


def titled(words: str) -> dict[str, str]:
    """Return `name` and `artist` of "Title - Artist"; of "Title" or "Title - Live" the name alone.

    It is parted at the last " - ": titles have more of them than artists, "Title - Live - Artist".
    """
    name, dash, artist = words.rpartition(" - ")
    if not (dash and artist.strip() and name.strip()) or _is_version(artist):
        return {"name": words}
    return {"name": name, "artist": artist}


def _is_version(name: str) -> bool:
    """Tell if what follows a dash says which version of a song it is, "Remastered 2011", and is no title."""
    text = name.strip().casefold()
    words = [word for word in re.findall(r"\w+", text.replace("re-master", "remaster")) if not word.isdecimal()]
    return text.startswith(_VERSION_BEGINS) or (bool(words) and all(map(_VERSION_WORD.fullmatch, words)))


def plain_rows(text: str, prefer: Prefer) -> Reading:
    """Read a song a line: an id, a Spotify URI or URL, "Artist - Title" or a title; # begins a comment."""
    skipped: Counter[str] = Counter()

    def found() -> Iterator[Row]:
        for number, line in enumerate(lines_of(text), 1):
            words = line.strip()
            if not words or words.startswith("#"):
                skipped["comments" if words else "empty lines"] += 1
            elif long := too_long(number, line):
                yield long
            elif is_track(words):
                yield row_of(number, line, None, prefer, track=words)
            else:
                yield row_of(number, line, None, prefer, **names_in(words))

    return Reading("lines", bounded(found()), "", passed_over(skipped))


def m3u8_rows(text: str, prefer: Prefer) -> Reading:
    """Read M3U8: #EXTINF names a song, the next line is where it is. Without #EXTINF the file's name is its name."""
    head: list[str] = []
    skipped: Counter[str] = Counter()
    title: str | None = None

    def found() -> Iterator[Row]:
        nonlocal title
        info: list[str] = []
        number = 0
        for line in lines_of(text):
            words = line.strip()
            if words.startswith("#EXT-X-"):
                raise UnreadablePlaylist("this M3U8 is a video or radio stream (HLS), not a list of songs")
            if words.startswith("#PLAYLIST:"):
                title = clean(words[len("#PLAYLIST:") :]).strip() or None
                head.append(words)
            elif words.startswith("#EXTINF:"):
                info.append(words)
            elif words and not words.startswith("#"):
                number += 1
                source = "\n".join([*info[-1:], line])
                yield too_long(number, source) or _m3u8_row(number, source, title, prefer, info, words)
                info.clear()
            elif words and not words.upper().startswith("#EXT"):
                skipped["comments"] += 1

    rows = bounded(found())
    return Reading("m3u8", rows, "\n".join(["#EXTM3U", *head]), passed_over(skipped))


def _m3u8_row(number: int, source: str, title: str | None, prefer: Prefer, info: list[str], place: str) -> Row:
    named = _EXTINF.fullmatch(info[-1]) if info else None
    names = names_in(named[1].strip()) if named and named[1].strip() else {}
    if not names and not _SPOTIFY.fullmatch(place) and not id_of(place):
        file_name = re.split(r"[/\\]", unquote(place) if "://" in place else place)[-1]
        names = names_in(re.sub(r"^\d{1,3}[ ._-]+(?=\D)", "", _PATH_END.sub("", file_name)))
    track = place if _SPOTIFY.fullmatch(place) or id_of(place) else None
    return row_of(number, source, title, prefer, track=track, **names)


def jsonl_rows(text: str, prefer: Prefer) -> Reading:
    """Read a JSON object a line: the fields of a seed, or a track as `jsonl` writes it and answers hold it."""
    skipped: Counter[str] = Counter()

    def found() -> Iterator[Row]:
        for number, line in enumerate(lines_of(text), 1):
            if line.strip():
                yield too_long(number, line) or _jsonl_row(number, line, prefer)
            else:
                skipped["empty lines"] += 1

    return Reading("jsonl", bounded(found()), "", passed_over(skipped))


def _jsonl_row(number: int, line: str, prefer: Prefer) -> Row:
    title = None
    try:
        fields = json.loads(line)
        if isinstance(fields, str):
            return row_of(number, line, None, prefer, name=fields)
        if not isinstance(fields, dict):
            raise Unusable("it is no JSON object")
        title = clean(_text(fields.pop("playlist", None))).strip() or None
        if "seeds" in fields:
            raise Unusable("it has several seeds; a line is one seed or one track")
        return Row(number, _jsonl_seed(fields, prefer), title, None, line)
    except Unusable as error:
        return Row(number, None, title, str(error), line)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return Row(number, None, title, f"{where}: {first['msg']}" if where else str(first["msg"]), line)
    except (ValueError, RecursionError):
        return Row(number, None, None, "it is no JSON", line)


def _jsonl_seed(fields: dict[str, Any], prefer: Prefer) -> dict[str, Any]:
    """Return a seed as it is given; of a track, which has more fields, its id or else its names."""
    artists = fields.get("artists")
    if fields.keys() <= Seed.model_fields.keys() and not ("track_id" in fields and "name" in fields):
        Seed.model_validate(fields)
        return fields
    if fields.get("track_id"):
        return {"track_id": Seed.model_validate({"track_id": fields["track_id"]}).track_id}
    artist = artists[0] if isinstance(artists, list) and artists else fields.get("artist")
    track = _text(fields.get("uri") or fields.get("spotify_url") or fields.get("url"))
    return seed_of(_text(fields.get("name") or fields.get("title")), _text(artist), track, prefer)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
