"""Train a model and publish it.

    python -m training --data spotify_data.csv            # CSV, .csv.gz or Parquet
    python -m training --demo                             # an invented catalogue of 20,000 tracks
    python -m training --demo 1159764 --save-data big.csv # … and keep its data
    python -m training --data spotify_data.csv --sweep    # … and show what other numbers of clusters would do
    python -m training evaluate --playlists lists.parquet # how good its recommendations are: training/evaluate.py

Top to bottom: read, clean, build, publish, say what came of it. Nothing is published unless all of it went well.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

import settings
from artifacts import features, store
from artifacts.manifest import ModelError, demo_source, file_source
from training import cleaning, clusters, dataset, demo
from training.build import Built, build
from training.options import positive

FIRST_RELEASES_AHEAD = 1
"""A year may be this far ahead: labels announce early."""


def main(arguments: list[str] | None = None) -> int:
    """Run the recipe. Returns the exit code: 0, or 1 after a message on standard error."""
    arguments = sys.argv[1:] if arguments is None else arguments
    evaluating = arguments[:1] == ["evaluate"]
    options = argparse.Namespace() if evaluating else _parser().parse_args(arguments)
    console = Console(stderr=True)
    try:
        config = settings.load()
        if evaluating:
            from training import evaluate  # here: training need not load what measures it

            return evaluate.main(arguments[1:], config.models_dir)
        root = options.artifacts or config.models_dir
        source = demo_source(options.demo, demo.DEFAULT_SEED) if options.data is None else file_source(options.data)
        if options.if_missing and (version := store.current(root)):
            store.manifest_of(root, version)  # one that cannot be read is an error, not missing
            console.print(f"model {version} is there already")
            return 0
        train(source, options, root, console)
    except (dataset.DatasetError, ModelError, settings.BadSettings, OSError) as error:
        print(f"python -m training: {error}", file=sys.stderr)
        return 1
    return 0


def train(source: dict[str, Any], options: argparse.Namespace, root: Path, console: Console) -> str:
    """Read, clean, build and publish. → the version's name."""
    started = time.monotonic()
    with _Stages(console) as stages:
        frame = _read(source, options, stages)
        stages.begin("cleaning")
        rows, genres, ledger = cleaning.clean(frame, time.gmtime().tm_year + FIRST_RELEASES_AHEAD)
        del frame
        if len(rows) < max(options.clusters or 2, 2):
            raise dataset.DatasetError(
                f"{options.data or 'demo'}: {len(rows)} tracks are left after cleaning, too few for "
                f"{options.clusters or 2} clusters; give more tracks, or --clusters with a smaller number"
            )
        if options.clusters is None:
            options.clusters = min(clusters.CLUSTERS, len(rows))
        built = build(rows, genres, ledger, source, options.clusters, stages.begin)
        if options.sweep:
            outcome = _sweep(built, stages)
        stages.begin("publishing")
        version = store.publish(root, built.arrays, built.public, **built.about)
    if options.sweep:
        _show_sweep(outcome, root / "sweeps" / version, options.clusters)
    _show_summary(version, built, ledger, time.monotonic() - started)
    return version


def _read(source: dict[str, Any], options: argparse.Namespace, stages: _Stages) -> pd.DataFrame:
    if source["kind"] == "file":
        return dataset.read(options.data, stages.open)
    stages.begin(f"inventing {source['rows']:,} tracks")
    if options.save_data:
        demo.write_csv(options.save_data, source["rows"], source["seed"])
    return demo.generate(source["rows"], source["seed"]).pipe(dataset.complete)


def _sweep(built: Built, stages: _Stages) -> list[dict[str, Any]]:
    points = built.arrays["cluster_point"]
    ks = [k for k in clusters.SWEEP if k < len(points)]
    return clusters.sweep(points, ks, lambda what: stages.begin(f"sweep, {what}"))


def _show_sweep(outcome: list[dict[str, Any]], directory: Path, chosen: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "sweep.json").write_text(json.dumps(outcome, indent=1), encoding="utf-8")
    clusters.plot_sweep(outcome, directory / "sweep.png", chosen)
    table = Table("clusters", "silhouette ↑", "Davies–Bouldin ↓", "Calinski–Harabasz ↑", "inertia a track")
    for row in outcome:
        measures = [f"{row['silhouette']:.4f}", f"{row['davies_bouldin']:.3f}", f"{row['calinski_harabasz']:,.0f}"]
        table.add_row(f"{row['k']}{' ←' if row['k'] == chosen else ''}", *measures, f"{row['inertia']:.3f}")
    console = Console()
    console.print(table)
    console.print(f"plot: {directory / 'sweep.png'}", soft_wrap=True)


def _show_summary(version: str, built: Built, ledger: cleaning.Ledger, seconds: float) -> None:
    console = Console()
    table = Table("rule", "", "rows", title="Cleaning")
    table.add_row("rows read", "", f"{ledger.rows_in:,}")
    for entry in ledger.entries:
        if entry.count:
            table.add_row(entry.rule, entry.action, f"{entry.count:,}")
    table.add_row("tracks", "", f"{built.about['tracks']:,}")
    console.print(table)
    metrics, sizes = built.about["metrics"], built.about["metrics"]["cluster_sizes"]
    absent = [c for c, share in built.about["coverage"].items() if share == 0]
    # Linux counts kilobytes, macOS bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    for name, value in {
        "songs": f"{built.about['songs']:,}, versions counted once, by {built.about['artists']:,} artists",
        "not in this data": ", ".join(absent) or "nothing",
        "PCA": f"{metrics['components']} components of {len(features.CLUSTER)} columns keep "
        f"{metrics['explained_variance']:.2%} of the variance",
        "clusters": f"{len(sizes)}, of {min(sizes):,} to {max(sizes):,} tracks",
        "took": f"{seconds:.1f} s, {peak:,.0f} MB at the peak",
        "published": version,
    }.items():
        console.print(f"{name + ':':<18}{value}", soft_wrap=True, highlight=False)


class _Stages:
    """Show what is going on: a line a stage, with its seconds, on standard error; plain lines if that is no screen."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}"), BarColumn(24))
        self._progress = Progress(*columns, DownloadColumn(), TimeElapsedColumn(), console=console)
        self._task: Any = None
        self._console = console

    def __enter__(self) -> _Stages:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._finish()
        if self._console.is_terminal:
            self._progress.stop()

    def begin(self, what: str, total: float | None = None) -> None:
        """End the stage before and begin the next. total: bytes, None where nobody can tell how much there is."""
        self._finish()
        if not self._console.is_terminal:
            self._console.print(f"{what} …", highlight=False, soft_wrap=True)
        self._task = self._progress.add_task(what, total=total)

    def open(self, path: Path) -> BinaryIO:
        """Open a file for reading, its bytes counted by the bar."""
        self.begin(f"reading {path.name}", path.stat().st_size)
        return self._progress.open(path, "rb", task_id=self._task)

    def _finish(self) -> None:
        if self._task is not None:
            self._progress.update(self._task, total=1, completed=1)
            self._progress.stop_task(self._task)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train a model and publish it.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--data", type=Path, metavar="FILE", help="a data set: .csv, .csv.gz or .parquet")
    what.add_argument(
        "--demo", type=positive, nargs="?", const=demo.DEFAULT_ROWS, metavar="N", help="N invented tracks (20,000)"
    )
    parser.add_argument("--save-data", type=Path, metavar="FILE", help="keep the data of --demo as CSV")
    parser.add_argument("--clusters", type=positive, metavar="K", help="clusters (35, or as many as there are tracks)")
    parser.add_argument("--sweep", action="store_true", help="measure 10 to 50 clusters: a table and a plot")
    parser.add_argument("--if-missing", action="store_true", help="only if there is no model at all yet")
    parser.add_argument("--artifacts", type=Path, metavar="DIR", help="where to publish (ARTIFACTS_DIR)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
