"""Webhooks of playlists and diagnoses: told as those of recommendations are, under their own type."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from standardwebhooks import Webhook as Judge

import settings
from api.app import create_app
from producer import queue
from tests.fakes.receiver import Receiver, receiving
from tests.services import wait_for
from tests.webhooks import LOOPBACK, delivering

PLAYLIST = {"seeds": [{"name": "x"}], "metadata": {"for": "me"}}
DOCTOR = {"playlist": [{"name": "x"}, {"name": "y"}]}


@pytest.fixture
def client(redis_url: str, connection: redis.Redis, tmp_path: Path) -> FlaskClient:
    config = settings.Settings(redis_url=redis_url, artifacts_dir=tmp_path / "none", webhook_allow_networks=LOOPBACK)
    client: FlaskClient = create_app(config).test_client()
    return client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def submitted(client: FlaskClient, path: str, body: dict[str, Any]) -> str:
    taken = client.post(path, json=body)
    assert taken.status_code == 202, taken.data
    return str(taken.get_json()["id"])


def test_the_end_of_a_playlist_and_of_a_diagnosis_is_told(
    client: FlaskClient, connection: redis.Redis, redis_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    endpoint = client.post("/v1/webhook-endpoints", json={"url": receiver.url("/registered")}).get_json()
    secret = client.get("/v1/webhook-secret").get_json()["secret"]
    hook = {"webhook": {"url": receiver.url("/single"), "include_result": True}}
    with delivering(redis_url, tmp_path / "webhooks.log"):
        made = submitted(client, "/v1/playlists", PLAYLIST | hook)
        looked_at = submitted(client, "/v1/playlists/doctor", DOCTOR | hook)
        dropped = submitted(client, "/v1/playlists", PLAYLIST | hook)
        data = connection.hget(f"rq:job:{made}", "data")
        assert isinstance(data, bytes)
        assert b"hook" not in data  # which is what the worker is given
        assert queue.finish(connection, made, "finished", {"ok": {"tracks": [], "flow": 0.5}})
        assert queue.finish(connection, looked_at, "finished", {"error": {"code": "deadline-exceeded"}})
        assert queue.cancel(connection, dropped)
        wait_for(lambda: len(receiver.got) == 6, "six webhooks")
    for path, its_secret in (("/single", secret), ("/registered", endpoint["secret"])):
        said = [Judge(its_secret).verify(got.body, got.headers) for got in receiver.at(path)]
        told = {one["data"]["id"]: (one["type"], one["data"]["type"], one["data"]["status"]) for one in said}
        assert told == {
            made: ("job.succeeded", "playlist", "succeeded"),
            looked_at: ("job.failed", "diagnosis", "failed"),
            dropped: ("job.canceled", "playlist", "canceled"),
        }
        data = next(one["data"] for one in said if one["data"]["id"] == made)
        assert data["metadata"] == {"for": "me"}
        assert data["links"]["events"] == f"/v1/jobs/{made}/events"
        assert data.get("result") == ({"tracks": [], "flow": 0.5} if path == "/single" else None)


def test_a_webhook_that_no_playlist_could_send_is_refused(client: FlaskClient) -> None:
    for path, body in (("/v1/playlists", PLAYLIST), ("/v1/playlists/doctor", DOCTOR)):
        for url, events in (("https://8.8.8.8:22/", None), ("http://127.0.0.1:9/", ["batch.completed"])):
            webhook = {"url": url} | ({"events": events} if events else {})
            answer = client.post(path, json=body | {"webhook": webhook})
            assert answer.status_code == 422, answer.data
            code, pointer = ("invalid-request", "/webhook/events") if events else ("unsafe-url", "/webhook/url")
            problem = answer.get_json()
            assert (problem["code"], problem["errors"][0]["pointer"]) == (code, pointer)
