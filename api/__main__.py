"""Serve the API: `python -m api serve`, on HOST and PORT, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import sys

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

import settings
import telemetry
from api.app import create_app


def main(arguments: list[str] | None = None) -> int:
    """Serve. Returns the exit code: 0 when told to leave, 1 after a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m api", description="Serve the HTTP API.")
    parser.add_argument("command", choices=["serve"])
    parser.parse_args(arguments)
    try:
        config = settings.load()
        create_app(config)  # what is wrong shows here, once, not in each of the server's processes
        if not config.is_loopback and config.auth != "off":
            raise settings.BadSettings(
                f"HOST={config.host} can be reached from other machines, and this release asks nobody for a key; "
                "set AUTH=off if something in front of it does, or HOST=127.0.0.1"
            )
    except settings.BadSettings as error:
        print(f"python -m api: {error}", file=sys.stderr)
        return 1
    telemetry.configure(config.log_level, config.log_format)
    Server(
        "api.app:from_environment",
        address=config.host,
        port=config.port,
        interface=Interfaces.WSGI,
        factory=True,
        workers=config.api_processes,
        blocking_threads=config.api_threads,
        respawn_failed_workers=True,
        workers_kill_timeout=5,
        log_level=LogLevels.debug if config.log_level == "DEBUG" else LogLevels.error,
    ).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
