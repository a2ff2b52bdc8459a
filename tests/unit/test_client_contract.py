"""What the Python client is: the same calls twice, types that are the service's, a folder that stands alone."""

from __future__ import annotations

import inspect
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import api.client as segue
import settings
from api import batches, webhook_shapes
from api import map as map_api
from api.client import AsyncClient, Client, catalogue_shapes, job_shapes, playlist_shapes, shapes
from producer import charts, jobs, public, schema
from producer.playlists import shapes as playlists
from tests.fakes.segue_server import job, result, says, serving


@pytest.mark.parametrize("wrong", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://x?y=1", "localhost"])
def test_an_address_that_is_none_is_refused_at_once(wrong: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="base_url"):
            kind(wrong)


def test_both_clients_have_the_same_calls_and_explain_them() -> None:
    calls = {name for name in dir(Client) if not name.startswith("_")} - {"close"}
    assert calls == {name for name in dir(AsyncClient) if not name.startswith("_")} - {"aclose"}
    for name in calls:
        assert getattr(Client, name).__doc__, name
    with Client("http://127.0.0.1:9") as client:
        assert list(inspect.signature(client.popular).parameters) == ["genre", "limit"]
        assert client.popular.__doc__ == Client.popular.__doc__


def test_the_page_names_every_call_and_every_error() -> None:
    pages = settings.ROOT / "docs" / "howto"
    page = "".join((pages / name).read_text(encoding="utf-8") for name in ("client.md", "playlists.md", "webhooks.md"))
    calls = {name for name in dir(Client) if not name.startswith("_")} - {"close", "job", "batch_status"}
    assert {name for name in calls if f"segue.{name}(" not in page} == set()
    errors = {name for name in segue.__all__ if getattr(segue, name) in _errors(segue.SegueError)}
    assert {name for name in errors if f"`{name}`" not in page or name not in str(segue.errors.__doc__)} == set()


def _errors(kind: type[Exception]) -> set[object]:
    """Return an error and all that are of its kind."""
    return {kind}.union(*(_errors(one) for one in kind.__subclasses__()))


def test_errors_can_be_sent_to_another_process() -> None:
    error = segue.InvalidRequest("so it is", code="invalid-request", status=422, body={"errors": []})
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.status, again.body) == (type(error), str(error), 422, {"errors": []})


SHAPES = [
    (shapes.Features, schema.Features),
    (shapes.Seed, schema.Seed),
    (catalogue_shapes.Filters, schema.Filters),
    (catalogue_shapes.Track, schema.Track),
    (shapes.RankedTrack, schema.RankedTrack),
    (shapes.Reason, schema.Reason),
    (shapes.Alternative, schema.Alternative),
    (shapes.SeedMatch, schema.SeedMatch),
    (shapes.Attempt, schema.Attempt),
    (shapes.Result, schema.Result),
    (job_shapes.Failure, jobs.JobError),
    (job_shapes.Job, jobs.Job),
    (job_shapes.Counts, jobs.BatchCounts),
    (job_shapes.Batch, jobs.Batch),
    (job_shapes.Webhook, webhook_shapes.WantedWebhook),
    (job_shapes.Endpoint, webhook_shapes.WebhookEndpoint),
    (job_shapes.NewEndpoint, webhook_shapes.WebhookEndpointWithSecret),
    (job_shapes.Try, webhook_shapes.WebhookTry),
    (job_shapes.Delivery, webhook_shapes.WebhookDelivery),
    (job_shapes.WholeDelivery, webhook_shapes.WholeWebhookDelivery),
    (job_shapes.Progress, jobs.Progress),
    (playlist_shapes.Length, playlists.Length),
    (playlist_shapes.TransitionPart, playlists.TransitionPart),
    (playlist_shapes.Transition, playlists.Transition),
    (playlist_shapes.PlaylistTrack, playlists.PlaylistTrack),
    (playlist_shapes.Playlist, playlists.Playlist),
    (playlist_shapes.Misfit, playlists.Misfit),
    (playlist_shapes.Clash, playlists.Clash),
    (playlist_shapes.Bridge, playlists.Bridge),
    (playlist_shapes.Diagnosis, playlists.Diagnosis),
    (catalogue_shapes.PopularList, public.PopularList),
    (catalogue_shapes.GenreCount, public.GenreCount),
    (catalogue_shapes.GenreList, public.GenreList),
    (catalogue_shapes.ModelInfo, public.ModelInfo),
    (catalogue_shapes.Sound, schema.Sound),
    (catalogue_shapes.TrackDetail, schema.TrackDetail),
    (catalogue_shapes.Map, charts.MapInfo),
    (catalogue_shapes.MapAxis, charts.MapAxis),
    (catalogue_shapes.MapLabel, charts.MapLabel),
    (catalogue_shapes.TracksOnMap, map_api.TracksOnMap),
]


@pytest.mark.parametrize(("ours", "theirs"), SHAPES, ids=[ours.__name__ for ours, _ in SHAPES])
def test_the_shapes_are_the_services(ours: Any, theirs: Any) -> None:
    assert set(get_type_hints(ours)) == set(theirs.model_fields)


def test_options_are_the_services() -> None:
    assert set(get_type_hints(shapes.Options)) | {"seeds"} == set(schema.Query.model_fields)
    options = set(get_type_hints(playlist_shapes.PlaylistOptions))
    assert options | {"seeds"} == set(playlists.PlaylistQuery.model_fields)
    assert set(get_type_hints(playlist_shapes.DoctorOptions)) | {"playlist"} == set(playlists.DoctorQuery.model_fields)
    assert set(get_type_hints(shapes.Item)) == set(batches.Item.model_fields)
    assert set(get_type_hints(playlist_shapes.PlaylistItem)) == set(batches.PlaylistItem.model_fields)


def test_the_client_works_wherever_it_is_copied_to(tmp_path: Path) -> None:
    shutil.copytree(settings.ROOT / "api" / "client", tmp_path / "music" / "segue")
    program = (
        "import sys; from music.segue import Client\n"
        "with Client(sys.argv[1]) as c: print(c.recommend('A song')['tracks'])\n"
        "assert not {'api', 'producer', 'settings', 'pydantic'} & set(sys.modules), sys.modules"
    )
    with serving() as fake:
        fake.will(says(job(result=result("Spider"))))
        command = [sys.executable, "-c", program, fake.address]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("[{'name': 'Spider'}]\n", "")
