"""How alike two names are, 0–1: edits, with word order and spaces forgiven."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import OSA
from rapidfuzz.process import cdist

WORD_ORDER = 0.97
"""What is left of a likeness that is there only with the words sorted."""
SPACING = 0.98
"""… only with the spaces left out: "acdc" for "ac dc"."""
OTHER_NUMBER = 0.75
"""… if the numbers differ: "Symphony No. 5" is not a misspelt "Symphony No. 6"."""

_SHORTEST_PART = 3
_JOINERS = ("and", "with", "feat", "ft", "featuring", "x", "y", "e", "et", "und")
_NUMBER = re.compile(r"\d+|\b(?:ii|iii|iv|v|vi|vii|viii|ix|x)\b")

Likeness = npt.NDArray[np.float64]


def alike(wanted: str, names: Sequence[str], part: float = 0.0, joined: float = 0.0) -> Likeness:
    """Return how alike each name is to `wanted`: 1 − edits ÷ length of the longer; 1 only if they are equal.

    An edit inserts, deletes or replaces a character or swaps two neighbours (optimal string alignment). Both sides
    normalised. part: the least likeness of a name that is whole words of the other, or has it so; joined: if "and" or
    the like stands beside them. → float64 (len(names),).
    """
    if not names:
        return np.zeros(0)
    found = _likeness(wanted, names)
    if " " in wanted:
        ordered = _likeness(_sorted_words(wanted), [_sorted_words(name) for name in names])
        found = np.maximum(found, WORD_ORDER * ordered)
    tight = [name.replace(" ", "") for name in names]
    found = np.maximum(found, SPACING * _likeness(wanted.replace(" ", ""), tight))
    numbers = sorted(_NUMBER.findall(wanted))
    for i in np.flatnonzero((found > 0.5) & (found < 1)).tolist():
        if sorted(_NUMBER.findall(names[i])) != numbers:
            found[i] *= OTHER_NUMBER
    for i in np.flatnonzero(found < max(part, joined)).tolist():
        found[i] = max(found[i], _least(wanted, names[i], part, joined))
    return found


def _least(a: str, b: str, part: float, joined: float) -> float:
    shorter, longer = (a, f" {b} ") if len(a) < len(b) else (b, f" {a} ")
    if len(shorter) < _SHORTEST_PART or f" {shorter} " not in longer:
        return 0.0
    beside = any(f" {shorter} {word} " in longer or f" {word} {shorter} " in longer for word in _JOINERS)
    return max(part, joined) if beside else part


def _likeness(wanted: str, names: Sequence[str]) -> Likeness:
    matrix = cdist([wanted], names, scorer=OSA.normalized_similarity, dtype=np.float64)
    found: Likeness = matrix[0]
    return found


def _sorted_words(name: str) -> str:
    return " ".join(sorted(name.split(" ")))
