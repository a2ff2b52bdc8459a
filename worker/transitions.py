"""How well one track follows another, as a number for the solver and in words (docs/explanation/playlists.md).

A cost is the weighted mean of up to four parts, 0 seamless to 1 jarring, and symmetric in the two tracks. What is not
known of one of the two is neutral.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from artifacts import features
from artifacts.model import UNKNOWN, Model, Rows
from producer.playlists.shapes import Part, Transition, TransitionPart
from producer.songs import camelot_name, camelot_place

F64 = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

WEIGHTS: dict[Part, float] = {"sound": 2.0, "energy": 1.0}
"""What the parts count …"""

HARMONIC: dict[Part, float] = {"sound": 2.0, "energy": 1.0, "tempo": 1.5, "key": 1.5}
"""… and with harmonic."""

ENERGY_JUMP = 0.5
"""A step of energy that costs 1. Two tracks of a good list are 0.1 apart at the median, two random ones 0.24."""

TEMPO_JUMP = 0.25
"""Octaves between two tempos that cost 1: about 19 %. A deck bends 6 % (0.08 octaves) without a trace."""

OTHER_TIME = 0.1
"""What half or double time costs: the beats fall together, the feeling is another one."""

_STEPS = (0.0, 0.1, 0.5, 0.75, 0.9, 1.0, 1.0)
"""Cost of so many steps on the Camelot wheel: scales a step apart share six of seven notes, then five, four, three …"""

_OTHER_MODE = (0.1, 0.35, 0.6, 0.75, 0.9, 1.0, 1.0)
"""The same between major and minor. No step away is the relative key, with the same seven notes."""

UNKNOWN_COST = 0.5
"""What a part costs that is not known of one of the two: about what it costs two songs drawn at random. Left out
instead, it would make songs of which little is known fit everywhere: paths were full of them."""

NO_KEY = 24
_PLACES = np.array([[camelot_place(key, mode) for mode in (0, 1)] for key in range(12)], np.intp)


def camelot(key: npt.NDArray[np.integer], mode: npt.NDArray[np.integer]) -> npt.NDArray[np.intp]:
    """Return places on the Camelot wheel, as `camelot_place` has them; NO_KEY: key or mode is UNKNOWN."""
    known = (key != UNKNOWN) & (mode != UNKNOWN)
    return np.where(known, _PLACES[np.where(known, key, 0), np.where(known, mode, 0)], NO_KEY)


def _key_costs() -> F64:
    """→ float64 (25, 25), by places on the wheel; NaN where one is unknown."""
    costs = np.full((NO_KEY + 1, NO_KEY + 1), np.nan)
    for a in range(NO_KEY):
        for b in range(NO_KEY):
            steps = min((a - b) % 12, (b - a) % 12)
            costs[a, b] = (_STEPS if a // 12 == b // 12 else _OTHER_MODE)[steps]
    return costs


KEY_COSTS = _key_costs()


def tempo_costs(a: F64, b: F64) -> F64:
    """Return what tempos cost that follow each other, 0–1, NaN where one is unknown. a, b: BPM, any shapes that fit."""
    octaves = np.abs(np.log2(a) - np.log2(b))
    straight, other = octaves / TEMPO_JUMP, np.abs(octaves - 1) / TEMPO_JUMP + OTHER_TIME
    costs: F64 = np.minimum(np.minimum(straight, other), 1.0)
    return costs


@dataclass(frozen=True)
class Tracks:
    """What transitions look at of n rows, in their order.

    vector: float64 (n, m), unit length; sound: float64 (8, n), features.SOUND; tempo: BPM, NaN unknown; wheel: places
    on the Camelot wheel.
    """

    vector: F64
    sound: F64
    tempo: F64
    wheel: Places

    @staticmethod
    def of(model: Model, rows: Rows) -> Tracks:
        """Read them from a model."""
        tempo = model.arrays["tempo"][rows].astype(np.float64)
        key, mode = (model.arrays[name][rows].astype(np.intp) for name in ("key", "mode"))
        known = np.where(tempo > 0, tempo, np.nan)
        return Tracks(model.likeness_vectors(rows), model.sound(rows), known, camelot(key, mode))

    def __getitem__(self, places: Places | slice) -> Tracks:
        return Tracks(self.vector[places], self.sound[:, places], self.tempo[places], self.wheel[places])

    @property
    def energy(self) -> F64:
        """0–1, NaN unknown; float64 (n,)."""
        energy: F64 = self.sound[features.SOUND.index("energy")]
        return energy


def parts(a: Tracks, b: Tracks) -> dict[Part, F64]:
    """Return each part's cost of every track of `a` before every one of `b`, float64 (len a, len b), NaN unknown."""
    return _parts(
        a.vector @ b.vector.T, a.energy[:, None], b.energy, a.tempo[:, None], b.tempo, a.wheel[:, None], b.wheel
    )


def _parts(likeness: F64, e0: F64, e1: F64, t0: F64, t1: F64, w0: Places, w1: Places) -> dict[Part, F64]:
    return {
        "sound": np.clip(1 - likeness, 0.0, 1.0),
        "energy": np.minimum(np.abs(e0 - e1) / ENERGY_JUMP, 1.0),
        "tempo": tempo_costs(t0, t1),
        "key": KEY_COSTS[w0, w1],
    }


def costs(a: Tracks, b: Tracks, harmonic: bool) -> F64:
    """Return what every track of `a` before every one of `b` costs, 0–1, float64 (len a, len b)."""
    return _total(parts(a, b), harmonic)


def _total(found: dict[Part, F64], harmonic: bool) -> F64:
    weights = HARMONIC if harmonic else WEIGHTS
    total = np.zeros(found["sound"].shape)
    for name, share in weights.items():
        total += share * np.where(np.isnan(found[name]), UNKNOWN_COST, found[name])
    # The product's rounding depends on a row's place; without these digits nothing else does.
    return np.round(total / sum(weights.values()), 9)


def told(a: Tracks, b: Tracks, harmonic: bool) -> list[Transition]:
    """Return the transition from each track of `a` to the one of `b` at its place."""
    likeness = (a.vector * b.vector).sum(axis=1)
    found = _parts(likeness, a.energy, b.energy, a.tempo, b.tempo, a.wheel, b.wheel)
    scores = 1 - _total(found, harmonic)
    return [
        Transition(
            score=round(float(scores[i]), 4),
            parts=[
                TransitionPart(part=name, score=None if np.isnan(cost[i]) else round(1 - float(cost[i]), 4), text=text)
                for (name, cost), text in zip(found.items(), _texts(a, b, i, float(likeness[i])), strict=True)
            ],
        )
        for i in range(len(scores))
    ]


def chain(tracks: Tracks, order: Places, harmonic: bool) -> list[Transition]:
    """Return the transitions between neighbours of an order of tracks."""
    return told(tracks[order[:-1]], tracks[order[1:]], harmonic)


def _texts(a: Tracks, b: Tracks, i: int, likeness: float) -> tuple[str, str, str, str]:
    return (
        _sound_words(likeness, a.sound[:, i], b.sound[:, i]),
        _energy_words(float(a.energy[i]), float(b.energy[i])),
        _tempo_words(float(a.tempo[i]), float(b.tempo[i])),
        _key_words(int(a.wheel[i]), int(b.wheel[i])),
    )


_ALIKE = (
    (0.97, "nearly the same sound"),
    (0.9, "much alike"),
    (0.75, "alike"),
    (0.5, "somewhat alike"),
    (0.2, "not much alike"),
    (-1.0, "different"),
)
_NOTABLE = 0.25
"""A difference of a feature, 0–1, that is worth a word."""


def _sound_words(likeness: float, a: F64, b: F64) -> str:
    """Say how alike two tracks are, and what changes most beside energy."""
    words = next(words for least, words in _ALIKE if likeness >= least)
    changes = {
        name: float(after - before)
        for name, before, after in zip(features.SOUND, a, b, strict=True)
        if name not in ("energy", "loudness", "liveness") and not np.isnan(after - before)
    }
    if changes:
        name = max(changes, key=lambda name: abs(changes[name]))
        if abs(changes[name]) >= _NOTABLE:
            words += f", {'more' if changes[name] > 0 else 'less'} {name}"
    return words


def _energy_words(before: float, after: float) -> str:
    if np.isnan(before) or np.isnan(after):
        return "energy unknown"
    return f"energy {before:.2f} → {after:.2f}"


def _tempo_words(before: float, after: float) -> str:
    if np.isnan(before) or np.isnan(after):
        return "tempo unknown"
    words = f"{before:.0f} → {after:.0f} BPM"
    octaves = np.log2(after / before)
    if abs(abs(octaves) - 1) / TEMPO_JUMP + OTHER_TIME < min(1.0, abs(octaves) / TEMPO_JUMP):
        words += ", double time" if octaves > 0 else ", half time"
    return words


_MOVES = {
    0: "the same key",
    1: "a fifth up",
    2: "a whole tone up",
    3: "a minor third down",
    4: "a major third up",
    5: "a semitone down",
    6: "a tritone away",
    7: "a semitone up",
    8: "a major third down",
    9: "a minor third up",
    10: "a whole tone down",
    11: "a fifth down",
}
"""Steps on the wheel, in words: each is a fifth, and octaves do not count."""


def _key_words(before: int, after: int) -> str:
    if NO_KEY in (before, after):
        return "key unknown"
    words = f"{camelot_name(before)} → {camelot_name(after)}, "
    steps = (after - before) % 12
    if before // 12 == after // 12:
        return words + _MOVES[steps]
    mode = "major" if after >= 12 else "minor"
    if steps == 0:
        return words + f"the relative {mode}"
    # A minor key stands three steps before the major one of its tonic.
    if steps == (3 if mode == "major" else 9):
        return words + f"the parallel {mode}"
    return words + f"the relative {mode}, {_MOVES[steps]}"
