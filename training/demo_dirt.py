"""The dirty rows of the demo catalogue, of every kind that real files have."""

from __future__ import annotations

import numpy as np
import pandas as pd

from training import demo_names as names

DIRTY_FROM = 2_000
"""Smaller catalogues have no dirty rows; from here on there is at least one of each kind."""
DIRTY_VALUES = {
    "failed analysis": (6e-4, ["tempo", "danceability", "valence", "speechiness"], 0, 0),
    "too loud": (5e-4, ["loudness"], 0.001, 5),
    "silent": (2e-4, ["loudness"], -60, -60),
    "no time signature": (6e-4, ["time_signature"], 0, 0),
    "placeholder year": (5e-4, ["year"], 1900, 1900),
    "no year": (2e-4, ["year"], 0, 0),
    "three seconds": (2e-4, ["duration_ms"], 3_000, 3_999),
    "over an hour": (2e-4, ["duration_ms"], 3_600_001, 5_400_000),
    "no popularity": (3e-4, ["popularity"], np.nan, np.nan),
}
"""Kind of dirty row: its share of all rows, the columns that it spoils, the least and the greatest value they get."""
DIRTY_NAMES = {"stray space": 3e-4, "mojibake": 1e-4, "same id, other genre": 2e-4}
SEPARATORS = {", ": 4e-4, " & ": 4e-4, " Featuring ": 4e-4}
"""What joins the credited artists instead of ";" in some rows, and the share of those rows."""
NULL_ARTISTS, NULL_NAMES = 3, 2


def soil(rng: np.random.Generator, frame: pd.DataFrame, genres: list[str]) -> None:
    """Make a few rows dirty, in place, each in one way: DIRTY_VALUES, DIRTY_NAMES, SEPARATORS, names missing."""
    if len(frame) < DIRTY_FROM:
        return
    order = rng.permutation(len(frame))
    several = frame["artist_name"].str.contains(";", regex=False).to_numpy(bool)[order]
    pools = {True: order[several], False: order[~several]}

    def some(count: float, credits_several: bool = False) -> list[int]:
        """Take rows that nothing has spoilt yet."""
        taken, pools[credits_several] = np.split(pools[credits_several], [max(1, int(count))])
        return [int(row) for row in taken]

    for separator, share in SEPARATORS.items():
        at = some(share * len(frame), credits_several=True)
        frame.loc[at, "artist_name"] = frame.loc[at, "artist_name"].str.replace(";", separator, regex=False)
    frame.loc[some(NULL_ARTISTS), "artist_name"] = None
    frame.loc[some(NULL_NAMES), "track_name"] = None
    for share, columns, low, high in DIRTY_VALUES.values():
        at = some(share * len(frame))
        values = low + (high - low) * rng.random(len(at))
        for column in columns:
            frame.loc[at, column] = values.round(3 if column == "loudness" else 0)
    at = some(DIRTY_NAMES["stray space"] * len(frame))
    for column in ("artist_name", "track_name"):
        frame.loc[at, column] = "  " + frame.loc[at, column] + " "
    at = some(DIRTY_NAMES["mojibake"] * len(frame))
    accented = names.ACCENTED.spell(names.ACCENTED.draw(rng, len(at))).to_pylist()
    frame.loc[at, "track_name"] = [title.encode("utf-8").decode("latin-1") for title in accented]
    at = some(DIRTY_NAMES["same id, other genre"] * len(frame))
    twin = some(len(at))
    for column in frame.columns:
        frame.loc[at, column] = frame.loc[twin, column].array
    frame.loc[at, "genre"] = frame.loc[at, "genre"].map(dict(zip(genres, genres[1:] + genres[:1], strict=True)))
