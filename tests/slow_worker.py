"""A worker as it is, but for a few more functions on its allow-list, for tests of what happens in the middle of a job.

Its playlists take _STAGE_S longer for each stage.

`python -m tests.slow_worker`, with the settings and options of `python -m worker recommend`.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from worker import __main__ as worker_main
from worker import progress
from worker.reporting import Report
from worker.tasks import FUNCTIONS, recommend

_STAGE_S = 0.4


def nap(payload: float | dict[str, float]) -> dict[str, Any]:
    """Take a while, then answer. payload: seconds, or {"seconds"} as `producer.queue.submit` sends it."""
    time.sleep(payload["seconds"] if isinstance(payload, dict) else payload)
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


def who() -> dict[str, Any]:
    """Say which process this is; slowly, so that another one takes the next such job."""
    time.sleep(0.1)
    return {"ok": {"process": os.getpid()}}


def hang() -> None:
    """Never return, in C code that keeps the interpreter's lock and looks at no signal."""
    sum(range(10**15))


def hog(megabytes: int) -> dict[str, Any]:
    """Take memory bit by bit, and fill it; then say which process this is."""
    taken = [b"x" * 2**20 for _ in range(megabytes)]
    return {"ok": {"process": os.getpid(), "taken": len(taken)}}


def slowly(stage: str, fraction: float, report: Report = progress.report) -> None:
    """Say how far the job is, as a worker does, and take a while for it."""
    report(stage, fraction)
    time.sleep(_STAGE_S)


if __name__ == "__main__":
    vars(progress).update(report=slowly)
    ours = (nap, unpackable, broken, poison, who, hang, hog)
    FUNCTIONS.update({f"tests.slow_worker.{function.__name__}": function for function in ours})
    sys.exit(worker_main.main(["recommend", *sys.argv[1:]]))
