"""The rules of webhooks: signatures that an independent library accepts, bodies, and when a try is repeated."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook as Judge
from standardwebhooks import WebhookVerificationError

from producer import webhooks
from producer.errors import BadMessage
from producer.webhooks import BadSignature, Webhook

BODY = webhooks.body("job.succeeded", "2026-01-01T00:00:00.000000Z", {"id": "1", "name": "Søster"})


def signed(*secrets: str, body: bytes = BODY, at: float | None = None) -> dict[str, str]:
    return webhooks.headers(secrets, "msg_1", int(time.time() if at is None else at), body)


def test_a_secret_is_as_the_specification_has_it() -> None:
    secret = webhooks.make_secret()
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert webhooks.make_secret() != secret


@given(body=st.binary(max_size=500), webhook_id=st.from_regex(r"\Amsg_[0-9a-f]{32}\Z"))
def test_an_independent_library_signs_alike(body: bytes, webhook_id: str) -> None:
    secret, now = webhooks.make_secret(), datetime.now(UTC)
    text = body.hex()
    ours = webhooks.sign([secret], webhook_id, int(now.timestamp()), text.encode())
    assert ours == Judge(secret).sign(webhook_id, now, text)


def test_an_independent_library_accepts_what_we_sign_and_we_what_it_signs() -> None:
    secret = webhooks.make_secret()
    assert Judge(secret).verify(BODY, signed(secret)) == json.loads(BODY)
    now = datetime.now(UTC)
    theirs = {
        "Webhook-Id": "msg_9",
        "Webhook-Timestamp": str(int(now.timestamp())),
        "Webhook-Signature": Judge(secret).sign("msg_9", now, BODY.decode()),
    }
    assert webhooks.verify([secret], theirs, BODY) == json.loads(BODY)


def test_while_secrets_change_either_one_will_do() -> None:
    old, new = webhooks.make_secret(), webhooks.make_secret()
    both = signed(new, old)
    assert both["webhook-signature"].count("v1,") == 2
    for secret in (old, new):
        assert Judge(secret).verify(BODY, both)
        assert webhooks.verify([secret], both, BODY)
    assert webhooks.verify([webhooks.make_secret(), new], signed(new), BODY)
    with pytest.raises(WebhookVerificationError):
        Judge(webhooks.make_secret()).verify(BODY, both)


SECRET = webhooks.make_secret()
FORGED: dict[str, tuple[dict[str, str], bytes]] = {
    "another body": ({}, BODY + b" "),
    "another id": ({"webhook-id": "msg_2"}, BODY),
    "another time": ({"webhook-timestamp": str(int(time.time()) - 1)}, BODY),
    "no time": ({"webhook-timestamp": ""}, BODY),
    "no number for a time": ({"webhook-timestamp": "-5"}, BODY),
    "no id": ({"webhook-id": ""}, BODY),
    "no signature": ({"webhook-signature": ""}, BODY),
    "half a signature": ({"webhook-signature": signed(SECRET)["webhook-signature"][:-2]}, BODY),
    "another version": ({"webhook-signature": signed(SECRET)["webhook-signature"].replace("v1,", "v1a,")}, BODY),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_was_changed_on_the_way_is_refused(what: str) -> None:
    changed, body = FORGED[what]
    headers = signed(SECRET)
    assert webhooks.verify([SECRET], headers, BODY)
    with pytest.raises(BadSignature):
        webhooks.verify([SECRET], headers | changed, body)


@pytest.mark.parametrize(("age_s", "good"), [(0, True), (299, True), (-299, True), (302, False), (-302, False)])
def test_what_is_too_old_or_too_new_is_refused(age_s: int, good: bool) -> None:
    headers = signed(SECRET, at=1_000_000 - age_s)
    if good:
        assert webhooks.verify([SECRET], headers, BODY, now=lambda: 1_000_000)
    else:
        with pytest.raises(BadSignature):
            webhooks.verify([SECRET], headers, BODY, now=lambda: 1_000_000)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(ValueError, match="whsec_ and base64") as caught:
        webhooks.sign(["whsec_§geheim"], "msg_1", 1, BODY)
    assert "geheim" not in str(caught.value)


def told(**options: Any) -> dict[str, Any]:
    return webhooks.job_data(
        "01a",
        options.pop("event", "job.succeeded"),
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:01Z",
        {"a": "b"},
        **options,
    )


def test_a_body_is_thin_unless_asked() -> None:
    data = told(answer={"ok": {"tracks": []}})
    assert set(data) == {"id", "type", "status", "created_at", "finished_at", "links", "metadata"}
    assert (data["status"], data["links"]["result"]) == ("succeeded", "/v1/jobs/01a/result")
    body = json.loads(webhooks.body("job.succeeded", "2026-01-01T00:00:01Z", data))
    assert body == {"type": "job.succeeded", "timestamp": "2026-01-01T00:00:01Z", "data": data}


def test_a_result_goes_along_if_asked_and_short() -> None:
    result = {"tracks": [{"name": "Søster"}]}
    assert told(include_result=True, answer={"ok": result})["result"] == result
    error = {"code": "job-failed", "detail": "", "pointer": ""}
    failed = told(include_result=True, answer={"error": error}, event="job.failed")
    assert (failed["status"], failed["error"]) == ("failed", error)
    assert "result" not in told(include_result=True, event="job.canceled")


@pytest.mark.parametrize("answer", [None, {"ok": {"tracks": ["x" * webhooks.MOST_BYTES]}}])
def test_a_result_that_is_too_long_is_left_out_and_that_is_said(answer: dict[str, Any] | None) -> None:
    data = told(include_result=True, answer=answer)
    assert data["result"] is None
    assert "links.result" in data["result_omitted"]
    assert len(webhooks.body("job.succeeded", "", data)) < webhooks.MOST_BYTES


def test_an_id_is_the_same_whenever_it_is_worked_out() -> None:
    first = webhooks.webhook_id("job", "job.failed", "we_1")
    assert first == webhooks.webhook_id("job", "job.failed", "we_1")
    others = {webhooks.webhook_id(*parts) for parts in (("job", "job.failed", "we_2"), ("job2", "job.failed", "we_1"))}
    assert first not in others
    assert len(others) == 2


@pytest.mark.parametrize("schedule", [webhooks.SINGLE_S, webhooks.REGISTERED_S])
def test_pauses_follow_the_schedule_give_or_take_a_fifth(schedule: tuple[float, ...]) -> None:
    for tries in range(1, len(schedule)):
        assert webhooks.pause_s(schedule, tries, roll=lambda: 0.5) == pytest.approx(schedule[tries])
        assert webhooks.pause_s(schedule, tries, roll=lambda: 0) == pytest.approx(0.8 * schedule[tries])
        assert webhooks.pause_s(schedule, tries, roll=lambda: 1) == pytest.approx(1.2 * schedule[tries])
    assert webhooks.pause_s(schedule, len(schedule)) is None
    assert schedule[0] == 0


def test_a_receiver_may_ask_for_a_longer_pause_within_reason() -> None:
    assert webhooks.pause_s(webhooks.SINGLE_S, 1, 60) == 60
    assert webhooks.pause_s(webhooks.SINGLE_S, 1, 10**9) == 7200
    assert webhooks.pause_s(webhooks.REGISTERED_S, 1, 10**9) == 86_400
    assert webhooks.pause_s(webhooks.SINGLE_S, 4, 1, roll=lambda: 0.5) == 1800
    assert webhooks.pause_s(webhooks.SINGLE_S, 6, 60) is None


def test_retry_after_is_read_in_both_forms() -> None:
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert webhooks.retry_after_s(in_a_minute) == pytest.approx(60, abs=2)
    assert webhooks.retry_after_s(" 17 ") == 17
    assert webhooks.retry_after_s("Thu, 01 Jan 1970 00:00:00 GMT") == 0
    for odd in (None, "", "soon", "-5", "1e9", "٣", "9" * 30, "Thu, 99 Foo 1970"):
        assert webhooks.retry_after_s(odd) is None


def test_what_a_request_asks_for_is_packed_and_read_again() -> None:
    for webhook in (
        Webhook("https://example.com/"),
        Webhook("https://example.com/ü", ("job.failed",), include_result=True),
    ):
        assert Webhook.unpacked(webhook.packed()) == webhook
    for odd in (b"", b"F", b"Fnonsense", Webhook("https://example.com/").packed()[:-3]):
        with pytest.raises(BadMessage):
            Webhook.unpacked(odd)
