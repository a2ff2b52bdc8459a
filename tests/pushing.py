"""`push`, as tests run it: in this process, or in one of its own against a fake account."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import redis_server
import settings
from producer.cli.push import register
from producer.spotify_login import TokenFile
from tests.fakes.spotify_account_server import CLIENT_ID, FakeAccount

app = typer.Typer()
register(app)


def uris(count: int) -> list[str]:
    """Return that many URIs of songs."""
    return [f"spotify:track:{number:022d}" for number in range(count)]


class Pusher:
    """Someone with a file to push, and an account."""

    def __init__(self, fake: FakeAccount, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fake, self.folder = fake, folder
        self.port = redis_server.free_port()
        self.token_file = folder / "home" / "spotify-account.json"
        fake.redirect_uris.add(f"http://127.0.0.1:{self.port}/callback")
        self.environment = {
            "SEGUE_HOME": str(folder / "home"),
            "SPOTIPY_CLIENT_ID": CLIENT_ID,
            "SPOTIFY_API_URL": fake.api_url,
            "SPOTIFY_ACCOUNTS_URL": fake.address,
            "SPOTIFY_REDIRECT_PORT": str(self.port),
        }
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)

    def file(self, songs: Sequence[str], name: str = "mix.txt") -> Path:
        """Write a file, a song a line."""
        path = self.folder / name
        path.write_text("\n".join(songs) + "\n", encoding="utf-8")
        return path

    def logged_in(self, lasts_s: float = 3600) -> None:
        """Have a permission that lasts for so long."""
        token = self.fake.new_tokens() | {"expires_at": int(time.time() + lasts_s)}
        TokenFile(self.token_file, CLIENT_ID).save_token_to_cache(token)

    def push(self, *arguments: str | Path, types: str = "") -> Result:
        """Run it here. types: what the user does."""
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=types)

    @contextmanager
    def pasting(self, file: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """Run it in a process of its own, with `--paste`. → it, and the address that it asks to open."""
        with self.pushing(file, "--paste", stdin=subprocess.PIPE) as process:
            assert process.stderr
            said = ""
            while "Paste that" not in said and (line := process.stderr.readline()):
                said += line
            yield process, address_in(said)

    @contextmanager
    def pushing(
        self, *arguments: str | Path, stdin: int = subprocess.DEVNULL, **environment: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Run it in a process of its own."""
        with subprocess.Popen(
            [sys.executable, "-m", "producer", "push", *map(str, arguments)],
            cwd=settings.ROOT,
            env=settings.child_environment(**self.environment, **environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()


def address_in(text: str) -> str:
    """Return the address that the user is asked to open."""
    found = re.search(r"^http://\S+/authorize\?\S+$", text, re.M)
    assert found, text
    return found[0]
