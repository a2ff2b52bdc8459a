"""The functions that messages name. A message that names anything else is refused.

A task takes and returns what msgpack can carry, and answers `{"ok": …}` or, where trying again would not help,
`{"error": {"code", "detail", "pointer"}}`. Anything it raises is tried again, then kept for the operator.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from producer.schema import Query
from worker import pipeline
from worker.models import HOLDER


def recommend(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a recommendation. payload: a `producer.schema.Query` as a dict."""
    try:
        query = Query.model_validate(payload)
    except ValidationError as error:
        # The API has checked it already: this one was queued by another release or by hand.
        problem = error.errors()[0]
        pointer = "".join(f"/{part}" for part in problem["loc"])
        return {"error": {"code": "invalid-request", "detail": problem["msg"], "pointer": pointer}}
    return {"ok": pipeline.recommend(HOLDER.model, HOLDER.popular, query).model_dump()}


ALLOWED = frozenset({"worker.tasks.recommend"})
