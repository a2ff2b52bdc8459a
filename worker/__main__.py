"""Start workers, which work until SIGTERM or SIGINT.

`python -m worker recommend --processes 2` answers jobs: this process loads the model and looks after those that answer
(`worker/processes.py`). `python -m worker webhooks` delivers webhooks (`worker/delivery.py`): one process, no model.
"""

from __future__ import annotations

import argparse
import sys

import settings
import telemetry


def main(arguments: list[str] | None = None) -> int:
    """Run workers. Returns the exit code: 0 when told to leave, 1 after a message on standard error."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Answer jobs, or deliver webhooks.")
    parser.add_argument(
        "kind",
        choices=["recommend", "webhooks"],
        help="recommend: recommendations, from the CURRENT model; webhooks: tell of what has ended",
    )
    parser.add_argument("--processes", type=_positive, default=1, metavar="N", help="processes that answer (1)")
    parser.add_argument("--one-by-one", action="store_true", help="work with RQ's own loop, one job at a time")
    options = parser.parse_args(arguments)
    try:
        config = settings.load()
        telemetry.configure(config.log_level, config.log_format)
        if config.redis_url is None:
            raise settings.BadSettings("REDIS_URL is not set: say which Redis holds the queue, or start with ./run.sh")
        # Imported here: the one needs numpy and the model, the other must not.
        if options.kind == "webhooks":
            from worker import webhooks

            webhooks.run(config, config.redis_url)
        else:
            from worker import recommend

            recommend.run(config, config.redis_url, options.processes, one_by_one=options.one_by_one)
    except settings.BadSettings as error:
        print(f"python -m worker: {error}", file=sys.stderr)
        return 1
    return 0


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
