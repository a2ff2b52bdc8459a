"""Which tracks an answer may hold: exact conditions, applied before the best are chosen, never after.

A track whose filtered value is unknown does not pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from artifacts.features import SOUND

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Filter:
    """Conditions in the catalogue's own terms; None or empty: any.

    year, popularity, tempo, duration_ms, and the features of `features.SOUND`: (least, greatest), both included. key:
    pitch classes. genres: codes, one is enough. without_artists: codes, none credited. without_rows: rows.
    """

    year: tuple[float, float] | None = None
    popularity: tuple[float, float] | None = None
    tempo: tuple[float, float] | None = None
    duration_ms: tuple[float, float] | None = None
    danceability: tuple[float, float] | None = None
    energy: tuple[float, float] | None = None
    loudness: tuple[float, float] | None = None
    speechiness: tuple[float, float] | None = None
    acousticness: tuple[float, float] | None = None
    instrumentalness: tuple[float, float] | None = None
    liveness: tuple[float, float] | None = None
    valence: tuple[float, float] | None = None
    key: tuple[int, ...] | None = None
    mode: int | None = None
    explicit: bool | None = None
    genres: tuple[int, ...] | None = None
    without_artists: tuple[int, ...] = ()
    without_rows: tuple[int, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything passes."""
        return self == Filter()

    def mask(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Mask:
        """Return which rows pass. bool (n,)."""
        passing = np.ones(len(arrays["year"]), bool)
        for column in ("year", "popularity", "duration_ms", "tempo"):
            between = getattr(self, column)
            if between is not None:
                values = arrays[column]
                # Unknown is −1, or NaN, which no comparison lets pass.
                passing &= (values >= max(between[0], 0)) & (values <= between[1])
        for place, column in enumerate(SOUND):
            between = getattr(self, column)
            if between is not None:
                passing &= between_halves(arrays["sound"][place], *between)
        if self.key is not None:
            keys = arrays["key"]
            passing &= np.logical_or.reduce([keys == key for key in self.key])
        if self.mode is not None:
            passing &= arrays["mode"] == self.mode
        if self.explicit is not None:
            passing &= arrays["explicit"] == int(self.explicit)
        if self.genres is not None:
            # A cell has one label set: its rows' own, or their artist's where they have none.
            cells = self._sets_with_genre(arrays)[arrays["cell_group"]]
            passing &= np.repeat(cells, np.diff(arrays["cell_start"])) & (arrays["genre_set"] > 0)
        if self.without_artists:
            passing[self._rows_of_artists(arrays)] = False
        if self.without_rows:
            passing[list(self.without_rows)] = False
        return passing

    def _sets_with_genre(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Mask:
        offsets = arrays["set_offsets"]
        set_of_label = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        with_genre = np.zeros(len(offsets) - 1, bool)
        with_genre[set_of_label[np.isin(arrays["set_genre"], self.genres or ())]] = True
        return with_genre

    def _rows_of_artists(self, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.intp]:
        credits = np.flatnonzero(np.isin(arrays["credit_artist"], self.without_artists))
        return np.searchsorted(arrays["credit_offsets"], credits, side="right") - 1


def between_halves(values: npt.NDArray[np.float16], least: float, greatest: float) -> Mask:
    """Return which values lie between two bounds, both included. bool (n,); NaN never does.

    The bounds are rounded to float16 as the values were: whatever lay between them before, still does, a value that is
    one of them above all; one that is out by less than half a step of float16 (at most 0.00025 within 0–1, 0.016 dB)
    may pass, too. Compared as whole numbers, in whose order floats of one sign are: 20 times as fast.
    """
    bits = values.view(np.int16)
    low, high = (np.float16(min(max(bound, -_MOST), _MOST)) + np.float16(0) for bound in (least, greatest))
    passing = np.zeros(len(bits), bool)
    if high >= 0:
        passing |= (bits >= max(low, np.float16(0)).view(np.int16)) & (bits <= high.view(np.int16))
    if low < 0:  # the further below 0, the greater the number
        nearest = high if high < 0 else np.float16(-0.0)
        passing |= (bits >= nearest.view(np.int16)) & (bits <= low.view(np.int16))
    return passing


_MOST = 60_000.0
"""No feature comes near it, and float16 holds it."""
