"""The search, beside other ways to do the same: `python -m bench.engine --models DIR [--peers] [--curve]`.

One core. Every way answers the same requests in the same run, in turns; the first answer of each is not counted.
"Product" is one column-major float32 product over all rows with weights free, the genre part and a partial top-k
included: what the engine falls back on. Each answer of the engine is compared with it, and some with a float64 scan of
every row.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from artifacts import features, store
from artifacts.cells import Cells, cell_arrays, order_rows
from artifacts.filters import Filter
from artifacts.model import Model
from artifacts.score import COLUMNS, ScoreQuery
from bench import machine
from bench.requests import FILTERS, KINDS, requests
from training.__main__ import main as train

K = 100
_CHECKED = 10
Rows = npt.NDArray[np.intp]


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine")
    parser.add_argument("--models", type=Path, help="a folder of published models: its CURRENT one is measured")
    parser.add_argument("--count", type=int, default=100, help="requests of a kind")
    parser.add_argument("--peers", action="store_true", help="also scikit-learn, faiss and usearch, if installed")
    parser.add_argument("--vectors", type=int, help="also so many rows of vectors alone, the model's own jittered")
    parser.add_argument("--curve", type=int, nargs="*", help="demo catalogues of these sizes, one after the other")
    options = parser.parse_args()
    print(machine.describe())
    with threadpool_limits(1):
        measure(parser, options)


def measure(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Measure on one core."""
    if options.models:
        version = store.current(options.models)
        if version is None:
            parser.error(f"{options.models}: no model was published here")
        model = Model.load(options.models, version)
        read, size = bandwidth(), model.arrays["score"].nbytes / 1e9
        limit = f"the product reads {size * 1e3:.0f} MB: {size / read * 1e3:.1f} ms at {read:.1f} GB/s"
        print(f"{len(model):,} tracks, k = {K}; {limit}")
        kinds(model, options.count)
        filters(model, max(10, options.count // 4))
        batch(model)
        if options.peers:
            from bench.engine_peers import peers

            peers(model)
        if options.vectors:
            vectors(model, options.vectors)
    if options.curve:
        curve(options.curve)


def kinds(model: Model, count: int) -> None:
    """Print a row a kind of request."""
    print(
        "| requests | product p50 ms | engine p50 ms | p99 ms | product ÷ engine | p99 ÷ product | scanned | differ |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for kind in KINDS:
        print(f"| {kind} | {compared(model, requests(model, kind, count), None)} |", flush=True)


def filters(model: Model, count: int) -> None:
    """Print a row a filter, for default and for random requests; the filter's own cost is in both ways."""
    head = "product p50 ms | engine p50 ms | p99 ms | product ÷ engine | p99 ÷ product | scanned | differ"
    print(f"| filter, requests | {head} |")
    print("|---|---|---|---|---|---|---|---|")
    for name, conditions in FILTERS.items():
        for kind in ("default, 5 seeds of a genre", "random weights"):
            print(f"| {name}, {kind} | {compared(model, requests(model, kind, count), conditions)} |", flush=True)


def compared(model: Model, asked: Sequence[ScoreQuery], conditions: Filter | None) -> str:
    """Time engine and product on the same requests, in turns. → the cells of a table's row."""

    def mask() -> npt.NDArray[np.bool_] | None:
        return model.mask(conditions) if conditions else None

    product_s, engine_s, scanned, differ = [], [], [], 0
    for i, request in enumerate([asked[0], *asked]):
        t0 = time.perf_counter()
        passing = mask()
        expected = product(model, request, passing)
        t1 = time.perf_counter()
        passing = mask()
        found = model.nearest(request, K, passing)
        t2 = time.perf_counter()
        if i == 0:
            continue
        product_s.append(t1 - t0)
        engine_s.append(t2 - t1)
        scanned.append(found.scanned)
        truth = scan(model, request, passing) if i <= _CHECKED else expected
        differ += not np.array_equal(found.rows, truth)
    p, e = np.array(product_s) * 1e3, np.array(engine_s) * 1e3
    p50, p99 = np.median(e), np.percentile(e, 99)
    figures = (np.median(p), p50, p99, np.median(p) / p50, p99 / np.median(p), 100 * np.mean(scanned), differ)
    return "{:.1f} | {:.2f} | {:.1f} | {:.1f} | {:.2f} | {:.1f} % | {}".format(*figures)


def product(model: Model, request: ScoreQuery, passing: npt.NDArray[np.bool_] | None) -> Rows:
    """Return the best rows by one product over all rows, and float64 for the last few."""
    k = min(K, len(model) if passing is None else int(np.count_nonzero(passing)))
    if k == 0:
        return np.empty(0, np.intp)
    return _sorted(model, request, model.product(request, k, passing), k)


def scan(model: Model, request: ScoreQuery, passing: npt.NDArray[np.bool_] | None) -> Rows:
    """Return the best rows by scoring every row in float64."""
    rows = np.arange(len(model)) if passing is None else np.flatnonzero(passing)
    return _sorted(model, request, rows, K)


def _sorted(model: Model, request: ScoreQuery, rows: Rows, k: int) -> Rows:
    order = np.lexsort((model.ranks(rows), -model.score(request, rows)))[:k]
    result: Rows = rows[order]
    return result


def batch(model: Model) -> None:
    """Print what 256 requests in a row cost each, beside the same one at a time with a pause between them."""
    asked = requests(model, "default, 5 seeds of a genre", 256)
    together = timed(lambda: [model.nearest(request, K) for request in asked]) / len(asked)
    alone = np.mean([timed(partial(model.nearest, request, K)) for request in asked])
    print(f"256 requests in a row: {together * 1e3:.2f} ms each; one at a time: {alone * 1e3:.2f} ms")


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that `work` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bandwidth() -> float:
    """Return how fast this core reads memory, GB/s: the best of five sums over 400 MB."""
    data = np.ones(100_000_000, np.float32)
    return max(data.nbytes / timed(data.sum) / 1e9 for _ in range(5))


def vectors(model: Model, size: int) -> None:
    """Print what the search costs on `size` vectors: the model's rows again and again, each copy a little moved."""
    rng = np.random.default_rng(0)
    score, sets = model.arrays["score"], model.arrays["score_genre_set"]
    times = -(-size // len(model))
    columns = np.tile(np.vstack([score[:COLUMNS], score[2 * COLUMNS + 1]]), times)[:, :size]
    columns += rng.normal(scale=0.1, size=columns.shape).astype(np.float32)
    doubt, group = np.tile(score[2 * COLUMNS], times)[:size], np.tile(sets, times)[:size]
    spread = np.sqrt(np.array([*(features.DEFAULT_WEIGHTS[name] for name in features.SCORE), 1.0]))
    started = time.perf_counter()
    order, start = order_rows(columns, doubt, group, spread)
    columns, doubt, group = columns[:, order], doubt[order], group[order]
    cells = Cells(cell_arrays(columns, doubt, group, start))
    build_s = time.perf_counter() - started
    asked = requests(model, "default, 5 seeds of a genre", 60)
    tables = [model.genre_table(request) for request in asked]
    engine, whole = [], []
    for request, table in zip(asked, tables, strict=True):
        engine.append(timed(partial(cells.search, request, table, K, None)))
        linear = (request.column_weights * request.center).astype(np.float32)
        whole.append(timed(partial(np.matmul, linear, columns[:COLUMNS])))
    p = np.array(engine) * 1e3
    p50, p99 = np.median(p), np.percentile(p, 99)
    print(f"{size:,} vectors: build {build_s:.0f} s, engine p50 {p50:.2f} ms, p99 {p99:.1f} ms; ", end="")
    print(f"one linear product over them, without squares, genre and top-k: {np.median(whole) * 1e3:.1f} ms")


def curve(sizes: Sequence[int]) -> None:
    """Print what the search costs on demo catalogues of several sizes."""
    print("| tracks | training s | model MB | product p50 ms | engine p50 ms | p99 ms | product ÷ engine |")
    print("|---|---|---|---|---|---|---|")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            seconds = timed(partial(train, ["--demo", str(size), "--artifacts", str(root)]))
            version = store.versions(root)[-1]
            megabytes = sum(p.stat().st_size for p in (root / version).rglob("*") if p.is_file()) / 2**20
            model = Model.load(root, version)
            cells = compared(model, requests(model, "default, 5 seeds of a genre", 60), None).split(" | ")
            print(f"| {size:,} | {seconds:.1f} | {megabytes:,.0f} | {' | '.join(cells[:4])} |", flush=True)


if __name__ == "__main__":
    main()
