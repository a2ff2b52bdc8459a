"""Each condition against plain Python over what answers show; what is unknown does not pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.features import SOUND
from artifacts.filters import Filter, between_halves
from artifacts.model import Model
from tests import builders
from tests.builders import special_id
from tests.unit.scoring import BruteForce, Request, check
from training import cleaning
from training.build import Built

Track = dict[str, Any]


@pytest.fixture(scope="module")
def shown(model: Model, built: Built, sound: npt.NDArray[np.float64]) -> list[Track]:
    """What answers show of each row, and what they do not: the codes of artists, and whether it is explicit."""
    explicit = built.arrays["explicit"].tolist()
    return [
        {
            **model.track(row),
            "artist_codes": set(model.artist_codes(row)),
            "explicit": None if explicit[row] < 0 else bool(explicit[row]),
            "tempo": float(built.arrays["tempo"][row]),
            **dict(zip(SOUND, sound[:, row].tolist(), strict=True)),
        }
        for row in range(len(model))
    ]


@pytest.fixture(scope="module")
def sound(model: Model) -> npt.NDArray[np.float64]:
    """The features that the atlas was made with, (8, n), in full, by row."""
    rows, _, _ = cleaning.clean(builders.atlas(), builders.NEWEST_YEAR)
    of_id = rows.set_index("track_id")[list(SOUND)]
    return of_id.loc[[model.id_of(row) for row in range(len(model))]].to_numpy(np.float64).T


def passes(model: Model, row: int, track: Track, conditions: Filter) -> bool:
    """Say whether a track passes, condition by condition."""
    for name in ("year", "popularity", "tempo", "duration_ms"):
        between = getattr(conditions, name)
        if between is not None:
            value = track[name]
            if value is None or value != value or not between[0] <= value <= between[1]:
                return False
    for name in SOUND:
        between = getattr(conditions, name)
        if between is not None and not np.float16(between[0]) <= np.float16(track[name]) <= np.float16(between[1]):
            return False
    if conditions.key is not None and track["key"] not in conditions.key:
        return False
    if conditions.mode is not None and track["mode"] != conditions.mode:
        return False
    if conditions.explicit is not None and track["explicit"] != conditions.explicit:
        return False
    genres = [model.manifest.genres[code] for code in conditions.genres or ()]
    if conditions.genres is not None and not set(genres) & set(track["genres"]):
        return False
    return not track["artist_codes"] & set(conditions.without_artists) and row not in conditions.without_rows


def between(low: float, high: float) -> st.SearchStrategy[tuple[float, float]]:
    values = st.integers(int(low), int(high)).map(float) | st.floats(low, high)
    return st.tuples(values, values).map(lambda pair: (min(pair), max(pair)))


def shares() -> st.SearchStrategy[tuple[float, float]]:
    """Ranges within 0–1, of three decimals or any."""
    values = st.integers(0, 1000).map(lambda thousandth: thousandth / 1000) | st.floats(0, 1)
    return st.tuples(values, values).map(lambda pair: (min(pair), max(pair)))


@settings(max_examples=150, deadline=None)
@given(
    conditions=st.builds(
        Filter,
        year=st.none() | between(1940, 2030),
        popularity=st.none() | between(-5, 110),
        tempo=st.none() | between(0, 260),
        duration_ms=st.none() | between(0, 500_000),
        key=st.none() | st.lists(st.integers(0, 11), min_size=1, max_size=12).map(tuple),
        mode=st.none() | st.integers(0, 1),
        explicit=st.none() | st.booleans(),
        genres=st.none() | st.lists(st.integers(0, 24), min_size=1, max_size=8).map(tuple),
        without_artists=st.lists(st.integers(0, 100), max_size=10).map(tuple),
        without_rows=st.lists(st.integers(0, 290), max_size=10).map(tuple),
        loudness=st.none() | between(-40, 3),
        energy=st.none() | between(-1, 2),
        valence=st.none() | shares(),
        acousticness=st.none() | shares(),
        instrumentalness=st.none() | shares(),
    )
)
def test_any_conditions_together_pass_what_plain_python_does(
    model: Model, shown: list[Track], conditions: Filter
) -> None:
    mask = conditions.mask(model.arrays)
    assert mask.dtype == bool
    assert mask.tolist() == [passes(model, row, track, conditions) for row, track in enumerate(shown)]


@pytest.mark.parametrize(
    "conditions",
    [
        *(Filter(year=(1970, 1989)), Filter(year=(1968, 1968)), Filter(year=(2027, 2100)), Filter(popularity=(0, 100))),
        *(Filter(popularity=(80, 80)), Filter(tempo=(0, 300)), Filter(tempo=(166.2, 166.5)), Filter(key=(0, 7))),
        *(Filter(duration_ms=(120_000, 120_004)), Filter(duration_ms=(0, 10**9)), Filter(mode=0), Filter(mode=1)),
        *(Filter(explicit=True), Filter(explicit=False), Filter(genres=(0,)), Filter(genres=tuple(range(30)))),
        *(Filter(without_artists=(0, 5)), Filter(without_rows=(0, 17, 290)), Filter(year=(0, 3000), mode=1)),
        *(Filter(loudness=(-25, -10)), Filter(loudness=(-8, -8)), Filter(energy=(0, 1)), Filter(valence=(0.4, 0.6))),
        *(Filter(danceability=(0.1, 0.3)), Filter(speechiness=(0.03, 0.1)), Filter(liveness=(5e4, 5e4))),
        *(Filter(loudness=(-5e4, 5e4)), Filter(energy=(0.5, 0.5), valence=(0, 1)), Filter(acousticness=(-1, 0))),
    ],
)  # fmt: skip
def test_one_condition(model: Model, shown: list[Track], conditions: Filter) -> None:
    mask = model.mask(conditions)
    assert mask is not None
    assert mask.tolist() == [passes(model, row, track, conditions) for row, track in enumerate(shown)]


def test_no_condition_is_no_mask(model: Model) -> None:
    assert Filter().is_empty
    assert model.mask(Filter()) is None
    assert Filter().mask(model.arrays).all()
    assert not Filter(mode=0).is_empty
    assert not Filter(without_rows=(1,)).is_empty


@pytest.mark.parametrize(
    ("name", "conditions"),
    [
        *(("noyear", Filter(year=(0, 3000))), ("nothing", Filter(year=(-10, 3000)))),
        *(("nothing", Filter(popularity=(-1, 100))), ("nothing", Filter(duration_ms=(-1, 10**9)))),
        *(("nogenre", Filter(genres=tuple(range(30)))), ("nosound", Filter(tempo=(0, 300)))),
        *(("nosound", Filter(valence=(-9, 9))), ("nosound", Filter(loudness=(-99, 99)))),
        *(("nosound", Filter(key=tuple(range(12)))), ("nosound", Filter(mode=0)), ("nosound", Filter(mode=1))),
    ],
)
def test_what_is_unknown_does_not_pass(model: Model, name: str, conditions: Filter) -> None:
    row = model.row_of_id(special_id(name))
    assert row is not None
    mask = model.mask(conditions)
    assert mask is not None
    assert not mask[row]
    assert mask.sum() > 100


def test_an_artist_is_left_out_with_every_song_that_credits_them(model: Model) -> None:
    (code,) = model.artists_named("cy day")
    mask = model.mask(Filter(without_artists=(code,)))
    assert mask is not None
    assert [model.id_of(row) for row in np.flatnonzero(~mask).tolist()] == [special_id("home1")], "credited second"


def test_a_track_of_no_artist_is_nobodys(model: Model) -> None:
    everybody = Filter(without_artists=tuple(range(model.manifest.artists)))
    mask = model.mask(everybody)
    assert mask is not None
    assert [model.id_of(row) for row in np.flatnonzero(mask).tolist()] == [special_id("noartist")]


def without(model: Model, artist: str) -> int:
    """Return how many tracks are left without an artist."""
    return int(Filter(without_artists=tuple(model.artists_named(artist))).mask(model.arrays).sum())


def test_artists_whose_names_are_the_same_normalised_are_left_out_together() -> None:
    rows = [{"artist_name": name} for name in ("Élan", "ELAN", "elan!", "Elana", "Other")]
    model = builders.model_of(builders.train(builders.songs(*rows), clusters=2))
    assert without(model, "Elan") == without(model, "ÉLAN") == 2
    assert without(model, "Elana") == 4
    assert without(model, "Nobody") == 5


def test_the_rarer_spelling_of_a_prolific_artist_is_left_out_too() -> None:
    rows = [{"artist_name": "Élan", "popularity": 60}] * 250 + [{"artist_name": "Elan", "popularity": 5}]
    model = builders.model_of(builders.train(builders.songs(*rows), clusters=2))
    assert without(model, "elan") == 0


def test_the_before_an_artists_name_does_not_matter() -> None:
    rows = [{"artist_name": name} for name in ("The Larks", "Bees", "The The", "Other")]
    model = builders.model_of(builders.train(builders.songs(*rows), clusters=2))
    for typed in ("The Larks", "Larks", "the larks", "The Bees", "bees", "The The"):
        assert without(model, typed) == 3, typed


def test_an_unknown_explicit_passes_neither_way() -> None:
    tracks = builders.songs({"explicit": 1}, {"explicit": 0}, {"explicit": None}, {"explicit": None})
    model = builders.model_of(builders.train(tracks, clusters=2))
    for wanted, expected in ((True, ["t000"]), (False, ["t001"])):
        mask = model.mask(Filter(explicit=wanted))
        assert mask is not None
        assert [model.id_of(row) for row in np.flatnonzero(mask).tolist()] == expected


def test_the_best_of_those_that_pass_are_found(model: Model, built: Built) -> None:
    brute = BruteForce(built.arrays, len(built.about["genres"]))
    for conditions in (
        Filter(year=(1970, 1990)),
        Filter(mode=0, key=(1, 2, 3)),
        Filter(genres=(3, 4), explicit=True),
        Filter(energy=(0.3, 0.6), loudness=(-20, -8)),
    ):
        mask = model.mask(conditions)
        for k in (1, 5, 500):
            check(model, brute, Request([12], {}, k, passing=mask))


def test_the_most_popular_of_those_that_pass(model: Model, shown: list[Track]) -> None:
    for conditions in (Filter(), Filter(year=(1970, 1990)), Filter(genres=(3,))):
        mask = model.mask(conditions)
        rows = [row for row in range(len(model)) if mask is None or mask[row]]
        popularity = [-1 if track["popularity"] is None else track["popularity"] for track in shown]
        expected = sorted(rows, key=lambda row: (-popularity[row], model.id_of(row)))
        for k in (1, 10, 1000):
            assert model.most_popular(k, mask).tolist() == expected[:k]


@settings(max_examples=400, deadline=None)
@given(
    value=st.integers(-60_000, 5000).map(lambda thousandth: thousandth / 1000) | st.floats(-60, 5) | st.just(0.0),
    bounds=between(-60, 5) | shares(),
)
def test_a_value_is_found_by_itself_and_by_any_range_around_it(value: float, bounds: tuple[float, float]) -> None:
    kept = np.array([value, np.nan], np.float16) + np.float16(0)
    assert between_halves(kept, value, value).tolist() == [True, False]
    assert between_halves(kept, value - 1e-9, value + 1e-9).tolist() == [True, False]
    low, high = bounds
    (passes, _) = between_halves(kept, low, high).tolist()
    half_a_step = max(np.spacing(np.abs(np.float16(value))), np.spacing(np.float16(1e-4))) / 2
    if low <= value <= high:
        assert passes
    elif not low - 2 * half_a_step <= value <= high + 2 * half_a_step:
        assert not passes


def test_three_decimals_are_told_apart() -> None:
    """As the data have them: no range of thousandths lets another thousandth pass."""
    thousandths = np.arange(1001) / 1000
    kept = thousandths.astype(np.float16)
    for at in range(0, 1001, 7):
        assert np.flatnonzero(between_halves(kept, thousandths[at], thousandths[at])).tolist() == [at]
    assert np.flatnonzero(between_halves(kept, 0.62, 0.64)).tolist() == list(range(620, 641))


def test_bounds_that_float16_cannot_hold_are_bounds_all_the_same() -> None:
    kept = np.array([-60, -8, 0, 1, np.nan], np.float16)
    assert between_halves(kept, -1e300, 1e300).tolist() == [True, True, True, True, False]
    assert between_halves(kept, 1e300, 1e300).tolist() == [False] * 5
    assert between_halves(kept, -1e300, -1e300).tolist() == [False] * 5
    assert between_halves(kept, -0.0, 0.0).tolist() == [False, False, True, False, False]
