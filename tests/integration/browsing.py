"""A real browser for tests: Chromium through Playwright, watched for errors and for hosts that it contacts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_AXE = Axe()


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the machine's Chromium; skip the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("there is no Chromium on this machine: apt install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, with what went wrong on it and which hosts it asked."""

    page: Page
    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def violations(self) -> list[str]:
        """Return what axe finds wrong with the page as it is now: WCAG 2.2 AA, and its best practices."""
        found: list[dict[str, Any]] = _AXE.run(self.page).response["violations"]
        return [f"{one['id']}: {one['help']}: {[node['html'][:120] for node in one['nodes'][:3]]}" for one in found]


@contextmanager
def opened(browser: Browser, **context: Any) -> Iterator[Watched]:
    """Open a page in a context of its own. context: as `Browser.new_context` takes it."""
    with browser.new_context(**context) as own:
        watched = Watched(own.new_page())
        page = watched.page
        page.on(
            "console",
            lambda said: watched.errors.append(said.text) if said.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: watched.errors.append(str(error)))
        page.on("request", lambda request: watched.hosts.add(urlsplit(request.url).netloc))
        yield watched
