"""What the end-to-end tests share: a fresh copy of the project, as somebody who has just cloned it has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

import settings


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's files, as git knows them, changes in the work tree included, in a folder of their own."""
    target = tmp_path_factory.mktemp("clone") / "se gue"  # a space: paths have them
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=settings.ROOT,
        capture_output=True,
        check=True,
    ).stdout
    for name in listed.decode().split("\0"):
        if name and (settings.ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(settings.ROOT / name, target / name)
    return target


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One SEGUE_HOME for all: the first test to start something installs the requirements, as a user's first does."""
    return tmp_path_factory.mktemp("home")
