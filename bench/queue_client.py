"""Put jobs into a queue, in a process of its own: `python -m bench.queue_client ADAPTER`, told what by its input.

Runs in the peer's environment; imports nothing but its adapter. A line in is a JSON object: `what` and its arguments;
a line out is what came of it.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from bench import queue_work as work

Submit = Callable[[str, work.Payload], Any]
"""What an adapter's `client()` returns: queues a job of a kind. May be a coroutine function, and so may `client`."""


async def fill(submit: Submit, kind: str, first: int, most: int, seconds: float) -> dict[str, float]:
    """Queue jobs one after the other, `most` at most, for `seconds` at most. first: the number of the first.

    → jobs: how many; wall_us, cpu_us: of this process, each.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    number = 0
    while number < most and time.perf_counter() - wall < seconds:
        await _submit(submit, kind, first + number)
        number += 1
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"jobs": number, "wall_us": wall / number * 1e6, "cpu_us": cpu / number * 1e6}


async def pace(submit: Submit, kind: str, first: int, rate: float, seconds: float) -> dict[str, list[float]]:
    """Queue jobs at a fixed rate, however long they take (open loop). rate: jobs a second.

    → due: when each was to be queued (`time.monotonic`), so a late client is the system's fault, as it would be.
    """
    start = time.monotonic() + 0.05
    due = [start + i / rate for i in range(round(rate * seconds))]
    for number, when in enumerate(due):
        # Not asyncio.sleep: its clock ticks in milliseconds, and nothing else waits for this loop.
        if (ahead := when - time.monotonic()) > 0:
            time.sleep(ahead)
        await _submit(submit, kind, first + number)
    return {"due": due}


async def _submit(submit: Submit, kind: str, number: int) -> None:
    queued = submit(kind, work.payload(number))
    if inspect.isawaitable(queued):
        await queued


async def _main(adapter: str) -> None:
    submit = importlib.import_module(f"bench.queue_adapters.{adapter}").client()
    if inspect.isawaitable(submit):
        submit = await submit
    for line in sys.stdin:
        given = json.loads(line)
        do: Callable[..., Any] = {"fill": fill, "pace": pace}[given.pop("what")]
        print(json.dumps(await do(submit, **given)), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
