"""Webhooks: registered endpoints, their secrets, and what became of what was sent."""

from __future__ import annotations

import time
from http import HTTPStatus

from flask import Response
from flask_openapi3.blueprint import APIBlueprint
from flask_openapi3.models.tag import Tag
from pydantic import Field

from api.auth import caller
from api.contract import problems
from api.service import Parameters, connection, shown
from api.webhook_checks import policy, unsafe
from api.webhook_shapes import (
    EndpointBody,
    EndpointChanges,
    Replayed,
    Rotation,
    Span,
    State,
    WebhookDeliveries,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEndpoints,
    WebhookEndpointWithSecret,
    WebhookSecret,
    WholeWebhookDelivery,
)
from producer import deliveries, endpoints
from producer.errors import UnsafeUrl
from producer.webhooks import EVENTS

webhooks = APIBlueprint("webhooks", __name__, url_prefix="/v1")
_TAG = Tag(name="Webhooks", description="Be told of what has ended, after the Standard Webhooks specification.")


class EndpointPath(Parameters):
    """The id of an endpoint."""

    endpoint_id: str = Field(max_length=100)


class DeliveryPath(Parameters):
    """The id of a delivery."""

    delivery_id: str = Field(max_length=100)


class PageParameters(Parameters):
    """Which deliveries."""

    status: State | None = Field(None, description="Only those.")
    after: int = Field(0, ge=0, le=1_000_000, description="What the page before gave as `next`.")
    limit: int = Field(50, ge=1, le=100)


@webhooks.post(
    "/webhook-endpoints",
    summary="Register an endpoint",
    tags=[_TAG],
    responses={201: WebhookEndpointWithSecret, **problems(body=True)},
)
def register(body: EndpointBody) -> Response:
    """Be told of all your jobs and batches at an address. The answer shows the endpoint's secret, this once."""
    try:
        endpoint, secret = endpoints.create(
            connection(),
            caller().id,
            body.url,
            policy(),
            events=body.events or EVENTS,
            include_result=body.include_result,
            description=body.description,
        )
    except UnsafeUrl as error:
        return unsafe(error, "/url")
    response = shown(WebhookEndpointWithSecret.of(endpoint, secret=secret))
    response.status_code = HTTPStatus.CREATED
    response.headers["Location"] = WebhookEndpoint.of(endpoint).links.self
    return response


@webhooks.get(
    "/webhook-endpoints",
    summary="List your endpoints",
    tags=[_TAG],
    responses={200: WebhookEndpoints, **problems()},
)
def listed() -> Response:
    """Return your endpoints, the oldest first; 20 at most."""
    return shown(WebhookEndpoints.of(endpoints.of_caller(connection(), caller().id)))


@webhooks.get(
    "/webhook-endpoints/<endpoint_id>",
    summary="Look at an endpoint",
    tags=[_TAG],
    responses={200: WebhookEndpoint, **problems(404)},
)
def endpoint(path: EndpointPath) -> Response:
    """Return an endpoint, without its secret."""
    return shown(WebhookEndpoint.of(endpoints.get(connection(), caller().id, path.endpoint_id)))


@webhooks.patch(
    "/webhook-endpoints/<endpoint_id>",
    summary="Change an endpoint",
    tags=[_TAG],
    responses={200: WebhookEndpoint, **problems(404, body=True)},
)
def change(path: EndpointPath, body: EndpointChanges) -> Response:
    """Change what is given, leave the rest. What waits for the endpoint goes to its new address."""
    try:
        changed = endpoints.change(
            connection(), caller().id, path.endpoint_id, policy(), **body.model_dump(exclude_none=True)
        )
    except UnsafeUrl as error:
        return unsafe(error, "/url")
    return shown(WebhookEndpoint.of(changed))


@webhooks.delete(
    "/webhook-endpoints/<endpoint_id>",
    summary="Delete an endpoint",
    tags=[_TAG],
    responses={204: None, **problems(404, 408, 413)},
)
def delete(path: EndpointPath) -> Response:
    """Delete an endpoint with its deliveries; what waits is not sent."""
    endpoints.delete(connection(), caller().id, path.endpoint_id)
    return Response(status=HTTPStatus.NO_CONTENT)


@webhooks.post(
    "/webhook-endpoints/<endpoint_id>/rotate-secret",
    summary="Change an endpoint's secret",
    tags=[_TAG],
    responses={200: WebhookEndpointWithSecret, **problems(404, body=True)},
)
def rotate(path: EndpointPath, body: Rotation) -> Response:
    """Make a new secret, and show it, this once. For a day webhooks are signed with the one before, too."""
    changed, secret = endpoints.rotate(connection(), caller().id, path.endpoint_id, body.overlap_s)
    return shown(WebhookEndpointWithSecret.of(changed, secret=secret))


@webhooks.post(
    "/webhook-endpoints/<endpoint_id>/test",
    summary="Test an endpoint",
    tags=[_TAG],
    responses={202: WholeWebhookDelivery, **problems(404, body=True)},
)
def test(path: EndpointPath) -> Response:
    """Send an endpoint `endpoint.ping`, though it may be off. The delivery tells what came of it."""
    return _later(endpoints.ping(connection(), caller().id, path.endpoint_id))


@webhooks.get(
    "/webhook-endpoints/<endpoint_id>/deliveries",
    summary="What became of an endpoint's webhooks",
    tags=[_TAG],
    responses={200: WebhookDeliveries, **problems(404)},
)
def delivered(path: EndpointPath, query: PageParameters) -> Response:
    """Return deliveries to an endpoint, the newest first."""
    return _page(endpoints.get(connection(), caller().id, path.endpoint_id).id, query)


@webhooks.post(
    "/webhook-endpoints/<endpoint_id>/replay",
    summary="Replay an endpoint's webhooks",
    tags=[_TAG],
    responses={202: Replayed, **problems(404, body=True)},
)
def replay_between(path: EndpointPath, body: Span) -> Response:
    """Try again what was given up of the webhooks that were made between two times, under their ids."""
    found = endpoints.get(connection(), caller().id, path.endpoint_id)
    until = deliveries.moment(body.until) if body.until else time.time()
    count = deliveries.replay_between(connection(), found.id, deliveries.moment(body.since), until, set(body.status))
    response = shown(Replayed(replayed=count))
    response.status_code = HTTPStatus.ACCEPTED
    return response


@webhooks.get(
    "/webhook-deliveries",
    summary="What became of single requests' webhooks",
    tags=[_TAG],
    responses={200: WebhookDeliveries, **problems()},
)
def delivered_to_requests(query: PageParameters) -> Response:
    """Return deliveries to the addresses in your requests, the newest first."""
    return _page(deliveries.owner_of(caller().id), query)


@webhooks.get(
    "/webhook-deliveries/<delivery_id>",
    summary="Look at a delivery",
    tags=[_TAG],
    responses={200: WholeWebhookDelivery, **problems(404)},
)
def delivery(path: DeliveryPath) -> Response:
    """Return a delivery: what is sent, and what came of each try."""
    return shown(WholeWebhookDelivery.of(deliveries.get(connection(), caller().id, path.delivery_id)))


@webhooks.post(
    "/webhook-deliveries/<delivery_id>/replay",
    summary="Replay a delivery",
    tags=[_TAG],
    responses={202: WholeWebhookDelivery, **problems(404, body=True)},
)
def replay(path: DeliveryPath) -> Response:
    """Send a delivery that is over once more, under its id and on a new schedule. One that is not over goes on."""
    deliveries.replay(connection(), caller().id, path.delivery_id)
    return _later(path.delivery_id)


@webhooks.get(
    "/webhook-secret",
    summary="The secret of single requests' webhooks",
    tags=[_TAG],
    responses={200: WebhookSecret, **problems()},
)
def secret() -> Response:
    """Return what webhooks to the addresses in your requests are signed with; it is made when first asked for."""
    return shown(WebhookSecret(secret=endpoints.caller_secret(connection(), caller().id)))


@webhooks.post(
    "/webhook-secret/rotate",
    summary="Change the secret of single requests' webhooks",
    tags=[_TAG],
    responses={200: WebhookSecret, **problems(body=True)},
)
def rotate_secret(body: Rotation) -> Response:
    """Make a new one. For a day webhooks are signed with the one before, too."""
    return shown(
        WebhookSecret(secret=endpoints.rotate_caller_secret(connection(), caller().id, overlap_s=body.overlap_s))
    )


def _later(delivery_id: str) -> Response:
    found = WholeWebhookDelivery.of(deliveries.get(connection(), caller().id, delivery_id))
    response = shown(found)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = found.links.self
    return response


def _page(owner: str, query: PageParameters) -> Response:
    found, following = deliveries.page(connection(), owner, state=query.status, after=query.after, limit=query.limit)
    return shown(WebhookDeliveries(deliveries=[WebhookDelivery.of(one) for one in found], next=following))
