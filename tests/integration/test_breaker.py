"""The breaker and the bucket before a service outside: what all workers learn from what one of them met."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import redis

from producer import connections
from tests.fakes import spotify_server
from tests.fakes.callers import ONCE, Maker, at_once, breaker_opens_for, once_asked
from tests.fakes.spotify_server import Asked, FakeSpotify, Reply, error, results, track
from tests.services import wait_for
from worker.breaker import Closed, Gate, Limits
from worker.spotify import Found


@pytest.fixture
def fake() -> Iterator[FakeSpotify]:
    with spotify_server.serving() as server:
        server.songs = [track(1, "Song", "Somebody")]
        yield server


def test_the_breaker_lets_one_try_and_closes_when_it_succeeds(make: Maker, fake: FakeSpotify) -> None:
    trying, go_on = threading.Event(), threading.Event()

    def slowly(asked: Asked) -> Reply:
        trying.set()
        go_on.wait(10)
        return results(track(1, "Song"))

    fake.search_script = [Reply(500), slowly]
    one, other = make(limits=ONCE), make(limits=ONCE)
    assert one.find("Song").outcome == "failed"
    assert other.find("Song").reason.endswith("500: the service is unwell")
    probed: list[Found] = []
    thread = threading.Thread(target=lambda: probed.append(once_asked(one)))
    thread.start()
    assert trying.wait(10)
    fake.search_script = [fake._search]
    assert other.find("Other").reason.startswith("breaker half-open, another caller is trying")
    go_on.set()
    thread.join(10)
    assert probed[0].outcome == "found"
    assert other.find("Other").outcome == "no_match"
    assert fake.count("search") == 3


def test_a_probe_that_fails_opens_the_breaker_again(make: Maker, fake: FakeSpotify) -> None:
    few = Limits(burst=1000, failures=3, open_s=0.5)
    fake.search_script = [Reply(500)]
    one, other = make(limits=few), make(limits=few)
    assert [s.find("Song").outcome for s in (one, other, one)] == ["failed"] * 3
    assert other.find("Song").outcome == "skipped"
    wait_for(lambda: one.find("Song").outcome == "failed", "the probe", 5)
    assert other.find("Song").reason.startswith("breaker open until ")
    assert fake.count("search") == 4


def test_an_expired_token_may_be_replaced_within_a_probe(make: Maker, fake: FakeSpotify) -> None:
    fake.search_script = [Reply(500), error(401, "The access token expired"), fake._search]
    spotify = make(limits=ONCE)
    assert spotify.find("Song").outcome == "failed"
    assert once_asked(spotify).outcome == "found"
    assert fake.count("token") == 2


def test_failures_long_apart_do_not_add_up(make: Maker, fake: FakeSpotify) -> None:
    fake.search_script = [Reply(500)]
    spotify = make(limits=Limits(burst=1000, failures=3, window_s=0.15, open_s=60))
    for _ in range(6):
        assert spotify.find("Song").outcome == "failed"
        time.sleep(0.1)


def test_the_bucket_bounds_the_calls_of_all_workers(make: Maker, fake: FakeSpotify) -> None:
    few = Limits(burst=5, per_s=0.001)
    workers = [make(limits=few), make(limits=few)]
    songs = range(6)
    found = at_once(
        [lambda: [workers[0].find(f"a {i}") for i in songs], lambda: [workers[1].find(f"b {i}") for i in songs]]
    )
    outcomes = [f.outcome for answers in found for f in answers]
    assert (outcomes.count("no_match"), outcomes.count("skipped"), fake.count("search")) == (5, 7, 5)
    refused = next(f for answers in found for f in answers if f.outcome == "skipped")
    assert refused.reason.startswith("rate limited for ")


def test_a_repeated_call_takes_a_token_too(make: Maker, fake: FakeSpotify) -> None:
    fake.search_script = [error(401, "The access token expired"), fake._search]
    found = make(limits=Limits(burst=1, per_s=0.001)).find("Song")
    assert (found.outcome, fake.count("search")) == ("skipped", 1)


def test_the_bucket_fills_again(make: Maker, fake: FakeSpotify, connection: redis.Redis) -> None:
    spotify = make(limits=Limits(burst=1, per_s=10))
    began = time.monotonic()
    assert [spotify.find(name).outcome for name in "ab"] == ["no_match", "skipped"]
    [bucket] = connection.keys("segue:bucket:*")
    connection.persist(bucket)  # it would be full again when it expires
    wait_for(lambda: spotify.find("b").outcome == "no_match", "a token", 5)
    assert time.monotonic() - began >= 0.09


def test_what_one_call_learns_late_does_not_undo_what_another_learnt(redis_url: str, connection: redis.Redis) -> None:
    with connections.quick(redis_url, 0.4) as client:
        gate = Gate(client, "a service", ONCE, probe_s=1)
        gate.open("rate limited", 600)
        gate.open("less", 5)
        gate.failed("timed out")
        gate.succeeded()
        assert 590 < breaker_opens_for(connection) <= 600
        gate.open("quota", 1200)
        assert 1190 < breaker_opens_for(connection) <= 1200
        with pytest.raises(Closed, match=r"^breaker open until ..:..:.. UTC: quota$"):
            gate.enter("somebody")
