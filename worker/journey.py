"""A playlist that passes waypoints: what lies between them, and the path through it."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from artifacts import features
from artifacts.filters import Mask
from artifacts.model import Model
from artifacts.score import Target, mean_target
from artifacts.score import query as score_query
from producer.playlists.shapes import MAX_TRACKS, PlaylistQuery
from producer.songs import WINDOW
from worker import lengths, path, ranking, strategies, transitions
from worker.candidates import Picked, Sought
from worker.draft import Draft, too_soon
from worker.pool import conflicts, seconds_of
from worker.problem import Order, Problem
from worker.ranking import Candidate
from worker.reporting import Report
from worker.resolve import Point
from worker.transitions import Tracks

F64 = npt.NDArray[np.float64]

_LAYER = 24
"""Songs to choose from at each place."""

_LOOK = 60
"""Songs fetched for each place: neighbouring places see much the same ones …"""

_FARTHEST = 960
"""… and so many at most, if most of those are by one artist."""

_OF_ARTIST = 2
"""Songs of one artist at each place."""

_SEARCHES = 30
"""Searches of a leg at most."""

_LARGEST_PAIRS = 1500
"""Songs at most where a path is to last so many minutes: what each pair of them costs is in memory then."""

_TIMES = 3
"""How often the number of places is set right by how long those songs last that were found."""

_ROUNDS = 30
"""Times that songs are left out because their artist comes again too soon, and the path is sought again."""


class _Layers:
    """The songs to choose from at each place. rows, kind: the row of each song, and its place."""

    def __init__(self, model: Model, found: list[list[Candidate]], harmonic: bool) -> None:
        self.candidates = [candidate for layer in found for candidate in layer]
        self.kind = np.array([place for place, layer in enumerate(found) for _ in layer], np.intp)
        self.rows = np.array([candidate.row for candidate in self.candidates], np.intp)
        self.tracks = Tracks.of(model, self.rows)
        self.starts = np.searchsorted(self.kind, np.arange(len(found) + 1))
        self.costs = [
            transitions.costs(self.tracks[self._at(place)], self.tracks[self._at(place + 1)], harmonic)
            for place in range(len(found) - 1)
        ]

    def _at(self, place: int) -> slice:
        return slice(int(self.starts[place]), int(self.starts[place + 1]))

    def best(self, left_out: set[int]) -> Order:
        """Return the best path without some songs, as places in `rows`; of a single layer the first song."""
        if not self.costs:
            return self.starts[:-1]
        out = np.zeros(len(self.rows))
        out[list(left_out)] = math.inf
        costs = [
            cost + out[self._at(place)][:, None] + out[self._at(place + 1)][None, :]
            for place, cost in enumerate(self.costs)
        ]
        return np.array(path.smallest_steps(costs), np.intp) + self.starts[:-1]


def stops(model: Model, sought: Sought) -> tuple[list[Point], list[str]]:
    """Return the waypoints that were found, each song once, and what to say of the others."""
    points: list[Point] = []
    songs: set[int] = set()
    warnings = []
    for place, point in enumerate(sought.climb.points, start=1):
        if point is None:
            continue
        song = None if point.row is None else int(model.song[point.row])
        if song in songs:
            warnings.append(f"seed {place}: the same song as one before it; the path passes it once")
            continue
        if song is None:
            warnings.append(f"seed {place}: not one song of the catalogue, so the path passes near to it")
        else:
            songs.add(song)
        points.append(point)
    return points, warnings


def draft(model: Model, query: PlaylistQuery, sought: Sought, points: list[Point], report: Report) -> Draft:
    """Return the path through `points`, two at least, in their order."""
    warnings = []
    wish_s = None if query.length.minutes is None else 60 * query.length.minutes
    places = query.length.tracks or round((wish_s or 0.0) / lengths.SONG_S)
    if query.length.tracks is not None and places < len(points):
        warnings.append(f"{places} tracks were asked for, but {len(points)} waypoints were found: they are the path")
    places = min(max(places, len(points)), MAX_TRACKS)
    layers, order, near, scanned = _way(model, query, sought, points, places)
    report("ordering", 0.5)
    if wish_s is not None:
        for _ in range(_TIMES):
            more = lengths.missing(seconds_of(model, layers.rows[order]), wish_s)
            if places == (places := min(max(places + more, len(points)), MAX_TRACKS)):
                break
            layers, order, near, scanned = _way(model, query, sought, points, places)
        order = _timed(model, query, layers, order, wish_s) if len(order) > 1 else order
        warnings += lengths.off(seconds_of(model, layers.rows[order]), wish_s)
    if near:
        warnings.append(too_soon(near))
    if len(order) < 2:
        warnings.append("this is no path: it takes two songs, and fewer pass near to the waypoints")
    chosen = [layers.candidates[i] for i in order]
    given = {point.row for point in points if point.row is not None}
    picked = Picked([c for c in chosen if c.row not in given], scanned=scanned)
    rows = [c.row for c in chosen]
    return Draft(rows, given, sought.climb.strategy, picked, degraded=len(rows) < 2, warnings=warnings)


def _way(
    model: Model, query: PlaylistQuery, sought: Sought, points: list[Point], places: int
) -> tuple[_Layers, Order, int, float]:
    """→ the songs there are, the best path, how often an artist comes again too soon, the share that was scanned."""
    found, scanned = _songs(model, query, sought, points, places)
    layers = _Layers(model, found, query.harmonic)
    return layers, *_spaced(query, layers), scanned


def _songs(
    model: Model, query: PlaylistQuery, sought: Sought, points: list[Point], places: int
) -> tuple[list[list[Candidate]], float]:
    """Return the songs for each place, and what share of the catalogue was looked at."""
    legs = list(pairwise(points))
    between = path.places_between([_distance(a.target, b.target) for a, b in legs], places - len(points))
    given = {int(model.song[point.row]) for point in points if point.row is not None}
    search = _Search(model, query, sought.mask, given)
    found: list[list[Candidate]] = []
    stands: list[bool] = []  # whether a place is a waypoint's own
    # An artist whose song is a waypoint is in no place too near to it, and in a long path everywhere else.
    at = np.cumsum([0, *(count + 1 for count in between)]).tolist()
    theirs = [set() if point.row is None else set(model.artist_codes(point.row)) for point in points]
    for leg, point in enumerate(points):
        stands.append(point.row is not None)
        if point.row is not None:
            found.append(strategies.candidates_of(model, np.array([point.row], np.intp), None))
        else:
            found.append(search.near(point.target, 1, _near_by(at, theirs, at[leg], at[leg], query.artist_gap)))
        if leg < len(legs):
            way: list[list[Candidate]] = []
            for block, target in _blocks(legs[leg][0].target, legs[leg][1].target, between[leg]):
                first, last = at[leg] + block[0], at[leg] + block[-1]
                artists = _near_by(at, theirs, first, last, query.artist_gap)
                way += [search.near(target, len(block), artists)] * len(block)
            found += way
            stands += [False] * len(way)
    ranked = [[] if own else [c.song for c in layer] for own, layer in zip(stands, found, strict=True)]
    size = _LAYER if query.length.minutes is None else min(_LAYER, max(_LARGEST_PAIRS // places, 3))
    kept = path.own_layer(ranked, given, size)
    layers = [
        layer if own else [layer[rank] for rank in ranks] for own, layer, ranks in zip(stands, found, kept, strict=True)
    ]
    return [layer for layer in layers if layer], float(np.mean(search.scanned)) if search.scanned else 0.0


def _near_by(at: list[int], theirs: list[set[int]], first: int, last: int, gap: int) -> set[int]:
    """Return the artists of the waypoints that stand nearer than the gap to the places first … last."""
    return {
        code for place, codes in zip(at, theirs, strict=True) for code in codes if first - gap <= place <= last + gap
    }


def _blocks(start: Target, end: Target, places: int) -> list[tuple[list[int], Target]]:
    """Return the places of a leg, from 1, and a target for each; where they are many, neighbours share one."""
    blocks = np.array_split(np.arange(1, places + 1), min(places, _SEARCHES)) if places else []
    shares = [float(block.mean()) / (places + 1) for block in blocks]
    return [
        (block.tolist(), mean_target([start, end], [1 - share, share]))
        for block, share in zip(blocks, shares, strict=True)
    ]


class _Search:
    """Finds songs near to a target. scanned: of each search, the share of the catalogue."""

    def __init__(self, model: Model, query: PlaylistQuery, mask: Mask | None, without: set[int]) -> None:
        self.model, self.query, self.mask, self.without = model, query, mask, without
        self.weights = query.weights.model_dump(exclude_none=True)
        self.scanned: list[float] = []

    def near(self, target: Target, places: int, without_artists: set[int]) -> list[Candidate]:
        """Return songs for so many places, the nearest first, not too many of one artist."""
        look, wanted = _LOOK * places, _LAYER * places
        while True:
            near = self.model.nearest(score_query(target, self.weights), look, self.mask)
            self.scanned.append(near.scanned)
            songs = strategies.candidates_of(self.model, near.rows, near.score.tolist())
            if self.query.variation:
                songs = ranking.vary(songs, [self.model.id_of(c.row) for c in songs], self.query.variation)
            songs = [c for c in ranking.one_version_each(songs, self.without) if without_artists.isdisjoint(c.artists)]
            kept = _mixed(songs, _OF_ARTIST * places)
            if len(kept) >= wanted or len(near.rows) < look or look >= _FARTHEST * places:
                return kept
            look *= 4


def _mixed(songs: list[Candidate], most: int) -> list[Candidate]:
    """Return the songs less those whose artist has had `most` before them: an artist's songs are near to each other."""
    times: Counter[int] = Counter()
    kept = []
    for song in songs:
        if all(times[code] < most for code in song.artists):
            times.update(song.artists)
            kept.append(song)
    return kept


def _distance(a: Target, b: Target) -> float:
    """Return how far apart two targets are, by the default weights."""
    weights = np.array([features.DEFAULT_WEIGHTS[name] for name in features.SCORE])
    genre = features.DEFAULT_WEIGHTS["genre"] * ((a.genre - b.genre) ** 2).sum()
    return math.sqrt(float((weights * (a.mean - b.mean) ** 2).sum() + genre))


def _spaced(query: PlaylistQuery, layers: _Layers) -> tuple[Order, int]:
    """Return the best path in which artists keep their distance, and how often they do not.

    Where an artist comes again too soon, one of the two places does without them, and the path is sought again.
    """
    artists = [set(candidate.artists) for candidate in layers.candidates]
    left_out: set[int] = set()
    best, fewest = layers.best(left_out), math.inf
    for _ in range(_ROUNDS):
        order = layers.best(left_out)
        again = _again(query, [artists[i] for i in order])
        if len(again) < fewest:
            best, fewest = order, len(again)
        gone = len(left_out)
        for earlier, later in again:
            shared = artists[order[earlier]] & artists[order[later]]
            # The place where more songs are left; a waypoint's own place has but one.
            choices = []
            for place in (earlier, later):
                here = [i for i in range(layers.starts[place], layers.starts[place + 1]) if i not in left_out]
                without = {i for i in here if artists[i] & shared}
                choices.append((len(here) - len(without), without))
            left, without = max(choices, key=lambda choice: choice[0])
            if left:
                left_out |= without
        if len(left_out) == gone:
            break
    return best, int(fewest)


def _again(query: PlaylistQuery, artists: list[set[int]]) -> list[tuple[int, int]]:
    """Return the pairs of places at which an artist comes again too soon."""
    pairs = []
    last: dict[int, list[int]] = {}
    for place, codes in enumerate(artists):
        before = set()
        for code in codes:
            heard = last.setdefault(code, [])
            if heard and place - heard[-1] <= query.artist_gap:
                before.add(heard[-1])
            if len(heard) >= query.max_per_artist and place - heard[-query.max_per_artist] < WINDOW:
                before.add(heard[-1])
            heard.append(place)
        pairs += [(earlier, place) for earlier in sorted(before)]
    return pairs


def _timed(model: Model, query: PlaylistQuery, layers: _Layers, order: Order, wish_s: float) -> Order:
    """Exchange songs of a place for others of it, until the path lasts as long as asked for. order: two at least."""
    m = len(layers.rows)
    worst = max(
        float(cost[a - begin, b - end])
        for cost, a, b, begin, end in zip(
            layers.costs, order, order[1:], layers.starts, layers.starts[1:], strict=False
        )
    )
    pair = np.ones((m, m))
    for place, cost in enumerate(layers.costs):
        here, there = slice(*layers.starts[place : place + 2]), slice(*layers.starts[place + 1 : place + 3])
        dear = np.where(cost > worst, cost + 1.0, cost)  # a worse step than the worst is the last resort
        pair[here, there], pair[there, here] = dear, dear.T
    conflict, groups = conflicts([c.artists for c in layers.candidates], query.max_per_artist, query.artist_gap)
    problem = Problem(
        pair=pair,
        place=None,
        own=np.zeros(m),
        conflict=conflict,
        gap=query.artist_gap,
        groups=groups,
        most=query.max_per_artist,
        window=WINDOW,
        kind=layers.kind,
    )
    return lengths.exchanged(problem, order, seconds_of(model, layers.rows), wish_s)
