"""What the catalogue holds, as types: tracks, what to filter them by, genres, the model, the map."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class Filters(TypedDict, total=False):
    """What every track of an answer must meet. Ranges are [least, greatest]; an unknown value does not pass."""

    year: list[int]
    popularity: list[int]  # 0–100
    tempo: list[float]  # beats per minute
    duration_ms: list[int]
    danceability: list[float]
    energy: list[float]
    loudness: list[float]  # dB
    speechiness: list[float]
    acousticness: list[float]
    instrumentalness: list[float]
    liveness: list[float]
    valence: list[float]
    genres: list[str]  # one of these is enough
    key: list[int]  # 0 = C … 11 = B
    mode: Literal[0, 1]  # 1 major, 0 minor
    explicit: bool
    exclude_artists: list[str]
    exclude_tracks: list[str]


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
    at: list[float] | None  # its place on the map, [x, y] within 0–1


class Sound(TypedDict):
    """A value for each audio feature. None: unknown."""

    danceability: float | None
    energy: float | None
    loudness: float | None
    speechiness: float | None
    acousticness: float | None
    instrumentalness: float | None
    liveness: float | None
    valence: float | None


class TrackDetail(Track):
    """A track with how it sounds. percentiles: the share of all tracks that have less of a feature, 0–1."""

    features: Sound
    percentiles: Sound


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
    """What the model in service holds. coverage: share of the tracks that have each column, 0–1.

    quantiles: for each column that can be filtered by range, its values at 0 %, 1 % … 100 % of the tracks.
    """

    version: str
    created_at: str
    tracks: int
    songs: int
    artists: int
    genres: list[str]
    clusters: int
    explained_variance: float
    coverage: dict[str, float]
    quantiles: dict[str, list[float]]
    source: dict[str, Any]
    synthetic: bool
    notice: str | None
    warnings: list[str]


class MapAxis(TypedDict):
    """A direction of the map: a feature, and what its ends at 0 and 1 are called."""

    name: str
    low: str
    high: str


class MapLabel(TypedDict):
    """A cluster on the map. at: the median of its tracks; room: the distance to the nearest larger one."""

    cluster: int
    genres: list[str]
    share: float
    at: list[float]
    room: float


class Map(TypedDict):
    """The map of all tracks. Places are percentiles of the catalogue, 0–1; tracks: how many have one."""

    model: str
    tracks: int
    x: MapAxis
    y: MapAxis
    labels: list[MapLabel]
    notice: str | None
    warnings: list[str]


class TracksOnMap(TypedDict):
    """What lies in a box of the map. count: of all tracks in it; tracks: the best known of them."""

    count: int
    tracks: list[Track]
