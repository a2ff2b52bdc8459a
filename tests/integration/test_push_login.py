"""Logging in to a Spotify account: PKCE on 127.0.0.1, with a browser that is a program."""

from __future__ import annotations

import json
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.fakes.spotify_account_server import CLIENT_ID, FakeAccount, Reply, says, serving
from tests.pushing import Pusher, address_in, uris


@pytest.fixture
def fake() -> Iterator[FakeAccount]:
    with serving() as server:
        yield server


@pytest.fixture
def pusher(fake: FakeAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pusher:
    return Pusher(fake, tmp_path, monkeypatch)


def pushed_with(pusher: Pusher, visits: list[str], *options: str) -> tuple[int, str, list[int]]:
    """Push, and answer the login with a browser that goes to `visits`, to be formatted with the address and its parts.

    → exit code, what was said, and the status that the browser saw in the end, of each visit.
    """
    seen: list[int] = []
    with pusher.pushing(pusher.file(uris(2)), *options) as process:
        assert process.stderr
        said = ""
        while "/authorize?" not in said and (line := process.stderr.readline()):
            said += line
        address = address_in(said)
        state = parse_qs(urlsplit(address).query)["state"][0]
        home = f"http://127.0.0.1:{pusher.port}"
        for visit in visits:
            seen.append(requests.get(visit.format(address=address, state=state, home=home), timeout=10).status_code)
        said += process.stderr.read()
        return process.wait(20), said, seen


def test_a_login_by_browser(pusher: Pusher, fake: FakeAccount) -> None:
    code, said, seen = pushed_with(pusher, ["{address}"])
    assert (code, seen) == (0, [200]), said
    assert fake.songs() == [uris(2)]
    assert stat.S_IMODE(pusher.token_file.stat().st_mode) == 0o600
    assert [path.name for path in pusher.token_file.parent.iterdir()] == [pusher.token_file.name]
    exchange = next(asked for asked in fake.asked if asked.kind == "token")
    assert set(exchange.form) == {"client_id", "grant_type", "code", "redirect_uri", "code_verifier"}
    assert fake.playlists
    assert pusher.push(pusher.file(uris(3), "other.txt")).exit_code == 0  # now there is a permission
    assert fake.count("token") == 1
    secret = json.loads(pusher.token_file.read_text())["token"]["access_token"]
    assert secret not in said


def test_an_answer_to_another_login_is_refused(pusher: Pusher, fake: FakeAccount) -> None:
    code, said, seen = pushed_with(
        pusher,
        [
            "{home}/favicon.ico",
            "{home}/callback?code=stolen&state=another",
            "{home}/callback?code=stolen",
            "{home}/callback?" + "&".join(f"x{n}=1" for n in range(30)),
            "{home}/callback?code=stolen&state=%00é",
            "{address}",
        ],
    )
    assert (code, seen) == (0, [404, 400, 400, 400, 400, 200]), said
    assert said.count("An answer was refused") == 4
    assert "stolen" not in {asked.form.get("code") for asked in fake.asked}


def test_a_user_who_says_no(pusher: Pusher, fake: FakeAccount) -> None:
    fake.consents = False
    code, said, seen = pushed_with(pusher, ["{address}"])
    assert (code, seen, fake.playlists) == (3, [400], {})
    assert "you did not allow it" in said
    assert not pusher.token_file.exists()


def test_the_redirect_uri_has_to_be_the_registered_one(pusher: Pusher, fake: FakeAccount) -> None:
    fake.redirect_uris = {"http://127.0.0.1:8888/callback/"}
    with pusher.pushing(pusher.file(uris(2))) as process:
        assert process.stderr
        said = "".join(process.stderr.readline() for _ in range(4))
        assert requests.get(address_in(said), timeout=10).status_code == 400


@pytest.mark.parametrize(
    "reply",
    [
        says({"error": "invalid_grant", "error_description": "code_verifier was incorrect"}, 400),
        Reply(500),
        Reply(200, b"<html>"),
        says({"access_token": "x"}),
        says({"access_token": 5, "expires_in": 3600, "refresh_token": "x"}),
        says([]),
        Reply(lost=True),
    ],
)
def test_an_exchange_that_fails_is_said_and_keeps_nothing(pusher: Pusher, fake: FakeAccount, reply: Reply) -> None:
    fake.scripts["token"] = [reply]
    code, said, _ = pushed_with(pusher, ["{address}"])
    assert (code, fake.playlists, pusher.token_file.exists()) == (3, {}, False)
    assert "Traceback" not in said
    assert "Spotify" in said.splitlines()[-1]


def test_a_taken_port_is_named(pusher: Pusher) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", pusher.port))
        taken.listen()
        failed = pusher.push(pusher.file(uris(2)))
    assert failed.exit_code == 3
    assert f"Port {pusher.port}" in failed.stderr
    assert "SPOTIFY_REDIRECT_PORT" in failed.stderr


def test_a_login_that_nobody_answers_ends(pusher: Pusher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.cli.pushing.LOGIN_S", 0.2)
    failed = pusher.push(pusher.file(uris(2)))
    assert failed.exit_code == 3
    assert "Nobody has logged in" in failed.stderr


def test_the_browser_is_opened_if_asked_to(pusher: Pusher, fake: FakeAccount) -> None:
    browser = pusher.folder / "browser.py"
    browser.write_text("import sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n")
    with pusher.pushing(pusher.file(uris(2)), "--browser", BROWSER=f"{sys.executable} {browser} %s &") as process:
        process.communicate(timeout=30)
    assert process.returncode == 0
    assert fake.songs() == [uris(2)]


def test_a_login_by_pasting(pusher: Pusher, fake: FakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    with pusher.pasting(pusher.file(uris(2))) as (process, address):
        ended = requests.get(address, timeout=10, allow_redirects=False).headers["Location"]
        assert ended.startswith(f"http://127.0.0.1:{pusher.port}/callback?")
        said = process.communicate(ended + "\n", timeout=20)
    assert process.returncode == 0, said
    assert fake.songs() == [uris(2)]


@pytest.mark.parametrize("typed", ["", "x", "http://127.0.0.1:8888/callback?code=AQcode0&state=another", "http://["])
def test_what_is_pasted_has_to_be_the_answer(pusher: Pusher, fake: FakeAccount, typed: str) -> None:
    with pusher.pasting(pusher.file(uris(2))) as (process, _):
        said = process.communicate(typed + "\n", timeout=20)[1]
    assert process.returncode == 3
    assert "Traceback" not in said
    assert fake.count("token") == 0


def test_a_token_that_runs_out_is_refreshed(pusher: Pusher, fake: FakeAccount) -> None:
    pusher.logged_in(lasts_s=30)
    assert pusher.push(pusher.file(uris(2))).exit_code == 0
    refresh = next(asked for asked in fake.asked if asked.kind == "token")
    assert refresh.form["grant_type"] == "refresh_token"
    fake.tokens.clear()  # it ends before its time: Spotify says 401
    assert pusher.push(pusher.file(uris(2)), "--new").exit_code == 0
    assert (fake.count("token"), fake.songs()) == (2, [uris(2), uris(2)])
    assert stat.S_IMODE(pusher.token_file.stat().st_mode) == 0o600


def test_a_permission_that_has_ended_asks_to_log_in_again(pusher: Pusher, fake: FakeAccount) -> None:
    pusher.logged_in(lasts_s=0)
    fake.refresh_tokens.clear()
    code, said, _ = pushed_with(pusher, ["{address}"])
    assert (code, fake.songs()) == (0, [uris(2)])
    assert "six months" in said


def test_two_that_refresh_at_once_do_not_lose_the_permission(pusher: Pusher, fake: FakeAccount) -> None:
    pusher.logged_in(lasts_s=0)
    files = [pusher.file(uris(2), f"{number}.txt") for number in range(2)]
    codes: list[int] = []

    def run(file: Path) -> None:
        with pusher.pushing(file) as process:
            process.communicate(timeout=30)
        codes.append(process.returncode)

    threads = [threading.Thread(target=run, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert codes == [0, 0]


@pytest.mark.parametrize("kept", ["", "{", "[]", '{"client_id": 1}', json.dumps({"client_id": CLIENT_ID, "token": {}})])
def test_a_damaged_token_file_counts_as_none(pusher: Pusher, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.cli.pushing.LOGIN_S", 0.1)
    pusher.logged_in()
    pusher.token_file.write_text(kept)
    failed = pusher.push(pusher.file(uris(2)))
    assert failed.exit_code == 3
    assert "no permission" in failed.stderr


def test_tokens_of_another_app_are_not_used(pusher: Pusher, fake: FakeAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.cli.pushing.LOGIN_S", 0.1)
    pusher.logged_in()
    monkeypatch.setenv("SPOTIPY_CLIENT_ID", "f" * 32)
    assert pusher.push(pusher.file(uris(2))).exit_code == 3
    assert fake.asked == []
