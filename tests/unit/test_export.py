"""The catalogue as CSV: every track, every value, whatever its name is, and no half-written file."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from artifacts import export, store
from artifacts.__main__ import main
from artifacts.model import Model
from artifacts.strings import Strings
from settings import ROOT, child_environment
from tests import builders
from tests.builders import special_id

PLAIN = ("year", "popularity", "explicit", "duration_ms", "key", "mode", "song", "cluster")
HOSTILE = [
    *('=HYPERLINK("http://x","y")', "+1", "-1", "@SUM(1)", "\ttab", "\rreturn", "＝1", "a;=1", "a\t=1", "=", "-"),
    *(
        '"',
        '""',
        "a,b",
        "a\nb",
        "a\r\nb",
        "a\rb",
        "\r",
        "\n",
        "\0",
        " a ",
        "'",
        "夜に駆ける",
        "\u2028",
        "\ufeff",
        "x" * 9999,
    ),
]


def write(model: Model, **options: Any) -> str:
    file = io.StringIO(newline="")
    export.write_csv(model, file, **options)
    return file.getvalue()


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def named(names: Sequence[str]) -> Model:
    """Return a model of tracks by as many artists, all of these names."""
    rows = ({"artist_name": f"Artist {i}", "energy": i / 100} for i in range(len(names)))
    built = builders.train(builders.songs(*rows), clusters=2)
    order = np.argsort(built.arrays["id_row"])
    shown = [names[rank] for rank in order.tolist()]
    for kind in ("name", "artist"):
        offsets, utf8 = Strings.pack(shown if kind == "name" else names)
        built.arrays.update({f"{kind}_offsets": offsets, f"{kind}_utf8": utf8})
    return builders.model_of(built)


def test_every_track_is_written_with_all_that_is_known(model: Model) -> None:
    lines = read(write(model))
    assert [line["track_id"] for line in lines] == sorted(model.id_of(row) for row in range(len(model)))
    for line in lines:
        row = model.row_of_id(line["track_id"])
        assert row is not None
        track = model.track(row)
        assert line["name"] == track["name"]
        assert [part for part in line["artists"].split(";") if part] == track["artists"]
        assert [part for part in line["genres"].split(";") if part] == track["genres"]
        for column in PLAIN:
            value = int(model.arrays[column][row])
            assert line[column] == ("" if value == -1 else str(value)), column
        assert (float(line["tempo"]) if line["tempo"] else None) == pytest.approx(track["tempo"], abs=0.05)
        for place, column in ((0, "danceability"), (1, "energy"), (2, "loudness"), (3, "speechiness"), (7, "valence")):
            assert float(line[f"{column}_z"]) == pytest.approx(model.arrays["score"][place, row], abs=1e-4)


def test_what_is_not_known_is_empty(model: Model) -> None:
    lines = {line["track_id"]: line for line in read(write(model))}
    nothing = lines[special_id("nothing")]
    assert {nothing[column] for column in ("genres", "year", "popularity", "duration_ms")} == {""}
    assert lines[special_id("noartist")]["artists"] == ""
    assert {lines[special_id("nosound")][column] for column in ("tempo", "key", "mode")} == {""}
    assert lines[special_id("home1")]["artists"] == "Ben Oak;Cy Day"
    assert lines[special_id("genres")]["genres"] == "jazz;rock"


def test_the_page_names_the_columns(model: Model) -> None:
    page = (ROOT / "docs/howto/models.md").read_text(encoding="utf-8")
    table = page[page.index("| column |") : page.index("A model does not keep")]
    first_cells = re.findall(r"^\| (`.+?`) \|", table, re.M)
    assert re.findall(r"`(\w+)`", " ".join(first_cells)) == list(export.COLUMNS)
    assert write(model).startswith(",".join(export.COLUMNS) + "\r\n")


def test_any_name_comes_back_as_it_was() -> None:
    lines = read(write(named(HOSTILE)))
    assert [line["name"] for line in lines] == HOSTILE
    assert [line["artists"] for line in lines] == HOSTILE
    assert {len(line) for line in lines} == {len(export.COLUMNS)}


def test_for_spreadsheets_no_text_begins_like_a_formula() -> None:
    plain, guarded = read(write(named(HOSTILE))), read(write(named(HOSTILE), for_spreadsheets=True))
    changed = 0
    for before, after in zip(plain, guarded, strict=True):
        for column in ("name", "artists"):
            parts = after[column].replace("\t", ";").split(";")
            assert not any(part.startswith(tuple("=+-@\r\n＝＋－＠")) for part in parts), after[column]
            assert after[column].replace("'", "") == before[column].replace("'", "")
            changed += after[column] != before[column]
        assert {k: v for k, v in after.items() if k not in ("name", "artists")} == {
            k: v for k, v in before.items() if k not in ("name", "artists")
        }, "numbers below 0 stay numbers"
    assert changed == 2 * 13
    assert any(float(line["energy_z"]) < 0 for line in guarded)


def test_blocks_make_no_difference(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = write(model)
    for size in (1, 7, len(model) - 1, len(model)):
        monkeypatch.setattr(export, "BLOCK", size)
        told: list[int] = []
        assert write(model, progress=told.append) == whole
        assert told == sorted({*range(size, len(model) + 1, size), len(model)})


@pytest.fixture
def models(published: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(published[0], tmp_path / "models"))


def test_a_file_appears_when_it_is_whole(models: Path, model: Model, tmp_path: Path, capfd: Any) -> None:
    output = tmp_path / "catalogue.csv"
    output.write_text("old")
    arguments = ["export", "--artifacts", str(models), "--output", str(output)]
    assert main(arguments) == 0
    assert output.read_bytes() == write(model).encode("utf-8")
    assert capfd.readouterr() == ("", ""), "nothing is said where nobody looks"
    (models / store.versions(models)[0] / "song.npy").write_bytes(b"")
    assert main(arguments) == 1
    assert "song.npy: damaged" in capfd.readouterr().err
    assert output.read_bytes() == write(model).encode("utf-8"), "the old one stays"
    assert main([*arguments[:-1], str(tmp_path / "absent" / "x.csv")]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalogue.csv", "models"]


def exported(
    models: Path, *arguments: str, stderr: int = subprocess.PIPE, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "artifacts", "export", "--artifacts", str(models), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, env=env)


@pytest.mark.parametrize("environment", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"}])
def test_standard_output_is_utf8_whatever_the_locale(
    models: Path, model: Model, environment: Mapping[str, str]
) -> None:
    out, err = exported(models, env=child_environment(**environment)).communicate(timeout=60)
    assert out == write(model).encode("utf-8")
    assert err == b""


def test_a_reader_that_has_seen_enough_ends_it_silently(models_dir: Path) -> None:
    process = exported(models_dir)
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline().startswith(b"track_id,")
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == (b"", 0)
    process.stderr.close()


def test_a_terminal_is_shown_how_far_it_is(models: Path, model: Model, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = exported(models, "--output", str(tmp_path / "x.csv"), stderr=theirs)
    os.close(theirs)
    assert process.communicate(timeout=60)[0] == b""
    assert f"{len(model)} of {len(model)} tracks".encode() in os.read(ours, 1000)
    os.close(ours)


def test_a_pipe_with_a_name_is_written_to_not_replaced(models: Path, model: Model, tmp_path: Path) -> None:
    pipe, heard = tmp_path / "pipe", list[bytes]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: heard.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert main(["export", "--artifacts", str(models), "--output", str(pipe)]) == 0
    reader.join(60)
    assert heard == [write(model).encode("utf-8")]
    assert pipe.is_fifo()
