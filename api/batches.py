"""Many requests at once: submitted in one body, answered in their order."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any, Literal

from flask import Response, current_app, request
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import BaseModel, Field, ValidationError

from api.auth import caller
from api.contract import body_of, problems
from api.errors import problem, wrong_fields
from api.front import MAX_BATCH_BYTES
from api.jobs import WaitParameters
from api.json_body import JSON_LINES, loads, refuse_many_values
from api.limits import rate_of
from api.service import QUEUE_LIMIT, Parameters, connection, nobody_works, retry_after_s, shown
from api.submitting import KeyHeader
from api.waiting import followed, not_over
from api.webhook_checks import wrong_webhook
from api.webhook_shapes import WantedWebhook
from producer import batches as store
from producer import codec
from producer.errors import BadMessage, Expired, NotFound, QueueFull, Unavailable
from producer.jobs import Batch
from producer.playlists.shapes import PlaylistQuery
from producer.schema import Query
from producer.webhooks import BATCH_EVENTS

log = logging.getLogger("segue.api")

batches = APIBlueprint("batches", __name__, url_prefix="/v1/batches")
_TAG = Tag(name="Batches", description="Up to 10,000 requests under one id.")

MOST_ITEMS = 10_000
_MAX_ID = 64
_MAX_ITEM_BYTES = 900_000
"""So that a part of such items is a message that the codec takes."""

_LINES_AT_ONCE = 64


_CustomId = Annotated[str | None, Field(max_length=_MAX_ID, description="Yours; its place in the batch if left out.")]


class Item(Query):
    """A request of a batch for recommendations."""

    type: Literal["recommendation"] = "recommendation"
    custom_id: _CustomId = None


class PlaylistItem(PlaylistQuery):
    """A request of a batch for a playlist."""

    type: Literal["playlist"]
    custom_id: _CustomId = None


_TYPES = ("recommendation", "playlist")


class BatchBody(BaseModel):
    """A batch. What is wrong with one of its requests stands in that one's line of the results."""

    items: list[Item | PlaylistItem] = Field(min_length=1, max_length=MOST_ITEMS)
    metadata: dict[str, str] = Field(default_factory=dict, max_length=16)
    webhook: WantedWebhook | None = Field(
        None, description="Where to tell of its end; of its end only, not of results."
    )


class BatchPath(Parameters):
    """The id of a batch."""

    batch_id: str = Field(max_length=100)


class ResultsParameters(Parameters):
    """Where to begin."""

    after: int = Field(-1, ge=-1, description="The index of the last line that arrived: go on behind it.")


class WrongBatch(Exception):
    """A batch that cannot be taken as a whole. pointer: which field of it is wrong, if one is."""

    def __init__(self, detail: str, pointer: str | None = "/items", code: str = "invalid-request") -> None:
        super().__init__(detail)
        self.pointer = pointer
        self.code = code


@batches.post(
    "",
    summary="Submit a batch",
    tags=[_TAG],
    responses={202: Batch, **problems(body=True)},
    openapi_extensions=body_of(BatchBody, (Item, PlaylistItem), JSON_LINES),
)
def submit(header: KeyHeader) -> Response:
    """Queue up to 10,000 requests: a JSON object with `items`, or JSON Lines, a request a line.

    Each has a `custom_id` and the fields of a request for recommendations, or with `"type": "playlist"` for a playlist.
    """
    try:
        items, metadata, wanted = _items()
    except WrongBatch as error:
        wrong = [] if error.pointer is None else [{"pointer": error.pointer, "detail": str(error)}]
        return problem(error.code, str(error), wrong)
    try:
        if refused := wrong_webhook(wanted, BATCH_EVENTS, header.idempotency_key):
            return refused
        batch_id, new = store.submit(
            connection(),
            items,
            metadata=metadata,
            limit=current_app.config[QUEUE_LIMIT],
            idempotency_key=header.idempotency_key,
            caller=caller().id,
            rate=rate_of(caller()),
            webhook=wanted.webhook if wanted else None,
        )
    except BadMessage:
        return problem("too-large", f"over {MAX_BATCH_BYTES} bytes; send it as several batches")
    except (QueueFull, Unavailable) as error:
        return problem(error.code, str(error), retry_after_s=retry_after_s(error))
    batch = store.get(connection(), batch_id)
    response = _shown(batch)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = batch.links.self
    response.headers["Retry-After"] = "1"
    if not new:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _items() -> tuple[list[dict[str, Any]], dict[str, str], WantedWebhook | None]:
    """Read the body. → items as the worker takes them, metadata, and where to tell of the end. Raises: WrongBatch."""
    body, metadata, wanted = request.get_data(), {}, None
    raw: Any
    if request.mimetype in JSON_LINES:
        raw = _lines(body)
    else:
        try:
            raw = loads(body)
        except ValueError as error:
            raise _malformed(error) from None
        if not isinstance(raw, dict) or set(raw) - {"items", "metadata", "webhook"}:
            raise WrongBatch('a batch is {"items": [...], "metadata": {...}, "webhook": {...}}', "")
        wanted = _wanted(raw.get("webhook"))
        metadata, raw = raw.get("metadata", {}), raw.get("items")
    if not isinstance(raw, list) or not 1 <= len(raw) <= MOST_ITEMS:
        raise WrongBatch(f"1 to {MOST_ITEMS:,} items")
    if not _is_metadata(metadata):
        raise WrongBatch("up to 16 strings of up to 500 characters", "/metadata")
    items, ids = [], set()
    for i, fields in enumerate(raw):
        item, custom_id, kind = fields, None, _TYPES[0]
        if isinstance(fields, dict):
            item = dict(fields)
            custom_id, kind = item.pop("custom_id", None), item.pop("type", kind)
        custom_id = str(i) if custom_id is None else custom_id
        if not isinstance(custom_id, str) or not 1 <= len(custom_id) <= _MAX_ID or not _is_text(custom_id):
            raise WrongBatch(f"a string of 1 to {_MAX_ID} characters", f"/items/{i}/custom_id")
        if custom_id in ids:
            raise WrongBatch(f"{custom_id!r} stands for two items", f"/items/{i}/custom_id")
        ids.add(custom_id)
        items.append({"custom_id": custom_id, **_item(item, kind)})
    return items, metadata, wanted


def _wanted(given: Any) -> WantedWebhook | None:
    if given is None:
        return None
    try:
        return WantedWebhook.model_validate(given)
    except ValidationError as error:
        where, why = wrong_fields(error)[0].values()
        raise WrongBatch(why, f"/webhook{where}") from None


def _malformed(error: ValueError) -> WrongBatch:
    return WrongBatch(f"the body is no JSON that can be read: {error}", None, "malformed-json")


def _lines(body: bytes) -> list[Any]:
    """Read JSON Lines, one more than MOST_ITEMS at most; what is no JSON becomes its error. Raises: WrongBatch."""
    try:
        refuse_many_values(body.decode("utf-8", "replace"))
    except ValueError as error:
        raise _malformed(error) from None
    found: list[Any] = []
    lines = io.BytesIO(body)
    while len(found) <= MOST_ITEMS and (line := lines.readline()):
        if not line.strip():
            continue
        try:
            found.append(loads(line))
        except ValueError as error:
            found.append(error)
    return found


def _item(given: Any, kind: Any) -> dict[str, Any]:
    """Return an item as `producer.batches.submit` takes it: `query`, or what is wrong with it as `error`.

    kind: its `type`, which is told of where it is not that of most.
    """
    if isinstance(given, ValueError):
        return _wrong(f"the line is no JSON that can be read: {str(given)[:200]}", "malformed-json")
    if not isinstance(given, dict):
        return _wrong("a request is a JSON object")
    try:
        codec.pack(given, most=_MAX_ITEM_BYTES)
    except BadMessage as error:
        return _wrong(str(error)[:200].encode("ascii", "backslashreplace").decode())
    if kind not in _TYPES:
        return _wrong(f"one of {', '.join(_TYPES)}", pointer="/type")
    return {"query": given} if kind == _TYPES[0] else {"query": given, "type": kind}


def _wrong(detail: str, code: str = "invalid-request", pointer: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "detail": detail, "pointer": pointer}}


def _is_text(text: str) -> bool:
    """Whether it can be sent on: JSON may hold halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_metadata(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= 16
        and all(
            len(name) <= 40 and _is_text(name) and isinstance(text, str) and len(text) <= 500 and _is_text(text)
            for name, text in value.items()
        )
    )


@batches.get(
    "/<batch_id>",
    summary="Ask where a batch stands",
    tags=[_TAG],
    responses={200: Batch, **problems(404, 410)},
)
def batch(path: BatchPath, query: WaitParameters) -> Response:
    """Return the batch with its counts. `wait` holds the answer until it is over."""
    found = store.get(connection(), path.batch_id)
    response = _shown(found)
    if not found.status.is_final:
        not_over(response, found.id, query.wait)
    return response


@batches.get(
    "/<batch_id>/results",
    summary="Fetch the results",
    tags=[_TAG],
    responses={
        200: {"description": "JSON Lines, in the order of the items", "content": {"application/jsonl": {}}},
        **problems(404, 410),
    },
)
def results(path: BatchPath, query: ResultsParameters) -> Response:
    """Return a line for each request, as far as they are over; `Segue-Complete` says whether that is all.

    Then `Segue-Lines` says how many lines come. If fewer arrive, the stream was cut: go on with `after`.
    """
    found = store.get(connection(), path.batch_id)
    lines = store.results(connection(), path.batch_id, query.after)
    response = Response(_json_lines(lines), content_type="application/jsonl")
    response.headers["Segue-Complete"] = "true" if found.status.is_final else "false"
    if found.status.is_final:
        response.headers["Segue-Lines"] = str(max(0, found.counts.total - 1 - query.after))
    response.headers["Cache-Control"] = "no-store"
    return response


def _json_lines(lines: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    part: list[bytes] = []
    try:
        for line in lines:
            part.append(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
            if len(part) >= _LINES_AT_ONCE:
                yield b"".join(part)
                part = []
    except (Unavailable, NotFound, Expired) as error:
        # The status is sent already. What is wrong ends the stream, without an end of line, so nobody takes it for one.
        log.warning("results broke off: %s", error)
        part.append(json.dumps({"code": error.code, "detail": f"{error}; go on with `after`"}).encode())
    yield b"".join(part)


@batches.post(
    "/<batch_id>/cancel",
    summary="Cancel a batch",
    tags=[_TAG],
    responses={200: Batch, **problems(404, 410, body=True)},
)
def cancel(path: BatchPath) -> Response:
    """Cancel what is not over yet; what is, is kept. Again, it changes nothing."""
    return _shown(store.cancel(connection(), path.batch_id))


@batches.get(
    "/<batch_id>/events",
    summary="Follow a batch",
    tags=[_TAG],
    responses={
        200: {"description": "Server-sent events: progress, end", "content": {"text/event-stream": {}}},
        **problems(404, 410),
    },
)
def events(path: BatchPath) -> Response:
    """Send the batch each time that its counts change, until it is over."""
    return followed(store.get(connection(), path.batch_id))


def _shown(found: Batch) -> Response:
    if not found.status.is_final and nobody_works():
        found = found.model_copy(update={"warnings": ["no worker is alive: this batch waits for one"]})
    response = shown(found)
    response.headers["Cache-Control"] = "no-store"
    return response
