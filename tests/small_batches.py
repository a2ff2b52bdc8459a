"""The command line with other bounds: `python -m tests.small_batches CHUNK=50 MOST_AWAY_S=2 batch …`."""

from __future__ import annotations

import sys

from producer.cli import batch
from producer.cli.app import main

if __name__ == "__main__":
    arguments = sys.argv[1:]
    while "=" in arguments[0]:
        name, value = arguments.pop(0).split("=")
        vars(batch)[name] = type(vars(batch)[name])(value)
    sys.exit(main(arguments))
