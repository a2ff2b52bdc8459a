"""The outbox: notices of jobs and batches that ended, written by the scripts that end them (`tell` in `lua/jobs.lua`).

A notice becomes a delivery for each address that is to be told, each with its own bytes; that step takes it out of the
outbox (`deliveries.make`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgpack

from producer import codec, deliveries, webhooks
from producer.endpoints import Endpoint
from producer.errors import BadMessage
from producer.jobs import type_of
from producer.webhooks import Webhook


@dataclass(frozen=True)
class Notice:
    """An entry of the outbox. raw: as it lies there; the other fields as `tell` in `lua/jobs.lua` writes them."""

    raw: bytes
    fields: dict[str, bytes]

    def text(self, name: str) -> str:
        """Return a field that is text; "" if it is not there."""
        return self.fields.get(name, b"").decode()

    @property
    def caller(self) -> str | None:
        """Whose registered endpoints are to be told."""
        return self.text("caller") if "caller" in self.fields else None


def read_notice(raw: bytes) -> Notice:
    """Read an entry of the outbox. Raises: BadMessage if it is none."""
    try:
        unpacked = msgpack.unpackb(raw, raw=True)
        fields = {name.decode(): value for name, value in unpacked.items()}
        if not all(isinstance(fields[name], bytes) for name in ("kind", "id", "at", "event")):
            raise BadMessage("no notice: of other types")
        return Notice(raw, fields)
    except (ValueError, AttributeError, KeyError, msgpack.UnpackException) as error:
        raise BadMessage(f"no notice: {error!r}") from error


def expand(notice: Notice, endpoints: Sequence[Endpoint]) -> list[dict[str, Any]]:
    """Return the deliveries that a notice leads to, as `make` takes them. endpoints: the caller's, as they are now.

    Raises: BadMessage.
    """
    event, about, now = notice.text("event"), notice.text("id"), time.time()
    bodies: dict[bool, bytes] = {}

    def body(include_result: bool) -> bytes:
        if include_result not in bodies:
            bodies[include_result] = webhooks.body(event, notice.text("at"), _data(notice, include_result))
        return bodies[include_result]

    made = [
        deliveries.to_endpoint(
            webhooks.webhook_id(about, event, endpoint.id),
            endpoint.caller,
            endpoint.id,
            endpoint.url,
            event,
            body(endpoint.include_result),
            now,
        )
        for endpoint in endpoints
        if endpoint.enabled and event in endpoint.events
    ]
    if "webhook" in notice.fields:
        asked = Webhook.unpacked(notice.fields["webhook"])
        if event in asked.events:
            caller = notice.caller or ""
            delivery_id = webhooks.webhook_id(about, event, asked.url)
            made.append(deliveries.to_url(delivery_id, caller, asked.url, event, body(asked.include_result), now))
    return made


def _data(notice: Notice, include_result: bool) -> dict[str, Any]:
    packed = notice.fields.get("meta")
    metadata = codec.unpack(packed)["metadata"] if packed else {}
    created, ended = notice.text("created_at"), notice.text("at")
    if notice.text("kind") == "batch":
        number = {name: int(notice.fields.get(name, 0)) for name in ("total", "succeeded", "failed", "canceled")}
        status = "canceled" if "cancel" in notice.fields and number["canceled"] else "succeeded"
        return webhooks.batch_data(notice.text("id"), status, created, ended, metadata, number)
    answer = codec.unpack(notice.fields["answer"]) if include_result and "answer" in notice.fields else None
    return webhooks.job_data(
        notice.text("id"),
        notice.text("event"),
        created,
        ended,
        metadata,
        include_result=include_result,
        answer=answer,
        kind=type_of(notice.text("description")),
    )
