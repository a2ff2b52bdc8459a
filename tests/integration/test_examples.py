"""The larger examples, run as a user would, against the service itself with the demo catalogue."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import settings
from artifacts.model import Model
from producer.playlists import reading, writing
from tests import services
from tests.services import wait_for

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[services.Service]:
    with services.service(tmp_path_factory.mktemp("service"), models_dir) as running, running.worker():
        wait_for(running.is_ready, "a worker")
        yield running


@pytest.fixture
def run(service: services.Service) -> Run:
    def run(name: str, *arguments: str | Path, url: str = service.client.address) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", f"examples.{name}", *map(str, arguments), "--url", url]
        return subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture(scope="module")
def by_genre(demo_model: Model) -> list[list[dict[str, Any]]]:
    """Songs of the demo catalogue, by genre, the genre with the most first."""
    genres: dict[str, list[dict[str, Any]]] = {}
    for row in range(len(demo_model)):
        track = demo_model.track(row)
        if track["artists"] and track["genres"]:
            genres.setdefault(track["genres"][0], []).append(track)
    return sorted(genres.values(), key=len, reverse=True)


def written(path: Path, tracks: list[dict[str, Any]], *unknown: str) -> Path:
    """Write a CSV file as Exportify does, with some songs that nobody knows."""
    document = writing.document_of(
        {"tracks": [*tracks, *({"name": name, "artists": ["Nobody"]} for name in unknown)]}, "L"
    )
    path.write_text(writing.FORMATS["csv"].write(document), encoding="utf-8")
    return path


def ids(path: Path) -> list[str]:
    """Return the songs of a file, by their ids in the catalogue."""
    read = reading.read(path.read_text(encoding="utf-8"), filename=path.name, prefer="id")
    return [str((row.seed or {})["track_id"]) for row in read.rows]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_daily_mixes(run: Run, by_genre: list[list[dict[str, Any]]], tmp_path: Path) -> None:
    library = [track for genre in by_genre[:5] for track in genre[:25]]
    file = written(tmp_path / "library.csv", library, "Zzyzx Qwrtlpsd Unheard")
    first, again, later = (tmp_path / name for name in ("first", "again", "later"))
    for folder, week in ((first, "2026-W47"), (again, "2026-W47"), (later, "2026-W48")):
        done = run("daily_mixes", file, "--out", folder, "--week", week, "--tracks", "20", "--kind", "jspf")
        assert done.returncode == 0, done.stderr
        assert "Zzyzx" in done.stderr
    assert contents(first) == contents(again)
    mixes = {path.name: ids(path) for path in sorted(first.iterdir())}
    assert next(iter(mixes)) == "2026-W47-1-monday.jspf"
    assert [len(mix) for mix in mixes.values()] == [20] * 7
    ours = {track["track_id"] for track in library}
    assert all(3 <= len(ours & set(mix)) <= 8 for mix in mixes.values())  # 0.4 of 20, or all that a small mood has
    others = [ids(path) for path in sorted(later.iterdir())]
    assert all(set(mix) != set(other) for mix, other in zip(mixes.values(), others, strict=True))


def test_a_library_of_which_nothing_is_known(run: Run, tmp_path: Path) -> None:
    done = run("daily_mixes", written(tmp_path / "library.csv", [], "Zzyzx Qwrtlpsd"), "--out", tmp_path / "out")
    assert (done.returncode, contents(tmp_path / "out")) == (1, {})
    assert "no song of the library was found" in done.stderr


def test_a_party_is_fair_to_each_guest(run: Run, by_genre: list[list[dict[str, Any]]], tmp_path: Path) -> None:
    favourites = {f"guest{n}": genre[: 2 + 4 * n] for n, genre in enumerate(by_genre[:5])}  # 2, 6, 10, 14, 18
    guests = [written(tmp_path / f"{name}.csv", songs) for name, songs in favourites.items()]
    written(guests[0], favourites["guest0"], "Zzyzx Qwrtlpsd Unheard")
    done = run("party", *guests, "--minutes", "100", "--out", tmp_path / "party.jspf")
    assert done.returncode == 0, done.stderr
    assert "guest0: Zzyzx Qwrtlpsd Unheard - Nobody was not found" in done.stderr
    lines = done.stdout.splitlines()
    shares = Counter(line.rpartition("(")[2].rstrip(")") for line in lines)
    assert shares.keys() == favourites.keys()
    assert max(shares.values()) - min(shares.values()) <= 1
    party = ids(tmp_path / "party.jspf")
    assert len(party) == len(set(party)) == len(lines)
    for songs in favourites.values():  # as many of their own as there is room for
        assert len({song["track_id"] for song in songs} & set(party)) >= min(len(songs), *shares.values()) - 1
    tracks = json.loads((tmp_path / "party.jspf").read_text())["playlist"]["track"]
    minutes = sum(track["duration"] for track in tracks) / 60_000
    assert abs(minutes - 100) < 4


def test_a_party_whose_energy_peaks(
    run: Run, by_genre: list[list[dict[str, Any]]], service: services.Service, tmp_path: Path
) -> None:
    guests = [written(tmp_path / f"{n}.csv", genre[:10]) for n, genre in enumerate(by_genre[:5])]
    assert run("party", *guests, "--minutes", "120", "--out", tmp_path / "party.jspf").returncode == 0
    party = [{"track_id": track_id} for track_id in ids(tmp_path / "party.jspf")]
    asked = service.client.post("/v1/playlists/doctor", {"playlist": party})
    job = service.client.finished(asked.json["id"])
    energies = [track["energy"] for track in job["result"]["tracks"]]

    def mean(first: float, last: float) -> float:
        part = energies[round(first * len(energies)) : round(last * len(energies))]
        return float(sum(part) / len(part))

    assert mean(0.55, 0.8) > mean(0.8, 1) > mean(0, 0.33)


def test_a_guest_of_whom_nothing_is_known_spoils_nothing(
    run: Run, by_genre: list[list[dict[str, Any]]], tmp_path: Path
) -> None:
    known = written(tmp_path / "known.csv", by_genre[0][:3])
    stranger = written(tmp_path / "stranger.csv", [], "Zzyzx Qwrtlpsd")
    done = run("party", known, stranger, "--minutes", "20", "--out", tmp_path / "party.m3u8")
    assert done.returncode == 0, done.stderr
    assert "stranger 0" in done.stderr
    assert run("party", stranger, "--out", tmp_path / "nobody.m3u8").returncode == 1
    assert not (tmp_path / "nobody.m3u8").exists()


def test_radio_nights_do_not_repeat(run: Run, by_genre: list[list[dict[str, Any]]], tmp_path: Path) -> None:
    station = written(tmp_path / "station.csv", [song for genre in by_genre[:4] for song in genre[:5]])
    out = tmp_path / "nights"
    for day in ("20", "21", "22"):
        done = run("radio_rotation", station, "--out", out, "--night", f"2026-11-{day}", "--hours", "2", "--days", "7")
        assert done.returncode == 0, done.stderr
    played = json.loads((out / "played.json").read_text())
    tracks = [track for night in played.values() for hour in night for track in hour]
    assert list(played) == ["2026-11-20", "2026-11-21", "2026-11-22"]
    assert len({track["track_id"] for track in tracks}) == len(tracks) > 60
    artists = [artist for track in tracks for artist in track["artists"]]
    assert len(set(artists)) == len(artists)
    for hour in (hour for night in played.values() for hour in night):
        assert abs(sum(track["duration_ms"] for track in hour) / 60_000 - 60) < 1
    assert len(list(out.glob("*.m3u8"))) == 6


def test_a_radio_night_is_the_same_after_a_crash(
    run: Run, by_genre: list[list[dict[str, Any]]], tmp_path: Path
) -> None:
    station = written(tmp_path / "station.csv", by_genre[0][:10])
    tonight = ("radio_rotation", station, "--night", "2026-11-22")
    one, two = tmp_path / "one", tmp_path / "two"
    assert run(*tonight, "--out", one, "--hours", "3").returncode == 0
    assert run(*tonight, "--out", two, "--hours", "1").returncode == 0  # as far as it came
    for file in two.glob("*.m3u8"):
        file.unlink()
    assert run(*tonight, "--out", two, "--hours", "3").returncode == 0
    assert contents(one) == contents(two)
    before = contents(one)
    assert run(*tonight, "--out", one, "--hours", "3", url="http://127.0.0.1:9").returncode == 0  # nobody is asked
    assert contents(one) == before


def test_a_radio_that_has_nothing_left_says_so(run: Run, by_genre: list[list[dict[str, Any]]], tmp_path: Path) -> None:
    station = written(tmp_path / "station.csv", by_genre[0][:2])
    failed = run("radio_rotation", station, "--out", tmp_path / "out", "--hours", "24", "--days", "30")
    assert failed.returncode == 1
    assert "fewer --days" in failed.stderr
    (planned,) = json.loads((tmp_path / "out" / "played.json").read_text()).values()
    assert 0 < len(planned) == len(list((tmp_path / "out").glob("*.m3u8"))) < 24


@pytest.mark.parametrize("name", ["daily_mixes", "party", "radio_rotation"])
def test_the_page_names_options_that_there_are(run: Run, name: str) -> None:
    page = (settings.ROOT / "docs/howto/recipes.md").read_text(encoding="utf-8")
    parts = [part for part in re.split(r"^## ", page, flags=re.M) if f"examples.{name}" in part]
    assert len(parts) == 1
    helps = run(name, "--help").stdout
    assert set(re.findall(r"--[a-z]+", parts[0])) <= set(re.findall(r"--[a-z]+", helps))
