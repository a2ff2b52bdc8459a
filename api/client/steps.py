"""A call as steps, and the two ways to take them: blocking, and in asyncio.

A call is a generator of steps: send this, wait so long, give me more of the body, hand this to the caller. It touches
no socket itself, so it is written once; `Blocking` and `Awaiting` take its steps, and nothing else differs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

import httpx2

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Send:
    """Send this. Its answer: httpx2.Response, or the httpx2.RequestError that came instead.

    hold_s: how much longer than usual the service may be silent; stream: the body of a 200 is left for `More`. once: it
    does something else the second time, so it is not sent again.
    """

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    hold_s: float = 0.0
    stream: bool = False
    once: bool = False


@dataclass(frozen=True)
class Pause:
    """Wait so long."""

    seconds: float


@dataclass(frozen=True)
class More:
    """Read on in the body. Its answer: bytes, None at the end, or the httpx2.RequestError that came instead."""


@dataclass(frozen=True)
class Emit(Generic[T]):
    """Hand this to the caller."""

    item: T


Steps = Generator[Send | Pause | More, Any, T]
Feed = Generator[Send | Pause | More | Emit[T], Any, None]


class Blocking:
    """Takes steps in the calling thread. Threads may share it."""

    def _connect(self, base_url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._http = httpx2.Client(base_url=base_url, headers=headers, timeout=timeout_s)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _one(self, steps: Steps[T]) -> T:
        [value] = self._each(_emitted(steps))
        return value

    def _each(self, steps: Feed[T]) -> Generator[T, None, None]:
        exchange, got = _Exchange(self._http), None
        try:
            while True:
                try:
                    step = steps.send(got)
                except StopIteration:
                    return
                got = None
                if isinstance(step, Emit):
                    yield step.item
                elif isinstance(step, Pause):
                    time.sleep(step.seconds)
                else:
                    got = exchange.take(step)
        finally:
            exchange.close()


class _Exchange:
    """One request after the other; the last answer stays open until the next."""

    def __init__(self, http: httpx2.Client) -> None:
        self._http = http
        self._response: httpx2.Response | None = None
        self._body: Iterator[bytes]

    def take(self, step: Send | More) -> httpx2.Response | bytes | httpx2.RequestError | None:
        """Return what answers the step."""
        try:
            if isinstance(step, More):
                return next(self._body, None)
            self.close()
            response = self._response = self._http.send(_request(self._http, step), stream=True)
            self._body = response.iter_bytes()
            if not step.stream or response.status_code != httpx2.codes.OK:
                response.read()
        except httpx2.RequestError as error:
            return error
        return response

    def close(self) -> None:
        """Let the last answer go."""
        if self._response is not None:
            self._response.close()


class Awaiting:
    """Takes steps in asyncio. Tasks may share it."""

    def _connect(self, base_url: str, headers: Mapping[str, str], timeout_s: float) -> None:
        self._http = httpx2.AsyncClient(base_url=base_url, headers=headers, timeout=timeout_s)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _one(self, steps: Steps[T]) -> T:
        [value] = [value async for value in self._each(_emitted(steps))]
        return value

    async def _each(self, steps: Feed[T]) -> AsyncGenerator[T, None]:
        exchange, got = _AwaitedExchange(self._http), None
        try:
            while True:
                try:
                    step = steps.send(got)
                except StopIteration:
                    return
                got = None
                if isinstance(step, Emit):
                    yield step.item
                elif isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                else:
                    got = await exchange.take(step)
        finally:
            await exchange.close()


class _AwaitedExchange:
    """One request after the other; the last answer stays open until the next."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._response: httpx2.Response | None = None
        self._body: AsyncIterator[bytes]

    async def take(self, step: Send | More) -> httpx2.Response | bytes | httpx2.RequestError | None:
        """Return what answers the step."""
        try:
            if isinstance(step, More):
                return await anext(self._body, None)
            await self.close()
            response = self._response = await self._http.send(_request(self._http, step), stream=True)
            self._body = response.aiter_bytes()
            if not step.stream or response.status_code != httpx2.codes.OK:
                await response.aread()
        except httpx2.RequestError as error:
            return error
        return response

    async def close(self) -> None:
        """Let the last answer go."""
        if self._response is not None:
            await self._response.aclose()


class One(Generic[P, T]):
    """A method of either client, made of steps that return one thing."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self._plan = plan

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Steps[T]]: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        return self._plan if client is None else _bound(self._plan, client, client._one)


class Many(Generic[P, T]):
    """A method of either client, made of steps that emit many things."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Feed[T]]) -> None:
        self._plan = plan

    @overload
    def __get__(self, client: None, owner: type) -> Callable[Concatenate[Any, P], Feed[T]]: ...
    @overload
    def __get__(self, client: Blocking, owner: type) -> Callable[P, Generator[T, None, None]]: ...
    @overload
    def __get__(self, client: Awaiting, owner: type) -> Callable[P, AsyncGenerator[T, None]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        return self._plan if client is None else _bound(self._plan, client, client._each)


def _bound(plan: Callable[..., Any], client: object, take: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return the method: it makes the steps and takes them. It looks like `plan`, to `help` too."""

    @wraps(plan.__get__(client))
    def method(*args: Any, **options: Any) -> Any:
        return take(plan(client, *args, **options))

    return method


def _emitted(steps: Steps[T]) -> Feed[T]:
    """Emit what `steps` return: a call is a feed of one."""
    yield Emit((yield from steps))


def _request(http: httpx2.Client | httpx2.AsyncClient, step: Send) -> httpx2.Request:
    usual = http.timeout
    timeout = httpx2.Timeout(
        connect=usual.connect, read=(usual.read or 0) + step.hold_s, write=usual.write, pool=usual.pool
    )
    return http.build_request(
        step.method, step.path, params=step.params, headers=step.headers, content=step.content, timeout=timeout
    )
