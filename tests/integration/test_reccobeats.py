"""Audio features from ReccoBeats: only if switched on, each value checked, and the same walls as around Spotify."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

import redis_server
from artifacts import features
from producer import keys
from tests.fakes import spotify_server
from tests.fakes.callers import Maker, hanging
from tests.fakes.spotify_server import FakeSpotify, Reply, error, says
from tests.services import wait_for
from worker.breaker import Limits
from worker.features_provider import RANGES, Features

ID = "0eGsygTp906u18L0Oimnem"
SCALES = ("danceability", "energy", "speechiness", "acousticness", "instrumentalness", "liveness", "valence")
VALUES = {**dict.fromkeys(SCALES, 0.5), "loudness": -5.2, "tempo": 148.1, "key": 1.0, "mode": 1.0}


def features_of(track_id: str = ID, **values: Any) -> dict[str, Any]:
    """Return features as ReccoBeats words them: under an id of its own, with the track's address at Spotify."""
    own = {"id": "de5f8816-bde0-4123-9cdd-b0b13d921386", "href": f"https://open.spotify.com/track/{track_id}"}
    return {**own, **VALUES, **values}


@pytest.fixture
def fake() -> Iterator[FakeSpotify]:
    with spotify_server.serving() as server:
        server.features = {ID: features_of()}
        yield server


def test_features_are_columns_of_the_catalogue(make: Maker, fake: FakeSpotify) -> None:
    found = make.reccobeats().features_of(ID)
    assert (found.outcome, found.values) == ("found", VALUES)
    assert set(found.values) == set(RANGES) <= set(features.RAW)
    assert fake.asked[0].query == {"ids": ID}
    assert not fake.asked[0].authorization


def test_what_it_lacks_or_gets_wrong_is_absent(make: Maker, fake: FakeSpotify) -> None:
    wrong: dict[str, Any] = {"energy": None, "valence": 1.01, "liveness": "0.5", "tempo": 0, "key": 1.5, "mode": True}
    wrong |= {"loudness": float("nan"), "acousticness": float("inf"), "speechiness": -0.1, "popularity": 50}
    fake.features = {ID: features_of(**wrong)}
    assert make.reccobeats().features_of(ID).values == {"danceability": 0.5, "instrumentalness": 0.5}


@pytest.mark.parametrize(
    "reply",
    [
        says({"content": []}),
        says({"content": [features_of("1" * 22), None, "x"]}),
        says({"content": [{"href": f"https://open.spotify.com/track/{ID}", "energy": None}]}),
        error(404, "Track not found"),
    ],
    ids=["none", "another track's", "empty", "404"],
)
def test_a_track_without_features_is_no_match(
    make: Maker, fake: FakeSpotify, connection: redis.Redis, reply: Reply
) -> None:
    fake.features_script = [reply]
    one, other = make.reccobeats(), make.reccobeats()
    assert [one.features_of(ID).outcome, other.features_of(ID).outcome] == ["no_match", "no_match"]
    assert fake.count("features") == 1
    assert 0 < connection.ttl(keys.RECCOBEATS_FEATURES.format(track_id=ID)) <= keys.RECCOBEATS_MISS_TTL_S


def test_features_are_kept_a_week(make: Maker, fake: FakeSpotify, connection: redis.Redis) -> None:
    first, again = make.reccobeats().features_of(ID), make.reccobeats().features_of(ID)
    assert (first.cached, again.cached, again.values) == (False, True, VALUES)
    assert fake.count("features") == 1
    ttl = connection.ttl(keys.RECCOBEATS_FEATURES.format(track_id=ID))
    assert keys.RECCOBEATS_HIT_TTL_S - 5 < ttl <= keys.RECCOBEATS_HIT_TTL_S


def test_switched_off_it_asks_nobody_and_waits_for_nothing(make: Maker, fake: FakeSpotify) -> None:
    off = make.reccobeats(enabled=False, redis_url="redis://127.0.0.1:1/0")
    began = time.perf_counter()
    assert off.features_of(ID) == Features("skipped", "not switched on")
    assert time.perf_counter() - began < 0.05
    assert not fake.asked


@pytest.mark.parametrize("track_id", ["", "short", ID + "x", "../../../etc/passwd/22", f"{ID[:-1]},", f"{ID}\n"])
def test_what_is_no_id_is_not_asked_for(make: Maker, fake: FakeSpotify, track_id: str) -> None:
    assert make.reccobeats().features_of(track_id).outcome == "no_match"
    assert not fake.asked


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b'{"content": {}}', b'{"error": 1}', b"[" * 100_000])
def test_rubbish_is_a_failure(make: Maker, fake: FakeSpotify, body: bytes) -> None:
    fake.features_script = [Reply(body=body)]
    found = make.reccobeats().features_of(ID)
    assert (found.outcome, found.values) == ("failed", {})
    assert found.reason.startswith("rubbish answer")


def test_a_rate_limit_stops_everybody_but_not_spotify(make: Maker, fake: FakeSpotify) -> None:
    fake.features_script = [error(429, "Too many requests", Retry_After="20")]
    assert make.reccobeats().features_of(ID).reason == "rate limited for 20 s"
    found = make.reccobeats().features_of("1" * 22)
    assert found.outcome == "skipped"
    assert found.reason.endswith("rate limited for 20 s")
    assert fake.count("features") == 1
    assert make().find("Song").outcome == "no_match"


@pytest.mark.parametrize("reply", [Reply(hang=True), Reply(body=b" " * 1000, drip_s=0.02)], ids=["hang", "drip"])
def test_it_has_a_budget(make: Maker, fake: FakeSpotify, reply: Reply) -> None:
    fake.features_script = [reply]
    once = Limits(burst=10, failures=1)
    found = make.reccobeats(budget_s=0.3, limits=once).features_of(ID)
    assert (found.outcome, found.reason) == ("failed", "timed out after 0.3 s")
    assert found.ms < 1000
    wait_for(lambda: not hanging(), "the thread that asked", 5)
    assert make.reccobeats(limits=once).features_of(ID).outcome == "skipped"


def test_nobody_there_and_no_redis_are_failures(make: Maker) -> None:
    nowhere = f"127.0.0.1:{redis_server.free_port()}"
    assert make.reccobeats(url=f"http://{nowhere}").features_of(ID).reason.startswith("no connection to 127.0.0.1")
    assert make.reccobeats(redis_url=f"redis://{nowhere}/0").features_of(ID).reason.startswith("Redis failed")
