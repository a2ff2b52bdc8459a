"""`python -m producer` on a running service: every command, both ways to it, each exit code, terminals and pipes."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

import redis_server
import settings
from api.client import NotFinished
from artifacts.model import Model
from producer import keys, queue
from producer.cli.errors import Away
from producer.cli.http import _translated as translated_http
from producer.cli.options import FormatName
from producer.cli.show import camelot, clean
from producer.playlists.reading import read
from producer.playlists.writing import FORMATS
from tests import services
from tests.command_line import CommandLine, grown
from tests.services import Service, wait_for


@pytest.fixture(scope="module")
def manned(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> Iterator[tuple[Service, subprocess.Popen[bytes]]]:
    """A service, and the parent of its workers."""
    with services.service(tmp_path_factory.mktemp("commands"), models_dir) as service, service.worker() as parent:
        wait_for(service.is_ready, "a worker")
        yield service, parent


@pytest.fixture(scope="module")
def service(manned: tuple[Service, subprocess.Popen[bytes]]) -> Service:
    return manned[0]


@pytest.fixture
def nobody(manned: tuple[Service, subprocess.Popen[bytes]]) -> Iterator[None]:
    """No worker is alive, as long as a test takes."""
    service, parent = manned
    children = services.answering(parent)
    parent.send_signal(signal.SIGSTOP)
    for child in children:
        child.suspend()
    with service.connection() as connection:
        connection.delete(keys.WORKERS)
    yield
    for child in children:
        child.resume()
    parent.send_signal(signal.SIGCONT)
    wait_for(service.is_ready, "the workers")


@pytest.fixture(params=["redis", "http"])
def command(request: pytest.FixtureRequest, service: Service, tmp_path: Path) -> CommandLine:
    """The command line on that service, by either way."""
    by = {"REDIS_URL": service.redis.url}
    if request.param == "http":
        by = {"REDIS_URL": "redis://127.0.0.1:1", "SEGUE_URL": service.client.address, "SEGUE_API_KEY": "unasked"}
    return CommandLine(by | {"SEGUE_HOME": str(tmp_path / "home")}, tmp_path)


@pytest.fixture
def direct(service: Service, tmp_path: Path) -> CommandLine:
    return CommandLine({"REDIS_URL": service.redis.url}, tmp_path)


@pytest.fixture(scope="module")
def songs(demo_model: Model) -> list[dict[str, Any]]:
    """Songs whose names are theirs alone."""
    tracks = [demo_model.track(row) for row in range(400)]
    return [track for track in tracks if track["artists"] and re.fullmatch(r"[A-Za-z ]+", track["name"])][:20]


def named(song: dict[str, Any]) -> str:
    return f"{song['name']} - {song['artists'][0]}"


def test_recommend_gives_what_the_service_gives(command: CommandLine, service: Service, songs: list[Any]) -> None:
    done = command.run("recommend", named(songs[0]), "--limit", "4", "--format", "json", "--year", "1950-", "--explain")
    assert done.code == 0, done.err
    seeds, filters = [{"name": named(songs[0])}], {"year": [1950, 2100]}
    expected = service.client.recommend(seeds=seeds, limit=4, explain=True, filters=filters)["result"]
    assert json.loads(done.out)["tracks"] == expected["tracks"]


def test_seeds_come_in_many_forms(command: CommandLine, songs: list[Any]) -> None:
    words = [songs[0]["track_id"], f"spotify:track:{songs[1]['track_id']}", named(songs[2])]
    given = f"{named(songs[3])}\n# a comment\n{songs[4]['track_id']}\n".encode()
    done = command.run("recommend", *words, "-", "--not", named(songs[5]), "-f", "json", stdin=given)
    assert done.code == 0, done.err
    found = [seed["track_id"] for seed in json.loads(done.out)["seeds"]]
    assert found == [song["track_id"] for song in songs[:6]]
    alone = command.run("recommend", songs[6]["name"], "--artist", songs[6]["artists"][0], "-f", "json")
    assert json.loads(alone.out)["seeds"][0]["track_id"] == songs[6]["track_id"]


def test_piped_it_is_a_file_that_players_take(command: CommandLine, songs: list[Any]) -> None:
    done = command.run("recommend", named(songs[0]), "-n", "3")
    assert done.code == 0, done.err
    assert done.out.startswith("#EXTM3U\n#PLAYLIST:Songs like ")
    assert "invented" in done.err


@pytest.mark.parametrize("form", [*FORMATS])
def test_each_format_can_be_read_again(direct: CommandLine, songs: list[Any], form: str) -> None:
    path = direct.folder / f"list{FORMATS[form].suffix}"
    done = direct.run("recommend", named(songs[0]), "-n", "5", "-o", path, "--format", form)
    assert (done.code, done.out) == (0, ""), done.err
    assert len(read(path.read_text(), filename=path.name).rows) == 5
    assert [entry.name for entry in direct.folder.iterdir()] == [path.name]


def test_the_formats_offered_are_those_there_are() -> None:
    assert [name.value for name in FormatName] == [*FORMATS, "json"]


def test_a_playlist_from_seeds_from_a_list_and_along_a_path(command: CommandLine, songs: list[Any]) -> None:
    path = command.folder / "night.csv"
    shape = ("--tracks", "8", "--arc", "build", "--harmonic")
    done = command.run("playlist", named(songs[0]), named(songs[1]), *shape, "-o", path)
    assert done.code == 0, done.err
    assert len(read(path.read_text(), filename=path.name).rows) == 8
    longer = command.run("playlist", "--extend", path, "--tracks", "11", "-f", "json")
    assert longer.code == 0, longer.err
    tracks = json.loads(longer.out)["tracks"]
    assert (len(tracks), sum(track["given"] for track in tracks)) == (11, 8)
    ends = [songs[0]["track_id"], songs[9]["track_id"]]
    along = command.run("playlist", "--path", *ends, "--tracks", "6", "-f", "json")
    assert along.code == 0, along.err
    assert [json.loads(along.out)["tracks"][place]["track_id"] for place in (0, -1)] == ends


def test_the_doctor_looks_at_a_file(command: CommandLine, songs: list[Any]) -> None:
    path = command.folder / "mine.txt"
    path.write_text("".join(f"{song['track_id']}\n" for song in songs[:8]))
    done = command.run("doctor", path, "-f", "json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert [track["track_id"] for track in found["tracks"]] == [song["track_id"] for song in songs[:8]]
    words = command.run("doctor", "-", stdin=path.read_bytes())
    assert (words.code, f"coherence  {found['coherence']:.2f}" in words.out) == (0, True), words.err


def test_popular_and_status(command: CommandLine, service: Service) -> None:
    genre = service.client.get("/v1/genres").json["genres"][0]["genre"]
    done = command.run("popular", "--genre", genre, "-n", "3", "-f", "json")
    assert json.loads(done.out) == service.client.get(f"/v1/popular?limit=3&genre={genre}").json
    state = json.loads(command.run("status", "--json").out)
    assert (state["workers"], state["waiting"], state["tracks"] > 2900) == (1, 0, True)
    assert re.search(r"^workers  1 alive$", command.run("status").out, re.M)


def test_without_a_worker_status_says_so_and_a_batch_waits(command: CommandLine, nobody: None) -> None:
    state = command.run("status", "--json")
    assert (state.code, json.loads(state.out)["workers"]) == (3, 0), state.err
    assert re.search(r"^workers  0 alive$", command.run("status").out, re.M)
    file, journal = command.folder / "songs.txt", command.folder / "lists.jsonl.journal"
    file.write_text("Spider\n")
    process = command.start("batch", file, "--out", command.folder / "lists.jsonl")
    grown(journal, 1, process)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    done = command.end(process)
    assert (done.code, "the rows wait for one" in done.err) == (130, True), done.err


def test_what_takes_too_long_ends_as_a_service_that_is_away() -> None:
    with pytest.raises(Away, match="nothing new"), translated_http():
        raise NotFinished("nothing new", code="not-finished")


def test_the_title_comes_first_in_words_and_the_artist_in_files(direct: CommandLine, songs: list[Any]) -> None:
    line = f"{songs[1]['artists'][0]} - {songs[1]['name']}\n".encode()
    done = direct.run("recommend", named(songs[0]), "-", "-f", "json", stdin=line)
    found = json.loads(done.out)["seeds"]
    assert [(seed["track_id"], seed["match"]) for seed in found] == [(song["track_id"], 1.0) for song in songs[:2]]


@pytest.mark.parametrize("arguments", [["recommend", "Spider"], ["playlist", "Spider", "--tracks", "4"], ["popular"]])
def test_locations_are_made_by_a_template(direct: CommandLine, arguments: list[str]) -> None:
    done = direct.run(*arguments, "--location", "Music/{track_id}.mp3")
    assert done.code == 0, done.err
    assert re.search(r"^Music/demo\w{18}\.mp3$", done.out, re.M), done.out
    path = direct.folder / "list.xspf"
    assert direct.run(*arguments, "-o", path, "--location", "https://my.server/{track_id}.ogg").code == 0
    assert re.search(r"<location>https://my\.server/demo\w{18}\.ogg</location>", path.read_text())


def test_what_is_written_to_stays_what_it_is(direct: CommandLine) -> None:
    pipe, link, target, dangling = (direct.folder / name for name in ("pipe", "link", "target.csv", "dangling"))
    os.mkfifo(pipe)
    (direct.folder / "to-pipe").symlink_to(pipe)
    target.write_text("old")
    link.symlink_to(target)
    dangling.symlink_to(direct.folder / "new.csv")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    for name in ("pipe", "to-pipe"):
        done = direct.run("popular", "-n", "2", "-f", "csv", "-o", direct.folder / name)
        assert done.code == 0, done.err
        assert os.read(reader, 65536).startswith(b'"Track URI"')
    os.close(reader)
    for path in (link, dangling):
        assert direct.run("popular", "-n", "2", "-f", "csv", "-o", path).code == 0
    assert (pipe.is_fifo(), link.is_symlink(), dangling.is_symlink()) == (True, True, True)
    assert target.read_text() == (direct.folder / "new.csv").read_text() != "old"


def test_a_fallback_says_that_it_is_one_and_ends_with_1(command: CommandLine) -> None:
    done = command.run("recommend", "Qqqq zzzz xxxx", "-n", "2")
    assert done.code == 1
    assert "this is a fallback (popular)" in done.err
    assert len(read(done.out, kind="m3u8").rows) == 2


def test_a_misspelt_song_says_what_it_was_taken_for(command: CommandLine, songs: list[Any]) -> None:
    song = max(songs, key=lambda one: len(one["name"]))
    done = command.run("recommend", "x" + song["name"][:-1], "--artist", song["artists"][0], "-n", "1")
    assert f"taken for {song['name']} by {song['artists'][0]}" in done.err, done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["recommend"], "name a song"),
        (["recommend", "x", "--limit", "500"], "limit: "),
        (["recommend", "x", "--year", "then"], "--year 'then'"),
        (["recommend", "x", "--genre", "no such genre"], "no genre 'no such genre'"),
        (["recommend", "x", "--weight", "year"], "--weight 'year'"),
        (["recommend", "x", "--format", "mp3"], "mp3"),
        (["recommend", "x", "-o", "/no/such/folder/x.m3u8"], "/no/such/folder"),
        (["recommend", "spotify:album:4uLU6hMCjMI75M1A2tKUQC"], "a Spotify album, not a song"),
        (["popular", "--genre", "no such genre"], "no genre"),
        (["playlist", "x", "--tracks", "5", "--minutes", "9"], "tracks or minutes"),
        (["playlist", "--path", "x"], "2 waypoints"),
        (["playlist", "x", "--arc", "0.2,high"], "--arc"),
        (["doctor", "/no/such/file.csv"], "/no/such/file.csv"),
        (["batch", "/no/such/file.csv", "--out", "x"], "/no/such/file.csv"),
        (["recommend", "x", "--location", "Music/song.mp3"], "--location: a template"),
        (["popular", "--location", "{title}", "-f", "csv"], "--location goes with m3u8 and xspf"),
        (["popular", "-o", "/"], "/: "),
        (["dance"], "dance"),
    ],
)
def test_what_cannot_be_is_told_and_ends_with_2(command: CommandLine, arguments: list[str], says: str) -> None:
    done = command.run(*arguments)
    assert (done.code, done.out) == (2, ""), done.err
    assert says in done.err


def test_without_a_service_it_says_what_to_do_and_ends_with_3(tmp_path: Path) -> None:
    for environment, arguments in (
        ({"SEGUE_HOME": str(tmp_path)}, ["status"]),
        ({"REDIS_URL": "redis://127.0.0.1:1"}, ["recommend", "x"]),
        ({"SEGUE_URL": "http://127.0.0.1:1"}, ["popular"]),
    ):
        done = CommandLine({"REDIS_URL": "", **environment}, tmp_path).run(*arguments)
        assert (done.code, done.out, "./run.sh" in done.err) == (3, "", True), done.err


def test_an_api_key_is_sent_and_one_that_is_missing_is_told(service: Service, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "api", "keys", "create", "terminal"],
        cwd=settings.ROOT,
        env=settings.child_environment(REDIS_URL=service.redis.url),
        capture_output=True,
        text=True,
        check=True,
    )
    key = re.search(r"sg_\S+|segue_\S+", made.stdout)
    assert key, made.stdout
    with services.api(service.redis.url, redis_server.free_port(), tmp_path / "api.log", AUTH="on") as guarded:
        command = CommandLine({"SEGUE_URL": guarded.address}, tmp_path)
        refused = command.run("status")
        assert (refused.code, "key" in refused.err) == (3, True), refused.err
        assert command.run("status", "--key", key[0]).code == 0


def test_the_launchers_redis_is_found_by_itself(service: Service, tmp_path: Path, direct: CommandLine) -> None:
    home = tmp_path / "home"
    shutil.copytree(service.folder / "redis", home / "redis", ignore=shutil.ignore_patterns("appendonlydir"))
    command = replace(direct, environment={"SEGUE_HOME": str(home), "REDIS_URL": ""})
    assert command.run("status").code == 0


def on_a_terminal(command: CommandLine, *arguments: str, **more: str) -> str:
    """Run a command on a terminal of 100 columns. → what it shows."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "producer", *arguments],
        cwd=settings.ROOT,
        env=settings.child_environment(**command.environment, TERM="xterm", COLUMNS="100", **more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # how a terminal tells that nobody writes any more
        while part := os.read(ours, 4096):
            shown += part
    process.wait(30)
    os.close(ours)
    return shown.decode()


def test_a_terminal_gets_a_table_and_colours_unless_it_wants_none(direct: CommandLine, songs: list[Any]) -> None:
    shown = on_a_terminal(direct, "recommend", named(songs[0]), "-n", "3", "--explain")
    assert re.search(r"title\W.*artists\W.*closer\W.*why", re.sub(r"\x1b\[\d*m", "", shown))
    assert "\x1b[1m" in shown
    assert "#EXTM3U" not in shown
    plain = on_a_terminal(direct, "playlist", named(songs[0]), "--tracks", "4", "--harmonic", NO_COLOR="1")
    assert re.search(r"energy  flow", re.sub(r"\x1b\[\d*m", "", plain))
    assert not re.search(r"\x1b\[\d*;?3\dm", plain)
    assert re.search(r"4 tracks, \d+ minutes, flow 0\.\d\d", plain)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_with_130(tmp_path: Path, how: signal.Signals) -> None:
    server = redis_server.start(tmp_path / "redis")  # nobody works there
    try:
        process = CommandLine({"REDIS_URL": server.url}, tmp_path).start("recommend", "x")
        with redis.Redis.from_url(server.url) as connection:
            wait_for(lambda: queue.waiting(connection), "the job")
        process.send_signal(how)
        assert CommandLine.end(process, 20).code == 130
    finally:
        server.stop()


def test_titles_cannot_steer_a_terminal() -> None:
    assert clean("a\x1b[2Jb\nc\u202ed") == "a [2Jb c d"


@pytest.mark.parametrize(
    ("key", "mode", "place"), [(9, 0, "8A"), (0, 1, "8B"), (7, 1, "9B"), (8, 0, "1A"), (4, 1, "12B")]
)
def test_keys_on_the_camelot_wheel(key: int, mode: int, place: str) -> None:
    assert camelot(key, mode) == place
    assert camelot(None, mode) == ""


def test_a_shell_completes_words(direct: CommandLine) -> None:
    completing = {"_SEGUE_COMPLETE": "complete_bash", "COMP_WORDS": "segue rec", "COMP_CWORD": "1"}
    assert replace(direct, environment=completing).run().out.split() == ["recommend"]
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # else it looks for the shell that runs the tests
    shown = replace(direct, environment=named).run("--show-completion", "bash").out
    assert "_SEGUE_COMPLETE=complete_bash $1" in shown
    assert shown.rstrip().endswith(" segue")


def test_a_python_without_the_libraries_is_told_where_they_are(tmp_path: Path) -> None:
    bare = [sys.executable, "-I", "-S", "-c", "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "]
    bare[-1] += "runpy.run_module('producer', run_name='__main__')"
    done = subprocess.run([*bare, str(settings.ROOT)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "lacks " in done.stderr
    assert "run.sh" in done.stderr
    assert "Traceback" not in done.stderr
