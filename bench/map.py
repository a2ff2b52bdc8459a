"""What the map and the mood filters cost in a worker: `python -m bench.map --models DIR`. One core.

A window of the map is looked up and its tracks written out, as the answer to GET /v1/map/tracks has them; a count is
the work of POST /v1/tracks/count.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from artifacts import features
from bench import machine
from producer.schema import MAX_POPULAR
from worker import tasks
from worker.models import HOLDER

_TIMES = 40


def main() -> None:
    """Measure windows of several shapes at random places, then counts."""
    parser = argparse.ArgumentParser(prog="python -m bench.map")
    parser.add_argument("--models", type=Path, required=True, help="a folder of published models: its CURRENT one")
    options = parser.parse_args()
    model = HOLDER.load(options.models)
    rng = np.random.default_rng(0)
    print(machine.describe())
    print(f"{len(model):,} tracks, {len(model.map):,} of them on the map")
    print("| window, limit | tracks in it | look-up p50 ms | max ms | with its tracks p50 ms | max ms |")
    print("|---|---|---|---|---|---|")
    for name, (width, height, limit) in {
        "all, 200": (1, 1, 200),
        "all, 500": (1, 1, 500),
        "nearly all, 200": (0.9973, 0.9973, 200),
        "half by half, 200": (0.5, 0.5, 200),
        "flat, 200": (1, 0.001, 200),
        "thin, 200": (0.001, 1, 200),
        "a line, 200": (1, 0, 200),
        "a tenth, 200": (0.1, 0.1, 200),
        "a hundredth, 200": (0.01, 0.01, 200),
        "a hundredth, 500": (0.01, 0.01, 500),
        "a thousandth, 200": (0.001, 0.001, 200),
    }.items():
        places = rng.uniform(0, 1, (_TIMES, 2)) * [1 - width, 1 - height]
        boxes = [[x, y, x + width, y + height] for x, y in places.tolist()]
        counts = [model.map.window(box, limit).count for box in boxes]
        found = [_timed(partial(model.map.window, box, limit)) for box in boxes]
        whole = [_timed(partial(tasks.on_map, {"box": box, "limit": limit})) for box in boxes]
        figures = (np.median(counts), np.median(found), max(found), np.median(whole), max(whole))
        print("| {} | {:,.0f} | {:.2f} | {:.2f} | {:.2f} | {:.2f} |".format(name, *figures), flush=True)
    middle = {name: [model.manifest.quantiles[name][at] for at in (20, 80)] for name in features.SOUND}
    for name, filters in {
        "count by one feature": {"energy": middle["energy"]},
        "by loudness": {"loudness": middle["loudness"]},
        "by all eight": middle,
    }.items():
        took = [_timed(partial(tasks.count, {"filters": filters})) for _ in range(_TIMES)]
        print(f"{name}: {np.median(took):.2f} ms, at most {max(took):.2f}")
    ids = [model.id_of(row) for row in rng.integers(0, len(model), _TIMES).tolist()]
    took = [_timed(partial(tasks.track, {"track_id": track_id})) for track_id in ids]
    typed = _timed(lambda: tasks.complete({"q": "the", "limit": MAX_POPULAR}))
    print(f"one track in detail: {np.median(took):.3f} ms; a type-ahead, to compare: {typed:.2f} ms")


def _timed(work: Callable[[], Any]) -> float:
    """Return the milliseconds that `work` takes."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


if __name__ == "__main__":
    main()
