"""The ladder: strategies tried in order until the seeds are found, and what to answer when none of them is."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import numpy as np

from artifacts.filters import Filter, Mask
from artifacts.model import Model, Rows
from producer.schema import Alternative, Attempt, Seed
from worker.ranking import Candidate
from worker.resolve import LookUp, Point, by_catalogue, by_likeness, by_spotify

FINDING = ("catalogue", "spotify", "fuzzy")
"""Strategies that find seeds; the others answer without."""

_ARTIST_ROWS = 50
_GENRES = 3

Outcome = Literal["used", "partial", "no_match", "skipped", "failed"]
Strategy = Literal["catalogue", "spotify", "fuzzy", "genre", "popular", "none"]


@dataclass
class Climb:
    """How far a request got. points: one a seed, None: not found; alternatives: what else a seed may mean."""

    points: list[Point | None]
    alternatives: list[list[Alternative]]
    attempts: list[Attempt] = field(default_factory=list)
    strategy: Strategy = "none"


def find_seeds(model: Model, seeds: Sequence[Seed], order: Sequence[Strategy], look_up: LookUp | None) -> Climb:
    """Try the finding strategies of `order` on the seeds that are not found yet."""
    climb = Climb([None] * len(seeds), [[] for _ in seeds])
    for strategy in order:
        missing = [i for i, point in enumerate(climb.points) if point is None]
        if strategy not in FINDING or not missing:
            continue
        started = time.perf_counter()
        outcome, reason = _try(strategy, model, seeds, missing, climb, look_up)
        found = sum(climb.points[i] is not None for i in missing)
        if found:
            climb.strategy = strategy
            outcome = "used" if found == len(missing) else "partial"
            reason = f"{found} of {len(missing)} seeds found"
        ms = round((time.perf_counter() - started) * 1000, 2)
        climb.attempts.append(Attempt(strategy=strategy, outcome=outcome, reason=reason, ms=ms))
    return climb


def _try(
    strategy: str, model: Model, seeds: Sequence[Seed], missing: Sequence[int], climb: Climb, look_up: LookUp | None
) -> tuple[Outcome, str]:
    if strategy == "spotify" and look_up is None:
        return "skipped", "not configured"
    outcome: Outcome = "no_match"
    reason = "no seed found"
    deadline = time.monotonic() + (look_up.budget_s if look_up else 0)
    for i in missing:
        if strategy == "catalogue":
            climb.points[i] = by_catalogue(model, seeds[i])
        elif strategy == "fuzzy":
            climb.points[i], climb.alternatives[i] = by_likeness(model, seeds[i])
        elif look_up is not None:
            climb.points[i], said, reason = by_spotify(model, seeds[i], look_up, deadline)
            if said in ("skipped", "failed"):
                outcome = "skipped" if said == "skipped" else "failed"
            if said == "failed" or time.monotonic() > deadline:
                break  # what keeps one look-up from working keeps the next from it, too
    return outcome, reason


def by_genre(
    model: Model, seeds: Sequence[Seed], variation: int, conditions: Filter, count: int
) -> tuple[list[Candidate], str]:
    """Return a sample from the genres of the seeds' artists, or of the filter; the better known, the likelier.

    The same request and variation give the same sample. → candidates and the reason.
    """
    hints: dict[int, int] = {}
    for seed in seeds:
        if seed.artist and seed.weight > 0:
            for row in model.names.artist_rows(seed.artist, _ARTIST_ROWS):
                for genre in model.genre_codes(row):
                    hints[genre] = hints.get(genre, 0) + 1
    genres = tuple(sorted(hints, key=lambda g: (-hints[g], g))[:_GENRES]) or (conditions.genres or ())
    if not genres:
        return [], "no seed's artist is known, and no genre was asked for"
    mask = Filter(genres=genres).mask(model.arrays)
    others = model.mask(conditions)
    rows = np.flatnonzero(mask if others is None else mask & others)
    text = "\n".join(seed.model_dump_json() for seed in seeds) + f"\n{variation}"
    rng = np.random.default_rng(int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big"))
    rows = rows[np.argsort(model.ranks(rows))]  # the draw must not depend on how rows are stored
    weight = np.maximum(model.arrays["popularity"][rows].astype(np.float64), 1.0)
    drawn = rows[np.argsort(rng.exponential(size=len(rows)) / weight, kind="stable")[:count]]
    names = ", ".join(model.manifest.genres[g] for g in genres)
    return candidates_of(model, drawn, None), f"a sample of {names}"


def by_popularity(model: Model, mask: Mask | None, count: int) -> list[Candidate]:
    """Return the `count` most popular rows that pass."""
    return candidates_of(model, model.most_popular(count, mask), None)


def candidates_of(model: Model, rows: Rows, scores: Sequence[float] | None, source: int = 0) -> list[Candidate]:
    """Return rows as candidates, in their order; without scores the earlier one has the greater."""
    given = scores if scores is not None else [-float(i) for i in range(len(rows))]
    columns = zip(rows.tolist(), given, model.song[rows].tolist(), model.credits(rows), strict=True)
    return [Candidate(*values, place, source) for place, values in enumerate(columns, start=1)]
