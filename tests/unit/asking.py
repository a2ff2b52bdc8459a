"""Ask a model, and check what every answer promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from artifacts.model import Model
from producer import codec
from producer.schema import Query, Result
from producer.songs import WINDOW
from worker.pipeline import DEFAULT_ORDER, recommend
from worker.resolve import LookUp
from worker.strategies import Strategy


class Asker:
    """Asks one model."""

    def __init__(self, model: Model, order: Sequence[Strategy] = DEFAULT_ORDER, look_up: LookUp | None = None) -> None:
        self.model, self.order, self.look_up = model, order, look_up

    def __call__(self, *seeds: str | dict[str, Any], **fields: Any) -> Result:
        """Recommend for seeds, ids or as in a request, checking what every answer promises."""
        given = [{"track_id": seed} if isinstance(seed, str) else seed for seed in seeds]
        query = Query.model_validate({"seeds": given, **fields})
        result = recommend(self.model, query, self.order, self.look_up)
        assert len(result.tracks) <= query.limit
        assert [track.rank for track in result.tracks] == list(range(1, len(result.tracks) + 1))
        assert len(result.seeds) == len(given)
        assert len({track.track_id for track in result.tracks}) == len(result.tracks)
        assert not {seed.track_id for seed in result.seeds} & {track.track_id for track in result.tracks}
        rows = [self.model.row_of_id(track.track_id) for track in result.tracks]
        assert len({int(self.model.song[row]) for row in rows if row is not None}) == len(rows)
        for start in range(len(rows)):
            window = Counter(a for track in result.tracks[start : start + WINDOW] for a in track.artists)
            assert max(window.values(), default=0) <= query.max_per_artist
        assert 0 <= result.scanned <= 1
        assert result.degraded == (result.strategy not in ("catalogue", "spotify", "fuzzy"))
        assert all(attempt.ms >= 0 for attempt in result.attempts)
        answered = {attempt.strategy for attempt in result.attempts if attempt.outcome in ("used", "partial")}
        assert result.strategy in answered or (result.strategy == "none" and not result.tracks)
        codec.pack(result.model_dump())  # nothing of numpy's is left in it
        return result


def ids(result: Result) -> list[str]:
    """Return the ids of an answer's tracks."""
    return [track.track_id for track in result.tracks]


def answer(result: Result) -> dict[str, Any]:
    """Return all of an answer but how long it took."""
    shown = result.model_dump()
    for attempt in shown["attempts"]:
        del attempt["ms"]
    return shown
