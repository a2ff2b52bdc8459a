"""Many strings in two arrays, so that they can be mapped."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class Strings:
    """Many strings in two arrays: UTF-8 bytes, and where each string ends."""

    def __init__(self, offsets: npt.NDArray[np.int64], utf8: npt.NDArray[np.uint8]) -> None:
        self._offsets, self._utf8 = offsets, utf8

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, i: int) -> str:
        return self._utf8[self._offsets[i] : self._offsets[i + 1]].tobytes().decode("utf-8")

    def several(self, which: npt.NDArray[np.integer] | Sequence[int]) -> list[str]:
        """Return some of the strings, quicker than one by one."""
        at = np.asarray(which, np.intp)
        utf8, starts, stops = self._utf8.data, self._offsets[at].tolist(), self._offsets[at + 1].tolist()
        return [str(utf8[a:b], "utf-8") for a, b in zip(starts, stops, strict=True)]

    @staticmethod
    def pack(strings: Sequence[str]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
        """Return (offsets, utf8) for `strings`."""
        encoded = [s.encode("utf-8") for s in strings]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(e) for e in encoded], out=offsets[1:])
        return offsets, np.frombuffer(b"".join(encoded), np.uint8)
