"""Start a worker: `python -m worker recommend`. Loads the model, then answers jobs until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import logging
import sys
from threading import Event

import settings
import telemetry
from artifacts.manifest import ModelError
from producer import connections, keys
from worker.models import HOLDER
from worker.queue_worker import QueueWorker

log = logging.getLogger("segue.worker")


def main(arguments: list[str] | None = None) -> int:
    """Run a worker. Returns the exit code: 0 when told to leave, 1 after a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Answer jobs from the queue.")
    parser.add_argument("kind", choices=["recommend"], help="recommend: recommendations, from the CURRENT model")
    parser.parse_args(arguments)
    try:
        config = settings.load()
        telemetry.configure(config.log_level, config.log_format)
        if config.redis_url is None:
            raise settings.BadSettings("REDIS_URL is not set: say which Redis holds the queue, or start with ./run.sh")
        HOLDER.load(config.models_dir)
    except (settings.BadSettings, ModelError) as error:
        print(f"python -m worker: {error}", file=sys.stderr)
        return 1
    stopping = Event()
    connection = connections.patient(config.redis_url, stopping)
    HOLDER.announce(connection)
    QueueWorker(keys.INTERACTIVE, connection, HOLDER.announce, stopping).work(logging_level="WARNING")
    return 0


if __name__ == "__main__":
    sys.exit(main())
