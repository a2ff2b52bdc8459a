"""Find the songs that a request means: by id, by name, misspelt, by what Spotify calls them, or as feature values."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from artifacts.likeness import alike
from artifacts.model import Model
from artifacts.names import normalise, title_forms
from artifacts.score import Target
from artifacts.textindex import MATCH_THRESHOLD
from producer.schema import Alternative, Seed, SeedMatch
from producer.songs import track_id_of

ALTERNATIVES = 3
ARTIST_TRACKS = 30
"""An artist alone stands for so many of their tracks, the most popular."""

TITLE_OF_SEVERAL = 0.9
"""How sure a title alone is that several artists share: the best known is taken, the others are named."""


@dataclass(frozen=True)
class Point:
    """A seed found: what to compare with, and the row it is, if it is one. match: what the answer says of it."""

    target: Target
    row: int | None
    match: SeedMatch


@dataclass(frozen=True)
class Outside:
    """What a look-up outside the catalogue gave.

    outcome: found, no_match, skipped or failed. candidates: (id, title, artist), best first.
    """

    outcome: str
    reason: str
    candidates: tuple[tuple[str, str, str], ...] = ()


class LookUp(Protocol):
    """Finds songs outside the catalogue. budget_s: seconds that all look-ups of a request may take."""

    budget_s: float

    def find(self, name: str, artist: str | None, budget_s: float) -> Outside:
        """Look a song up by name."""

    def features_of(self, track_id: str, budget_s: float) -> dict[str, float]:
        """Return a track's audio features, by the names of artifacts.features.RAW; empty: not known."""


def by_catalogue(model: Model, seed: Seed) -> Point | None:
    """Find a seed by its id, URI or URL, its exact (normalised) name, or take its features as they are."""
    if seed.features is not None:
        target, imputed = model.target_of_features(seed.features.model_dump(exclude_none=True))
        match = SeedMatch(track_id=None, name=None, artists=[], match=1.0, strategy="catalogue", imputed=imputed)
        return Point(target, None, match)
    if seed.track_id is not None:
        row = model.row_of_id(track_id_of(seed.track_id))
        return None if row is None else _point(model, row, 1.0, "catalogue")
    if seed.name is None:
        return _by_artist(model, seed.artist or "")
    rows = model.rows_of_name(seed.name, seed.artist)
    if not rows:
        return None
    others = [] if seed.artist else _others(model, rows)
    return _point(model, rows[0], TITLE_OF_SEVERAL if others else 1.0, "catalogue", others)


def _by_artist(model: Model, artist: str) -> Point | None:
    """Take an artist alone as the mean of what they are known for."""
    codes = set(model.artists_named(artist))
    rows = [row for row in model.names.artist_rows(artist, ARTIST_TRACKS) if codes & set(model.artist_codes(row))]
    if not rows:
        return None
    named = [model.artist_name[code] for code in model.artist_codes(rows[0]) if code in codes]
    match = SeedMatch(track_id=None, name=None, artists=named, match=1.0, strategy="catalogue")
    return Point(model.target(rows), None, match)


def by_likeness(model: Model, seed: Seed) -> tuple[Point | None, list[Alternative]]:
    """Find a seed by a name that is nearly right. → the point if it is sure enough, and what else may be meant."""
    if seed.name is None:
        return None, []
    hits = model.names.search(seed.name, seed.artist, limit=10)
    alternatives = [_alternative(model, hit.row, hit.score) for hit in hits]
    if not hits or hits[0].score < MATCH_THRESHOLD:
        return None, alternatives[:ALTERNATIVES]
    songs = {int(model.song[hits[0].row])}
    others = []
    for hit, alternative in zip(hits[1:], alternatives[1:], strict=True):
        if int(model.song[hit.row]) not in songs:
            songs.add(int(model.song[hit.row]))
            others.append(alternative)
    return _point(model, hits[0].row, round(hits[0].score, 4), "fuzzy", others[:ALTERNATIVES]), []


def by_spotify(model: Model, seed: Seed, look_up: LookUp, deadline: float) -> tuple[Point | None, str, str]:
    """Find a seed by what Spotify calls it. deadline: `time.monotonic` at which it has to end.

    How sure it is, is how alike the names are. → the point or None, the outcome and its reason.
    """
    if not seed.name:
        return None, "skipped", "only titles are looked up"
    found = look_up.find(seed.name, seed.artist, max(deadline - time.monotonic(), 0.0))
    if found.outcome != "found":
        return None, found.outcome, found.reason
    for track_id, title, artist in found.candidates:
        row = model.row_of_id(track_id)
        if row is None:
            rows = model.rows_of_name(title, artist)
            row = rows[0] if rows else None
        if row is not None:
            return _point(model, row, _likeness(seed, title, artist), "spotify"), "found", found.reason
    for track_id, title, artist in found.candidates[:1]:
        if features := look_up.features_of(track_id, max(deadline - time.monotonic(), 0.0)):
            target, imputed = model.target_of_features(features)
            likeness = _likeness(seed, title, artist)
            match = SeedMatch(
                track_id=None, name=title, artists=[artist], match=likeness, strategy="spotify", imputed=imputed
            )
            return Point(target, None, match), "found", found.reason
    return None, "no_match", "Spotify knows the song, this catalogue does not"


def _likeness(seed: Seed, title: str, artist: str) -> float:
    """Return how alike a seed's name and the one found are, 0–1."""
    title_alike = max(float(alike(form, title_forms(title)).max()) for form in title_forms(seed.name or ""))
    artist_alike = float(alike(normalise(seed.artist), [normalise(artist)])[0]) if seed.artist else 1.0
    return round(title_alike * artist_alike, 4)


def unmatched(alternatives: list[Alternative]) -> SeedMatch:
    """Return what the answer says of a seed that was not found."""
    return SeedMatch(track_id=None, name=None, artists=[], match=0.0, alternatives=alternatives)


def _point(model: Model, row: int, match: float, strategy: str, others: list[Alternative] | None = None) -> Point:
    track = model.track(row)
    said = SeedMatch(
        track_id=track["track_id"],
        name=track["name"],
        artists=track["artists"],
        match=match,
        strategy=strategy,
        alternatives=others or [],
    )
    return Point(model.target([row]), row, said)


def _others(model: Model, rows: list[int]) -> list[Alternative]:
    """Return the best known rows of other artists than the first row's."""
    first = set(model.artist_codes(rows[0]))
    seen = set(first)
    others = []
    for row in rows[1:]:
        artists = set(model.artist_codes(row))
        if artists and not artists & seen:
            seen |= artists
            others.append(_alternative(model, row, 1.0))
    return others[:ALTERNATIVES]


def _alternative(model: Model, row: int, match: float) -> Alternative:
    track = model.track(row)
    return Alternative(track_id=track["track_id"], name=track["name"], artists=track["artists"], match=round(match, 4))
