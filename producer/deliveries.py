"""Deliveries of webhooks: made, looked at, replayed. `lua/deliveries.lua` says how one changes its state.

`producer/outbox.py` says what becomes a delivery, `worker/delivery.py` tries them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import redis

from producer import addresses, codec, keys, webhooks
from producer.connections import translated
from producer.errors import NotFound, UnsafeUrl
from producer.scripts import EXPAND, REPLAY

log = logging.getLogger("segue.webhooks")

_AT_ONCE = 500
_LOOKED_AT = 200


@dataclass(frozen=True)
class Try:
    """What came of one try. at, next_at: ISO 8601; status: of HTTP, None if there was no answer; answer: its beginning.

    error: why it counts as a failure (see docs/reference/redis.md), "" if it does not. ms: how long it took.
    """

    number: int
    at: str
    status: int | None
    error: str
    ms: float
    answer: str
    next_at: str | None


@dataclass(frozen=True)
class Delivery:
    """A delivery; its id is the `webhook-id`, times are ISO 8601 in UTC. endpoint: None for an address in a request.

    state: pending, delivered or dead. next_at: when the next try is due; a host that is left alone for a while has them
    wait longer. tries: what came of the last WEBHOOK_TRIES_KEPT. why: of a dead one.
    """

    id: str
    caller: str
    endpoint: str | None
    host: str
    event: str
    state: str
    created_at: str
    ended_at: str | None
    next_at: str | None
    why: str | None
    count: int
    tries: list[Try]
    body: bytes


def owner_of(caller: str) -> str:
    """Return the owner of deliveries to the addresses in a caller's requests; an endpoint's id owns its own."""
    return f"caller:{caller}"


def get(connection: redis.Redis, caller: str, delivery_id: str) -> Delivery:
    """Return a delivery with its tries. Raises: NotFound, Unavailable."""
    with translated():
        raw = connection.hgetall(keys.WEBHOOK_DELIVERY.format(delivery_id=delivery_id))
    found = _delivery(delivery_id, cast(dict[bytes, bytes], raw))
    if found is None or found.caller != caller:
        raise NotFound(f"there is no webhook delivery {delivery_id[:64]!r}")
    return found


def page(
    connection: redis.Redis,
    owner: str,
    *,
    state: str | None = None,
    since: float = 0,
    until: float = float("inf"),
    after: int = 0,
    limit: int = 50,
) -> tuple[list[Delivery], int | None]:
    """Return an owner's deliveries, the newest first, and where the next page begins; None: there is none.

    owner: an endpoint's id, or `owner_of` a caller; whose it is, is for the caller of this to know. state: only those.
    since, until: made between, Unix seconds. after: what the page before returned. Raises: Unavailable.
    """
    index, found = keys.WEBHOOK_INDEX.format(owner=owner), list[Delivery]()
    at_once = limit if state is None else max(limit, _LOOKED_AT)  # what is rare must not take a round trip each
    while True:
        with translated(), connection.pipeline(transaction=False) as pipe:
            ids = cast(list[bytes], connection.zrevrangebyscore(index, until, since, start=after, num=at_once))
            for raw in ids:
                pipe.hgetall(keys.WEBHOOK_DELIVERY.format(delivery_id=raw.decode()))
            records = pipe.execute()
        for raw, fields in zip(ids, records, strict=True):
            after += 1
            delivery = _delivery(raw.decode(), fields)
            if delivery and state in (None, delivery.state):
                found.append(delivery)
                if len(found) == limit:
                    return found, after
        if len(ids) < at_once:
            return found, None


def replay(connection: redis.Redis, caller: str, delivery_id: str) -> bool:
    """Try a delivery that is over once more, on a new schedule. → False: it is not over.

    Raises: NotFound, Unavailable.
    """
    delivery = get(connection, caller, delivery_id)
    return _replay(connection, [delivery_id], registered=delivery.endpoint is not None) == 1


def replay_between(
    connection: redis.Redis, owner: str, since: float, until: float, states: Collection[str] = ("dead",)
) -> int:
    """Try again what an owner's deliveries have come to that were made between two times (Unix seconds). → how many.

    owner: as for `page`. states: delivered, dead. Raises: Unavailable.
    """
    replayed, after = 0, 0
    index = keys.WEBHOOK_INDEX.format(owner=owner)
    while True:
        with translated(), connection.pipeline(transaction=False) as pipe:
            found_ids = cast(list[bytes], connection.zrangebyscore(index, since, until, start=after, num=_AT_ONCE))
            ids = [raw.decode() for raw in found_ids]
            for delivery_id in ids:
                pipe.hget(keys.WEBHOOK_DELIVERY.format(delivery_id=delivery_id), "state")
            found = pipe.execute()
        wanted = [one for one, state in zip(ids, found, strict=True) if state and state.decode() in states]
        replayed += _replay(connection, wanted, registered=not owner.startswith("caller:")) if wanted else 0
        after += _AT_ONCE
        if len(ids) < _AT_ONCE:
            return replayed


def _replay(connection: redis.Redis, ids: list[str], *, registered: bool) -> int:
    give_up_s, ttl = _times(registered)
    with translated():
        return int(REPLAY(connection, ids=ids, give_up_at=time.time() + give_up_s, ttl=ttl))


def _times(registered: bool) -> tuple[int, int]:
    """Return after how many seconds a delivery is given up, and forgotten."""
    if registered:
        return keys.WEBHOOK_GIVE_UP_S, keys.WEBHOOK_TTL_S
    return keys.WEBHOOK_SINGLE_GIVE_UP_S, keys.WEBHOOK_SINGLE_TTL_S


def backlog(connection: redis.Redis) -> dict[str, int]:
    """Return how many notices wait in the outbox, hosts have something waiting, and tries are in hand.

    Raises: Unavailable.
    """
    with translated(), connection.pipeline(transaction=False) as pipe:
        pipe.llen(keys.WEBHOOK_OUTBOX)
        pipe.zcard(keys.WEBHOOK_PROMPT)
        pipe.zcard(keys.WEBHOOK_OTHERS)
        pipe.zcard(keys.WEBHOOK_FLYING)
        outbox, prompt, others, flying = pipe.execute()
    return {"outbox": outbox, "hosts": prompt + others, "flying": flying}


def to_endpoint(
    delivery_id: str, caller: str, endpoint_id: str, url: str, event: str, body: bytes, now: float
) -> dict[str, Any]:
    """Return a delivery to a registered endpoint, as `make` takes it. url: its address now; each try asks anew."""
    more = {"owner": endpoint_id, "endpoint": endpoint_id, "host": _host(url)}
    return _new(delivery_id, caller, event, body, now, *_times(registered=True)) | more


def to_url(delivery_id: str, caller: str, url: str, event: str, body: bytes, now: float) -> dict[str, Any]:
    """Return a delivery to the address in a request, as `make` takes it."""
    # An owner's first delivery brings a secret along, in case nobody has asked for one yet.
    more = {"owner": owner_of(caller), "url": url, "host": _host(url), "secret": webhooks.make_secret()}
    return _new(delivery_id, caller, event, body, now, *_times(registered=False)) | more


def _new(
    delivery_id: str, caller: str, event: str, body: bytes, now: float, give_up_s: float, ttl: int
) -> dict[str, Any]:
    times = {"created_at": now, "give_up_at": now + give_up_s, "ttl": ttl}
    return {"id": delivery_id, "caller": caller, "event": event, "body": body, **times}


def _host(url: str) -> str:
    try:
        return addresses.parse(url).host
    except UnsafeUrl:  # it was read once; whoever tries it will say so
        return "nowhere"


def make(connection: redis.Redis, entries: list[dict[str, Any]], kept: int = keys.WEBHOOK_KEPT) -> int:
    """Store deliveries, each with the notice that they come from. → how many are new.

    entries: each `deliveries`, and `raw` (the notice, taken out of the outbox in the same step). Raises: Unavailable.
    """
    with translated():
        made, dropped = EXPAND(connection, entries=entries, kept=kept)
    if dropped:
        log.warning("%d webhook deliveries dropped: their owners have more than %d", dropped, kept)
    return int(made)


def pack_try(at: float, status: int | None, error: str, ms: float, answer: bytes, pause_s: float | None) -> bytes:
    """Return what came of a try as a delivery's record holds it. pause_s: before the next one; None: there is none."""
    next_at = None if pause_s is None else time.time() + pause_s
    return codec.pack([at, status, error, round(ms, 1), answer.decode("utf-8", "replace"), next_at])


def _delivery(delivery_id: str, raw: dict[bytes, bytes]) -> Delivery | None:
    """Read a record; None: there is none any more."""
    if b"body" not in raw:
        return None
    fields = {name.decode(): value for name, value in raw.items()}
    text = {name: value.decode() for name, value in fields.items() if name != "body" and not name.startswith("try:")}
    tries = sorted(int(name.removeprefix("try:")) for name in fields if name.startswith("try:"))

    def time_of(name: str) -> str | None:
        return webhooks.text_of(float(text[name])) if name in text else None

    return Delivery(
        id=delivery_id,
        caller=text["caller"],
        endpoint=text.get("endpoint"),
        host=text["host"],
        event=text["event"],
        state=text["state"],
        created_at=time_of("created_at") or "",
        ended_at=time_of("ended_at"),
        next_at=time_of("next_at"),
        why=text.get("why") or None,
        count=int(text["tries"]),
        tries=[_try(number, codec.unpack(fields[f"try:{number}"])) for number in tries],
        body=fields["body"],
    )


def _try(number: int, packed: list[Any]) -> Try:
    at, status, error, ms, answer, next_at = packed
    later = None if next_at is None else webhooks.text_of(next_at)
    return Try(number, webhooks.text_of(at), status, error, ms, answer, later)


def moment(text: str) -> float:
    """Return the Unix seconds of a time in ISO 8601, for `page` and `replay_between`. Raises: ValueError."""
    return datetime.fromisoformat(text).timestamp()
