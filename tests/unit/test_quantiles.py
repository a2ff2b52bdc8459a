"""How a catalogue's values are spread: from percentiles to values and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts import features
from artifacts.filters import Filter
from artifacts.model import Model
from artifacts.quantiles import COLUMNS, quantiles_of, share_below
from producer import schema
from training.build import Built


def test_the_columns_are_those_that_filters_range_over() -> None:
    assert set(COLUMNS) == set(schema.RANGES)
    assert schema.SOUND == features.SOUND


def test_a_hundredth_of_the_tracks_lies_between_two_neighbours() -> None:
    columns = {name: np.full(1000, np.nan) for name in COLUMNS}
    columns["energy"] = np.append(np.random.default_rng(0).permutation(1000) / 1000, [np.nan] * 7)
    quantiles = quantiles_of(columns)
    assert quantiles.keys() == {"energy"}, "what no track has is left out"
    assert len(quantiles["energy"]) == 101
    assert quantiles["energy"][0] == 0
    assert quantiles["energy"][50] == pytest.approx(0.5, abs=0.002)
    assert quantiles["energy"][100] == 0.999


def test_a_percentile_as_a_filter_lets_that_share_pass(model: Model, built: Built) -> None:
    quantiles = built.about["quantiles"]
    assert json.loads(json.dumps(quantiles)) == quantiles
    for name in COLUMNS:
        low, high = quantiles[name][20], quantiles[name][80]
        middle: dict[str, Any] = {name: (low, high)}
        every: dict[str, Any] = {name: (quantiles[name][0], quantiles[name][100])}
        mask, known = model.mask(Filter(**middle)), model.mask(Filter(**every))
        assert mask is not None
        assert known is not None
        assert known.sum() / len(model) == pytest.approx(built.about["coverage"][name], abs=1e-4), "from least to most"
        ties = 0.2 if name in ("popularity", "year") else 0.05
        assert 0.6 <= mask.sum() / known.sum() <= 0.6 + ties, name


@given(values=st.lists(st.integers(0, 1000), min_size=1, max_size=400), at=st.integers(0, 1000))
def test_a_share_is_that_of_the_tracks_below_and_half_of_those_that_tie(values: list[int], at: int) -> None:
    kept = np.array(values) / 1000
    quantiles = quantiles_of(dict.fromkeys(COLUMNS, kept))["valence"]
    value = float(np.float16(at / 1000))
    share = share_below(quantiles, value)
    below, upto = np.mean(np.array(values) < at), np.mean(np.array(values) <= at)
    room = 0.0101 + 1 / len(values)
    assert 0 <= share <= 1
    assert below - room <= share <= upto + room
    if below < upto and upto - below > 0.03:
        assert share == pytest.approx((below + upto) / 2, abs=room)
