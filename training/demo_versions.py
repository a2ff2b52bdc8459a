"""The ways in which the songs of the demo catalogue come out again: live, remastered, acoustic and so on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.demo_profiles import YEARS

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Version:
    """One way in which a song comes out again.

    share: of all versions. change: 0 keeps every feature as it was, 1 draws them anew. titles, album: templates over
    {title}, {album}, {artist}, {place} and {year}; one of the titles is drawn. shifts: added to the normal scores.
    """

    share: float
    change: float
    titles: tuple[str, ...]
    album: str
    shifts: dict[str, float]
    same_year: bool = False


_LIVE = {"liveness": 1.8, "acousticness": 0.2, "danceability": -0.3, "duration_ms": 0.4, "popularity": -0.6}
_ACOUSTIC = {"acousticness": 1.3, "energy": -1.2, "loudness": -0.8, "popularity": -0.4}
_LIVE_TITLES = ("{title} - Live", "{title} (Live)", "{title} - Live at {place}")
_REMASTERS = ("{title} - Remastered {year}", "{title} - {year} Remaster", "{title} (Remastered {year})")
VERSIONS = (
    Version(0.0, 0.0, ("{title}",), "{album}", {}, same_year=True),
    Version(0.3, 0.3, _LIVE_TITLES, "Live at {place} {year}", _LIVE),
    Version(0.25, 0.05, _REMASTERS, "{album} (Remastered {year})", {"loudness": 0.3, "popularity": 0.2}),
    Version(0.12, 0.3, ("{title} (Acoustic)", "{title} - Acoustic Version"), "{artist} Unplugged {year}", _ACOUSTIC),
    # The very same recording under another id: all nine audio features are equal, what surrounds them differs.
    Version(0.2, 0.0, ("{title}",), "The Best of {artist}", {"popularity": -0.5}),
    Version(0.13, 0.05, ("{title} - Radio Edit",), "{title} (Single)", {"duration_ms": -1.0}, same_year=True),
)
"""The ways a song comes out: the original first, and last the one that takes the songs of the last year."""


@dataclass(frozen=True)
class Takes:
    """The rows in their final order. song: of which song, (rows,). version: index into VERSIONS. year: AD."""

    song: Ints
    version: Ints
    year: Ints


def draw_takes(rng: np.random.Generator, artist: Ints, year: Ints, popularity: Scores, versions: int) -> Takes:
    """Choose the songs that come out again, popular ones more often, and shuffle all rows.

    artist, year, popularity: of each song, (S,); artist ascending, popularity as normal score. versions: how many
    rows to add.
    """
    songs = len(year)
    chance = popularity + rng.gumbel(size=songs)
    again = np.sort(np.argpartition(-chance, versions)[:versions])
    version = rng.choice(len(VERSIONS), versions, p=[version.share for version in VERSIONS])
    # After the last year nothing comes out, so its songs get the version that comes out in the same year.
    same_year = np.array([version.same_year for version in VERSIONS])
    version[year[again] == YEARS[1]] = np.flatnonzero(same_year)[-1]
    # All remasters of an artist are of one year, all live songs of one concert, after the last album.
    last = np.maximum.reduceat(year, np.flatnonzero(np.diff(artist, prepend=-1)))
    later = np.minimum(last[:, None] + rng.integers(1, 20, (len(last), len(VERSIONS))), YEARS[1])
    order = rng.permutation(songs + versions)
    return Takes(
        song=np.concatenate([np.arange(songs), again])[order],
        version=np.concatenate([np.zeros(songs, np.int64), version])[order],
        year=np.concatenate([year, np.where(same_year[version], year[again], later[artist[again], version])])[order],
    )
