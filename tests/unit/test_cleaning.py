"""Cleaning: what each rule does to a row, and that the ledger's numbers add up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import builders
from training.cleaning import SHARES, Ledger, clean

ANALYSED = (*SHARES, "loudness", "tempo", "key", "mode")


def entry(ledger: Ledger, begins: str) -> tuple[str, int]:
    """Return what the one rule whose name begins so did, and to how many rows."""
    found = [(e.action, e.count) for e in ledger.entries if e.rule.startswith(begins)]
    assert len(found) == 1, [e.rule for e in ledger.entries]
    return found[0]


def cleaned(*rows: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame, Ledger]:
    """Clean `rows` between two sound ones: → the rows that came of them, the genres, the ledger."""
    around = [{"track_id": "a-first", "track_name": "First"}, {"track_id": "z-last", "track_name": "Last"}]
    frame, genres, ledger = clean(builders.songs(around[0], *rows, around[1]), builders.NEWEST_YEAR)
    assert ledger.rows_in == len(rows) + 2
    assert ledger.rows_out == len(frame)
    assert frame.index.tolist() == list(range(len(frame)))
    assert frame["track_id"].iloc[[0, -1]].tolist() == ["a-first", "z-last"]
    return frame.iloc[1:-1].reset_index(drop=True), genres, ledger


def test_sound_rows_pass_unchanged() -> None:
    tracks = builders.songs(*({"track_id": f"id{i}", "key": i, "genre": f"g{i}"} for i in range(5)))
    frame, genres, ledger = clean(tracks, builders.NEWEST_YEAR)
    pd.testing.assert_frame_equal(frame, tracks.drop(columns="genre"))
    assert genres.to_numpy().tolist() == [[i, f"g{i}"] for i in range(5)]
    assert [e for e in ledger.entries if e.count] == []


def test_what_is_given_is_not_changed() -> None:
    tracks = builders.songs({"loudness": 3.0, "genre": "spencer"}, {"track_name": " A "}, {"year": 1800})
    before = tracks.copy(deep=True)
    clean(tracks, builders.NEWEST_YEAR)
    pd.testing.assert_frame_equal(tracks, before)


@pytest.mark.parametrize("nothing", [None, "", "  ", "\u200b\t"])
def test_rows_without_an_id_or_a_name_go(nothing: str | None) -> None:
    frame, _, ledger = cleaned(
        {"track_id": nothing}, {"track_name": nothing}, {"track_id": nothing, "track_name": nothing}
    )
    assert len(frame) == 0
    assert entry(ledger, "no track id") == ("removed", 2)
    assert entry(ledger, "no name") == ("removed", 1)


def test_rows_without_an_artist_stay() -> None:
    frame, _, ledger = cleaned({"artist_name": None}, {"artist_name": " "})
    assert frame["artist_name"].isna().all()
    assert entry(ledger, "no artist") == ("kept", 2)


@pytest.mark.parametrize("misread_as", ["cp1252", "latin-1"])
@pytest.mark.parametrize(
    "text", ["Café del Mar", "São Paulo", "Khodne Ma’ak", "Ço Fa", "Åse", "Мой дом", "漢字", "ß", "œuvre", "wodą"]
)
def test_text_in_the_wrong_encoding_is_mended(text: str, misread_as: str) -> None:
    broken = text.encode().decode(misread_as)
    frame, _, ledger = cleaned({"track_name": broken}, {"artist_name": broken, "album_name": broken})
    assert frame["track_name"][0] == frame["artist_name"][1] == frame["album_name"][1] == text
    assert entry(ledger, "text in the wrong encoding") == ("mended", 2)


@pytest.mark.parametrize(
    "text",
    [
        *("Café", "São Paulo", "Beyoncé™", "Là–bas", "naïve", "Motörhead", "夜に駆ける", "Ñandú", "Â", "Ã", "Åse"),
        *("Ich weiß…", "CAFÉ…", "“OLÉ”", "Straß–", "Ó “x”", "Что?", "한국어", "«Été»"),
    ],
)
def test_text_in_the_right_encoding_stays(text: str) -> None:
    frame, _, ledger = cleaned({"track_name": text})
    assert frame["track_name"][0] == text
    assert entry(ledger, "text in the wrong encoding") == ("mended", 0)


def test_white_space_is_tidied() -> None:
    frame, genres, ledger = cleaned(
        {"track_name": "  Two\t Words\n"}, {"artist_name": "A\u00a0 B\x00"}, {"genre": " rock "}, {"track_id": " t4 "}
    )
    assert frame["track_name"][0] == "Two Words"
    assert frame["artist_name"][1] == "A B"
    assert genres["genre"].tolist() == ["pop", "pop", "pop", "rock", "pop", "pop"]
    assert frame["track_id"].tolist() == ["t001", "t002", "t003", "t4"]
    assert entry(ledger, "stray white space") == ("mended", 4)


def test_a_failed_analysis_leaves_no_sound() -> None:
    frame, _, ledger = cleaned({"tempo": 0}, {"danceability": 0}, {"tempo": 0, "danceability": 0, "valence": 0})
    assert frame[list(ANALYSED)].isna().all(axis=None)
    assert frame[["year", "popularity", "duration_ms", "track_name"]].notna().all(axis=None)
    assert entry(ledger, "failed analysis") == ("mended", 3)


IMPOSSIBLE: list[tuple[str, str, list[float], list[float]]] = [
    # rule, column, values that become unknown, values that stay
    *((f"{share} outside 0–1", share, [-0.001, 1.001, 7], [0.001, 0.5, 1]) for share in SHARES),
    ("tempo below 0 or above 300", "tempo", [-1, 300.5, 9999], [0.5, 300]),
    ("loudness at or below −60 dB", "loudness", [-60, -99], [-59.9, 0]),
    ("key that is no pitch class", "key", [-1, 12, 3.5], [0, 11]),
    ("mode that is neither 0 nor 1", "mode", [-1, 2, 0.5], [0, 1]),
    ("time signature 0", "time_signature", [0, -1], [1, 5]),
    ("year 1900 or earlier", "year", [1900, 0, -5], [1901, 2026]),
    ("year after 2026", "year", [2027, 9999], [2026, 1950]),
    ("no duration", "duration_ms", [0, -1], [1, 60_000]),
    ("popularity outside 0–100", "popularity", [-1, 101], [0, 100]),
]


@pytest.mark.parametrize(("rule", "column", "wrong", "right"), IMPOSSIBLE)
def test_impossible_values_become_unknown(rule: str, column: str, wrong: list[float], right: list[float]) -> None:
    values = [math.nan, *wrong, *right]
    frame, _, ledger = cleaned(*({"track_id": f"id{i}", column: value} for i, value in enumerate(values)))
    assert frame[column].isna().tolist() == [True] * (1 + len(wrong)) + [False] * len(right)
    assert frame[column].dropna().tolist() == right
    others = [c for c in frame if c != column]
    assert frame[others].notna().all(axis=None), "only this column becomes unknown"
    assert entry(ledger, rule) == ("mended", len(wrong))
    assert sum(e.count for e in ledger.entries if e.action == "mended") == len(wrong)


@pytest.mark.parametrize("column", ["danceability", "tempo", "loudness", "year", "key", "popularity", "duration_ms"])
def test_infinite_values_become_unknown(column: str) -> None:
    frame, _, ledger = cleaned({"track_id": "id0", column: math.inf}, {"track_id": "id1", column: -math.inf})
    assert frame[column].isna().all()
    assert entry(ledger, f"{column} infinite") == ("mended", 2)
    assert sum(e.count for e in ledger.entries) == 2, "no second rule sees the same value"


def test_loudness_above_zero_is_zero() -> None:
    frame, _, ledger = cleaned({"track_id": "id0", "loudness": 5.05}, {"track_id": "id1", "loudness": -0.5})
    assert frame["loudness"].tolist() == [0, -0.5]
    assert entry(ledger, "loudness above 0 dB") == ("mended", 1)


def test_very_short_and_very_long_tracks_stay_as_they_are() -> None:
    durations = [3_000, 29_999, 30_000, 1_200_000, 1_200_001, 4_000_000]
    frame, _, ledger = cleaned(*({"track_id": f"id{i}", "duration_ms": ms} for i, ms in enumerate(durations)))
    assert frame["duration_ms"].tolist() == durations
    assert entry(ledger, "shorter than 30 s") == ("kept", 4)


def test_labels_that_are_no_genres_go_and_their_tracks_stay() -> None:
    frame, genres, ledger = cleaned({"genre": "spencer"}, {"genre": "dbscan_clusters"}, {"genre": "spencer jazz"})
    assert len(frame) == 3
    assert genres["genre"].tolist() == ["pop", "spencer jazz", "pop"]
    assert entry(ledger, "label that is no genre") == ("mended", 2)


def test_rows_of_one_id_are_joined() -> None:
    frame, genres, ledger = cleaned(
        {"track_id": "id", "track_name": "Right", "genre": "rock", "popularity": 10, "year": 1999, "tempo": 100},
        {"track_id": "other", "genre": None},
        {"track_id": "id", "track_name": "Wrong", "genre": "jazz", "popularity": 15, "year": 1998, "tempo": 200},
        {"track_id": "id", "track_name": "Right", "genre": "rock", "popularity": None, "year": None, "tempo": 300},
    )
    assert frame["track_id"].tolist() == ["id", "other"]
    assert [frame[column][0] for column in ("track_name", "popularity", "year", "tempo")] == ["Right", 15, 1998, 100]
    assert genres.to_numpy().tolist() == [[0, "pop"], [1, "rock"], [1, "jazz"], [3, "pop"]]
    assert entry(ledger, "further row of an id") == ("joined", 2)


def test_ids_that_differ_only_in_white_space_are_one_and_those_that_differ_in_case_are_not() -> None:
    frame, _, ledger = cleaned({"track_id": "id"}, {"track_id": "id "}, {"track_id": "iD"})
    assert frame["track_id"].tolist() == ["iD", "id"]
    assert entry(ledger, "further row of an id") == ("joined", 1)


def test_ids_are_in_the_order_of_their_bytes() -> None:
    ids = ["b", "a", "B", "aa", "é", "z", "Z", "0", "ﬀ", "𝄞", "a0", "aA"]
    frame, genres, _ = clean(builders.songs(*({"track_id": i, "genre": f"genre of {i}"} for i in ids)), 2026)
    assert frame["track_id"].tolist() == sorted(ids, key=lambda i: i.encode())
    assert genres["row"].tolist() == list(range(len(ids)))
    assert genres["genre"].tolist() == [f"genre of {i}" for i in frame["track_id"]]


def test_no_rows_left_is_no_error_here() -> None:
    frame, genres, ledger = clean(builders.songs({"track_name": None}), builders.NEWEST_YEAR)
    assert (len(frame), len(genres), ledger.rows_out) == (0, 0, 0)


odd_rows = st.fixed_dictionaries(
    {
        "track_id": st.sampled_from(["a", "b", "c", " c", None, ""]),
        "track_name": st.sampled_from(["One", "Two", "CafÃ©", " ", None]),
        "artist_name": st.sampled_from(["X", "Y;Z", None]),
        "genre": st.sampled_from(["pop", "rock", "spencer", None]),
        "tempo": st.sampled_from([0, 120, 400, math.nan, math.inf]),
        "loudness": st.sampled_from([-70, -60, -5, 2, math.nan]),
        "year": st.sampled_from([1900, 1990, 2100, math.nan]),
        "popularity": st.sampled_from([-1, 0, 50, 101, math.nan]),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(odd_rows, min_size=1, max_size=12))
def test_the_ledger_adds_up_and_nothing_impossible_is_left(rows: list[dict[str, Any]]) -> None:
    frame, genres, ledger = clean(builders.songs(*rows), builders.NEWEST_YEAR)
    gone = sum(e.count for e in ledger.entries if e.action in ("removed", "joined"))
    assert ledger.rows_in - gone == ledger.rows_out == len(frame)
    whole = [r for r in rows if (r["track_id"] or "").strip() and (r["track_name"] or "").strip()]
    assert frame["track_id"].tolist() == sorted({r["track_id"].strip() for r in whole})
    assert not (frame["loudness"] > 0).any()
    assert not np.isinf(frame.select_dtypes("number").to_numpy()).any()
    assert frame["year"].dropna().isin([1990]).all()
    pairs = {(t["track_id"].strip(), t["genre"]) for t in whole if t["genre"] in ("pop", "rock")}
    assert {(frame["track_id"][r], g) for r, g in genres.to_numpy().tolist()} == pairs
    assert len(genres) == len(pairs)
