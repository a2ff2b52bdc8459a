"""Playlists as requests and answers: a list in an order that flows, and what a doctor says of one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from producer.schema import (
    MAX_SEEDS,
    Answer,
    Asking,
    Attempt,
    Message,
    Metadata,
    RankedTrack,
    Seed,
    SeedMatch,
    Share,
    StrategyName,
    Track,
)

MAX_TRACKS = 500
"""Tracks of a playlist, given and found ones together."""

MAX_GIVEN = 400
"""Songs of a playlist that is to be extended or looked at."""

ArcName = Literal["flat", "build", "wind_down", "wave", "peak"]
Part = Literal["sound", "energy", "tempo", "key"]


class Length(Message):
    """How long a playlist is to be, with the songs that were given: in tracks or in minutes."""

    tracks: int | None = Field(None, ge=1, le=MAX_TRACKS)
    minutes: Annotated[float, Field(gt=0, le=1440)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Length:
        if (self.tracks is None) == (self.minutes is None):
            raise ValueError("give tracks or minutes")
        return self


class PlaylistQuery(Asking):
    """A request for a playlist, from one of: seeds, a playlist to extend, waypoints."""

    seeds: list[Seed] = Field(default_factory=list, max_length=MAX_SEEDS, description="Songs that it should be like.")
    extend: list[Seed] = Field(
        default_factory=list, max_length=MAX_GIVEN, description="A playlist: its songs come first, in their order."
    )
    waypoints: list[Seed] = Field(
        default_factory=list,
        max_length=10,
        description="2–10 songs to pass in this order, from the first to the last, in steps as small as can be.",
    )
    length: Length = Field(default_factory=lambda: Length(tracks=30))
    arc: ArcName | Annotated[list[Share], Field(min_length=2, max_length=50)] | None = Field(
        None,
        description="How the energy goes. A name is drawn within what the songs allow; a list holds energies, 0–1, "
        "evenly spaced from the beginning to the end.",
    )
    harmonic: bool = Field(False, description="Let keys (Camelot) and tempos of neighbours fit.")
    artist_gap: int = Field(5, ge=0, le=50, description="Other tracks, at least, between two of one artist.")
    include_seeds: bool = Field(True, description="Whether the songs given are in the playlist, too.")

    @property
    def given(self) -> list[Seed]:
        """The songs that it starts from, whichever field they came in."""
        return self.seeds or self.extend or self.waypoints

    @model_validator(mode="after")
    def _fits_together(self) -> PlaylistQuery:
        if sum(bool(field) for field in (self.seeds, self.extend, self.waypoints)) != 1:
            raise ValueError("give one of seeds, extend, waypoints")
        self._check(self.given)
        if not self.seeds and any(seed.weight < 0 for seed in self.given):
            raise ValueError("songs to avoid go with seeds")
        if self.waypoints:
            if len(self.waypoints) < 2:
                raise ValueError("a path has 2 waypoints or more")
            if self.arc is not None or self.diversity or self.combine != "mean" or self.method != "blend":
                raise ValueError("arc, diversity, combine and method go with seeds or extend, not with waypoints")
            if not self.include_seeds:
                raise ValueError("a path passes its waypoints: include_seeds goes with seeds or extend")
        return self


class TransitionPart(Answer):
    """One side of a transition. score: 0–1, 1 seamless; None: unknown, and counted as neutral."""

    part: Part
    score: float | None
    text: str = Field(description="In words: 8A → 9A, 122 → 124 BPM …")


class Transition(Answer):
    """How a track follows the one before."""

    score: float = Field(description="0–1; 1: seamless.")
    parts: list[TransitionPart]


class PlaylistTrack(RankedTrack):
    """A track of a playlist; `rank` is its place, from 1."""

    energy: float | None = Field(description="0–1.")
    given: bool = Field(description="It is one of the songs that were given.")
    transition: Transition | None = Field(description="From the track before; None: it is the first.")


class Playlist(Answer):
    """An ordered playlist. `degraded` says that it is second best, `strategy` who made it."""

    model: str = Field(description="The version of the model that answered.")
    strategy: Literal["catalogue", "spotify", "fuzzy", "genre", "popular", "none"]
    degraded: bool
    attempts: list[Attempt]
    seeds: list[SeedMatch] = Field(description="What became of the songs that were given, in their order.")
    scanned: float = Field(description="Share of the catalogue that had to be scored, 0–1.")
    mean_score: float | None = Field(None, description="With explain: what an average track scores.")
    duration_ms: int | None = Field(description="Of all tracks; None: one of them is unknown.")
    flow: float | None = Field(description="Mean of its transitions' scores; None: it has none.")
    arc: list[float] | None = Field(None, description="The energy that was aimed at, at each place.")
    tracks: list[PlaylistTrack]
    warnings: list[str]
    notice: str | None = Field(description="What to know of the catalogue: that its songs are invented, say.")


class DoctorQuery(Message):
    """A playlist to look at."""

    playlist: list[Seed] = Field(min_length=2, max_length=MAX_GIVEN)
    strategies: list[StrategyName] | None = Field(None, min_length=1, max_length=5)
    deadline_s: float = Field(30, ge=1, le=600, description="Seconds after which it fails, if nobody has looked.")
    metadata: Metadata = Field(default_factory=dict, max_length=16, description="Yours; given back with the job.")


class Misfit(Answer):
    """A song that is far from the rest of its playlist."""

    place: int = Field(description="From 1.")
    track: Track
    likeness: float = Field(description="To the rest, −1…1.")
    why: list[str] = Field(description="What sets it apart, the most first.")


class Clash(Answer):
    """A transition that jars."""

    place: int = Field(description="Of the first of the two, from 1.")
    transition: Transition


class Bridge(Answer):
    """A song that would mend a transition."""

    after: int = Field(description="The place after which it would stand, from 1.")
    track: Track
    before_score: float = Field(description="The transition as it is.")
    worst_after: float = Field(description="The worse of the two that would take its place.")


class Diagnosis(Answer):
    """What the doctor says of a playlist."""

    model: str
    seeds: list[SeedMatch] = Field(description="What became of the songs that were given, in their order.")
    coherence: float = Field(description="Mean likeness of a song to the rest, −1…1.")
    usual_coherence: float = Field(description="The same of as many songs drawn at random, to compare with.")
    flow: float = Field(description="Mean of its transitions' scores, 0–1.")
    best_flow: float = Field(description="The same, were its songs in the best order found.")
    duplicates: list[list[int]] = Field(description="Places of one song in several versions.")
    misfits: list[Misfit]
    clashes: list[Clash]
    bridges: list[Bridge]
    order: list[int] = Field(description="The places of its songs, in the best order found.")
    tracks: list[PlaylistTrack] = Field(description="The songs that were found, with their transitions.")
    warnings: list[str]
    notice: str | None
