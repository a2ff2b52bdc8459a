"""Settings: defaults, refusals, and who starts what with them."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

import dev
import settings
import telemetry
from api.__main__ import main as serve
from training import demo


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
        ("REDIS_URL", "127.0.0.1:6379"),
        ("QUEUE_LIMIT", "-1"),
        ("LOG_LEVEL", "LOUD"),
        ("REDIS_TIMEOUT_S", "0"),
    ],
)
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(settings.BadSettings, match=rf"{name}: .*{value}"):
        settings.load()


def test_an_empty_value_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    monkeypatch.setenv("PORT", "")
    assert (settings.load().redis_url, settings.load().port) == (None, 8000)


def test_models_lie_where_they_are_said_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGUE_HOME", str(tmp_path))
    assert settings.load().models_dir == tmp_path / "artifacts"
    monkeypatch.setenv("ARTIFACTS_DIR", str(tmp_path / "elsewhere"))
    assert settings.load().models_dir == tmp_path / "elsewhere"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::"])
def test_an_api_that_others_can_reach_does_not_start_unasked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], host: str
) -> None:
    monkeypatch.setenv("HOST", host)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    assert serve(["serve"]) == 1
    assert "AUTH=off" in capsys.readouterr().err


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
