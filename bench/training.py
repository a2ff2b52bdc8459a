"""How long training takes, and how much memory: `python -m bench.training [--data FILE …] [--demo N …]`.

Each data set is trained in a process of its own, from its file to the published model; a demo catalogue is written to
CSV first, and that is not counted. Prints a Markdown row a data set.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from artifacts import store
from bench import machine
from training import demo


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.training")
    parser.add_argument("--data", type=Path, nargs="*", default=[])
    parser.add_argument("--demo", type=int, nargs="*", default=[])
    options = parser.parse_args()
    print(machine.describe())
    print("| data | rows | tracks | seconds | peak MB | model MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.demo:
            path = Path(folder) / f"demo-{rows}.csv"
            demo.write_csv(path, rows, demo.DEFAULT_SEED)
            measure(path, Path(folder) / f"models-{rows}")
        for path in options.data:
            measure(path, Path(folder) / path.stem)


def measure(data: Path, root: Path) -> None:
    """Train on `data` into `root` and print what it took."""
    started = time.monotonic()
    command = [sys.executable, "-m", "training", "--data", str(data), "--artifacts", str(root)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Path(f"/proc/{process.pid}/status").open() as status:
        peak_kb = 0
        while process.poll() is None:
            status.seek(0)
            found = [int(line.split()[1]) for line in status if line.startswith("VmHWM")]
            peak_kb = max([peak_kb, *found])
            time.sleep(0.05)
    seconds = time.monotonic() - started
    if process.returncode != 0:
        sys.exit(f"training on {data} failed")
    version = store.versions(root)[-1]
    manifest = store.manifest_of(root, version)
    size = sum(path.stat().st_size for path in (root / version).rglob("*") if path.is_file())
    rows, peak_mb = manifest.metrics["rows_in"], peak_kb / 1024
    figures = f"{rows:,} | {manifest.tracks:,} | {seconds:.1f} | {peak_mb:,.0f} | {size / 2**20:,.0f}"
    print(f"| {data.name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
