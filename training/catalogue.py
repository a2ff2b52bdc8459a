"""Turn cleaned rows into the catalogue's arrays: names, credited artists, label sets, and which rows are one song."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from artifacts import features
from artifacts.model import UNKNOWN
from artifacts.names import artist_form, core_title, normalise
from artifacts.strings import Strings
from training.cleaning import Ledger

Arrays = dict[str, npt.NDArray[Any]]

# "Always a list": a separator that names do not contain.
_LIST = re.compile(r"\s*;\s*|\s+(?:featuring|feat\.?)\s+", re.IGNORECASE)
_MAYBE_LIST = re.compile(r"\s*,\s+|\s+&\s+|\s+ft\.?\s+", re.IGNORECASE)
_TWIN_COLUMNS = (
    *("danceability", "energy", "loudness", "speechiness", "acousticness"),
    *("instrumentalness", "liveness", "valence", "tempo"),
)


def id_arrays(frame: pd.DataFrame, order: npt.NDArray[np.int32]) -> Arrays:
    """Return the ids, ascending, and the way between them and rows. frame: in the order of ids; order: ranks by row."""
    row = np.empty(len(order), np.int32)
    row[order] = np.arange(len(order), dtype=np.int32)
    ids = np.array([track_id.encode("utf-8") for track_id in frame["track_id"]])
    return {"track_id": ids, "id_row": row, "id_rank": order.astype(np.int32)}


def name_arrays(frame: pd.DataFrame) -> Arrays:
    """Return the tracks' names as one blob."""
    offsets, utf8 = Strings.pack(frame["track_name"].tolist())
    return {"name_offsets": offsets, "name_utf8": utf8}


def reorder_credits(arrays: Arrays, order: npt.NDArray[np.int32]) -> Arrays:
    """Return what `credit_arrays` returned with the rows in another order. order: old row of each new one."""
    offsets, codes = arrays["credit_offsets"], arrays["credit_artist"]
    sizes = np.diff(offsets)[order]
    moved = np.zeros(len(offsets), np.int32)
    np.cumsum(sizes, out=moved[1:])
    inside = np.arange(moved[-1]) - np.repeat(moved[:-1], sizes)
    return {**arrays, "credit_offsets": moved, "credit_artist": codes[np.repeat(offsets[:-1][order], sizes) + inside]}


def column_arrays(frame: pd.DataFrame) -> Arrays:
    """Return the columns that answers show, in small types, UNKNOWN or NaN where not known."""
    arrays: Arrays = {}
    for column, dtype in (
        *(("year", np.int16), ("popularity", np.int16), ("key", np.int8), ("mode", np.int8)),
        *(("duration_ms", np.int32), ("explicit", np.int8)),
    ):
        values = frame[column].to_numpy(np.float64)
        limit = float(np.iinfo(dtype).max)
        arrays[column] = np.clip(np.nan_to_num(np.round(values), nan=UNKNOWN), UNKNOWN, limit).astype(dtype)
    arrays["tempo"] = frame["tempo"].to_numpy(np.float32)
    # A zero has no sign: filters compare the bits.
    arrays["sound"] = frame[list(features.SOUND)].to_numpy(np.float16).T.copy() + np.float16(0)
    return arrays


def credit_arrays(frame: pd.DataFrame, ledger: Ledger) -> Arrays:
    """Split the artist strings into credited artists.

    → credit_offsets int32 (n + 1,), credit_artist int32: the codes of row i's artists, in credit order, are
    credit_artist[credit_offsets[i]:credit_offsets[i + 1]]; the artists' names as one blob.
    """
    codes, strings = pd.factorize(frame["artist_name"])
    parts = [[part for part in _LIST.split(string) if part] for string in strings]
    times = np.bincount(codes[codes >= 0], minlength=len(strings)).tolist()
    alone: Counter[str] = Counter()
    for names, count in zip(parts, times, strict=True):
        for name in names:
            alone[name] += count
    split = [list(dict.fromkeys(s for name in names for s in _split(name, alone))) for names in parts]
    for rule, counted in (
        ("several artists joined by ; or featuring: split", [len(names) > 1 for names in parts]),
        ("several artists joined by , or &: split, each being known alone", _longer(split, parts)),
    ):
        ledger.note(rule, "mended", sum(count for count, hit in zip(times, counted, strict=True) if hit))
    # "BTS" and "Bts" are one artist, shown as most tracks write it.
    spellings = sorted({name for names in split for name in names}, key=lambda name: (-alone[name], name))
    shown: dict[str, str] = {}
    for name in spellings:
        shown.setdefault(artist_form(name), name)
    form = {name: shown[artist_form(name)] for name in spellings}
    artist_code: dict[str, int] = {}
    coded = [
        [artist_code.setdefault(name, len(artist_code)) for name in dict.fromkeys(form[n] for n in names)]
        for names in split
    ]
    coded.append([])  # for the rows without an artist: code −1
    sizes = np.array([len(c) for c in coded])[codes]
    offsets = np.zeros(len(frame) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    credits = np.array([code for string in codes.tolist() for code in coded[string]], np.int32)
    artist_offsets, utf8 = Strings.pack(list(artist_code))
    return {
        "credit_offsets": offsets,
        "credit_artist": credits,
        "artist_offsets": artist_offsets,
        "artist_utf8": utf8,
    }


def _split(name: str, alone: Counter[str]) -> list[str]:
    """Split "A, B & C" if each part is credited alone at least as often as the whole: not "Earth, Wind & Fire"."""
    pieces = [piece for piece in _MAYBE_LIST.split(name) if piece]
    if len(pieces) > 1 and all(alone[piece] >= alone[name] for piece in pieces):
        return pieces
    return [name]


def _longer(split: Sequence[Sequence[str]], parts: Sequence[Sequence[str]]) -> list[bool]:
    return [len(s) > len(dict.fromkeys(p)) for s, p in zip(split, parts, strict=True)]


def first_artist(arrays: Arrays) -> npt.NDArray[np.int32]:
    """Return the code of each row's first artist, −1 unknown. int32 (n,)."""
    starts, stops = arrays["credit_offsets"][:-1], arrays["credit_offsets"][1:]
    first = np.full(len(starts), -1, np.int32)
    some = stops > starts
    first[some] = arrays["credit_artist"][starts[some]]
    return first


def genre_arrays(genres: pd.DataFrame, artist: npt.NDArray[np.int32]) -> tuple[tuple[str, ...], Arrays]:
    """Give each row the code of its set of labels.

    genres: (row, genre) pairs, by row. artist: the first artist of each row, −1 unknown.
    → the labels' names, ascending; genre_set int32 (n,), code 0 for no label; score_genre_set (n,): the same, but
    a row without labels has the commonest set of its artist; set_offsets and set_genre: the labels of each set.
    """
    label, names = pd.factorize(genres["genre"], sort=True)
    n = len(artist)
    genre_set = np.zeros(n, np.int32)
    sets: dict[tuple[int, ...], int] = {(): 0}
    rows = genres["row"].to_numpy()
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    labels = label.tolist()
    for start, stop in pairwise([*starts.tolist(), len(rows)]):
        genre_set[rows[start]] = sets.setdefault(tuple(sorted(labels[start:stop])), len(sets))
    offsets = np.zeros(len(sets) + 1, np.int32)
    np.cumsum([len(s) for s in sets], out=offsets[1:])
    return tuple(names), {
        "genre_set": genre_set,
        "score_genre_set": _artists_set(genre_set, artist),
        "set_offsets": offsets,
        "set_genre": np.array([g for s in sets for g in s], np.int16),
    }


def _artists_set(genre_set: npt.NDArray[np.int32], artist: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    known = pd.DataFrame({"artist": artist, "set": genre_set})[(artist >= 0) & (genre_set > 0)]
    counts = known.value_counts(["artist", "set"]).reset_index().sort_values(["count", "set"], ascending=[False, True])
    commonest = counts.drop_duplicates("artist").set_index("artist")["set"]
    guess = pd.Series(artist).map(commonest).fillna(0).to_numpy(np.int32)
    return np.where(genre_set > 0, genre_set, guess).astype(np.int32)


def song_array(
    frame: pd.DataFrame, artist: npt.NDArray[np.int32], names: Strings, ledger: Ledger
) -> npt.NDArray[np.int32]:
    """Give the versions of one song one number: remasters, live takes, the same recording under another id.

    Two rows are versions of one song if they have the same first artist and the same core title, or the very same
    nine audio features and the same first artist or core title. → int32 (n,), 0…songs − 1.
    """
    title = pd.factorize(pd.Series([normalise(core_title(t)) for t in frame["track_name"]]))[0]
    folded = pd.factorize(pd.Series([normalise(names[i]) for i in range(len(names))], dtype="str"))[0]
    who = np.where(artist >= 0, folded[artist] if len(folded) else -1, -1)
    twin = frame.groupby(list(_TWIN_COLUMNS), sort=False, dropna=True).ngroup().to_numpy()
    keys = pd.DataFrame({"who": who, "title": title, "twin": twin})
    edges = [
        _links(keys[keys["who"] >= 0], ["who", "title"]),
        _links(keys[(keys["twin"] >= 0) & (keys["who"] >= 0)], ["twin", "who"]),
        _links(keys[keys["twin"] >= 0], ["twin", "title"]),
    ]
    left, right = np.concatenate([e[0] for e in edges]), np.concatenate([e[1] for e in edges])
    n = len(frame)
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(n, n))
    songs, label = connected_components(graph, directed=False)
    ledger.note("another version of a song: kept, answers show one of them", "kept", n - songs)
    numbers: npt.NDArray[np.int32] = label.astype(np.int32)
    return numbers


def _links(keys: pd.DataFrame, by: list[str]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Link each row to the first one with the same keys."""
    group = keys.groupby(by, sort=False).ngroup().to_numpy()
    rows = keys.index.to_numpy(np.intp)
    first = np.zeros(group.max(initial=-1) + 1, np.intp)
    first[group[::-1]] = rows[::-1]
    return first[group], rows
