"""A playlist before it is written out."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.candidates import Picked
from worker.strategies import Strategy


@dataclass
class Draft:
    """What was decided.

    order: its rows; given: those that were given; picked: what is known of the others; arc: the energy to aim at, at
    each place; degraded: it is second best.
    """

    order: list[int]
    given: set[int]
    strategy: Strategy
    picked: Picked = field(default_factory=lambda: Picked([]))
    arc: list[float] | None = None
    degraded: bool = False
    warnings: list[str] = field(default_factory=list)


def too_soon(times: int) -> str:
    """Say that artists could not keep their distance."""
    return f"an artist comes again sooner than asked for ({times}×): no other order was found"
