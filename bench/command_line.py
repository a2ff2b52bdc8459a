"""A file of songs by id through the command line, straight through Redis: `python -m bench.command_line --models DIR`.

From the start of the process to the end, with all that it writes; workers and Redis on the same machine.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import settings
from bench import machine
from bench.load import PROCESSES, Load


def run(load: Load, seeds: Path, out: Path, *options: str) -> tuple[float, float]:
    """Run it once. → seconds, and seconds of processor time that the command itself took."""
    command = [sys.executable, "-m", "producer", "batch", str(seeds), "--out", str(out), "--quiet", *options]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=settings.ROOT, env=settings.child_environment(REDIS_URL=load.redis_url), check=True)
    took, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure it."""
    parser = argparse.ArgumentParser(prog="python -m bench.command_line")
    parser.add_argument("--models", type=Path, required=True, help="a folder of published models")
    parser.add_argument("--rows", type=int, default=10_000, help="of the file")
    parser.add_argument("--passes", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        load = Load(options.models.resolve(), folder, stack)
        print(f"{machine.describe()}; {load.tracks:,} tracks; {PROCESSES} workers; {options.rows:,} rows\n")
        seeds = folder / "seeds.txt"
        seeds.write_text("\n".join(load.ids[n % len(load.ids)] for n in range(options.rows)) + "\n")
        print("| output | rows a second | of it this process's processor time, s |\n|---|---|---|")
        for what, out, more in (
            ("JSONL, 20 tracks a row", "lists.jsonl", ()),
            ("M3U8, a file a row", "lists", ("--format", "m3u8")),
        ):
            runs = [run(load, seeds, folder / f"{n}{out}", *more) for n in range(options.passes)]
            print(f"| {what} | {options.rows / median(r[0] for r in runs):,.0f} | {median(r[1] for r in runs):.1f} |")


if __name__ == "__main__":
    main()
