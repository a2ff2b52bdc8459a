"""Registered endpoints: where a caller is told of all its jobs and batches, until it says otherwise.

Every function is given the caller, and finds nothing of another one's. A secret is returned by the call that makes it,
and by no other; Redis holds it as it is, because signing takes it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import redis

from producer import addresses, deliveries, keys, webhooks
from producer.addresses import Policy
from producer.connections import translated
from producer.errors import InvalidRequest, NotFound
from producer.scripts import ENDPOINT, SECRET
from producer.webhooks import EVENTS


@dataclass(frozen=True)
class Endpoint:
    """An endpoint; times are ISO 8601 in UTC.

    failing_since: of the first failure after the last success. disabled_reason: why it was switched off, by its owner
    or by us. old_secret_until: how long webhooks are signed with the secret before the present one, too.
    """

    id: str
    caller: str
    url: str
    events: tuple[str, ...]
    include_result: bool
    description: str
    enabled: bool
    created_at: str
    failing_since: str | None
    disabled_at: str | None
    disabled_reason: str | None
    old_secret_until: str | None


def create(
    connection: redis.Redis,
    caller: str,
    url: str,
    policy: Policy,
    *,
    events: Sequence[str] = EVENTS,
    include_result: bool = False,
    description: str = "",
) -> tuple[Endpoint, str]:
    """Register an endpoint. → it, and its secret, which is not shown again.

    Raises: UnsafeUrl, InvalidRequest (an unknown event; the caller has WEBHOOK_ENDPOINTS_MOST already), Unavailable.
    """
    host = addresses.check(url, policy).host
    endpoint_id, secret = "we_" + secrets.token_hex(12), webhooks.make_secret()
    fields = {
        **{"caller": caller, "url": url, "host": host, "events": _joined(events), "enabled": 1},
        **{"include_result": int(include_result), "description": description, "created_at": f"{time.time():.6f}"},
    }
    with translated():
        # First the secret: an endpoint without one could be posted to, and not be signed for.
        SECRET(connection, owner=endpoint_id, secret=secret, overlap_s=0)
        if ENDPOINT(connection, id=endpoint_id, caller=caller, set=fields, most=keys.WEBHOOK_ENDPOINTS_MOST) < 0:
            connection.delete(keys.WEBHOOK_SECRET.format(owner=endpoint_id))
            raise InvalidRequest(f"a caller may register {keys.WEBHOOK_ENDPOINTS_MOST} endpoints; delete one first")
    return get(connection, caller, endpoint_id), secret


def get(connection: redis.Redis, caller: str, endpoint_id: str) -> Endpoint:
    """Return an endpoint. Raises: NotFound, Unavailable."""
    with translated(), connection.pipeline(transaction=False) as pipe:
        found = _read(pipe, [endpoint_id])
    if not found or found[0].caller != caller:
        raise NotFound(f"there is no webhook endpoint {endpoint_id[:64]!r}")
    return found[0]


def of_caller(connection: redis.Redis, caller: str) -> list[Endpoint]:
    """Return a caller's endpoints, the oldest first. Raises: Unavailable."""
    with translated(), connection.pipeline(transaction=False) as pipe:
        ids = cast(set[bytes], connection.smembers(keys.WEBHOOK_ENDPOINTS.format(caller=caller)))
        found = _read(pipe, sorted(raw.decode() for raw in ids))
    return sorted(found, key=lambda endpoint: endpoint.created_at)


def change(
    connection: redis.Redis,
    caller: str,
    endpoint_id: str,
    policy: Policy,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    include_result: bool | None = None,
    description: str | None = None,
    enabled: bool | None = None,
) -> Endpoint:
    """Change what is given, leave the rest. What waits for the endpoint goes to its new address. → the endpoint.

    enabled: switched on again, it is as new: what it failed before is forgotten. What came while it was off was not
    noted; what had been given up by then can be replayed. Raises: UnsafeUrl, InvalidRequest, NotFound, Unavailable.
    """
    fields: dict[str, Any] = {}
    unset: list[str] = []
    if url is not None:
        fields |= {"url": url, "host": addresses.check(url, policy).host}
    if events is not None:
        fields["events"] = _joined(events)
    if include_result is not None:
        fields["include_result"] = int(include_result)
    if description is not None:
        fields["description"] = description
    if enabled:
        fields["enabled"] = 1
        unset = ["failing_since", "disabled_at", "disabled_reason"]
    elif enabled is not None:
        fields |= {"enabled": 0, "disabled_reason": "by its owner", "disabled_at": f"{time.time():.6f}"}
    with translated():
        if not ENDPOINT(connection, id=endpoint_id, caller=caller, set=fields, unset=unset):
            raise NotFound(f"there is no webhook endpoint {endpoint_id[:64]!r}")
    return get(connection, caller, endpoint_id)


def delete(connection: redis.Redis, caller: str, endpoint_id: str) -> None:
    """Delete an endpoint with all its deliveries; what waits is not sent. Raises: NotFound, Unavailable."""
    get(connection, caller, endpoint_id)
    with translated():
        found = cast(list[bytes], connection.zrange(keys.WEBHOOK_INDEX.format(owner=endpoint_id), 0, -1))
        ids = [raw.decode() for raw in found]
        if not ENDPOINT(connection, id=endpoint_id, caller=caller, delete=1):
            raise NotFound(f"there is no webhook endpoint {endpoint_id[:64]!r}")
        for start in range(0, len(ids), 500):  # what waits finds its record gone
            connection.unlink(*(keys.WEBHOOK_DELIVERY.format(delivery_id=one) for one in ids[start : start + 500]))


def rotate(
    connection: redis.Redis, caller: str, endpoint_id: str, overlap_s: float = keys.WEBHOOK_OVERLAP_S
) -> tuple[Endpoint, str]:
    """Give an endpoint a new secret; the one before is good for `overlap_s` more. → it, and the new secret.

    Raises: NotFound, Unavailable.
    """
    get(connection, caller, endpoint_id)
    with translated():
        secret = SECRET(connection, owner=endpoint_id, secret=webhooks.make_secret(), overlap_s=overlap_s)
    return get(connection, caller, endpoint_id), secret.decode()


def caller_secret(connection: redis.Redis, caller: str) -> str:
    """Return the secret that webhooks to the addresses in a caller's requests are signed with; made when first asked.

    Raises: Unavailable.
    """
    with translated():
        owner = deliveries.owner_of(caller)
        return str(SECRET(connection, owner=owner, secret=webhooks.make_secret(), overlap_s=0, once=1).decode())


def rotate_caller_secret(connection: redis.Redis, caller: str, overlap_s: float = keys.WEBHOOK_OVERLAP_S) -> str:
    """Make a new one of those; the one before is good for `overlap_s` more. → the new one. Raises: Unavailable."""
    with translated():
        owner = deliveries.owner_of(caller)
        return str(SECRET(connection, owner=owner, secret=webhooks.make_secret(), overlap_s=overlap_s).decode())


def ping(connection: redis.Redis, caller: str, endpoint_id: str) -> str:
    """Send an endpoint a test, though it may be switched off. → the delivery's id. Raises: NotFound, Unavailable."""
    endpoint = get(connection, caller, endpoint_id)
    at = time.time()
    data = {"id": endpoint.id, "type": "webhook-endpoint", "created_at": endpoint.created_at}
    delivery = deliveries.to_endpoint(
        f"msg_{secrets.token_hex(16)}",
        endpoint.caller,
        endpoint.id,
        endpoint.url,
        webhooks.PING,
        webhooks.body(webhooks.PING, webhooks.text_of(at), data),
        at,
    )
    deliveries.make(connection, [{"deliveries": [delivery]}])
    return str(delivery["id"])


def _joined(events: Sequence[str]) -> str:
    if unknown := sorted(set(events) - set(EVENTS)):
        raise InvalidRequest(f"{unknown[0]!r} is none of the events {', '.join(EVENTS)}")
    if not events:
        raise InvalidRequest("an endpoint without events would never be told of anything")
    return ",".join(event for event in EVENTS if event in events)


def _read(pipe: Any, ids: Sequence[str]) -> list[Endpoint]:
    for endpoint_id in ids:
        pipe.hgetall(keys.WEBHOOK_ENDPOINT.format(endpoint_id=endpoint_id))
        pipe.hget(keys.WEBHOOK_SECRET.format(owner=endpoint_id), "old_until")
    replies = pipe.execute()
    found = zip(ids, replies[::2], replies[1::2], strict=True)
    return [_endpoint(endpoint_id, raw, until) for endpoint_id, raw, until in found if raw]


def _endpoint(endpoint_id: str, raw: dict[bytes, bytes], old_until: bytes | None) -> Endpoint:
    fields = {name.decode(): value.decode() for name, value in raw.items()}

    def time_of(name: str) -> str | None:
        return webhooks.text_of(float(fields[name])) if name in fields else None

    old = float(old_until or 0)
    return Endpoint(
        id=endpoint_id,
        caller=fields["caller"],
        url=fields["url"],
        events=tuple(fields["events"].split(",")),
        include_result=fields["include_result"] == "1",
        description=fields["description"],
        enabled=fields["enabled"] == "1",
        created_at=time_of("created_at") or "",
        failing_since=time_of("failing_since"),
        disabled_at=time_of("disabled_at"),
        disabled_reason=fields.get("disabled_reason"),
        old_secret_until=webhooks.text_of(old) if old > time.time() else None,
    )
