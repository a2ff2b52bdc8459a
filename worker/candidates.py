"""What recommendations and playlists have in common: from seeds to the tracks that an answer is made of."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from artifacts.filters import Filter, Mask
from artifacts.model import Found, Model
from artifacts.score import ScoreQuery, Target, mean_target
from artifacts.score import query as score_query
from producer.schema import RANGES, Asking, Attempt, Filters, Reason, Seed, SeedMatch, filters_beyond
from producer.songs import track_id_of
from worker import ranking, strategies
from worker.ranking import Candidate
from worker.resolve import LookUp, Point, unmatched
from worker.strategies import Climb, Strategy

DEFAULT_ORDER: tuple[Strategy, ...] = ("catalogue", "spotify", "fuzzy", "genre", "popular")

_FIRST_LOOK = 6
"""Candidates fetched for each track asked for; versions and the artist cap rarely take more than that."""

_DIVERSE_POOL = 10
"""Candidates, for each track asked for, that diversity and variation choose among …"""

_LARGEST_POOL = 1500
"""… and so many at most: diversity compares each of them with each track that it chooses."""

_MANY_LISTS = 50
"""Searches of one request, beyond which each looks less far. A request for recommendations has no more."""


class WrongField(Exception):
    """A field asks for what this model does not have. pointer: JSON pointer (RFC 6901) to it."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer


@dataclass(frozen=True)
class Wish:
    """What an answer is to be made of.

    seeds: the songs given; limit: tracks to choose; spare: more of the good ones, which may take the place of those;
    gap, before: other tracks between two of an artist, and the artists of the tracks that stand before those chosen;
    without_songs: songs to leave out beside the seeds'.
    """

    query: Asking
    seeds: Sequence[Seed]
    limit: int
    spare: int = 0
    gap: int = 0
    before: Sequence[Collection[int]] = field(default_factory=tuple)
    without_songs: Collection[int] = field(default_factory=tuple)


@dataclass(frozen=True)
class Picked:
    """What an answer holds before it is written out.

    candidates: the chosen, best first; spare: what else is good, best first. request: by which score each was found,
    if by one.
    """

    candidates: list[Candidate]
    spare: list[Candidate] = field(default_factory=list)
    request: Callable[[Candidate], ScoreQuery] | None = None
    scanned: float = 0.0
    passing: int = 0


@dataclass(frozen=True)
class Sought:
    """Seeds looked for, and what tracks must meet. climb: its `strategy` and `attempts` are the answer's."""

    climb: Climb
    order: Sequence[Strategy]
    conditions: Filter
    mask: Mask | None

    @property
    def matches(self) -> list[SeedMatch]:
        """What the answer says of each seed."""
        climb = self.climb
        return [p.match if p is not None else unmatched(climb.alternatives[i]) for i, p in enumerate(climb.points)]

    @property
    def songs(self) -> list[tuple[int, int]]:
        """The seeds that are tracks of the catalogue: (place among the seeds, row)."""
        return [(i, p.row) for i, p in enumerate(self.climb.points) if p is not None and p.row is not None]

    @property
    def warnings(self) -> list[str]:
        """What to say of seeds that were not found, or may not be what was meant."""
        points = self.climb.points
        said = [f"seed {i + 1}: not found in the catalogue" for i, point in enumerate(points) if point is None]
        said += [
            f"seed {i + 1}: several artists have a song of this name; took the best known, by "
            f"{', '.join(point.match.artists) or 'an unknown artist'}; give the artist to choose another"
            for i, point in enumerate(points)
            if point is not None and point.match.strategy == "catalogue" and point.match.alternatives
        ]
        return said


def seek(
    model: Model,
    seeds: Sequence[Seed],
    query: Asking,
    order: Sequence[Strategy],
    look_up: LookUp | None,
    timed: bool = False,
) -> Sought:
    """Find the seeds. order: the strategies to try unless the request says; timed: only tracks of known duration pass.

    Raises: WrongField.
    """
    conditions = conditions_of(model, query.filters)
    if timed and conditions.duration_ms is None:
        conditions = replace(conditions, duration_ms=(0, math.inf))
    mask = model.mask(conditions)
    order = query.strategies or order
    return Sought(strategies.find_seeds(model, seeds, order, look_up), order, conditions, mask)


def gather(model: Model, wish: Wish, sought: Sought) -> tuple[Strategy, Picked, list[str]]:
    """Choose tracks like the seeds, or what else the ladder has. → who made it, the tracks, warnings.

    Raises: WrongField.
    """
    points = sought.climb.points
    if any(p is not None and s.weight > 0 for p, s in zip(points, wish.seeds, strict=True)):
        return sought.climb.strategy, _by_likeness(model, wish, points, sought.mask), []
    strategy, picked = _without_seeds(model, wish, sought)
    said = {
        "genre": "no seed was found: these are from their artists' or the asked genres, not similar songs",
        "popular": "no seed was found: these are popular tracks, not similar ones",
    }.get(strategy, "no seed was found, and no other strategy had an answer")
    return strategy, picked, [said]


def conditions_of(model: Model, filters: Filters) -> Filter:
    """Return the filters in the model's terms. Raises: WrongField for a column or genre that the model lacks."""
    manifest = model.manifest
    for pointer, detail in filters_beyond(filters, manifest.coverage, manifest.genres):
        raise WrongField(pointer, detail)
    codes = {genre: code for code, genre in enumerate(manifest.genres)}

    def between(values: list[float] | None) -> tuple[float, float] | None:
        return None if values is None else (values[0], values[1])

    return Filter(
        **{name: between(getattr(filters, name)) for name in RANGES},
        key=tuple(filters.key) if filters.key else None,
        mode=filters.mode,
        explicit=filters.explicit,
        genres=None if filters.genres is None else tuple(codes[genre] for genre in filters.genres),
        without_artists=tuple(sorted({c for name in filters.exclude_artists for c in model.artists_named(name)})),
        without_rows=_all_versions(model, filters.exclude_tracks),
    )


def _all_versions(model: Model, tracks: Sequence[str]) -> tuple[int, ...]:
    """Return the rows of these songs: who does not want a song is not to get its remaster instead."""
    rows = [row for text in tracks if (row := model.row_of_id(track_id_of(text))) is not None]
    return tuple(np.flatnonzero(np.isin(model.song, model.song[rows], kind="table")).tolist()) if rows else ()


def _by_likeness(model: Model, wish: Wish, points: Sequence[Point | None], mask: Mask | None) -> Picked:
    """Choose by the score, or by the cluster's cosine; fetch more candidates until there are enough, or no more."""
    query = wish.query
    wanted = [(p, s.weight) for p, s in zip(points, wish.seeds, strict=True) if p is not None and s.weight > 0]
    unwanted = [(p, -s.weight) for p, s in zip(points, wish.seeds, strict=True) if p is not None and s.weight < 0]
    songs = {int(model.song[p.row]) for p in points if p is not None and p.row is not None} | set(wish.without_songs)
    requests = _requests(query, wanted, unwanted)
    pool = wish.limit
    if query.diversity or query.variation:
        pool = max(min(_DIVERSE_POOL * wish.limit, _LARGEST_POOL), 2 * wish.limit, wish.limit + wish.spare)
    look = max(_FIRST_LOOK * wish.limit, pool, wish.limit + 2 * wish.spare) + len(songs)
    if len(requests) > _MANY_LISTS:
        # So many lists together hold enough candidates if each holds a few; most of them would never be looked at.
        look = max(4 * look // len(requests), 50)
    if query.method == "cluster" and any(p.row is None for p, _ in wanted):
        raise WrongField("/method", "method cluster needs songs of the catalogue; one of the seeds is none")
    while True:
        if query.method == "cluster":
            rows = [p.row for p, _ in wanted if p.row is not None]
            found = [model.nearest_in_cluster(rows, look, mask)]
        else:
            found = [model.nearest(request, look, mask) for request in requests]
        lists = [
            ranking.one_version_each(strategies.candidates_of(model, f.rows, f.score.tolist(), i), songs)
            for i, f in enumerate(found)
        ]
        merged = lists[0] if len(lists) == 1 else ranking.interleave(lists, [weight for _, weight in wanted])
        choices = merged[:pool] if pool > wish.limit else merged
        chosen, spare = _ranked(model, wish, choices)
        if len(chosen) >= wish.limit or all(len(f.rows) < look for f in found):
            break
        if len(requests) > _MANY_LISTS and len(choices) == _different(model, mask, songs):
            break  # to look further would find no other song, and take long in so many lists
        look, pool = look * 4, pool * 4
    return Picked(
        chosen,
        spare,
        None if query.method == "cluster" else lambda candidate: requests[candidate.source],
        _scanned(found),
        found[0].passing,
    )


def _different(model: Model, mask: Mask | None, without: Collection[int]) -> int:
    """Return how many songs pass, whatever their versions, without some."""
    return len(np.setdiff1d(model.song if mask is None else model.song[mask], list(without)))


def _requests(
    query: Asking, wanted: Sequence[tuple[Point, float]], unwanted: Sequence[tuple[Point, float]]
) -> list[ScoreQuery]:
    """Return what to score by: the seeds' mean, or with round_robin each seed on its own."""
    weights = query.weights.model_dump(exclude_none=True)
    groups = [[pair] for pair in wanted] if query.combine == "round_robin" else [list(wanted)]
    if query.method == "cluster":
        groups = groups[:1]
    avoid: Target | None = None
    against = 0.0
    if unwanted:
        avoid = mean_target([p.target for p, _ in unwanted], [w for _, w in unwanted])
        against = sum(w for _, w in unwanted) / sum(w for _, w in wanted)
    return [
        score_query(mean_target([p.target for p, _ in group], [w for _, w in group]), weights, avoid, against)
        for group in groups
    ]


def _ranked(model: Model, wish: Wish, candidates: list[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """→ the chosen, and what is left of the best."""
    query = wish.query
    if query.variation:
        ids = [model.id_of(c.row) for c in candidates]
        candidates = ranking.vary(candidates, ids, query.variation)
    if query.diversity:
        vectors = model.likeness_vectors(np.array([c.row for c in candidates], np.intp))
        chosen = ranking.choose_diverse(
            candidates, vectors, wish.limit, query.max_per_artist, query.diversity, wish.gap, wish.before
        )
    else:
        chosen = ranking.choose(candidates, wish.limit, query.max_per_artist, wish.gap, wish.before)
    return chosen, _left(candidates, chosen, wish.spare)


def _left(candidates: Sequence[Candidate], chosen: Sequence[Candidate], count: int) -> list[Candidate]:
    taken = {candidate.row for candidate in chosen}
    return [candidate for candidate in candidates if candidate.row not in taken][:count] if count else []


def _without_seeds(model: Model, wish: Wish, sought: Sought) -> tuple[Strategy, Picked]:
    """Answer without a seed: from genres, or with what is popular. The request's filters hold all the same."""
    query, climb, mask = wish.query, sought.climb, sought.mask
    songs = {int(model.song[row]) for _, row in sought.songs} | set(wish.without_songs)
    for strategy in sought.order:
        if strategy not in ("genre", "popular"):
            continue
        started = time.perf_counter()
        look = _DIVERSE_POOL * wish.limit
        while True:
            reason = "popular tracks" + ("" if mask is None else " that pass the filters")
            if strategy == "genre":
                found, reason = strategies.by_genre(model, wish.seeds, query.variation, sought.conditions, look)
            else:
                found = strategies.by_popularity(model, mask, look)
            different = ranking.one_version_each(found, songs)
            chosen = ranking.choose(different, wish.limit, query.max_per_artist, wish.gap, wish.before)
            if len(chosen) >= wish.limit or len(found) < look:
                break
            look *= 4
        ms = round((time.perf_counter() - started) * 1000, 2)
        outcome: strategies.Outcome = "used" if chosen else "no_match"
        climb.attempts.append(Attempt(strategy=strategy, outcome=outcome, reason=reason, ms=ms))
        if chosen:
            return strategy, Picked(chosen, _left(different, chosen, wish.spare))
    return "none", Picked([])


def reasons(model: Model, request: ScoreQuery, candidate: Candidate) -> list[Reason]:
    """Return the parts of a score less their means over the catalogue, the greatest first."""
    parts = model.parts(request, np.array([candidate.row]))
    means = request.mean_parts(model.statistics)
    found = [Reason(part=name, value=round(float(value[0]) - means[name], 4)) for name, value in parts.items()]
    return sorted(found, key=lambda reason: -abs(reason.value))


def mean_score(model: Model, query: Asking, picked: Picked) -> float | None:
    """Return what an average track scores, for those who ask for reasons."""
    if not query.explain or picked.request is None or not picked.candidates or query.combine == "round_robin":
        return None
    return round(sum(picked.request(picked.candidates[0]).mean_parts(model.statistics).values()), 4)


def closer_than(picked: Picked, candidate: Candidate) -> float | None:
    """Return the share of passing tracks that are farther away, None where there is no score to tell by."""
    if picked.request is None or not picked.passing:
        return None
    return round(1 - candidate.place / picked.passing, 6)


def _scanned(found: Sequence[Found]) -> float:
    return sum(f.scanned for f in found) / len(found)
