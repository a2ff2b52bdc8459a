"""What the Dockerfile and docker-compose.yml say, read without a container engine.

Only as much of the two languages as these two files use; anything else raises ValueError rather than being guessed at.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
DOCKERFILE = ROOT / "Dockerfile"
COMPOSE_FILE = ROOT / "docker-compose.yml"

Instruction = tuple[str, str]  # ("COPY", "api/ api/"): the keyword in capitals, and the rest of its line

_FROM = re.compile(r"(?P<base>\S+) AS (?P<name>\S+)")
_VARIABLE = re.compile(r"\$\{(?P<name>\w+):-(?P<default>[^{}$]*)\}")


def stages(dockerfile: Path = DOCKERFILE) -> dict[str, tuple[str, list[Instruction]]]:
    """Return each stage by name: what it starts from (an image or another stage) and its own instructions."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, tuple[str, list[Instruction]]] = {}
    instructions: list[Instruction] = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        keyword, _, rest = line.strip().partition(" ")
        if keyword.upper() == "FROM":
            match = _FROM.fullmatch(rest.strip())
            if match is None:
                raise ValueError(f"not of the form FROM base AS name: {line}")
            instructions = []
            found[match["name"]] = match["base"], instructions
        else:
            instructions.append((keyword.upper(), rest.strip()))
    return found


def image_instructions(target: str, dockerfile: Path = DOCKERFILE) -> list[Instruction]:
    """Return all that is done to make the image `target`, from its base image on."""
    known = stages(dockerfile)
    instructions: list[Instruction] = []
    name = target
    while name in known:
        name, own = known[name]
        # As Docker does it: an entry point drops the command that an earlier stage left.
        if any(keyword == "ENTRYPOINT" for keyword, _ in instructions):
            own = [instruction for instruction in own if instruction[0] != "CMD"]
        instructions = own + instructions
    if name == target:
        raise ValueError(f"{dockerfile.name} has no stage {target}")
    return instructions


def image_command(target: str, dockerfile: Path = DOCKERFILE) -> list[str]:
    """Return what `docker run` of the image starts: its entry point and its command."""
    entrypoint, command = _entrypoint_and_command(target, dockerfile)
    return entrypoint + command


def image_requirements(target: str, dockerfile: Path = DOCKERFILE) -> str:
    """Return the name of the one requirements file that is installed in the image."""
    runs = [shlex.split(rest) for keyword, rest in image_instructions(target, dockerfile) if keyword == "RUN"]
    installs = [words for words in runs if words[:2] == ["pip", "install"]]
    if len(installs) != 1 or installs[0].count("-r") != 1:
        raise ValueError(f"{target} does not run `pip install -r` once")
    return installs[0][installs[0].index("-r") + 1]


def image_copies(target: str, dockerfile: Path = DOCKERFILE) -> list[str]:
    """Return the files and folders of the repository that are copied into the image, without a slash at the end."""
    copies: list[str] = []
    for keyword, rest in image_instructions(target, dockerfile):
        if keyword == "ADD":
            raise ValueError(f"{target} uses ADD, which also fetches and unpacks: {rest}")
        words = shlex.split(rest)
        if keyword == "COPY" and not any(word.startswith("--from=") for word in words):
            copies += [word.rstrip("/") for word in words[:-1] if not word.startswith("--")]
    return copies


def image_environment(target: str, dockerfile: Path = DOCKERFILE) -> dict[str, str]:
    """Return the environment variables that the image sets."""
    words = [shlex.split(rest) for keyword, rest in image_instructions(target, dockerfile) if keyword == "ENV"]
    return dict(word.split("=", 1) for line in words for word in line)


def exec_form(rest: str) -> list[str]:
    """Parse `["python", "-m", "api"]`. The other form would put a shell between Docker's SIGTERM and the program."""
    try:
        words = json.loads(rest)
    except json.JSONDecodeError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"not in exec form: {rest}")
    return words


def compose_services(compose_file: Path = COMPOSE_FILE, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the services by name. env: what `.env` would hold; None: nothing, so that all defaults hold."""
    services: dict[str, Any] = compose_document(compose_file, env)["services"]
    return services


def compose_document(compose_file: Path = COMPOSE_FILE, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the whole Compose file with merge keys and variables resolved."""
    document: dict[str, Any] = _interpolate(_parse(compose_file), env or {})
    return document


def service_command(
    service: str,
    compose_file: Path = COMPOSE_FILE,
    dockerfile: Path = DOCKERFILE,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """Return what Compose starts for a service; where it builds nothing, its own words without the image's."""
    configured = compose_services(compose_file, env)[service]
    entrypoint: list[str] = []
    command: list[str] = []
    if "build" in configured:
        entrypoint, command = _entrypoint_and_command(configured["build"]["target"], dockerfile)
    if "entrypoint" in configured:
        entrypoint, command = _words(configured["entrypoint"]), []
    if "command" in configured:
        command = _words(configured["command"])
    return entrypoint + command


def service_environment(
    service: str,
    compose_file: Path = COMPOSE_FILE,
    dockerfile: Path = DOCKERFILE,
    env: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the environment variables that a service's image and Compose set, Compose's winning."""
    configured = compose_services(compose_file, env)[service]
    own = {name: str(value) for name, value in configured.get("environment", {}).items()}
    return image_environment(configured["build"]["target"], dockerfile) | own if "build" in configured else own


def variables(compose_file: Path = COMPOSE_FILE) -> dict[str, str]:
    """Return the variables that the Compose file takes from `.env`, with their defaults."""
    return {match["name"]: match["default"] for match in _VARIABLE.finditer(json.dumps(_parse(compose_file)))}


def _entrypoint_and_command(target: str, dockerfile: Path) -> tuple[list[str], list[str]]:
    last = dict(image_instructions(target, dockerfile))
    return exec_form(last.get("ENTRYPOINT", "[]")), exec_form(last.get("CMD", "[]"))


def _words(value: str | list[str]) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else [str(word) for word in value]


def _parse(compose_file: Path) -> Any:
    return _UniqueKeyLoader(compose_file.read_text()).get_single_data()


def _interpolate(node: Any, env: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _interpolate(value, env) for key, value in node.items()}
    if isinstance(node, list):
        return [_interpolate(value, env) for value in node]
    if not isinstance(node, str):
        return node
    if "$" in _VARIABLE.sub("", node):
        raise ValueError(f"a variable without a default, or one written wrongly: {node}")
    return _VARIABLE.sub(lambda match: env.get(match["name"]) or match["default"], node)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key given twice in one map, as Compose does; PyYAML itself lets the later one win."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        if repeated:
            raise ValueError(f"given twice in one map: {', '.join(repeated)}{node.start_mark}")
        return node
