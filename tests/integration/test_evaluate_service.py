"""Evaluation through the running service: the same questions over HTTP get the answers of the engine."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import redis

import redis_server
from artifacts.model import Model
from tests.services import api, wait_for, worker
from training.__main__ import main


def test_the_service_answers_as_the_engine(
    redis_url: str, connection: redis.Redis, models_dir: Path, demo_model: Model, tmp_path: Path
) -> None:
    ids = [demo_model.id_of(row) for row in range(0, 3000, 25)]
    lists = {"playlist_id": [f"list {i % 4}" for i in range(len(ids))], "position": range(len(ids)), "track_id": ids}
    file, figures = tmp_path / "lists.csv", {}
    pd.DataFrame(lists).assign(track_name="", artist_name="").to_csv(file, index=False)
    asked = ["evaluate", "--playlists", str(file), "--artifacts", str(models_dir), "--limit", "100", "--k", "3"]
    with (
        worker(redis_url, models_dir, tmp_path / "worker.log"),
        api(redis_url, redis_server.free_port(), tmp_path / "api.log") as client,
    ):
        wait_for(lambda: client.get("/v1/model").status == 200, "a model in service")
        for name, where in (("engine", []), ("service", ["--url", client.address])):
            out = ["--json", str(tmp_path / name), "--system", "default", "cluster", "judge"]
            assert main([*asked, *where, *out]) == 0
            figures[name] = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    assert figures["service"]["through"] == client.address
    assert figures["service"]["outcomes"] == figures["engine"]["outcomes"]
    assert figures["service"]["outcomes"][0]["agree"] == 1.0
