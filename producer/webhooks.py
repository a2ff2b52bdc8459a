"""What a webhook is: its secret, its signature, its body, and when it is tried again. Rules only; nothing is sent here.

The format is that of Standard Webhooks 1.0 (standard-webhooks/standard-webhooks, `spec/standard-webhooks.md`): three
headers, `webhook-id` (the same for every try), `webhook-timestamp` (of the try) and `webhook-signature`, over a JSON
body `{type, timestamp, data}`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import random
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgpack

from producer.errors import BadMessage
from producer.jobs import BatchLinks, JobType, Links

JOB_EVENTS = ("job.succeeded", "job.failed", "job.canceled")
BATCH_EVENTS = ("batch.completed",)
EVENTS = JOB_EVENTS + BATCH_EVENTS
"""What an endpoint or a request may ask to be told of."""

PING = "endpoint.ping"
"""Sent when somebody tests an endpoint, whatever it asked for."""

SINGLE_S = (0, 5, 30, 5 * 60, 30 * 60, 2 * 3600)
"""Pauses before each try, in seconds, for the address in a request: its result is kept an hour, so no longer."""

REGISTERED_S = (0, 5, 5 * 60, *(hours * 3600 for hours in (0.5, 2, 5, 10, 14, 20, 24)))
"""The same for a registered endpoint: a weekend's outage is outlived. It is the specification's own example."""

JITTER = 0.2
"""A pause is longer or shorter by up to so much of itself: what failed together shall not come back together."""

TOLERANCE_S = 300
"""How far a timestamp may be from the receiver's clock; older ones may be somebody's replay."""

MOST_BYTES = 20_000
"""The longest result that a body carries, as JSON: the specification asks for bodies below 20 kB."""

_SECRET_BYTES = 32
_PREFIX = "whsec_"


class BadSignature(Exception):
    """The webhook was not signed with any of these secrets, or its time is too far from now. For receivers."""


@dataclass(frozen=True)
class Webhook:
    """Where one request wants to be told of its end. events: of EVENTS; include_result: not just a note of it."""

    url: str
    events: tuple[str, ...] = EVENTS
    include_result: bool = False

    def packed(self) -> bytes:
        """Return it as a job's record holds it. The first byte spares the script the unpacking."""
        fields: bytes = msgpack.packb({"url": self.url, "events": self.events})
        return (b"F" if self.include_result else b"T") + fields

    @classmethod
    def unpacked(cls, data: bytes) -> Webhook:
        """Undo `packed`. Raises: BadMessage."""
        try:
            fields = msgpack.unpackb(data[1:])
            return cls(str(fields["url"]), tuple(fields["events"]), data[:1] == b"F")
        except (ValueError, KeyError, TypeError, msgpack.UnpackException) as error:
            raise BadMessage(f"no webhook of ours: {error!r}") from error


def make_secret() -> str:
    """Return a new secret: `whsec_` and 32 random bytes in base64."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def sign(with_secrets: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: one signature with each secret, for a receiver that knows one of them.

    timestamp: Unix seconds, as in `webhook-timestamp`. Raises: ValueError if a secret is not one of ours.
    """
    text = f"{webhook_id}.{timestamp}.".encode() + body
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(_key(secret), text, hashlib.sha256)).decode() for secret in with_secrets
    )


def headers(with_secrets: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of one try."""
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(with_secrets, webhook_id, timestamp, body),
    }


def verify(
    with_secrets: Sequence[str], received: Mapping[str, str], body: bytes, now: Callable[[], float] = time.time
) -> dict[str, Any]:
    """Return what a webhook says, if it is signed with one of the secrets and no older or newer than TOLERANCE_S.

    received: its headers, with names in any case. body: its bytes as they came. Raises: BadSignature.
    """
    found = {name.lower(): value for name, value in received.items()}
    webhook_id, stamp = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not webhook_id or not re.fullmatch(r"[0-9]{1,12}", stamp):
        raise BadSignature("webhook-id or webhook-timestamp is missing")
    if abs(now() - int(stamp)) > TOLERANCE_S:
        raise BadSignature(f"webhook-timestamp is over {TOLERANCE_S} s from now")
    given = [part.encode() for part in found.get("webhook-signature", "").split() if part.startswith("v1,")]
    expected = sign(with_secrets, webhook_id, int(stamp), body).encode().split()
    # Every pair is compared, each in constant time: nobody learns from the time which one came near.
    if not sum(hmac.compare_digest(one, other) for one in given for other in expected):
        raise BadSignature("no signature matches")
    try:
        said: dict[str, Any] = json.loads(body)
    except ValueError as error:
        raise BadSignature("signed, but no JSON") from error
    return said


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a secret is whsec_ and base64") from None  # without the secret itself


def webhook_id(about: str, event: str, target: str) -> str:
    """Return the id of the delivery of an event to a target: the same, however often it is worked out.

    about: the job or batch. target: an endpoint's id, or an address. Should Redis lose its last second in a crash, what
    was sent in it is sent again under the same id.
    """
    return "msg_" + hashlib.sha256(f"{about}\n{event}\n{target}".encode()).hexdigest()[:32]


def job_data(
    job_id: str,
    event: str,
    created_at: str,
    finished_at: str,
    metadata: Mapping[str, str],
    *,
    include_result: bool = False,
    answer: Mapping[str, Any] | None = None,
    kind: JobType = "recommendation",
) -> dict[str, Any]:
    """Return what a webhook tells of a job. answer: as its task gave it; None: there is none, or it is too long."""
    data: dict[str, Any] = {
        "id": job_id,
        "type": kind,
        "status": event.removeprefix("job."),
        "created_at": created_at,
        "finished_at": finished_at,
        "links": Links.of(job_id).model_dump(),
        "metadata": dict(metadata),
    }
    if not include_result:
        return data
    if answer and "error" in answer:
        return data | {"error": answer["error"]}
    if event == "job.succeeded":
        result = answer and answer.get("ok")
        if result is not None and len(_json(result)) <= MOST_BYTES:
            return data | {"result": result}
        return data | {"result": None, "result_omitted": f"over {MOST_BYTES} bytes; see links.result"}
    return data


def batch_data(
    batch_id: str, status: str, created_at: str, finished_at: str, metadata: Mapping[str, str], counts: dict[str, int]
) -> dict[str, Any]:
    """Return what a webhook tells of a batch. counts: its requests by what became of them."""
    return {
        "id": batch_id,
        "type": "batch",
        "status": status,
        "created_at": created_at,
        "finished_at": finished_at,
        "counts": counts,
        "links": BatchLinks.of(batch_id).model_dump(),
        "metadata": dict(metadata),
    }


def body(event: str, at: str, data: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed and sent. at: when it happened, ISO 8601."""
    return _json({"type": event, "timestamp": at, "data": data})


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def pause_s(
    schedule: Sequence[float], tries: int, asked_s: float | None = None, roll: Callable[[], float] = random.random
) -> float | None:
    """Return how long to wait after `tries` failed tries, in seconds; None: that was the last.

    asked_s: what the receiver's Retry-After asks for; believed up to the longest pause of the schedule. roll: 0–1.
    """
    if tries >= len(schedule):
        return None
    pause = schedule[tries] * (1 + JITTER * (2 * roll() - 1))
    return max(pause, min(asked_s or 0.0, max(schedule)))


def retry_after_s(value: str | None, now: Callable[[], float] = time.time) -> float | None:
    """Read a Retry-After: seconds or a date (RFC 9110 §10.2.3). None: there is none that can be read."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return max(0.0, when.replace(tzinfo=when.tzinfo or UTC).timestamp() - now())


def text_of(moment: float) -> str:
    """Return a Unix time as ISO 8601 in UTC."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
