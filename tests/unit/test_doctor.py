"""The doctor: what fits, what does not, what jars, and what would mend it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from artifacts.model import Model
from producer import codec
from producer.playlists.shapes import Diagnosis, DoctorQuery
from tests.builders import LANTERNS, group_id, special_id
from worker import misfits
from worker.doctor import BRIDGES, JARRING, diagnose

NO_SUCH = {"name": "Qwxyzzy Vrblgrm"}


def look(model: Model, *songs: str | dict[str, Any]) -> Diagnosis:
    """Diagnose songs, ids or as in a request, checking what every diagnosis promises."""
    given = [{"track_id": song} if isinstance(song, str) else song for song in songs]
    query = DoctorQuery.model_validate({"playlist": given})
    stages: list[str] = []
    found = diagnose(model, query, report=lambda stage, _: stages.append(stage))
    assert stages == ["seeds", "looking", "ordering", "bridges"]
    assert len(found.seeds) == len(given)
    assert sorted(found.order) == list(range(1, len(found.tracks) + 1))
    assert found.best_flow >= found.flow
    assert -1 <= found.coherence <= 1
    listed = {track.track_id for track in found.tracks}
    for bridge in found.bridges:
        assert bridge.track.track_id not in listed
        assert bridge.worst_after > bridge.before_score
    assert len(found.bridges) <= BRIDGES
    for clash in found.clashes:
        assert clash.transition.score < JARRING
        assert found.tracks[clash.place].transition == clash.transition
    assert diagnose(model, query) == found, "the same again"
    codec.pack(found.model_dump())
    return found


def popular(model: Model, count: int) -> list[str]:
    """Return the ids of the best known songs."""
    return [model.id_of(int(row)) for row in model.most_popular(count)]


def test_songs_of_a_kind_are_coherent(model: Model) -> None:
    found = look(model, *(group_id(3, member) for member in range(8)))
    assert found.coherence > 0.95
    assert found.usual_coherence < 0.5
    assert (found.misfits, found.duplicates, found.warnings) == ([], [], [])


def test_a_stranger_is_found_and_it_is_told_why(model: Model) -> None:
    found = look(model, *(group_id(3, member) for member in range(5)), group_id(14, 0), group_id(3, 7))
    assert [misfit.place for misfit in found.misfits] == [6]
    odd = found.misfits[0]
    assert odd.track.track_id == group_id(14, 0)
    assert odd.likeness < 0.2
    assert odd.why[0] == "genre genre-14; most of the others: genre-03"
    assert 1 <= len(odd.why) <= misfits.REASONS


def test_nobody_is_odd_among_three_or_among_strangers(model: Model) -> None:
    assert look(model, group_id(3, 0), group_id(3, 1), group_id(14, 0)).misfits == []
    assert look(model, *(group_id(group, 0) for group in range(0, 24, 2))).misfits == []


def test_versions_of_a_song_are_duplicates(model: Model) -> None:
    names = [special_id(name) for name in LANTERNS]
    found = look(model, names[0], group_id(3, 0), names[1], group_id(3, 1), names[2])
    assert found.duplicates == [[1, 3, 5]]


def test_the_best_order_flows_better(demo_model: Model) -> None:
    ids = popular(demo_model, 30)
    found = look(demo_model, *ids)
    assert found.best_flow > found.flow + 0.1
    again = look(demo_model, *(ids[place - 1] for place in found.order))
    assert again.flow == pytest.approx(found.best_flow)


def test_bridges_mend_what_jars(demo_model: Model) -> None:
    found = look(demo_model, *popular(demo_model, 20))
    assert found.clashes
    assert found.bridges
    worst = min(found.tracks[1:], key=lambda track: track.transition.score if track.transition else 1.0)
    assert found.bridges[0].after == worst.rank - 1
    bridge = found.bridges[0]
    ids = [track.track_id for track in found.tracks]
    mended = look(demo_model, *ids[: bridge.after], bridge.track.track_id, *ids[bridge.after :])
    halves = [mended.tracks[bridge.after + at].transition for at in (0, 1)]
    assert min(half.score for half in halves if half) == pytest.approx(bridge.worst_after, abs=2e-4)


def test_what_is_not_found_is_told_and_spoils_nothing(model: Model) -> None:
    ids = [group_id(3, member) for member in range(4)]
    found = look(model, ids[0], NO_SUCH, *ids[1:])
    assert [track.track_id for track in found.tracks] == ids
    assert found.seeds[1].track_id is None
    assert found.warnings == [
        "seed 2: not found in the catalogue",
        "4 of 5 songs were found: the places below are theirs",
    ]


@pytest.mark.parametrize("songs", [[NO_SUCH, NO_SUCH], [group_id(0, 0), NO_SUCH], [group_id(0, 0), group_id(1, 0)]])
def test_little_is_said_of_few_songs(model: Model, songs: list[Any]) -> None:
    found = look(model, *songs)
    assert found.misfits == []
    assert found.order == list(range(1, len(found.tracks) + 1))


def test_likeness_to_the_rest_leaves_the_song_itself_out() -> None:
    vectors = np.eye(3)
    assert misfits.to_the_rest(vectors).tolist() == [0.0, 0.0, 0.0]
    assert misfits.to_the_rest(vectors[:1]).tolist() == [0.0]
    assert misfits.to_the_rest(np.tile(vectors[:1], (4, 1))) == pytest.approx(np.ones(4))
