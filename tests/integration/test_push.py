"""Putting playlists into a Spotify account, against a server that speaks as Spotify does since 2026."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from typer.main import get_command

import settings
from producer import spotify_push
from producer.spotify_push import state_file
from tests.fakes.spotify_account_server import (
    DONE_AND_HELD,
    DONE_AND_LOST,
    HELD,
    LOST,
    WELL,
    FakeAccount,
    Reply,
    error,
    says,
    serving,
)
from tests.pushing import Pusher, app, uris
from tests.services import wait_for

SONGS = uris(250)


@pytest.fixture
def fake() -> Iterator[FakeAccount]:
    with serving() as server:
        yield server


@pytest.fixture
def pusher(fake: FakeAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pusher:
    monkeypatch.setattr(spotify_push, "_FIRST_PAUSE_S", 0.01)
    pusher = Pusher(fake, tmp_path, monkeypatch)
    pusher.logged_in()
    return pusher


def test_the_fake_refuses_what_spotify_has_removed(pusher: Pusher, fake: FakeAccount) -> None:
    token = {"Authorization": f"Bearer {next(iter(fake.tokens))}"}
    for path in ("/users/ada/playlists", "/playlists/0/tracks"):
        assert requests.post(fake.api_url + path, json={}, headers=token, timeout=5).status_code == 403
        assert requests.get(fake.api_url + path, headers=token, timeout=5).status_code == 404


def test_songs_arrive_in_order_in_hundreds(pusher: Pusher, fake: FakeAccount) -> None:
    file = pusher.file(SONGS, "Summer in June.txt")
    done = pusher.push(file)
    assert done.exit_code == 0, done.stderr
    assert fake.songs() == [SONGS]
    assert done.stdout == "https://open.spotify.com/playlist/0000000000000000000000\n"
    made = fake.playlists["0000000000000000000000"]
    assert (made["name"], made["public"], made["description"]) == ("Summer in June", False, "")
    assert [len(json.loads(asked.body)) for asked in fake.asked if asked.kind == "add"] == [100, 100, 50]
    assert {asked.kind for asked in fake.asked} == {"me", "create", "add", "items"}
    kept = json.loads(state_file(file).read_text())
    assert [block["snapshot_id"] for block in kept["blocks"]] == ["snapshot100", "snapshot200", "snapshot250"]


def test_how_it_is_called_and_who_sees_it(pusher: Pusher, fake: FakeAccount) -> None:
    done = pusher.push(pusher.file(uris(1)), "--name", "Été — 夏", "--public", "--description", "Warm & long")
    assert done.exit_code == 0, done.stderr
    made = fake.playlists["0000000000000000000000"]
    assert (made["name"], made["public"], made["description"]) == ("Été — 夏", True, "Warm & long")


def test_what_is_done_is_not_done_again_but_anew_if_asked(pusher: Pusher, fake: FakeAccount) -> None:
    file = pusher.file(uris(3))
    first = pusher.push(file)
    asked = len(fake.asked)
    again = pusher.push(file)
    assert (again.exit_code, again.stdout, len(fake.asked)) == (0, first.stdout, asked)
    assert "already" in again.stderr
    assert pusher.push(file, "--new").exit_code == 0
    assert fake.songs() == [uris(3), uris(3)]
    pusher.file(uris(4))
    other = pusher.push(file)
    assert (other.exit_code, len(fake.playlists)) == (2, 2)
    assert "--new" in other.stderr


def test_songs_without_an_id_are_listed_and_the_others_pushed(pusher: Pusher, fake: FakeAccount) -> None:
    file = pusher.folder / "mix.csv"
    file.write_text(
        "Track URI,Track Name,Artist Name(s)\n"
        f"{SONGS[0]},A,B\n,Nameless,Somebody\nspotify:episode:{'1' * 22},E,F\n{SONGS[1]},C,D\n{SONGS[0]},A,B\n"
    )
    done = pusher.push(file)
    assert done.exit_code == 1
    assert fake.songs() == [[SONGS[0], SONGS[1], SONGS[0]]]
    assert "row 2: Nameless - Somebody: no Spotify id" in done.stderr
    assert "row 3" in done.stderr
    nothing = pusher.push(pusher.file(["A song - Somebody"], "names.txt"))
    assert (nothing.exit_code, len(fake.playlists)) == (1, 1)


def test_ids_of_the_catalogue_alone_are_no_spotify_ids(pusher: Pusher, fake: FakeAccount) -> None:
    file = pusher.folder / "mix.m3u8"
    file.write_text(f"#EXTM3U\n#EXTINF:1,A - B\nurn:segue:track:{'d' * 22}\n#EXTINF:1,C - D\n{SONGS[0]}\n")
    assert pusher.push(file).exit_code == 1
    assert fake.songs() == [[SONGS[0]]]


@pytest.mark.parametrize("name", ["mix.csv", "mix.jsonl", "mix.txt"])
def test_invented_songs_are_no_spotify_songs_whatever_their_ids_look_like(
    pusher: Pusher, fake: FakeAccount, name: str
) -> None:
    invented, real, alike = "demo" + "w" * 18, "2" * 22, "demo" + "z" * 18
    link = f"https://open.spotify.com/track/{alike}"
    rows = {
        "mix.csv": f"track_id,Track Name\n{invented},A\n{real},B\n{link},C\n",
        "mix.jsonl": f'{{"track_id": "{invented}", "name": "A"}}\n{{"track_id": "{real}"}}\n'
        f'{{"track_id": "{alike}", "name": "C", "url": "{link}"}}\n',
        "mix.txt": f"{invented}\n{real}\n{link}\n",
    }
    file = pusher.folder / name
    file.write_text(rows[name])
    done = pusher.push(file)
    assert (done.exit_code, f"row 1: {invented}: invented" in done.stderr) == (1, True), done.stderr
    assert fake.songs() == [[f"spotify:track:{real}", f"spotify:track:{alike}"]]


def test_a_dry_run_sends_nothing(pusher: Pusher, fake: FakeAccount) -> None:
    pusher.token_file.unlink()
    file = pusher.file(SONGS)
    done = pusher.push(file, "--dry-run", "--name", "Later")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "private playlist 'Later'" in done.stderr
    assert "250 songs in 3 requests" in done.stderr
    assert fake.asked == []
    assert not state_file(file).exists()


@pytest.mark.parametrize(
    "arguments",
    [["missing.txt"], ["."], ["mix.txt", "--name", " "], ["mix.txt", "--from", "mp3"], ["mix.txt", "--nonsense"]],
)
def test_wrong_usage(pusher: Pusher, fake: FakeAccount, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pusher.folder)
    pusher.file(uris(1))
    assert pusher.push(*arguments).exit_code == 2
    assert fake.asked == []


def test_without_a_client_id_it_says_where_to_get_one(pusher: Pusher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTIPY_CLIENT_ID", "")
    done = pusher.push(pusher.file(uris(1)))
    assert done.exit_code == 2
    assert "SPOTIPY_CLIENT_ID" in done.stderr


@pytest.mark.parametrize("kind", ["me", "create", "add", "items"])
@pytest.mark.parametrize(
    "reply",
    [LOST, DONE_AND_LOST, Reply(500), Reply(503, done=True), Reply(200, b"<html>"), Reply(200, b"[]", done=True)],
)
def test_what_may_have_been_done_is_looked_at_and_nothing_comes_twice(
    pusher: Pusher, fake: FakeAccount, kind: str, reply: Reply
) -> None:
    fake.scripts[kind] = [WELL, reply] if kind == "add" else [reply]
    done = pusher.push(pusher.file(SONGS))
    assert done.exit_code == 0, done.stderr
    assert fake.songs() == [SONGS]


@pytest.mark.parametrize("kind", ["me", "create", "add", "items"])
@pytest.mark.parametrize(
    ("reply", "word"),
    [
        (error(403, "Active premium subscription required for the owner of the app"), "Premium"),
        (error(403, "User not registered in the Developer Dashboard"), "not among the app's users"),
        (error(403, "Insufficient client scope"), "log in again"),
        (error(403, "Forbidden"), "does not allow"),
        (error(429, "Quota", "QUOTA_EXCEEDED", Retry_After="1"), "quota"),
        (error(429, "API rate limit exceeded", Retry_After="3600"), "wait for 3600 s"),
        (Reply(502), "status 502"),
        (Reply(200, b"{"), "cannot be read"),
        (Reply(200, b"[" * 100_000), "cannot be read|answer as it should"),
        (says({}), "cannot be read"),
        (LOST, "does not answer"),
    ],
)
def test_what_goes_wrong_has_a_clear_word_and_can_be_gone_on_with(
    pusher: Pusher, fake: FakeAccount, kind: str, reply: Reply, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("producer.cli.pushing.LOGIN_S", 0.1)
    fake.scripts[kind] = [reply] * 20
    file = pusher.file(SONGS)
    failed = pusher.push(file, "--paste")
    assert failed.exit_code == 3, failed.stderr
    assert re.search(word, failed.stderr), failed.stderr
    assert len(fake.asked) < 30
    fake.scripts.clear()
    assert pusher.push(file).exit_code == 0
    assert fake.songs() == [SONGS]


def test_a_time_out_is_bounded(pusher: Pusher, fake: FakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.spotify_account.REQUEST_S", 0.3)
    fake.scripts["add"] = [HELD, DONE_AND_HELD]
    assert pusher.push(pusher.file(SONGS)).exit_code == 0
    assert fake.songs() == [SONGS]


def test_a_short_retry_after_is_waited_for(pusher: Pusher, fake: FakeAccount) -> None:
    fake.scripts["add"] = [WELL, error(429, "API rate limit exceeded", Retry_After="1")]
    done = pusher.push(pusher.file(SONGS))
    assert (done.exit_code, fake.songs()) == (0, [SONGS])
    assert "going on in 1 s" in done.stderr


@pytest.mark.parametrize("old_shape", [False, True])
@pytest.mark.parametrize("done", [False, True])
def test_a_killed_push_goes_on_where_it_was(pusher: Pusher, fake: FakeAccount, done: bool, old_shape: bool) -> None:
    fake.old_shape = old_shape
    fake.scripts["add"] = [WELL, DONE_AND_HELD if done else HELD]
    file = pusher.file(SONGS)
    with pusher.pushing(file) as process:
        wait_for(lambda: fake.count("add") == 2, "the second block")
        beside = pusher.push(file)
        assert (beside.exit_code, "already" in beside.stderr) == (2, True)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    again = pusher.push(file)
    assert again.exit_code == 0, again.stderr
    assert fake.songs() == [SONGS]
    assert fake.count("create") == 1


def test_a_push_killed_while_the_playlist_is_made_makes_no_second_one(pusher: Pusher, fake: FakeAccount) -> None:
    fake.scripts["create"] = [DONE_AND_HELD]
    file = pusher.file(SONGS)
    with pusher.pushing(file) as process:
        wait_for(lambda: fake.count("create") == 1, "the playlist")
        process.kill()
    assert pusher.push(file).exit_code == 0
    assert fake.songs() == [SONGS]


def test_an_interrupted_push_goes_on_where_it_was(pusher: Pusher, fake: FakeAccount) -> None:
    fake.scripts["add"] = [WELL, DONE_AND_HELD]
    file = pusher.file(SONGS)
    with pusher.pushing(file) as process:
        wait_for(lambda: fake.count("add") == 2, "the second block")
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=10)[1]
    assert process.returncode == 130
    assert "Run the same again" in said
    assert "Traceback" not in said
    assert pusher.push(file).exit_code == 0
    assert fake.songs() == [SONGS]


def test_a_playlist_that_somebody_has_changed_is_left_alone(pusher: Pusher, fake: FakeAccount) -> None:
    fake.scripts["add"] = [WELL, *[error(403, "Forbidden")]]
    file = pusher.file(SONGS)
    assert pusher.push(file).exit_code == 3
    inside = next(iter(fake.playlists.values()))["uris"]
    inside.append("spotify:track:" + "x" * 22)
    before = list(inside)
    changed = pusher.push(file)
    assert (changed.exit_code, inside) == (3, before)
    assert "--new" in changed.stderr
    del inside[50:]
    assert pusher.push(file).exit_code == 3
    assert len(inside) == 50


def test_songs_that_spotify_does_not_take_are_found_and_listed(pusher: Pusher, fake: FakeAccount) -> None:
    fake.unknown = {SONGS[3], SONGS[120], SONGS[121]}
    file = pusher.file(SONGS)
    fake.scripts["add"] = [WELL] * 9 + [error(403, "Forbidden")]
    assert pusher.push(file).exit_code == 3
    done = pusher.push(file)
    assert done.exit_code == 1
    assert fake.songs() == [[uri for uri in SONGS if uri not in fake.unknown]]
    assert all(f"{uri}: Spotify does not take it" in done.stderr for uri in fake.unknown)
    assert pusher.push(file).exit_code == 1  # and says so again, without asking


def test_another_account_does_not_go_on(pusher: Pusher, fake: FakeAccount) -> None:
    fake.scripts["add"] = [error(403, "Forbidden")]
    file = pusher.file(SONGS)
    assert pusher.push(file).exit_code == 3
    fake.user = "bob"
    assert pusher.push(file).exit_code == 2
    assert fake.songs() == [[]]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"digest": 1}', b"\xff", b'{"x": "y"}'])
def test_a_damaged_state_is_not_guessed_at(pusher: Pusher, fake: FakeAccount, damage: bytes) -> None:
    file = pusher.file(uris(2))
    state_file(file).write_bytes(damage)
    assert pusher.push(file).exit_code == 2
    assert fake.asked == []
    assert pusher.push(file, "--new").exit_code == 0


def test_the_page_names_options_that_there_are() -> None:
    page = (settings.ROOT / "docs/howto/spotify-account.md").read_text(encoding="utf-8")
    command = get_command(app)
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page)) <= options
