"""What is asked and answered, as types. At run time these are the plain dicts that the JSON is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NotRequired, TypedDict

JobStatus = Literal["queued", "running", "succeeded", "failed", "canceled"]
BatchStatus = Literal["queued", "running", "succeeded", "canceled"]


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


class Filters(TypedDict, total=False):
    """What every track of an answer must meet. Ranges are [least, greatest]; an unknown value does not pass."""

    year: list[int]
    popularity: list[int]  # 0–100
    tempo: list[float]  # beats per minute
    duration_ms: list[int]
    genres: list[str]  # one of these is enough
    key: list[int]  # 0 = C … 11 = B
    mode: Literal[0, 1]  # 1 major, 0 minor
    explicit: bool
    exclude_artists: list[str]
    exclude_tracks: list[str]


class Options(TypedDict, total=False):
    """What a request may say beside its seeds; the server's defaults hold for the rest."""

    limit: int  # tracks to answer with, 1–100
    method: Literal["blend", "cluster"]
    combine: Literal["mean", "round_robin"]
    filters: Filters
    weights: Mapping[str, float]  # by feature, and "genre" and "popularity"
    diversity: float  # 0–1
    explain: bool
    variation: int  # another number, another mix
    strategies: list[Literal["catalogue", "spotify", "fuzzy", "genre", "popular"]]
    max_per_artist: int  # in any ten tracks
    deadline_s: float  # after this the server answers with popular tracks, degraded
    metadata: dict[str, str]  # yours; comes back with the job


class Item(Options):
    """One request of a batch. custom_id: yours, comes back with its line; its place in the batch if left out."""

    custom_id: NotRequired[str]
    seeds: Seeds


class Track(TypedDict):
    """A track of the catalogue. None: the catalogue does not know."""

    track_id: str
    name: str
    artists: list[str]
    genres: list[str]
    year: int | None
    popularity: int | None  # 0–100
    tempo: float | None  # beats per minute
    key: int | None  # 0 = C … 11 = B
    mode: int | None  # 1 major, 0 minor
    duration_ms: int | None
    cluster: int
    spotify_url: str | None


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


class Failure(TypedDict):
    """Why a job failed. pointer: JSON pointer to the field at fault, or empty."""

    code: str
    detail: str
    pointer: str


class Job(TypedDict):
    """A job. Times are ISO 8601 in UTC."""

    id: str
    type: str
    status: JobStatus
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    links: dict[str, str]
    metadata: dict[str, str]
    result: Result | None
    error: Failure | None
    warnings: list[str]


class Counts(TypedDict):
    """How many items of a batch are where."""

    total: int
    succeeded: int
    failed: int
    canceled: int
    waiting: int


class Batch(TypedDict):
    """Many requests in one."""

    id: str
    type: str
    status: BatchStatus
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    counts: Counts
    links: dict[str, str]
    metadata: dict[str, str]
    warnings: list[str]


class Line(TypedDict):
    """What became of one item of a batch. index: its place among the items, from 0."""

    index: int
    custom_id: str
    status: Literal["succeeded", "failed", "canceled"]
    result: NotRequired[Result]
    error: NotRequired[Failure]


class PopularList(TypedDict):
    """Popular tracks, of a genre or of all."""

    model: str
    genre: str | None
    tracks: list[Track]
    notice: str | None
    warnings: list[str]


class GenreCount(TypedDict):
    """A genre and how many tracks have it."""

    genre: str
    tracks: int


class GenreList(TypedDict):
    """The genres of the model."""

    model: str
    genres: list[GenreCount]
    notice: str | None
    warnings: list[str]


class ModelInfo(TypedDict):
    """What the model in service holds. coverage: share of the tracks that have each column, 0–1."""

    version: str
    created_at: str
    tracks: int
    songs: int
    artists: int
    genres: list[str]
    clusters: int
    explained_variance: float
    coverage: dict[str, float]
    source: dict[str, Any]
    synthetic: bool
    notice: str | None
    warnings: list[str]


WebhookEventName = Literal["job.succeeded", "job.failed", "job.canceled", "batch.completed"]
DeliveryState = Literal["pending", "delivered", "dead"]


class Webhook(TypedDict):
    """Where one request wants to be told of its end. events: of what; include_result: send the result along."""

    url: str
    events: NotRequired[list[WebhookEventName]]
    include_result: NotRequired[bool]


class Endpoint(TypedDict):
    """Where you are told of all that ends. failing_since: of the first failure after the last success."""

    id: str
    url: str
    events: list[WebhookEventName]
    include_result: bool
    description: str
    enabled: bool
    created_at: str
    failing_since: str | None
    disabled_at: str | None
    disabled_reason: str | None
    old_secret_until: str | None  # webhooks are signed with the one before, too
    links: dict[str, str]


class NewEndpoint(Endpoint):
    """An endpoint whose secret is new; nothing else shows it."""

    secret: str


class Try(TypedDict):
    """What came of a try. status None: no answer; error empty: it went well; answer: its first kilobyte."""

    number: int
    at: str
    status: int | None
    error: str
    ms: float
    answer: str
    next_at: str | None


class Delivery(TypedDict):
    """A webhook on its way. id: its `webhook-id`; endpoint None: its address stood in a request; tried: how often."""

    id: str
    endpoint: str | None
    host: str
    event: str
    status: DeliveryState
    created_at: str
    ended_at: str | None
    next_at: str | None
    why: str | None  # it was given up
    tried: int
    last: Try | None
    links: dict[str, str]


class WholeDelivery(Delivery):
    """A delivery with its last tries, and what is sent."""

    tries: list[Try]
    payload: dict[str, Any]


class FieldError(TypedDict):
    """A wrong field. pointer: JSON pointer (RFC 6901) to it."""

    pointer: str
    detail: str
