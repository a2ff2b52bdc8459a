"""The functions that messages name. A message that names anything else is refused.

A task takes and returns what msgpack can carry, and answers `{"ok": …}` or, where trying again would not help,
`{"error": {"code", "detail", "pointer"}}`. Anything it raises is tried again, then kept for the operator.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from producer.schema import MAX_POPULAR, Query
from worker import pipeline
from worker.models import HOLDER

MAX_TYPED = 200
"""Characters of a type-ahead that are looked at."""


def recommend(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a recommendation. payload: a `producer.schema.Query` as a dict."""
    try:
        query = Query.model_validate(payload)
        return {"ok": pipeline.recommend(HOLDER.model, query, HOLDER.order, HOLDER.look_up).model_dump()}
    except ValidationError as error:
        # The API has checked it already: this one was queued by another release or by hand.
        problem = error.errors()[0]
        pointer = "".join(f"/{part}" for part in problem["loc"])
        return {"error": {"code": "invalid-request", "detail": problem["msg"], "pointer": pointer}}
    except pipeline.WrongField as error:
        return {"error": {"code": "invalid-request", "detail": str(error), "pointer": error.pointer}}


def complete(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a type-ahead. payload: {"q": what was typed so far, "limit": 1–50}; → tracks, the most popular first."""
    model = HOLDER.model
    rows = model.names.complete(str(payload["q"])[:MAX_TYPED], min(max(int(payload["limit"]), 1), MAX_POPULAR))
    return {"ok": {"tracks": [model.track(row) for row in rows]}}


ALLOWED = frozenset({"worker.tasks.recommend", "worker.tasks.complete"})
