"""API keys: made and revoked in the shell, asked for by the app; on a real Redis."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import redis_server
import settings
from api import keys
from api.__main__ import main
from api.app import create_app
from producer import codec
from producer.keys import API_KEYS
from tests.integration.test_api import QUERY, problem
from tests.services import Client, api, running, wait_for


@pytest.fixture
def shell(
    redis_url: str, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.setenv("REDIS_URL", redis_url)
    return Shell(capsys)


class Shell:
    """`python -m api keys …`, and what it says."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def run(self, *arguments: str) -> str:
        """Return what it says on standard output; it must succeed."""
        code = main(["keys", *arguments])
        said = self._capsys.readouterr()
        assert code == 0, said.err
        return said.out

    def fails(self, *arguments: str) -> str:
        """Return what it says on standard error; it must fail."""
        try:
            code = main(["keys", *arguments])
        except SystemExit as left:  # argparse's way
            code = int(left.code or 0)
        said = self._capsys.readouterr()
        assert (code != 0, said.out) == (True, "")
        return said.err

    def key(self, *options: str) -> str:
        return self.run("create", "test", *options).strip()


def client_of(redis_url: str, tmp_path: Path, **changed: object) -> FlaskClient:
    config = settings.Settings(redis_url=redis_url, artifacts_dir=tmp_path, **{"auth": "on", **changed})  # type: ignore[arg-type]
    return create_app(config).test_client()


@pytest.fixture
def client(redis_url: str, connection: redis.Redis, tmp_path: Path) -> FlaskClient:
    return client_of(redis_url, tmp_path)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def refused(response: TestResponse, challenge: str = "Bearer") -> None:
    problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == challenge


INVALID = 'Bearer error="invalid_token"'


def test_a_key_is_shown_once_and_only_its_digest_is_kept(shell: Shell, connection: redis.Redis) -> None:
    key = shell.key("--scopes", "read")
    prefix, key_id, secret = key.split("_", 2)
    assert (prefix, len(key_id), len(secret)) == ("segue", 12, 43)
    held: dict[Any, Any] = connection.hgetall(API_KEYS)
    ((field, packed),) = held.items()
    assert field == key_id.encode()
    assert codec.unpack(packed)["digest"] == hashlib.sha256(key.encode()).digest()
    assert connection.dbsize() == 1
    assert secret.encode() not in packed
    listed = shell.run("list")
    assert key_id in listed
    assert secret not in listed


def test_keys_are_listed_with_what_they_may(shell: Shell) -> None:
    first = shell.run("create", "the page", "--rate", "0.5", "--burst", "7").split("_")[1]
    second = shell.run("create", "operator", "--scopes", "*", "--rate", "0").split("_")[1]
    header, *rows = [line.split(maxsplit=5) for line in shell.run("list").splitlines()]
    assert header == ["id", "created", "scopes", "rate/s", "burst", "name"]
    found = {row[0]: (*row[2:5], row[5]) for row in rows}
    assert found == {
        first: ("read,submit", "0.5", "7", "the page"),
        second: ("*", "any", "default", "operator"),
    }


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("create",), "NAME"),
        (("create", ""), "1 to 100 printable"),
        (("create", "two\nlines"), "1 to 100 printable"),
        (("create", "x", "--scopes", "read,write"), "scopes are read, submit, webhooks"),
        (("create", "x", "--scopes", ""), "scopes are"),
        (("create", "x", "--rate", "-1"), "0 for no limit"),
        (("create", "x", "--rate", "nan"), "0 for no limit"),
        (("create", "x", "--rate", "0.0001"), "0 for no limit"),
        (("create", "x", "--burst", "0"), "no number from 1"),
        (("create", "x", "--burst", "1.5"), "no number from 1"),
        (("revoke", "nobody"), "there is no key 'nobody'"),
        ((), "required"),
    ],
)
def test_what_the_shell_refuses(shell: Shell, arguments: tuple[str, ...], why: str) -> None:
    assert why in shell.fails(*arguments)


def test_the_shell_without_redis_says_so(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{redis_server.free_port()}/0")
    assert "Redis does not answer" in shell.fails("list")
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setitem(settings.Settings.model_config, "env_file", None)
    assert "REDIS_URL is not set" in shell.fails("create", "x")


def test_with_a_key_everything_is_as_without_keys(client: FlaskClient, shell: Shell) -> None:
    headers = bearer(shell.key())
    submitted = client.post("/v1/recommendations", json=QUERY, headers=headers)
    assert submitted.status_code == 202
    assert client.get(submitted.headers["Location"], headers=headers).status_code == 200


def test_without_a_key_nothing_is_answered_but_what_is_open(client: FlaskClient, shell: Shell) -> None:
    shell.key()
    for rule in client.application.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.rule.startswith(("/docs/", "/page/")):
            continue
        path = rule.rule.replace("<job_id>", "x")
        response = client.get(path)
        if path in ("/", "/livez", "/readyz", "/health", "/openapi.json", "/docs"):
            assert response.status_code in (200, 503), path
        else:
            refused(response)
    refused(client.post("/v1/recommendations", json=QUERY))
    refused(client.post("/v1/recommendations", data=b"{"))  # nothing is read before it is known who asks
    problem(client.get("/nope"), 404, "not-found")
    problem(client.get("/v1/recommendations"), 405, "method-not-allowed")


@pytest.mark.parametrize("dot", ["/./", "//", "/livez/../", "/%2e/", "/static/../"])
def test_no_spelling_of_an_address_goes_around_the_door(client: FlaskClient, dot: str) -> None:
    response = client.get(f"{dot}v1/model", follow_redirects=True)
    assert response.status_code in (401, 404)


def test_the_contract_says_whether_a_key_is_needed(client: FlaskClient, redis_url: str, tmp_path: Path) -> None:
    document = client.get("/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert document["security"] == [{"key": []}]
    assert client_of(redis_url, tmp_path, auth="off").get("/openapi.json").get_json()["security"] == []


def test_what_is_no_key_is_401(client: FlaskClient, shell: Shell, connection: redis.Redis) -> None:
    key = shell.key()
    other = shell.key()
    other_secret = other.split("_", 2)[2]
    for header in ("", "Basic dXNlcjpwYXNz", key, f"Token {key}", f"ApiKey {key}"):
        refused(client.get("/v1/model", headers={"Authorization": header}))
    for wrong in (
        "",
        "x",
        key[:-1],
        key + "A",
        key.upper(),
        f"{key},Bearer {key}",
        f"{key} {key}",
        "segue_" + key.split("_")[1] + "_" + other_secret,
        "segue_000000000000_" + other_secret,
        "segue_000000000000_" + "é" * 43,
        "x" * 20_000,
        "*",
    ):
        refused(client.get("/v1/model", headers=bearer(wrong)), INVALID)
    assert client.get("/v1/model", headers={"Authorization": f"bearer   {key} "}).status_code == 503, "no model yet"
    assert connection.hlen(API_KEYS) == 2


def test_a_key_does_what_its_scopes_say(client: FlaskClient, shell: Shell) -> None:
    read, submit, everything, hooks = (
        bearer(shell.key("--scopes", scopes)) for scopes in ("read", "submit", "*", "webhooks")
    )
    for headers, may_read, may_submit in (
        (read, True, False),
        (submit, False, True),
        (everything, True, True),
        (hooks, False, False),
    ):
        for response, allowed, scope in (
            (client.get("/v1/jobs/x", headers=headers), may_read, "read"),
            (client.head("/v1/jobs/x", headers=headers), may_read, "read"),
            (client.post("/v1/recommendations", json=QUERY, headers=headers), may_submit, "submit"),
        ):
            if allowed:
                assert response.status_code in (202, 404)
            else:
                assert response.status_code == 403
                challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
                assert response.headers["WWW-Authenticate"] == challenge
    problem(client.get("/v1/jobs/x", headers=submit), 403, "forbidden")


def test_keys_come_and_go_while_the_api_runs(client: FlaskClient, shell: Shell) -> None:
    first = shell.key()
    assert client.get("/v1/jobs/x", headers=bearer(first)).status_code == 404
    second = shell.key()
    assert client.get("/v1/jobs/x", headers=bearer(second)).status_code == 404, "a new key works at once"
    shell.run("revoke", first.split("_")[1])
    revoked = time.monotonic()

    def gone() -> bool:
        return client.get("/v1/jobs/x", headers=bearer(first)).status_code == 401

    wait_for(gone, "the key to be refused", 10)
    assert time.monotonic() - revoked < keys.REMEMBERED_S + 1
    assert client.get("/v1/jobs/x", headers=bearer(second)).status_code == 404, "others are not touched"


def test_redis_is_not_asked_for_each_request(client: FlaskClient, shell: Shell, connection: redis.Redis) -> None:
    headers = bearer(shell.key())
    client.get("/v1/jobs/x", headers=headers)
    before = connection.info("commandstats")["cmdstat_hget"]["calls"]
    for _ in range(20):
        assert client.get("/v1/jobs/x", headers=headers).status_code == 404
    assert connection.info("commandstats")["cmdstat_hget"]["calls"] - before <= 1


def test_a_process_remembers_a_bounded_number_of_keys(
    shell: Shell, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_MOST_REMEMBERED", 3)
    known = keys.Known(connection)
    made = [keys.create(connection, f"key {n}", ["read"]) for n in range(5)]
    for key in made * 2:
        found = known.find(key)
        assert found
        assert f"segue_{found.id}_" in key
    for n in range(5):
        assert known.find(f"segue_{n:012x}_" + "A" * 43) is None
    assert len(known._remembered) == 3


def test_without_redis_a_key_cannot_be_checked(tmp_path: Path) -> None:
    client = client_of(f"redis://127.0.0.1:{redis_server.free_port()}/0", tmp_path)
    response = client.get("/v1/model", headers=bearer(f"segue_{'0' * 12}_{'A' * 43}"))
    problem(response, 503, "redis-unavailable")
    assert response.headers["Retry-After"]
    refused(client.get("/v1/model"))
    refused(client.get("/v1/model", headers=bearer("no key at all")), INVALID)
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("rubbish", [b"\x80\x04rubbish", codec.pack("text"), codec.pack({"id": 1, "scopes": []})])
def test_a_key_that_nobody_of_ours_wrote_opens_nothing(
    client: FlaskClient, connection: redis.Redis, rubbish: bytes, shell: Shell
) -> None:
    connection.hset(API_KEYS, "0" * 12, rubbish)
    problem(client.get("/v1/model", headers=bearer(f"segue_{'0' * 12}_{'A' * 43}")), 500, "bad-message")
    assert "python -m api:" in shell.fails("list")


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ({"auth": "auto", "host": "127.0.0.1"}, False),
        ({"auth": "auto", "host": "::1"}, False),
        ({"auth": "auto", "host": "localhost"}, False),
        ({"auth": "auto", "host": "0.0.0.0"}, True),
        ({"auth": "auto", "host": "192.168.1.5"}, True),
        ({"auth": "on", "host": "127.0.0.1"}, True),
        ({"auth": "off", "host": "0.0.0.0"}, False),
    ],
)
def test_who_is_asked_for_a_key(redis_url: str, tmp_path: Path, changed: dict[str, str], asked: bool) -> None:
    client = client_of(redis_url, tmp_path, **changed)
    for headers in ({}, bearer("rubbish")):
        assert (client.get("/v1/jobs/x", headers=headers).status_code == 401) == asked


@pytest.mark.parametrize(("host", "auth"), [("0.0.0.0", "auto"), ("::", "auto"), ("192.0.2.1", "auto"), ("::1", "on")])
def test_a_server_that_asks_for_keys_does_not_start_without_one(
    redis_url: str, connection: redis.Redis, tmp_path: Path, host: str, auth: str
) -> None:
    environment = {"REDIS_URL": redis_url, "HOST": host, "AUTH": auth, "PORT": str(redis_server.free_port())}
    with running([sys.executable, "-m", "api", "serve"], tmp_path / "log", environment) as process:
        assert process.wait(30) == 1
    said = (tmp_path / "log").read_text()
    assert "python -m api keys create NAME" in said
    assert "set AUTH=off" in said
    assert "Traceback" not in said


def test_the_how_to_finds_the_redis_of_run_sh(tmp_path: Path) -> None:
    page = (settings.ROOT / "docs" / "howto" / "api-keys.md").read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S) if "server.conf" in block]
    python = tmp_path / ".segue" / "venv-123" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    server = redis_server.start(tmp_path / ".segue" / "redis")
    try:
        environment = settings.child_environment(PYTHONPATH=str(settings.ROOT))
        done = subprocess.run(["sh", "-euc", block], cwd=tmp_path, env=environment, capture_output=True, text=True)
        with redis.Redis.from_url(server.url) as own:
            assert keys.Known(own).find(done.stdout.strip()), done.stderr
    finally:
        server.stop()


def asked(client: Client, path: str, key: str) -> int:
    return client.get(path, Authorization=f"Bearer {key}").status


def test_a_real_server_asks_for_a_key_and_logs_none(shell: Shell, redis_url: str, tmp_path: Path) -> None:
    key = shell.key()
    log = tmp_path / "api.log"
    with api(redis_url, redis_server.free_port(), log, AUTH="on", LOG_FORMAT="json") as client:
        assert asked(client, "/v1/jobs/x", "") == 401
        assert asked(client, "/v1/jobs/x?key=" + key, key) in (404, 422)
        assert asked(client, "/v1/jobs/x", key) == 404
        assert asked(client, "/v1/jobs/x", key + "A") == 401
    assert key.split("_", 2)[2] not in log.read_text()
    assert key.split("_")[1] in log.read_text()


def test_a_server_starts_while_redis_is_down_and_lets_nobody_in(tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with api(f"redis://127.0.0.1:{redis_server.free_port()}/0", redis_server.free_port(), log, AUTH="on") as client:
        assert asked(client, "/v1/jobs/x", "") == 401
        assert asked(client, "/v1/jobs/x", f"segue_{'0' * 12}_{'A' * 43}") == 503
    assert "nobody's API key can be checked" in log.read_text()
