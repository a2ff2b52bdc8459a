"""What the world outside may do to a look-up: refuse, fail, hang, drip, flood. The breaker itself: test_breaker.py."""

from __future__ import annotations

import gzip
import signal
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import redis

import redis_server
from producer import keys
from tests.fakes import spotify_server
from tests.fakes.callers import ONCE, Maker, breaker_opens_for, hanging, once_asked
from tests.fakes.spotify_server import Asked, FakeSpotify, Reply, error, results, says, track
from tests.services import wait_for

HASTY = 0.3
"""A budget for tests that use it up, in seconds."""


@pytest.fixture
def fake() -> Iterator[FakeSpotify]:
    with spotify_server.serving() as server:
        server.songs = [track(1, "Song", "Somebody")]
        yield server


# Refusals


def test_credentials_refused_for_good_are_not_tried_again(
    make: Maker, fake: FakeSpotify, connection: redis.Redis
) -> None:
    bad = {"client_secret": "wrong"}
    assert (make(**bad).find("Song").outcome, make(**bad).find("Song").outcome) == ("failed", "skipped")
    found = make(**bad).find("Song")
    assert found.reason.startswith("breaker open until ")
    assert found.reason.endswith("401: credentials refused")
    assert [asked.kind for asked in fake.asked] == ["token"]
    assert keys.REFUSED_OPEN_S - 5 < breaker_opens_for(connection) <= keys.REFUSED_OPEN_S
    assert make().find("Song").outcome == "found"  # the right ones need not wait for that


def test_a_token_refused_twice_is_refused_for_good(make: Maker, fake: FakeSpotify) -> None:
    fake.search_script = [error(401, "Invalid access token")]
    found = make().find("Song")
    assert (found.outcome, found.reason) == ("failed", "401: credentials refused")
    assert [asked.kind for asked in fake.asked] == ["token", "search", "token", "search"]
    assert make().find("Song").outcome == "skipped"


@pytest.mark.parametrize(
    ("reply", "reason", "open_s"),
    [
        (
            error(403, "Active premium subscription required for the owner of the app"),
            "403: the app's owner needs Premium",
            keys.PREMIUM_OPEN_S,
        ),
        (error(403, "Forbidden"), "403: refused", keys.REFUSED_OPEN_S),
        (error(429, "API rate limit exceeded", Retry_After="12"), "rate limited for 12 s", 12),
        (
            error(429, "Quota", "QUOTA_EXCEEDED", Retry_After="2"),
            "QUOTA_EXCEEDED: the account's quota is used up, not asked for 3600 s",
            keys.QUOTA_OPEN_S,
        ),
        (
            error(429, "Quota", "QUOTA_EXCEEDED", Retry_After="7200"),
            "QUOTA_EXCEEDED: the account's quota is used up, not asked for 7200 s",
            7200,
        ),
    ],
    ids=["premium", "forbidden", "rate", "quota", "long quota"],
)
def test_a_refusal_stops_everybody(
    make: Maker, fake: FakeSpotify, connection: redis.Redis, reply: Reply, reason: str, open_s: int
) -> None:
    fake.search_script = [reply]
    one, other = make(), make()
    found = one.find("Song")
    assert (found.outcome, found.reason) == ("failed", reason)
    for spotify in (one, other):
        found = spotify.find("Other song")
        assert found.outcome == "skipped"
        assert found.reason.endswith(reason)
    assert fake.count("search") == 1
    assert open_s - 5 < breaker_opens_for(connection) <= open_s


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("0", 1),
        ("86400", 86_400),
        ("999999999", 86_400),
        ("9" * 5000, 30),
        ("in ten minutes", 600),
        ("Mon, 01 Jan 2001 00:00:00 -0000", 1),
        ("soon", 30),
        ("-5", 30),
        ("", 30),
    ],
)
def test_retry_after_is_believed_within_reason(
    make: Maker, fake: FakeSpotify, connection: redis.Redis, retry_after: str, seconds: int
) -> None:
    if retry_after == "in ten minutes":
        retry_after = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    fake.search_script = [error(429, "slow down", Retry_After=retry_after)]
    assert make().find("Song").reason.startswith("rate limited")
    assert seconds - 10 < breaker_opens_for(connection) <= seconds


def test_after_retry_after_it_goes_on(make: Maker, fake: FakeSpotify) -> None:
    fake.search_script = [error(429, "slow down", Retry_After="1"), fake._search]
    one, other = make(), make()
    began = time.monotonic()
    assert one.find("Song").outcome == "failed"
    found = once_asked(other)
    assert (found.outcome, fake.count("search")) == ("found", 2)
    assert time.monotonic() - began >= 1


def test_a_rate_limit_on_tokens_counts_as_well(make: Maker, fake: FakeSpotify, connection: redis.Redis) -> None:
    fake.token_script = [says({"error": "too_many"}, 429, Retry_After="40")]
    assert make().find("Song").reason == "rate limited for 40 s"
    assert 30 < breaker_opens_for(connection) <= 40


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (error(500, "Server error"), "500: the service is unwell"),
        (Reply(502, b"<html>Bad gateway"), "502: the service is unwell"),
        (error(404, "Service not found"), "404: no such address"),
        (Reply(302, headers={"Location": "/v1/search"}), "302: the service is unwell"),
    ],
)
def test_a_failure_is_said_and_counted(
    make: Maker, fake: FakeSpotify, connection: redis.Redis, reply: Reply, reason: str
) -> None:
    fake.search_script = [reply]
    spotify = make()
    assert [spotify.find("Song").reason for _ in range(4)] == [reason] * 4
    assert (fake.count("search"), breaker_opens_for(connection)) == (4, 0)
    assert [spotify.find("Song").outcome for _ in range(2)] == ["failed", "skipped"]
    assert 50 < breaker_opens_for(connection) <= keys.BREAKER_OPEN_S


def test_a_request_at_fault_does_not_count(make: Maker, fake: FakeSpotify) -> None:
    fake.search_script = [error(400, "Query exceeds maximum length of 250 characters")]
    spotify = make(limits=ONCE)
    assert [spotify.find("Song").reason for _ in range(3)] == ["400: request refused"] * 3


# Answers of no use


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"<html>", b"\xff\xfe{", b"null", b"[]", b'"x"', b"12", b"{}", b'{"tracks": null}', b'{"tracks": []}'),
        *(b'{"tracks": {"items": {}}}', b'{"tracks": {"items": [{}]}}', b'{"tracks": {"items": [7]}}'),
        *(b'{"tracks": {"items": ', b"[" * 100_000, b"9" * 5000),
    ],
)
def test_rubbish_is_a_failure(make: Maker, fake: FakeSpotify, connection: redis.Redis, body: bytes) -> None:
    fake.search_script = [Reply(body=body)]
    found = make(limits=ONCE).find("Song")
    assert found.outcome == "failed"
    assert found.reason.startswith("rubbish answer")
    assert breaker_opens_for(connection) > 0


@pytest.mark.parametrize("body", [b"", b"<html>", b'"invalid_client"', b'{"error": 5}', b"[" * 100_000])
@pytest.mark.parametrize("status", [400, 500])
def test_errors_of_any_shape_are_understood(make: Maker, fake: FakeSpotify, status: int, body: bytes) -> None:
    fake.search_script = [Reply(status, body)]
    assert make().find("Song").reason.startswith(str(status))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b" " * 1_100_000),
        Reply(body=b" " * 70_000, endless=True, length=10**12),
        Reply(body=b"10000\r\n" + b" " * 0x10000 + b"\r\n", endless=True, headers={"Transfer-Encoding": "chunked"}),
        Reply(headers={f"X-{n}": "x" * 60_000 for n in range(40)}),
        Reply(500, b" " * 1_100_000),
    ],
    ids=["large", "endless", "endless chunks", "headers", "error"],
)
def test_no_answer_is_read_beyond_its_bound(make: Maker, fake: FakeSpotify, reply: Reply) -> None:
    fake.search_script = [reply]
    found = make().find("Song")
    assert (found.outcome, found.reason) == ("failed", "rubbish answer: over 1000000 bytes")
    assert found.ms < 2000


def test_a_bomb_is_not_unpacked(make: Maker, fake: FakeSpotify) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < 100_000
    fake.search_script = [Reply(body=bomb, headers={"Content-Encoding": "gzip"})]
    assert make().find("Song").reason == "rubbish answer: compressed, unasked"


# Connections


DRIPS = {
    "hang": Reply(hang=True),
    "body": Reply(body=results(track(1, "Song")).body, drip_s=0.02),
    "headers": Reply(headers={f"X-{n}": "x" for n in range(50)}, drip_s=0.02, head=True),
    "cut short": Reply(body=b"{}", length=100, endless=False, drip_s=0.5),
}


@pytest.mark.parametrize("kind", ["token", "search"])
@pytest.mark.parametrize("how", DRIPS)
def test_a_look_up_ends_in_time_however_the_server_drips(
    make: Maker, fake: FakeSpotify, connection: redis.Redis, kind: str, how: str
) -> None:
    setattr(fake, f"{kind}_script", [DRIPS[how]])
    spotify = make(budget_s=HASTY, limits=ONCE)
    began = time.monotonic()
    found = spotify.find("Song")
    assert time.monotonic() - began < HASTY + 0.5
    assert (found.outcome, found.reason) == ("failed", "timed out after 0.3 s")
    wait_for(lambda: connection.keys("segue:breaker:*"), "the breaker", 5)
    wait_for(lambda: not hanging(), "the thread that asked", 5)


def test_nobody_there_is_a_failure_at_once(make: Maker) -> None:
    found = make(accounts_url=f"http://127.0.0.1:{redis_server.free_port()}").find("Song")
    assert (found.outcome, found.reason) == ("failed", "no connection to 127.0.0.1 (ConnectionError)")
    assert found.ms < 1000


def test_a_connection_that_breaks_is_a_failure(make: Maker, fake: FakeSpotify) -> None:
    fake.search_script = [Reply(body=b'{"tracks": ', length=500), Reply(body=b"", length=-1)]
    spotify = make()
    assert "no connection to 127.0.0.1" in spotify.find("Song").reason
    assert spotify.find("Song").outcome == "failed"


def test_names_that_take_for_ever_to_look_up_hang_few_threads(
    make: Maker, fake: FakeSpotify, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    resolve = socket.getaddrinfo

    def getaddrinfo(host: str, *args: object, **options: object) -> object:
        if host == "accounts.example":
            released.wait(20)
            raise socket.gaierror("gave up")
        return resolve(host, *args, **options)  # type: ignore[arg-type]

    spotify = make(accounts_url="http://accounts.example", budget_s=HASTY)
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    try:
        found = [spotify.find("Song") for _ in range(5)]
        assert [f.reason for f in found] == ["timed out after 0.3 s"] * 4 + ["4 look-ups hang already"]
        assert max(f.ms for f in found) < 1000
        assert found[4].ms < 200
    finally:
        released.set()
    wait_for(lambda: not hanging(), "the threads to end", 5)


def test_who_has_less_time_gets_less_and_blames_nobody(make: Maker, fake: FakeSpotify, connection: redis.Redis) -> None:
    fake.search_script = [Reply(hang=True)]
    spotify = make(limits=ONCE)
    found = spotify.find("Song", budget_s=0.2)
    assert (found.outcome, found.reason) == ("failed", "timed out after 0.2 s")
    assert found.ms < 800
    assert spotify.find("Song", budget_s=0).reason == "no time left"
    wait_for(lambda: not hanging(), "the thread that asked", 5)
    assert breaker_opens_for(connection) == 0


# Redis


def test_without_redis_a_look_up_fails_and_nobody_is_asked(make: Maker, fake: FakeSpotify) -> None:
    found = make(redis_url=f"redis://127.0.0.1:{redis_server.free_port()}/0").find("Song")
    assert (found.outcome, found.reason) == ("failed", "Redis failed (ConnectionError)")
    assert not fake.asked


def test_redis_may_die_or_hang_in_the_middle(make: Maker, fake: FakeSpotify, tmp_path: Path) -> None:
    server = redis_server.start(tmp_path / "redis")
    spotify = make(redis_url=server.url, budget_s=1.0)

    def hang(asked: Asked) -> Reply:
        server.process.send_signal(signal.SIGSTOP)
        return fake._token(asked)

    def die(asked: Asked) -> Reply:
        server.process.kill()
        server.process.wait()
        return fake._search(asked)

    try:
        fake.token_script = [hang]
        began = time.monotonic()
        assert spotify.find("Song").reason.startswith("Redis failed (")  # a time-out, or the fuse that it blew
        assert time.monotonic() - began < 2
        server.process.send_signal(signal.SIGCONT)
        wait_for(lambda: not hanging(), "the thread that asked", 5)
        fake.token_script, fake.search_script = [], [die]
        # It was answered, though nothing could be kept; the fuse lets nobody through for a moment first.
        wait_for(lambda: spotify.find("Song").candidates, "an answer", 5)
        assert spotify.find("Song").reason == "Redis failed (ConnectionError)"
    finally:
        server.process.kill()
        server.process.wait()
