"""The recipe from a file to a published model, as `python -m training` runs it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from artifacts import store
from artifacts.manifest import Manifest, file_source
from artifacts.model import Model
from tests import builders
from training import clusters
from training.__main__ import main
from training.build import Built

REAL = Path(__file__).parents[3] / "shared" / "data" / "tracks_114k.csv.gz"


def train(root: Path, *arguments: object) -> int:
    """Run `python -m training` with these arguments. → its exit code, also where the arguments are refused."""
    try:
        return main([*map(str, arguments), "--artifacts", str(root)])
    except SystemExit as refused:
        return int(refused.code or 0)


def manifest(root: Path) -> Manifest:
    version = store.current(root)
    assert version
    return store.manifest_of(root, version)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture(scope="module")
def atlas_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return builders.write(tmp_path_factory.mktemp("data") / "atlas.csv", builders.atlas(), "million")


def test_a_file_becomes_a_published_model(root: Path, atlas_csv: Path, built: Built) -> None:
    assert train(root, "--data", atlas_csv, "--clusters", 12) == 0
    published = manifest(root)
    model = Model.load(root, published.version)
    assert len(model) == published.tracks == built.about["tracks"]
    assert published.source == file_source(atlas_csv)
    assert published.genres == tuple(built.about["genres"])
    assert published.metrics["rows_in"] == len(builders.atlas())
    assert published.metrics["explained_variance"] >= 0.9199
    assert published.coverage["explicit"] == 0
    assert 0.9 < published.coverage["year"] < 1
    row = model.row_of_id(builders.group_id(0, 0))
    assert row is not None
    assert len(model.nearest(model.query([row], {}), 10).rows) == 10


@pytest.mark.parametrize(
    ("name", "layout"),
    [("t.csv", "hub"), ("t.csv.gz", "hub"), ("t.csv.gz", "million"), ("t.parquet", "parquet")],
)
def test_every_layout_trains(root: Path, name: str, layout: builders.Layout) -> None:
    path = builders.write(root.parent / name, builders.atlas(), layout)
    assert train(root, "--data", path) == 0
    assert manifest(root).tracks == len(builders.atlas()) - 1
    assert manifest(root).clusters == 35
    assert manifest(root).coverage["year"] == 0 or layout != "hub"


def test_the_summary_says_what_came_of_it(root: Path, atlas_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(root, "--data", atlas_csv, "--clusters", 12) == 0
    shown = capsys.readouterr()
    published = manifest(root)
    assert f"published:        {published.version}" in shown.out
    assert "12, of " in shown.out
    assert f"{published.metrics['explained_variance']:.2%} of the variance" in shown.out
    assert f"{published.songs}, versions counted once, by {published.artists} artists" in shown.out
    assert "not in this data: album_name, explicit" in " ".join(shown.out.split())
    assert "failed analysis" in shown.out
    assert "outside 0–1" not in shown.out, "rules that met nothing are not listed"
    assert [line for line in shown.err.splitlines() if "K-means, 12 clusters" in line]


def test_clusters_are_as_many_as_asked_for(root: Path, atlas_csv: Path) -> None:
    assert train(root, "--data", atlas_csv, "--clusters", 7) == 0
    assert manifest(root).clusters == len(manifest(root).metrics["cluster_sizes"]) == 7
    assert sum(manifest(root).metrics["cluster_sizes"]) == manifest(root).tracks
    assert min(manifest(root).metrics["cluster_sizes"]) > 0


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_number_of_clusters_that_cannot_be_is_refused(
    root: Path, atlas_csv: Path, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(root, "--data", atlas_csv, "--clusters", number) in (1, 2)
    assert "clusters" in capsys.readouterr().err
    assert store.current(root) is None


def test_if_missing_leaves_a_model_that_is_there(
    root: Path, atlas_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--data", atlas_csv, "--clusters", 5, "--if-missing")
    assert train(root, *arguments) == 0
    first = store.current(root)
    capsys.readouterr()
    assert train(root, *arguments) == 0
    assert store.versions(root) == [first]
    assert f"model {first} is there already" in capsys.readouterr().err
    assert train(root, "--data", atlas_csv, "--clusters", 6) == 0
    assert manifest(root).clusters == 6, "without the flag another is trained"
    assert train(root, *arguments) == 0
    assert manifest(root).clusters == 6, "any model will do"
    (root / "CURRENT").write_text("rubbish")
    assert train(root, *arguments) == 1, "a pointer that cannot be read is an error, not a missing model"
    assert len(store.versions(root)) == 2


def test_the_sweep_shows_what_other_numbers_would_do(
    root: Path, atlas_csv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(root, "--data", atlas_csv, "--clusters", 20, "--sweep") == 0
    version = store.current(root)
    assert version
    assert store.versions(root) == [version]
    directory = root / "sweeps" / version
    outcome = json.loads((directory / "sweep.json").read_text())
    assert [row["k"] for row in outcome] == list(clusters.SWEEP) == list(range(10, 51, 5))
    assert all(-1 <= row["silhouette"] <= 1 and row["davies_bouldin"] > 0 for row in outcome)
    inertia = [row["inertia"] for row in outcome]
    assert inertia == sorted(inertia, reverse=True)
    picture = (directory / "sweep.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000
    shown = capsys.readouterr().out
    assert "20 ←" in shown
    assert str(directory / "sweep.png") in shown


def test_the_demo_trains_and_its_data_can_be_kept(root: Path, tmp_path: Path) -> None:
    kept = tmp_path / "demo.csv"
    assert train(root, "--demo", 400, "--save-data", kept) == 0
    from_demo = manifest(root)
    assert from_demo.synthetic
    assert from_demo.source == {"kind": "demo", "rows": 400, "seed": 1}
    assert "invented" in str(from_demo.notice)
    assert train(tmp_path / "other", "--data", kept) == 0
    from_file = manifest(tmp_path / "other")
    assert from_file.synthetic, "its ids say so"
    assert from_file.files == from_demo.files, "the file holds what the demo is"


@pytest.mark.parametrize("rows", [0, -5])
def test_a_demo_of_no_tracks_is_refused(root: Path, rows: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(root, f"--demo={rows}") in (1, 2)
    assert "demo" in capsys.readouterr().err
    assert store.current(root) is None


GOOD = builders.csv_text(builders.atlas())


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "No such file"),
        (b"", "empty"),
        (b"<html>not found</html>", "column missing"),
        (GOOD.replace(",tempo,", ",pace,").encode(), "column missing: tempo"),
        (GOOD.replace("genre-05,", "genre-05,loud", 1).encode(), "column danceability, row"),
        (GOOD[: len(GOOD) // 2].encode(), "row"),
        (GOOD.splitlines()[0].encode(), "no rows"),
        (GOOD.encode("utf-16"), "header"),
    ],
)
def test_bad_input_is_one_line_that_names_the_file_and_publishes_nothing(
    root: Path, content: bytes | None, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = root.parent / "tracks.csv"
    if content is not None:
        path.write_bytes(content)
    assert train(root, "--data", path, "--clusters", 35) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("python -m training: ")
    assert str(path) in message
    assert complaint in message
    assert not root.exists()


def test_bad_input_leaves_the_model_that_was_there(root: Path, atlas_csv: Path) -> None:
    assert train(root, "--data", atlas_csv, "--clusters", 5) == 0
    before = manifest(root)
    assert train(root, "--data", root.parent / "absent.csv") == 1
    assert manifest(root) == before
    assert store.versions(root) == [before.version]


def test_too_few_tracks_for_so_many_clusters(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = builders.write(root.parent / "few.csv", builders.atlas().head(30), "million")
    assert train(root, "--data", path, "--clusters", 35) == 1
    assert f"{path}: 30 tracks are left after cleaning, too few for 35 clusters" in capsys.readouterr().err
    assert not root.exists()
    assert train(root, "--data", path) == 0
    assert manifest(root).clusters == 30, "unless a number is asked for, no more than there are tracks"
    assert train(root, "--data", path, "--clusters", 5) == 0


def test_a_place_that_cannot_be_written_to(root: Path, atlas_csv: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root.write_text("a file")
    assert train(root, "--data", atlas_csv, "--clusters", 5) == 1
    assert str(root) in capsys.readouterr().err


@pytest.mark.parametrize("absent", ["genre", "popularity", "year", "duration_ms", "time_signature", "all of them"])
def test_data_without_an_optional_column_trains(root: Path, absent: str) -> None:
    every = ["genre", "popularity", "year", "duration_ms", "time_signature"]
    dropped = every if absent == "all of them" else [absent]
    tracks = builders.in_layout(builders.atlas(), "million").drop(columns=dropped)
    tracks.to_csv(root.parent / "tracks.csv")
    assert train(root, "--data", root.parent / "tracks.csv", "--clusters", 5) == 0
    published = manifest(root)
    assert all(published.coverage[column] == 0 for column in dropped)
    model = Model.load(root, published.version)
    found = model.nearest(model.query([0, 1], {}), 50)
    assert len(set(found.rows.tolist())) == 50
    assert np.isfinite(found.score).all()


def test_data_without_any_artist_trains(root: Path) -> None:
    tracks = builders.atlas().assign(artist_name=pd.Series([None] * len(builders.atlas()), dtype="str"))
    path = builders.write(root.parent / "tracks.parquet", tracks, "parquet")
    assert train(root, "--data", path, "--clusters", 5) == 0
    model = Model.load(root, manifest(root).version)
    assert manifest(root).artists == 0
    assert model.artists_of(0) == []


def test_kmeans_is_the_same_for_the_same_points() -> None:
    points = np.random.default_rng(1).normal(size=(3000, 8)).astype(np.float32)
    first, second = clusters.fit_kmeans(points, 20), clusters.fit_kmeans(points.copy(), 20)
    assert first.labels_.tobytes() == second.labels_.tobytes()
    assert first.cluster_centers_.tobytes() == second.cluster_centers_.tobytes()
    assert set(first.labels_.tolist()) == set(range(20))


def test_pca_keeps_the_variance_with_the_fewest_components() -> None:
    rng = np.random.default_rng(2)
    x = (rng.normal(size=(2000, 25)) * np.linspace(3, 0.1, 25)).astype(np.float32)
    share = clusters.fit_pca(x).explained_variance_ratio_
    eigenvalues = np.sort(np.linalg.eigvalsh(np.cov(x.T.astype(np.float64))))[::-1]
    np.testing.assert_allclose(share, eigenvalues[: len(share)] / eigenvalues.sum(), rtol=1e-3)
    assert share.sum() >= 0.9199 > share[:-1].sum()


def test_rows_by_cluster() -> None:
    rows, offsets = clusters.group_rows(np.array([2, 0, 2, 0, 0]), 4)
    assert rows.tolist() == [1, 3, 4, 0, 2]
    assert offsets.tolist() == [0, 3, 3, 5, 5]


@pytest.mark.skipif(not REAL.exists(), reason=f"real data to try with is not there: {REAL.name} beside the repository")
def test_the_real_114000_rows_train(root: Path) -> None:
    assert train(root, "--data", REAL) == 0
    published = manifest(root)
    did = {(rule, action): count for rule, action, count in published.metrics["ledger"]}
    assert published.metrics["rows_in"] == 114_000
    assert published.tracks == 89_740
    assert did["no name: nobody could tell what is recommended", "removed"] == 1
    assert did["further row of an id (another genre of it, or a repeat)", "joined"] == 114_000 - 89_740 - 1
    assert published.metrics["explained_variance"] >= 0.9199
    assert published.coverage["year"] == 0
    assert published.coverage["genre"] == 1
    assert len(published.genres) == 114
    Model.load(root, published.version)
