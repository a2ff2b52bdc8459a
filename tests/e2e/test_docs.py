"""Every curl of the pages, and the client's Python, run as they are written, against the service that they start."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import api.client as segue_client
import redis_server
import settings
from tests.launching import launch
from tests.services import Client

PAGES = ("README.md", "docs/tutorial.md")


def curls(page: str) -> list[str]:
    """Return the shell blocks of a page that ask the service for something."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (settings.ROOT / page).read_text(encoding="utf-8"), re.M | re.S)
    return [block for block in blocks if "curl" in block]


@pytest.fixture(scope="module")
def demo(clone: Path, home: Path) -> Iterator[Client]:
    with launch(clone, home, "--demo", "--port", str(redis_server.free_port())) as run:
        yield run.client()


def run(block: str, client: Client) -> str:
    block = block.replace("http://127.0.0.1:8000", client.address)
    done = subprocess.run(["sh", "-euc", block], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_what_the_pages_ask_is_answered_as_they_say(demo: Client, page: str) -> None:
    blocks = curls(page)
    assert blocks
    for block in blocks:
        said = run(block, demo)
        body = json.loads(said[said.index("{") :])
        if '"limit": 500' in block:
            assert body["errors"][0]["pointer"] == "/limit"
        else:
            assert "code" not in body, body
        if "/v1/jobs/" in block:
            assert body["status"] == "succeeded"
            assert (body["result"]["strategy"], body["result"]["degraded"]) == ("catalogue", False)


def test_the_readmes_answer_is_the_one_that_comes(demo: Client) -> None:
    readme = (settings.ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r'"name": "([^"]+)", "artists": \["([^"]+)"\].*?"year": (\d+), "score": ([\d.]+)', readme)
    body = json.loads(run(curls("README.md")[0], demo))
    found = body["result"]["tracks"]
    assert [(t["name"], t["artists"][0], str(t["year"])) for t in found] == [line[:3] for line in shown]
    # Another processor may add up in another order; the page shows more digits than that leaves alone.
    assert [t["score"] for t in found] == pytest.approx([float(line[3]) for line in shown], abs=1e-3)


def test_every_song_of_the_tutorial_is_found(demo: Client) -> None:
    for block in curls("docs/tutorial.md"):
        for body in re.findall(r"-d '(\{.*?\})'", block):
            query = json.loads(body)
            if query.get("limit") == 500 or "No Such Song" in body or "Spidr" in body:
                continue
            result = demo.recommend(**query)["result"]
            assert all(seed["match"] == 1 for seed in result["seeds"]), query
            assert result["warnings"] == []
    typo = demo.recommend(seeds=[{"name": "Spidr", "artist": "Perander Draythwait"}])["result"]
    assert (typo["strategy"], typo["seeds"][0]["name"]) == ("fuzzy", "Spider")
    assert "19,994 tracks" in (settings.ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    assert demo.get("/v1/model").json["tracks"] == 19_994


@pytest.mark.parametrize("name", ["client", "jobs", "batches", "playlists"])
def test_what_the_clients_pages_do_works(demo: Client, capsys: pytest.CaptureFixture[str], name: str) -> None:
    page = (settings.ROOT / f"docs/howto/{name}.md").read_text(encoding="utf-8")
    names: dict[str, object] = {}  # its Python goes on from block to block
    for language, block in re.findall(r"^```(sh|python)\n(.*?)^```", page, re.M | re.S):
        if language == "python":
            exec(compile(block.replace("http://127.0.0.1:8000", demo.address), block, "exec"), names)
        elif "curl" in block:
            said = run(block, demo)
            assert said
            assert '"code"' not in said
    if name == "client":
        assert "'pointer': '/limit'" in capsys.readouterr().out
    segue = names["segue"]
    assert isinstance(segue, segue_client.Client)
    segue.close()


def test_what_the_command_lines_page_does_works(demo: Client, clone: Path, home: Path, tmp_path: Path) -> None:
    """Each line of it, in its order, in one folder, with the Python that run.sh has made."""
    page = (settings.ROOT / "docs/howto/command-line.md").read_text(encoding="utf-8")
    [python] = [stamp.parent / "bin" / "python" for stamp in home.glob("venv-*/.complete")]
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S) for line in block.splitlines()]
    environment = settings.child_environment(SEGUE_HOME=str(home), REDIS_URL="", PYTHONPATH=str(settings.ROOT))
    assert len(lines) > 15
    for written in lines:
        line = written.replace("python -m", f"'{python}' -m").replace("http://127.0.0.1:8000", demo.address)
        done = subprocess.run(
            ["sh", "-euc", line], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
    status = [str(clone / "segue"), "status"]
    done = subprocess.run(status, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "alive" in done.stdout) == (0, True), done.stderr
    assert len(list((tmp_path / "lists").iterdir())) == 4
    assert not list(tmp_path.glob("*.journal"))
