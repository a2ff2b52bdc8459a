"""Small data sets whose right answers are known by construction, in every layout that we read.

The atlas is a catalogue of some 300 tracks. Most of it is GROUPS groups of GROUP_SIZE tracks: those of a group share a
genre, a year and nearly their sound, and groups are far apart in all three, so the neighbours of a track are the rest
of its group. The remainder has what real files have: versions of songs, one title by many artists, artists with many
songs, names in other alphabets, and unknown years, genres, popularities, artists and sounds.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from artifacts import store
from artifacts.manifest import Manifest
from artifacts.model import Model
from training import cleaning, dataset
from training.build import Built, build

Layout = Literal["million", "hub", "parquet"]
"""million: the 1,159,764-track CSV; hub: the 114,000-row CSV, a row for each genre of a track; parquet: 19 columns."""

NEWEST_YEAR = 2026
CLUSTERS = 12
GROUPS, GROUP_SIZE = 24, 10
SOURCE = {"kind": "file", "name": "atlas.csv", "sha256": "0" * 64, "bytes": 1}

SOUND = (
    *("danceability", "energy", "loudness", "speechiness", "acousticness", "instrumentalness", "liveness"),
    *("valence", "tempo"),
)
_WHOLE = ("popularity", "year", "key", "mode", "duration_ms", "time_signature")
_MILLION = (
    *("artist_name", "track_name", "track_id", "popularity", "year", "genre", "danceability", "energy", "key"),
    *("loudness", "mode", "speechiness", "acousticness", "instrumentalness", "liveness", "valence", "tempo"),
    *("duration_ms", "time_signature"),
)
_HUB = (
    *("track_id", "artist_name", "album_name", "track_name", "popularity", "duration_ms", "explicit", "danceability"),
    *("energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness", "liveness", "valence"),
    *("tempo", "time_signature", "genre"),
)
COLUMNS: Mapping[Layout, Sequence[str]] = {"million": _MILLION, "hub": _HUB, "parquet": _MILLION}
"""The columns of each layout under our names."""


def row(**fields: Any) -> dict[str, Any]:
    """Return one plausible track, with `fields` in place of its own; None is unknown."""
    plausible = {
        **{"track_name": "A Song", "artist_name": "Someone", "genre": "pop", "album_name": "An Album"},
        **{"popularity": 50, "year": 2000, "danceability": 0.5, "energy": 0.6, "key": 0, "loudness": -8.0, "mode": 1},
        **{"speechiness": 0.05, "acousticness": 0.2, "instrumentalness": 0.01, "liveness": 0.1, "valence": 0.5},
        **{"tempo": 120.0, "duration_ms": 200_000, "time_signature": 4, "explicit": 0},
    }
    return plausible | fields


def frame(*rows: Mapping[str, Any]) -> pd.DataFrame:
    """Return `rows` as `dataset.read` returns them; a row that names no id is t000, t001 … by its place."""
    return dataset.complete(pd.DataFrame([{"track_id": f"t{i:03}", **fields} for i, fields in enumerate(rows)]))


def songs(*rows: Mapping[str, Any]) -> pd.DataFrame:
    """Return `frame(*rows)` with plausible fields where a row has none, and a sound of its own for each row."""
    return frame(*(row(**({"tempo": 90.0 + 0.7 * i, "track_name": f"Song {i}"} | dict(r))) for i, r in enumerate(rows)))


def in_layout(tracks: pd.DataFrame, layout: Layout) -> pd.DataFrame:
    """Return `tracks` with the columns of `layout` under their names there."""
    shown = tracks[list(COLUMNS[layout])].copy()
    for column in _WHOLE:
        if column in shown:
            shown[column] = shown[column].astype("Int64")
    if layout == "hub":
        shown["explicit"] = shown["explicit"].map({1.0: True, 0.0: False})
        shown = shown.rename(columns={ours: alias for alias, ours in dataset.ALIASES.items()})
    return shown


def csv_text(tracks: pd.DataFrame, layout: Layout = "million") -> str:
    """Return `tracks` as the text of a CSV file: an unnamed index, then the columns of `layout`."""
    return str(in_layout(tracks, layout).to_csv())


def write(path: Path, tracks: pd.DataFrame, layout: Layout) -> Path:
    """Write `tracks` as the file `path`, packed if it ends in .gz."""
    if layout == "parquet":
        in_layout(tracks, layout).to_parquet(path, index=False)
    else:
        in_layout(tracks, layout).to_csv(path)
    return path


def group_id(group: int, member: int) -> str:
    """Return the id of a track of the atlas's groups, as long as Spotify's."""
    return f"group{group:02}member{member:02}".ljust(22, "x")


def special_id(name: str) -> str:
    """Return the id of a track of the atlas's remainder."""
    return f"special{name}".ljust(22, "x")


def group_sound(group: int, member: float) -> dict[str, float]:
    """Return where a track of the groups lies: its group's place, and `member` hundredths away from it."""

    def place(step: int, low: float, high: float) -> float:
        return low + (high - low) * (group * step % GROUPS) / GROUPS  # steps without a factor of 24: places far apart

    near = 0.001 * (member - 4.5)
    return {
        "danceability": place(5, 0.1, 0.9) + near,
        "energy": place(7, 0.1, 0.95) - near,
        "loudness": place(11, -25, -3) + 10 * near,
        "speechiness": place(13, 0.03, 0.5) + near,
        "acousticness": place(17, 0.02, 0.95) + near,
        "instrumentalness": place(19, 0.1, 0.9) - near,
        "liveness": place(23, 0.05, 0.6) + near,
        "valence": place(1, 0.1, 0.9) + near,
        "tempo": place(7, 70, 180) + 10 * near,
    }


def _group_rows() -> list[dict[str, Any]]:
    return [
        row(
            track_id=group_id(group, member),
            track_name=f"Song {member} of Group {group}",
            artist_name=f"Band {group:02}-{member % 5}",
            genre=f"genre-{group:02}",
            popularity=40 + 3 * member,
            year=1960 + (group * 5 % GROUPS) * 2 + group // 12,
            key=(group + member) % 12,
            mode=member % 2,
            duration_ms=120_000 + 10_000 * group + member,
            explicit=int(member == 0),
            **group_sound(group, member),
        )
        for group in range(GROUPS)
        for member in range(GROUP_SIZE)
    ]


LANTERNS = {
    "lantern0": "Paper Lantern",
    "lantern1": "Paper Lantern - Live at the Old Mill",
    "lantern2": "Paper Lantern - 2011 Remaster",
    "lantern3": "Paper Lantern (feat. Otis Gray)",
}
"""Versions of one song by Nora Vale; the first is the most popular."""

HOMES = {"home0": "Ann Lee", "home1": "Ben Oak;Cy Day", "home2": "Dee Fox", "home3": "Élan Été"}
"""Songs called "Home", each by other artists; home2 is the most popular."""

PROLIFIC = tuple(f"prolific{i:02}" for i in range(20))
"""Songs of one artist, Max Many, in the genre of the ten songs `other00`…`other09` of others."""


def _special_rows() -> list[dict[str, Any]]:
    def special(name: str, group: int, member: float, **fields: Any) -> dict[str, Any]:
        return row(track_id=special_id(name), **({"track_name": name} | group_sound(group, member) | fields))

    lanterns = [
        special(name, 3, 20 + i, track_name=title, artist_name="Nora Vale", genre="folk", popularity=60 - 10 * i)
        for i, (name, title) in enumerate(LANTERNS.items())
    ]
    homes = [
        special(name, 4 * i, 30 + i, track_name="Home", artist_name=artist, popularity=(20, 30, 80, 10)[i], year=2010)
        for i, (name, artist) in enumerate(HOMES.items())
    ]
    many = [special(name, 8, 40 + i, artist_name="Max Many", genre="many") for i, name in enumerate(PROLIFIC)]
    many += [special(f"other{i:02}", 8, 70 + i, artist_name=f"Other {i}", genre="many") for i in range(10)]
    twin = group_sound(11, 50)
    return [
        *lanterns,
        *homes,
        *many,
        special("twin0", 0, 0, track_name="Glass", artist_name="Ola Twin", genre="folk", **twin),
        special("twin1", 0, 0, track_name="Glas (album)", artist_name="Ola Twin", genre="folk", **twin),
        special("noartist", 1, 55, track_name="Nobody's", artist_name=None),
        special("noyear", 2, 56, artist_name="Band 02-1", year=None, genre="rock"),
        special("nogenre", 2, 57, artist_name="Band 02-2", genre=None),
        special("nothing", 5, 58, artist_name="Ghost", year=None, genre=None, popularity=None, duration_ms=None),
        special("nosound", 6, 59, artist_name="Band 06-0", genre="genre-06", year=1972, tempo=0, danceability=0),
        special("kanji", 7, 60, track_name="夜に駆ける", artist_name="ヨルノコエ", genre="j-pop"),
        special("kana", 7, 61, track_name="がまん", artist_name="ヨルノコエ", genre="j-pop"),
        special("cyrillic", 9, 62, track_name="Группа Ночь", artist_name="Кинолента", genre="rock"),
        special("accents", 9, 63, track_name="Déjà Vu, Señor!", artist_name="Sóley Ørn", genre="rock"),
        special("marks", 9, 64, track_name="???", artist_name="Sóley Ørn", genre="rock"),
        special("genres", 10, 65, artist_name="Two Hats", genre="rock", popularity=10, year=1999),
        special("genres", 10, 65, artist_name="Two Hats", genre="jazz", popularity=15, year=1998),
    ]


def atlas() -> pd.DataFrame:
    """Return the rows of the atlas, as `dataset.read` returns them, not in the order of ids."""
    tracks = frame(*_group_rows(), *_special_rows())
    return tracks.sample(frac=1, random_state=1, ignore_index=True)


def train(tracks: pd.DataFrame, clusters: int = CLUSTERS, stage: Callable[[str], None] = lambda _: None) -> Built:
    """Return the model of `tracks`, not published."""
    rows, genres, ledger = cleaning.clean(tracks, NEWEST_YEAR)
    return build(rows, genres, ledger, SOURCE, clusters, stage)


def model_of(built: Built) -> Model:
    """Return `built` as a model in memory."""
    return Model(Manifest(version="in-memory", created_at="", files={}, public={}, **built.about), built.arrays)


def is_mapped(array: npt.NDArray[Any]) -> bool:
    """Return whether an array is a view of a mapped file rather than memory of its own."""
    base: Any = array
    while isinstance(base, np.ndarray) and base.base is not None:
        base = base.base
    return isinstance(base, mmap.mmap)


def publish(root: Path, built: Built, **about: Any) -> str:
    """Publish `built` below `root`, with `about` in place of its own fields. → the version's name."""
    return store.publish(root, built.arrays, built.public, **(built.about | about))
