"""The contract and the service are one: its routes, its schemas, and what it does when asked all that these allow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

import settings as segue_settings
from api.app import create_app
from api.batches import BatchBody
from producer.playlists.shapes import PlaylistQuery
from producer.schema import Query
from tests import services
from tests.services import Service, wait_for

OUTSIDE = {
    ("/", "get"),
    ("/page/{name}", "get"),
    ("/docs", "get"),
    ("/docs/{name}", "get"),
    ("/openapi.json", "get"),
    ("/livez", "get"),
    ("/readyz", "get"),
    ("/health", "get"),
    ("/recommend", "post"),
    ("/api/popular-examples", "get"),
}
"""Routes that the contract leaves out: pages, operators' probes, and the plain endpoints with shapes of their own."""


@pytest.fixture(scope="module")
def app(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder = tmp_path_factory.mktemp("no-models")
    return create_app(segue_settings.Settings(redis_url=redis_url, artifacts_dir=folder))


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    client: FlaskClient = app.test_client()
    found: dict[str, Any] = client.get("/openapi.json").get_json()
    return found


def test_every_route_is_in_the_contract_or_known_to_be_outside(app: Flask, document: dict[str, Any]) -> None:
    served = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert described | OUTSIDE == served
    assert not described & OUTSIDE


def test_the_document_is_openapi_3_1_and_names_what_it_refers_to(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()
    text = json.dumps(document)
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert reference in document["components"]["schemas"], reference
    for name, schema in document["components"]["schemas"].items():
        jsonschema_rs.meta.validate(schema | {"$schema": "https://json-schema.org/draft/2020-12/schema"})
        assert name
    assert "ValidationErrorModel" not in json.dumps(document["paths"]), "the framework's own shape of errors"


def test_every_operation_says_what_it_is_for_and_how_it_may_fail(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (path, method)
            assert operation["description"], (path, method)
            statuses = set(operation["responses"])
            assert {"401", "403", "422", "429", "503"} <= statuses, (path, method)
            assert ("404" in statuses) >= ("{" in path), (path, method)
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == ["application/problem+json"], (path, status)


def test_the_body_of_a_batch_is_described_in_both_forms(document: dict[str, Any]) -> None:
    body = document["paths"]["/v1/batches"]["post"]["requestBody"]
    assert body["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/BatchBody"}
    assert body["content"]["application/jsonl"]["schema"]["type"] == "string"
    assert body["required"]
    shapes = document["components"]["schemas"]
    assert shapes["BatchBody"]["properties"]["items"]["maxItems"] == 10_000
    assert set(Query.model_fields) | {"custom_id", "type"} == set(shapes["Item"]["properties"])
    assert set(PlaylistQuery.model_fields) | {"custom_id", "type"} == set(shapes["PlaylistItem"]["properties"])
    assert set(BatchBody.model_fields) == set(shapes["BatchBody"]["properties"])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("contract")
    with (
        services.service(folder, models_dir, QUEUE_LIMIT="1000000", WEBHOOK_ALLOW_NETWORKS="127.0.0.0/8") as service,
        service.worker(),
    ):
        wait_for(service.is_ready, "a worker")
        yield service


@pytest.fixture(scope="module")
def known(service: Service) -> dict[str, list[str]]:
    """Values of path parameters that there are, beside those that are made up."""
    client = service.client
    track = client.get("/v1/popular?limit=1").json["tracks"][0]["track_id"]
    query = {"seeds": [{"track_id": track}]}
    jobs = [client.post(path, query).json["id"] for path in ("/v1/playlists", "/v1/recommendations")]
    batches = [client.post("/v1/batches", {"items": [query]}).json["id"] for _ in range(2)]
    endpoint = client.post("/v1/webhook-endpoints", {"url": "http://127.0.0.1:9/"}).json
    delivery = client.post(f"{endpoint['links']['test']}", {}).json["id"]
    webhooks = {"endpoint_id": [endpoint["id"]], "delivery_id": [delivery]}
    return {"track_id": [track], "job_id": jobs, "batch_id": batches, **webhooks}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["allowed", "forbidden"])
def test_it_does_what_the_contract_says_whatever_it_is_asked(
    service: Service, known: dict[str, list[str]], mode: GenerationMode, request: pytest.FixtureRequest
) -> None:
    """All of schemathesis's checks. `--contract-cases N` sends as many of each operation."""
    cases = request.config.getoption("--contract-cases")
    schema = schemathesis.openapi.from_url(f"{service.client.address}/openapi.json")
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        if mode is GenerationMode.POSITIVE or operation.body or operation.query or operation.headers:
            _ask(operation, mode, known, cases)
    log = (service.folder / "api.log").read_text()
    assert "Traceback" not in log
    assert not re.search(r" 50[0124] \d", log)


def _ask(operation: Any, mode: GenerationMode, known: dict[str, list[str]], cases: int) -> None:
    # Rules between fields, and what the model knows, are beyond JSON Schema; a batch's items are for the worker.
    unjudged = [positive_data_acceptance] if operation.body else []
    if operation.path == "/v1/batches":
        unjudged.append(negative_data_rejection)

    @settings(
        max_examples=cases, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy(generation_mode=mode), real=st.booleans())
    def ask(case: Any, real: bool) -> None:
        for name in case.path_parameters or {}:
            if real or mode is GenerationMode.NEGATIVE:
                case.path_parameters[name] = known[name][0]
        if mode is GenerationMode.POSITIVE:  # wait for nothing: the time is for other cases
            case.query = {name: value for name, value in (case.query or {}).items() if name != "wait"}
        case.headers = {name: value for name, value in (case.headers or {}).items() if name != "Prefer"}
        case.call_and_validate(timeout=20, excluded_checks=unjudged)

    ask()
