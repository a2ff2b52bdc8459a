"""How the energy of a playlist is to go: a target at each place, and what it costs to miss it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

WEIGHT = 2.0
"""What a miss of MISS costs, in the unit of a transition. In proportion, not squared: an arc within songs that are
alike is a narrow one, and would otherwise cost too little to be followed."""

MISS = 0.5

WITHIN = (0.05, 0.95)
"""A named arc goes between these quantiles of the energies that there are: the ends belong to single songs."""

WAVE_TRACKS = 12
"""Places from one crest of a wave to the next."""

PEAK = 2 / 3
"""Where a peak is, as a share of the playlist; after it, half of the way down."""


def targets(arc: str | Sequence[float], places: int, energies: F64) -> F64:
    """Return the energy to aim at for each place, 0–1, float64 (places,).

    arc: a name of `producer.playlists.shapes.ArcName`, or energies evenly spaced. energies: of the songs that there are
    to choose from, NaN unknown.
    """
    at = np.linspace(0.0, 1.0, places) if places > 1 else np.zeros(1)
    if not isinstance(arc, str):
        return np.interp(at, np.linspace(0.0, 1.0, len(arc)), np.asarray(arc, np.float64))
    known = energies[~np.isnan(energies)]
    if not len(known):
        return np.full(places, 0.5)
    low, middle, high = np.quantile(known, (WITHIN[0], 0.5, WITHIN[1]))
    if arc == "flat":
        return np.full(places, middle)
    shape: F64
    if arc == "build":
        shape = at
    elif arc == "wind_down":
        shape = 1 - at
    elif arc == "wave":
        waves = max(1, round(places / WAVE_TRACKS))
        shape = 0.5 - 0.5 * np.cos(2 * np.pi * waves * at)
    else:
        shape = np.where(at <= PEAK, at / PEAK, 1 - 0.5 * (at - PEAK) / (1 - PEAK))
    found: F64 = low + (high - low) * shape
    return found


def costs(wanted: F64, energies: F64) -> F64:
    """Return what each song costs at each place, float64 (places, songs); an unknown energy costs what most do."""
    miss = np.abs(wanted[:, None] - energies[None, :]) / MISS
    unknown = np.isnan(energies)
    if unknown.any():
        known = miss[:, ~unknown]
        miss[:, unknown] = np.median(known, axis=1, keepdims=True) if known.size else 0.0
    found: F64 = np.round(WEIGHT * miss, 9)
    return found
