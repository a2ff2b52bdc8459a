"""The page on a wire that is cut, falls silent, or leads to a service that goes and comes back."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

import redis_server
from tests import services
from tests.fakes.relay import Relay
from tests.integration.browsing import opened
from tests.services import Service, wait_for


@pytest.fixture
def slow(idle: Service) -> Iterator[Service]:
    """The service with a worker that takes 0.4 s for each stage of a playlist."""
    log = idle.folder / "slow.log"
    with services.worker(idle.redis.url, idle.models_dir, log, module="tests.slow_worker"):
        wait_for(idle.is_ready, "a worker")
        yield idle


@pytest.fixture
def relay(idle: Service) -> Iterator[Relay]:
    with Relay(urlsplit(idle.client.address).port or 0).running() as relay:
        yield relay


@pytest.fixture
def page(browser: Browser, relay: Relay) -> Iterator[Page]:
    with opened(browser, base_url=relay.address, viewport={"width": 1280, "height": 900}) as watched:
        yield watched.page
        assert [error for error in watched.errors if "Failed to load resource" not in error] == []


@pytest.fixture
def seeds(idle: Service) -> str:
    """Two known songs, as the page's address has them."""
    tracks = idle.client.get("/v1/popular?limit=2").json["tracks"]
    return "&".join(f"s={track['track_id']}" for track in tracks)


def posts(relay: Relay, path: str) -> int:
    return sum(line.startswith(f"POST {path} ") for line in relay.requests)


def test_a_playlist_goes_on_after_a_cut_in_the_middle(slow: Service, relay: Relay, page: Page, seeds: str) -> None:
    page.goto(f"/?{seeds}&as=playlist&len=10t")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("Searching|Looking"))
    relay.cut()
    expect(page.locator("#banner")).to_contain_text("The service does not answer")
    expect(page.get_by_role("progressbar")).to_be_visible()
    relay.mend()
    expect(page.locator("#results .step")).to_have_count(9)
    expect(page.locator("#banner")).to_be_hidden()
    assert posts(relay, "/v1/playlists") == 1  # the same job, not another one


def test_a_playlist_goes_on_after_being_offline(slow: Service, relay: Relay, page: Page, seeds: str) -> None:
    page.goto(f"/?{seeds}&as=playlist&len=10t")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("Searching|Looking"))
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_contain_text("You are offline")
    page.context.set_offline(False)
    expect(page.locator("#results .step")).to_have_count(9)
    expect(page.locator("#banner")).to_be_hidden()
    assert posts(relay, "/v1/playlists") == 1


def test_a_batch_goes_on_after_a_cut_in_the_middle(idle: Service, relay: Relay, page: Page, seeds: str) -> None:
    with idle.worker() as parent:
        wait_for(idle.is_ready, "a worker")
        workers = services.answering(parent)
        page.goto("/")
        expect(page.locator("#popular button")).to_have_count(12)
        for worker in workers:
            worker.send_signal(signal.SIGSTOP)
        page.goto(f"/?{seeds}&as=each&n=5")
        wait_for(lambda: any("/events" in line for line in relay.requests), "the page to follow the batch")
        relay.cut()
        expect(page.locator("#banner")).to_contain_text("The service does not answer")
        for worker in workers:
            worker.send_signal(signal.SIGCONT)
        relay.mend()
        expect(page.locator("#results li[data-id]")).to_have_count(10)
        assert posts(relay, "/v1/batches") == 1


def test_a_wire_that_falls_silent_is_given_up(slow: Service, relay: Relay, page: Page, seeds: str) -> None:
    page.clock.install()
    page.goto(f"/?{seeds}&as=playlist&len=10t")
    expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile("Searching|Looking"))
    relay.mute()
    page.clock.fast_forward("00:46")
    expect(page.locator("#banner")).to_contain_text("The service does not answer")
    relay.mend()
    page.clock.fast_forward("00:05")
    expect(page.locator("#results .step")).to_have_count(9)
    assert posts(relay, "/v1/playlists") == 1


def test_typing_and_exporting_on_a_cut_wire(slow: Service, relay: Relay, page: Page, seeds: str) -> None:
    page.goto(f"/?{seeds}&n=5")
    expect(page.locator("#results li[data-id]")).to_have_count(5)
    relay.cut()
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="XSPF").click()
    expect(page.locator("#toasts")).to_contain_text("The service does not answer")
    page.fill("#find", "the")
    expect(page.locator("#banner")).to_contain_text("The service does not answer")
    expect(page.locator("#results li[data-id]")).to_have_count(5)
    relay.mend()
    page.fill("#find", "th")
    expect(page.locator("#found [role=option]").first).to_be_visible()
    expect(page.locator("#banner")).to_be_hidden()


def test_a_service_that_starts_again_in_the_middle(
    tmp_path: Path, models_dir: Path, browser: Browser, seeds: str
) -> None:
    server, port, log = redis_server.start(tmp_path / "redis"), redis_server.free_port(), tmp_path / "slow.log"
    try:
        with (
            services.worker(server.url, models_dir, log, module="tests.slow_worker") as parent,
            opened(browser) as watched,
        ):
            page = watched.page
            with services.api(server.url, port, tmp_path / "api.log") as client:
                wait_for(lambda: client.get("/readyz").status == 200, "a worker")
                page.goto(f"{client.address}/?{seeds}&as=playlist&len=10t")
                expect(page.get_by_role("progressbar")).to_have_attribute("aria-valuetext", re.compile(r"\w"))
                for worker in services.answering(parent):
                    worker.send_signal(signal.SIGSTOP)
            expect(page.locator("#banner")).to_contain_text("The service does not answer")
            with services.api(server.url, port, tmp_path / "api.log"):
                for worker in services.answering(parent):
                    worker.send_signal(signal.SIGCONT)
                expect(page.locator("#results .step")).to_have_count(9, timeout=15_000)
                expect(page.locator("#banner")).to_be_hidden()
    finally:
        server.stop()
