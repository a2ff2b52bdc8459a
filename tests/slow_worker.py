"""A worker as it is, but for a few more functions on its allow-list, for tests of what happens in the middle of a job.

`python -m tests.slow_worker`, with the settings of `python -m worker recommend`.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from worker import __main__ as worker_main
from worker import queue_worker
from worker.tasks import ALLOWED, recommend


def nap(seconds: float) -> dict[str, Any]:
    """Take a while, then answer."""
    time.sleep(seconds)
    return recommend({"seeds": [{"name": "no such song"}], "limit": 1})


def unpackable() -> object:
    """Answer with what msgpack cannot carry."""
    return {"ok": object()}


def broken() -> None:
    """Fail, always."""
    raise RuntimeError("broken on purpose")


def poison() -> None:
    """Take the whole process along."""
    os._exit(9)


if __name__ == "__main__":
    more = {f"tests.slow_worker.{f}" for f in ("nap", "unpackable", "broken", "poison")}
    vars(queue_worker)["ALLOWED"] = ALLOWED | more
    sys.exit(worker_main.main(["recommend"]))
