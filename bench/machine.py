"""What a figure was measured on."""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from pathlib import Path


def describe() -> str:
    """Return date, processor, cores, memory and Python, in a line."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    date, python = time.strftime("%Y-%m-%d"), platform.python_version()
    return f"{date}, {model}, {os.cpu_count()} cores, {memory:.0f} GB, Python {python}"
