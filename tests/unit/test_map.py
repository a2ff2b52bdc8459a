"""The map: where tracks lie, which are in a window, the picture and the labels that training makes of it."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifacts.map import NOWHERE, SIDE, UNIT, Map, map_arrays, places
from artifacts.model import Model
from producer.charts import MapInfo
from tests import builders
from tests.builders import special_id
from training import map as drawing
from training.build import Built

F64 = npt.NDArray[np.float64]


def spread(n: int, seed: int = 0) -> tuple[F64, F64]:
    """Return valences and energies as data have them: three digits, some unknown, many the same."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.beta(2, 3, (2, n)), 3)
    values[1] = np.round(0.5 * values[0] + 0.5 * values[1], 3)
    values[:, rng.random(n) < 0.1] = 0.5
    values[0, rng.random(n) < 0.05] = np.nan
    values[1, rng.random(n) < 0.05] = np.nan
    return values[0], values[1]


def test_places_are_percentiles() -> None:
    valence = np.array([0.9, 0.1, np.nan, 0.4, 0.2])
    energy = np.array([0.5, 0.6, 0.1, np.nan, 0.9])
    place = places(valence, energy, np.arange(5))
    assert place[0].tolist()[0] == 3.5 / 4, "three known valences are less"
    assert place[0].tolist()[1] == 0.5 / 4
    assert place[1].tolist()[4] == 3.5 / 4
    assert np.isnan(place[:, 2:4]).all(), "with one of both unknown there is no place"


def test_ties_share_out_their_interval_and_fill_it_evenly_both_ways() -> None:
    n = 4000
    valence, energy = np.full(n, 0.5), np.full(n, 0.5)
    valence[:1000], energy[:1000] = 0.1, 0.9
    place = places(valence, energy, np.random.default_rng(0).permutation(n))
    assert (place[0, :1000] < 0.25).all()
    assert (place[0, 1000:] > 0.25).all()
    assert np.sort(place[0]).tolist() == np.sort(place[1]).tolist() == ((np.arange(n) + 0.5) / n).tolist()
    tied = place[:, 1000:]
    assert abs(np.asarray(np.corrcoef(tied))[0, 1]) < 0.05, "not on a line"
    counts = np.histogram2d(tied[0], tied[1], bins=6, range=[[0.25, 1], [0, 0.75]])[0]
    assert counts.min() > 0.6 * 3000 / 36, counts


def test_a_place_does_not_depend_on_the_order_of_rows() -> None:
    valence, energy = spread(500)
    order = np.random.default_rng(1).permutation(500)
    moved = places(valence[order], energy[order], order)
    np.testing.assert_array_equal(moved, places(valence, energy, np.arange(500))[:, order])


def made(n: int, seed: int = 0) -> tuple[Map, F64, npt.NDArray[np.int32]]:
    """Return a map, the places on it as answers show them, and the rows by popularity."""
    rng = np.random.default_rng(seed)
    popular = rng.permutation(n).astype(np.int32)
    arrays = map_arrays(places(*spread(n, seed), rng.permutation(n)), popular)
    lookup = Map(arrays | {"popular_row": popular})
    at = lookup.at(np.arange(n))
    assert len(lookup) == sum(one is not None for one in at)
    return lookup, np.array([one or [np.nan, np.nan] for one in at]), popular


MAPS = {n: made(n, n) for n in (1, 40, 3000, 60_000)}


@settings(max_examples=300, deadline=None)
@given(
    size=st.sampled_from(sorted(MAPS)),
    edges=st.lists(
        st.integers(-2, 12).map(lambda tenth: tenth / 10)
        | st.integers(0, UNIT).map(lambda unit: unit / UNIT)
        | st.integers(0, SIDE).map(lambda square: square / SIDE)
        | st.floats(0, 1),
        min_size=4,
        max_size=4,
    ),
    tiny=st.sampled_from([None, None, 0.0, 0.0001, 0.003, 0.02]),
    limit=st.sampled_from([1, 7, 200, 500]),
)
def test_a_window_holds_what_a_look_at_each_track_says(
    size: int, edges: list[float], tiny: float | None, limit: int
) -> None:
    lookup, at, popular = MAPS[size]
    x0, y0, x1, y1 = edges
    x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    if tiny is not None:
        x1 = x0 + tiny
    found = lookup.window((x0, y0, x1, y1), limit)
    inside = (at[:, 0] >= x0) & (at[:, 0] <= x1) & (at[:, 1] >= y0) & (at[:, 1] <= y1)
    # A sum such as 0.1 + 0.0001 may miss the four decimals that were meant by a hair; a place is what it shows.
    hair = (np.abs(at[:, :, None] - np.array([[x0, x1], [y0, y1]])) < 2e-10).any(axis=(1, 2))
    assert inside[~hair].sum() <= found.count <= (inside | hair).sum()
    if not hair.any():
        assert found.count == inside.sum()
        assert found.rows.tolist() == popular[inside[popular]][:limit].tolist()


@pytest.mark.parametrize("limit", [1, 200, 500])
def test_the_whole_map_holds_all(limit: int) -> None:
    lookup, at, popular = MAPS[60_000]
    for box in ((0, 0, 1, 1), (-5, -5, 5, 5)):
        found = lookup.window(box, limit)
        assert found.count == len(lookup) == np.isfinite(at[:, 0]).sum()
        assert found.rows.tolist() == [row for row in popular.tolist() if np.isfinite(at[row, 0])][:limit]


def test_a_window_of_one_place_holds_the_track_that_shows_it() -> None:
    lookup, at, _ = MAPS[3000]
    for row in np.flatnonzero(np.isfinite(at[:, 0]))[:300].tolist():
        x, y = at[row].tolist()
        assert row in lookup.window((x, y, x, y), 500).rows.tolist()


def test_a_window_with_nothing_in_it() -> None:
    lookup, _, _ = MAPS[3000]
    for box in ((0.5, 0.5, 0.4, 0.6), (1.1, 0, 2, 1), (-2, 0, -1, 1), (0.00001, 0, 0.00002, 1)):
        found = lookup.window(box, 10)
        assert (found.count, found.rows.tolist()) == (0, [])


def test_a_catalogue_without_sound_has_an_empty_map() -> None:
    lost = np.full((2, 5), np.nan)
    arrays = map_arrays(places(lost[0], lost[1], np.arange(5)), np.arange(5))
    assert (arrays["map_place"] == NOWHERE).all()
    lookup = Map(arrays | {"popular_row": np.arange(5)})
    assert lookup.window((0, 0, 1, 1), 10).count == 0
    assert lookup.at(np.arange(2)) == [None, None]
    assert not pixels(drawing.picture(lost)).any()


def test_tracks_say_where_they_lie(model: Model, built: Built) -> None:
    unknown = model.row_of_id(special_id("nosound"))
    assert unknown is not None
    assert model.track(unknown)["at"] is None
    shown = [model.track(row)["at"] for row in range(len(model))]
    known = [row for row, at in enumerate(shown) if at is not None]
    assert len(known) == len(model.map) == built.public["map"]["tracks"]
    x = [shown[row][0] for row in known]
    sound = model.sound(np.array(known))
    for place, values in ((0, sound[7]), (1, sound[1])):
        order = np.argsort([shown[row][place] for row in known], kind="stable")
        assert (np.diff(values[order]) >= 0).all(), "the further, the more of it"
    assert np.median(x) == pytest.approx(0.5, abs=0.01)


def pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """Read a PNG as a reader of the format does, each checksum checked."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks, at = {}, 8
    while at < len(png):
        (size,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        chunks[kind] = png[at + 8 : at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size : at + 12 + size])[0] == zlib.crc32(kind + chunks[kind])
        at += 12 + size
    width, height, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert rest == [8, 0, 0, 0, 0], "greys of 8 bits"
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert (lines[:, 0] == 2).all(), "each line is the difference to the one above"
    return np.cumsum(lines[:, 1:], axis=0, dtype=np.uint8)


def test_the_picture_is_lighter_where_there_are_more_tracks() -> None:
    rng = np.random.default_rng(0)
    place = np.hstack([rng.uniform(0, 1, (2, 20_000)), rng.uniform([[0.8], [0.6]], [[0.9], [0.7]], (2, 2000))])
    png = drawing.picture(place)
    grey = pixels(png)
    assert grey.shape == (drawing.PIXELS, drawing.PIXELS)
    top = drawing.PIXELS - 1 - int(0.65 * drawing.PIXELS)
    crowd = grey[top - 20 : top + 20, 850:890].mean()
    assert crowd > 2 * grey.mean(), "bright songs right, energetic ones at the top"
    assert grey[-200:, :200].mean() < 1.5 * grey.mean()
    assert png == drawing.picture(place)
    assert len(png) < 400_000


def test_the_edges_of_the_picture_are_no_darker_than_its_middle() -> None:
    grey = pixels(drawing.picture(np.random.default_rng(0).uniform(0, 1, (2, 200_000)))).astype(float)
    middle = grey[300:700, 300:700].mean()
    for edge in (grey[:8], grey[-8:], grey[:, :8], grey[:, -8:]):
        assert edge.mean() == pytest.approx(middle, rel=0.25)


def test_labels_name_the_genres_that_are_typical_of_a_cluster(built: Built) -> None:
    chart = MapInfo.model_validate({"model": "m", "notice": None, **built.public["map"]})
    assert (chart.x.name, chart.y.name) == ("valence", "energy")
    shares = [label.share for label in chart.labels]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1, abs=0.01)
    assert all(0 <= edge <= 1 for label in chart.labels for edge in label.at)
    assert chart.labels[0].room == 1.0
    for number, label in enumerate(chart.labels[1:], start=1):
        nearest = min(float(np.hypot(*np.subtract(label.at, before.at))) for before in chart.labels[:number])
        assert label.room == pytest.approx(min(nearest, 1.0), abs=1e-4)
    sets, genres = built.arrays["genre_set"], built.about["genres"]
    offsets, codes = built.arrays["set_offsets"], built.arrays["set_genre"]
    named = [{genres[code] for code in codes[offsets[s] : offsets[s + 1]]} for s in sets.tolist()]
    everywhere = {genre: sum(genre in labels for labels in named) / len(named) for genre in genres}
    for label in chart.labels:
        inside = [named[row] for row in np.flatnonzero(built.arrays["cluster"] == label.cluster).tolist()]
        assert 1 <= len(label.genres) <= 3
        for genre in label.genres:
            assert sum(genre in labels for labels in inside) / len(inside) >= 1.5 * everywhere[genre]


def test_without_genres_the_labels_have_none() -> None:
    rows = [{"genre": None, "energy": 0.1 * (i % 10), "valence": 0.09 * (i % 11)} for i in range(30)]
    labels = builders.train(builders.songs(*rows), clusters=3).public["map"]["labels"]
    assert [label["genres"] for label in labels] == [[]] * 3
