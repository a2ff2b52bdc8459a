"""Ctrl-C and SIGTERM: the first stops in good order, between two steps; the second at once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from producer.cli.errors import Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Notices that somebody wants it to end. Use it with `with`: only there it hears."""

    def __init__(self) -> None:
        self._asked = self._breakable = False

    def __enter__(self) -> Stop:
        self._before = [signal.signal(number, self._hear) for number in _SIGNALS]
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in zip(_SIGNALS, self._before, strict=True):
            signal.signal(number, handler)

    def check(self) -> None:
        """Go on, unless somebody has asked for the end. Raises: Stopped."""
        if self._asked:
            raise Stopped("stopped")

    @contextmanager
    def breakable(self) -> Iterator[None]:
        """Let a step be broken off anywhere: one that waits, and leaves nothing half done. Raises: Stopped."""
        self.check()
        self._breakable = True
        try:
            yield
        finally:
            self._breakable = False

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if self._breakable:
            raise Stopped("stopped")
