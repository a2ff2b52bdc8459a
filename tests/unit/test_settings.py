"""Settings: defaults, refusals, and who starts what with them."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest
import redis

import dev
import settings
import telemetry
from api.__main__ import main as serve
from training import demo
from worker.__main__ import main as work


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_defaults_are_for_one_machine() -> None:
    config = settings.load()
    assert config.redis_url is None
    assert config.is_loopback
    assert config.models_dir == settings.ROOT / ".segue" / "artifacts"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "http"),
        ("AUTH", "maybe"),
        ("RATE_PER_S", "0.0001"),
        ("RATE_BURST", "0"),
        ("CORS_ORIGINS", "app.example"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("QUEUE_LIMIT", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("REDIS_TIMEOUT_S", "0"),
        ("WORKER_MEMORY_MB", "100"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(settings.BadSettings, match=rf"{name}: .*{value}"):
        settings.load()


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://cache.example",
        "redis://:p%40ss@127.0.0.1:6379/0",
        "redis://[::1]:6380/15",
        "rediss://user:word@cache.example:6380/0?ssl_cert_reqs=none&ssl_ca_certs=/etc/ca.pem",
        "unix:///run/redis.sock?db=2&password=word",
    ],
)
def test_an_address_of_redis_that_settings_take_is_one_that_redis_py_takes(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    assert settings.load().redis_url == url
    redis.ConnectionPool.from_url(url).make_connection()


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:word@host:notaport",
        "redis://user:word@host:65536/0",
        "redis://user:word@host:0",
        "redis://user:word@[::1:6379/0",
        "redis://user:word@host/zero",
        "redis://user:word/word@host:6379/0",
        "redis://user:word@host:6379/0?socket_timeout=60",
        "redis://user:word@host:6379/0?ssl_cert_reqs=none",
        "redis://host?password=word&db=x",
        "http://user:word@host",
        "unix://",
    ],
)
def test_an_address_that_leads_nowhere_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("REDIS_URL", url)
    for start, arguments in ((serve, ["serve"]), (work, ["recommend"]), (dev.main, [])):
        assert start(arguments) == 1
        said = capsys.readouterr().err
        assert "REDIS_URL: " in said
        assert "word" not in said.replace("password", "")


def test_an_empty_value_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("PORT", "")
    assert (settings.load().redis_url, settings.load().port) == (None, 8000)


def test_models_lie_where_they_are_said_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    assert settings.load().models_dir == tmp_path / "artifacts"
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path / "elsewhere"))
    assert settings.load().models_dir == tmp_path / "elsewhere"


def test_the_launcher_knows_the_demo_catalogues_defaults() -> None:
    assert (dev.DEMO_ROWS, dev.DEMO_SEED) == (demo.DEFAULT_ROWS, demo.DEFAULT_SEED)


def test_json_logs_are_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        telemetry.configure("INFO", "json")
        stream = io.StringIO()
        handler = root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        handler.setStream(stream)
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logging.getLogger("segue.test").exception("it %s", "broke")
        event = json.loads(stream.getvalue())
        assert stream.getvalue().count("\n") == 1
        assert (event["level"], event["logger"], event["message"]) == ("error", "segue.test", "it broke")
        assert "ValueError" in event["error"]
        assert event["time"].endswith("Z")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
