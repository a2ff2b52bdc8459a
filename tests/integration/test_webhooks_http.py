"""Webhooks over HTTP: the field `webhook`, endpoints and their secrets, deliveries and replays."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from standardwebhooks import Webhook as Judge

import settings
from api import keys as keys_of_callers
from api.app import create_app
from api.webhook_checks import Addresses
from producer import addresses, deliveries, keys, queue
from producer.addresses import Policy
from producer.errors import UnsafeUrl
from producer.webhooks import EVENTS
from tests import webhooks
from tests.fakes.receiver import Receiver, receiving
from tests.services import wait_for
from tests.webhooks import LOOPBACK, came, deliver, delivering, expand

QUERY = {"seeds": [{"track_id": "x"}]}
HOOK = "http://127.0.0.1:9/hook"
SUBMIT, BATCHES, ENDPOINTS, DELIVERIES = (
    "/v1/recommendations",
    "/v1/batches",
    "/v1/webhook-endpoints",
    "/v1/webhook-deliveries",
)
UNSAFE = [
    "http://127.0.0.1:1/",
    "https://localhost/",
    "https://169.254.169.254/latest/meta-data",
    "https://[::1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://2130706433/",
    "https://user:password@8.8.8.8/",
    "https://8.8.8.8:22/",
    "http://8.8.8.8/",
    "ftp://8.8.8.8/",
    "no address",
]
CALLER = "ip:127.0.0.1"


@pytest.fixture
def client(redis_url: str, connection: redis.Redis, tmp_path: Path) -> FlaskClient:
    return app_client(redis_url, tmp_path, webhook_allow_networks=LOOPBACK)


@pytest.fixture
def strict(redis_url: str, connection: redis.Redis, tmp_path: Path) -> FlaskClient:
    """The API as it is without settings: nothing private is allowed."""
    return app_client(redis_url, tmp_path)


def app_client(redis_url: str, folder: Path, **more: Any) -> FlaskClient:
    client: FlaskClient = create_app(
        settings.Settings(redis_url=redis_url, artifacts_dir=folder / "none", **more)
    ).test_client()
    return client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.data
    body: dict[str, Any] = response.get_json()
    assert (body["status"], body["code"]) == (status, code)
    return body


def register(client: FlaskClient, url: str = HOOK, **more: Any) -> dict[str, Any]:
    made = client.post(ENDPOINTS, json={"url": url, **more})
    assert made.status_code == 201, made.data
    found: dict[str, Any] = made.get_json()
    return found


def gone(connection: redis.Redis, count: int = 1) -> list[str]:
    """Let jobs of the caller end, and their deliveries die. → the ids of those."""
    for _ in range(count):
        webhooks.end(connection, caller=CALLER)
    expand(connection)
    ids = []
    while rows := deliver(connection):
        ids += [row[0].decode() for row in rows]
        deliver(connection, *(came(row, "dead", why="the last try: 500") for row in rows), slots=0, others=0)
    return ids


@pytest.mark.parametrize("url", UNSAFE)
def test_where_webhooks_may_not_go_is_422_in_one_sentence_for_all(
    strict: FlaskClient, connection: redis.Redis, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    texts = set()
    for path, body, pointer in (
        (SUBMIT, QUERY | {"webhook": {"url": url}}, "/webhook/url"),
        (BATCHES, {"items": [QUERY], "webhook": {"url": url}}, "/webhook/url"),
        (ENDPOINTS, {"url": url}, "/url"),
    ):
        with caplog.at_level(logging.WARNING, "segue.api"):
            found = problem(strict.post(path, json=body), 422, "unsafe-url")
        assert [error["pointer"] for error in found["errors"]] == [pointer]
        texts |= {found["detail"], found["errors"][0]["detail"]}
    assert texts == {str(UnsafeUrl("whatever"))}
    assert "password" not in caplog.text
    assert not list(connection.scan_iter("segue:*"))
    assert queue.waiting(connection) == 0


@pytest.mark.parametrize(
    ("webhook", "pointer"),
    [
        ({}, "/webhook/url"),
        ({"url": 5}, "/webhook/url"),
        ({"url": "x" * 2049}, "/webhook/url"),
        ({"url": HOOK, "events": []}, "/webhook/events"),
        ({"url": HOOK, "events": ["job.exploded"]}, "/webhook/events/0"),
        ({"url": HOOK, "events": ["endpoint.ping"]}, "/webhook/events/0"),
        ({"url": HOOK, "include_result": "yes"}, "/webhook/include_result"),
        ({"url": HOOK, "secret_id": "s"}, "/webhook/secret_id"),
        ("here", "/webhook"),
    ],
)
def test_a_wrong_webhook_is_422_with_a_pointer(client: FlaskClient, webhook: Any, pointer: str) -> None:
    for path, body in ((SUBMIT, QUERY), (BATCHES, {"items": [QUERY]})):
        found = problem(client.post(path, json={**body, "webhook": webhook}), 422, "invalid-request")
        assert [error["pointer"] for error in found["errors"]] == [pointer]


def test_an_event_that_cannot_come_is_refused(client: FlaskClient) -> None:
    for path, body, event in (
        (SUBMIT, QUERY, "batch.completed"),
        (BATCHES, {"items": [QUERY]}, "job.succeeded"),
    ):
        found = problem(
            client.post(path, json={**body, "webhook": {"url": HOOK, "events": [event]}}), 422, "invalid-request"
        )
        assert found["errors"][0]["pointer"] == "/webhook/events"
        taken = client.post(path, json={**body, "webhook": {"url": HOOK, "events": list(EVENTS)}})
        assert taken.status_code == 202


def test_an_item_of_a_batch_has_no_webhook_of_its_own(client: FlaskClient, connection: redis.Redis) -> None:
    """Its line says so: what is wrong with an item never refuses the batch."""
    body = {"items": [QUERY | {"webhook": {"url": HOOK}}]}
    batch = client.post(BATCHES, json=body).get_json()
    assert batch["counts"]["total"] == 1
    assert connection.hget(keys.BATCH.format(batch_id=batch["id"]), "webhook") is None


def test_a_request_sent_again_is_the_same_whatever_its_address_is_by_now(
    client: FlaskClient, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path, body in ((SUBMIT, QUERY), (BATCHES, {"items": [QUERY]})):
        whole = {**body, "webhook": {"url": HOOK}}
        named = {"Idempotency-Key": "once"} if path == SUBMIT else {"Idempotency-Key": "twice"}
        first = client.post(path, json=whole, headers=named)
        assert first.status_code == 202

        def refuse(self: Addresses, url: str) -> None:
            raise UnsafeUrl("moved")

        with monkeypatch.context() as patched:
            patched.setattr(Addresses, "check", refuse)
            again = client.post(path, json=whole, headers=named)
            assert (again.status_code, again.get_json()["id"]) == (202, first.get_json()["id"])
            assert again.headers["Idempotency-Replayed"] == "true"
            other = {**body, "webhook": {"url": HOOK + "/other"}}
            problem(client.post(path, json=other, headers=named), 422, "idempotency-key-reused")
            problem(client.post(path, json=whole), 422, "unsafe-url")


def test_an_address_that_may_be_used_is_not_looked_up_for_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, now = [], [100.0]

    def check(url: str, policy: Policy) -> None:
        asked.append(url)
        if "bad" in url:
            raise UnsafeUrl("so it is")

    monkeypatch.setattr(addresses, "check", check)
    known = Addresses(Policy(), lambda: now[0])
    for _ in range(3):
        known.check("https://good/")
        with pytest.raises(UnsafeUrl):
            known.check("https://bad/")
    assert asked == ["https://good/", "https://bad/", "https://bad/", "https://bad/"]
    now[0] += 31
    known.check("https://good/")
    assert asked[-1] == "https://good/"
    for n in range(2000):
        known.check(f"https://good/{n}")
    assert len(known._good) <= 1000


def test_job_and_batch_are_told_to_their_addresses_and_to_endpoints(
    client: FlaskClient, connection: redis.Redis, redis_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    endpoint = register(client, receiver.url("/registered"))
    secret = client.get("/v1/webhook-secret").get_json()["secret"]
    webhook = {"url": receiver.url("/single"), "include_result": True}
    with delivering(redis_url, tmp_path / "webhooks.log"):
        job = client.post(SUBMIT, json=QUERY | {"webhook": webhook, "metadata": {"for": "me"}}).get_json()
        batch = client.post(BATCHES, json={"items": [QUERY] * 5, "webhook": webhook}).get_json()
        data = connection.hget(f"rq:job:{job['id']}", "data")
        assert isinstance(data, bytes)
        assert b"hook" not in data  # which is what the worker is given
        assert queue.finish(connection, job["id"], "finished", {"ok": {"tracks": []}})
        client.post(batch["links"]["cancel"])
        wait_for(lambda: len(receiver.got) == 4, "four webhooks")
    for path, its_secret in (("/single", secret), ("/registered", endpoint["secret"])):
        said = {got.json["type"]: Judge(its_secret).verify(got.body, got.headers) for got in receiver.at(path)}
        assert set(said) == {"job.succeeded", "batch.completed"}
        assert said["job.succeeded"]["data"]["id"] == job["id"]
        assert said["job.succeeded"]["data"]["metadata"] == {"for": "me"}
        assert ("result" in said["job.succeeded"]["data"]) == (path == "/single")
        assert said["batch.completed"]["data"]["counts"]["canceled"] == 5
    found = client.get(DELIVERIES).get_json()
    assert [one["status"] for one in found["deliveries"]] == ["delivered", "delivered"]
    assert {one["endpoint"] for one in found["deliveries"]} == {None}
    whole = client.get(found["deliveries"][0]["links"]["self"]).get_json()
    assert whole["tries"] == [whole["last"]]
    assert (whole["last"]["status"], whole["last"]["answer"], whole["tried"]) == (200, "ok", 1)
    assert whole["payload"]["type"] == whole["event"]
    of_endpoint = client.get(endpoint["links"]["deliveries"]).get_json()
    assert {one["endpoint"] for one in of_endpoint["deliveries"]} == {endpoint["id"]}


def test_an_endpoint_is_registered_looked_at_changed_and_deleted(client: FlaskClient, connection: redis.Redis) -> None:
    made = client.post(ENDPOINTS, json={"url": HOOK, "events": ["job.failed"], "description": "the shop"})
    assert made.status_code == 201
    endpoint = made.get_json()
    assert endpoint["secret"].startswith("whsec_")
    assert made.headers["Location"] == endpoint["links"]["self"] == f"{ENDPOINTS}/{endpoint['id']}"
    shown = {name: value for name, value in endpoint.items() if name != "secret"}
    assert (shown["events"], shown["enabled"], shown["description"]) == (["job.failed"], True, "the shop")
    assert client.get(made.headers["Location"]).get_json() == shown
    assert client.get(ENDPOINTS).get_json() == {"endpoints": [shown]}
    for body, expected in (
        ({"url": HOOK + "/2", "include_result": True}, {"url": HOOK + "/2", "include_result": True}),
        ({"enabled": False}, {"enabled": False, "disabled_reason": "by its owner"}),
        ({"enabled": True, "events": list(EVENTS)}, {"enabled": True, "disabled_reason": None, "events": list(EVENTS)}),
        ({}, {"url": HOOK + "/2"}),
    ):
        changed = client.patch(shown["links"]["self"], json=body)
        assert changed.status_code == 200, changed.data
        assert expected.items() <= changed.get_json().items()
        assert "secret" not in changed.get_json()
    deleted = client.delete(shown["links"]["self"])
    assert (deleted.status_code, deleted.data) == (204, b"")
    problem(client.delete(shown["links"]["self"]), 404, "not-found")
    assert client.get(ENDPOINTS).get_json() == {"endpoints": []}


def test_what_is_wrong_with_an_endpoint_is_422(client: FlaskClient, strict: FlaskClient) -> None:
    endpoint = register(client)
    own = endpoint["links"]["self"]
    for ask, path, body, pointer in (
        (client.post, ENDPOINTS, {}, "/url"),
        (client.post, ENDPOINTS, {"url": HOOK, "events": ["x"]}, "/events/0"),
        (client.post, ENDPOINTS, {"url": HOOK, "secret": "mine"}, "/secret"),
        (client.post, ENDPOINTS, {"url": HOOK, "description": "x" * 201}, "/description"),
        (client.patch, own, {"enabled": "yes"}, "/enabled"),
        (client.patch, own, {"id": "x"}, "/id"),
        (client.post, endpoint["links"]["rotate_secret"], {"overlap_s": -1}, "/overlap_s"),
        (client.post, endpoint["links"]["replay"], {}, "/since"),
        (client.post, endpoint["links"]["replay"], {"since": "yesterday"}, "/since"),
        (client.post, endpoint["links"]["replay"], {"since": "2026-02-30T00:00:00Z"}, "/since"),
        (client.post, endpoint["links"]["replay"], {"since": "2026-11-21T00:00:00"}, "/since"),
        (
            client.post,
            endpoint["links"]["replay"],
            {"since": "2026-11-21T00:00:00Z", "status": ["pending"]},
            "/status/0",
        ),
    ):
        found = problem(ask(path, json=body), 422, "invalid-request")
        assert [error["pointer"] for error in found["errors"]] == [pointer], body
    found = problem(strict.patch(own, json={"url": "https://10.0.0.1/"}), 422, "unsafe-url")
    assert found["errors"][0]["pointer"] == "/url"
    problem(client.patch(own, data="{", content_type="application/json"), 400, "malformed-json")
    problem(client.patch(own, data="url=x"), 415, "unsupported-media-type")
    problem(client.get(f"{endpoint['links']['deliveries']}?limit=101"), 422, "invalid-request")
    for _ in range(keys.WEBHOOK_ENDPOINTS_MOST - 1):
        register(client)
    assert "delete one first" in problem(client.post(ENDPOINTS, json={"url": HOOK}), 422, "invalid-request")["detail"]


def test_secrets_are_changed_with_an_overlap(client: FlaskClient) -> None:
    endpoint = register(client)
    changed = client.post(endpoint["links"]["rotate_secret"], json={}).get_json()
    assert changed["secret"] not in (endpoint["secret"], "")
    assert changed["old_secret_until"] > changed["created_at"]
    at_once = client.post(endpoint["links"]["rotate_secret"], json={"overlap_s": 0}).get_json()
    assert at_once["old_secret_until"] is None
    mine = client.get("/v1/webhook-secret").get_json()
    assert client.get("/v1/webhook-secret").get_json() == mine
    rotated = client.post("/v1/webhook-secret/rotate", json={"overlap_s": 60}).get_json()
    assert rotated != mine
    assert client.get("/v1/webhook-secret").get_json() == rotated


def test_a_test_sends_a_ping_whose_delivery_can_be_looked_at(
    client: FlaskClient, redis_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    endpoint = register(client, receiver.url())
    sent = client.post(endpoint["links"]["test"])
    assert (sent.status_code, sent.get_json()["status"]) == (202, "pending")
    with delivering(redis_url, tmp_path / "webhooks.log"):
        wait_for(lambda: client.get(sent.headers["Location"]).get_json()["status"] == "delivered", "the ping")
    (got,) = receiver.got
    assert Judge(endpoint["secret"]).verify(got.body, got.headers)["type"] == "endpoint.ping"
    assert got.id == sent.get_json()["id"]


def test_dead_letters_are_paged_and_replayed(client: FlaskClient, connection: redis.Redis) -> None:
    endpoint = register(client)
    began = time.time() - 1
    ids = gone(connection, 5)
    seen, after = list[dict[str, Any]](), 0
    while after is not None:
        page = client.get(f"{endpoint['links']['deliveries']}?status=dead&limit=2&after={after}").get_json()
        seen, after = seen + page["deliveries"], page["next"]
    assert sorted(one["id"] for one in seen) == sorted(ids)
    assert {one["why"] for one in seen} == {"the last try: 500"}
    assert "tries" not in seen[0]
    assert client.get(f"{endpoint['links']['deliveries']}?status=pending").get_json() == {
        "deliveries": [],
        "next": None,
    }
    replayed = client.post(seen[0]["links"]["replay"])
    assert (replayed.status_code, replayed.get_json()["status"]) == (202, "pending")
    assert client.post(seen[0]["links"]["replay"]).get_json()["status"] == "pending"
    since = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(began))}Z"
    many = client.post(endpoint["links"]["replay"], json={"since": since})
    assert (many.status_code, many.get_json()) == (202, {"replayed": 4})
    nothing = client.post(endpoint["links"]["replay"], json={"since": since, "until": since})
    assert nothing.get_json() == {"replayed": 0}
    assert {one.state for one in webhooks.of(connection, endpoint["id"])} == {"pending"}


def test_a_caller_sees_its_own_alone(client: FlaskClient, connection: redis.Redis) -> None:
    endpoint = register(client)
    (delivery_id,) = gone(connection)
    other = {"REMOTE_ADDR": "192.0.2.1"}
    own = endpoint["links"]["self"]
    assert client.get(ENDPOINTS, environ_overrides=other).get_json() == {"endpoints": []}
    assert client.get(DELIVERIES, environ_overrides=other).get_json()["deliveries"] == []
    for method, path, body in (
        ("GET", own, None),
        ("PATCH", own, {"enabled": False}),
        ("DELETE", own, None),
        ("GET", endpoint["links"]["deliveries"], None),
        ("POST", endpoint["links"]["test"], None),
        ("POST", endpoint["links"]["rotate_secret"], {}),
        ("POST", endpoint["links"]["replay"], {"since": "2026-01-01T00:00:00Z"}),
        ("GET", f"{DELIVERIES}/{delivery_id}", None),
        ("POST", f"{DELIVERIES}/{delivery_id}/replay", None),
    ):
        problem(client.open(path, method=method, json=body, environ_overrides=other), 404, "not-found")
        if method != "DELETE":
            assert client.open(path, method=method, json=body).status_code in (200, 202), path
    assert deliveries.get(connection, CALLER, delivery_id).caller == CALLER


def test_webhooks_have_a_scope_of_their_own(redis_url: str, connection: redis.Redis, tmp_path: Path) -> None:
    client = app_client(redis_url, tmp_path, auth="on", webhook_allow_networks=LOOPBACK)
    submits, manages = (
        {"Authorization": f"Bearer {keys_of_callers.create(connection, scope, [scope])}"}
        for scope in ("submit", "webhooks")
    )
    assert client.post(SUBMIT, json=QUERY | {"webhook": {"url": HOOK}}, headers=submits).status_code == 202
    for path in (ENDPOINTS, DELIVERIES, "/v1/webhook-secret"):
        problem(client.get(path, headers=submits), 403, "forbidden")
        assert client.get(path, headers=manages).status_code == 200
    problem(client.post(ENDPOINTS, json={"url": HOOK}, headers=submits), 403, "forbidden")
    assert client.post(ENDPOINTS, json={"url": HOOK}, headers=manages).status_code == 201
