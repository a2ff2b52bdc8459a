"""How an answer that takes a while says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, float], None]
"""Takes the stage that begins, and the share of the work that lies behind, 0–1."""


def silent(_stage: str, _fraction: float) -> None:
    """Tell nobody."""
