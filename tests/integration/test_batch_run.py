"""`python -m producer batch`: a list for each row, through all that can interrupt it, and nothing asked twice."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import random
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

import psutil
import pytest

import redis_server
from artifacts.model import Model
from producer.cli.app import main
from producer.cli.errors import Wrong
from producer.cli.journal import Journal
from producer.cli.outputs import Outputs
from producer.cli.service import Direct
from producer.playlists.reading import read
from tests import services
from tests.command_line import CommandLine, grown, rows_of, same_files
from tests.services import Service, wait_for

CHUNK = 50


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    """The service with its workers."""
    with services.service(tmp_path_factory.mktemp("runs"), models_dir) as service, service.worker():
        wait_for(service.is_ready, "a worker")
        yield service


@pytest.fixture
def command(service: Service, tmp_path: Path) -> CommandLine:
    """The command line on that service, with small chunks; nothing was asked yet."""
    with service.connection() as connection:
        for key in [*connection.scan_iter("segue:batch:*"), *connection.scan_iter("segue:idempotency:*")]:
            connection.delete(key)
    environment = {"REDIS_URL": service.redis.url, "SEGUE_HOME": str(tmp_path / "home")}
    return CommandLine(environment, tmp_path, "tests.small_batches", (f"CHUNK={CHUNK}",))


@pytest.fixture(scope="module")
def ids(demo_model: Model) -> list[str]:
    return [demo_model.id_of(row) for row in range(len(demo_model))]


@pytest.fixture
def seeds(tmp_path: Path, ids: list[str]) -> Path:
    """A file of 240 songs."""
    path = tmp_path / "seeds.txt"
    path.write_text("\n".join(ids[:240]) + "\n")
    return path


def asked(service: Service) -> int:
    """Return for how many rows batches were submitted."""
    with service.connection() as connection:
        return sum(int(connection.hget(key, "total") or 0) for key in connection.scan_iter("segue:batch:*"))


def restart(service: Service) -> None:
    """End Redis as a crash does, and start it again a moment later."""
    service.redis.process.kill()
    service.redis.process.wait()
    service.redis.restart()


def test_a_line_for_each_row_in_their_order(command: CommandLine, service: Service, seeds: Path) -> None:
    out = command.folder / "deep" / "lists.jsonl"
    done = command.run("batch", seeds, "--out", out, "--limit", "3")
    assert (done.code, done.out) == (0, ""), done.err
    lines = [json.loads(line) for line in rows_of(out)]
    assert [line["row"] for line in lines] == list(range(1, 241))
    assert [line["seed"]["track_id"] for line in lines] == seeds.read_text().split()
    assert all(len(line["result"]["tracks"]) == 3 and "ms" not in line["result"]["attempts"][0] for line in lines)
    assert sorted(path.name for path in out.parent.iterdir()) == ["lists.jsonl"]
    assert asked(service) == 240


def test_files_in_several_formats_that_readers_read(command: CommandLine, seeds: Path) -> None:
    out = command.folder / "lists"
    done = command.run("batch", seeds, "--out", out, "-f", "m3u8", "-f", "csv", "--limit", "4", "--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    names = sorted(path.name for path in out.iterdir())
    assert len(names) == 480
    assert names[0].startswith("0001 ")
    for name in names[:20]:
        rows = read((out / name).read_text(), filename=name).rows
        assert [row.error for row in rows] == [None] * 4


@pytest.mark.parametrize("how", ["lines", "files"])
def test_interrupted_by_anything_it_gives_the_same_bytes_and_asks_nothing_twice(
    request: pytest.FixtureRequest, command: CommandLine, service: Service, ids: list[str], how: str
) -> None:
    rows = request.config.getoption("--batch-rows")
    if rows >= 5000:
        command = replace(command, module="producer", first=())
    seeds = command.folder / "seeds.txt"
    seeds.write_text("\n".join(ids[n % len(ids)] for n in range(rows)))
    options = ["--format", "m3u8", "--format", "jspf"] if how == "files" else []
    whole = command.folder / ("whole.jsonl" if how == "lines" else "whole")
    reference = command.run("batch", seeds, "--out", whole, *options, timeout_s=600)
    assert reference.code == 0, reference.err
    size = whole.stat().st_size if how == "lines" else rows * 5500
    assert asked(service) == rows

    chance = random.Random(rows)
    strikes: list[signal.Signals | Callable[[Service], None]]
    strikes = [signal.SIGINT, signal.SIGKILL, restart, signal.SIGTERM, signal.SIGKILL]
    out = command.folder / ("broken.jsonl" if how == "lines" else "broken")
    journal = out.with_name(out.name + ".journal")
    process = command.start("batch", seeds, "--out", out, *options)
    struck = 0
    for n, strike in enumerate(strikes):
        grown(journal, int(size * (n + chance.random()) / (len(strikes) + 1)), process)
        if process.poll() is not None:
            break
        struck += 1
        if isinstance(strike, signal.Signals):
            with suppress(ProcessLookupError):
                process.send_signal(strike)
            done = command.end(process)
            if done.code == 0:
                break
            assert done.code == (-9 if strike is signal.SIGKILL else 130), done.err
            assert strike is signal.SIGKILL or "--resume goes on" in done.err
            assert not out.exists() or how == "files"
            process = command.start("batch", seeds, "--out", out, *options, "--resume")
        else:
            strike(service)
    done = command.end(process, 600) if process.stdout and not process.stdout.closed else done
    assert done.code == 0, done.err
    assert struck >= (5 if rows >= 5000 else 3)
    if how == "lines":
        assert out.read_bytes() == whole.read_bytes()
    else:
        assert same_files(out, whole) == 2 * rows
    assert not journal.exists()
    assert asked(service) == 2 * rows


def test_what_redis_has_lost_is_asked_again_and_nothing_else(
    command: CommandLine, service: Service, seeds: Path
) -> None:
    whole, out = command.folder / "whole.jsonl", command.folder / "lists.jsonl"
    assert command.run("batch", seeds, "--out", whole, "--explain").code == 0
    journal = out.with_name("lists.jsonl.journal")
    process = command.start("batch", seeds, "--out", out, "--explain")
    grown(journal, whole.stat().st_size // 3, process)
    process.kill()
    command.end(process)
    with journal.open("ab") as file:
        file.write(b'{"row":240,"seed":{"tra')  # torn by the crash
    answered = sum(b'"status"' in line for line in rows_of(journal))
    with service.connection() as connection:
        batches = [*connection.scan_iter("segue:batch:*"), *connection.scan_iter("segue:idempotency:*")]
        connection.delete(*batches)
    done = command.run("batch", seeds, "--out", out, "--explain", "--resume")
    assert done.code == 0, done.err
    assert "no longer there" in done.err
    assert out.read_bytes() == whole.read_bytes()
    assert asked(service) == 240 - answered


def test_a_run_goes_on_with_what_it_was_begun_with(command: CommandLine, service: Service, seeds: Path) -> None:
    out = command.folder / "lists.jsonl"
    process = command.start("batch", seeds, "--out", out, "--limit", "30")
    grown(out.with_name("lists.jsonl.journal"), 30_000, process)
    process.send_signal(signal.SIGSTOP)
    busy = command.run("batch", seeds, "--out", out)
    assert (busy.code, "another run" in busy.err) == (2, True), busy.err
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGINT)
    assert command.end(process).code == 130
    other = command.folder / "other.txt"
    other.write_text("Spider\n")
    for arguments, says in (
        ((seeds, "--limit", "30"), "--resume"),
        ((seeds, "--limit", "31", "--resume"), "other options"),
        ((other, "--limit", "30", "--resume"), "another input"),
    ):
        refused = command.run("batch", *arguments, "--out", out)
        assert (refused.code, says in refused.err) == (2, True), refused.err
    assert command.run("batch", seeds, "--limit", "30", "--out", out, "--resume").code == 0
    assert asked(service) == 240


def test_over_http_the_bytes_are_the_same(command: CommandLine, service: Service, seeds: Path) -> None:
    direct, http = command.folder / "direct.jsonl", command.folder / "http.jsonl"
    assert command.run("batch", seeds, "--out", direct).code == 0
    elsewhere = replace(command, environment={"REDIS_URL": "redis://127.0.0.1:1"})
    process = elsewhere.start("batch", seeds, "--out", http, "--url", service.client.address)
    grown(http.with_name("http.jsonl.journal"), direct.stat().st_size // 2, process)
    process.send_signal(signal.SIGINT)
    done = command.end(process)
    if done.code:
        assert done.code == 130, done.err
        done = elsewhere.run("batch", seeds, "--out", http, "--url", service.client.address, "--resume")
    assert done.code == 0, done.err
    assert http.read_bytes() == direct.read_bytes()
    assert asked(service) == 480


def test_rows_that_fail_are_told_and_kept_to_try_again(command: CommandLine, demo_model: Model) -> None:
    track = demo_model.track(5)
    file, text = command.folder / "songs.csv", io.StringIO()
    rows = [("title", "artist"), (track["name"], track["artists"][0]), ("", ""), ("Qqqq zzzz xxxx", "Nobody At All")]
    csv.writer(text).writerows(rows)
    file.write_text(text.getvalue())
    out = command.folder / "lists.jsonl"
    done = command.run("batch", file, "--out", out, "--limit", "2")
    assert done.code == 1, done.err
    assert "a fallback" in done.err
    failed = command.folder / "lists.jsonl.failed.csv"
    assert str(failed) in done.err
    kept = list(csv.reader(io.StringIO(failed.read_text())))
    assert kept[0] == ["title", "artist"]
    assert kept[-1] == ["Qqqq zzzz xxxx", "Nobody At All"]
    assert [track["name"], track["artists"][0]] not in kept
    failed.write_text(failed.read_text().replace("Qqqq zzzz xxxx", track["name"]).replace("Nobody At All", ""))
    again = command.run("batch", failed, "--out", command.folder / "again.jsonl")
    assert json.loads(rows_of(command.folder / "again.jsonl")[-1])["result"]["strategy"] == "catalogue", again.err


def test_two_places_have_two_files_of_failures(command: CommandLine) -> None:
    file = command.folder / "songs.txt"
    file.write_text("Qqqq zzzz xxxx\n")
    for place in ("nights.v1", "nights.v2"):
        assert command.run("batch", file, "--out", command.folder / place, "--quiet").code == 1
    assert sorted(path.name for path in command.folder.glob("*.txt")) == [
        *("nights.v1.failed.txt", "nights.v2.failed.txt", "songs.txt")
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("lists.jsonl", []),
        ("lists.jsonl.journal", []),
        ("lists.jsonl.failed.txt", []),
        ("lists.jsonl", ["--one"]),
    ],
)
def test_an_input_that_would_be_written_over_is_refused(command: CommandLine, name: str, options: list[str]) -> None:
    file = command.folder / name
    file.write_text("Spider\n" if "txt" in name or "journal" in name else '{"name": "Spider"}\n')
    before = file.read_bytes()
    refused = command.run("batch", file, "--out", command.folder / "lists.jsonl", *options)
    assert (refused.code, "give another --out" in refused.err) == (2, True), refused.err
    assert [path.name for path in command.folder.iterdir()] == [name]
    assert file.read_bytes() == before


def test_a_place_without_a_name_is_refused_or_named(
    command: CommandLine, seeds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for options in ([], ["--one"]):
        refused = command.run("batch", seeds, "--out", "/", "--tracks", "3", *options)
        assert refused.code == 2, refused.err
    (command.folder / "here").mkdir()
    monkeypatch.chdir(command.folder / "here")
    for place, folder in ((".", command.folder / "here"), ("..", command.folder)):
        outputs = Outputs(Path(place), ["m3u8"], read("Spider"))
        assert outputs.out == folder
        assert outputs.journal == folder.with_name(f"{folder.name}.journal")
        assert outputs.retry == folder.with_name(f"{folder.name}.failed.txt")


def test_a_disk_that_is_full_ends_it_with_what_to_do(command: CommandLine, service: Service, seeds: Path) -> None:
    out = command.folder / "lists.jsonl"
    journal = out.with_name("lists.jsonl.journal")
    process = command.start("batch", seeds, "--out", out)
    grown(journal, 10_000, process)
    psutil.Process(process.pid).rlimit(psutil.RLIMIT_FSIZE, (journal.stat().st_size + 20_000, resource.RLIM_INFINITY))
    full = command.end(process)
    assert (full.code, f"{journal}: " in full.err, "--resume goes on" in full.err) == (2, True, True), full.err
    assert command.run("batch", seeds, "--out", out, "--resume").code == 0
    assert (len(rows_of(out)), asked(service)) == (240, 240)


def test_a_journal_that_is_kept_is_told_of_when_the_service_refuses(
    command: CommandLine, seeds: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> str:
        raise Wrong("seeds: not these")

    monkeypatch.setattr(Direct, "submit", refuse)
    monkeypatch.setenv("REDIS_URL", command.environment["REDIS_URL"])
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["batch", str(seeds), "--out", str(command.folder / "lists.jsonl")]) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    said = capsys.readouterr().err
    assert "seeds: not these" in said
    assert f"kept in {command.folder / 'lists.jsonl.journal'}" in said
    assert "delete that file" in said


def test_a_journal_that_another_run_deletes_meanwhile_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock = tmp_path / "journal", fcntl.flock
    locked: list[IO[bytes]] = []

    def late(file: IO[bytes], how: int) -> None:
        if not locked:
            path.unlink()  # by a run that has just ended
        locked.append(file)
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    journal = Journal(path, 1)
    journal.begin({"run": "mine"})
    assert len(locked) == 2
    assert b'"mine"' in path.read_bytes()
    with pytest.raises(Wrong, match="another run"):
        Journal(path, 1)
    journal.delete()
    assert not path.exists()


def test_a_queue_that_is_full_is_waited_for(command: CommandLine, service: Service, seeds: Path) -> None:
    narrow = replace(command, environment=command.environment | {"QUEUE_LIMIT": "14"})  # one chunk of 50 has 13 parts
    done = narrow.run("batch", seeds, "--out", command.folder / "lists.jsonl")
    assert done.code == 0, done.err
    assert asked(service) == 240


def test_a_redis_that_stays_away_ends_it_with_what_to_do(command: CommandLine, seeds: Path) -> None:
    server = redis_server.start(command.folder / "redis")
    try:
        here = replace(command, environment={"REDIS_URL": server.url}, first=(f"CHUNK={CHUNK}", "MOST_AWAY_S=1"))
        nobody = here.run("batch", seeds, "--out", command.folder / "lists.jsonl")
        assert (nobody.code, "no worker" in nobody.err) == (3, True), nobody.err
        assert not list(command.folder.glob("*.journal"))
    finally:
        server.stop()
    gone = here.run("batch", seeds, "--out", command.folder / "lists.jsonl")
    assert (gone.code, "run.sh" in gone.err) == (3, True), gone.err


def test_a_playlist_for_each_row_and_one_for_all(command: CommandLine, seeds: Path) -> None:
    few = command.folder / "few.txt"
    few.write_text("".join(line + "\n" for line in seeds.read_text().split()[:6]))
    out = command.folder / "lists.jsonl"
    done = command.run("batch", few, "--out", out, "--tracks", "5", "--harmonic")
    assert done.code == 0, done.err
    answers = [json.loads(line)["result"] for line in rows_of(out)]
    assert all(len(answer["tracks"]) == 5 and answer["flow"] is not None for answer in answers)
    one = command.folder / "one.m3u8"
    done = command.run("batch", few, "--one", "--out", one, "--tracks", "12")
    assert done.code == 0, done.err
    assert len(read(one.read_text(), filename=one.name).rows) == 12
    again = command.run("batch", few, "--one", "--out", one, "--resume")
    assert (again.code, "leave it out" in again.err) == (2, True), again.err
    folder = command.folder / "places"
    done = command.run("batch", few, "--out", folder, "--location", "Music/{track_id}.mp3", "-f", "xspf", "-n", "2")
    assert done.code == 0, done.err
    assert all("<location>Music/demo" in path.read_text() for path in folder.iterdir())
    lines = command.run("batch", few, "--out", out, "--location", "Music/{track_id}.mp3")
    assert (lines.code, "--location goes with" in lines.err) == (2, True), lines.err
    many = command.run("batch", seeds, "--one", "--out", one)
    assert (many.code, "--extend" in many.err) == (2, True), many.err


def test_rows_from_standard_input(command: CommandLine, ids: list[str]) -> None:
    out = command.folder / "lists.jsonl"
    done = command.run("batch", "-", "--out", out, stdin="\n".join(ids[:3]).encode())
    assert (done.code, len(rows_of(out))) == (0, 3), done.err
