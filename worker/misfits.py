"""Which songs of a playlist do not belong there, and what sets them apart."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from artifacts import features
from artifacts.model import UNKNOWN, Model, Rows

F64 = npt.NDArray[np.float64]

DEVIATIONS = 3.0
"""A song is a misfit that is so many median absolute deviations less like the rest than the median song …"""

AT_MOST = 0.2
"""… and no more like it than this, whatever the others are."""

FEWEST = 4
"""Songs below which nobody can say who is the odd one out."""

REASONS = 3


def to_the_rest(vectors: F64) -> F64:
    """Return how alike each song is to the mean of the others, −1…1. vectors: float64 (n, m), unit length; → (n,)."""
    if len(vectors) < 2:
        return np.zeros(len(vectors))
    rest = vectors.sum(axis=0) - vectors
    rest /= np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-12)
    likeness: F64 = (vectors * rest).sum(axis=1)
    return likeness


def places(likeness: F64) -> list[int]:
    """Return the places of the misfits, from 0, the oddest first."""
    if len(likeness) < FEWEST:
        return []
    median = float(np.median(likeness))
    spread = float(np.median(np.abs(likeness - median)))
    odd = np.flatnonzero((likeness < median - DEVIATIONS * spread) & (likeness <= AT_MOST))
    return [int(place) for place in odd[np.argsort(likeness[odd], kind="stable")]]


def why(model: Model, rows: Rows, place: int) -> list[str]:
    """Return in words what sets a song apart from the others, the most first: REASONS at most."""
    others = np.delete(rows, place)
    own, rest = model.target([int(rows[place])]), model.target([int(row) for row in others])
    weights = features.DEFAULT_WEIGHTS
    found: list[tuple[float, str]] = []
    genre = _genre(model, rows[place], others)
    apart = float((own.genre * own.genre).sum() + (rest.genre * rest.genre).sum() - 2 * (own.genre * rest.genre).sum())
    if genre:
        found.append((weights["genre"] * max(apart, 0.0) / 2, genre))
    for name, a, b in zip(features.SCORE, own.mean, rest.mean, strict=True):
        words = _words(model, name, int(rows[place]), others)
        if words:
            found.append((0.5 * weights[name] * float(a - b) ** 2, words))
    found.sort(key=lambda pair: -pair[0])
    return [words for worth, words in found[:REASONS] if worth > 0.1 * found[0][0]]


def _genre(model: Model, row: int, others: Rows) -> str | None:
    """Say which genres it has, and which most of the others have."""
    counts: dict[int, int] = {}
    for other in others:
        for code in model.genre_codes(int(other)):
            counts[code] = counts.get(code, 0) + 1
    own = model.genre_codes(int(row))
    if not own or not counts:
        return None
    usual = min(counts, key=lambda code: (-counts[code], code))
    if usual in own:
        return None
    names = model.manifest.genres
    return f"genre {', '.join(names[code] for code in own)}; most of the others: {names[usual]}"


def _words(model: Model, name: str, row: int, others: Rows) -> str | None:
    """Say a feature's value, and the median of the others; None where either is unknown."""
    if name in features.SOUND:
        values = model.sound(np.append(others, row))[features.SOUND.index(name)]
    else:
        column = "duration_ms" if name == "duration" else name
        values = model.arrays[column][np.append(others, row)].astype(np.float64)
        values[values == UNKNOWN] = np.nan
    known = values[:-1][~np.isnan(values[:-1])]
    if np.isnan(values[-1]) or not len(known):
        return None
    own, usual = float(values[-1]), float(np.median(known))
    if name == "year":
        return f"from {own:.0f}; the others: about {usual:.0f}"
    if name == "duration":
        return f"lasts {_minutes(own)}; the others: about {_minutes(usual)}"
    unit, digits = {"loudness": (" dB", 1), "tempo": (" BPM", 0)}.get(name, ("", 2))
    return f"{name} {own:.{digits}f}{unit}; the others: about {usual:.{digits}f}{unit}"


def _minutes(ms: float) -> str:
    seconds = round(ms / 1000)
    return f"{seconds // 60}:{seconds % 60:02}"
