"""What each service of docker-compose.yml starts, run as written: in a virtual environment that holds that image's
requirements only, from a folder that holds that image's files only, against a real Redis. There may be no Docker here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import redis_server
import settings
from artifacts import store
from tests import containers
from tests.services import Client, running, stop, wait_for


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each image, with its files in `app` and its environment in `venv`."""
    root = tmp_path_factory.mktemp("images")
    for target in ("training", "worker", "api"):
        app = root / target / "app"
        app.mkdir(parents=True)
        for name in containers.image_copies(target):
            source = settings.ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, app / name)
        subprocess.run([sys.executable, "-m", "venv", str(root / target / "venv")], check=True)
        install = [
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--no-cache-dir",
            "--require-hashes",
            "-r",
        ]
        requirements = str(app / containers.image_requirements(target))
        subprocess.run([str(root / target / "venv/bin/python"), *install, requirements], check=True)
    return root


def start(
    images: Path, service: str, log: Path, changed: Mapping[str, str]
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """Start a service as Compose would. changed: what must differ because it is not in a container."""
    command = containers.service_command(service)
    assert command[0] == "python"
    environment = {"PATH": "/usr/bin:/bin", **containers.service_environment(service), **changed}
    return running(
        [str(images / service / "venv/bin/python"), *command[1:]], log, environment, images / service / "app"
    )


def test_the_services_work_together_as_composed(images: Path, tmp_path: Path, redis_url: str) -> None:
    models = tmp_path / "models"
    changed = {"ARTIFACTS_DIR": str(models), "REDIS_URL": redis_url, "SEGUE_HOME": str(tmp_path)}
    for _ in range(2):  # the second time there is a model already, which stays
        with start(images, "training", tmp_path / "training.log", changed) as training:
            assert training.wait(120) == 0, (tmp_path / "training.log").read_text()[-2000:]
        assert len(store.versions(models)) == 1
    port = str(redis_server.free_port())
    with (
        start(images, "worker", tmp_path / "worker.log", changed) as worker,
        start(images, "api", tmp_path / "api.log", changed | {"HOST": "127.0.0.1", "PORT": port}) as api,
    ):
        client = Client(f"http://127.0.0.1:{port}")
        wait_for(client.is_up, f"the API; see {tmp_path}/api.log")
        wait_for(lambda: client.get("/readyz").status == 200, f"readiness; see {tmp_path}/worker.log")
        seed = client.get("/v1/popular?limit=1").json["tracks"][0]
        job = client.recommend(seeds=[{"track_id": seed["track_id"]}], limit=3)
        assert len(job["result"]["tracks"]) == 3
        assert client.get("/openapi.json").status == 200
        assert stop(api) == 0
        assert stop(worker) == 0


def test_an_api_that_others_can_reach_needs_auth_off(images: Path, tmp_path: Path, redis_url: str) -> None:
    port = str(redis_server.free_port())
    changed = {"REDIS_URL": redis_url, "PORT": port, "AUTH": "on", "SEGUE_HOME": str(tmp_path)}
    assert containers.service_environment("api")["HOST"] == "0.0.0.0"
    with start(images, "api", tmp_path / "api.log", changed) as api:
        assert api.wait(20) == 1
    said = (tmp_path / "api.log").read_text()
    assert "set AUTH=off" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("service", ["api", "worker"])
def test_a_service_without_redis_url_says_so(images: Path, tmp_path: Path, service: str) -> None:
    with start(images, service, tmp_path / "log", {"REDIS_URL": "", "SEGUE_HOME": str(tmp_path)}) as process:
        assert process.wait(20) == 1
    assert "REDIS_URL" in (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_redis_is_started_with_words_that_it_understands(tmp_path: Path) -> None:
    command = containers.service_command("redis")
    assert command[0] == "valkey-server"
    port = redis_server.free_port()
    words = [*command[1:], "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    with running([str(redis_server.find_binary()), *words], tmp_path / "redis.log") as process:
        wait_for(lambda: "eady to accept connections" in (tmp_path / "redis.log").read_text(), "Redis")
        assert process.poll() is None
