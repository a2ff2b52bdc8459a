"""What a receiver of webhooks does first: make sure that Segue sent them.

Needs the standard library and nothing else; the file works alone, copied into a project of your own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypedDict

TOLERANCE_S = 300.0
"""How far a webhook's time may be from now; an older one may be somebody's recording, played again."""


class BadWebhook(Exception):
    """Not signed with any of your secrets, or too old. Answer 400, and do nothing else with it."""


class WebhookEvent(TypedDict):
    """What a webhook says. data: the job or batch, as the service shows it, with its result if that was wanted."""

    type: str  # job.succeeded, job.failed, job.canceled, batch.completed, endpoint.ping
    timestamp: str  # when it happened
    data: dict[str, Any]


class Headers(Protocol):
    """The headers of a request, as any framework has them."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return names and values."""


def verify_webhook(
    body: bytes,
    headers: Headers,
    secrets: str | Sequence[str],
    *,
    tolerance_s: float = TOLERANCE_S,
    now: Callable[[], float] = time.time,
) -> WebhookEvent:
    """Return what a webhook says, if it is signed with one of the secrets (`whsec_…`) and its time is near enough.

    body: the bytes as they came, not JSON that was read and written again. headers: of the request, names in any case.
    secrets: while you change them, the old and the new one. The header `webhook-id` is the same however often a webhook
    is sent: keep those that you have dealt with, and drop what comes again. Raises: BadWebhook; ValueError for a secret
    that is none.
    """
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    found = {name.lower(): value for name, value in headers.items()}
    webhook_id, at = found.get("webhook-id", ""), found.get("webhook-timestamp", "")
    if not webhook_id or not re.fullmatch("[0-9]{1,12}", at):
        raise BadWebhook("webhook-id or webhook-timestamp is missing")
    if abs(now() - int(at)) > tolerance_s:
        raise BadWebhook(f"webhook-timestamp is over {tolerance_s:g} s from now")
    signed = f"{webhook_id}.{at}.".encode("utf-8", "replace") + body
    expected = [b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    given = [part.encode("utf-8", "replace") for part in found.get("webhook-signature", "").split()]
    # All pairs are compared, each in constant time, so that the time says nothing about which came near.
    if not sum(hmac.compare_digest(one, other) for one in given for other in expected):
        raise BadWebhook("no signature matches")
    try:
        said: WebhookEvent = json.loads(body)
    except ValueError as error:
        raise BadWebhook("signed, but no JSON") from error
    return said


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:  # an empty one would sign for everybody
        raise ValueError("a secret is whsec_ and base64")  # without the secret itself: messages end in logs
    return key
