"""The page /docs in a real browser: it shows the contract, from our own host alone, under its own strict policy."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import Browser, expect

from tests.integration.browsing import opened
from tests.services import Service


def test_the_policy_allows_no_inline_script_and_no_other_host(service: Service) -> None:
    page = service.client.get("/docs")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "://" not in policy
    text = page.body.decode()
    assert re.findall(r"<script(?! src=\"/docs/[a-z.-]+\")", text) == []
    assert not re.search(r"\son\w+=|style=|https?://", text)
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "start.js"):
        assert service.client.get(f"/docs/{name}").status == 200
    for name in ("docs.html", "swagger-ui.html", "..%2F__init__.py", "index.html"):
        assert service.client.get(f"/docs/{name}").status == 404


def test_chromium_shows_the_contract_and_tries_it(service: Service, browser: Browser) -> None:
    with opened(browser) as watched:
        page = watched.page
        page.goto(service.client.address + "/docs")
        expect(page.get_by_text("/v1/recommendations").first).to_be_visible()
        expect(page.get_by_text("Ask for recommendations").first).to_be_visible()
        page.get_by_text("The model in service").first.click()
        page.get_by_role("button", name="Execute").first.click()
        expect(page.get_by_text("explained_variance").first).to_be_visible()
    assert watched.errors == []
    assert watched.hosts - {""} == {urlsplit(service.client.address).netloc}
