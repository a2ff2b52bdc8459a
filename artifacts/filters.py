"""Which tracks an answer may hold: exact conditions, applied before the best are chosen, never after.

A track whose filtered value is unknown does not pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Filter:
    """Conditions in the catalogue's own terms; None or empty: any.

    year, popularity, tempo, duration_ms: (least, greatest), both included. key: pitch classes. genres: codes, one is
    enough. without_artists: codes, none credited. without_rows: rows.
    """

    year: tuple[float, float] | None = None
    popularity: tuple[float, float] | None = None
    tempo: tuple[float, float] | None = None
    duration_ms: tuple[float, float] | None = None
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
