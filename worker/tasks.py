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
from producer.charts import MAX_ON_MAP
from producer.playlists.shapes import DoctorQuery, PlaylistQuery
from producer.schema import MAX_POPULAR, Filters, Query
from producer.songs import track_id_of
from worker import doctor, pipeline, playlists, progress
from worker.models import HOLDER

log = logging.getLogger("segue.worker")

Task = Callable[[dict[str, Any]], dict[str, Any]]

MAX_TYPED = 200
"""Characters of a type-ahead that are looked at."""

_FEW, _WORTH_SEARCHING = 3, 4
"""A type-ahead that finds fewer tracks than _FEW is looked up as a misspelt name, too: from so many characters on."""


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


@_refused_kindly
def playlist(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer with a playlist. payload: a `producer.playlists.shapes.PlaylistQuery` as a dict."""
    query = PlaylistQuery.model_validate(payload)
    made = playlists.playlist(HOLDER.model, query, HOLDER.order, HOLDER.look_up, progress.report)
    return {"ok": made.model_dump()}


@_refused_kindly
def diagnose(payload: dict[str, Any]) -> dict[str, Any]:
    """Say what a playlist is like. payload: a `producer.playlists.shapes.DoctorQuery` as a dict."""
    query = DoctorQuery.model_validate(payload)
    said = doctor.diagnose(HOLDER.model, query, HOLDER.order, HOLDER.look_up, progress.report)
    return {"ok": said.model_dump()}


_ITEMS: dict[str, Task] = {"recommendation": recommend, "playlist": playlist}


def recommend_many(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a part of a batch. payload: {"items": [{"index", "custom_id", "type", "query": its fields}]}.

    type: recommendation, if it is left out, or playlist.

    → a line for each; `good`: how many of them are answers. What goes wrong with one, is told in its line, and so is
    the `error` that it may have instead of `query`.
    """
    lines = []
    for item in payload["items"]:
        line = {"index": item["index"], "custom_id": item["custom_id"]}
        try:
            with progress.unheard():
                answer = _answer_to(item)
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


def _answer_to(item: dict[str, Any]) -> dict[str, Any]:
    if "query" not in item:
        return {"error": item["error"]}
    return _ITEMS[item.get("type", "recommendation")](item["query"])


def complete(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer a type-ahead. payload: {"q": what was typed so far, "limit": 1–50}.

    → tracks that begin like this, the most popular first; where there are few of them, then those that are written
    nearly like this.
    """
    model = HOLDER.model
    typed, limit = str(payload["q"])[:MAX_TYPED], min(max(int(payload["limit"]), 1), MAX_POPULAR)
    rows = model.names.complete(typed, limit)
    if len(rows) < min(_FEW, limit) and len(typed) >= _WORTH_SEARCHING:
        rows = model.names.each_song_once(rows + model.names.complete_nearly(typed, limit), limit)
    return {"ok": {"tracks": model.tracks(rows)}}


def track(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer with all that is known of a track. payload: {"track_id": id, Spotify URI or URL}."""
    row = HOLDER.model.row_of_id(track_id_of(str(payload["track_id"])))
    if row is None:
        return _error("the catalogue has no track with this id", code="not-found")
    return {"ok": HOLDER.model.track_detail(row)}


def on_map(payload: dict[str, Any]) -> dict[str, Any]:
    """Answer with the best known tracks in a window of the map. payload: {"box": [x0, y0, x1, y1], "limit": 1–500}."""
    model = HOLDER.model
    box = [float(edge) for edge in payload["box"]]
    found = model.map.window(box, min(max(int(payload["limit"]), 1), MAX_ON_MAP))
    return {"ok": {"count": found.count, "tracks": model.tracks(found.rows)}}


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
    keys.PLAYLIST: playlist,
    keys.DIAGNOSE: diagnose,
    keys.COMPLETE: complete,
    keys.TRACK: track,
    keys.COUNT: count,
    keys.ON_MAP: on_map,
}
"""The functions that jobs may name."""


def _in_turn(task: Task) -> Callable[[list[tuple[Any, ...]]], list[Any]]:
    return lambda calls: [task(*call) for call in calls]


_LONG = (keys.PLAYLIST, keys.DIAGNOSE)
"""What takes so long that the way to Redis counts for nothing. Alone, each can say how far it is."""

BATCHES: dict[str, Callable[[list[tuple[Any, ...]]], list[Any]]] = {
    name: _in_turn(task) for name, task in FUNCTIONS.items() if name not in (keys.RECOMMEND_MANY, *_LONG)
}
"""Those that take many calls at once, a tuple of arguments each. Pruning leaves the search little to share between
requests, so what a batch saves is the way to Redis and back; if it raises, its calls are made one by one."""

CALLBACKS: dict[str, Callable[..., None]] = {
    "worker.tasks.log_success": log_success,
    "worker.tasks.log_failure": log_failure,
}
"""The callbacks that jobs enqueued through RQ may name."""
