"""The service, asked over HTTP with the client that anybody may use."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from api import client
from api.client import Client
from api.client.steps import One, Send, Steps
from producer.cli.errors import Away, Busy, Failed, Gone, OtherBody, Refused, Wrong
from producer.cli.service import Fields, State, of_code, wrong_field

_ATTEMPTS, _RETRY_S = 4, 6.0
"""Who sits before a terminal wants to know soon; a batch waits for itself."""

_BUSY_S = 5.0
_LONGEST_S = 60.0


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the client's errors into the command line's."""
    try:
        yield
    except (client.QueueFull, client.RateLimited) as error:
        raise Busy(str(error), error.retry_after_s or _BUSY_S) from error
    except (client.Unavailable, client.NotFinished) as error:
        raise Away(str(error)) from error
    except client.InvalidRequest as error:
        if error.code == "idempotency-key-reused":
            raise OtherBody(str(error)) from error
        wrong = [wrong_field(field["detail"], field["pointer"]) for field in error.errors]
        raise Wrong("; ".join(wrong) or str(error)) from error
    except (client.NotFound, client.Expired) as error:
        raise Gone(str(error)) from error
    except (client.NotAllowed, client.ServiceError) as error:
        raise Refused(str(error)) from error
    except client.JobFailed as error:
        raise of_code(error.code, error.detail) from error
    except client.SegueError as error:
        raise Failed(str(error)) from error


class _Client(Client):
    """The client, with what operators ask."""

    @One
    def ready(self) -> Steps[dict[str, Any]]:
        """Return how many workers are alive and how many jobs wait. Asked once. Raises: Unavailable, also: none is."""
        return self._read(dict, Send("GET", "/readyz", once=True))


class Http:
    """The service over HTTP. url: where its API is; key: an API key, if it asks for one. Raises: Wrong."""

    def __init__(self, url: str, key: str | None) -> None:
        self._url, self._key = url, key
        self.again()

    @property
    def where(self) -> str:
        """The address of the API."""
        return f"the API at {self._url}"

    def again(self) -> None:
        """Make the client anew; it connects at its first call."""
        try:
            self._client = _Client(self._url, self._key, attempts=_ATTEMPTS, retry_s=_RETRY_S)
        except ValueError as error:
            raise Wrong(f"--url: {error}") from error

    def recommend(self, query: Fields) -> Fields:
        """`POST /v1/recommendations`."""
        with _translated():
            return cast(Fields, self._client.recommend(**_timed(query)))

    def playlist(self, query: Fields) -> Fields:
        """`POST /v1/playlists`."""
        with _translated():
            return cast(Fields, self._client.playlist(**_timed(query)))

    def diagnose(self, query: Fields) -> Fields:
        """`POST /v1/playlists/doctor`."""
        with _translated():
            return cast(Fields, self._client.diagnose(**_timed(query)))

    def popular(self, genre: str | None, limit: int) -> Fields:
        """`GET /v1/popular`."""
        try:
            with _translated():
                return cast(Fields, self._client.popular(genre, limit=limit))
        except Gone as error:
            raise Wrong(f"this model has no genre {genre!r}") from error

    def state(self) -> State:
        """Ask what the model is, and who is alive. Without a worker the API does not say how many jobs wait."""
        with _translated():
            info = self._client.model()
            try:
                ready = self._client.ready()
            except client.Unavailable as error:
                if error.code != "no-workers":
                    raise
                ready = {"workers": 0, "waiting": None}
        return State(ready["workers"], ready["waiting"], info["version"], info["tracks"], info["notice"])

    def submit(self, items: Sequence[Fields], key: str) -> str:
        """`POST /v1/batches`."""
        with _translated():
            return self._client.batch(cast(Any, items), idempotency_key=key)["id"]

    def is_over(self, batch_id: str) -> bool:
        """`GET /v1/batches/{id}`."""
        with _translated():
            return self._client.batch_status(batch_id)["status"] not in ("queued", "running")

    def lines(self, batch_id: str, after: int) -> Iterator[Fields]:
        """`GET /v1/batches/{id}/results`, again and again."""
        with _translated():
            for line in self._client.batch_results(batch_id, after=after if after >= 0 else None):
                yield cast(Fields, line)


def _timed(query: Fields) -> Fields:
    """Return a request with how long to wait for its answer."""
    return query | {"timeout_s": query.get("deadline_s", 30) + _LONGEST_S}
