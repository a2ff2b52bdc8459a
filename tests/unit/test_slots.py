"""What a parent and its worker processes tell each other through shared memory."""

from __future__ import annotations

import os
import time
from threading import Event

import pytest

from worker.slots import SharedMemory, Slot


def test_the_last_version_published_is_the_one_that_is_read() -> None:
    memory = SharedMemory(1, "first")
    assert memory.version() == "first"
    for version in ("20261121T204500-1a2b3c4d", "x", "20261121T204501-1a2b3c4d"):
        memory.publish(version)
        assert memory.version() == version


def test_no_version_is_cut_short() -> None:
    memory = SharedMemory(1, "x" * 64)
    assert memory.version() == "x" * 64
    with pytest.raises(ValueError, match="too long"):
        memory.publish("x" * 65)


def test_each_process_has_a_place_of_its_own() -> None:
    memory = SharedMemory(3, "v")
    first, last = (Slot(number, memory, Event(), os.getppid()) for number in (0, 2))
    before = time.monotonic()
    last.busy(5)
    first.busy(1)
    assert before + 5 <= memory.deadline(2) <= time.monotonic() + 5
    assert before + 1 <= memory.deadline(0) <= time.monotonic() + 1
    last.busy(None)
    assert (memory.deadline(1), memory.deadline(2)) == (0, 0)
    assert memory.deadline(0) > 0
    memory.publish("w")
    assert memory.deadline(0) > 0
    assert first.version == last.version == "w"


def test_an_orphan_knows_that_it_is_one() -> None:
    memory = SharedMemory(1, "v")
    assert not Slot(0, memory, Event(), os.getppid()).orphaned
    assert Slot(0, memory, Event(), os.getpid()).orphaned
