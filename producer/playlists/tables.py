"""Playlists as CSV: Exportify's columns, cells that no spreadsheet takes for a formula, the names that columns go by.

A cell that begins, after any white space, with one of = + - @ (or their full-width forms), or with a tab or a line
end, gets an apostrophe in front, and so does one that begins with apostrophes and then such a character. The reader
takes one apostrophe off again, so that nothing is lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from producer.playlists.documents import Song, clean, uri_of

COLUMNS: dict[str, Callable[[Song], object]] = {
    "Track URI": uri_of,
    "Track Name": lambda song: song.title,
    "Artist URI(s)": lambda song: None,
    "Artist Name(s)": lambda song: join(song.artists),
    "Album URI": lambda song: None,
    "Album Name": lambda song: song.album,
    "Album Artist URI(s)": lambda song: None,
    "Album Artist Name(s)": lambda song: None,
    "Album Release Date": lambda song: song.year,
    "Album Image URL": lambda song: None,
    "Disc Number": lambda song: None,
    "Track Number": lambda song: None,
    "Track Duration (ms)": lambda song: song.duration_ms,
    "Track Preview URL": lambda song: None,
    "Explicit": lambda song: None,
    "Popularity": lambda song: song.popularity,
    "ISRC": lambda song: song.isrc,
    "Added By": lambda song: None,
    "Added At": lambda song: None,
    "Artist Genres": lambda song: ",".join(song.genres),
    "Key": lambda song: song.key,
    "Mode": lambda song: song.mode,
    "Tempo": lambda song: song.tempo,
}
"""Exportify's, in its order, with those of its optional ones that we know."""

_FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠]|'*[\t\r\n]")
_ARTISTS = re.compile(r"(?<!\\), ")

ALIASES: dict[str, tuple[str, ...]] = {
    "title": ("trackname", "name", "title", "tracktitle", "song", "songname", "songtitle", "track"),
    "artist": ("artistnames", "artistname", "artist", "artists", "creator", "performer", "trackartist", "albumartist"),
    "id": (
        "trackuri",
        "trackid",
        "spotifyuri",
        "spotifyid",
        "spotifytrackid",
        "spotifyurl",
        "trackurl",
        "uri",
        "url",
        "link",
        "id",
    ),
    "playlist": ("playlist", "playlistname", "playlisttitle"),
    "weight": ("weight",),
    "artist_uris": ("artisturis", "artisturi"),
}
"""What columns are called, in letters and digits alone, the likeliest first."""

OUR_IDS = {"trackid"}
"""Columns whose values may be ids of any catalogue; in others of `id` only what Spotify would write counts."""


def cell(value: object) -> str:
    """Return a cell, in quotes. None is empty."""
    text = clean("" if value is None else str(value))
    if _FORMULA.match(text):
        text = "'" + text
    return '"' + text.replace('"', '""') + '"'


def plain_cell(text: str) -> str:
    """Return a cell without the apostrophe that `cell` may have put before it."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def join(artists: tuple[str, ...]) -> str:
    r"""Return several artists in one cell, as Exportify does: "A, B"; a comma within a name is written as \, ."""
    names = (clean(name).replace(",", "\\,") for name in artists)
    return ", ".join(f"{name} " if name.endswith("\\") else name for name in names)  # else the next comma were its own


def columns_of(header: list[str]) -> dict[str, int]:
    """Return which column holds what, by the header's cells. What is not there is left out."""
    names = [letters(name) for name in header]
    found = {}
    for meaning, aliases in ALIASES.items():
        known = [alias for alias in aliases if alias in names]
        if known:
            found[meaning] = names.index(known[0])
    if "playlist" not in found and "trackname" in names and "name" in names:
        found["playlist"] = names.index("name")
    return found


def letters(name: str) -> str:
    """Return a column's name as it is compared: its letters and digits, in lower case."""
    return re.sub(r"[\W_]+", "", name.casefold())


def first_artist(text: str, several_are_told: bool) -> str:
    r"""Return whom to look a song up by, of the artists in a cell.

    several_are_told: it is of Exportify's making, "A, B" with a comma within a name as \, ; then it is the first. Else
    a comma may part artists or belong to a name, so it is all, which the look-up can bear; but of "A;B" it is A.
    """
    if several_are_told:
        return _ARTISTS.split(text)[0].replace("\\,", ",")
    return text.split(";")[0].strip() or text
