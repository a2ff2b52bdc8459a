"""The figures that the demo catalogue is drawn from, measured on real tracks: demo_profiles.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

YEARS = (1950, 2025)
_FARTHEST_SCORE = 4.0  # normal score of the least and the greatest value seen; one track in 30,000 goes beyond


@dataclass(frozen=True)
class Profiles:
    """The figures of demo_profiles.json: G genres, F features, L levels.

    knots: normal scores of the levels, (L,). correlation: (F, F). quantiles: (G, F, L), in the units of the file's
    "about". years: (L,). key_share: (G, 12). major_share: (G,). All float64.
    """

    genres: list[str]
    features: list[str]
    knots: Floats
    correlation: Floats
    quantiles: Floats
    years: Floats
    key_share: Floats
    major_share: Floats


def load_profiles() -> Profiles:
    """Read the figures that lie beside this module."""
    data = json.loads(Path(__file__).with_name("demo_profiles.json").read_text("utf-8"))
    inner = [NormalDist().inv_cdf(level) for level in data["levels"][1:-1]]
    genres = data["genres"].values()
    return Profiles(
        genres=list(data["genres"]),
        features=data["features"],
        knots=np.array([-_FARTHEST_SCORE, *inner, _FARTHEST_SCORE]),
        correlation=np.array(data["correlation"], np.float64),
        quantiles=np.array([genre["quantiles"] for genre in genres], np.float64),
        years=np.clip(np.array(data["year_quantiles"], np.float64), *YEARS),
        key_share=np.array([genre["key_share"] for genre in genres]),
        major_share=np.array([genre["major_share"] for genre in genres]),
    )
