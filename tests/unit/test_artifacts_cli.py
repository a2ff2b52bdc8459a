"""`python -m artifacts`: which versions there are, whether they are sound, which one is in service."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from artifacts import store
from artifacts.__main__ import main
from artifacts.manifest import FORMAT, demo_source
from tests import builders
from tests.services import wait_for
from tests.unit.test_store import alter_manifest
from training.build import Built

Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture(scope="module")
def three(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three versions of the atlas; the last is in service."""
    root = tmp_path_factory.mktemp("three")
    for source in (builders.SOURCE, demo_source(20_000, 1), builders.SOURCE):
        wait_for(lambda: time.strftime("%Y%m%dT%H%M%S", time.gmtime()) > (store.current(root) or ""), "the next second")
        builders.publish(root, built, source=source)
    return root


@pytest.fixture
def root(three: Path, tmp_path: Path) -> Path:
    """A copy of them."""
    return Path(shutil.copytree(three, tmp_path / "models"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command. → exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main([*map(str, arguments)])
        except SystemExit as refused:
            code = int(refused.code or 0)
        return code, *capsys.readouterr()

    return run


def test_list_shows_each_version_and_the_one_in_service(run: Run, root: Path) -> None:
    first, second, third = store.versions(root)
    store.promote(root, second)
    code, out, err = run("list", "--artifacts", root)
    assert (code, err) == (0, "")
    _, *lines = out.splitlines()
    assert [line.split()[: 2 if "CURRENT" in line else 1] for line in lines] == [[first], ["CURRENT", second], [third]]
    manifest = store.manifest_of(root, first)
    assert f"{first} {manifest.created_at} " in lines[0]
    assert f" {manifest.tracks}  atlas.csv, sha256 000000000000…" in lines[0]
    assert lines[1].endswith("  demo catalogue, 20,000 rows, seed 1")
    assert run("--artifacts", root, "list") == (0, out, "")


def test_list_says_why_a_version_cannot_be_used(run: Run, root: Path) -> None:
    first, second, third = store.versions(root)
    alter_manifest(root / first, lambda fields: fields.update(format=2))
    (root / second / "manifest.json").unlink()
    code, out, _ = run("list", "--artifacts", root)
    assert code == 0
    assert re.search(rf"{first} cannot be used: .*format 2, this release reads {FORMAT}; train again", out)
    assert re.search(rf"{second} cannot be used: .*manifest\.json", out)
    assert re.search(rf"CURRENT {third} 20", out)


@pytest.mark.parametrize("pointer", ["rubbish", "20200101T000000-00000000", None])
def test_list_says_that_nothing_is_in_service(run: Run, root: Path, pointer: str | None) -> None:
    (root / "CURRENT").unlink() if pointer is None else (root / "CURRENT").write_text(pointer)
    code, out, err = run("list", "--artifacts", root)
    assert code == 1
    assert "CURRENT" not in out
    assert all(version in out for version in store.versions(root))
    assert "python -m artifacts promote VERSION" in err
    assert pointer is None or pointer in err
    assert run("promote", store.versions(root)[0], "--artifacts", root)[0] == 0
    assert store.current(root) == store.versions(root)[0]


def test_a_folder_without_versions(run: Run, tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "absent"):
        code, out, err = run("list", "--artifacts", root)
        assert (code, out) == (0, "")
        assert "python -m training" in err
        assert run("prune", "--artifacts", root)[:2] == (0, "")
        for command in (["verify"], ["rollback"], ["export"], ["promote", "20200101T000000-00000000"]):
            code, out, err = run(*command, "--artifacts", root)
            assert (code, out) == (1, "")
            assert err.startswith("python -m artifacts: ")
            assert err.count("\n") == 1


def test_verify_reads_the_version_in_service_or_another(run: Run, root: Path) -> None:
    first, second, third = store.versions(root)
    assert run("verify", "--artifacts", root)[:2] == (0, run("verify", third, "--artifacts", root)[1])
    shutil.rmtree(root / first)
    assert run("verify", second, "--artifacts", root)[0] == 0
    code, _, err = run("verify", first, "--artifacts", root)
    assert code == 1
    assert f"no version '{first}'; `python -m artifacts list` shows those there are" in err


def test_verify_names_all_that_is_wrong(run: Run, root: Path) -> None:
    version = store.versions(root)[-1]
    content = bytearray((root / version / "score.npy").read_bytes())
    content[-1] ^= 1
    (root / version / "score.npy").write_bytes(content)
    (root / version / "song.npy").unlink()
    (root / version / "public" / "genres.json").write_text("[]")
    code, out, err = run("verify", "--artifacts", root)
    assert (code, out) == (1, "")
    for wrong in (r"score\.npy: damaged", r"song\.npy: .*No such file", r"genres\.json: damaged", "train again, or "):
        assert re.search(wrong, err), err
    alter_manifest(root / version, lambda fields: fields.update(format=1))
    assert f"format 1, this release reads {FORMAT}" in run("verify", "--artifacts", root)[2]


def test_verify_finds_a_model_of_another_transform(run: Run, built: Built, tmp_path: Path) -> None:
    skewed = Built(built.arrays | {"score_mean": built.arrays["score_mean"] + 1}, built.public, built.about)
    builders.publish(tmp_path, skewed)
    code, _, err = run("verify", "--artifacts", tmp_path)
    assert code == 1
    assert "trained by another transform" in err


def test_promote_and_rollback_move_what_is_in_service(run: Run, root: Path) -> None:
    first, second, third = store.versions(root)
    for expected in (second, first):
        code, out, err = run("rollback", "--artifacts", root)
        assert (code, out, store.current(root)) == (0, "", expected)
        assert f"{expected} is CURRENT" in err
    code, _, err = run("rollback", "--artifacts", root)
    assert (code, store.current(root)) == (1, first)
    assert f"no version was published before {first}" in err
    assert run("promote", third, "--artifacts", root)[0] == 0
    assert store.current(root) == third
    assert run("promote", third, "--artifacts", root)[0] == 0


def test_what_is_damaged_is_not_put_in_service(run: Run, root: Path) -> None:
    first, second, third = store.versions(root)
    (root / second / "song.npy").write_bytes(b"")
    for command in (["rollback"], ["promote", second]):
        code, _, err = run(*command, "--artifacts", root)
        assert (code, store.current(root)) == (1, third)
        assert re.search(r"song\.npy: damaged", err)
    for name in ("../x", f"{first}/", "", "latest"):
        assert run("promote", name, "--artifacts", root)[0] == 1
    assert store.current(root) == third


def test_prune_keeps_the_newest_and_the_one_in_service(run: Run, root: Path) -> None:
    first, second, third = store.versions(root)
    (root / ".partial-1").mkdir()
    code, out, err = run("prune", "--artifacts", root)
    assert (code, out) == (0, "")
    assert "nothing to delete" in err
    assert not (root / ".partial-1").exists()
    store.promote(root, first)
    assert run("prune", "--keep", 1, "--artifacts", root) == (0, f"deleted {second}\n", "")
    assert store.versions(root) == [first, third]
    assert (store.current(root), store.problems(root, first)) == (first, [])
    store.promote(root, third)
    assert run("prune", "--keep", 1, "--artifacts", root)[1] == f"deleted {first}\n"
    (root / "CURRENT").write_text("rubbish")
    assert run("prune", "--keep", 1, "--artifacts", root)[0] == 1, "nobody can tell which one is in service"
    assert store.versions(root) == [third]


@pytest.mark.parametrize(
    "arguments",
    [[], ["lst"], ["promote"], ["list", "x"], ["prune", "--keep", "0"], ["prune", "--keep", "x"], ["export", "a", "b"]],
)
def test_a_wrong_command_line_is_2(run: Run, arguments: list[str]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage: python -m artifacts" in err


def test_the_settings_say_where_if_nobody_else_does(
    run: Run, root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ARTIFACTS_DIR", str(root))
    assert store.versions(root)[0] in run("list")[1]
    assert run("list", "--artifacts", tmp_path / "absent")[1] == ""
    monkeypatch.setenv("PORT", "http")
    code, _, err = run("list")
    assert code == 1
    assert "PORT" in err


def test_a_folder_that_cannot_be_written_to_is_one_line(run: Run, root: Path) -> None:
    (root / ".lock").unlink()
    (root / ".lock").mkdir()
    for command in (["rollback"], ["prune"]):
        code, _, err = run(*command, "--artifacts", root)
        assert code == 1
        assert err.startswith("python -m artifacts: ")
        assert "Traceback" not in err
