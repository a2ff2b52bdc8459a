"""What follows what: keys on the wheel, tempos with half and double time, what is not known, and the words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifacts.model import Model
from producer.songs import camelot_name
from tests.builders import group_id, model_of, songs, train
from worker import transitions
from worker.transitions import KEY_COSTS, NO_KEY, Tracks, camelot, tempo_costs

WHEEL = {
    **{"C": "8B", "G": "9B", "D": "10B", "A": "11B", "E": "12B", "B": "1B"},
    **{"F#": "2B", "C#": "3B", "G#": "4B", "D#": "5B", "A#": "6B", "F": "7B"},
    **{"Am": "8A", "Em": "9A", "Bm": "10A", "F#m": "11A", "C#m": "12A", "G#m": "1A"},
    **{"D#m": "2A", "A#m": "3A", "Fm": "4A", "Cm": "5A", "Gm": "6A", "Dm": "7A"},
}
PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def at(name: str) -> int:
    """Return where a key is on the wheel, by its name."""
    minor = name.endswith("m")
    place = camelot(np.array([PITCHES.index(name.removesuffix("m"))]), np.array([0 if minor else 1]))
    return int(place[0])


@pytest.mark.parametrize(("name", "expected"), WHEEL.items())
def test_each_key_has_its_place_on_the_wheel(name: str, expected: str) -> None:
    assert camelot_name(at(name)) == expected


def test_keys_cost_more_the_fewer_notes_they_share() -> None:
    scales = {
        name: {(PITCHES.index(name.removesuffix("m")) + step) % 12 for step in (MINOR if name[-1] == "m" else MAJOR)}
        for name in WHEEL
    }
    for a in WHEEL:
        for b in WHEEL:
            for c in WHEEL:
                same_kind = (a[-1] == "m") == (b[-1] == "m") and (a[-1] == "m") == (c[-1] == "m")
                if same_kind and len(scales[a] & scales[b]) > len(scales[a] & scales[c]):
                    assert KEY_COSTS[at(a), at(b)] < KEY_COSTS[at(a), at(c)]
    assert KEY_COSTS[at("C"), at("C")] == 0
    assert KEY_COSTS[at("C"), at("Am")] == KEY_COSTS[at("C"), at("G")] == KEY_COSTS[at("C"), at("F")] == 0.1
    assert np.array_equal(KEY_COSTS, KEY_COSTS.T, equal_nan=True)
    assert KEY_COSTS[at("C"), at("F#")] == 1


@pytest.mark.parametrize(("key", "mode"), [(-1, 1), (3, -1), (-1, -1)])
def test_half_a_key_is_none(key: int, mode: int) -> None:
    assert camelot(np.array([key]), np.array([mode])).tolist() == [NO_KEY]
    assert np.isnan(KEY_COSTS[NO_KEY]).all()


@given(a=st.floats(40, 240), ratio=st.floats(0.94, 1.06))
def test_half_and_double_time_are_nearly_as_near(a: float, ratio: float) -> None:
    def cost(x: float, y: float) -> float:
        return float(tempo_costs(np.array(x), np.array(y)))

    straight = cost(a, a * ratio)
    for other in (2.0, 0.5):
        assert straight <= cost(a, other * a * ratio) <= min(straight + 2 * transitions.OTHER_TIME, 1.0)
        assert cost(a, other * a) == pytest.approx(transitions.OTHER_TIME)
    assert cost(a, a) == 0
    assert cost(a, a * 1.35) == 1
    assert cost(a, a * ratio) == pytest.approx(cost(a * ratio, a))


@pytest.fixture(scope="module")
def odd() -> Model:
    """Songs of which something is not known: 0 has all, 1 no key, 2 no mode, 3 no tempo, 4 no sound at all."""
    rows: list[dict[str, Any]] = [
        {"key": 9, "mode": 0, "tempo": 122.0, "energy": 0.62},
        {"key": None},
        {"mode": None},
        {"tempo": None},
    ]
    sound = (
        "danceability",
        "energy",
        "loudness",
        "speechiness",
        "acousticness",
        "instrumentalness",
        "liveness",
        "valence",
    )
    rows.append(dict.fromkeys((*sound, "tempo", "key", "mode")))
    rows.append({"key": 4, "mode": 0, "tempo": 124.0, "energy": 0.71, "artist_name": "Another"})
    rows += [{"artist_name": f"Filler {i}", "energy": i / 40} for i in range(40)]
    return model_of(train(songs(*rows), clusters=2))


def tracks(model: Model, *ids: str) -> Tracks:
    """Return what is looked at of some tracks."""
    rows = [model.row_of_id(track_id) for track_id in ids]
    assert None not in rows
    return Tracks.of(model, np.array(rows, np.intp))


def test_the_unknown_is_neutral(odd: Model) -> None:
    known = tracks(odd, "t000")
    for other, parts in {
        "t001": {"key"},
        "t002": {"key"},
        "t003": {"tempo"},
        "t004": {"key", "tempo", "energy"},
    }.items():
        step = transitions.told(known, tracks(odd, other), harmonic=True)[0]
        assert {part.part for part in step.parts if part.score is None} == parts
        assert {part.part for part in step.parts if "unknown" in part.text} == parts
        weights = transitions.HARMONIC
        scores = {part.part: 0.5 if part.score is None else part.score for part in step.parts}
        mean = sum(weights[name] * score for name, score in scores.items()) / sum(weights.values())
        assert step.score == pytest.approx(mean, abs=2e-4)


def test_transitions_are_told_in_words(odd: Model) -> None:
    step = transitions.told(tracks(odd, "t000"), tracks(odd, "t005"), harmonic=True)[0]
    texts = {part.part: part.text for part in step.parts}
    assert texts["key"] == "8A → 9A, a fifth up"
    assert texts["tempo"] == "122 → 124 BPM"
    assert texts["energy"] == "energy 0.62 → 0.71"
    assert "alike" in texts["sound"] or "same" in texts["sound"]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("Am", "C", "8A → 8B, the relative major"),
        ("C", "Am", "8B → 8A, the relative minor"),
        ("C", "Cm", "8B → 5A, the parallel minor"),
        ("Cm", "C", "5A → 8B, the parallel major"),
        ("C", "D", "8B → 10B, a whole tone up"),
        ("C", "C#", "8B → 3B, a semitone up"),
        ("C", "F#", "8B → 2B, a tritone away"),
        ("C", "F", "8B → 7B, a fifth down"),
        ("C", "C", "8B → 8B, the same key"),
        ("C", "Em", "8B → 9A, the relative minor, a fifth up"),
    ],
)
def test_keys_are_told_in_words(before: str, after: str, words: str) -> None:
    assert transitions._key_words(at(before), at(after)) == words


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (70.0, 141.0, "70 → 141 BPM, double time"),
        (141.0, 70.0, "141 → 70 BPM, half time"),
        (100.0, 140.0, "100 → 140 BPM"),
    ],
)
def test_tempos_are_told_in_words(a: float, b: float, words: str) -> None:
    assert transitions._tempo_words(a, b) == words


def test_costs_are_symmetric_between_0_and_1_and_those_that_are_told(model: Model) -> None:
    some = tracks(model, *(group_id(g, m) for g in range(0, 24, 3) for m in (0, 4, 7)))
    order = np.arange(len(some.tempo))
    for harmonic in (False, True):
        cost = transitions.costs(some, some, harmonic)
        assert np.array_equal(cost, cost.T)
        assert (cost >= 0).all()
        assert (cost <= 1).all()
        steps = transitions.chain(some, order, harmonic)
        assert [step.score for step in steps] == pytest.approx(1 - cost[order[:-1], order[1:]], abs=1e-4)


def test_key_and_tempo_weigh_only_with_harmonic_but_are_told_always(model: Model) -> None:
    a, b = tracks(model, group_id(3, 0)), tracks(model, group_id(3, 7))
    plain, harmonic = (transitions.told(a, b, h)[0] for h in (False, True))
    assert plain.parts == harmonic.parts
    scores = {part.part: part.score or 0.0 for part in plain.parts}
    assert plain.score == pytest.approx((2 * scores["sound"] + scores["energy"]) / 3, abs=2e-4)
    assert harmonic.score != plain.score


def test_songs_of_a_group_are_nearer_than_others(model: Model) -> None:
    some = tracks(model, group_id(3, 0), group_id(3, 5), group_id(14, 2))
    cost = transitions.parts(some, some)["sound"]
    assert cost[0, 1] < 0.1 < cost[0, 2]
