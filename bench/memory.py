"""What a worker costs in memory, and how soon it can answer: `python -m bench.memory --models DIR [--processes N]`.

Each process loads the model as a worker does, hashes checked, and answers 1,000 requests; then its own memory (USS:
what would be free again without it) and its proportional share (PSS) are read.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from bench import machine

_REQUESTS = 1000
_PROGRAM = """
import sys, time
started = time.perf_counter()
from pathlib import Path
import numpy as np
from producer.schema import Query
from worker.models import HOLDER
from worker.pipeline import recommend
imported = time.perf_counter()
model = HOLDER.load(Path(sys.argv[1]))
rng = np.random.default_rng(int(sys.argv[2]))
def ask():
    return recommend(model, Query.model_validate({"seeds": [{"track_id": model.id_of(int(rng.integers(len(model))))}]}))
ask()
first = time.perf_counter()
for _ in range(int(sys.argv[3])):
    ask()
took = (time.perf_counter() - first) / int(sys.argv[3])
print(f"{imported - started:.2f} {first - imported:.2f} {took * 1e3:.2f}", flush=True)
sys.stdin.read()
"""


def main() -> None:
    """Start the processes one after the other, let all live, and print what each has."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=3)
    options = parser.parse_args()
    import psutil

    print(machine.describe())
    print(
        "| process | imports s | load to first answer s | ms a request | USS MB | PSS MB |\n|---|---|---|---|---|---|"
    )
    running = []
    for number in range(options.processes):
        command = [sys.executable, "-c", _PROGRAM, str(options.models), str(number), str(_REQUESTS)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        running.append((process, process.stdout.readline().split()))
    for number, (process, said) in enumerate(running, start=1):
        memory = psutil.Process(process.pid).memory_full_info()
        print(f"| {number} | {' | '.join(said)} | {memory.uss / 2**20:.0f} | {memory.pss / 2**20:.0f} |")
    for process, _ in running:
        process.communicate("")


if __name__ == "__main__":
    main()
