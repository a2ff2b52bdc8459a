"""Each journey through the page: in both themes, on a phone, a tablet and a desk, by pointer and by keyboard alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, expect

from artifacts.model import Model
from tests.integration.browsing import opened
from tests.integration.hands import SIZES, Finger, Hand, Keys, Mouse, Visitor
from tests.services import Service

WAYS: list[tuple[str, Literal["light", "dark"], type[Hand]]] = [
    ("phone", "light", Finger),
    ("phone", "dark", Finger),
    ("tablet", "light", Finger),
    ("tablet", "dark", Mouse),
    ("desk", "light", Mouse),
    ("desk", "dark", Mouse),
    ("desk", "light", Keys),
]


@pytest.fixture(params=WAYS, ids=["-".join((size, theme, hand.__name__.lower())) for size, theme, hand in WAYS])
def visitor(request: pytest.FixtureRequest, browser: Browser, staffed: Service) -> Iterator[Visitor]:
    size, theme, hand = request.param
    width, height = SIZES[size]
    with opened(
        browser,
        base_url=staffed.client.address,
        viewport={"width": width, "height": height},
        color_scheme=theme,
        has_touch=hand is Finger,
        permissions=["clipboard-read", "clipboard-write"],
    ) as watched:
        yield Visitor(watched, hand(watched.page), size)
        assert watched.errors == []
        assert watched.hosts <= {staffed.client.address.removeprefix("http://"), ""}


@pytest.fixture(scope="module")
def known(staffed: Service) -> list[dict[str, Any]]:
    """The best known songs of the catalogue, each in one version."""
    songs: list[dict[str, Any]] = staffed.client.get("/v1/popular?limit=6").json["tracks"]
    return songs


def test_finding(visitor: Visitor, known: list[dict[str, Any]]) -> None:
    page, song = visitor.page, known[0]
    page.goto("/")
    expect(page.locator("#popular button")).to_have_count(12)
    visitor.look()
    visitor.hand.press(page.locator("#popular button").nth(1))
    expect(visitor.songs).to_have_count(20)
    expect(page.locator("#find")).to_be_focused()

    page.keyboard.type(song["name"][:6].lower(), delay=20)
    expect(page.locator("#find")).to_have_attribute("aria-expanded", "true")
    visitor.look()
    first = page.locator("#found [role=option]").first
    expect(first).to_have_attribute("aria-selected", "true")
    expect(page.locator("#find")).to_have_attribute("aria-activedescendant", "found-0")
    if isinstance(visitor.hand, Keys):
        page.keyboard.press("Enter")
    else:
        visitor.hand.press(first)
    expect(page.locator("#seeds li")).to_have_count(2)
    expect(page.locator("#said")).to_contain_text("20 songs")

    visitor.button("Less like")
    expect(page.locator("#seeds li.against")).to_have_count(1)
    visitor.button("Remove", 0)
    expect(page.locator("#seeds li")).to_have_count(1)
    page.go_back()
    expect(page.locator("#seeds li")).to_have_count(2)
    expect(visitor.songs).to_have_count(20)
    visitor.look()


def test_guessing_and_pasting(visitor: Visitor, known: list[dict[str, Any]]) -> None:
    page, song = visitor.page, known[0]
    page.goto("/")
    expect(page.locator("#popular button")).to_have_count(12)
    page.keyboard.press("/")
    page.keyboard.type(f"{song['name'][:3]}{song['name'][4:]} {song['artists'][0]}")
    expect(page.locator("#find")).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")  # closes the list, so that Enter takes what is typed
    page.keyboard.press("Enter")
    note = page.locator("#results .note").first
    expect(note).to_contain_text("was taken as")
    expect(note).to_contain_text(song["name"])
    expect(page.locator("#seeds .song").first).to_contain_text(song["name"])  # the chip says what it is taken for
    visitor.look()

    lines = "\n".join(f"{i}. {one['artists'][0]} - {one['name']}" for i, one in enumerate(known[1:4], 1))
    page.evaluate(
        "text => navigator.clipboard.writeText(text)",
        f"{lines}\nhttps://open.spotify.com/track/{known[4]['track_id']}\n",
    )
    page.locator("#find").focus()
    page.keyboard.press("ControlOrMeta+v")
    expect(page.locator("#seeds li")).to_have_count(5)
    expect(visitor.songs).to_have_count(20)
    visitor.hand.press(page.get_by_role("button", name="×1").first)
    expect(page).to_have_url(re.compile(r"s=[^&]*(\*|%2A)2"))
    expect(visitor.songs).to_have_count(20)
    visitor.look()


def test_getting_a_list(visitor: Visitor, known: list[dict[str, Any]]) -> None:
    page = visitor.page
    page.goto(f"/?s={known[0]['track_id']}&n=10")
    expect(visitor.songs).to_have_count(10)
    before = [row.get_attribute("data-id") for row in visitor.songs.all()]
    visitor.hand.press(visitor.songs.nth(1).locator(".name"))
    expect(visitor.songs.nth(1).locator(".reasons dt").first).to_be_visible()
    visitor.button("Compare with yours")
    expect(page.locator(".radar")).to_be_visible()
    visitor.hand.press(page.locator(".more summary"))
    expect(page.locator("table tbody tr")).to_have_count(8)
    visitor.look()

    visitor.hand.press(visitor.songs.nth(2).locator(".drop"))
    expect(page.locator(f'#results li[data-id="{before[2]}"]')).to_have_count(0)
    expect(visitor.songs).to_have_count(10)
    visitor.button("Undo")
    expect(page.locator(f'#results li[data-id="{before[2]}"]')).to_have_count(1)
    assert [row.get_attribute("data-id") for row in visitor.songs.all()] == before

    visitor.hand.choose(page.locator("label", has_text="Songs").locator("select"), "20")
    expect(visitor.songs).to_have_count(20)
    visitor.button("More like this")
    expect(page.locator("#seeds li")).to_have_count(2)
    visitor.hand.press(page.locator('input[value="each"]'))
    expect(page.locator("#results .group h3")).to_have_count(2)
    expect(visitor.songs).to_have_count(40)
    visitor.look()


def test_getting_a_playlist_and_a_path(visitor: Visitor, known: list[dict[str, Any]]) -> None:
    page = visitor.page
    page.goto(f"/?s={known[0]['track_id']}&s={known[1]['track_id']}&len=12t")
    expect(visitor.songs).to_have_count(20)
    visitor.hand.press(page.locator('input[value="playlist"]'))
    expect(page.locator("#results .step")).to_have_count(11)
    visitor.button("Shape")
    visitor.button("Build")
    expect(page).to_have_url(re.compile("arc=build"))
    expect(page.locator(".arc .aim")).to_have_attribute("d", re.compile("^M8.0 .*L232.0 "))
    visitor.look()

    point = page.get_by_role("slider", name="Energy at 0 % of the playlist")
    before = int(point.get_attribute("aria-valuenow") or -1)
    visitor.wait()  # an answer that comes may move the page
    visitor.hand.slide(point, 0.9, "PageUp")
    expect(page).to_have_url(re.compile(r"arc=[\d.]+%2C"))
    expect(point).not_to_have_attribute("aria-valuenow", str(before))
    assert int(point.get_attribute("aria-valuenow") or -1) > before
    visitor.hand.press(page.get_by_label("Let keys and tempos of neighbours fit"))
    expect(page).to_have_url(re.compile("keys=1"))
    expect(page.locator(".wheel path.in").first).to_be_visible()
    expect(page.locator("#results .total")).to_contain_text("transitions fit")
    visitor.wait()
    shown = page.locator("#results").text_content()
    page.reload()
    visitor.wait()
    assert page.locator("#results").text_content() == shown

    visitor.hand.press(page.locator('input[value="path"]'))
    expect(visitor.songs.first).to_contain_text(known[0]["name"])
    expect(visitor.songs.last).to_contain_text(known[1]["name"])
    visitor.button("Earlier")
    expect(visitor.songs.first).to_contain_text(known[1]["name"])
    visitor.look()


def test_shaping(visitor: Visitor, known: list[dict[str, Any]]) -> None:
    page, passing = visitor.page, visitor.page.locator("#passing")
    page.goto(f"/?s={known[0]['track_id']}")
    expect(visitor.songs).to_have_count(20)
    visitor.button("Shape")
    expect(passing).to_contain_text(re.compile("^All 2,997 songs pass"))
    visitor.wait()
    visitor.hand.slide(page.get_by_label("Energy, at least"), 0.6, "PageUp")
    expect(page).to_have_url(re.compile(r"energy=[1-9]\d?-100"))
    expect(passing).to_contain_text(re.compile(r"^[12],?\d+ of 2,997 songs pass"))
    visitor.wait()
    visitor.hand.slide(page.get_by_label("Years, at most"), 0.4, "PageDown")
    expect(page).to_have_url(re.compile(r"year=\d{4}-\d{4}"))
    visitor.wait()
    visitor.hand.slide(page.locator("[data-keep=w-year]"), 0.9, "PageUp")
    expect(page).to_have_url(re.compile(r"w=year"))
    visitor.wait()
    visitor.hand.write(page.get_by_label("Genres"), "rock")
    expect(page).to_have_url(re.compile(r"g=rock"))
    expect(page.get_by_role("button", name="Shape (4)")).to_be_visible()
    visitor.look()

    address = page.url
    page.reload()
    expect(page.get_by_role("button", name="Shape (4)")).to_be_visible()
    assert page.url == address
    visitor.button("Reset")
    expect(page.get_by_role("button", name="Shape", exact=True)).to_be_visible()
    expect(visitor.songs).to_have_count(20)
    page.keyboard.press("ControlOrMeta+z")
    expect(page.get_by_role("button", name="Shape (4)")).to_be_visible()

    page.goto(f"/?s={known[0]['track_id']}&energy=100-100&danceability=0-0&valence=100-100")
    expect(page.locator("#results .empty")).to_contain_text("No song passes")
    visitor.button("Ask without these limits")
    expect(visitor.songs).to_have_count(20)


def test_seeing(visitor: Visitor, known: list[dict[str, Any]], demo_model: Model) -> None:
    page = visitor.page
    page.goto(f"/?s={known[0]['track_id']}")
    expect(visitor.songs).to_have_count(20)
    place = demo_model.track(int(demo_model.row_of_id(visitor.songs.first.get_attribute("data-id") or "") or 0))["at"]
    visitor.turn_to_map()
    canvas = page.locator("#map canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile("Map of 2,9"))
    for _ in range(3):
        visitor.button("Zoom in")
    expect(page).to_have_url(re.compile(r"map=[\d.]+%2C[\d.]+%2C8$"))
    visitor.look()
    visitor.button("Show all of the map")
    expect(page).not_to_have_url(re.compile("map="))

    if isinstance(visitor.hand, Keys):
        visitor.hand.reach(canvas)
        page.keyboard.press("+")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#map p.unseen")).to_contain_text("Zoom 2, at 43 % bright")
        page.keyboard.press("0")
    else:
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box
        page.mouse.move(box["x"] + place[0] * box["width"], box["y"] + (1 - place[1]) * box["height"])
        expect(page.locator("#map .tip")).to_be_visible()
        if visitor.size == "desk":
            expect(page.locator("#results li.lit")).to_have_count(1)

    visitor.hand.press(page.locator("#map summary"))
    inside = page.locator("#map .inside button")
    expect(inside).to_have_count(60)
    visitor.look()
    visitor.hand.press(inside.nth(1))  # the first one is the seed itself
    expect(page.locator("#seeds li")).to_have_count(2)


def test_taking_along(visitor: Visitor, known: list[dict[str, Any]]) -> None:
    page = visitor.page
    page.goto(f"/?s={known[0]['track_id']}&n=5")
    expect(visitor.songs).to_have_count(5)
    visitor.button("Copy")
    expect(page.locator("#toasts")).to_contain_text("The list copied")
    text = page.evaluate("navigator.clipboard.readText()")
    assert len(text.splitlines()) == 5
    assert visitor.songs.first.locator(".title").inner_text() in text.splitlines()[0]
    visitor.button("Export")
    visitor.look()
    with page.expect_download() as download:
        visitor.button("XSPF")
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("<?xml")

    visitor.button("History")
    dialog = page.get_by_role("dialog")
    link = dialog.get_by_role("link", name=re.compile(re.escape(known[0]["name"])))
    expect(link).to_be_visible()
    visitor.look()
    dialog.get_by_role("searchbox").fill("nothing like this")
    expect(dialog.get_by_text("Nothing like that.")).to_be_visible()
    dialog.get_by_role("searchbox").fill(known[0]["name"][:5].upper())
    visitor.hand.press(link)
    expect(dialog).to_have_count(0)
    visitor.button("History")
    visitor.button("Clear all")
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    page.keyboard.press("Escape")
    visitor.hand.choose(page.get_by_label("Theme"), "Dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(visitor.songs).to_have_count(5)
    visitor.look()
    page.locator("body").press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Find a song")
    visitor.look()


def test_a_cut_connection(visitor: Visitor, known: list[dict[str, Any]]) -> None:
    page, banner = visitor.page, visitor.page.locator("#banner")
    page.goto(f"/?s={known[0]['track_id']}")
    expect(visitor.songs).to_have_count(20)
    page.context.set_offline(True)
    expect(banner).to_contain_text("You are offline")
    visitor.button("Another mix")
    expect(banner.get_by_role("button", name="Try again")).to_be_visible()
    expect(visitor.songs).to_have_count(20)
    visitor.look()
    page.context.set_offline(False)
    expect(banner).to_be_hidden()
    expect(page).to_have_url(re.compile("mix=1"))
    expect(page.locator("#results")).not_to_have_attribute("aria-busy", "true")
    expect(visitor.songs).to_have_count(20)
    visitor.watched.errors.clear()  # the browser's own word of what it could not load
