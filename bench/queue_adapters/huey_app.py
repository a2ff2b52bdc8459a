"""Huey with Redis."""

from __future__ import annotations

from collections.abc import Callable

from huey import RedisHuey

from bench import queue_work as work

huey = RedisHuey(work.QUEUE, url=work.environment(work.URL), blocking=True)
tasks = {"noop": huey.task(retries=2)(work.noop), "matvec": huey.task(retries=2)(work.matvec)}
work.matrix()  # workers are forked off this


def client() -> Callable[[str, work.Payload], object]:
    return lambda kind, payload: tasks[kind](payload)
