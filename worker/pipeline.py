"""From a request for recommendations to its answer. Knows no Redis, RQ or HTTP."""

from __future__ import annotations

from collections.abc import Sequence

from artifacts.model import Model
from producer.schema import Query, RankedTrack, Result
from worker import candidates, strategies
from worker.candidates import DEFAULT_ORDER, Picked, Wish, WrongField, conditions_of
from worker.resolve import LookUp
from worker.strategies import Strategy

__all__ = ["DEFAULT_ORDER", "WrongField", "conditions_of", "recommend"]


def recommend(
    model: Model, query: Query, order: Sequence[Strategy] = DEFAULT_ORDER, look_up: LookUp | None = None
) -> Result:
    """Answer `query` from `model`. order: the strategies to try unless the request says; look_up: None: no Spotify.

    The same model and query give the same tracks, order and scores everywhere.

    Raises: WrongField.
    """
    sought = candidates.seek(model, query.seeds, query, order, look_up)
    strategy, picked, said = candidates.gather(model, Wish(query, query.seeds, query.limit), sought)
    warnings = [*sought.warnings, *said]
    if len(picked.candidates) < query.limit:
        warnings.append(f"{len(picked.candidates)} tracks instead of {query.limit}: no more pass")
    scored = picked.request is not None or (query.method == "cluster" and strategy in strategies.FINDING)
    return Result(
        model=model.manifest.version,
        strategy=strategy,
        degraded=strategy not in strategies.FINDING,
        attempts=sought.climb.attempts,
        seeds=sought.matches,
        scanned=round(picked.scanned, 6),
        mean_score=candidates.mean_score(model, query, picked),
        tracks=_written(model, query, picked, scored),
        warnings=warnings,
        notice=model.manifest.notice,
    )


def _written(model: Model, query: Query, picked: Picked, scored: bool) -> list[RankedTrack]:
    explained = query.explain and picked.request is not None
    shown = model.tracks([candidate.row for candidate in picked.candidates])
    return [
        RankedTrack(
            rank=rank,
            score=round(candidate.score, 4) if scored else None,
            closer_than=candidates.closer_than(picked, candidate),
            reasons=candidates.reasons(model, picked.request(candidate), candidate)
            if explained and picked.request is not None
            else [],
            **track,
        )
        for rank, (candidate, track) in enumerate(zip(picked.candidates, shown, strict=True), start=1)
    ]
