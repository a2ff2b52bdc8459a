"""The demo catalogue: invented artists and titles with the distributions of real ones.

For machines without a data set, and for measuring at any size. The figures come from `demo_profiles.json`: marginal
quantiles of each feature per genre, and one correlation of their normal scores. A song's normal score is
artist + album + song (VARIANCE), correlated, and each feature reads its genre's quantile at that score (a Gaussian
copula): so genres keep their distributions while an artist keeps a sound, a fame and an era.

On purpose there are versions of the same song, guests, and dirty rows of every kind that real files have.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from training import demo_names as names
from training.demo_dirt import soil
from training.demo_profiles import Profiles, load_profiles
from training.demo_versions import VERSIONS, Takes, draw_takes
from training.demo_words import PLACES

Floats = npt.NDArray[np.float64]
Scores = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

DEFAULT_ROWS = 20_000
DEFAULT_SEED = 1
COLUMNS = (
    *("artist_name", "track_name", "track_id", "album_name", "popularity", "year", "genre", "explicit"),
    *("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness"),
    *("liveness", "valence", "tempo", "duration_ms", "time_signature"),
)
VERSION_SHARE = 0.06
GUEST_SHARE = 0.03
SECOND_GENRE_SHARE = 0.25
VARIANCE = {"artist": 0.5, "album": 0.1, "song": 0.4}
"""How a feature's variance within a genre divides."""
ERA_SHARE = 0.8
"""How much of the variance of the year is between artists; the rest is between an artist's albums."""
MOST_SONGS = 150
_TYPICAL_SONGS, _SPREAD_OF_SONGS, _FAME_IN_SONGS = 6.0, 1.1, 0.5
# Spread over decades: between two quantiles, equal steps of the logarithm are nearer to real tracks than equal steps.
_LOGARITHMIC = ("acousticness", "instrumentalness")
_LOG_UNIT = 1e-6  # the least value that is not zero
_BASE62 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)


def write_csv(path: Path, rows: int, seed: int) -> None:
    """Write the catalogue of `generate` as CSV (UTF-8); the same bytes for the same (rows, seed).

    The file appears whole or not at all. Raises: ValueError as `generate`; OSError if it cannot be written.
    """
    frame = generate(rows, seed)
    aside = path.with_name(path.name + ".part")
    frame.to_csv(aside, index=False, lineterminator="\n", encoding="utf-8")
    aside.replace(path)


def generate(rows: int = DEFAULT_ROWS, seed: int = DEFAULT_SEED) -> pd.DataFrame:
    """Return a synthetic catalogue of exactly `rows` tracks, in the columns of the 1,159,764-track file and two more.

    The two are album_name and explicit. Ids begin with "demo"; several artists are joined by ";"; popularity is a
    nullable integer, the only column beside the names with missing values. Units: loudness dB, tempo BPM,
    duration ms, key 0–11, mode 0/1, popularity 0–100, year AD, the other features 0–1. Raises: ValueError if rows < 1.
    """
    if rows < 1:
        raise ValueError(f"a demo catalogue of {rows} tracks was asked for; ask for 1 or more")
    rng = np.random.Generator(np.random.PCG64(seed))
    profiles = load_profiles()
    versions = int(rows * VERSION_SHARE)
    artists = _artists(rng, rows - versions, profiles)
    albums = _albums(rng, artists, profiles)
    scores = _song_scores(rng, artists, albums, profiles)
    popularity = scores[profiles.features.index("popularity")]
    takes = draw_takes(rng, artists.of_song, albums.year[albums.of_song], popularity, versions)
    genre = albums.genre[albums.of_song[takes.song]]
    columns = _features(rng, scores, takes, genre, profiles) | _traits(rng, takes, genre, profiles)
    # Explicit words are where speech is: one track in 30 where there is next to none, one in 4 where rappers speak.
    columns["explicit"] = columns["explicit"] < 0.9 * np.minimum(columns["speechiness"], 0.4)
    columns["popularity"] = pd.array(columns["popularity"], "Int64")
    columns["year"] = takes.year
    texts = _names(rng, artists, albums, takes)
    texts |= {"genre": names.pick(profiles.genres, genre), "track_id": _ids(rng, rows)}
    columns |= {name: pd.Series(text, dtype="str") for name, text in texts.items()}
    frame = pd.DataFrame({name: columns[name] for name in COLUMNS})
    soil(rng, frame, profiles.genres)
    return frame


@dataclass(frozen=True)
class Artists:
    """A artists. name: strings (A,). tongue: (A,), keys of names.TITLES. home, second: genres, (A,), often the same.

    of_song: the artist of each song, (S,), ascending. score: float32 (F, A). era: normal score of the year, (A,).
    """

    name: pa.Array
    tongue: npt.NDArray[np.str_]
    home: Ints
    second: Ints
    of_song: Ints
    score: Scores
    era: Floats


@dataclass(frozen=True)
class Albums:
    """B albums. of_song: the album of each song, (S,), ascending. first_song, genre, year: (B,)."""

    of_song: Ints
    first_song: Ints
    genre: Ints
    year: Ints


def _correlated(rng: np.random.Generator, n: int, profiles: Profiles) -> Scores:
    """Return normal scores with the profile's correlation, float32 (F, n)."""
    lower = np.linalg.cholesky(profiles.correlation).astype(np.float32)
    scores = rng.standard_normal((len(lower), n), dtype=np.float32)
    # Row by row, not as one matrix product: the last bits of that depend on the machine's BLAS and its threads.
    for i in reversed(range(len(lower))):
        scores[i] *= lower[i, i]
        for j in range(i):
            scores[i] += lower[i, j] * scores[j]
    return scores


def _artists(rng: np.random.Generator, songs: int, profiles: Profiles) -> Artists:
    """Draw artists until they have `songs` songs in all."""
    enough = songs // 8 + 60  # the mean is near 11 songs
    score = _correlated(rng, enough, profiles)
    fame = score[profiles.features.index("popularity")]
    output = _FAME_IN_SONGS * fame + np.sqrt(1 - _FAME_IN_SONGS**2) * rng.standard_normal(enough)
    size = np.clip(np.rint(_TYPICAL_SONGS * np.exp(_SPREAD_OF_SONGS * output)), 1, MOST_SONGS)
    # The famous have more songs, so the mean song's artist is more famous than the mean artist, by just this much.
    fame -= _FAME_IN_SONGS * _SPREAD_OF_SONGS
    ends = np.minimum(np.cumsum(size.astype(np.int64)), songs)
    ends[-1] = songs
    n = int(np.searchsorted(ends, songs)) + 1
    codes = names.ARTISTS.draw_distinct(rng, n)
    # Zipf's law with a flattened head: the first genre is nine times as large as the last.
    weight = 1 / np.arange(8.0, 8.0 + len(profiles.genres))
    home = rng.choice(len(weight), n, p=weight / weight.sum())
    near = _neighbours(profiles)
    second = near[home, rng.integers(0, near.shape[1], n)]
    tongue = names.ARTISTS.tongues(codes)
    of_genre = np.array([names.TONGUE_OF_GENRE.get(genre, "english") for genre in profiles.genres])
    return Artists(
        name=names.ARTISTS.spell(codes),
        tongue=np.where(tongue == "english", of_genre[home], tongue),
        home=home,
        second=np.where(rng.random(n) < SECOND_GENRE_SHARE, second, home),
        of_song=np.repeat(np.arange(n), np.diff(ends[:n], prepend=0)),
        score=score[:, :n],
        era=rng.standard_normal(n),
    )


def _neighbours(profiles: Profiles) -> Ints:
    """Return the five genres nearest to each by the medians of their features, (G, 5)."""
    medians = profiles.quantiles[:, :, len(profiles.knots) // 2]
    z = (medians - medians.mean(0)) / medians.std(0)
    distance = ((z[:, None] - z[None]) ** 2).sum(2)
    return np.argsort(distance, axis=1, kind="stable")[:, 1:6]


def _albums(rng: np.random.Generator, artists: Artists, profiles: Profiles) -> Albums:
    """Divide each artist's songs into albums; some artists make long ones, some mostly singles."""
    habit = 0.07 + 0.4 * rng.random(len(artists.era)) ** 3
    opens = rng.random(len(artists.of_song)) < habit[artists.of_song]
    opens |= np.diff(artists.of_song, prepend=-1) > 0
    first = np.flatnonzero(opens)
    artist = artists.of_song[first]
    era = np.sqrt(ERA_SHARE) * artists.era[artist] + np.sqrt(1 - ERA_SHARE) * rng.standard_normal(len(first))
    return Albums(
        of_song=np.cumsum(opens) - 1,
        first_song=first,
        genre=np.where(rng.random(len(first)) < 0.5, artists.home[artist], artists.second[artist]),
        year=np.rint(np.interp(era, profiles.knots, profiles.years)).astype(np.int64),
    )


def _song_scores(rng: np.random.Generator, artists: Artists, albums: Albums, profiles: Profiles) -> Scores:
    """Return the songs' normal scores, float32 (F, S)."""
    of_artist, of_album, of_song = (np.float32(np.sqrt(share)) for share in VARIANCE.values())
    album_score = _correlated(rng, len(albums.year), profiles)
    scores = _correlated(rng, len(artists.of_song), profiles)
    for i in range(len(scores)):
        scores[i] *= of_song
        scores[i] += of_artist * artists.score[i][artists.of_song]
        scores[i] += of_album * album_score[i][albums.of_song]
    return scores


def _names(rng: np.random.Generator, artists: Artists, albums: Albums, takes: Takes) -> dict[str, pa.Array]:
    """Spell artist_name, track_name and album_name of each row."""
    title = names.titles(rng, artists.of_song, artists.tongue)
    album = names.ALBUMS.spell(names.ALBUMS.draw(rng, len(albums.year)))
    # Three albums in ten bear the name of their first song.
    album = pc.if_else(pa.array(rng.random(len(album)) < 0.3), names.pick(title, albums.first_song), album)
    guests = _guests(rng, artists)
    credit = pc.binary_join_element_wise(names.pick(artists.name, artists.of_song), *guests, ";", null_handling="skip")
    both = pc.binary_join_element_wise(*guests, " & ")  # null unless there are two
    feat = names.fill("{title} (feat. {guests})", {"title": title, "guests": pc.coalesce(both, guests[0])})
    title = pc.coalesce(pc.if_else(pa.array(rng.random(len(title)) < 0.4), feat, title), title)

    artist = artists.of_song[takes.song]
    place = rng.integers(0, len(PLACES), len(artists.name))
    fields = {
        "title": names.pick(title, takes.song),
        "album": names.pick(album, albums.of_song[takes.song]),
        "artist": names.pick(artists.name, artist),
        "place": names.pick(PLACES, place[artist]),
        "year": pc.cast(pa.array(takes.year), pa.string()),
    }
    kinds = [(version, np.flatnonzero(takes.version == i)) for i, version in enumerate(VERSIONS)]
    # The rows are shuffled, so giving a form every second or third row is as good as drawing it.
    forms = [(form, at[i :: len(v.titles)]) for v, at in kinds for i, form in enumerate(v.titles)]
    return {
        "artist_name": names.pick(credit, takes.song),
        "track_name": names.fill_each(forms, fields),
        "album_name": names.fill_each([(version.album, at) for version, at in kinds], fields),
    }


def _guests(rng: np.random.Generator, artists: Artists) -> list[pa.Array]:
    """Return the names of each song's first and second guest, two string arrays (S,), null where there is none."""
    n = len(artists.era)
    by_genre = np.argsort(artists.home, kind="stable")
    place = np.empty(n, np.int64)
    place[by_genre] = np.arange(n)
    # A guest stands 1 to 20 places further in the order by genre, a second one 21 to 40: mostly of the same genre,
    # never the artist, never twice the same.
    reach = min(n - 1, 40) // 2
    host = np.flatnonzero(rng.random(len(artists.of_song)) < GUEST_SHARE) if reach else np.zeros(0, np.int64)
    guests = []
    for at, near in ((host, 1), (host[rng.random(len(host)) < 0.2], reach + 1)):
        who = np.zeros(len(artists.of_song), np.int64)
        absent = np.ones(len(who), bool)
        step = rng.integers(near, near + max(reach, 1), len(at))
        who[at] = by_genre[(place[artists.of_song[at]] + step) % n]
        absent[at] = False
        guests.append(artists.name.take(pa.array(who, mask=absent)))
    return guests


def _features(
    rng: np.random.Generator, scores: Scores, takes: Takes, genre: Ints, profiles: Profiles
) -> dict[str, Any]:
    """Return the columns of the profile's features, each at its genre's quantile of the row's normal score."""
    by_genre = np.argsort(genre, kind="stable")
    rows_of = np.split(by_genre, np.searchsorted(genre[by_genre], np.arange(1, len(profiles.genres))))
    again = np.flatnonzero(takes.version)
    version = takes.version[again]
    change = np.array([version.change for version in VERSIONS])[version]
    columns: dict[str, Any] = {}
    for i, name in enumerate(profiles.features):
        score = scores[i][takes.song].astype(np.float64)
        shift = np.array([version.shifts.get(name, 0.0) for version in VERSIONS])[version]
        anew = np.sqrt(1 - (1 - change) ** 2) * rng.standard_normal(len(again))
        score[again] = (1 - change) * score[again] + anew + shift
        quantiles = profiles.quantiles[:, i]
        if name in _LOGARITHMIC:
            quantiles = np.log1p(quantiles / _LOG_UNIT)
        value: Floats = np.empty(len(score))
        for rows, quantile in zip(rows_of, quantiles, strict=True):
            value[rows] = np.interp(score[rows], profiles.knots, quantile)
        if name in _LOGARITHMIC:
            np.multiply(np.expm1(value), _LOG_UNIT, out=value)
        if name in ("popularity", "duration_ms"):
            columns[name] = np.rint(value).astype(np.int64)
        elif name in ("loudness", "tempo"):
            columns[name] = np.round(value, 3)
        else:
            columns[name] = _three_digits(value)
    return columns


def _three_digits(values: Floats) -> Floats:
    """Round to three significant digits, as the shares 0…1 are published; below 1e-6 is 0."""
    values = np.where(values < _LOG_UNIT, 0.0, values)
    exponent = np.floor(np.log10(np.maximum(values, _LOG_UNIT))).astype(np.int64)
    scale = (10.0 ** np.arange(9))[2 - np.minimum(exponent, 0)]
    rounded: Floats = np.rint(values * scale) / scale
    return rounded


def _traits(rng: np.random.Generator, takes: Takes, genre: Ints, profiles: Profiles) -> dict[str, Any]:
    """Return what all recordings of a song share: key, mode, time signature, and its chance (0…1) of being explicit."""
    songs = int(takes.song.max()) + 1
    keys = np.cumsum(profiles.key_share, axis=1)
    keys = (keys / keys[:, -1:] + np.arange(len(keys))[:, None]).ravel()  # genre g's keys end between g and g + 1
    return {
        "key": np.searchsorted(keys, genre + rng.random(songs)[takes.song], side="right").clip(max=12 * genre + 11)
        - 12 * genre,
        "mode": (rng.random(songs)[takes.song] < profiles.major_share[genre]).astype(np.int64),
        "time_signature": rng.choice([4, 3, 5, 1], songs, p=[0.89, 0.08, 0.017, 0.013])[takes.song],
        "explicit": rng.random(songs)[takes.song],
    }


def _ids(rng: np.random.Generator, rows: int) -> pa.Array:
    """Return ids: "demo" and 18 base-62 digits. In a million, two are equal with a chance of 10^-21."""
    letters = np.empty((rows, 22), np.uint8)
    letters[:, :4] = np.frombuffer(b"demo", np.uint8)
    letters[:, 4:] = _BASE62[rng.integers(0, 62, (rows, 18), dtype=np.uint8)]
    return pa.array(letters.view("S22").ravel()).cast(pa.string())
