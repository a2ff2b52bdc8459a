"""Serve the API: `python -m api serve`, on HOST and PORT, until SIGTERM or SIGINT; `python -m api keys`: who may."""

from __future__ import annotations

import argparse
import socket
import sys

import redis
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server import Server

import settings
import telemetry
from api import keys
from api.app import create_app
from api.auth import SCOPES
from producer import connections
from producer.errors import ProducerError, Unavailable

_SHELL_TIMEOUT_S = 3.0

_MOST_REQUESTS = 4096
"""Requests that a process takes in at once; waiting ones cost it little (api/front.py)."""


_HEADERS_MS = 15_000
"""A caller has so long to send its headers, from its first byte or from its last request on the same connection."""


class _Refused(Exception):
    """What was asked for in the shell cannot be done; the message says why."""


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say. Returns the exit code: 0 when done, 1 after a message on standard error."""
    options = _parser().parse_args(arguments)
    try:
        config = settings.load()
        if options.command == "serve":
            create_app(config)  # what is wrong shows here, once, not in each of the server's processes
            telemetry.configure(config.log_level, config.log_format)
            _needs_a_key(config)
            _serve(config)
        else:
            options.act(_connection(config), options)
    except (settings.BadSettings, ProducerError, _Refused) as error:
        print(f"python -m api: {error}", file=sys.stderr)
        return 1
    return 0


def _needs_a_key(config: settings.Settings) -> None:
    """Refuse to serve callers who all would be refused. Raises: BadSettings."""
    if not config.asks_for_keys:
        return
    try:
        if keys.exist(_connection(config)):
            return
    except Unavailable as error:
        print(f"python -m api: {error}; until it does, nobody's API key can be checked", file=sys.stderr)
        return
    why = f"HOST={config.host} can be reached from other machines" if config.auth == "auto" else "AUTH=on"
    raise settings.BadSettings(
        f"{why}, so callers need an API key, and there is none yet. Make one:\n\n    python -m api keys create NAME\n\n"
        "or set AUTH=off if something in front of this server asks who is calling"
        + (", or HOST=127.0.0.1" if config.auth == "auto" else "")
    )


def _serve(config: settings.Settings) -> None:
    _check_address(config.host, config.port)
    Server(
        "api.app:from_environment",
        address=config.host,
        port=config.port,
        interface=Interfaces.RSGI,
        websockets=False,
        backpressure=_MOST_REQUESTS,
        backlog=_MOST_REQUESTS,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADERS_MS),
        factory=True,
        workers=config.api_processes,
        respawn_failed_workers=True,
        workers_kill_timeout=5,
        log_level=LogLevels.debug if config.log_level == "DEBUG" else LogLevels.error,
    ).serve()


def _check_address(host: str, port: int) -> None:
    """See to it that nobody listens there: the server's processes share the port, so a second server could, too.

    Raises: BadSettings.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise settings.BadSettings(
            f"HOST={host}, PORT={port}: cannot listen there: {error.strerror or error}"
        ) from error


def _create(connection: redis.Redis, options: argparse.Namespace) -> None:
    key = keys.create(connection, options.name, options.scopes, options.rate, options.burst)
    print("This key is shown once; only its digest is kept. Send it as  Authorization: Bearer <key>", file=sys.stderr)
    print(key)


def _list(connection: redis.Redis, _options: argparse.Namespace) -> None:
    found = keys.list_all(connection)
    row = "{:<12}  {:<20}  {:<24}  {:>8}  {:>7}  {}".format
    print(row("id", "created", "scopes", "rate/s", "burst", "name"))
    for key in found:
        rate = "default" if key.per_s is None else f"{key.per_s:g}" if key.per_s else "any"
        burst = "default" if key.burst is None else key.burst
        print(row(key.id, key.created_at, ",".join(key.scopes), rate, burst, key.name))


def _revoke(connection: redis.Redis, options: argparse.Namespace) -> None:
    if not keys.revoke(connection, options.id):
        raise _Refused(f"there is no key {options.id!r}; python -m api keys list shows those there are")
    print(f"{options.id} is revoked; within {keys.REMEMBERED_S:.0f} s no server accepts it", file=sys.stderr)


def _connection(config: settings.Settings) -> redis.Redis:
    if config.redis_url is None:
        raise settings.BadSettings("REDIS_URL is not set: say which Redis holds the API keys")
    return connections.quick(config.redis_url, _SHELL_TIMEOUT_S)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the HTTP API; say who may call it.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve the API on HOST and PORT")
    acts = commands.add_parser("keys", help="make, list and revoke API keys").add_subparsers(required=True)
    create = acts.add_parser("create", help="make a key and show it, once")
    create.add_argument("name", type=_name, metavar="NAME", help="whose it is, or what for")
    create.add_argument(
        "--scopes", type=_scopes, default=("read", "submit"), help=f"of {', '.join(SCOPES)} (read,submit)"
    )
    create.add_argument("--rate", type=_rate, metavar="PER_S", help="jobs a second; 0: any number (RATE_PER_S)")
    create.add_argument("--burst", type=_burst, metavar="N", help="jobs at once (RATE_BURST)")
    create.set_defaults(act=_create)
    acts.add_parser("list", help="show the keys, not their secrets").set_defaults(act=_list)
    revoke = acts.add_parser("revoke", help="take a key back")
    revoke.add_argument("id", metavar="ID", help="the 12 digits after segue_")
    revoke.set_defaults(act=_revoke)
    return parser


def _name(text: str) -> str:
    if not (0 < len(text) <= 100 and text.isprintable()):
        raise argparse.ArgumentTypeError("a name has 1 to 100 printable characters")
    return text


def _scopes(text: str) -> tuple[str, ...]:
    scopes = tuple(dict.fromkeys(scope.strip() for scope in text.split(",")))
    if not set(scopes) <= SCOPES.keys():
        raise argparse.ArgumentTypeError(f"{text!r}: scopes are {', '.join(SCOPES)}, joined by commas")
    return scopes


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not (rate == 0 or settings.LEAST_RATE_PER_S <= rate <= settings.MOST_RATE_PER_S):
        raise argparse.ArgumentTypeError(
            f"{text!r}: 0 for no limit, or {settings.LEAST_RATE_PER_S} to {settings.MOST_RATE_PER_S} a second"
        )
    return rate


def _burst(text: str) -> int:
    if not (text.isdecimal() and len(text) < 10 and 1 <= int(text) <= settings.MOST_BURST):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {settings.MOST_BURST}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
