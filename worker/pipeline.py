"""From a request to its answer: seeds → candidates → ranking. Knows no Redis, RQ or HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from artifacts.filters import Filter, Mask
from artifacts.model import Found, Model
from artifacts.score import ScoreQuery, Target, mean_target
from artifacts.score import query as score_query
from producer.schema import Attempt, Filters, Query, RankedTrack, Reason, Result, filters_beyond
from producer.songs import track_id_of
from worker import ranking, strategies
from worker.ranking import Candidate
from worker.resolve import LookUp, Point, unmatched
from worker.strategies import Strategy

DEFAULT_ORDER: tuple[Strategy, ...] = ("catalogue", "spotify", "fuzzy", "genre", "popular")

_FIRST_LOOK = 6
"""Candidates fetched for each track asked for; versions and the artist cap rarely take more than that."""

_DIVERSE_POOL = 10
"""Candidates, for each track asked for, that diversity and variation choose among."""


class WrongField(Exception):
    """A field asks for what this model does not have. pointer: JSON pointer (RFC 6901) to it."""

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(detail)
        self.pointer = pointer


@dataclass(frozen=True)
class Picked:
    """What an answer holds before it is written out. request: by which score each candidate was found, if by one."""

    candidates: list[Candidate]
    request: Callable[[Candidate], ScoreQuery] | None = None
    scanned: float = 0.0
    passing: int = 0


def recommend(
    model: Model, query: Query, order: Sequence[Strategy] = DEFAULT_ORDER, look_up: LookUp | None = None
) -> Result:
    """Answer `query` from `model`. order: the strategies to try unless the request says; look_up: None: no Spotify.

    The same model and query give the same tracks, order and scores everywhere.

    Raises: WrongField.
    """
    conditions = conditions_of(model, query.filters)
    mask = model.mask(conditions)
    order = query.strategies or order
    climb = strategies.find_seeds(model, query.seeds, order, look_up)
    warnings = [f"seed {i + 1}: not found in the catalogue" for i, point in enumerate(climb.points) if point is None]
    warnings += [
        f"seed {i + 1}: several artists have a song of this name; took the best known, by "
        f"{', '.join(point.match.artists) or 'an unknown artist'}; give the artist to choose another"
        for i, point in enumerate(climb.points)
        if point is not None and point.match.strategy == "catalogue" and point.match.alternatives
    ]
    strategy = climb.strategy
    if any(p is not None and s.weight > 0 for p, s in zip(climb.points, query.seeds, strict=True)):
        picked = _by_likeness(model, query, climb.points, mask)
    else:
        strategy, picked = _without_seeds(model, query, order, conditions, mask, climb)
        warnings.append(
            {
                "genre": "no seed was found: these are from their artists' or the asked genres, not similar songs",
                "popular": "no seed was found: these are popular tracks, not similar ones",
            }.get(strategy, "no seed was found, and no other strategy had an answer")
        )
    if len(picked.candidates) < query.limit:
        warnings.append(f"{len(picked.candidates)} tracks instead of {query.limit}: no more pass")
    scored = picked.request is not None or (query.method == "cluster" and strategy in strategies.FINDING)
    return Result(
        model=model.manifest.version,
        strategy=strategy,
        degraded=strategy not in strategies.FINDING,
        attempts=climb.attempts,
        seeds=[
            point.match if point is not None else unmatched(climb.alternatives[i])
            for i, point in enumerate(climb.points)
        ],
        scanned=round(picked.scanned, 6),
        mean_score=_mean_score(model, query, picked),
        tracks=_written(model, query, picked, scored),
        warnings=warnings,
        notice=model.manifest.notice,
    )


def conditions_of(model: Model, filters: Filters) -> Filter:
    """Return the filters in the model's terms. Raises: WrongField for a column or genre that the model lacks."""
    manifest = model.manifest
    for pointer, detail in filters_beyond(filters, manifest.coverage, manifest.genres):
        raise WrongField(pointer, detail)
    codes = {genre: code for code, genre in enumerate(manifest.genres)}
    rows = (model.row_of_id(track_id_of(text)) for text in filters.exclude_tracks)

    def between(values: list[float] | None) -> tuple[float, float] | None:
        return None if values is None else (values[0], values[1])

    return Filter(
        year=between(filters.year),
        popularity=between(filters.popularity),
        tempo=between(filters.tempo),
        duration_ms=between(filters.duration_ms),
        key=tuple(filters.key) if filters.key else None,
        mode=filters.mode,
        explicit=filters.explicit,
        genres=None if filters.genres is None else tuple(codes[genre] for genre in filters.genres),
        without_artists=tuple(sorted({c for name in filters.exclude_artists for c in model.artists_named(name)})),
        without_rows=tuple(sorted(row for row in rows if row is not None)),
    )


def _by_likeness(model: Model, query: Query, points: Sequence[Point | None], mask: Mask | None) -> Picked:
    """Choose by the score, or by the cluster's cosine; fetch more candidates until there are enough, or no more."""
    wanted = [(p, s.weight) for p, s in zip(points, query.seeds, strict=True) if p is not None and s.weight > 0]
    unwanted = [(p, -s.weight) for p, s in zip(points, query.seeds, strict=True) if p is not None and s.weight < 0]
    songs = {int(model.song[p.row]) for p in points if p is not None and p.row is not None}
    requests = _requests(query, wanted, unwanted)
    pool = _DIVERSE_POOL * query.limit if query.diversity or query.variation else query.limit
    look = max(_FIRST_LOOK * query.limit, pool) + len(songs)
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
        chosen = _ranked(model, query, merged[:pool] if pool > query.limit else merged)
        if len(chosen) >= query.limit or all(len(f.rows) < look for f in found):
            break
        look, pool = look * 4, pool * 4
    return Picked(
        chosen,
        None if query.method == "cluster" else lambda candidate: requests[candidate.source],
        _scanned(found),
        found[0].passing,
    )


def _requests(
    query: Query, wanted: Sequence[tuple[Point, float]], unwanted: Sequence[tuple[Point, float]]
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


def _ranked(model: Model, query: Query, candidates: list[Candidate]) -> list[Candidate]:
    if query.variation:
        ids = [model.id_of(c.row) for c in candidates]
        candidates = ranking.vary(candidates, ids, query.variation)
    if query.diversity:
        vectors = model.likeness_vectors(np.array([c.row for c in candidates], np.intp))
        return ranking.choose_diverse(candidates, vectors, query.limit, query.max_per_artist, query.diversity)
    return ranking.choose(candidates, query.limit, query.max_per_artist)


def _without_seeds(
    model: Model,
    query: Query,
    order: Sequence[Strategy],
    conditions: Filter,
    mask: Mask | None,
    climb: strategies.Climb,
) -> tuple[Strategy, Picked]:
    """Answer without a seed: from genres, or with what is popular. The request's filters hold all the same."""
    songs = {int(model.song[p.row]) for p in climb.points if p is not None and p.row is not None}
    for strategy in order:
        if strategy not in ("genre", "popular"):
            continue
        started = time.perf_counter()
        look = _DIVERSE_POOL * query.limit
        while True:
            reason = "popular tracks" + ("" if mask is None else " that pass the filters")
            if strategy == "genre":
                candidates, reason = strategies.by_genre(model, query, conditions, look)
            else:
                candidates = strategies.by_popularity(model, mask, look)
            different = ranking.one_version_each(candidates, songs)
            chosen = ranking.choose(different, query.limit, query.max_per_artist)
            if len(chosen) >= query.limit or len(candidates) < look:
                break
            look *= 4
        ms = round((time.perf_counter() - started) * 1000, 2)
        outcome: strategies.Outcome = "used" if chosen else "no_match"
        climb.attempts.append(Attempt(strategy=strategy, outcome=outcome, reason=reason, ms=ms))
        if chosen:
            return strategy, Picked(chosen)
    return "none", Picked([])


def _written(model: Model, query: Query, picked: Picked, scored: bool) -> list[RankedTrack]:
    tracks = []
    for rank, candidate in enumerate(picked.candidates, start=1):
        closer = None
        if picked.request is not None and picked.passing:
            closer = round(1 - candidate.place / picked.passing, 6)
        tracks.append(
            RankedTrack(
                rank=rank,
                score=round(candidate.score, 4) if scored else None,
                closer_than=closer,
                reasons=_reasons(model, picked.request(candidate), candidate)
                if query.explain and picked.request is not None
                else [],
                **model.track(candidate.row),
            )
        )
    return tracks


def _reasons(model: Model, request: ScoreQuery, candidate: Candidate) -> list[Reason]:
    """Return the parts of a score less their means over the catalogue, the greatest first."""
    parts = model.parts(request, np.array([candidate.row]))
    means = request.mean_parts(model.statistics)
    reasons = [Reason(part=name, value=round(float(value[0]) - means[name], 4)) for name, value in parts.items()]
    return sorted(reasons, key=lambda reason: -abs(reason.value))


def _mean_score(model: Model, query: Query, picked: Picked) -> float | None:
    if not query.explain or picked.request is None or not picked.candidates or query.combine == "round_robin":
        return None
    return round(sum(picked.request(picked.candidates[0]).mean_parts(model.statistics).values()), 4)


def _scanned(found: Sequence[Found]) -> float:
    return sum(f.scanned for f in found) / len(found)
