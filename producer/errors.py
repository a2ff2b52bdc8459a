"""What can go wrong between a client and its answer.

ProducerError
├── InvalidRequest    the request itself is wrong; the same request will fail again
├── QueueFull         too many jobs wait, or Redis has no room; try again later
├── RateLimited       this caller asks too often; try again after `retry_after_s`
├── UnsafeUrl         webhooks are not sent to this address
├── KeyReused         another request came under the same Idempotency-Key
├── NotFound          no such job, list or genre
├── Expired           there was such a job, and its result is no longer kept
├── NotReady          no worker has published a model yet
├── JobFailed         the worker tried and could not answer
├── BadMessage        bytes in Redis that no release of Segue wrote
└── Unavailable       Redis does not answer
"""

from __future__ import annotations

from typing import ClassVar


class ProducerError(Exception):
    """Root of the message contract's errors. `code` is stable: the same in answers, logs and documentation."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False


class InvalidRequest(ProducerError):
    """The request is wrong in a way that its shape does not show; the same one will fail again."""

    code = "invalid-request"


class QueueFull(ProducerError):
    """The queue holds as many jobs as it may, or Redis as many bytes. waiting: jobs in the queue."""

    code = "queue-full"
    retryable = True

    def __init__(self, message: str, waiting: int) -> None:
        super().__init__(message)
        self.waiting = waiting


class RateLimited(ProducerError):
    """The caller asks more often than it may. retry_after_s: when the next request will be taken."""

    code = "rate-limited"
    retryable = True

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class KeyReused(ProducerError):
    """The Idempotency-Key was used for another request already."""

    code = "idempotency-key-reused"


class UnsafeUrl(ProducerError):
    """Webhooks are not sent to this address. reason: which rule says so, for the log and nobody else."""

    code = "unsafe-url"

    def __init__(self, reason: str) -> None:
        # One text for all reasons: else callers could learn from us what lives in our network.
        super().__init__(
            "webhooks go to https addresses of the public Internet, on the ports that the operator allows; "
            "this one cannot be used"
        )
        self.reason = reason


class NotFound(ProducerError):
    """There is no such thing."""

    code = "not-found"


class Expired(ProducerError):
    """There was such a job; its result is no longer kept."""

    code = "expired"


class NotReady(ProducerError):
    """No worker has published a model yet."""

    code = "not-ready"
    retryable = True


class BadMessage(ProducerError):
    """Bytes that are no message of Segue's: a pickle, another format version, or cut off."""

    code = "bad-message"


class Unavailable(ProducerError):
    """Redis does not answer."""

    code = "redis-unavailable"
    retryable = True
