"""The memory that a parent shares with its worker processes, and what each of them does with its place in it.

    byte 0            which of the two names below holds: the other one is written first, so nobody reads half a name
    bytes 64, 128     two names of model versions, ASCII, filled up with zeros
    from byte 192 on  a float64 for each process: until when it may be busy (`time.monotonic`), 0 when it is not

Anonymous memory: no file, no lock, and it is gone with the last process. A write costs less than a microsecond, so a
worker can afford one before and after each batch; and it works while C code keeps every thread of the worker waiting.
"""

from __future__ import annotations

import mmap
import os
import time
from dataclasses import dataclass
from threading import Event

_NAMES = (64, 128)
_NAME_BYTES = 64
_DEADLINES = 192


class SharedMemory:
    """What the parent makes before it forks."""

    def __init__(self, processes: int, version: str) -> None:
        """Make places for so many processes. version: the model that they begin with."""
        self._memory = mmap.mmap(-1, _DEADLINES + 8 * processes)
        self._deadlines = memoryview(self._memory)[_DEADLINES:].cast("d")  # 8 bytes are stored in one piece
        self.publish(version)

    def publish(self, version: str) -> None:
        """Have the processes answer from this version, which must be loadable and checked. For the parent alone."""
        name = version.encode("ascii")
        if len(name) > _NAME_BYTES:
            raise ValueError(f"{version!r} is too long for the name of a version")
        other = 1 - self._memory[0]
        self._memory[_NAMES[other] : _NAMES[other] + _NAME_BYTES] = name.ljust(_NAME_BYTES, b"\0")
        self._memory[0] = other

    def version(self) -> str:
        """Return the version that the processes should answer from."""
        start = _NAMES[self._memory[0]]
        return self._memory[start : start + _NAME_BYTES].rstrip(b"\0").decode("ascii")

    def deadline(self, number: int) -> float:
        """Return until when process `number` may be busy (`time.monotonic`); 0: it is not."""
        return self._deadlines[number]

    def set_deadline(self, number: int, deadline: float) -> None:
        """Note until when process `number` may be busy; 0: it is not."""
        self._deadlines[number] = deadline


@dataclass(frozen=True)
class Slot:
    """The place of one worker process. stopping: set when it is told to leave. parent: the process id of its parent."""

    number: int
    memory: SharedMemory
    stopping: Event
    parent: int

    def busy(self, limit_s: float | None) -> None:
        """Say that what begins now ends within `limit_s`, or else this process may be killed; None: it has ended."""
        self.memory.set_deadline(self.number, 0.0 if limit_s is None else time.monotonic() + limit_s)

    @property
    def version(self) -> str:
        """The version that this process should answer from."""
        return self.memory.version()

    @property
    def orphaned(self) -> bool:
        """Whether the parent is gone, so that nobody would notice if this process hung."""
        return os.getppid() != self.parent
