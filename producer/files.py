"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole(path: Path, lasting: bool = False) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of `path` when it is written; if that fails, what was there stays.

    lasting: the file outlives a loss of power. Raises: OSError.
    """
    aside = path.parent / f".{path.name[:100]}.partial"
    try:
        with aside.open("wb") as file:
            yield file
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
