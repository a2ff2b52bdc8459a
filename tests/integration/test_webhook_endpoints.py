"""Registered endpoints: whose they are, what changes with them, their secrets, and replays of their deliveries."""

from __future__ import annotations

import time

import pytest
import redis

from producer import deliveries, endpoints, keys
from producer.addresses import Policy
from producer.errors import InvalidRequest, NotFound, UnsafeUrl
from producer.webhooks import EVENTS, PING
from tests import webhooks
from tests.webhooks import CALLER, HOOK, POLICY, came, deliver, end, expand, register


def test_an_endpoint_is_its_callers_alone(connection: redis.Redis) -> None:
    ours, theirs = register(connection), register(connection, caller="another")
    assert endpoints.of_caller(connection, CALLER) == [ours]
    end(connection)
    expand(connection)
    (delivery,) = webhooks.of(connection, ours.id)
    for forbidden in (
        lambda: endpoints.get(connection, CALLER, theirs.id),
        lambda: endpoints.change(connection, CALLER, theirs.id, POLICY, description="mine"),
        lambda: endpoints.delete(connection, CALLER, theirs.id),
        lambda: endpoints.rotate(connection, CALLER, theirs.id),
        lambda: endpoints.ping(connection, CALLER, theirs.id),
        lambda: deliveries.get(connection, "another", delivery.id),
        lambda: deliveries.replay(connection, "another", delivery.id),
        lambda: endpoints.get(connection, CALLER, "we_unknown"),
        lambda: deliveries.get(connection, CALLER, "msg_unknown"),
    ):
        with pytest.raises(NotFound):
            forbidden()
    assert endpoints.get(connection, "another", theirs.id) == theirs


def test_endpoints_are_checked_when_they_are_registered_and_changed(connection: redis.Redis) -> None:
    endpoint = register(connection)
    with pytest.raises(UnsafeUrl):
        endpoints.create(connection, CALLER, "https://127.0.0.1/", Policy())
    with pytest.raises(UnsafeUrl):
        endpoints.change(connection, CALLER, endpoint.id, Policy(), url="https://169.254.169.254/")
    for events_ in (["job.exploded"], [PING], []):
        with pytest.raises(InvalidRequest):
            endpoints.create(connection, CALLER, HOOK.url, POLICY, events=events_)
    assert endpoints.of_caller(connection, CALLER) == [endpoint]
    assert endpoint.events == EVENTS
    for _ in range(keys.WEBHOOK_ENDPOINTS_MOST - 1):
        register(connection)
    with pytest.raises(InvalidRequest):
        register(connection)
    assert len(list(connection.scan_iter("segue:webhooks:secret:*"))) == keys.WEBHOOK_ENDPOINTS_MOST


def test_a_changed_address_holds_for_what_waits_already(connection: redis.Redis) -> None:
    endpoint = register(connection)
    end(connection)
    expand(connection)
    changed = endpoints.change(connection, CALLER, endpoint.id, POLICY, url="http://127.0.0.7:9/new", description="d")
    assert (changed.url, changed.description, changed.events) == ("http://127.0.0.7:9/new", "d", EVENTS)
    (row,) = deliver(connection) or deliver(connection)
    assert (row[2], row[5]) == (b"127.0.0.7", b"http://127.0.0.7:9/new")


def test_what_waits_for_a_deleted_endpoint_is_not_sent(connection: redis.Redis) -> None:
    endpoint, other = register(connection, include_result=True), register(connection)
    end(connection)
    expand(connection)
    assert connection.get(keys.WEBHOOK_WANTS.format(caller=CALLER)) == b"full"
    endpoints.delete(connection, CALLER, endpoint.id)
    assert connection.get(keys.WEBHOOK_WANTS.format(caller=CALLER)) == b"thin"
    assert [row[10].decode() for row in deliver(connection)] == [other.id]
    endpoints.delete(connection, CALLER, other.id)
    left = {raw.decode().split(":")[2] for raw in connection.scan_iter("segue:webhooks:*")}
    assert left <= {"flying", "host", "hosts", "waiting"}


def test_secrets_change_with_an_overlap(connection: redis.Redis) -> None:
    endpoint, first = endpoints.create(connection, CALLER, HOOK.url, POLICY)
    rotated, second = endpoints.rotate(connection, CALLER, endpoint.id)
    assert first != second
    assert rotated.old_secret_until
    endpoints.ping(connection, CALLER, endpoint.id)
    (row,) = deliver(connection)
    assert (row[6].decode(), row[7].decode()) == (second, first)
    deliver(connection, came(row, "delivered"))
    rotated, third = endpoints.rotate(connection, CALLER, endpoint.id, overlap_s=0)
    assert rotated.old_secret_until is None
    endpoints.ping(connection, CALLER, endpoint.id)
    (row,) = deliver(connection)
    assert (row[6].decode(), row[7]) == (third, b"")
    assert endpoints.caller_secret(connection, CALLER) == (mine := endpoints.caller_secret(connection, CALLER))
    assert endpoints.rotate_caller_secret(connection, CALLER) != mine


def test_dead_letters_are_replayed_one_or_many_under_their_ids(connection: redis.Redis) -> None:
    endpoint = register(connection)
    for _ in range(4):
        end(connection)
    expand(connection)
    ids = set()
    while rows := deliver(connection):
        ids |= {row[0].decode() for row in rows}
        deliver(connection, *(came(row, "dead", why="the last try: 500") for row in rows), slots=0, others=0)
    assert len(ids) == 4
    dead, _ = deliveries.page(connection, endpoint.id, state="dead", limit=3)
    assert len(dead) == 3
    assert deliveries.replay(connection, CALLER, dead[0].id)
    assert not deliveries.replay(connection, CALLER, dead[0].id)  # it waits
    between = deliveries.moment(dead[1].created_at)
    assert deliveries.replay_between(connection, endpoint.id, between - 0.001, time.time()) >= 1
    assert deliveries.replay_between(connection, endpoint.id, 0, time.time()) <= 2
    replayed = set()
    while rows := deliver(connection):
        replayed |= {row[0].decode() for row in rows}
        deliver(connection, *(came(row, "delivered") for row in rows), slots=0, others=0)
    assert replayed == ids
    assert {(one.state, one.count, one.why) for one in webhooks.of(connection, endpoint.id)} == {("delivered", 2, None)}
    assert deliveries.replay_between(connection, endpoint.id, 0, time.time(), ("delivered",)) == 4


def test_deliveries_are_paged_the_newest_first(connection: redis.Redis) -> None:
    for _ in range(7):
        end(connection, HOOK)
    expand(connection)
    owner, seen, after = deliveries.owner_of(CALLER), list[str](), 0
    while True:
        found, following = deliveries.page(connection, owner, after=after, limit=3)
        seen += [one.created_at for one in found]
        if following is None:
            break
        after = following
    assert len(seen) == 7
    assert seen == sorted(seen, reverse=True)
    assert deliveries.page(connection, owner, state="dead") == ([], None)
    assert deliveries.backlog(connection) == {"outbox": 0, "hosts": 1, "flying": 0}
