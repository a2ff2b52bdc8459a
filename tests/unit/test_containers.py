"""The Dockerfile and docker-compose.yml: sound by the rules of others, and true to what the design promises."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from settings import Settings
from tests.containers import (
    COMPOSE_FILE,
    DOCKERFILE,
    ROOT,
    compose_document,
    compose_services,
    exec_form,
    image_command,
    image_copies,
    image_instructions,
    image_requirements,
    service_command,
    service_environment,
    variables,
)

# What each image is made of: its engine, and what the design's arrows let that engine import.
CONTENTS = {
    "api": {"requirements-api.txt", "settings.py", "telemetry.py", "producer", "api"},
    "worker": {"requirements-worker.txt", "settings.py", "telemetry.py", "producer", "artifacts", "worker"},
    "training": {"requirements.txt", "settings.py", "telemetry.py", "artifacts", "training"},
}
OUR_SERVICES = {"training", "worker", "webhooks", "api"}


def run_beside_python(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a tool that requirements-dev.txt installed into the environment of this test."""
    executable = Path(sys.executable).parent / tool
    return subprocess.run([executable, *arguments], capture_output=True, text=True, check=False, timeout=60)


def hadolint(dockerfile: Path) -> subprocess.CompletedProcess[str]:
    # Even matters of style count, and no comment in the file can switch a rule off.
    return run_beside_python("hadolint", "--no-color", "--disable-ignore-pragma", "-t", "style", dockerfile)


def check_schema(compose_file: Path) -> subprocess.CompletedProcess[str]:
    return run_beside_python("check-jsonschema", "--builtin-schema", "vendor.compose-spec", compose_file)


def edited(original: Path, old: str, new: str, folder: Path) -> Path:
    """Write a copy of a file in which the first `old`, which must be there, became `new`."""
    text = original.read_text()
    assert old in text
    copy = folder / original.name
    copy.write_text(text.replace(old, new, 1))
    return copy


# The Dockerfile


def test_hadolint_finds_nothing_in_the_dockerfile() -> None:
    outcome = hadolint(DOCKERFILE)
    assert (outcome.returncode, outcome.stdout) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("python:3.12.12-slim-bookworm AS base", "python:latest AS base", "DL3007"),
        ("pip install --no-cache-dir --require-hashes -r requirements-api.txt", "pip install flask", "DL3013"),
        ('CMD ["python", "-m", "api", "serve"]', "CMD python -m api serve", "DL3025"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ("WORKDIR /app", "WORKDIR app", "DL3000"),
        ("RUN groupadd", "RUN groupadd $GROUP", "SC2086"),
        ("WORKDIR /app", "WORKDIRECTORY /app", "missing whitespace"),
    ],
)
def test_hadolint_rejects_a_broken_dockerfile(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    outcome = hadolint(edited(DOCKERFILE, old, new, tmp_path))
    assert outcome.returncode == 1
    assert complaint in outcome.stdout + outcome.stderr


@pytest.mark.parametrize("target", CONTENTS)
def test_an_image_copies_what_it_may_and_no_more(target: str) -> None:
    copies = image_copies(target)
    assert sorted(copies) == sorted(CONTENTS[target])


@pytest.mark.parametrize("target", CONTENTS)
def test_an_image_copies_whatever_its_code_imports(target: str) -> None:
    rooms = set().union(*CONTENTS.values())
    imported = {f"{name}.py" if f"{name}.py" in rooms else name for name in imports(image_copies(target))}
    assert imported & rooms <= CONTENTS[target]


IGNORED = {"producer/cli", "producer/__main__.py"}
"""What no image has, of the folders that they copy."""


def imports(sources: list[str]) -> set[str]:
    """Return the first part of the name of every module that these files and folders import."""
    names: set[str] = set()
    for source in sources:
        for file in [ROOT / source] if source.endswith(".py") else (ROOT / source).rglob("*.py"):
            if any(file.is_relative_to(ROOT / ignored) for ignored in IGNORED):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.split(".")[0])
    return names


def test_the_builder_is_sent_what_the_images_copy_and_no_more() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set().union(*CONTENTS.values())
    assert set(rules) >= IGNORED


@pytest.mark.parametrize("target", CONTENTS)
def test_an_image_installs_its_own_requirements_by_hash(target: str) -> None:
    requirements = image_requirements(target)
    assert requirements in CONTENTS[target]
    assert (ROOT / requirements).is_file()
    assert ("RUN", f"pip install --no-cache-dir --require-hashes -r {requirements}") in image_instructions(target)


@pytest.mark.parametrize("target", CONTENTS)
def test_an_image_starts_a_module_that_exists(target: str) -> None:
    assert_starts_a_module(image_command(target), CONTENTS[target])


def assert_starts_a_module(command: list[str], contents: set[str]) -> None:
    """Assert that `python -m module …` names a module that can be run and that the image has."""
    assert command[:2] == ["python", "-m"]
    assert command[2] in contents
    assert (ROOT / command[2] / "__main__.py").is_file()


@pytest.mark.parametrize("target", CONTENTS)
def test_an_image_does_not_run_as_root(target: str) -> None:
    users = [rest for keyword, rest in image_instructions(target) if keyword == "USER"]
    assert users == ["10001:10001"]


@contextmanager
def answering(status: int) -> Iterator[int]:
    """Serve every request with this status on a free port of the loopback, which is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_the_health_check_asks_livez_past_any_proxy(status: int, healthy: bool) -> None:
    [check] = [rest for keyword, rest in image_instructions("api") if keyword == "HEALTHCHECK"]
    command = exec_form(check.partition("CMD ")[2])
    with answering(status) as port:
        env = os.environ | {"PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
        outcome = subprocess.run([sys.executable, *command[1:]], env=env, capture_output=True, check=False, timeout=30)
    assert (outcome.returncode == 0) is healthy


# docker-compose.yml


def test_the_compose_file_follows_the_compose_specification() -> None:
    outcome = check_schema(COMPOSE_FILE)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("stop_grace_period:", "stop_grace:", "'stop_grace' was unexpected"),
        ("condition: service_healthy", "condition: service_well", "'service_well' is not one of"),
        ('command: ["--demo", "--if-missing"]', "command: {demo: true}", "{'demo': True} is not valid"),
        ("\nservices:", "\nservices: ]", "failed to parse"),
    ],
)
def test_the_schema_rejects_a_broken_compose_file(old: str, new: str, complaint: str, tmp_path: Path) -> None:
    outcome = check_schema(edited(COMPOSE_FILE, old, new, tmp_path))
    assert outcome.returncode == 1
    assert complaint in outcome.stdout + outcome.stderr


def test_services_refer_to_what_there_is() -> None:
    document = compose_document()
    services = document["services"]
    for service in services.values():
        for name, dependency in service.get("depends_on", {}).items():
            if dependency["condition"] == "service_healthy":
                assert "healthcheck" in services[name]
            else:
                assert dependency["condition"] == "service_completed_successfully"
                assert "restart" not in services[name]  # what is started again never completes
        for volume in service.get("volumes", []):
            assert volume.split(":")[0] in document["volumes"]


def test_we_know_every_service() -> None:
    assert compose_services().keys() == OUR_SERVICES | {"redis"}


@pytest.mark.parametrize("service", sorted(OUR_SERVICES))
def test_a_service_starts_a_module_that_exists(service: str) -> None:
    target = compose_services()[service]["build"]["target"]
    assert_starts_a_module(service_command(service), CONTENTS[target])


def test_training_makes_a_demo_model_only_if_there_is_none() -> None:
    assert service_command("training") == ["python", "-m", "training", "--demo", "--if-missing"]


@pytest.mark.parametrize("service", sorted(OUR_SERVICES))
def test_a_service_gets_settings_that_exist_and_are_valid(service: str) -> None:
    environment = {name.lower(): value for name, value in compose_services()[service]["environment"].items()}
    assert environment.keys() <= Settings.model_fields.keys()
    Settings.model_validate(environment)
    assert Path(service_environment(service)["ARTIFACTS_DIR"]) == Path("/artifacts")


def test_defaults_are_those_of_the_settings() -> None:
    for name, default in variables().items():
        assert default == str(Settings.model_fields[name.lower()].default)


def test_only_the_api_is_published_and_only_to_this_machine() -> None:
    published = {name: service["ports"] for name, service in compose_services().items() if "ports" in service}
    assert published == {"api": ["127.0.0.1:8000:8000"]}
    assert compose_services(env={"PORT": "9000"})["api"]["ports"] == ["127.0.0.1:9000:8000"]
    assert not any("network_mode" in service for service in compose_services().values())


def test_redis_keeps_accepted_jobs() -> None:
    words = service_command("redis")[1:]
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert "redis:/data" in compose_services()["redis"]["volumes"]


def test_one_container_runs_as_many_workers_as_asked_for() -> None:
    assert "deploy" not in compose_services()["worker"]
    assert service_command("worker")[-2:] == ["--processes", "2"]
    assert service_command("worker", env={"WORKERS": "5"})[-2:] == ["--processes", "5"]


def test_only_training_writes_models() -> None:
    mounts = {
        name: volume.removeprefix("artifacts:/artifacts")
        for name, service in compose_services().items()
        for volume in service.get("volumes", [])
        if volume.startswith("artifacts:")
    }
    assert mounts == {"training": "", "worker": ":ro", "api": ":ro"}


@pytest.mark.parametrize("service", sorted(OUR_SERVICES | {"redis"}))
def test_a_service_gives_up_what_it_does_not_need(service: str) -> None:
    configured = compose_services()[service]
    assert configured["read_only"] is True
    assert configured["cap_drop"] == ["ALL"]
    assert configured["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in configured


# The readers themselves


def test_an_entry_point_drops_the_command_of_an_earlier_stage(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        'FROM alpine:3 AS base\nCMD ["old"]\n'
        'FROM base AS inherits\nUSER 1\nFROM base AS replaces\nENTRYPOINT ["new"]\n'
        'FROM replaces AS both\nCMD ["--flag"]\n'
    )
    assert image_command("inherits", dockerfile) == ["old"]
    assert image_command("replaces", dockerfile) == ["new"]
    assert image_command("both", dockerfile) == ["new", "--flag"]


@pytest.mark.parametrize(
    "text",
    [
        "FROM alpine:3\n",
        "FROM alpine:3 AS other\n",
        "FROM alpine:3 AS image\nCMD sleep 1\n",
    ],
)
def test_a_dockerfile_that_cannot_be_read_is_not_guessed_at(text: str, tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(text)
    with pytest.raises(ValueError, match=r"AS name|no stage|exec form"):
        image_command("image", dockerfile)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("${LOG_LEVEL:-INFO}", "${LOG_LEVEL:-INFO", "written wrongly"),
        ("${LOG_LEVEL:-INFO}", "$LOG_LEVEL", "without a default"),
        ("    user: valkey", "    user: valkey\n    user: root", "twice"),
    ],
)
def test_a_compose_file_that_compose_would_refuse_is_refused(
    old: str, new: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=complaint):
        compose_services(edited(COMPOSE_FILE, old, new, tmp_path))
