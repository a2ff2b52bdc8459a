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
from api import webhook_shapes
from api.client import AsyncClient, Client, shapes
from producer import jobs, public, schema
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
    page = "".join((pages / name).read_text(encoding="utf-8") for name in ("client.md", "webhooks.md"))
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
    (shapes.Filters, schema.Filters),
    (shapes.Track, schema.Track),
    (shapes.RankedTrack, schema.RankedTrack),
    (shapes.Reason, schema.Reason),
    (shapes.Alternative, schema.Alternative),
    (shapes.SeedMatch, schema.SeedMatch),
    (shapes.Attempt, schema.Attempt),
    (shapes.Result, schema.Result),
    (shapes.Failure, jobs.JobError),
    (shapes.Job, jobs.Job),
    (shapes.Counts, jobs.BatchCounts),
    (shapes.Batch, jobs.Batch),
    (shapes.Webhook, webhook_shapes.WantedWebhook),
    (shapes.Endpoint, webhook_shapes.WebhookEndpoint),
    (shapes.NewEndpoint, webhook_shapes.WebhookEndpointWithSecret),
    (shapes.Try, webhook_shapes.WebhookTry),
    (shapes.Delivery, webhook_shapes.WebhookDelivery),
    (shapes.WholeDelivery, webhook_shapes.WholeWebhookDelivery),
    (shapes.PopularList, public.PopularList),
    (shapes.GenreCount, public.GenreCount),
    (shapes.GenreList, public.GenreList),
    (shapes.ModelInfo, public.ModelInfo),
]


@pytest.mark.parametrize(("ours", "theirs"), SHAPES, ids=[ours.__name__ for ours, _ in SHAPES])
def test_the_shapes_are_the_services(ours: Any, theirs: Any) -> None:
    assert set(get_type_hints(ours)) == set(theirs.model_fields)


def test_options_are_the_services() -> None:
    assert set(get_type_hints(shapes.Options)) | {"seeds"} == set(schema.Query.model_fields) | {"deadline_s"}


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
