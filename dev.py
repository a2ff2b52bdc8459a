"""Run all of Segue on one machine: data, model, Redis, API, workers. `./run.sh` makes its environment and calls it.

In the foreground: one line on standard output when it is ready, everything else on standard error. Ctrl-C or SIGTERM
stops it all, Redis last. What dies meanwhile is started again.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

import redis

import redis_server
import settings
from artifacts import store
from artifacts.manifest import ModelError, demo_source, file_source
from dev_processes import STOP_S, CannotStart, Child, end, no_leftovers, only_one, say, spawn
from producer import fallback

DEMO_ROWS, DEMO_SEED = 20_000, 1  # training.demo has the same; importing it would load pandas at every start
_READY_S = 120.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands before this machine itself


class _Stop(BaseException):
    """Somebody wants it to end: Ctrl-C or SIGTERM."""


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped. Returns the exit code: 0 when stopped, 1 after a message on standard error."""
    try:
        config = settings.load()
        options = _parser(config).parse_args(arguments)
        for signal_number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signal_number, _stop)
        home = config.segue_home.resolve()
        home.mkdir(parents=True, exist_ok=True)
        with only_one(home), no_leftovers(home) as register:
            _check_port(config.host, options.port)
            _delete_old_environments(home)
            model_for(options, config)
            _serve(options, config, home, register)
    except _Stop:
        return 0
    except (CannotStart, settings.BadSettings, ModelError, redis_server.NoServer, OSError) as error:
        print(f"segue: {error}", file=sys.stderr)
        return 1
    return 0


def _delete_old_environments(home: Path) -> None:
    """Delete the virtual environments of earlier requirements: with the lock held, nobody runs from one."""
    for old in home.glob("venv-*"):
        if old.resolve() != Path(sys.prefix).resolve():
            shutil.rmtree(old, ignore_errors=True)


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
            try:
                return _reuse_or_train(root, file_source(data), ["--data", str(data.resolve())])
            except CannotStart:
                data.unlink()
                say("what was downloaded is of no use; it is deleted, and the next start may try again")
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
        end([process])


def _downloaded(config: settings.Settings, path: Path) -> bool:
    """Try to download the data set, in a process of its own that shows its progress. → whether it is there."""
    say(f"no data yet: downloading {config.dataset_url} (20 MB; --demo does without)")
    process = spawn(["-m", "training.dataset", config.dataset_url, str(path.resolve())], settings.child_environment())
    try:
        return process.wait() == 0
    finally:
        end([process])


def _serve(
    options: argparse.Namespace, config: settings.Settings, home: Path, register: Callable[[list[int]], None]
) -> None:
    own: redis_server.RedisServer | None = None
    children: list[Child] = []
    try:
        if config.redis_url is None:
            own = redis_server.start(home / "redis")
            register([own.process.pid])
            # What a launcher that was killed left there: it would have us say that we are ready with its model.
            with redis.Redis.from_url(own.url) as client:
                fallback.forget(client)
        else:
            _check_redis(config.redis_url)
        url = own.url if own else str(config.redis_url)
        environment = settings.child_environment(
            REDIS_URL=url, ARTIFACTS_DIR=str(config.models_dir.resolve()), HOST=config.host, PORT=str(options.port)
        )
        workers = ["-m", "worker", "recommend", "--processes", str(options.workers)]
        children.append(Child("worker", workers, environment))
        _check_port(config.host, options.port)
        children.append(Child("webhooks", ["-m", "worker", "webhooks"], environment))
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
        end([child.process for child in reversed(children)])
        if own and own.process.poll() is None:
            own.stop(STOP_S)
        register([])


def _wait_until_ready(url: str, children: list[Child]) -> None:
    deadline = time.monotonic() + _READY_S
    while True:
        for child in children:
            if child.process.poll() is not None:
                raise CannotStart(f"{child.name} ended with {child.process.returncode}; what it said stands above")
        try:
            with _DIRECT.open(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise CannotStart(f"{url} did not become ready within {_READY_S:.0f} s") from None
        time.sleep(0.1)


def _check_redis(url: str) -> None:
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3) as client:
            version = str(client.info("server")["redis_version"])
            policy = client.config_get("maxmemory-policy").get("maxmemory-policy", "noeviction")
    except (redis.RedisError, ValueError) as error:
        raise CannotStart(f"REDIS_URL is set, but that server does not answer: {error}") from error
    if tuple(int(part) for part in version.split(".")[:2]) < redis_server.OLDEST:
        raise CannotStart(f"REDIS_URL is set, but that server is {version}; Segue needs Redis 6.2 or Valkey 7.2")
    if policy != "noeviction":
        say(f"warning: that Redis evicts ({policy}): it may forget jobs; set maxmemory-policy noeviction")


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
