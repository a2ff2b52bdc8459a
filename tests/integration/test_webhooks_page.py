"""The page on webhooks as it is written, and the receivers in examples/, against the service itself."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

import redis_server
import settings
from producer import endpoints, webhooks
from producer.webhooks import Webhook
from tests import services
from tests.services import running, wait_for
from tests.webhooks import CALLER, LOOPBACK, delivering, end, over

RECEIVERS = ["examples.webhook_receiver_plain", "examples.webhook_receiver_flask"]


@contextmanager
def receiving(name: str, folder: Path, *secrets: str) -> Iterator[tuple[str, Path]]:
    """Run a receiver. → its address, and the file that holds what it prints."""
    port, out = redis_server.free_port(), folder / "receiver.out"
    store = ["--store", str(folder / "webhooks.db")] if name.endswith("flask") else []
    with running(
        [sys.executable, "-m", name, "--port", str(port), *store], out, {"WEBHOOK_SECRETS": " ".join(secrets)}
    ):
        url = f"http://127.0.0.1:{port}/hook"
        wait_for(lambda: send(url, {}, b"") == 400, "the receiver")
        yield url, out


def send(url: str, headers: dict[str, str], body: bytes) -> int:
    """Post. → the status; 0: nobody there."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def told(out: Path) -> list[str]:
    """Return the lines that a receiver has printed of webhooks."""
    return [line for line in out.read_text().splitlines() if re.match(r"(job|batch|endpoint)\.", line)]


@pytest.mark.parametrize("name", RECEIVERS)
def test_the_receivers_take_what_is_signed_once(
    name: str, redis_url: str, connection: redis.Redis, tmp_path: Path
) -> None:
    mine = endpoints.caller_secret(connection, CALLER)
    other = webhooks.make_secret()
    with receiving(name, tmp_path, other, mine) as (url, out):
        with delivering(redis_url, tmp_path / "webhooks.log"):
            job_id = end(connection, Webhook(url))
            (delivery,) = over(connection)
        assert (delivery.state, delivery.tries[0].status) == ("delivered", 204)
        body = webhooks.body("job.failed", "2026-11-22T00:00:00Z", {"id": "j2", "status": "failed"})
        now = int(time.time())
        for _ in range(3):
            assert send(url, webhooks.headers([other], "msg_2", now, body), body) == 204
        for bad in (
            webhooks.headers([webhooks.make_secret()], "msg_3", now, body),
            webhooks.headers([other], "msg_3", now - 400, body),
            webhooks.headers([other], "msg_3", now, body) | {"webhook-id": "msg_4"},
            webhooks.headers([other], "msg_3", now, body) | {"webhook-timestamp": "x"},
        ):
            assert send(url, bad, body) == 400
        assert send(url, webhooks.headers([other], "msg_5", now, body), b"x" * 70_000) in (413, 0)
        assert told(out) == [f"job.succeeded {job_id} succeeded", "job.failed j2 failed"]
        assert "Traceback" not in out.read_text()


@pytest.mark.parametrize("name", RECEIVERS)
def test_a_receiver_without_a_secret_says_so(name: str, tmp_path: Path) -> None:
    environment = settings.child_environment(WEBHOOK_SECRETS="")
    done = subprocess.run([sys.executable, "-m", name], capture_output=True, text=True, env=environment, timeout=30)
    assert done.returncode == 2
    assert "WEBHOOK_SECRETS" in done.stderr


def test_the_page_does_what_it_says(tmp_path: Path, models_dir: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = (settings.ROOT / "docs" / "howto" / "webhooks.md").read_text(encoding="utf-8")
    with services.service(tmp_path, models_dir, WEBHOOK_ALLOW_NETWORKS=LOOPBACK) as service, service.worker():
        wait_for(service.is_ready, "a worker")
        secret = service.client.get("/v1/webhook-secret").json["secret"]
        with (
            receiving(RECEIVERS[0], tmp_path, secret) as (url, out),
            delivering(service.redis.url, tmp_path / "webhooks.log", quick=False),
        ):

            def here(block: str) -> str:
                return block.replace("http://127.0.0.1:8000", service.client.address).replace(
                    "http://127.0.0.1:8001/hook", url
                )

            def delivered() -> bool:
                found = service.client.get("/v1/webhook-deliveries?status=delivered").json["deliveries"]
                return len(found) >= 3

            names: dict[str, Any] = {}
            for language, block in re.findall(r"^```(sh|python)\n(.*?)^```", page, re.M | re.S):
                if language == "python":
                    exec(compile(here(block), block, "exec"), names)
                    if "webhook=hook" in block:  # a reader is slower than this, and changes no secret before
                        wait_for(delivered, "the requests' webhooks")
                elif "curl" in block:
                    done = subprocess.run(["sh", "-euc", here(block)], capture_output=True, text=True, timeout=30)
                    assert done.returncode == 0, done.stderr
                    assert '"code"' not in done.stdout, done.stdout
            names["segue"].close()
            both = {"job.succeeded", "batch.completed"}
            wait_for(lambda: {line.split()[0] for line in told(out)} >= both, "a webhook of each kind")
    assert "dead ones are sent again" in capfd.readouterr().out
