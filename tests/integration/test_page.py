"""The page in a real browser, on a running service: each journey, by mouse and keyboard, with axe on each state."""

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
SIZES = {"phone": (360, 760), "tablet": (768, 1024), "desk": (1440, 1000)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    with services.service(tmp_path_factory.mktemp("page"), models_dir) as service, service.worker():
        wait_for(service.is_ready, "a worker")
        yield service


@pytest.fixture
def desk(service: Service, browser: Browser) -> Iterator[Watched]:
    with opened(browser, viewport={"width": 1440, "height": 1000}, permissions=["clipboard-read"]) as watched:
        yield watched
        assert watched.errors == []
        assert watched.hosts <= {service.client.address.removeprefix("http://"), ""}


@pytest.fixture(scope="module")
def song(demo_model: Model) -> dict[str, Any]:
    """The best known song of the catalogue."""
    return demo_model.track(int(demo_model.most_popular(1)[0]))


def go(watched: Watched, service: Service, query: str = "") -> Page:
    watched.page.goto(service.client.address + "/" + query)
    return watched.page


def rows(page: Page) -> Any:
    return page.locator("#results li[data-id]")


def test_nothing_on_the_page_is_inline_or_of_another_host(service: Service) -> None:
    page = service.client.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert set(re.findall(r"https?://[^ ;]+", policy)) == {"https://open.spotify.com"}  # its player, on a click
    text = page.body.decode()
    assert not re.search(r"<script(?![^>]* src=)|\son\w+=|style=|https?://", text)
    for name in ("..%2f__init__.py", "page.html", "none.js"):
        assert service.client.get(f"/page/{name}").status == 404


def test_the_first_paint_takes_less_than_50_kb(service: Service) -> None:
    sizes = {}
    for path in FILES.iterdir():
        plain = service.client.get(f"/page/{path.name}")
        packed = service.client.get(f"/page/{path.name}", **{"Accept-Encoding": "gzip"})
        assert gzip.decompress(packed.body) == plain.body == path.read_bytes()
        again = service.client.get(f"/page/{path.name}", **{"If-None-Match": plain.headers["ETag"]})
        assert again.status == 304
        sizes[path.name] = len(packed.body)
    assert sum(sizes.values()) + len(service.client.get("/").body) < 50_000, sizes


def test_the_weights_on_the_page_are_the_services_own() -> None:
    text = (FILES / "state.js").read_text(encoding="utf-8")
    shown = {name: float(weight) for name, weight in re.findall(r'(\w+): \["[^"]+", ([\d.]+), \d+\]', text)}
    assert shown == {name: features.DEFAULT_WEIGHTS[name] for name in shown}
    assert len(shown) == 9
    assert f"POPULARITY = {features.DEFAULT_WEIGHTS['popularity']}" in text


def test_a_song_is_found_while_one_types_and_answered(service: Service, desk: Watched, song: dict[str, Any]) -> None:
    page = go(desk, service)
    expect(page.locator("#popular button")).to_have_count(12)
    assert desk.violations() == []
    page.keyboard.press("/")
    page.keyboard.type(song["name"][:6].lower(), delay=20)
    options = page.locator("#found [role=option]")
    expect(options.first).to_be_visible()
    expect(page.locator("#find")).to_have_attribute("aria-expanded", "true")
    assert desk.violations() == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#find")).to_have_attribute("aria-activedescendant", "found-0")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(20)
    assert "?s=" in page.url
    expect(page.locator("#said")).to_contain_text("20 songs")
    rows(page).first.locator(".name").click()
    expect(rows(page).first.locator(".reasons dt").first).to_be_visible()
    assert desk.violations() == []


def test_typing_badly_finds_it_and_says_what_it_took(service: Service, desk: Watched, song: dict[str, Any]) -> None:
    name = song["name"]
    wrong = name[:3] + name[4:]
    page = go(desk, service)
    page.fill("#find", f"{wrong} {song['artists'][0]}")
    page.keyboard.press("Enter")
    expect(rows(page)).to_have_count(20)
    expect(page.locator("#results .note").first).to_contain_text("was taken as")
    expect(page.locator("#results .note").first).to_contain_text(name)


def test_a_pasted_list_becomes_seeds_with_weights_and_dislikes(
    service: Service, desk: Watched, demo_model: Model
) -> None:
    some = [demo_model.track(int(row)) for row in demo_model.most_popular(3)]
    page = go(desk, service)
    text = "\n".join(f"{i}. {track['artists'][0]} - {track['name']}" for i, track in enumerate(some, 1))
    page.locator("#find").evaluate(
        """(input, text) => {
          const data = new DataTransfer();
          data.setData("text", text);
          input.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }""",
        text,
    )
    expect(page.locator("#seeds li")).to_have_count(3)
    expect(rows(page)).to_have_count(20)
    page.get_by_role("button", name=re.compile("count it 2 times")).first.click()
    page.get_by_role("button", name=re.compile("^Less like")).last.click()
    expect(page.locator("#seeds li.against")).to_have_count(1)
    assert "*2" in page.url.replace("%2A", "*")
    assert "*-1" in page.url.replace("%2A", "*")
    expect(rows(page)).to_have_count(20)
    assert desk.violations() == []


def test_a_removed_song_gives_way_to_the_next_and_comes_back(
    service: Service, desk: Watched, song: dict[str, Any]
) -> None:
    page = go(desk, service, f"?s={song['track_id']}&n=10")
    expect(rows(page)).to_have_count(10)
    before = [row.get_attribute("data-id") for row in rows(page).all()]
    rows(page).nth(2).locator(".drop").click()
    expect(page.locator(f'#results li[data-id="{before[2]}"]')).to_have_count(0)
    expect(rows(page)).to_have_count(10)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(f'#results li[data-id="{before[2]}"]')).to_have_count(1)
    assert [row.get_attribute("data-id") for row in rows(page).all()] == before


def test_the_address_holds_everything(service: Service, desk: Watched, song: dict[str, Any]) -> None:
    query = (
        f"?s={song['track_id']}&as=playlist&len=12t&arc=0.2%2C0.9%2C0.4&keys=1&year=1990-2020"
        "&w=year%3A2&pop=0.25&div=0.3&mix=4"
    )
    page = go(desk, service, query)
    expect(page.locator("#results .total")).to_be_visible()
    shown = page.locator("#results").inner_text()
    assert page.url.endswith(query)
    page.reload()
    expect(page.locator("#results .total")).to_be_visible()
    assert page.locator("#results").inner_text() == shown
    for wrong in ("?s=&as=x&len=9z&arc=2,3&year=b&n=-4&w=a:b&mix=x", "?s=~&s=~|x&energy=90-10"):
        go(desk, service, wrong)
        expect(page.locator("#results .empty")).to_be_visible()


def test_a_playlist_is_drawn_by_keyboard_and_says_how_it_flows(
    service: Service, desk: Watched, song: dict[str, Any]
) -> None:
    page = go(desk, service, f"?s={song['track_id']}")
    expect(rows(page)).to_have_count(20)
    page.locator('input[value="playlist"]').focus()
    page.keyboard.press("Space")
    expect(page.locator("#results .step").first).to_be_visible()
    page.get_by_role("button", name="Shape").click()
    expect(page.locator("#passing")).to_contain_text("songs pass")
    page.get_by_role("button", name="Build").click()
    expect(page).to_have_url(re.compile("arc=build"))
    first = page.get_by_role("slider", name="Energy at 0 % of the playlist")
    first.focus()
    page.keyboard.press("PageUp")
    expect(page).to_have_url(re.compile(r"arc=0\.35"))
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Energy at 0 % of the playlist")
    page.get_by_label("Let keys and tempos of neighbours fit").check()
    expect(page).to_have_url(re.compile("keys=1"))
    expect(page.locator(".wheel path.in").first).to_be_visible()
    expect(page.locator("#results .total")).to_contain_text("transitions fit")
    assert desk.violations() == []


def test_a_list_for_each_song_is_a_batch(service: Service, desk: Watched, demo_model: Model) -> None:
    ids = [demo_model.id_of(int(row)) for row in demo_model.most_popular(3)]
    page = go(desk, service, "?as=each&n=5&" + "&".join(f"s={track_id}" for track_id in ids))
    expect(rows(page)).to_have_count(15)
    expect(page.locator("#results .group h3")).to_have_count(3)
    expect(page.locator("#results h2")).to_have_text("A list for each of 3 songs")
    assert desk.violations() == []


def test_export_history_and_theme(service: Service, desk: Watched, song: dict[str, Any]) -> None:
    page = go(desk, service, f"?s={song['track_id']}")
    expect(rows(page)).to_have_count(20)
    for label, start in (
        ("M3U8", "#EXTM3U"),
        ("XSPF", "<?xml"),
        ("JSPF", "{"),
        ("CSV", "Track URI"),
        ("JSON lines", "{"),
    ):
        page.get_by_role("button", name="Export").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=label).click()
        text = Path(download.value.path()).read_text(encoding="utf-8-sig")
        assert text.startswith((start, f'"{start}')), text[:80]
    page.get_by_role("button", name="History").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("link", name=re.compile(re.escape(song["name"])))).to_be_visible()
    assert desk.violations() == []
    dialog.get_by_role("searchbox").fill("nothing like this")
    expect(dialog.get_by_text("Nothing like that.")).to_be_visible()
    dialog.get_by_role("button", name="Clear all").click()
    page.keyboard.press("Escape")
    page.get_by_label("Theme").select_option("dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Find a song")
    assert desk.violations() == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_and_reads_at_every_size(
    service: Service, browser: Browser, song: dict[str, Any], size: str, scheme: Any
) -> None:
    width, height = SIZES[size]
    with opened(browser, viewport={"width": width, "height": height}, color_scheme=scheme) as watched:
        page = go(watched, service, f"?s={song['track_id']}&as=playlist&keys=1&len=10t")
        expect(rows(page).first).to_be_visible()
        rows(page).nth(1).locator(".name").click()
        page.get_by_role("button", name="Shape").click()
        expect(page.locator("#passing")).to_contain_text("songs pass")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert watched.violations() == []
        if size == "phone":
            page.get_by_role("tab", name="Map").click()
            expect(page.locator("#map canvas")).to_be_visible()
            assert watched.violations() == []
        assert watched.errors == []


def test_the_map_and_the_list_point_at_each_other(service: Service, desk: Watched, song: dict[str, Any]) -> None:
    page = go(desk, service, f"?s={song['track_id']}")
    expect(rows(page)).to_have_count(20)
    canvas = page.locator("#map canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile("Map of 2,9"))
    page.locator("#map summary").click()
    inside = page.locator("#map .inside button")
    expect(inside.first).to_be_visible()
    canvas.focus()
    for _ in range(6):
        page.keyboard.press("+")
    expect(page.locator("#map p.unseen")).to_contain_text("Zoom 64")
    page.keyboard.press("0")
    expect(page.locator("#map p.unseen")).to_contain_text("Zoom 1,")
    place = service.client.get(f"/v1/tracks/{rows(page).first.get_attribute('data-id')}").json["at"]
    box = canvas.bounding_box()
    assert box
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + place[0] * box["width"], box["y"] + (1 - place[1]) * box["height"])
    expect(page.locator("#results li.lit")).to_have_count(1)
    before = page.locator("#seeds li").count()
    inside.nth(1).click()  # the first one is the seed itself
    expect(page.locator("#seeds li")).to_have_count(before + 1)


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


def test_two_songs_are_compared(service: Service, desk: Watched, song: dict[str, Any]) -> None:
    page = go(desk, service, f"?s={song['track_id']}")
    expect(rows(page)).to_have_count(20)
    rows(page).first.locator(".name").click()
    page.get_by_role("button", name=re.compile("^Compare with")).click()
    expect(page.locator(".radar")).to_be_visible()
    page.get_by_text("As figures").click()
    expect(page.locator("table tbody tr")).to_have_count(8)
    assert desk.violations() == []


def test_a_cut_network_says_so_and_mends_itself(service: Service, browser: Browser, song: dict[str, Any]) -> None:
    with opened(browser, viewport={"width": 1440, "height": 1000}) as watched:
        page = go(watched, service, f"?s={song['track_id']}")
        expect(rows(page)).to_have_count(20)
        page.context.set_offline(True)
        expect(page.locator("#banner")).to_contain_text("You are offline")
        page.get_by_role("button", name="Another mix").click()
        expect(page.locator(".failed")).to_contain_text("offline")
        expect(rows(page)).to_have_count(20)
        assert watched.violations() == []
        page.context.set_offline(False)
        expect(page.locator("#banner")).to_be_hidden()
        expect(page.locator(".failed")).to_have_count(0)
        expect(rows(page)).to_have_count(20)


def test_popular_songs_say_that_they_are_no_answer(service: Service, desk: Watched) -> None:
    page = go(desk, service, "?s=~qqqq zzzz xxxx|wwww vvvv")
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


def test_an_api_key_is_asked_for(service: Service, browser: Browser) -> None:
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
        page = go(watched, service)
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("API key")
        dialog.get_by_label("API key").fill("segue_secret")
        dialog.get_by_role("button", name="Use it").click()
        expect(page.locator("#popular button")).to_have_count(12)
