"""What is asked and answered about playlists, as types."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from .catalogue_shapes import Track
from .shapes import Asking, Attempt, RankedTrack, SeedMatch, Seeds, StrategyName


class Length(TypedDict, total=False):
    """How long a playlist is to be, with the songs that were given: in tracks or in minutes, one of both."""

    tracks: int
    minutes: float


class PlaylistOptions(Asking, total=False):
    """What a request for a playlist may say. It starts from seeds, or from one of the first two."""

    extend: Seeds  # a playlist: its songs come first, in their order
    waypoints: Seeds  # 2–10 songs to pass, in steps as small as can be
    length: Length
    arc: Literal["flat", "build", "wind_down", "wave", "peak"] | list[float]  # energies, 0–1, from begin to end
    harmonic: bool  # let keys and tempos of neighbours fit
    artist_gap: int  # other tracks, at least, between two of one artist
    include_seeds: bool


class PlaylistItem(PlaylistOptions):
    """One request of a batch, for a playlist."""

    type: Literal["playlist"]
    custom_id: NotRequired[str]
    seeds: NotRequired[Seeds]


class DoctorOptions(TypedDict, total=False):
    """What may be said beside the playlist that is to be looked at."""

    strategies: list[StrategyName]
    deadline_s: float  # after this it fails, if nobody has looked
    metadata: dict[str, str]


class TransitionPart(TypedDict):
    """One side of a transition. score: 0–1, 1 seamless; None: unknown, and counted as neutral."""

    part: Literal["sound", "energy", "tempo", "key"]
    score: float | None
    text: str


class Transition(TypedDict):
    """How a track follows the one before. score: 0–1, 1 seamless."""

    score: float
    parts: list[TransitionPart]


class PlaylistTrack(RankedTrack):
    """A track of a playlist. rank: its place, from 1; given: it is one of the songs that were given."""

    energy: float | None
    given: bool
    transition: Transition | None  # from the track before


class Playlist(TypedDict):
    """An ordered playlist. strategy: who made it; degraded: it is second best."""

    model: str
    strategy: Literal["catalogue", "spotify", "fuzzy", "genre", "popular", "none"]
    degraded: bool
    attempts: list[Attempt]
    seeds: list[SeedMatch]  # what became of the songs that were given
    scanned: float
    mean_score: float | None
    duration_ms: int | None
    flow: float | None  # mean of its transitions' scores
    arc: list[float] | None  # the energy that was aimed at, at each place
    tracks: list[PlaylistTrack]
    warnings: list[str]
    notice: str | None


class Misfit(TypedDict):
    """A song that is far from the rest. place: from 1; likeness: −1…1; why: the most first."""

    place: int
    track: Track
    likeness: float
    why: list[str]


class Clash(TypedDict):
    """A transition that jars. place: of the first of the two, from 1."""

    place: int
    transition: Transition


class Bridge(TypedDict):
    """A song that would mend a transition. after: the place after which it would stand."""

    after: int
    track: Track
    before_score: float
    worst_after: float


class Diagnosis(TypedDict):
    """What the doctor says of a playlist. Places are from 1."""

    model: str
    seeds: list[SeedMatch]
    coherence: float  # −1…1
    usual_coherence: float  # of as many songs drawn at random
    flow: float  # 0–1
    best_flow: float  # the same in the best order found
    duplicates: list[list[int]]  # places of one song in several versions
    misfits: list[Misfit]
    clashes: list[Clash]
    bridges: list[Bridge]
    order: list[int]  # the places of its songs, in the best order found
    tracks: list[PlaylistTrack]
    warnings: list[str]
    notice: str | None
