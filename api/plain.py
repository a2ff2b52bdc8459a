"""Three addresses for the plainest of clients: one call, one answer, `success` true or false; no problem JSON.

They answer even without Redis or workers, from the model's public files, and say so.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request
from pydantic import ValidationError

from api.auth import caller
from api.json_body import loads
from api.limits import rate_of
from api.service import QUEUE_LIMIT, connection, files, instead, nobody_works
from api.waiting import ask_again, asked_before
from producer import fallback, queue, results
from producer.errors import NotReady, ProducerError, RateLimited
from producer.public import PopularList
from producer.schema import Query, Result

plain = Blueprint("plain", __name__)

_ANSWER_S = 10.0
_DEFAULT_SIZE, _MOST_SIZE = 5, 20
_DEFAULT_EXAMPLES, _MOST_EXAMPLES = 3, 5
_LONGEST = 200


@plain.post("/recommend")
def recommend() -> Response:
    """Answer `song_name` (with `artist_name` or not) or `song_id` with `playlist_size` tracks, all in one call."""
    try:
        asked, query = _query()
    except ValueError as error:
        return _failure(HTTPStatus.BAD_REQUEST, str(error))
    job_id = asked_before()
    try:
        if job_id is None:
            if nobody_works():
                return _without_worker(asked, query, "no worker is alive")
            limit = current_app.config[QUEUE_LIMIT]
            asking = caller()
            job, _ = queue.recommend(connection(), query, limit=limit, caller=asking.id, rate=rate_of(asking))
            return ask_again(_without_worker(asked, query, "no worker answered in time"), job.id, _ANSWER_S)
        answer = results.get_answer(connection(), job_id)
    except RateLimited as error:
        return _failure(HTTPStatus.TOO_MANY_REQUESTS, str(error), error.retry_after_s)
    except ProducerError as error:
        return _without_worker(asked, query, error)
    if answer is None:
        return ask_again(_without_worker(asked, query, "no worker answered in time"), job_id, _ANSWER_S)
    if "error" in answer:
        return _failure(HTTPStatus.BAD_REQUEST, answer["error"]["detail"])
    return _success(asked, Result.model_validate(answer["ok"]))


def _query() -> tuple[dict[str, Any], Query]:
    """Read the body. → what was asked, as it is given back, and the same as a query. Raises: ValueError."""
    try:
        body = loads(request.get_data())
    except ValueError:
        raise ValueError("send a JSON object with song_name or song_id") from None
    if not isinstance(body, dict):
        raise ValueError("send a JSON object with song_name or song_id")
    texts = {}
    for name in ("song_name", "song_id", "artist_name"):
        value = body.get(name)
        if value is not None and (not isinstance(value, str) or len(value) > _LONGEST):
            raise ValueError(f"{name} is a text of up to {_LONGEST} characters")
        texts[name] = (value or "").strip() or None
    if not (texts["song_name"] or texts["song_id"]):
        raise ValueError("song_name is empty; give it, or song_id")
    size = body.get("playlist_size", _DEFAULT_SIZE)
    if isinstance(size, bool) or not isinstance(size, int | float | str):
        raise ValueError("playlist_size is a number")
    try:
        size = min(max(int(size), 1), _MOST_SIZE)
    except (ValueError, OverflowError):
        raise ValueError("playlist_size is a number") from None
    asked = {**texts, "playlist_size": size}
    seed = {"track_id": texts["song_id"]} if texts["song_id"] else {"name": texts["song_name"]}
    if texts["artist_name"] and not texts["song_id"]:
        seed["artist"] = texts["artist_name"]
    try:
        return asked, Query.model_validate({"seeds": [seed], "limit": size})
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None


def _without_worker(asked: dict[str, Any], query: Query, reason: Exception | str) -> Response:
    answer = instead(query, reason)
    if answer is None:
        return _failure(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason}; there is no model to answer from either")
    return _success(asked, Result.model_validate(answer))


def _success(asked: dict[str, Any], result: Result) -> Response:
    body: dict[str, Any] = {
        "success": True,
        "recommendations": [
            {
                "track_name": track.name,
                "artist_name": ", ".join(track.artists) or "unknown",
                "genre": ", ".join(track.genres) or "unknown",
                "popularity": track.popularity,
            }
            for track in result.tracks
        ],
        "search_query": asked,
        "strategy": result.strategy,
        "degraded": result.degraded,
    }
    notes = [*result.warnings, *([result.notice] if result.notice else [])]
    if notes:
        body["note"] = "; ".join(notes)
    return jsonify(body)


def _failure(status: HTTPStatus, error: str, retry_after_s: float = 5) -> Response:
    response = jsonify({"success": False, "error": error})
    response.status_code = status
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        response.headers["Retry-After"] = str(math.ceil(retry_after_s))
    return response


@plain.get("/api/popular-examples")
def popular_examples() -> Response:
    """Answer with a few well-known songs of the catalogue, other ones each time, to try."""
    try:
        count = min(max(int(request.args.get("count", _DEFAULT_EXAMPLES)), 1), _MOST_EXAMPLES)
    except ValueError:
        return _failure(HTTPStatus.BAD_REQUEST, f"count is a number from 1 to {_MOST_EXAMPLES}")
    try:
        tracks = _popular().tracks
    except NotReady as error:
        return _failure(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
    chosen = random.sample(tracks, min(count, len(tracks)))
    examples = [{"song": track.name, "artist": ", ".join(track.artists) or "unknown"} for track in chosen]
    return jsonify({"success": True, "examples": examples})


def _popular() -> PopularList:
    try:
        return fallback.popular(connection(), None, 30)
    except ProducerError:
        return files().popular(None, 30)


@plain.get("/health")
def health() -> Response:
    """Answer healthy; degraded, if answers are popular tracks only; or error, if there are none."""
    parts: dict[str, Callable[[], Any]] = {
        "redis": lambda: connection().ping(),
        "workers": lambda: fallback.live_workers(connection()),
        "model": lambda: fallback.model_info(connection()),
        "fallback": _popular,
    }
    loaded, wrong = {}, []
    for name, look in parts.items():
        try:
            loaded[name] = bool(look())
        except Exception as error:  # noqa: BLE001 — whatever it is, it is what is asked here
            loaded[name] = False
            wrong.append(f"{name}: {error}")
    status = "healthy" if all(loaded.values()) else "degraded" if loaded["fallback"] else "error"
    if not loaded["workers"]:
        wrong.append("no worker is alive")
    response = jsonify(
        {
            "status": status,
            "components_loaded": loaded,
            "message": "; ".join(dict.fromkeys(wrong)) or "everything is there",
            "timestamp": datetime.now(UTC).isoformat(),
        }
    )
    response.status_code = HTTPStatus.SERVICE_UNAVAILABLE if status == "error" else HTTPStatus.OK
    return response
