"""Go from song to song in steps as small as can be.

Between two waypoints lie places; each has a layer of songs that are near to where the way should be there. A path
takes one song of each layer. Among all of them, the one whose worst step is the smallest is found exactly, and of
several such the one with the least sum.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]

_LEAST = 1e-9
"""Added to the bound, so that a step that makes it is not lost to rounding."""


def smallest_steps(costs: Sequence[F64]) -> list[int]:
    """Return which song of each layer the best path takes, ties by their order in the layer.

    costs: for each two neighbouring layers, float64 (songs of the one, songs of the next), inf: not allowed. At least
    one.
    """
    bound = _worst_step(costs)
    reach = np.zeros(len(costs[0]))
    came: list[Order] = []
    for cost in costs:
        through = reach[:, None] + np.where(cost <= bound + _LEAST, cost, np.inf)
        came.append(through.argmin(axis=0))
        reach = through.min(axis=0)
    at = int(reach.argmin())
    path = [at]
    for back in reversed(came):
        at = int(back[at])
        path.append(at)
    return path[::-1]


def _worst_step(costs: Sequence[F64]) -> float:
    """Return the smallest that the worst step of a path can be."""
    worst = np.zeros(len(costs[0]))
    for cost in costs:
        worst = np.maximum(worst[:, None], cost).min(axis=0)
    return float(worst.min())


def places_between(distances: Sequence[float], places: int) -> list[int]:
    """Return how many places lie between each two waypoints, by how far apart they are: largest remainders.

    distances: ≥ 0, one a leg; places: to be shared out.
    """
    total = sum(distances)
    shares = [places * (d / total if total > 0 else 1 / len(distances)) for d in distances]
    found = [int(share) for share in shares]
    for leg in sorted(range(len(shares)), key=lambda i: (found[i] - shares[i], i))[: places - sum(found)]:
        found[leg] += 1
    return found


def own_layer(ranked: Sequence[Sequence[int]], taken: Collection[int], size: int) -> list[list[int]]:
    """Return layers in which no song is twice: in turns, each takes what is nearest to it of what is left.

    ranked: for each layer the songs near to it, best first, by their number; taken: songs for no layer; size: the most
    that a layer holds. → for each layer places in `ranked`.
    """
    layers: list[list[int]] = [[] for _ in ranked]
    gone, at = set(taken), [0] * len(ranked)
    for _ in range(size):
        for i, songs in enumerate(ranked):
            while at[i] < len(songs) and songs[at[i]] in gone:
                at[i] += 1
            if at[i] < len(songs):
                gone.add(songs[at[i]])
                layers[i].append(at[i])
    return layers
