"""The Python client and webhooks: what is signed, what is not, and the calls."""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook as Judge

import api.client as segue
import settings
from api.client import BadWebhook, verify_webhook
from producer import webhooks
from tests.fakes.segue_server import FakeSegue, Reply, batch, job, says
from tests.unit.calling import Asker

BODY = webhooks.body("job.succeeded", "2026-11-22T00:00:00Z", {"id": "j", "metadata": {"who": "Søren"}})
SECRET, OTHER = webhooks.make_secret(), webhooks.make_secret()
NOW = int(time.time())


def headers(*secrets: str, at: int = NOW) -> dict[str, str]:
    return webhooks.headers(secrets or (SECRET,), "msg_1", at, BODY)


def test_what_is_signed_is_read() -> None:
    for given, known in (
        (headers(), SECRET),
        (headers(), [OTHER, SECRET]),
        (headers(OTHER, SECRET), SECRET),
        ({name.title(): value for name, value in headers().items()}, SECRET),
        (headers(at=NOW - 290), SECRET),
    ):
        said = verify_webhook(BODY, given, known, now=lambda: NOW)
        assert (said["type"], said["data"]["metadata"]) == ("job.succeeded", {"who": "Søren"})
    judged = Judge(SECRET).sign("msg_2", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    verify_webhook(
        BODY,
        {"webhook-id": "msg_2", "webhook-timestamp": str(NOW), "webhook-signature": judged},
        SECRET,
        now=lambda: NOW,
    )


@pytest.mark.parametrize(
    ("given", "body"),
    [
        (headers(OTHER), BODY),
        (headers(), BODY + b" "),
        (headers(at=NOW - 400), BODY),
        (headers(at=NOW + 400), BODY),
        (headers() | {"webhook-id": "msg_2"}, BODY),
        (headers() | {"webhook-id": ""}, BODY),
        (headers() | {"webhook-timestamp": str(NOW + 1)}, BODY),
        (headers() | {"webhook-timestamp": "٣"}, BODY),
        (headers() | {"webhook-timestamp": "9" * 400}, BODY),
        (headers() | {"webhook-signature": ""}, BODY),
        (headers() | {"webhook-signature": "v1,"}, BODY),
        (headers() | {"webhook-signature": "v1,ÿ\udcff"}, BODY),
        (headers() | {"webhook-signature": headers()["webhook-signature"].replace("v1,", "v2,")}, BODY),
        ({}, BODY),
        (webhooks.headers([SECRET], "msg_1", NOW, b"{"), b"{"),
    ],
)
def test_all_else_is_refused(given: dict[str, str], body: bytes) -> None:
    with pytest.raises(BadWebhook):
        verify_webhook(body, given, SECRET, now=lambda: NOW)


@pytest.mark.parametrize("wrong", ["", "whsec_", "whsec_é", "whsec_%%", [SECRET, ""]])
def test_a_secret_that_is_none_signs_for_nobody(wrong: Any) -> None:
    with pytest.raises(ValueError, match="whsec_") as caught:
        verify_webhook(BODY, headers(), wrong, now=lambda: NOW)
    assert SECRET not in str(caught.value)
    with pytest.raises(BadWebhook):
        verify_webhook(BODY, headers(), [], now=lambda: NOW)


def test_the_verifier_works_alone(tmp_path: Path) -> None:
    shutil.copy(settings.ROOT / "api" / "client" / "receiving.py", tmp_path)
    program = (
        "import sys; from receiving import verify_webhook; import base64\n"
        "said = verify_webhook(base64.b64decode(sys.argv[1]), eval(sys.argv[2]), sys.argv[3])\n"
        "assert not {'httpx2', 'api', 'producer'} & set(sys.modules); print(said['type'])"
    )
    command = [
        sys.executable,
        "-c",
        program,
        base64.b64encode(BODY).decode(),
        repr(headers(at=int(time.time()))),
        SECRET,
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("job.succeeded\n", "")


ENDPOINT = {"id": "we/1", "url": "https://shop.example/hook"}
DELIVERY = {"id": "msg_1", "status": "pending"}
CALLS: list[tuple[str, tuple[Any, ...], Any, str, Any]] = [
    ("endpoint", (ENDPOINT,), ENDPOINT, "GET /v1/webhook-endpoints/we%2F1", None),
    ("ping", ("we",), DELIVERY, "POST /v1/webhook-endpoints/we/test", {}),
    ("delivery", (DELIVERY,), DELIVERY, "GET /v1/webhook-deliveries/msg_1", None),
    ("replay", ("msg_1",), DELIVERY, "POST /v1/webhook-deliveries/msg_1/replay", {}),
]


@pytest.mark.parametrize(("name", "args", "answer", "line", "body"), CALLS, ids=[call[0] for call in CALLS])
def test_what_can_be_done_twice_is_tried_again(
    ask: Asker, fake: FakeSegue, name: str, args: tuple[Any, ...], answer: Any, line: str, body: Any
) -> None:
    fake.will(Reply(lost=True), says(answer))
    assert ask(name, *args) == answer
    assert fake.lines == [line] * 2
    assert body is None or fake.asked[1].json == body


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("add_endpoint", ("https://shop.example/",)),
        ("delete_endpoint", ("we",)),
        ("rotate_endpoint", ("we",)),
        ("rotate_webhook_secret", ()),
    ],
)
def test_what_cannot_is_sent_once(ask: Asker, fake: FakeSegue, name: str, args: tuple[Any, ...]) -> None:
    fake.will(Reply(lost=True))
    with pytest.raises(segue.Unavailable):
        ask(name, *args)
    assert len(fake.asked) == 1


def test_endpoints_are_made_changed_and_deleted(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says(ENDPOINT | {"secret": SECRET}, 201))
    made = ask("add_endpoint", "https://shop.example/hook", events=("job.failed",), description="shop")
    assert made["secret"] == SECRET
    assert fake.asked[0].json == {
        "url": "https://shop.example/hook",
        "events": ["job.failed"],
        "include_result": False,
        "description": "shop",
    }
    fake.will(says(ENDPOINT))
    ask("change_endpoint", "we", enabled=False, description="")
    assert (fake.lines[-1], fake.asked[-1].json) == (
        "PATCH /v1/webhook-endpoints/we",
        {"enabled": False, "description": ""},
    )
    fake.will(says({"endpoints": [ENDPOINT]}))
    assert ask("endpoints") == [ENDPOINT]
    fake.will(Reply(204))
    assert ask("delete_endpoint", "we") is None
    fake.will(says(ENDPOINT | {"secret": OTHER}))
    assert ask("rotate_endpoint", "we", overlap_s=60)["secret"] == OTHER
    assert (fake.lines[-1], fake.asked[-1].json) == (
        "POST /v1/webhook-endpoints/we/rotate-secret",
        {"overlap_s": 60},
    )
    fake.will(says({"secret": SECRET}))
    assert ask("webhook_secret") == ask("rotate_webhook_secret") == SECRET
    assert fake.lines[-2:] == ["GET /v1/webhook-secret", "POST /v1/webhook-secret/rotate"]


def test_deliveries_come_page_by_page(ask: Asker, fake: FakeSegue) -> None:
    fake.will(
        says({"deliveries": [DELIVERY] * 2, "next": 7}),
        Reply(lost=True),
        says({"deliveries": [DELIVERY], "next": None}),
    )
    assert ask("deliveries", "we", status="pending") == [DELIVERY] * 3
    path = "GET /v1/webhook-endpoints/we/deliveries?status=pending&"
    assert fake.lines == [f"{path}after=0&limit=100", *[f"{path}after=7&limit=100"] * 2]
    assert ask("deliveries") == [DELIVERY]
    assert fake.lines[-1] == "GET /v1/webhook-deliveries?after=0&limit=100"


def test_a_time_range_is_replayed(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says({"replayed": 3}, 202))
    since = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
    assert ask("replay_between", "we", since) == 3
    assert fake.asked[-1].json == {"since": "2026-11-21T12:00:00+00:00", "status": ["dead"]}
    ask("replay_between", "we", since, since, status=["delivered"])
    assert fake.asked[-1].json["until"] == "2026-11-21T12:00:00+00:00"
    with pytest.raises(ValueError, match="time zone"):
        ask("replay_between", "we", datetime(2026, 11, 21))


def test_requests_and_batches_say_where_to_tell(ask: Asker, fake: FakeSegue) -> None:
    hook = {"url": "https://shop.example/hook", "include_result": True}
    fake.will(says(job("queued"), 202))
    ask("submit", "A song", webhook=hook)
    fake.will(says(batch("queued"), 202))
    ask("batch", [{"seeds": "A song"}], webhook=hook)
    assert [asked.json["webhook"] for asked in fake.asked] == [hook, hook]
