"""Run all of Segue on one machine: data, model, Redis, API, workers. `./run.sh` makes its environment and calls it.

In the foreground: one line on standard output when it is ready, everything else on standard error. Ctrl-C or SIGTERM
stops it all, API first, Redis last. What dies meanwhile is started again.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, NoReturn

import redis

import redis_server
import settings
from artifacts import store
from artifacts.manifest import ModelError, demo_source, file_source

DEMO_ROWS, DEMO_SEED = 20_000, 1  # training.demo has the same; importing it would load pandas at every start
_READY_S = 120.0
_STOP_S = 10.0
_BACKOFF_S = (0.5, 1, 2, 4, 8, 16, 30)


class CannotStart(Exception):
    """Segue cannot start; the message says why and what to do."""


class _Stop(BaseException):
    """Somebody wants it to end: Ctrl-C or SIGTERM."""


@dataclass
class Child:
    """A process that is kept alive. command: arguments after the interpreter."""

    name: str
    command: list[str]
    environment: dict[str, str]
    process: subprocess.Popen[bytes] = field(init=False)
    deaths: int = 0
    started: float = 0.0
    again_at: float | None = None

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Start it, in a session of its own, so that Ctrl-C in the terminal reaches the launcher alone."""
        self.process = spawn(self.command, self.environment)
        self.started, self.again_at = time.monotonic(), None

    def look_after(self) -> None:
        """Start it again if it died; the more often it dies soon after its start, the later."""
        if self.process.poll() is None:
            return
        now = time.monotonic()
        if self.again_at is None:
            self.deaths = 0 if now - self.started > 60 else self.deaths
            pause = _BACKOFF_S[min(self.deaths, len(_BACKOFF_S) - 1)]
            say(f"{self.name} ended with {self.process.returncode}; starting it again in {pause:g} s")
            self.deaths, self.again_at = self.deaths + 1, now + pause
        elif now >= self.again_at:
            self.start()


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped. Returns the exit code: 0 when stopped, 1 after a message on standard error."""
    try:
        config = settings.load()
        options = _parser(config).parse_args(arguments)
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_number, _stop)
        home = config.segue_home.resolve()
        home.mkdir(parents=True, exist_ok=True)
        with _only_one(home), _no_leftovers(home) as register:
            _check_port(config.host, options.port)
            model_for(options, config)
            _serve(options, config, home, register)
    except _Stop:
        return 0
    except (CannotStart, settings.BadSettings, ModelError, redis_server.NoServer, OSError) as error:
        print(f"segue: {error}", file=sys.stderr)
        return 1
    return 0


def spawn(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a Python process of ours; it ends with the launcher."""
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=settings.ROOT,
        env=environment,
        stdout=sys.stderr,
        start_new_session=True,
        preexec_fn=redis_server.die_with_parent,
    )


def model_for(options: argparse.Namespace, config: settings.Settings) -> None:
    """See to it that CURRENT is a model of what was asked for: reuse one, or train it.

    Without --data and --demo: the model in service if it is of real tracks; else the data set that is there or can be
    downloaded; else the demo catalogue. Raises: CannotStart, ModelError.
    """
    root = config.models_dir
    if options.data is not None:
        if not options.data.is_file():
            raise CannotStart(f"--data {options.data}: no such file")
        return _reuse_or_train(root, file_source(options.data), ["--data", str(options.data.resolve())])
    if options.demo is None:
        if (version := store.usable(root)) and not store.manifest_of(root, version).synthetic:
            return say(f"model {version} is there already")
        data = config.segue_home / "data" / "dataset.csv"
        if data.is_file() or _downloaded(config, data):
            return _reuse_or_train(root, file_source(data), ["--data", str(data.resolve())])
        say("going on with the demo catalogue: its songs are invented")
    rows = options.demo or DEMO_ROWS
    return _reuse_or_train(root, demo_source(rows, DEMO_SEED), ["--demo", str(rows)])


def _reuse_or_train(root: Path, source: dict[str, object], arguments: list[str]) -> None:
    if version := store.find(root, source):
        store.promote(root, version)
        return say(f"model {version} is there already")
    command = ["-m", "training", *arguments, "--artifacts", str(root.resolve())]
    process = spawn(command, settings.child_environment())
    try:
        if process.wait() != 0:
            raise CannotStart("training failed; what it said stands above")
    finally:
        _end([process])


def _downloaded(config: settings.Settings, path: Path) -> bool:
    """Try to download the data set, in a process of its own that shows its progress. → whether it is there."""
    say(f"no data yet: downloading {config.dataset_url} (20 MB; --demo does without)")
    process = spawn(["-m", "training.dataset", config.dataset_url, str(path.resolve())], settings.child_environment())
    try:
        return process.wait() == 0
    finally:
        _end([process])


def _serve(
    options: argparse.Namespace, config: settings.Settings, home: Path, register: Callable[[list[int]], None]
) -> None:
    own: redis_server.RedisServer | None = None
    children: list[Child] = []
    try:
        if config.redis_url is None:
            own = redis_server.start(home / "redis")
            register([own.process.pid])
        else:
            _check_redis(config.redis_url)
        url = own.url if own else str(config.redis_url)
        environment = settings.child_environment(
            REDIS_URL=url, ARTIFACTS_DIR=str(config.models_dir.resolve()), HOST=config.host, PORT=str(options.port)
        )
        children += [
            Child(f"worker {n}", ["-m", "worker", "recommend"], environment) for n in range(1, options.workers + 1)
        ]
        _check_port(config.host, options.port)
        children.append(Child("api", ["-m", "api", "serve"], environment))
        pids = [own.process.pid] if own else []
        register([*pids, *(child.process.pid for child in children)])
        everywhere = config.host in ("0.0.0.0", "::")  # noqa: S104 — to say where it can be reached
        host = "127.0.0.1" if everywhere else config.host
        address = f"http://{f'[{host}]' if ':' in host else host}:{options.port}"
        _wait_until_ready(f"{address}/readyz", children)
        print(f"Segue is ready: {address}", flush=True)
        while True:
            time.sleep(0.2)
            if own and own.process.poll() is not None:
                say(f"Redis ended with {own.process.returncode}; starting it again")
                own.restart()
            for child in children:
                child.look_after()
            register([*([own.process.pid] if own else []), *(child.process.pid for child in children)])
    finally:
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_number, signal.SIG_IGN)  # a second Ctrl-C must not leave half of it running
        say("stopping")
        _end([child.process for child in reversed(children)])
        if own and own.process.poll() is None:
            own.stop(_STOP_S)
        register([])


def _wait_until_ready(url: str, children: list[Child]) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        for child in children:
            if child.process.poll() is not None:
                raise CannotStart(f"{child.name} ended with {child.process.returncode}; what it said stands above")
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 — our own http://
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise CannotStart(f"{url} did not become ready within {_READY_S:.0f} s") from None
        time.sleep(0.1)


def _check_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise CannotStart(f"REDIS_URL is set, but that server does not answer: {error}") from error


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for candidate in range(port, min(port + 100, 65536)):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, candidate))
            except PermissionError as error:
                raise CannotStart(f"port {candidate} may not be used by this user; try --port 8000") from error
            except OSError:
                continue
        if candidate == port:
            return
        raise CannotStart(f"port {port} is taken; port {candidate} is free: ./run.sh --port {candidate}")
    raise CannotStart(f"ports {port} to {port + 99} are taken; choose another with --port")


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the lock of this SEGUE_HOME. Raises: CannotStart if another launcher holds it."""
    with (home / "launcher.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Segue runs already from {home}{_pid_in(lock)}; stop it, or set SEGUE_HOME to another folder"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _pid_in(lock: IO[str]) -> str:
    lock.seek(0)
    return f" (process {pid})" if (pid := lock.read(20).strip()) else ""


@contextmanager
def _no_leftovers(home: Path) -> Iterator[Callable[[list[int]], None]]:
    """End what a launcher that was killed left running (where the kernel did not); yield how to note what runs now."""
    path = home / "processes.json"
    noted: list[int] = []
    with suppress(OSError, ValueError):  # no file, or written halfway: then the kernel's word counts
        noted = [int(pid) for pid in json.loads(path.read_text())]
    for pid in noted:
        if _is_ours(pid, home):
            say(f"ending process {pid}, left by a launcher that was killed")
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while any(_is_ours(pid, home) for pid in noted) and time.monotonic() < deadline:
        time.sleep(0.1)
    written: list[int] = []

    def register(pids: list[int]) -> None:
        nonlocal written
        if pids != written:
            path.write_text(json.dumps(pids))
            written = pids

    yield register


def _is_ours(pid: int, home: Path) -> bool:
    """Whether `pid` is a process of Segue's: a number may have been given to somebody else since."""
    try:
        shown = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)],  # noqa: S607 — wherever the system keeps it
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return any(mark in shown.stdout for mark in ("-m worker recommend", "-m api serve", str(home / "redis")))


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask processes to leave, then make them."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    deadline = time.monotonic() + _STOP_S
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def say(what: str) -> None:
    """Tell the person at the terminal."""
    print(f"segue: {what}", file=sys.stderr, flush=True)


def _stop(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise _Stop


def _parser(config: settings.Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./run.sh", description="Run Segue on this machine.")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--data", type=Path, metavar="FILE", help="a data set: .csv, .csv.gz or .parquet")
    what.add_argument(
        "--demo", type=_positive, nargs="?", const=DEMO_ROWS, metavar="N", help=f"N invented tracks ({DEMO_ROWS:,})"
    )
    parser.add_argument("--port", type=_port, default=config.port, help=f"port of the API ({config.port})")
    parser.add_argument(
        "--workers", type=_positive, default=config.workers, metavar="N", help=f"worker processes ({config.workers})"
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port (1–65535)")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
