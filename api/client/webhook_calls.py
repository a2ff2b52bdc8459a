"""The calls about webhooks: endpoints, their secrets, deliveries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from .asking import Asking, id_of, post
from .job_shapes import Delivery, DeliveryState, Endpoint, NewEndpoint, WebhookEventName, WholeDelivery
from .steps import Emit, Feed, Many, One, Send, Steps

_ENDPOINTS, _DELIVERIES = "/v1/webhook-endpoints", "/v1/webhook-deliveries"

DAY_S = 86_400
"""How long webhooks are signed with the secret before, too, unless you say otherwise."""


class WebhookCalls(Asking):
    """What both clients can do about webhooks. What makes something new is sent once, and not again on its own."""

    @One
    def add_endpoint(
        self,
        url: str,
        *,
        events: Sequence[WebhookEventName] | None = None,
        include_result: bool = False,
        description: str = "",
    ) -> Steps[NewEndpoint]:
        """Be told at `url` of all jobs and batches of this API key. → the endpoint, with its secret: keep that.

        events: of what to be told; None: of all. include_result: send results of up to 20 kB along.
        """
        body = {"url": url, "include_result": include_result, "description": description}
        return self._read(NewEndpoint, post(_ENDPOINTS, body | _given(events=events and list(events)), once=True))

    @One
    def endpoints(self) -> Steps[list[Endpoint]]:
        """Return your endpoints, the oldest first."""
        found: dict[str, list[Endpoint]] = yield from self._get(dict, _ENDPOINTS)
        return found["endpoints"]

    @One
    def endpoint(self, endpoint: Endpoint | str) -> Steps[Endpoint]:
        """Return how an endpoint stands: whether it is on, and since when it fails, if it does."""
        return self._get(Endpoint, f"{_ENDPOINTS}/{id_of(endpoint)}")

    @One
    def change_endpoint(
        self,
        endpoint: Endpoint | str,
        *,
        url: str | None = None,
        events: Sequence[WebhookEventName] | None = None,
        include_result: bool | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Steps[Endpoint]:
        """Change what is given of an endpoint. enabled: switch it off, or on again. → the endpoint."""
        changes = _given(
            url=url,
            events=events and list(events),
            include_result=include_result,
            description=description,
            enabled=enabled,
        )
        return self._read(Endpoint, post(f"{_ENDPOINTS}/{id_of(endpoint)}", changes, method="PATCH"))

    @One
    def delete_endpoint(self, endpoint: Endpoint | str) -> Steps[None]:
        """Delete an endpoint with its deliveries; what waits is not sent."""
        yield from self._ask(Send("DELETE", f"{_ENDPOINTS}/{id_of(endpoint)}", once=True))

    @One
    def rotate_endpoint(self, endpoint: Endpoint | str, *, overlap_s: int = DAY_S) -> Steps[NewEndpoint]:
        """Make a new secret. overlap_s: how long the one before is used as well. → the endpoint, with the new one."""
        path = f"{_ENDPOINTS}/{id_of(endpoint)}/rotate-secret"
        return self._read(NewEndpoint, post(path, {"overlap_s": overlap_s}, once=True))

    @One
    def ping(self, endpoint: Endpoint | str) -> Steps[WholeDelivery]:
        """Send an endpoint `endpoint.ping`, to try it out. → the delivery; ask for it again to see what came of it."""
        return self._read(WholeDelivery, post(f"{_ENDPOINTS}/{id_of(endpoint)}/test", {}))

    @Many
    def deliveries(
        self, endpoint: Endpoint | str | None = None, *, status: DeliveryState | None = None
    ) -> Feed[Delivery]:
        """Yield deliveries to an endpoint, or those to the addresses in your requests, the newest first."""
        path = _DELIVERIES if endpoint is None else f"{_ENDPOINTS}/{id_of(endpoint)}/deliveries"
        after: int | None = 0
        while after is not None:
            page: dict[str, Any] = yield from self._get(dict, path, status=status, after=after, limit=100)
            for delivery in page["deliveries"]:
                yield Emit(delivery)
            after = page["next"]

    @One
    def delivery(self, delivery: Delivery | str) -> Steps[WholeDelivery]:
        """Return a delivery: what is sent, and what came of each try."""
        return self._get(WholeDelivery, f"{_DELIVERIES}/{id_of(delivery)}")

    @One
    def replay(self, delivery: Delivery | str) -> Steps[WholeDelivery]:
        """Send a delivery that is over once more, under its id. → the delivery."""
        return self._read(WholeDelivery, post(f"{_DELIVERIES}/{id_of(delivery)}/replay", {}))

    @One
    def replay_between(
        self,
        endpoint: Endpoint | str,
        since: datetime,
        until: datetime | None = None,
        *,
        status: Sequence[DeliveryState] = ("dead",),
    ) -> Steps[int]:
        """Send an endpoint's deliveries again that were made between two times and came to `status`. → how many.

        since, until: with a time zone. Raises: ValueError for times without.
        """
        times = _given(since=_text(since), until=until and _text(until))
        send = post(f"{_ENDPOINTS}/{id_of(endpoint)}/replay", times | {"status": list(status)})
        found: Mapping[str, int] = yield from self._read(dict, send)
        return found["replayed"]

    @One
    def webhook_secret(self) -> Steps[str]:
        """Return the secret that webhooks to the addresses in your requests are signed with."""
        found: Mapping[str, str] = yield from self._get(dict, "/v1/webhook-secret")
        return found["secret"]

    @One
    def rotate_webhook_secret(self, *, overlap_s: int = DAY_S) -> Steps[str]:
        """Make a new one of those. overlap_s: as for `rotate_endpoint`. → the new one."""
        send = post("/v1/webhook-secret/rotate", {"overlap_s": overlap_s}, once=True)
        found: Mapping[str, str] = yield from self._read(dict, send)
        return found["secret"]


def _given(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; datetime.now(UTC) has one")
    return moment.isoformat()
