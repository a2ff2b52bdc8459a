"""Find the songs that a request means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from artifacts.model import Model
from artifacts.textindex import normalise
from producer.schema import Seed, SeedMatch


@dataclass(frozen=True)
class Resolved:
    """What became of the seeds. rows: of those found, in order, each once; matches: one a seed."""

    rows: list[int]
    matches: list[SeedMatch]
    warnings: list[str]


def resolve(model: Model, seeds: Sequence[Seed]) -> Resolved:
    """Find each seed by its id or its exact (normalised) name; of several tracks of that name, the most popular."""
    rows: list[int] = []
    matches, warnings = [], []
    for number, seed in enumerate(seeds):
        row = model.row_of_id(seed.track_id) if seed.track_id else None
        if seed.name:
            candidates = model.rows_of_name(seed.name, seed.artist)
            row = candidates[0] if candidates else None
            acts = {normalise((model.artists_of(c) or [""])[0]) for c in candidates}
            if len(acts) > 1 and not seed.artist:
                chosen = ", ".join(model.artists_of(candidates[0])) or "an unknown artist"
                warnings.append(
                    f"seed {number + 1}: {len(acts)} artists have a song of this name; took the best known, "
                    f"by {chosen}; give the artist to choose another"
                )
        if row is None:
            warnings.append(f"seed {number + 1}: not in the catalogue")
            matches.append(SeedMatch(track_id=None, name=None, artists=[], match=0.0))
            continue
        track = model.track(row)
        matches.append(SeedMatch(track_id=track["track_id"], name=track["name"], artists=track["artists"], match=1.0))
        if row not in rows:
            rows.append(row)
    return Resolved(rows, matches, warnings)
