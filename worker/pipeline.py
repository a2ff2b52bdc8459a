"""From a request to its answer: resolve → candidates → ranking. Knows no Redis, RQ or HTTP."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Literal

from artifacts.model import Model
from producer.schema import Attempt, Query, RankedTrack, Result
from worker.ranking import Candidate, choose
from worker.resolve import Resolved, resolve

_FIRST_LOOK = 8
"""Candidates fetched for each track asked for; versions and the artist cap rarely take more than that."""


def recommend(model: Model, popular: Sequence[dict[str, Any]], query: Query) -> Result:
    """Answer `query` from `model`, or with its popular tracks where no seed is in the catalogue.

    popular: tracks as dicts, best first. The same model and query give the same tracks, order and scores everywhere.
    """
    started = time.perf_counter()
    found = resolve(model, query.seeds)
    attempts = [
        Attempt(
            strategy="catalogue",
            outcome=_outcome(found, query),
            reason=f"{len(query.seeds) - sum(m.match == 0 for m in found.matches)} of {len(query.seeds)} seeds found",
            ms=_ms_since(started),
        )
    ]
    warnings = list(found.warnings)
    if found.rows:
        chosen = _choose(model, query, found.rows)
        tracks = [
            RankedTrack(rank=rank, score=round(candidate.score, 4), **model.track(candidate.row))
            for rank, candidate in enumerate(chosen, start=1)
        ]
        attempts[0] = attempts[0].model_copy(update={"ms": _ms_since(started)})
    else:
        tracks = [RankedTrack(rank=i, score=None, **track) for i, track in enumerate(popular[: query.limit], start=1)]
        attempts.append(Attempt(strategy="popular", outcome="used", reason="popular tracks of all genres", ms=0.0))
        warnings.append("none of the seeds is in the catalogue: these are popular tracks, not similar ones")
    if len(tracks) < query.limit:
        warnings.append(f"{len(tracks)} tracks instead of {query.limit}: there are no more")
    return Result(
        model=model.manifest.version,
        strategy="catalogue" if found.rows else "popular",
        degraded=not found.rows,
        attempts=attempts,
        seeds=found.matches,
        tracks=tracks,
        warnings=warnings,
        notice=model.manifest.notice,
    )


def _choose(model: Model, query: Query, seeds: list[int]) -> list[Candidate]:
    """Fetch candidates and choose among them; if too few are left, fetch four times as many, up to all."""
    seed_songs = {int(model.song[row]) for row in seeds}
    look = _FIRST_LOOK * query.limit + len(seeds)
    while True:
        if query.method == "cluster":
            rows, scores = model.nearest_in_cluster(seeds, look)
        else:
            rows, scores = model.nearest(model.query(seeds, query.weights.model_dump(exclude_none=True)), look)
        candidates = [
            Candidate(row, score, int(model.song[row]), tuple(model.artist_codes(row)))
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        ]
        chosen = choose(candidates, query.limit, query.max_per_artist, seed_songs)
        if len(chosen) >= query.limit or len(rows) < look:
            return chosen
        look *= 4


def _outcome(found: Resolved, query: Query) -> Literal["used", "no_match", "partial"]:
    if not found.rows:
        return "no_match"
    return "partial" if any(m.match == 0 for m in found.matches) else "used"


def _ms_since(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 2)
