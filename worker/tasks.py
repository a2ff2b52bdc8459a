"""The functions that messages name. A message that names anything else is refused.

A task takes and returns what msgpack can carry, and answers `{"ok": …}` or, where trying again would not help,
`{"error": {"code", "detail", "pointer"}}`. Anything it raises is tried again, then kept for the operator.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import redis
from pydantic import ValidationError
from rq.job import Job
from rq.timeouts import JobTimeoutException

from producer import keys
from producer.schema import MAX_POPULAR, Filters, Query
from producer.songs import track_id_of
from worker import pipeline
from worker.models import HOLDER

log = logging.getLogger("segue.worker")

Task = Callable[[dict[str, Any]], dict[str, Any]]

MAX_TYPED = 200
"""Characters of a type-ahead that are looked at."""


def _refused_kindly(task: Task) -> Task:
    """Let a task answer with an error, instead of failing, where what was asked for is at fault."""

    @functools.wraps(task)
    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        try:
            return task(payload)
        except ValidationError as error:
            # A batch's request, or one that was queued by another release or by hand: the API has not checked it.
            problem = error.errors()[0]
            return _error(problem["msg"].removeprefix("Value error, "), "".join(f"/{part}" for part in problem["loc"]))
        except pipeline.WrongField as error:
            return _error(str(error), error.pointer)

    return answer


def _error(detail: str, pointer: str = "", code: str = "invalid-request") -> dict[str, Any]:
    return {"error": {"code": code, "detail": detail, "pointer": pointer}}


@_refused_kindly
def recommend(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a recommendation. payload: a `producer.schema.Query` as a dict."""
    query = Query.model_validate(payload)
    return {"ok": pipeline.recommend(HOLDER.model, query, HOLDER.order, HOLDER.look_up).model_dump()}


def recommend_many(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a part of a batch. payload: {"items": [{"index", "custom_id", "query": the fields of a Query}]}.

    → a line for each; `good`: how many of them are answers. What goes wrong with one, is told in its line, and so is
    the `error` that it may have instead of `query`.
    """
    lines = []
    for item in payload["items"]:
        line = {"index": item["index"], "custom_id": item["custom_id"]}
        try:
            answer = recommend(item["query"]) if "query" in item else {"error": item["error"]}
        except JobTimeoutException:
            raise
        except Exception as error:
            log.exception("request %s of a batch failed", item["index"])
            answer = {"error": {"code": "job-failed", "detail": type(error).__name__, "pointer": ""}}
        if "ok" in answer:
            lines.append(line | {"status": "succeeded", "result": answer["ok"]})
        else:
            lines.append(line | {"status": "failed", "error": answer["error"]})
    return {"ok": {"items": lines}, "good": sum(line["status"] == "succeeded" for line in lines)}


def complete(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a type-ahead. payload: {"q": what was typed so far, "limit": 1–50}; → tracks, the most popular first."""
    model = HOLDER.model
    rows = model.names.complete(str(payload["q"])[:MAX_TYPED], min(max(int(payload["limit"]), 1), MAX_POPULAR))
    return {"ok": {"tracks": [model.track(row) for row in rows]}}


def track(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer with a track of the catalogue. payload: {"track_id": id, Spotify URI or URL}."""
    row = HOLDER.model.row_of_id(track_id_of(str(payload["track_id"])))
    if row is None:
        return _error("the catalogue has no track with this id", code="not-found")
    return {"ok": HOLDER.model.track(row)}


@_refused_kindly
def count(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer with how many tracks pass filters. payload: {"filters": `producer.schema.Filters` as a dict}."""
    model = HOLDER.model
    mask = model.mask(pipeline.conditions_of(model, Filters.model_validate(payload["filters"])))
    return {"ok": {"count": len(model) if mask is None else int(mask.sum()), "of": len(model)}}


def log_success(job: Job, _connection: redis.Redis, _result: Any) -> None:
    """Say in the log that a job has succeeded (a callback)."""
    log.info("job %s succeeded", job.id)


def log_failure(job: Job, _connection: redis.Redis, kind: Any, error: Any, _traceback: Any) -> None:
    """Say in the log that a try of a job has failed (a callback)."""
    log.warning("job %s failed: %s: %s", job.id, getattr(kind, "__name__", kind), error)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    keys.RECOMMEND: recommend,
    keys.RECOMMEND_MANY: recommend_many,
    keys.COMPLETE: complete,
    keys.TRACK: track,
    keys.COUNT: count,
}
"""The functions that jobs may name."""


def _in_turn(task: Task) -> Callable[[list[tuple[Any, ...]]], list[Any]]:
    return lambda calls: [task(*call) for call in calls]


BATCHES: dict[str, Callable[[list[tuple[Any, ...]]], list[Any]]] = {
    name: _in_turn(task) for name, task in FUNCTIONS.items() if name != keys.RECOMMEND_MANY
}
"""Those that take many calls at once, a tuple of arguments each. Pruning leaves the search little to share between
requests, so what a batch saves is the way to Redis and back; if it raises, its calls are made one by one."""

CALLBACKS: dict[str, Callable[..., None]] = {
    "worker.tasks.log_success": log_success,
    "worker.tasks.log_failure": log_failure,
}
"""The callbacks that jobs enqueued through RQ may name."""
