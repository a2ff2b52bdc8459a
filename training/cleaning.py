"""Clean the rows of a data set, and keep a ledger of what each rule removed or mended.

A value that cannot be true becomes unknown; a row goes only when nothing could be done with it. The rules and what
they met in real data stand in docs/reference/cleaning.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Action = Literal["removed", "mended", "joined", "kept"]

SHARES = ("danceability", "energy", "speechiness", "acousticness", "instrumentalness", "liveness", "valence")
"""Columns of 0–1."""

JUNK_GENRES = frozenset({"dbscan_clusters", "spencer"})
"""Labels of public collections that are no genres."""

# UTF-8 read as Windows-1252 or Latin-1: a lead byte shown as Â…ô, then continuation bytes.
_MOJIBAKE = re.compile(
    "[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
# "weiß…", "CAFÉ –": there such a letter only ends a word, and a mark follows.
_LAST_LETTER = re.compile("(?:\u00df|(?<![a-z])[\u00c4-\u00de])[\u2013\u2014\u2019\u201d\u2026]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\ufeff]+")


@dataclass(frozen=True)
class Entry:
    """What one rule did. count: rows, or for names and artists distinct strings' rows."""

    rule: str
    action: Action
    count: int


@dataclass
class Ledger:
    """What happened to the rows, rule by rule, in the order of the rules."""

    rows_in: int = 0
    entries: list[Entry] = field(default_factory=list)

    def note(self, rule: str, action: Action, count: int) -> None:
        """Add what `rule` did; a rule that met nothing is noted too."""
        self.entries.append(Entry(rule, action, int(count)))

    @property
    def rows_out(self) -> int:
        """Rows in, less those that went."""
        return self.rows_in - sum(e.count for e in self.entries if e.action in ("removed", "joined"))


def clean(frame: pd.DataFrame, newest_year: int) -> tuple[pd.DataFrame, pd.DataFrame, Ledger]:
    """Clean the rows that `dataset.read` returned.

    newest_year: years after this are taken to be wrong.
    → one row an id, in the order of ids as bytes, index 0…n−1, columns as read less `genre`;
      the genres as (row, genre) pairs without repeats, in that order; the ledger.
    """
    ledger = Ledger(rows_in=len(frame))
    frame = frame.copy()
    _clean_text(frame, ledger)
    no_id, no_name = frame["track_id"].isna(), frame["track_name"].isna()
    ledger.note("no track id", "removed", no_id.sum())
    ledger.note("no name: nobody could tell what is recommended", "removed", (~no_id & no_name).sum())
    frame = frame[~no_id & ~no_name].reset_index(drop=True)
    ledger.note("no artist: kept, shown as unknown", "kept", frame["artist_name"].isna().sum())
    for rule, columns, wrong in _impossible_values(frame, newest_year):
        ledger.note(rule, "mended", wrong.sum())
        frame.loc[wrong, list(columns)] = np.nan
    loud = frame["loudness"] > 0
    ledger.note("loudness above 0 dB → 0", "mended", loud.sum())
    frame.loc[loud, "loudness"] = 0.0
    odd = (frame["duration_ms"] < 30_000) | (frame["duration_ms"] > 1_200_000)
    ledger.note("shorter than 30 s or longer than 20 min: kept, compared as if 30 s or 20 min", "kept", odd.sum())
    junk = frame["genre"].isin(JUNK_GENRES)
    ledger.note("label that is no genre", "mended", junk.sum())
    frame.loc[junk, "genre"] = np.nan
    return *_join_ids(frame, ledger), ledger


def _clean_text(frame: pd.DataFrame, ledger: Ledger) -> None:
    broken = space = np.zeros(len(frame), bool)
    for column in ("track_id", "track_name", "artist_name", "genre", "album_name"):
        codes, values = pd.factorize(frame[column])
        mended = [_mend_mojibake(value) for value in values]
        tidy = [" ".join(_CONTROL.sub(" ", value).split()) for value in mended]
        changed = np.array([m != v for m, v in zip(mended, values, strict=True)] + [False])
        broken = broken | changed[codes]
        space = space | np.array([t != m for t, m in zip(tidy, mended, strict=True)] + [False])[codes]
        if changed.any() or "" in tidy or tidy != list(values):
            frame[column] = pd.Series([*(t or None for t in tidy), None], dtype="str").iloc[codes].array
    ledger.note("text in the wrong encoding (Ã© for é)", "mended", broken.sum())
    ledger.note("stray white space or control characters in text", "mended", space.sum())


def _mend_mojibake(text: str) -> str:
    if text.isascii() or not _MOJIBAKE.search(_LAST_LETTER.sub("", text)):
        return text
    for encoding in ("cp1252", "latin-1"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return text


def _impossible_values(
    frame: pd.DataFrame, newest_year: int
) -> Iterator[tuple[str, tuple[str, ...], npt.NDArray[np.bool_]]]:
    """Yield (rule, columns, rows): these columns of these rows become unknown. In order: later rules see the mended."""

    def rows(mask: pd.Series) -> npt.NDArray[np.bool_]:
        return mask.fillna(False).to_numpy(bool)

    numbers = frame.select_dtypes("number")
    infinite = pd.DataFrame(np.isinf(numbers.to_numpy()), columns=numbers.columns)
    for column in numbers.columns[infinite.any()]:
        yield f"{column} infinite → unknown", (str(column),), infinite[column].to_numpy(bool)
    failed = (frame[["tempo", "danceability"]] == 0).any(axis=1)
    analysed = (*SHARES, "loudness", "tempo", "key", "mode")
    yield "failed analysis (tempo or danceability 0) → its audio features unknown", analysed, rows(failed)
    for column in SHARES:
        yield f"{column} outside 0–1 → unknown", (column,), rows((frame[column] < 0) | (frame[column] > 1))
    yield "tempo below 0 or above 300 → unknown", ("tempo",), rows((frame["tempo"] < 0) | (frame["tempo"] > 300))
    yield "loudness at or below −60 dB (silence) → unknown", ("loudness",), rows(frame["loudness"] <= -60)
    whole = frame["key"].isin(range(12)) | frame["key"].isna()
    yield "key that is no pitch class 0–11 → unknown", ("key",), rows(~whole)
    whole = frame["mode"].isin((0, 1)) | frame["mode"].isna()
    yield "mode that is neither 0 nor 1 → unknown", ("mode",), rows(~whole)
    yield "time signature 0 → unknown", ("time_signature",), rows(frame["time_signature"] < 1)
    year = frame["year"]
    yield "year 1900 or earlier (a placeholder) → unknown", ("year",), rows(year <= 1900)
    yield f"year after {newest_year} → unknown", ("year",), rows(year > newest_year)
    yield "no duration → unknown", ("duration_ms",), rows(frame["duration_ms"] <= 0)
    popularity = frame["popularity"]
    yield "popularity outside 0–100 → unknown", ("popularity",), rows((popularity < 0) | (popularity > 100))


def _join_ids(frame: pd.DataFrame, ledger: Ledger) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join the rows of one id: its genres united, its highest popularity, its earliest year, else its first row."""
    ids = frame["track_id"].str.encode("utf-8")
    row, unique = pd.factorize(ids, sort=True)
    ledger.note("further row of an id (another genre of it, or a repeat)", "joined", len(frame) - len(unique))
    first = np.full(len(unique), -1)
    first[row[::-1]] = np.arange(len(frame))[::-1]
    joined = frame.iloc[first].reset_index(drop=True)
    grouped = frame.groupby(row)
    joined["popularity"] = grouped["popularity"].max().to_numpy()
    joined["year"] = grouped["year"].min().to_numpy()
    genres = pd.DataFrame({"row": row, "genre": frame["genre"]}).dropna().drop_duplicates()
    genres = genres.sort_values("row", kind="stable", ignore_index=True)
    return joined.drop(columns="genre"), genres
