"""A worker process with credentials: songs that its catalogue does not know by name, found through Spotify."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from artifacts.model import Model
from producer import fallback
from producer.schema import Result
from tests.fakes import spotify_server
from tests.fakes.spotify_server import CLIENT_ID, CLIENT_SECRET, FakeSpotify, error, track
from tests.jobs import finished, submit
from tests.services import wait_for, worker


@pytest.fixture
def fake() -> Iterator[FakeSpotify]:
    with spotify_server.serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _worker(
    fake: FakeSpotify, redis_url: str, connection: redis.Redis, models_dir: Path, tmp_path: Path
) -> Iterator[None]:
    credentials = {
        "SPOTIPY_CLIENT_ID": CLIENT_ID,
        "SPOTIPY_CLIENT_SECRET": CLIENT_SECRET,
        "SPOTIFY_API_URL": fake.api_url,
        "SPOTIFY_ACCOUNTS_URL": fake.accounts_url,
        "RECCOBEATS": "on",
        "RECCOBEATS_URL": fake.reccobeats_url,
    }
    with worker(redis_url, models_dir, tmp_path / "worker.log", **credentials):
        wait_for(lambda: fallback.live_workers(connection), f"a worker; see {tmp_path}/worker.log")
        yield


def answer(connection: redis.Redis, name: str, artist: str | None = None) -> Result:
    seed = {"name": name} | ({"artist": artist} if artist else {})
    result = finished(connection, submit(connection, seeds=[seed], limit=5)).result
    assert isinstance(result, Result)
    return result


def test_spotify_says_which_song_of_the_catalogue_is_meant(
    connection: redis.Redis, fake: FakeSpotify, demo_model: Model
) -> None:
    known = demo_model.track(5)
    fake.songs = [track(1, "Zqxjk Anthem", "Wvutsr") | {"id": known["track_id"]}]
    found = answer(connection, "Zqxjk Anthem", "Wvutsr")
    assert (found.strategy, found.degraded) == ("spotify", False)
    assert (found.seeds[0].track_id, found.seeds[0].match) == (known["track_id"], 1.0)
    assert [(a.strategy, a.outcome) for a in found.attempts] == [("catalogue", "no_match"), ("spotify", "used")]
    assert len(found.tracks) == 5


def test_a_song_of_the_catalogue_needs_no_network(
    connection: redis.Redis, fake: FakeSpotify, demo_model: Model
) -> None:
    row = next(r for r in range(len(demo_model)) if demo_model.artists_of(r))
    assert answer(connection, demo_model.name[row], demo_model.artists_of(row)[0]).strategy == "catalogue"
    assert fake.asked == []


def test_a_song_that_only_spotify_knows_is_placed_by_its_features(connection: redis.Redis, fake: FakeSpotify) -> None:
    song = track(77, "Zqxjk Anthem", "Wvutsr")
    fake.songs = [song]
    fake.features = {
        song["id"]: {"href": f"https://open.spotify.com/track/{song['id']}", "energy": 0.9, "tempo": 170.0}
    }
    found = answer(connection, "Zqxjk Anthem", "Wvutsr")
    assert found.strategy == "spotify"
    assert (found.seeds[0].track_id, found.seeds[0].name) == (None, "Zqxjk Anthem")
    assert {"valence", "year"} <= set(found.seeds[0].imputed)
    assert "energy" not in found.seeds[0].imputed
    assert len(found.tracks) == 5


def test_with_spotify_down_the_ladder_goes_on_and_says_so(connection: redis.Redis, fake: FakeSpotify) -> None:
    fake.search_script = (error(503, "Service unavailable"),)
    found = answer(connection, "Zqxjk Anthem", "Wvutsr")
    assert (found.strategy, found.degraded) == ("popular", True)
    assert {a.strategy: a.outcome for a in found.attempts}["spotify"] == "failed"
    assert len(found.tracks) == 5
