"""One try at a webhook, against receivers of all kinds: never more than its time, never past its walls."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from producer.addresses import Address, LookUp, Policy
from tests.fakes.receiver import Receiver, Reply, dead, receiving
from worker import posting
from worker.posting import Outcome, Poster, is_healthy

POLICY = Policy.of("127.0.0.0/8", "443", "off")
HEADERS = {"webhook-id": "msg_1"}
LOOPBACK = ipaddress.ip_address("127.0.0.1")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("TRY_S", 1.5), ("CONNECT_S", 0.5), ("_BODY_S", 0.3)):
        monkeypatch.setattr(posting, name, seconds)


def post(*urls: str, poster: Poster | None = None, policy: Policy = POLICY, **options: Any) -> list[Outcome]:
    async def go() -> list[Outcome]:
        chosen = poster or Poster(policy, **options)
        try:
            return [await chosen.post(url, HEADERS, b"{}") for url in urls]
        finally:
            chosen.close()

    return asyncio.run(go())


def replied(receiver: Receiver, reply: Reply) -> Outcome:
    receiver.replies["/hook"] = [reply]
    return post(receiver.url())[0]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success(receiver: Receiver, status: int) -> None:
    outcome = replied(receiver, Reply(status, b"" if status == 204 else b"thanks"))
    assert (outcome.status, outcome.error) == (status, "")
    (got,) = receiver.got
    assert (got.body, got.id) == (b"{}", "msg_1")
    assert got.headers["host"] == receiver.address.removeprefix("http://")


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 304])
def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver, status: int) -> None:
    outcome = replied(receiver, Reply(status, b"", {"Location": receiver.url("/elsewhere")}))
    assert (outcome.status, outcome.error) == (status, f"status {status}")
    assert [got.path for got in receiver.got] == ["/hook"]


@pytest.mark.parametrize(("status", "healthy"), [(400, True), (404, True), (410, True), (429, False), (500, False)])
def test_what_else_is_answered_is_a_failure(receiver: Receiver, status: int, healthy: bool) -> None:
    outcome = replied(receiver, Reply(status, b"no", {"Retry-After": "17"}))
    assert (outcome.status, outcome.error, outcome.answer) == (status, f"status {status}", b"no")
    assert outcome.retry_after_s == 17
    assert is_healthy(outcome) == healthy


NEVER = {
    "hangs": (Reply(hang=True), "timeout"),
    "drips its head": (Reply(drip_s=0.1, head=True), "timeout"),
    "resets": (Reply(reset=True), "reset"),
    "speaks no HTTP": (Reply(raw=b"220 smtp.example ESMTP\r\n\r\n"), "bad-answer"),
    "says nothing and closes": (Reply(raw=b""), "reset"),
    "closes within its head": (Reply(raw=b"HTTP/1.1 200 OK\r\nContent-"), "reset"),
    "sends a head without end": (Reply(raw=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000), "bad-answer"),
    "sends interim answers without end": (Reply(raw=b"HTTP/1.1 102 Processing\r\n\r\n" * 50), "bad-answer"),
}


@pytest.mark.parametrize("what", NEVER)
def test_a_receiver_that_does_not_answer_costs_no_more_than_its_time(receiver: Receiver, what: str) -> None:
    reply, error = NEVER[what]
    outcome = replied(receiver, reply)
    assert (outcome.status, outcome.error) == (None, error)
    assert outcome.ms < 2500
    assert not is_healthy(outcome)


LONG = {
    "drips its body": Reply(drip_s=0.1, body=b"0123456789" * 10),
    "sends a huge body": Reply(endless=True, body=b"x" * 65_536),
    "sends a body without a length": Reply(raw=b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100_000),
    "sends less than it says": Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
    "answers 100 first": Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "sends chunks": Reply(
        raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("what", LONG)
def test_its_head_is_what_counts_and_little_more_is_read(receiver: Receiver, what: str) -> None:
    outcome = replied(receiver, LONG[what])
    assert (outcome.status, outcome.error) == (200, "")
    assert len(outcome.answer) <= posting.KEPT_BYTES
    assert outcome.ms < 1000
    if what == "sends chunks":
        assert outcome.answer == b"abcde"


def test_who_does_not_accept_or_is_not_there_is_given_up_soon() -> None:
    with dead() as address, receiving() as gone:
        pass
    with dead() as address:
        late, absent = post(address + "/", gone.url())
    assert late.error == "connect-timeout"
    assert late.ms < 1000
    assert absent.error == "connect"


def test_a_connection_is_used_again_and_opened_again_if_it_was_closed(receiver: Receiver) -> None:
    closing = Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")  # and closes, without having said so
    receiver.replies["/closing"] = [closing]
    outcomes = post(*[receiver.url()] * 5)
    assert {outcome.status for outcome in outcomes} == {200}
    assert receiver.connections == 1
    outcomes = post(*[receiver.url("/closing")] * 3, receiver.url())
    assert {outcome.status for outcome in outcomes} == {200}
    assert len(receiver.at("/closing")) == 3


def test_nothing_is_sent_to_an_address_that_may_not_be_posted_to(receiver: Receiver) -> None:
    named = receiver.address.replace("127.0.0.1", "rebinding.example") + "/hook"
    nobody = Policy.of("", receiver.address.rpartition(":")[2], "on")
    answers: list[list[Address]] = [[LOOPBACK], [ipaddress.ip_address("93.184.215.14"), LOOPBACK], []]

    def rebinding(_host: str, _port: int) -> list[Address]:
        return answers.pop(0)

    outcomes = post(receiver.url(), named, named, named, policy=nobody, find=rebinding)
    assert [outcome.error for outcome in outcomes] == ["unsafe-url"] * 3 + ["dns"]
    assert receiver.connections == 0


def test_a_name_is_looked_up_once_and_the_connection_is_to_what_was_checked(receiver: Receiver) -> None:
    asked = []

    def find(host: str, _port: int) -> list[Address]:
        asked.append(host)
        return [LOOPBACK] if len(asked) == 1 else [ipaddress.ip_address("169.254.169.254")]

    named = receiver.address.replace("127.0.0.1", "hooks.internal") + "/hook"
    first, second = post(named, named, find=find)
    assert (first.status, second.error) == (200, "unsafe-url")
    assert asked == ["hooks.internal"] * 2
    assert receiver.got[0].headers["host"].startswith("hooks.internal:")


def test_a_look_up_that_hangs_is_given_up() -> None:
    def hang(_host: str, _port: int) -> list[Address]:
        time.sleep(3)
        return [LOOPBACK]

    (outcome,) = post("https://hooks.internal/", find=hang)
    assert outcome.error == "dns"
    assert outcome.ms < 1500


def test_if_one_address_refuses_the_next_is_tried(receiver: Receiver) -> None:
    found = [ipaddress.ip_address("127.0.0.2"), LOOPBACK]
    named = receiver.address.replace("127.0.0.1", "hooks.internal") + "/hook"
    assert post(named, find=lambda _h, _p: found)[0].status == 200


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA, find: LookUp, proxy_url: str = "") -> Poster:
    poster = Poster(POLICY, proxy_url, find)
    authority.configure_trust(poster._tls)
    return poster


def serving(authority: trustme.CA, *names: str, names_seen: list[str | None] | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    if names_seen is not None:
        context.sni_callback = lambda _socket, name, _context: names_seen.append(name)
    return context


def test_tls_is_for_the_name_though_the_connection_is_to_an_address(authority: trustme.CA) -> None:
    seen: list[str | None] = []
    with receiving(context=serving(authority, "hooks.example", names_seen=seen)) as secure:
        named = secure.address.replace("127.0.0.1", "hooks.example") + "/hook"
        (good,) = post(named, poster=trusting(authority, lambda _h, _p: [LOOPBACK]))
        assert (good.status, good.error) == (200, "")
        assert seen == ["hooks.example"]
        other = named.replace("hooks.example", "other.example")
        (wrong,) = post(other, poster=trusting(authority, lambda _h, _p: [LOOPBACK]))
        assert wrong.error == "tls"
        assert b"other.example" in wrong.answer
        (unknown,) = post(named, find=lambda _h, _p: [LOOPBACK])
        assert unknown.error == "tls"
        assert b"self" in unknown.answer.lower() or b"issuer" in unknown.answer.lower()
        assert len(secure.got) == 1


def test_without_tls_at_the_other_end_nothing_is_sent(receiver: Receiver, authority: trustme.CA) -> None:
    (outcome,) = post(receiver.url().replace("http:", "https:"), poster=trusting(authority, lambda _h, _p: [LOOPBACK]))
    assert outcome.status is None
    assert receiver.got == []


def test_a_proxy_is_told_the_checked_address_and_tls_is_still_for_the_name(authority: trustme.CA) -> None:
    with receiving() as proxy, receiving(context=serving(authority, "hooks.example")) as secure:
        named = secure.address.replace("127.0.0.1", "hooks.example") + "/hook"
        through = proxy.address.replace("http://", "http://me:s%40crt@")
        (good,) = post(named, poster=trusting(authority, lambda _h, _p: [LOOPBACK], through))
        assert (good.status, good.error) == (200, "")
        (connected,) = proxy.got
        assert connected.path == secure.address.removeprefix("https://")
        assert connected.headers["proxy-authorization"] == "Basic bWU6c0BjcnQ="
        (bad,) = post("https://bad.example/", poster=trusting(authority, lambda _h, _p: [ipaddress.ip_address("::1")]))
        assert bad.error == "unsafe-url"
        assert len(proxy.got) == 1
    (absent,) = post(named, poster=trusting(authority, lambda _h, _p: [LOOPBACK], through))
    assert absent.error == "proxy"
