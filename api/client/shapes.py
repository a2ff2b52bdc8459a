"""What is asked and answered, as types. At run time these are the plain dicts that the JSON is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from .catalogue_shapes import Filters, Track

StrategyName = Literal["catalogue", "spotify", "fuzzy", "genre", "popular"]


class Features(TypedDict, total=False):
    """A song by its sound. What is left out is guessed. 0–1 but for those that say otherwise."""

    danceability: float
    energy: float
    loudness: float  # dB, -60 … 5
    speechiness: float
    acousticness: float
    instrumentalness: float
    liveness: float
    valence: float
    tempo: float  # beats per minute
    duration_ms: int
    year: int


class Seed(TypedDict, total=False):
    """A song to start from: by id, name with or without artist, or features. weight below 0: keep away from it."""

    track_id: str
    name: str
    artist: str
    features: Features
    weight: float


Seeds = str | Seed | Sequence[str | Seed]
"""What calls take: one or several; a string is a song's name, or its Spotify URI or URL."""


class Asking(TypedDict, total=False):
    """What requests for recommendations and for playlists may say; the server's defaults hold for the rest."""

    method: Literal["blend", "cluster"]
    combine: Literal["mean", "round_robin"]
    filters: Filters
    weights: Mapping[str, float]  # by feature, and "genre" and "popularity"
    diversity: float  # 0–1
    explain: bool
    variation: int  # another number, another mix
    strategies: list[StrategyName]
    max_per_artist: int  # in any ten tracks
    deadline_s: float  # after this the server answers with popular tracks, degraded
    metadata: dict[str, str]  # yours; comes back with the job


class Options(Asking, total=False):
    """What a request for recommendations may say beside its seeds."""

    limit: int  # tracks to answer with, 1–100


class Item(Options):
    """One request of a batch. custom_id: yours, comes back with its line; its place in the batch if left out."""

    type: NotRequired[Literal["recommendation"]]
    custom_id: NotRequired[str]
    seeds: Seeds


class Reason(TypedDict):
    """A part of a track's score, less what the catalogue's average track gets for it."""

    part: str
    value: float


class RankedTrack(Track):
    """A track of an answer. rank: from 1; closer_than: the share of the catalogue that is farther away."""

    rank: int
    score: float | None
    closer_than: float | None
    reasons: list[Reason]


class Alternative(TypedDict):
    """Another song that may have been meant. match: 0–1."""

    track_id: str
    name: str
    artists: list[str]
    match: float


class SeedMatch(TypedDict):
    """What a seed was taken for. match: how sure that is, 0–1; track_id None: by features, or not found."""

    track_id: str | None
    name: str | None
    artists: list[str]
    match: float
    strategy: str | None
    imputed: list[str]
    alternatives: list[Alternative]


class Attempt(TypedDict):
    """A strategy that was tried."""

    strategy: str
    outcome: Literal["used", "partial", "no_match", "skipped", "failed"]
    reason: str
    ms: float


class Result(TypedDict):
    """An answer. strategy: who made it; degraded: it is second best."""

    model: str
    strategy: Literal["catalogue", "spotify", "fuzzy", "genre", "popular", "none"]
    degraded: bool
    attempts: list[Attempt]
    seeds: list[SeedMatch]
    scanned: float  # share of the catalogue that had to be scored, 0–1
    mean_score: float | None
    tracks: list[RankedTrack]
    warnings: list[str]
    notice: str | None
