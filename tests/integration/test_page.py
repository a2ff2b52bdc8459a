"""The page in a real browser, on a running service: its files, its address, and the states that are rare."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from artifacts import features
from artifacts.model import Model
from tests import builders, services
from tests.integration.browsing import Watched, opened
from tests.services import Service, wait_for
from training.__main__ import main as train

FILES = Path(__file__).parents[2] / "api" / "static" / "page"


@pytest.fixture
def desk(staffed: Service, browser: Browser) -> Iterator[Watched]:
    with opened(browser, viewport={"width": 1440, "height": 1000}) as watched:
        yield watched
        assert watched.errors == []
        assert watched.hosts <= {staffed.client.address.removeprefix("http://"), ""}


@pytest.fixture(scope="module")
def song(demo_model: Model) -> dict[str, Any]:
    """The best known song of the catalogue."""
    return demo_model.track(int(demo_model.most_popular(1)[0]))


def go(watched: Watched, service: Service, query: str = "") -> Page:
    watched.page.goto(service.client.address + "/" + query)
    return watched.page


def rows(page: Page) -> Any:
    return page.locator("#results li[data-id]")


def test_nothing_on_the_page_is_inline_or_of_another_host(staffed: Service) -> None:
    page = staffed.client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert set(re.findall(r"https?://[^ ;]+", policy)) == {"https://open.spotify.com"}  # its player, on a click
    text = page.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|style=|https?://", text)
    for name in ("..%2f__init__.py", "page.html", "none.js"):
        assert staffed.client.get(f"/page/{name}").status == 404


def test_the_first_paint_takes_less_than_60_kb(staffed: Service) -> None:
    sizes = {}
    for path in FILES.iterdir():
        plain = staffed.client.get(f"/page/{path.name}")
        packed = staffed.client.get(f"/page/{path.name}", **{"Accept-Encoding": "gzip"})
        assert gzip.decompress(packed.body) == plain.body == path.read_bytes()
        again = staffed.client.get(f"/page/{path.name}", **{"If-None-Match": plain.headers["ETag"]})
        assert again.status == 304
        sizes[path.name] = len(packed.body)
    document = staffed.client.get("/", **{"Accept-Encoding": "gzip"}).body
    assert sum(sizes.values()) + len(document) < 60_000, sizes


def test_the_weights_on_the_page_are_the_services_own() -> None:
    text = (FILES / "state.js").read_text(encoding="utf-8")
    shown = {name: float(weight) for name, weight in re.findall(r'(\w+): \["[^"]+", ([\d.]+), \d+\]', text)}
    assert shown == {name: features.DEFAULT_WEIGHTS[name] for name in shown}
    assert len(shown) == 9
    assert f"POPULARITY = {features.DEFAULT_WEIGHTS['popularity']}" in text


def test_an_address_is_an_answer(staffed: Service, desk: Watched, song: dict[str, Any]) -> None:
    query = (
        f"?s={song['track_id']}&as=playlist&len=12t&arc=0.2%2C0.9%2C0.4&keys=1&year=1990-2020"
        "&w=year%3A2&pop=0.25&div=0.3&mix=4"
    )
    page = go(desk, staffed, query)
    expect(page.locator("#results .total")).to_be_visible()
    shown = page.locator("#results").text_content()
    assert page.url.endswith(query)
    page.reload()
    expect(page.locator("#results .total")).to_be_visible()
    assert page.locator("#results").text_content() == shown
    for wrong in ("?s=&as=x&len=9z&arc=2,3&year=b&n=-4&w=a:b&mix=x", "?s=~&s=~|x&energy=90-10"):
        go(desk, staffed, wrong)
        expect(page.locator("#results .tries")).to_be_visible()


def test_every_format_is_exported(staffed: Service, desk: Watched, song: dict[str, Any]) -> None:
    page = go(desk, staffed, f"?s={song['track_id']}")
    expect(rows(page)).to_have_count(20)
    for label, start in (
        ("M3U8", "#EXTM3U"),
        ("XSPF", "<?xml"),
        ("JSPF", "{"),
        ("CSV", "Track URI"),
        ("JSON lines", "{"),
    ):
        text = exported(page, label)
        assert text.startswith((start, f'"{start}')), text[:80]


def exported(page: Page, label: str) -> str:
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=label).click()
    return Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_a_list_for_each_song_is_exported_as_the_answers_of_its_batch(
    staffed: Service, desk: Watched, demo_model: Model
) -> None:
    ids = [demo_model.id_of(int(row)) for row in demo_model.most_popular(3)]
    page = go(desk, staffed, "?as=each&n=5&" + "&".join(f"s={track_id}" for track_id in ids))
    expect(rows(page)).to_have_count(15)
    expect(page.locator("#results h2")).to_have_text("A list for each of 3 songs")
    lines = [json.loads(line) for line in exported(page, "JSON lines").splitlines()]
    assert [line["result"]["seeds"][0]["track_id"] for line in lines] == ids
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_role("button", name="XSPF")).to_have_count(0)


@pytest.mark.parametrize("width", [320, 1920])
def test_it_fits_the_narrowest_and_a_wide_screen(
    staffed: Service, browser: Browser, song: dict[str, Any], width: int
) -> None:
    with opened(browser, viewport={"width": width, "height": 700}) as watched:
        page = go(watched, staffed, f"?s={song['track_id']}&as=playlist&keys=1&len=10t")
        expect(rows(page).first).to_be_visible()
        rows(page).nth(1).locator(".name").click()
        page.get_by_role("button", name="Shape").click()
        page.get_by_role("button", name="Export").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        menu = page.locator(".menu > ul").bounding_box()
        assert menu
        assert menu["x"] >= 0
        assert menu["x"] + menu["width"] <= width
        assert watched.violations() == []


def test_two_fingers_zoom_the_map(staffed: Service, browser: Browser, song: dict[str, Any]) -> None:
    with opened(browser, viewport={"width": 360, "height": 760}, has_touch=True) as watched:
        page = go(watched, staffed, f"?s={song['track_id']}")
        page.get_by_role("tab", name="Map").tap()
        canvas = page.locator("#map canvas")
        expect(canvas).to_have_attribute("aria-label", re.compile("Map of"))
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        fingers = page.context.new_cdp_session(page)

        def touch(kind: str, *apart: int) -> None:
            points = [{"x": x + by, "y": y, "id": number} for number, by in enumerate(apart)]
            fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        touch("touchStart", -10, 10)
        for by in range(12, 84, 4):
            touch("touchMove", -by, by)
        touch("touchEnd")
        expect(page).to_have_url(re.compile(r"map=0\.[45]\d*%2C0\.[45]\d*%2C(7|8)"))


def test_an_answer_that_comes_while_one_drags_does_not_take_the_slider_away(
    staffed: Service, desk: Watched, song: dict[str, Any]
) -> None:
    page = go(desk, staffed, f"?s={song['track_id']}&as=playlist&len=10t")
    expect(page.locator("#results .step")).to_have_count(9)
    page.get_by_role("button", name="Shape").click()
    slider = page.locator("[data-keep=w-year]")
    box = slider.bounding_box()
    assert box
    at = slider.evaluate("input => input.value / input.max")
    page.keyboard.press("m")  # another answer is on its way
    page.mouse.move(box["x"] + 12 + at * (box["width"] - 24), box["y"] + 12)
    page.mouse.down()
    expect(page.locator("#results:not([aria-busy])")).to_be_visible()
    page.mouse.move(box["x"] + box["width"] - 2, box["y"] + 12, steps=5)
    page.mouse.up()
    expect(page).to_have_url(re.compile("w=year%3A20"))


def test_what_the_model_lacks_is_not_shown_and_spotify_is_asked_on_a_click_only(
    tmp_path: Path, browser: Browser
) -> None:
    songs = [
        {"track_id": f"song{n:018}", "track_name": f"Tune {n}", "artist_name": f"Band {n}", "energy": 0.2 + n / 100}
        for n in range(60)
    ]
    file = builders.write(tmp_path / "tunes.csv", builders.songs(*songs), "hub")  # a layout without years
    assert train(["--data", str(file), "--artifacts", str(tmp_path / "models"), "--clusters", "3"]) == 0
    with services.service(tmp_path, tmp_path / "models") as service, service.worker(), opened(browser) as watched:
        wait_for(service.is_ready, "a worker")
        page = go(watched, service, f"?s={songs[30]['track_id']}")
        expect(rows(page)).to_have_count(20)
        page.get_by_role("button", name="Shape").click()
        expect(page.get_by_role("group", name="Tempo")).to_be_visible()
        expect(page.get_by_role("group", name="Years")).to_have_count(0)
        rows(page).first.locator(".name").click()
        link = page.get_by_role("link", name="Open in Spotify")
        expect(link).to_have_attribute("href", re.compile("^https://open.spotify.com/track/song0"))
        assert watched.hosts <= {service.client.address.removeprefix("http://"), ""}
        page.route("https://open.spotify.com/**", lambda route: route.fulfill(body="a player"))
        page.get_by_role("button", name="Play here").click()
        expect(page.frame_locator(".player").get_by_text("a player")).to_be_visible()
        assert "open.spotify.com" in watched.hosts


def test_popular_songs_say_that_they_are_no_answer(staffed: Service, desk: Watched) -> None:
    page = go(desk, staffed, "?s=~qqqq zzzz xxxx|wwww vvvv")
    expect(page.locator("#results h2")).to_contain_text("What many listen to")
    expect(page.locator("#results .note").first).to_be_visible()
    expect(rows(page)).to_have_count(20)
    assert desk.violations() == []


def test_a_service_without_workers_says_what_to_do(
    tmp_path: Path, models_dir: Path, browser: Browser, song: dict[str, Any]
) -> None:
    with services.service(tmp_path, models_dir) as idle, opened(browser) as watched:
        page = go(watched, idle, f"?s={song['track_id']}")
        expect(page.locator("#banner")).to_contain_text(re.compile("no worker is running|no model yet"))
        assert watched.violations() == []


def test_an_api_key_is_asked_for(staffed: Service, browser: Browser) -> None:
    with opened(browser) as watched:
        denied = {"type": "about:blank", "title": "x", "status": 401, "detail": "no key", "code": "unauthorized"}
        sent: list[str] = []

        def answer(route: Any) -> None:
            sent.append(route.request.headers.get("authorization", ""))
            if sent[-1] == "Bearer segue_secret":
                route.continue_()
            else:
                route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(denied))

        watched.page.route("**/v1/**", answer)
        page = go(watched, staffed)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("API key")
        dialog.get_by_label("API key").fill("segue_secret")
        dialog.get_by_role("button", name="Use it").click()
        expect(page.locator("#popular button")).to_have_count(12)
