"""The rules of the house: who may import whom and what, what must be documented, how long a module may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rq.utils import import_attribute

from api import errors as api_errors
from artifacts import features
from producer import errors, keys, schema
from settings import ROOT, Settings
from worker.tasks import BATCHES, CALLBACKS, FUNCTIONS

ROOMS = {
    "producer": set(),
    "artifacts": set(),
    "api": {"producer"},
    "worker": {"producer", "artifacts"},
    "training": {"artifacts"},
}
"""The arrows: room → rooms that it may import. `settings` and `telemetry` are for all, mostly for entry points."""

LIBRARIES = {
    "producer": {"msgpack", "pydantic", "redis", "requests", "rq", "spotipy", "typer", "urllib3"},
    "artifacts": {"numpy", "rapidfuzz"},
    "api": {
        "flask",
        "flask_openapi3",
        "flask_openapi3_swagger",
        "granian",
        "msgpack",
        "httpx2",
        "pydantic",
        "redis",
        "werkzeug",
    },
    "worker": {"numpy", "pydantic", "redis", "requests", "rq", "spotipy", "urllib3"},
    "training": {"matplotlib", "numpy", "pandas", "pyarrow", "rich", "scipy", "sklearn", "threadpoolctl"},
}
ENTRY_POINTS = {"__main__.py", "app.py", "dataset.py", "__init__.py", "pushing.py", "recommend.py", "webhooks.py"}
LONGEST_MODULE = 350
LONGEST_LINE = 120
CLIENT = ROOT / "api" / "client"
"""A folder that works wherever it is copied to, so its modules name each other relative to it."""
COMMAND_LINE = ROOT / "producer" / "cli"
"""The producer's command line: it alone may import these, beside what its room may, and nobody imports it."""
COMMAND_LINE_MAY = {"api", "redis_server", "rich", "settings", "typer"}


def modules(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def code() -> list[Path]:
    return [*ROOT.glob("*.py"), *(path for room in ROOMS for path in modules(room))]


def imported(path: Path) -> Iterator[str]:
    """Yield the first part of each name that a module imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).split(".")[0]
        elif isinstance(node, ast.ImportFrom):
            assert path.parent == CLIENT, f"{path}: relative import"
            assert node.level == 1, path


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_along_the_arrows(room: str) -> None:
    ours = {path.stem for path in ROOT.glob("*.py")} | set(ROOMS) | {"tests", "bench"}
    for path in modules(room):
        allowed = ROOMS[room] | {room} | (COMMAND_LINE_MAY if path.is_relative_to(COMMAND_LINE) else set())
        if path.name in ENTRY_POINTS:
            allowed |= {"settings", "telemetry"}
        assert set(imported(path)) & ours <= allowed, path


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_their_libraries(room: str) -> None:
    ours = {path.stem for path in ROOT.glob("*.py")} | set(ROOMS)
    for path in modules(room):
        allowed = LIBRARIES[room] | (COMMAND_LINE_MAY if path.is_relative_to(COMMAND_LINE) else set())
        assert set(imported(path)) - ours - sys.stdlib_module_names <= allowed, path


def test_the_command_line_asks_over_http_as_everybody_does_and_nobody_needs_it() -> None:
    main = ROOT / "producer" / "__main__.py"
    for path in code():
        text = path.read_text(encoding="utf-8")
        if path.is_relative_to(COMMAND_LINE):
            assert not re.search(r"^\s*(?:from|import) api(?!\.client|  *import client\b)", text, re.M), path
        elif path != main:
            assert "producer.cli" not in text, path


def test_the_client_needs_httpx2_and_nothing_else() -> None:
    for path in CLIENT.glob("*.py"):
        assert set(imported(path)) - sys.stdlib_module_names <= {"httpx2"}, path


@pytest.mark.parametrize(
    ("entry", "must_not_load"),
    [
        ("api.app, api.__main__", {"numpy", "pandas", "sklearn", "artifacts", "worker", "httpx2", "rich", "typer"}),
        ("worker.__main__, worker.recommend", {"pandas", "sklearn", "scipy", "flask", "training", "rich", "typer"}),
        ("producer.cli.app", {"numpy", "artifacts", "flask", "httpx2", "training", "worker"}),
        (
            "worker.__main__, worker.webhooks",
            {"numpy", "pandas", "sklearn", "scipy", "flask", "training", "artifacts", "requests", "spotipy", "urllib3"},
        ),
        ("training.__main__", {"rq", "redis", "flask", "producer", "worker"}),
        ("artifacts.__main__", {"pandas", "sklearn", "scipy", "rq", "redis", "producer", "worker", "training"}),
    ],
)
def test_processes_load_no_more_than_they_need(entry: str, must_not_load: set[str]) -> None:
    program = f"import sys, {entry}; print(*{{name.split('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(loaded.stdout.split()) & must_not_load


def test_only_settings_reads_the_environment() -> None:
    for path in code():
        if path.name != "settings.py":
            assert not re.search(r"os\.environ|getenv|from os import", path.read_text(encoding="utf-8")), path


def test_no_pickle_anywhere() -> None:
    for path in code():
        assert not set(imported(path)) & {"pickle", "joblib", "marshal", "shelve", "dill"}, path


def test_functions_that_messages_name_exist() -> None:
    named = {value for name, value in vars(keys).items() if name.isupper() and str(value).startswith("worker.tasks.")}
    assert named == FUNCTIONS.keys()
    assert BATCHES.keys() <= named
    for name, function in {**FUNCTIONS, **CALLBACKS}.items():
        assert import_attribute(name) is function


def test_modules_can_be_read_in_one_sitting() -> None:
    for path in [*code(), *(ROOT / "tests").rglob("*.py")]:
        lines = len(path.read_text(encoding="utf-8").splitlines())
        limit = LONGEST_MODULE if path.is_relative_to(ROOT / "tests") is False else LONGEST_MODULE + 75
        assert lines <= limit, f"{path}: {lines} lines; it wants to be two"
    for path in (ROOT / "api" / "static").rglob("*.js"):
        text = path.read_text(encoding="utf-8").splitlines()
        assert len(text) <= LONGEST_MODULE, f"{path}: {len(text)} lines; it wants to be two"
        assert max(map(len, text)) <= LONGEST_LINE, f"{path} has a line of over {LONGEST_LINE} characters"


def test_every_setting_is_documented() -> None:
    names = {name.upper() for name in Settings.model_fields}
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", _doc("reference/settings.md"), re.M))
    assert documented == names
    assert set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M)) == names
    assert all(field.description for field in Settings.model_fields.values())


def test_every_key_and_lifetime_is_documented_with_its_value() -> None:
    ours = {name: value for name, value in vars(keys).items() if name.isupper()}
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+?) \|", _doc("reference/redis.md"), re.M))
    assert rows.keys() == ours.keys()
    for name, value in ours.items():
        assert str(value).replace("{job_id}", "<job id>") in rows[name]


def test_every_error_code_is_documented_with_its_status() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", _doc("reference/errors.md"), re.M)
    assert {code: int(status) for code, status in rows} == {c: s.value for c, (s, _) in api_errors.CODES.items()}
    for error in errors.ProducerError.__subclasses__():
        assert error.code in api_errors.CODES
        assert error.__name__ in (errors.__doc__ or "")


def test_every_error_code_is_reached_by_a_test() -> None:
    tests = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "tests" / "integration").glob("*.py"))
    for error_code in api_errors.CODES.keys() - {"internal", "bad-request"}:
        assert f'"{error_code}"' in tests, error_code


def test_every_feature_is_documented_with_its_weight() -> None:
    rows = re.findall(
        r"^\| ([a-z]+) \| .+ \| .+ \| .+ \| ([\d.]+)(?: \([γβ]\))? \|$", _doc("reference/features.md"), re.M
    )
    assert {name: float(weight) for name, weight in rows} == features.DEFAULT_WEIGHTS
    for column in features.CLUSTER:
        assert column in _doc("reference/features.md") or re.match(r"key_\d+", column)


def test_a_request_may_weigh_what_the_score_weighs() -> None:
    assert set(schema.Weights.model_fields) == set(features.DEFAULT_WEIGHTS)


@pytest.mark.parametrize("name", ["requirements", "requirements-api", "requirements-worker", "requirements-dev"])
def test_requirements_are_locked_with_hashes(name: str) -> None:
    locked = (ROOT / f"{name}.txt").read_text(encoding="utf-8")
    requirements = re.findall(r"^([A-Za-z0-9_.-]+)==\S+.*\\$", locked, re.M)
    assert len(re.findall(r"^[A-Za-z]", locked, re.M)) == len(requirements)
    assert all(
        "--hash=sha256:" in part for part in re.split(r"^(?=[A-Za-z])", locked, flags=re.M) if part[:1].isalpha()
    )
    wanted = re.findall(r"^([A-Za-z][A-Za-z0-9_.-]*)", (ROOT / f"{name}.in").read_text(encoding="utf-8"), re.M)
    assert {w.lower().replace("_", "-") for w in wanted} <= {r.lower().replace("_", "-") for r in requirements}
    assert "http" not in locked.replace("httptools", "").replace("httpx", "").replace("httpcore", "")


def _doc(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")
