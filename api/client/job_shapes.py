"""Jobs, batches and webhooks, as types."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from .playlist_shapes import Diagnosis, Playlist
from .shapes import Result

JobType = Literal["recommendation", "playlist", "diagnosis"]
JobStatus = Literal["queued", "running", "succeeded", "failed", "canceled"]
BatchStatus = Literal["queued", "running", "succeeded", "canceled"]


class Failure(TypedDict):
    """Why a job failed. pointer: JSON pointer to the field at fault, or empty."""

    code: str
    detail: str
    pointer: str


class Progress(TypedDict):
    """How far a worker is with a job. fraction: of the work that lies behind, 0–1."""

    stage: str
    fraction: float


class Job(TypedDict):
    """A job. Times are ISO 8601 in UTC."""

    id: str
    type: JobType
    status: JobStatus
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    links: dict[str, str]
    metadata: dict[str, str]
    progress: Progress | None  # while a playlist or a diagnosis is running
    result: Result | Playlist | Diagnosis | None
    error: Failure | None
    warnings: list[str]


class Counts(TypedDict):
    """How many items of a batch are where."""

    total: int
    succeeded: int
    failed: int
    canceled: int
    waiting: int


class Batch(TypedDict):
    """Many requests in one."""

    id: str
    type: str
    status: BatchStatus
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    counts: Counts
    links: dict[str, str]
    metadata: dict[str, str]
    warnings: list[str]


class Line(TypedDict):
    """What became of one item of a batch. index: its place among the items, from 0."""

    index: int
    custom_id: str
    status: Literal["succeeded", "failed", "canceled"]
    result: NotRequired[Result | Playlist]
    error: NotRequired[Failure]


WebhookEventName = Literal["job.succeeded", "job.failed", "job.canceled", "batch.completed"]
DeliveryState = Literal["pending", "delivered", "dead"]


class Webhook(TypedDict):
    """Where one request wants to be told of its end. events: of what; include_result: send the result along."""

    url: str
    events: NotRequired[list[WebhookEventName]]
    include_result: NotRequired[bool]


class Endpoint(TypedDict):
    """Where you are told of all that ends. failing_since: of the first failure after the last success."""

    id: str
    url: str
    events: list[WebhookEventName]
    include_result: bool
    description: str
    enabled: bool
    created_at: str
    failing_since: str | None
    disabled_at: str | None
    disabled_reason: str | None
    old_secret_until: str | None  # webhooks are signed with the one before, too
    links: dict[str, str]


class NewEndpoint(Endpoint):
    """An endpoint whose secret is new; nothing else shows it."""

    secret: str


class Try(TypedDict):
    """What came of a try. status None: no answer; error empty: it went well; answer: its first kilobyte."""

    number: int
    at: str
    status: int | None
    error: str
    ms: float
    answer: str
    next_at: str | None


class Delivery(TypedDict):
    """A webhook on its way. id: its `webhook-id`; endpoint None: its address stood in a request; tried: how often."""

    id: str
    endpoint: str | None
    host: str
    event: str
    status: DeliveryState
    created_at: str
    ended_at: str | None
    next_at: str | None
    why: str | None  # it was given up
    tried: int
    last: Try | None
    links: dict[str, str]


class WholeDelivery(Delivery):
    """A delivery with its last tries, and what is sent."""

    tries: list[Try]
    payload: dict[str, Any]


class FieldError(TypedDict):
    """A wrong field. pointer: JSON pointer (RFC 6901) to it."""

    pointer: str
    detail: str
