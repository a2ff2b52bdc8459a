"""What a client asks and what it gets: the shapes of requests, answers and jobs, with their limits.

One definition serves the API (which validates what arrives), the worker (which validates again what it takes
from Redis) and the OpenAPI document. Validation is strict: "5" is no number, and an unknown field is an error.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_SEEDS = 50
MAX_LIMIT = 100
MAX_POPULAR = 50

NOT_YET = frozenset(
    {
        *("combine", "filters", "diversity", "explain", "variation", "deadline_s", "strategies", "webhook"),
        *("features", "weight"),
    }
)
"""Fields of the contract that a later release will honour. Until then they are refused, never ignored."""

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Weight = Annotated[float, Field(ge=0, le=20)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Seed(_Message):
    """A song to start from: `track_id`, or `name` with or without `artist`."""

    track_id: ShortText | None = Field(None, description="The track's id in the catalogue.")
    name: ShortText | None = Field(None, description="The song's title.")
    artist: ShortText | None = Field(None, description="One of the song's artists.")

    @model_validator(mode="after")
    def _says_which_song(self) -> Seed:
        if (self.track_id is None) == (self.name is None):
            raise ValueError("give either track_id, or name with or without artist")
        if self.track_id is not None and self.artist is not None:
            raise ValueError("artist goes with name; a track_id needs none")
        return self


class Weights(_Message):
    """How much each part of the score counts; what is not given keeps its default (docs/reference/features.md)."""

    danceability: Weight | None = None
    energy: Weight | None = None
    loudness: Weight | None = None
    speechiness: Weight | None = None
    acousticness: Weight | None = None
    instrumentalness: Weight | None = None
    liveness: Weight | None = None
    valence: Weight | None = None
    tempo: Weight | None = None
    duration: Weight | None = None
    year: Weight | None = None
    genre: Weight | None = None
    popularity: Annotated[float, Field(ge=-0.5, le=2)] | None = None


class Query(_Message):
    """A request for recommendations."""

    seeds: list[Seed] = Field(min_length=1, max_length=MAX_SEEDS, description="Songs that the answer should be like.")
    limit: int = Field(20, ge=1, le=MAX_LIMIT, description="How many tracks to answer with.")
    method: Literal["blend", "cluster"] = Field(
        "blend",
        description="blend: the full score over the whole catalogue; cluster: cosine within the seeds' cluster.",
    )
    weights: Weights = Field(default_factory=Weights, description="For method blend.")
    max_per_artist: int = Field(
        2, ge=1, le=10, description="Tracks of one artist among any ten that follow each other."
    )
    metadata: dict[
        Annotated[str, StringConstraints(max_length=40)], Annotated[str, StringConstraints(max_length=500)]
    ] = Field(default_factory=dict, max_length=16, description="Yours; given back with the job.")

    @model_validator(mode="after")
    def _weights_need_blend(self) -> Query:
        if self.method == "cluster" and self.weights != Weights():
            raise ValueError("weights go with method blend; method cluster has none")
        return self


class Track(_Message):
    """A track as every answer shows it. None: the catalogue does not know."""

    track_id: str
    name: str
    artists: list[str] = Field(description="Empty: unknown.")
    genres: list[str]
    year: int | None
    popularity: int | None = Field(description="0–100, as of the day the catalogue was made.")
    tempo: float | None = Field(description="Beats per minute.")
    key: int | None = Field(description="Pitch class, 0 = C … 11 = B.")
    mode: int | None = Field(description="1 major, 0 minor.")
    duration_ms: int | None
    cluster: int = Field(description="One of the model's K-means clusters.")
    spotify_url: str | None


class RankedTrack(Track):
    """A track of an answer."""

    rank: int = Field(description="From 1.")
    score: float | None = Field(description="Higher is nearer; None where the strategy has no score.")


class SeedMatch(_Message):
    """What became of a seed. `track_id` None: no such song in the catalogue, and `match` is 0."""

    track_id: str | None
    name: str | None
    artists: list[str]
    match: float = Field(description="0–1: how sure it is that this is the song that was meant.")


class Attempt(_Message):
    """A strategy that was tried."""

    strategy: str
    outcome: Literal["used", "no_match", "partial"]
    reason: str
    ms: float


class Result(_Message):
    """An answer. `degraded` says that it is second best, `strategy` who made it."""

    model: str = Field(description="The version of the model that answered.")
    strategy: Literal["catalogue", "popular"]
    degraded: bool
    attempts: list[Attempt]
    seeds: list[SeedMatch]
    tracks: list[RankedTrack]
    warnings: list[str]
    notice: str | None = Field(description="What to know of the catalogue: that its songs are invented, say.")


class Status(StrEnum):
    """Where a job stands. A final status never changes."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_final(self) -> bool:
        """Whether the job is over."""
        return self not in (Status.QUEUED, Status.RUNNING)


class JobError(_Message):
    """Why a job failed."""

    code: str
    detail: str
    pointer: str = ""


class Links(_Message):
    """Where to ask on."""

    self: str


class Job(_Message):
    """A job as clients see it; times are ISO 8601 in UTC."""

    id: str
    type: Literal["recommendation"] = "recommendation"
    status: Status
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    expires_at: str | None = None
    links: Links
    metadata: dict[str, str]
    result: Result | None = None
    error: JobError | None = None
    warnings: list[str] = Field(default_factory=list)


class PopularList(_Message):
    """Popular tracks, precomputed with the model."""

    model: str
    genre: str | None
    tracks: list[Track]
    notice: str | None


class ModelInfo(_Message):
    """What the model in service holds."""

    version: str
    created_at: str
    tracks: int
    songs: int = Field(description="Tracks with the versions of one song counted once.")
    artists: int
    genres: list[str]
    clusters: int
    explained_variance: float = Field(description="Share of the cluster space's variance that the PCA keeps, 0–1.")
    coverage: dict[str, float] = Field(description="Share of tracks that have each column, 0–1.")
    source: dict[str, Any] = Field(description="What the model was trained from.")
    synthetic: bool
    notice: str | None
