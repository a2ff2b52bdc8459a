"""What is asked and answered about webhooks: the field `webhook` of a request, endpoints, deliveries."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from producer import deliveries, keys
from producer.addresses import LONGEST_URL
from producer.deliveries import Delivery
from producer.endpoints import Endpoint
from producer.playlists.shapes import DoctorQuery, PlaylistQuery
from producer.schema import Message, Query
from producer.webhooks import EVENTS, Webhook

Event = Literal["job.succeeded", "job.failed", "job.canceled", "batch.completed"]
assert get_args(Event) == EVENTS  # a type has to spell them out

State = Literal["pending", "delivered", "dead"]

Address = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_URL,
        description="https, of the public Internet, on a port that the operator allows (443 and 8443).",
    ),
]
Events = Annotated[
    list[Event], Field(min_length=1, max_length=len(EVENTS), description="What to be told of; all of it if left out.")
]
_INCLUDE_RESULT = Field(False, description="Send the result of a job along, if it is up to 20 kB long.")
_DESCRIPTION = Field("", max_length=200, description="Yours.")


def _moment(text: str) -> str:
    deliveries.moment(text)
    return text


Moment = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|[+-][0-9]{2}:[0-9]{2})$",
        description="ISO 8601, with its zone: 2026-11-21T18:00:00Z.",
    ),
    AfterValidator(_moment),
]


class WantedWebhook(Message):
    """Where a request wants to be told of its end."""

    url: Address
    events: Events | None = None
    include_result: bool = _INCLUDE_RESULT

    @property
    def webhook(self) -> Webhook:
        """It, as the queue takes it."""
        return Webhook(self.url, tuple(self.events or EVENTS), self.include_result)


class Submission(Query):
    """A request for recommendations, and where to tell of its end."""

    # Left out of what is dumped: the worker answers the query, and is told nothing of where to.
    webhook: WantedWebhook | None = Field(None, exclude=True, description="Where to tell of the end of the job.")


class PlaylistSubmission(PlaylistQuery):
    """A request for a playlist, and where to tell of its end."""

    webhook: WantedWebhook | None = Field(None, exclude=True, description="Where to tell of the end of the job.")


class DoctorSubmission(DoctorQuery):
    """A playlist to look at, and where to tell of the end of that."""

    webhook: WantedWebhook | None = Field(None, exclude=True, description="Where to tell of the end of the job.")


class EndpointBody(Message):
    """An endpoint to register."""

    url: Address
    events: Events | None = None
    include_result: bool = _INCLUDE_RESULT
    description: str = _DESCRIPTION


class EndpointChanges(Message):
    """What to change of an endpoint; what is left out stays as it is."""

    url: Address | None = None
    events: Events | None = None
    include_result: bool | None = None
    description: str | None = Field(None, max_length=200)
    enabled: bool | None = Field(None, description="true: on again, and what it failed before is forgotten.")


class Rotation(Message):
    """How to change a secret."""

    overlap_s: int = Field(
        keys.WEBHOOK_OVERLAP_S,
        ge=0,
        le=7 * 86_400,
        description="For so many seconds webhooks are signed with the one before, too.",
    )


class Span(Message):
    """Which deliveries to replay: those made between two times."""

    since: Moment
    until: Moment | None = Field(None, description="Until now if left out.")
    status: list[Literal["delivered", "dead"]] = Field(
        ["dead"], min_length=1, max_length=2, description="Dead ones, unless it says otherwise."
    )


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class EndpointLinks(_Shown):
    """Where to ask on. All but the first two are asked with POST."""

    self: str
    deliveries: str
    rotate_secret: str
    test: str
    replay: str


class WebhookEndpoint(_Shown):
    """A registered endpoint; times are ISO 8601 in UTC."""

    id: str
    url: str
    events: list[Event]
    include_result: bool
    description: str
    enabled: bool
    created_at: str
    failing_since: str | None = Field(description="Of the first failure after the last success.")
    disabled_at: str | None
    disabled_reason: str | None = Field(description="Why it is off: its owner's wish, or what its receiver did.")
    old_secret_until: str | None = Field(description="Until when webhooks are signed with the secret before, too.")
    links: EndpointLinks

    @classmethod
    def of(cls, endpoint: Endpoint, **more: Any) -> Any:
        """Return how an endpoint is shown."""
        path = f"/v1/webhook-endpoints/{endpoint.id}"
        links = {name: f"{path}/{name.replace('_', '-')}" for name in EndpointLinks.model_fields} | {"self": path}
        return cls.model_validate(asdict(endpoint) | {"events": list(endpoint.events), "links": links} | more)


class WebhookEndpointWithSecret(WebhookEndpoint):
    """An endpoint whose secret is new. No other answer shows it."""

    secret: str = Field(description="whsec_ and base64: what webhooks to this endpoint are signed with.")


class WebhookEndpoints(_Shown):
    """A caller's endpoints, the oldest first."""

    endpoints: list[WebhookEndpoint]

    @classmethod
    def of(cls, found: list[Endpoint]) -> WebhookEndpoints:
        """Return how they are shown."""
        return cls(endpoints=[WebhookEndpoint.of(endpoint) for endpoint in found])


class WebhookTry(_Shown):
    """What came of a try."""

    number: int = Field(description="From 1.")
    at: str
    status: int | None = Field(description="Of HTTP; null: there was no answer.")
    error: str = Field(description="Why it counts as a failure; empty: it does not.")
    ms: float
    answer: str = Field(description="The first kilobyte of it.")
    next_at: str | None = Field(description="When the next try was due.")


class DeliveryLinks(_Shown):
    """Where to ask on; `replay` with POST."""

    self: str
    replay: str


class WebhookDelivery(_Shown):
    """A webhook that is, or was, to be delivered. Its id is the header `webhook-id`; times are ISO 8601 in UTC."""

    id: str
    endpoint: str | None = Field(description="The endpoint's id; null: the address stood in a request.")
    host: str
    event: str
    status: State = Field(description="dead: given up. It can be replayed.")
    created_at: str
    ended_at: str | None
    next_at: str | None = Field(description="When the next try is due.")
    why: str | None = Field(description="Why it was given up.")
    tried: int = Field(description="How often, so far.")
    last: WebhookTry | None = Field(description="What came of the last try.")
    links: DeliveryLinks

    @classmethod
    def of(cls, delivery: Delivery) -> Any:
        """Return how a delivery is shown."""
        path = f"/v1/webhook-deliveries/{delivery.id}"
        tries = [asdict(one) for one in delivery.tries]
        more = {
            "status": delivery.state,
            "tried": delivery.count,
            "tries": tries,
            "last": tries[-1] if tries else None,
            "payload": json.loads(delivery.body),
            "links": {"self": path, "replay": f"{path}/replay"},
        }
        return cls.model_validate(asdict(delivery) | more)


class WholeWebhookDelivery(WebhookDelivery):
    """A delivery with what is sent, and what came of its tries."""

    tries: list[WebhookTry] = Field(description=f"The last {keys.WEBHOOK_TRIES_KEPT}.")
    payload: dict[str, Any] = Field(description="The body: type, timestamp, data.")


class WebhookDeliveries(_Shown):
    """Deliveries, the newest first."""

    deliveries: list[WebhookDelivery]
    next: int | None = Field(description="Give it as `after` for the next page; null: this is the last.")


class Replayed(_Shown):
    """How many deliveries will be tried again."""

    replayed: int


class WebhookSecret(_Shown):
    """What webhooks to the addresses in your requests are signed with."""

    secret: str = Field(description="whsec_ and base64.")
