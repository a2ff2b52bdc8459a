"""`./run.sh` as somebody uses it who has just cloned the repository."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from functools import partial
from pathlib import Path

import psutil
import pytest

import redis_server
import settings
from tests.launching import Launch, command_of, gone, launch
from tests.services import SHARED_DATA, Client, stop, wait_for


def test_from_a_fresh_clone_to_a_recommendation(clone: Path, home: Path) -> None:
    port = redis_server.free_port()
    with launch(clone, home, "--demo", "2000", "--port", str(port), "--workers", "1") as first:
        client = first.client()
        assert client.address.endswith(f":{port}")
        assert client.get("/v1/model").json["tracks"] > 1900
        seed = client.get("/v1/popular?limit=1").json["tracks"][0]
        assert seed["track_id"].startswith("demo")
        job = client.recommend(seeds=[{"name": seed["name"], "artist": seed["artists"][0]}], limit=5)
        assert (job["result"]["strategy"], len(job["result"]["tracks"])) == ("catalogue", 5)
        assert "invented" in job["result"]["notice"]
        assert client.get("/").status == 200
        started = first.processes()
        assert len(started) >= 5  # Redis, a worker and its parent, the API and its server process
        assert stop(first.process, signal.SIGINT) == 0
        gone(started)
    assert first.out.read_bytes().count(b"\n") == 1
    with launch(clone, home, "--demo", "2000", "--port", str(port)) as second:
        client = second.client()
        said = second.err.read_text()
        assert "is there already" in said
        assert "installing" not in said
        # What Redis held is there again: the job of the first run, with its answer.
        assert client.get(f"/v1/jobs/{job['id']}").json["result"] == job["result"]


def test_another_catalogue_is_trained_and_the_first_is_found_again(clone: Path, home: Path) -> None:
    port = str(redis_server.free_port())
    for rows, known in (("2000", True), ("1500", False), ("2000", True)):
        with launch(clone, home, "--demo", rows, "--port", port) as run:
            client = run.client()
            assert client.get("/v1/model").json["source"]["rows"] == int(rows)
            assert ("is there already" in run.err.read_text()) is known


def test_what_dies_is_started_again(clone: Path, home: Path) -> None:
    with launch(clone, home, "--demo", "2000", "--port", str(redis_server.free_port()), "--workers", "1") as run:
        client = run.client()
        seed = client.get("/v1/popular?limit=1").json["tracks"][0]["track_id"]
        for part in ("-m worker recommend", "-m worker webhooks", "-m api", "(redis|valkey)-server"):
            before = _pids(run, part)
            victim = next(p for p in run.processes() if p.pid in before and p.ppid() == run.process.pid)
            victim.kill()
            # All of it is new: what a killed API leaves of its server must not go on answering.
            wait_for(partial(_all_new, run, part, before), f"another {part}", 60)
            wait_for(lambda: _is_ready(client), f"readiness after the death of {part}", 60)
            assert client.recommend(seeds=[{"track_id": seed}])["status"] == "succeeded"


def _pids(run: Launch, part: str) -> set[int]:
    return {p.pid for p in run.processes() if re.search(part, command_of(p))}


def _all_new(run: Launch, part: str, before: set[int]) -> bool:
    now = _pids(run, part)
    return bool(now) and not now & before and not any(psutil.pid_exists(pid) for pid in before)


def _is_ready(client: Client) -> bool:
    try:
        return client.get("/readyz").status == 200
    except OSError:
        return False


def test_a_launcher_that_was_killed_leaves_nothing_behind(clone: Path, home: Path) -> None:
    port = str(redis_server.free_port())
    with launch(clone, home, "--demo", "2000", "--port", port) as run:
        run.client()
        started = run.processes()
        stop(run.process, signal.SIGKILL)
        gone(started)
    with launch(clone, home, "--demo", "2000", "--port", port) as run:
        assert run.client().get("/readyz").status == 200


def test_a_training_that_was_killed_is_repaired_by_the_next_start(clone: Path, home: Path) -> None:
    port = str(redis_server.free_port())
    with launch(clone, home, "--demo", "60000", "--port", port) as run:
        wait_for(lambda: "cleaning" in run.err.read_text(), "training to be under way", 120)
        started = run.processes()
        stop(run.process, signal.SIGKILL)
        gone(started)
    with launch(clone, home, "--demo", "60000", "--port", port) as run:
        assert run.client().get("/v1/model").json["source"]["rows"] == 60000
    assert not list((home / "artifacts").glob(".partial-*"))


def test_an_environment_that_was_cut_off_is_made_anew(clone: Path, home: Path) -> None:
    next(home.glob("venv-*")).joinpath(".complete").unlink()
    with launch(clone, home, "--demo", "2000", "--port", str(redis_server.free_port())) as run:
        run.client()
        assert "installing requirements.txt" in run.err.read_text()


def test_a_taken_port_is_named_with_a_free_one(clone: Path, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with launch(clone, home, "--demo", "2000", "--port", str(port)) as run:
            said = run.refused()
    found = re.search(rf"port {port} is taken; port (\d+) is free: \./run\.sh --port (\d+)", said)
    assert found
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", int(found[1])))


def test_a_second_launcher_of_the_same_home_is_refused(clone: Path, home: Path, tmp_path: Path) -> None:
    with launch(clone, home, "--demo", "2000", "--port", str(redis_server.free_port())) as run:
        run.client()
        process = subprocess.run(
            [str(clone / "run.sh"), "--demo", "2000", "--port", str(redis_server.free_port())],
            env=settings.child_environment(SEGUE_HOME=str(home)),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert process.returncode == 1
        assert f"(process {run.process.pid})" in process.stderr


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--data", "no-such.csv"], "no-such.csv: no such file"),
        (["--data", "broken.csv"], "column danceability, row 1: 'high' is no number"),
    ],
)
def test_bad_data_is_refused_with_its_place(clone: Path, home: Path, options: list[str], says: str) -> None:
    header = "track_id,track_name,artist_name,danceability,energy,key,loudness,mode,speechiness,acousticness,"
    header += "instrumentalness,liveness,valence,tempo"
    (home / "broken.csv").write_text(header + "\na,b,c,high,1,1,1,1,1,1,1,1,1,1\n")
    with launch(clone, home, *options, "--port", str(redis_server.free_port())) as run:
        assert says in run.refused()


@pytest.mark.parametrize(
    "options", [["--port", "0"], ["--port", "x"], ["--workers", "0"], ["--demo", "-3"], ["--nope"]]
)
def test_wrong_options_are_explained(clone: Path, home: Path, options: list[str]) -> None:
    with launch(clone, home, *options) as run:
        assert run.process.wait(60) == 2
        assert "usage: ./run.sh" in run.err.read_text()


@pytest.mark.parametrize("said_in", ["nothing", ".env"])
def test_without_segue_home_in_the_environment(clone: Path, home: Path, said_in: str) -> None:
    environment = {k: v for k, v in settings.child_environment().items() if k != "SEGUE_HOME"}
    usual, dotenv = clone / ".segue", clone / ".env"
    try:
        if said_in == ".env":
            dotenv.write_text(f"SEGUE_HOME={home}\n")
        else:
            usual.symlink_to(home)  # where it is by default; the environment there need not be made anew
        command = [str(clone / "run.sh"), "--nope"]
        process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert process.returncode == 2, process.stderr
        assert "usage: ./run.sh" in process.stderr
        assert "installing" not in process.stderr
    finally:
        usual.unlink(missing_ok=True)
        dotenv.unlink(missing_ok=True)


def test_a_redis_that_was_named_must_answer(clone: Path, home: Path) -> None:
    url = f"redis://127.0.0.1:{redis_server.free_port()}/0"
    port = str(redis_server.free_port())
    with launch(clone, home, "--demo", "2000", "--port", port, REDIS_URL=url) as run:
        assert "REDIS_URL is set, but that server does not answer" in run.refused()


def test_a_redis_that_was_named_is_used(clone: Path, home: Path, redis_url: str) -> None:
    port = str(redis_server.free_port())
    with launch(clone, home, "--demo", "2000", "--port", port, REDIS_URL=redis_url) as run:
        assert run.client().get("/readyz").status == 200
        assert not any(re.search("(redis|valkey)-server", command_of(p)) for p in run.processes())


def test_without_data_and_network_the_demo_catalogue_serves(clone: Path, home: Path) -> None:
    with launch(clone, home, "--port", str(redis_server.free_port()), ARTIFACTS_DIR=str(home / "other")) as run:
        client = run.client()
        said = run.err.read_text()
        assert "downloading http://127.0.0.1:9/none.csv" in said
        assert "the download failed" in said
        assert "its songs are invented" in said
        assert client.get("/v1/model").json["synthetic"] is True


def test_a_file_of_real_tracks(clone: Path, home: Path) -> None:
    data = SHARED_DATA / "tracks_114k.csv.gz"
    if not data.exists():
        pytest.skip(f"no {data.name} beside the project")
    relative = os.path.relpath(data, home)  # run.sh is called from there
    with launch(clone, home, "--data", relative, "--port", str(redis_server.free_port())) as run:
        client = run.client()
        assert client.get("/v1/model").json["tracks"] == 89_740
        job = client.recommend(seeds=[{"name": "Bohemian Rhapsody", "artist": "queen"}], limit=10)
        assert job["result"]["strategy"] == "catalogue"
        assert job["result"]["tracks"][0]["spotify_url"].startswith("https://open.spotify.com/track/")
    assert json.loads((home / "processes.json").read_text()) == []
