"""What a client asks and what it gets: the shapes of requests, answers and jobs, with their limits.

One definition serves the API (which validates what arrives), the worker (which validates again what it takes
from Redis) and the OpenAPI document. Validation is strict: "5" is no number, and an unknown field is an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_SEEDS = 50
MAX_LIMIT = 100
MAX_POPULAR = 50

SOUND = (
    *("danceability", "energy", "loudness", "speechiness", "acousticness", "instrumentalness", "liveness", "valence"),
)
"""The features that tracks can be filtered by and compared in."""

RANGES = ("year", "popularity", "tempo", "duration_ms", *SOUND)
"""The filters that are a least and a greatest value."""

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Weight = Annotated[float, Field(ge=0, le=20)]
Share = Annotated[float, Field(ge=0, le=1)]
Between = Annotated[list[float], Field(min_length=2, max_length=2)]

Metadata = dict[Annotated[str, StringConstraints(max_length=40)], Annotated[str, StringConstraints(max_length=500)]]

StrategyName = Literal["catalogue", "spotify", "fuzzy", "genre", "popular"]


class Message(BaseModel):
    """What all of them have in common: nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Answer(Message):
    """What is read back from Redis: a field that another release added must not make it unreadable."""

    model_config = ConfigDict(extra="ignore")


class Features(Message):
    """A song by its audio features. What is left out is imputed, and the answer says so."""

    danceability: Share | None = None
    energy: Share | None = None
    loudness: Annotated[float, Field(ge=-60, le=5, description="dB")] | None = None
    speechiness: Share | None = None
    acousticness: Share | None = None
    instrumentalness: Share | None = None
    liveness: Share | None = None
    valence: Share | None = None
    tempo: Annotated[float, Field(gt=0, le=300, description="Beats per minute")] | None = None
    duration_ms: Annotated[int, Field(gt=0, le=36_000_000)] | None = None
    year: Annotated[int, Field(ge=1900, le=2100)] | None = None

    @model_validator(mode="after")
    def _has_some(self) -> Features:
        if not self.model_dump(exclude_none=True):
            raise ValueError("give at least one feature")
        return self


class Seed(Message):
    """A song to start from: `track_id` (an id, a Spotify URI or URL), `name` with or without `artist`, or `features`.

    A negative `weight` makes it a song to keep away from.
    """

    track_id: ShortText | None = Field(None, description="The track's id in the catalogue, or its Spotify URI or URL.")
    name: ShortText | None = Field(None, description="The song's title, or title and artist in one.")
    artist: ShortText | None = Field(None, description="One of the song's artists; alone: what they are known for.")
    features: Features | None = Field(None, description="A song by its audio features.")
    weight: float = Field(1.0, ge=-10, le=10, description="How much it counts; below 0: keep away from it.")

    @model_validator(mode="after")
    def _says_which_song(self) -> Seed:
        given = [self.track_id is not None, self.name is not None or self.artist is not None, self.features is not None]
        if sum(given) != 1:
            raise ValueError("give one of track_id, name with or without artist, artist, features")
        if self.weight == 0:
            raise ValueError("weight 0 would count for nothing; leave the seed out")
        return self


class Filters(Message):
    """Conditions that every track of the answer meets. A track whose value is unknown does not pass."""

    year: Between | None = Field(None, description="Least and greatest, both included.")
    popularity: Between | None = Field(None, description="Least and greatest, 0–100.")
    tempo: Between | None = Field(None, description="Least and greatest, beats per minute.")
    duration_ms: Between | None = Field(None, description="Least and greatest.")
    danceability: Between | None = Field(None, description="Least and greatest, 0–1.")
    energy: Between | None = Field(None, description="Least and greatest, 0–1.")
    loudness: Between | None = Field(None, description="Least and greatest, dB.")
    speechiness: Between | None = Field(None, description="Least and greatest, 0–1.")
    acousticness: Between | None = Field(None, description="Least and greatest, 0–1.")
    instrumentalness: Between | None = Field(None, description="Least and greatest, 0–1.")
    liveness: Between | None = Field(None, description="Least and greatest, 0–1.")
    valence: Between | None = Field(None, description="Least and greatest, 0–1.")
    genres: list[ShortText] | None = Field(None, min_length=1, max_length=50, description="One of these is enough.")
    key: list[Annotated[int, Field(ge=0, le=11)]] | None = Field(None, min_length=1, max_length=12)
    mode: Annotated[int, Field(ge=0, le=1)] | None = Field(None, description="1 major, 0 minor.")
    explicit: bool | None = None
    exclude_artists: list[ShortText] = Field(default_factory=list, max_length=200, description="By name.")
    exclude_tracks: list[ShortText] = Field(
        default_factory=list, max_length=1000, description="By id, URI or URL; in all their versions."
    )

    @model_validator(mode="after")
    def _least_first(self) -> Filters:
        for name in RANGES:
            between = getattr(self, name)
            if between is not None and between[0] > between[1]:
                raise ValueError(f"{name}: the least value comes first")
        return self


def filters_beyond(filters: Filters, coverage: Mapping[str, float], genres: Collection[str]) -> list[tuple[str, str]]:
    """Return what filters ask for that a model lacks: (JSON pointer, what is lacking) of each.

    coverage: share of tracks that have each column; genres: the model's labels.
    """
    columns = {"genres": "genre", "exclude_artists": "artist_name", "exclude_tracks": ""}
    lacking = [
        (f"/filters/{name}", f"this model has no {column}")
        for name in filters.model_dump(exclude_defaults=True)
        if coverage.get(column := columns.get(name, name), 1) == 0
    ]
    unknown = [(i, genre) for i, genre in enumerate(filters.genres or []) if genre not in genres]
    return lacking or [(f"/filters/genres/{i}", f"this model has no genre {genre!r}") for i, genre in unknown]


class Weights(Message):
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


class Asking(Message):
    """What requests for recommendations and for playlists have in common, beside their seeds."""

    method: Literal["blend", "cluster"] = Field(
        "blend",
        description="blend: the full score over the whole catalogue; cluster: cosine within the seeds' cluster.",
    )
    combine: Literal["mean", "round_robin"] = Field(
        "mean", description="mean: near to all seeds at once; round_robin: near to each in turn, by weight."
    )
    filters: Filters = Field(default_factory=Filters)
    weights: Weights = Field(default_factory=Weights, description="For method blend.")
    diversity: Share = Field(0.0, description="0: the best; towards 1: tracks that differ more from each other (MMR).")
    explain: bool = Field(False, description="Give the parts of each track's score.")
    variation: int = Field(0, ge=0, le=2**31 - 1, description="0: the best; any other number: another mix of the good.")
    strategies: list[StrategyName] | None = Field(
        None, min_length=1, max_length=5, description="What to try, in this order; the server's own order if left out."
    )
    max_per_artist: int = Field(
        2, ge=1, le=10, description="Tracks of one artist among any ten that follow each other."
    )
    deadline_s: float = Field(
        30, ge=1, le=600, description="Seconds after which a fallback answers, if nothing better has."
    )
    metadata: Metadata = Field(default_factory=dict, max_length=16, description="Yours; given back with the job.")

    def _check(self, seeds: Collection[Seed]) -> None:
        """Check that the fields fit together. Raises: ValueError."""
        if self.method == "cluster":
            if self.weights != Weights():
                raise ValueError("weights go with method blend; method cluster has none")
            if self.explain:
                raise ValueError("explain goes with method blend; a cosine has no parts")
            if any(seed.weight < 0 for seed in seeds):
                raise ValueError("seeds to avoid go with method blend")
            if self.combine != "mean":
                raise ValueError("combine round_robin goes with method blend")
        if all(seed.weight < 0 for seed in seeds):
            raise ValueError("at least one seed must have a weight over 0")
        if self.strategies and len(set(self.strategies)) < len(self.strategies):
            raise ValueError("strategies: each at most once")


class Query(Asking):
    """A request for recommendations."""

    seeds: list[Seed] = Field(min_length=1, max_length=MAX_SEEDS, description="Songs that the answer should be like.")
    limit: int = Field(20, ge=1, le=MAX_LIMIT, description="How many tracks to answer with.")

    @model_validator(mode="after")
    def _fits_together(self) -> Query:
        self._check(self.seeds)
        return self


class Track(Answer):
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
    at: Between | None = Field(
        None,
        description="Its place on the map, [x, y] within 0–1: from dark to bright, from calm to energetic, each as a "
        "percentile of the catalogue. Null: its valence or its energy is unknown.",
    )


class Sound(Answer):
    """A value for each audio feature of a track. None: the catalogue does not know."""

    danceability: float | None = None
    energy: float | None = None
    loudness: float | None = None
    speechiness: float | None = None
    acousticness: float | None = None
    instrumentalness: float | None = None
    liveness: float | None = None
    valence: float | None = None


class TrackDetail(Track):
    """A track with all that is known of how it sounds."""

    features: Sound = Field(description="Loudness in dB, the others 0–1; three decimals.")
    percentiles: Sound = Field(description="The share of the catalogue's tracks that have less of it, 0–1.")


class Reason(Answer):
    """A part of a track's score, less what an average track of the catalogue gets for it."""

    part: str
    value: float = Field(description="Over 0: nearer to the seeds than the average track, or better known …")


class RankedTrack(Track):
    """A track of an answer."""

    rank: int = Field(description="From 1.")
    score: float | None = Field(description="Higher is nearer; None where the strategy has no score.")
    closer_than: float | None = Field(
        None, description="Share of the tracks that pass the filters that are farther away, 0–1."
    )
    reasons: list[Reason] = Field(default_factory=list, description="With explain: they sum to score − mean score.")


class Alternative(Answer):
    """Another song that may have been meant."""

    track_id: str
    name: str
    artists: list[str]
    match: float


class SeedMatch(Answer):
    """What became of a seed. `track_id` None: by features, or not found, and then `match` is 0."""

    track_id: str | None
    name: str | None
    artists: list[str]
    match: float = Field(description="0–1: how sure it is that this is the song that was meant.")
    strategy: str | None = Field(None, description="Which strategy found it; None: none did.")
    imputed: list[str] = Field(default_factory=list, description="Features that were not given, and were guessed.")
    alternatives: list[Alternative] = Field(default_factory=list, description="Did you mean …?")


class Attempt(Answer):
    """A strategy that was tried."""

    strategy: str
    outcome: Literal["used", "partial", "no_match", "skipped", "failed"]
    reason: str
    ms: float


class Result(Answer):
    """An answer. `degraded` says that it is second best, `strategy` who made it."""

    model: str = Field(description="The version of the model that answered.")
    strategy: Literal["catalogue", "spotify", "fuzzy", "genre", "popular", "none"]
    degraded: bool
    attempts: list[Attempt]
    seeds: list[SeedMatch]
    scanned: float = Field(description="Share of the catalogue that had to be scored, 0–1.")
    mean_score: float | None = Field(None, description="With explain: what an average track scores.")
    tracks: list[RankedTrack]
    warnings: list[str]
    notice: str | None = Field(description="What to know of the catalogue: that its songs are invented, say.")
