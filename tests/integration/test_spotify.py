"""Looking up songs at Spotify: what is sent, what is made of the answers, tokens, cache. Failures: test_outside.py."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

import settings
from producer import codec, keys
from tests.fakes import spotify_server
from tests.fakes.callers import Maker, at_once
from tests.fakes.spotify_server import CLIENT_ID, CLIENT_SECRET, FakeSpotify, Reply, results, says, track
from worker.spotify import Candidate, Found, SpotifyConfig


@pytest.fixture
def fake() -> Iterator[FakeSpotify]:
    with spotify_server.serving() as server:
        yield server


def test_a_song_is_found_with_what_development_mode_says_of_it(make: Maker, fake: FakeSpotify) -> None:
    fake.songs = [track(7, "Song 2", "Blur"), track(8, "Song 2", "Somebody", "Else", popularity=61)]
    found = make().find("Song 2", "Blur")
    assert (found.outcome, found.reason, found.cached) == ("found", "", False)
    assert found.candidates == (
        Candidate("0000000000000000000007", "Song 2", ("Blur",), "GBAYE0000007", None, 215_000, 2001),
        Candidate("0000000000000000000008", "Song 2", ("Somebody", "Else"), "GBAYE0000008", 61, 215_000, 2001),
    )
    assert [asked.kind for asked in fake.asked] == ["token", "search"]
    assert fake.asked[1].query == {"q": "track:Song 2 artist:Blur", "type": "track", "limit": "10", "offset": "0"}
    assert 0 < found.ms < 2500


def test_a_song_without_an_artist_is_searched_by_its_title(make: Maker, fake: FakeSpotify) -> None:
    fake.songs = [track(1, "Hey", "Pixies")]
    assert make().find("Hey").outcome == "found"
    assert fake.asked[-1].fields == {"": "", "track": "Hey"}


def test_a_song_that_spotify_does_not_have_is_no_match(make: Maker) -> None:
    found = make().find("No such song", "Nobody")
    assert (found.outcome, found.candidates) == ("no_match", ())


@pytest.mark.parametrize("name", ["Déjà vu", "残酷な天使のテーゼ", "Ъ & Ы = 50%+1 #1?", "🎵 emoji", "naïve\u0301"])
def test_names_arrive_as_they_are(make: Maker, fake: FakeSpotify, name: str) -> None:
    fake.songs = [track(1, name, "Ÿ/Å")]
    found = make().find(name, "Ÿ/Å")
    assert fake.asked[-1].fields == {"": "", "track": name, "artist": "Ÿ/Å"}
    assert [c.name for c in found.candidates] == [name]


@pytest.mark.parametrize(
    ("name", "artist", "fields"),
    [
        ("Mission: Impossible", "Lalo", {"track": "Mission Impossible", "artist": "Lalo"}),
        ('The "Chirping" Crickets', None, {"track": "The Chirping Crickets"}),
        ('x" OR year:1999 isrc:USX', "y", {"track": "x or year 1999 isrc USX", "artist": "y"}),
        ("x artist:Somebody", "Other", {"track": "x artist Somebody", "artist": "Other"}),
        ("x", "a\ntrack:b\x00tag：new", {"track": "x", "artist": "a track b tag new"}),
        ("NOT love AND", "ANDROID", {"track": "not love and", "artist": "ANDROID"}),
        ("-not this +that a-b 1-", None, {"track": "not this that a-b 1-"}),
        ("H*ll*", "P!nk", {"track": "H ll", "artist": "P!nk"}),
        ("half \ud83d", "x", {"track": "half", "artist": "x"}),
        ("n" * 200, "a" * 200, {"track": "n" * 150, "artist": "a" * 80}),
        ("x", '"":', {"track": "x"}),
    ],
)
def test_no_name_is_syntax(
    make: Maker, fake: FakeSpotify, name: str, artist: str | None, fields: dict[str, str]
) -> None:
    assert make().find(name, artist).outcome == "no_match"
    assert fake.asked[-1].fields == {"": "", **fields}
    assert not set('":*\n') & set("".join(fake.asked[-1].fields.values()))


@pytest.mark.parametrize("name", ["", "  ", '":"', "***"])
def test_a_name_of_nothing_is_not_searched_for(make: Maker, fake: FakeSpotify, name: str) -> None:
    assert make().find(name, "Blur").outcome == "no_match"
    assert not fake.asked


def test_nulls_and_missing_fields_cost_only_themselves(make: Maker, fake: FakeSpotify) -> None:
    bare = {"id": "x" * 22, "name": " two\n words "}
    wrong = track(3, "Three", external_ids={"isrc": 5}, duration_ms=-1, popularity=True, album=None)
    wrong["artists"] = [None, {"name": None}, {"name": "Só\ud800"}, "x"]
    fake.search_script = [
        results(
            None, {}, "x", track(1, ""), {**track(2, "two"), "id": "../.."}, {**track(2, "2"), "id": None}, bare, wrong
        )
    ]
    assert make().find("anything").candidates == (
        Candidate("x" * 22, "two words", (), None, None, None, None),
        Candidate("0000000000000000000003", "Three", ("Só",), None, None, None, None),
    )


def test_what_was_found_is_not_asked_again_by_anybody(make: Maker, fake: FakeSpotify, connection: redis.Redis) -> None:
    fake.songs = [track(1, "Song", "Somebody")]
    first = make().find("Song", "Somebody")
    again = make().find("  SONG ", "somebody")
    assert (first.cached, again.cached) == (False, True)
    assert (again.outcome, again.candidates) == ("found", first.candidates)
    assert len(fake.asked) == 2
    [key] = connection.keys("segue:spotify:search:*")
    assert keys.SPOTIFY_HIT_TTL_S - 5 < connection.ttl(key) <= keys.SPOTIFY_HIT_TTL_S


def test_that_nothing_was_found_is_kept_for_a_shorter_while(
    make: Maker, fake: FakeSpotify, connection: redis.Redis
) -> None:
    spotify = make()
    assert not spotify.find("Unborn").cached
    again = spotify.find("Unborn")
    assert (again.outcome, again.cached, fake.count("search")) == ("no_match", True, 1)
    [key] = connection.keys("segue:spotify:search:*")
    assert keys.SPOTIFY_MISS_TTL_S - 5 < connection.ttl(key) <= keys.SPOTIFY_MISS_TTL_S < keys.SPOTIFY_HIT_TTL_S


def test_all_that_is_kept_expires_and_is_no_pickle(make: Maker, fake: FakeSpotify, connection: redis.Redis) -> None:
    fake.songs = [track(1, "Song")]
    fake.search_script = [Reply(500), fake._search]
    spotify = make()
    assert [spotify.find("Song").outcome for _ in range(2)] == ["failed", "found"]
    kept = sorted(connection.keys("*"))
    assert len(kept) == 4  # answer, token, breaker, bucket; the lock is gone
    for key in kept:
        assert 0 < connection.ttl(key) <= keys.SPOTIFY_HIT_TTL_S, key
        if connection.type(key) == b"string":
            packed = connection.get(key)
            assert isinstance(packed, bytes)
            assert packed[:1] == codec.FORMAT


def test_a_spoilt_answer_in_redis_is_asked_anew(make: Maker, fake: FakeSpotify, connection: redis.Redis) -> None:
    fake.songs = [track(1, "Song")]
    spotify = make()
    spotify.find("Song")
    [key] = connection.keys("segue:spotify:search:*")
    connection.set(key, b"\x80\x04pickled")
    found = spotify.find("Song")
    assert (found.outcome, found.cached, fake.count("search")) == ("found", False, 2)


def test_workers_share_one_token(make: Maker, fake: FakeSpotify, connection: redis.Redis) -> None:
    assert make().find("a").outcome == "no_match"
    assert make().find("b").outcome == "no_match"
    assert fake.count("token") == 1
    [key] = connection.keys("segue:spotify:access:*")
    assert 3600 - 65 < connection.ttl(key) <= 3600 - 60  # asked for anew before it runs out


def test_workers_that_start_together_ask_for_one_token(make: Maker, fake: FakeSpotify) -> None:
    slow = Reply(body=b'{"access_token": "BQ-token-1", "expires_in": 3600}', drip_s=0.005)
    fake.tokens, fake.token_script = ["BQ-token-1"], [slow]
    workers = [make() for _ in range(4)]
    found = at_once([partial(worker.find, f"song {n}") for n, worker in enumerate(workers)])
    assert [f.outcome for f in found] == ["no_match"] * 4
    assert fake.count("token") == 1


def test_an_expired_token_is_replaced_once(make: Maker, fake: FakeSpotify) -> None:
    fake.songs = [track(1, "Song")]
    spotify = make()
    spotify.find("warm up")
    fake.expired = set(fake.tokens)
    assert spotify.find("Song").outcome == "found"
    assert [asked.kind for asked in fake.asked] == ["token", "search", "search", "token", "search"]
    assert make().find("other").outcome == "no_match"
    assert fake.count("token") == 2


@pytest.mark.parametrize(
    "answer",
    [
        "BQ",
        [],
        None,
        {},
        {"access_token": None, "expires_in": 3600},
        {"access_token": "line\r\nbreak", "expires_in": 3600},
        {"access_token": "x", "expires_in": "soon"},
        {"access_token": "x", "expires_in": 0},
        {"access_token": "x", "expires_in": True},
    ],
)
def test_a_token_that_is_none_is_not_used(make: Maker, fake: FakeSpotify, answer: Any) -> None:
    fake.token_script = [says(answer)]
    found = make().find("Song")
    assert (found.outcome, found.reason) == ("failed", "rubbish answer: no token")
    assert fake.count("search") == 0


@pytest.mark.parametrize("missing", ["client_id", "client_secret"])
def test_without_credentials_nothing_is_asked_and_nothing_waits(make: Maker, fake: FakeSpotify, missing: str) -> None:
    spotify = make(redis_url="redis://127.0.0.1:1/0", **{missing: None})
    began = time.perf_counter()
    for _ in range(100):
        assert spotify.find("Song") == Found("skipped", "not configured")
    assert time.perf_counter() - began < 0.1
    assert not fake.asked


def test_secrets_are_never_logged(make: Maker, fake: FakeSpotify, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fake.songs = [track(1, "Song")]
    fake.search_script = [Reply(500), fake._search]
    spotify = make()
    assert [spotify.find("Song").outcome for _ in range(2)] == ["failed", "found"]
    assert "/v1/search" in caplog.text  # the HTTP library's own log: what follows would show
    for secret in (CLIENT_SECRET, fake.tokens[0], fake.asked[0].authorization.split()[1]):
        assert secret not in caplog.text


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTIPY_CLIENT_SECRET", CLIENT_SECRET)
    config = settings.load()
    assert config.spotipy_client_secret
    assert config.spotipy_client_secret.get_secret_value() == CLIENT_SECRET
    assert CLIENT_SECRET not in repr(config)
    assert CLIENT_SECRET not in repr(SpotifyConfig(client_id=CLIENT_ID, client_secret=CLIENT_SECRET))


def test_the_environment_changes_nothing(
    make: Maker, fake: FakeSpotify, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    fake.songs = [track(1, "Song")]
    assert make().find("Song").outcome == "found"
    assert fake.asked[-1].authorization == f"Bearer {fake.tokens[0]}"
