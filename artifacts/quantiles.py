"""How a catalogue's values are spread: for each column, 101 values that part its known tracks into hundredths.

The first is the least value, the last the greatest, and each is some track's own. With them a percentile becomes a
value (for a filter), and a value a percentile (to say that a song is among the most energetic tenth).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from artifacts.features import SOUND

COLUMNS = (*SOUND, "tempo", "year", "popularity", "duration_ms")
"""What a model knows the spread of: the columns that can be filtered by range."""


def quantiles_of(columns: Mapping[str, npt.NDArray[np.floating]]) -> dict[str, list[float]]:
    """Return the 101 values of each of COLUMNS; a column that no track has is left out. columns: NaN where unknown."""
    known = {name: columns[name][~np.isnan(columns[name])] for name in COLUMNS}
    shares = np.linspace(0, 1, 101)
    return {
        name: np.quantile(values, shares, method="inverted_cdf").tolist()
        for name, values in known.items()
        if len(values)
    }


def share_below(quantiles: Sequence[float], value: float) -> float:
    """Return the share of tracks below `value`, half of those that tie with it counted, 0–1, to a ten-thousandth.

    quantiles: the 101 of its column. value: as the model keeps it, in float16, and so it is compared.
    """
    steps = np.asarray(quantiles, np.float16).tolist()
    left, right = bisect_left(steps, value), bisect_right(steps, value)
    if left < right:
        place = (left + right - 1) / 2
    elif left in (0, len(steps)):
        place = min(left, 100)
    else:
        place = left - 1 + (value - steps[left - 1]) / (steps[left] - steps[left - 1])
    return round(place / 100, 4)
