"""Write the catalogue with its clusters as CSV: the same model, the same bytes. Columns: docs/howto/models.md."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, TextIO

import numpy as np
import numpy.typing as npt

from artifacts import features
from artifacts.model import UNKNOWN, Model, Rows

BLOCK = 10_000
"""Rows that are written at once: some MB of memory."""

_WHOLE = ("year", "popularity", "explicit", "duration_ms", "key", "mode")
_Z = {f"{name}_z": place for place, name in enumerate(features.AUDIO) if name not in ("tempo", "duration")}
"""Audio features of which a model keeps only what the score compares, with their places in it."""

COLUMNS = ("track_id", "name", "artists", "genres", *_WHOLE, "tempo", "song", "cluster", *_Z)
SEPARATOR = ";"
"""Between several artists or genres in one cell. Training splits artists at it, so no artist's name has one."""

# What spreadsheets take for a formula: at the start of a cell, and of what they make a cell where ";" separates them.
_RISKY = re.compile(r"((?:^|[;\t\r\n])(?=[=+\-@＝＋－＠])|^(?=[\t\r\n]))")


def write_csv(
    model: Model, file: TextIO, *, for_spreadsheets: bool = False, progress: Callable[[int], None] = lambda _: None
) -> None:
    """Write all tracks, in the order of their ids, as RFC 4180 has it; what is unknown is an empty cell.

    file: opened with newline="". for_spreadsheets: put a ' before text that a spreadsheet may take for a formula.
    progress: told after each block how many tracks are written.
    """
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    arrays, genres = model.arrays, model.manifest.genres
    artists = [model.artist_name[code] for code in range(len(model.artist_name))]
    labels = [_joined(genres, codes) for codes in _split(arrays["set_offsets"], arrays["set_genre"])]
    for start in range(0, len(model), BLOCK):
        rows = arrays["id_row"][start : start + BLOCK].astype(np.intp)
        texts = _texts(model, start, rows, artists, labels)
        if for_spreadsheets:
            texts = ([_RISKY.sub(r"\1'", text) for text in cells] for cells in texts)
        writer.writerows([*cells, *numbers] for cells, numbers in zip(texts, _numbers(model, rows), strict=True))
        progress(start + len(rows))


def _texts(
    model: Model, start: int, rows: Rows, artists: Sequence[str], labels: Sequence[str]
) -> Iterator[Sequence[str]]:
    """Return the first four cells of each row. start: the place of the first among all ids."""
    arrays = model.arrays
    first, last = arrays["credit_offsets"][rows].tolist(), arrays["credit_offsets"][rows + 1].tolist()
    codes = (arrays["credit_artist"][a:b].tolist() for a, b in zip(first, last, strict=True))
    return zip(
        (track_id.decode("utf-8") for track_id in arrays["track_id"][start : start + len(rows)].tolist()),
        (model.name[row] for row in rows.tolist()),
        (_joined(artists, credited) for credited in codes),
        (labels[code] for code in arrays["genre_set"][rows].tolist()),
        strict=True,
    )


def _split(offsets: npt.NDArray[Any], codes: npt.NDArray[Any]) -> Iterator[list[int]]:
    return (codes[start:stop].tolist() for start, stop in pairwise(offsets.tolist()))


def _joined(names: Sequence[str], codes: Iterable[int]) -> str:
    return SEPARATOR.join(names[code] for code in codes)


def _numbers(model: Model, rows: Rows) -> Iterator[tuple[Any, ...]]:
    """Return the remaining cells of each row, "" where a value is unknown."""
    arrays = model.arrays
    whole = [["" if value == UNKNOWN else value for value in arrays[name][rows].tolist()] for name in _WHOLE]
    tempo = ["" if np.isnan(value) else f"{value:.3f}" for value in arrays["tempo"][rows].tolist()]
    z = [[f"{value:.4f}" for value in arrays["score"][place, rows].tolist()] for place in _Z.values()]
    return zip(*whole, tempo, arrays["song"][rows].tolist(), arrays["cluster"][rows].tolist(), *z, strict=True)
