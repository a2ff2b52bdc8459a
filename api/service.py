"""What the views share: Redis, the model's public files, and what to answer when there is no worker."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import Any, ClassVar, cast

import redis
from flask import Response, current_app
from pydantic import BaseModel, ConfigDict

from api.errors import problem
from producer import fallback
from producer.errors import NotReady, ProducerError, QueueFull, Unavailable
from producer.playlists.shapes import PlaylistQuery
from producer.public import PublicFiles
from producer.schema import Filters, Query, filters_beyond

REDIS = "segue.redis"
"""Where the app keeps its Redis client, in `app.extensions`."""

FILES = "segue.files"
"""Where it keeps the reader of the model's public files."""

QUEUE_LIMIT = "QUEUE_LIMIT"


def connection() -> redis.Redis:
    """Return the app's Redis client."""
    return cast(redis.Redis, current_app.extensions[REDIS])


def files() -> PublicFiles:
    """Return the app's reader of the model's public files."""
    return cast(PublicFiles, current_app.extensions[FILES])


class Parameters(BaseModel):
    """Query parameters or headers. Its schema is made once: the framework asks for it at every request."""

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_json_schema(cls, *args: Any, **options: Any) -> dict[str, Any]:
        """As pydantic's; without arguments, always the same object."""
        if args or options:
            return super().model_json_schema(*args, **options)
        if "_own_schema" not in cls.__dict__:
            cls._own_schema = super().model_json_schema()
        return cls._own_schema

    _own_schema: ClassVar[dict[str, Any]]


def shown(model: BaseModel) -> Response:
    """Return a message as JSON, four times as fast as by way of a dict."""
    return Response(model.model_dump_json(), content_type="application/json")


def workers_alive() -> int:
    """Return how many workers are alive, as of half a second ago at most; 0 is always news. Raises: Unavailable."""
    until, count = current_app.extensions.get(_WORKERS, (0.0, 0))
    if time.monotonic() > until or not count:
        count = fallback.live_workers(connection())
        current_app.extensions[_WORKERS] = (time.monotonic() + _WORKERS_S, count)
    return int(count)


_WORKERS, _WORKERS_S = "segue.workers", 0.5


def instead(query: Query | PlaylistQuery, reason: Exception | str) -> dict[str, Any] | None:
    """Return the popular fallback for a request that is not taken, from Redis or from files; None: there is none."""
    lists = None
    if not isinstance(reason, Unavailable):  # then Redis need not be waited for once more
        with suppress(Unavailable, NotReady):
            lists = fallback.popular_lists(connection(), query)
    try:
        info, popular = lists or files().popular_lists()
        if isinstance(query, PlaylistQuery):
            return fallback.playlist(query, info, popular, str(reason)).model_dump()
        return fallback.answer(query, info, popular, str(reason)).model_dump()
    except NotReady:
        return None


def nobody_works() -> bool:
    """Whether no worker is alive. Where Redis cannot say, that is not what to warn of."""
    try:
        return workers_alive() == 0
    except Unavailable:
        return False


def retry_after_s(error: ProducerError) -> int:
    """Return when to try again, in seconds: for a full queue, until a tenth of it will have been worked off."""
    if not isinstance(error, QueueFull) or not error.waiting:
        return 5
    try:
        per_s = fallback.jobs_per_s(connection())
    except Unavailable:
        return 5
    return min(60, max(1, math.ceil(error.waiting / 10 / per_s))) if per_s else 30


def wrong_filters(filters: Filters) -> Response | None:
    """Refuse filters on what the model in service does not have, now and not as a failed job later."""
    if filters == Filters():
        return None
    try:
        info = fallback.model_info(connection())
    except (NotReady, Unavailable):
        return None  # the worker will say
    lacking = filters_beyond(filters, info.coverage, info.genres)
    if lacking:
        errors = [{"pointer": pointer, "detail": detail} for pointer, detail in lacking]
        return problem("invalid-request", errors[0]["detail"], errors)
    return None
