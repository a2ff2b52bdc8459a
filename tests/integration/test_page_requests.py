"""What the page asks the service for: all that its address says, and nothing that nobody waits for any more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.integration.browsing import opened
from tests.services import Service


@pytest.fixture
def page(browser: Browser, staffed: Service) -> Iterator[Page]:
    with opened(browser, base_url=staffed.client.address, viewport={"width": 1280, "height": 900}) as watched:
        yield watched.page
        # The browser's own words: of what a test refuses it, and of a canvas that a test reads.
        own = ("Failed to load resource", "getImageData")
        assert [error for error in watched.errors if not any(word in error for word in own)] == []


@pytest.fixture(scope="module")
def ids(staffed: Service) -> list[str]:
    """Known songs, the best known first."""
    return [track["track_id"] for track in staffed.client.get("/v1/popular?limit=4").json["tracks"]]


@pytest.fixture(scope="module")
def quantiles(staffed: Service) -> dict[str, list[float]]:
    found: dict[str, list[float]] = staffed.client.get("/v1/model").json["quantiles"]
    return found


def asked(page: Page, address: str, path: str) -> dict[str, Any]:
    """Open an address and return what the page posts to a path for it."""
    with page.expect_request(lambda request: request.method == "POST" and request.url.endswith(path)) as request:
        page.goto(address)
    body: dict[str, Any] = json.loads(request.value.post_data or "")
    return body


SHAPED = (
    "&year=1990-2005&bpm=90-130&g=pop&g=rock&energy=20-80&w=year%3A2%2Ctempo%3A1&pop=1&div=0.3&mix=4&not=a&not=b"
    "&valence=0-50"
)


def shaped(quantiles: dict[str, list[float]]) -> dict[str, Any]:
    return {
        "explain": True,
        "deadline_s": 15,
        "variation": 4,
        "weights": {"year": 2, "tempo": 1, "popularity": 1},
        "filters": {
            "year": [1990, 2005],
            "tempo": [90, 130],
            "genres": ["pop", "rock"],
            "energy": [quantiles["energy"][20], quantiles["energy"][80]],
            "valence": [quantiles["valence"][0], quantiles["valence"][50]],
            "exclude_tracks": ["a", "b"],
        },
    }


def test_a_list_is_asked_for_with_all_that_shapes_it(page: Page, ids: list[str], quantiles: dict[str, Any]) -> None:
    address = f"/?s={ids[0]}&s={ids[1]}*2&s={ids[2]}*-1&s=~Some Song|Some Artist&s=~Other&n=7{SHAPED}"
    assert asked(page, address, "/v1/recommendations") == shaped(quantiles) | {
        "seeds": [
            {"track_id": ids[0], "weight": 1},
            {"track_id": ids[1], "weight": 2},
            {"track_id": ids[2], "weight": -1},
            {"name": "Some Song", "artist": "Some Artist", "weight": 1},
            {"name": "Other", "weight": 1},
        ],
        "limit": 7,
        "diversity": 0.3,
    }


def test_one_list_for_each_is_a_batch_of_the_songs_that_are_wanted(
    page: Page, ids: list[str], quantiles: dict[str, Any]
) -> None:
    body = asked(page, f"/?as=each&s={ids[0]}*4&s={ids[1]}*-1&s={ids[2]}&n=3{SHAPED}", "/v1/batches")
    assert body == {
        "items": [
            shaped(quantiles) | {"seeds": [{"track_id": track_id, "weight": 1}], "limit": 3, "diversity": 0.3}
            for track_id in (ids[0], ids[2])
        ]
    }


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("&len=45m&keys=1&arc=wave", {"length": {"minutes": 45}, "harmonic": True, "arc": "wave"}),
        ("&len=12t&arc=0.2%2C0.9%2C0.4", {"length": {"tracks": 12}, "harmonic": False, "arc": [0.2, 0.9, 0.4]}),
        ("", {"length": {"tracks": 30}, "harmonic": False}),
    ],
)
def test_a_playlist_is_asked_for_with_its_length_and_order(
    page: Page, ids: list[str], quantiles: dict[str, Any], query: str, more: dict[str, Any]
) -> None:
    body = asked(page, f"/?as=playlist&s={ids[0]}*2&s={ids[1]}*-1{query}{SHAPED}", "/v1/playlists")
    seeds = [{"track_id": ids[0], "weight": 2}, {"track_id": ids[1], "weight": -1}]
    assert body == shaped(quantiles) | more | {"seeds": seeds, "diversity": 0.3}


def test_a_path_leads_through_the_songs_in_their_order(page: Page, ids: list[str], quantiles: dict[str, Any]) -> None:
    address = f"/?as=path&s={ids[2]}*2&s={ids[0]}*-1&s={ids[1]}&len=9t&keys=1&arc=wave{SHAPED}"
    assert asked(page, address, "/v1/playlists") == shaped(quantiles) | {
        "waypoints": [{"track_id": ids[2], "weight": 1}, {"track_id": ids[1], "weight": 1}],
        "length": {"tracks": 9},
        "harmonic": True,
    }


def test_back_and_forward_show_what_they_lead_to(page: Page, ids: list[str]) -> None:
    page.goto(f"/?s={ids[0]}&n=5")
    heading = page.locator("#results h2")
    expect(page.locator("#results li[data-id]")).to_have_count(5)
    first = heading.inner_text()
    page.get_by_role("button", name="More like this").first.or_(page.locator(".name").first).first.click()
    page.get_by_role("button", name="More like this").click()
    expect(heading).to_contain_text(" and ")
    second = heading.inner_text()
    page.go_back()
    expect(heading).to_have_text(first)
    page.go_forward()
    expect(heading).to_have_text(second)


def test_each_removed_song_stays_away_and_comes_back_in_turn(page: Page, ids: list[str]) -> None:
    page.goto(f"/?s={ids[0]}&n=5")
    rows = page.locator("#results li[data-id]")
    expect(rows).to_have_count(5)
    first, second = (row.get_attribute("data-id") for row in rows.all()[:2])
    for gone in (first, second):
        rows.first.locator(".drop").click()
        expect(page.locator(f'#results li[data-id="{gone}"]')).to_have_count(0)
    expect(page.locator("#results:not([aria-busy])")).to_be_visible()
    expect(page.locator(f'#results li[data-id="{first}"]')).to_have_count(0)
    page.keyboard.press("ControlOrMeta+z")
    expect(rows.first).to_have_attribute("data-id", second or "")
    page.keyboard.press("ControlOrMeta+z")
    expect(rows.first).to_have_attribute("data-id", first or "")


def test_an_answer_that_comes_too_late_is_not_shown(page: Page, ids: list[str]) -> None:
    late: list[Route] = []

    def hold(route: Route) -> None:
        if json.loads(route.request.post_data or "{}").get("variation") == 1:
            late.append(route)
        else:
            route.continue_()

    page.route("**/v1/recommendations", hold)
    page.goto(f"/?s={ids[0]}&n=5&mix=1")
    expect(page.get_by_text("Listening")).to_be_visible()
    with page.expect_event("requestfailed") as failed:  # it is not only not shown, but not waited for
        page.keyboard.press("m")
    assert failed.value.url.endswith("/v1/recommendations")
    expect(page).to_have_url(f"/?s={ids[0]}&n=5&mix=2")
    expect(page.locator("#results li[data-id]")).to_have_count(5)
    assert len(late) == 1


def test_a_list_of_songs_found_that_comes_too_late_is_not_shown(page: Page) -> None:
    def answer(route: Route) -> None:
        typed = route.request.url.partition("q=")[2].partition("&")[0]
        if typed == "th":
            page.wait_for_timeout(400)
        track: dict[str, Any] = {"track_id": typed, "name": f"Found for {typed}", "artists": [], "year": None}
        route.fulfill(json={"tracks": [track]})

    page.goto("/")
    expect(page.locator("#popular button")).to_have_count(12)
    page.route("**/v1/tracks?q=*", answer)
    page.locator("#find").focus()
    page.keyboard.insert_text("th")
    page.wait_for_timeout(150)  # past the pause in typing: it is asked for
    page.keyboard.insert_text("e")
    expect(page.locator("#found li").first).to_contain_text("Found for the")
    page.wait_for_timeout(500)
    expect(page.locator("#found li").first).to_contain_text("Found for the")


def test_history_holds_each_wish_once_the_latest_first(page: Page, ids: list[str]) -> None:
    for query in (f"s={ids[0]}", f"s={ids[1]}", f"s={ids[0]}&mix=1"):
        page.goto(f"/?{query}&n=5")
        expect(page.locator("#results:not([aria-busy]) li[data-id]")).to_have_count(5)
    page.get_by_role("button", name="History").click()
    links = page.get_by_role("dialog").get_by_role("link")
    expect(links).to_have_count(2)
    expect(links.first).to_have_attribute("href", f"/?s={ids[0]}&n=5&mix=1")
    links.last.click()
    expect(page).to_have_url(f"/?s={ids[1]}&n=5")
    expect(page.locator("#results:not([aria-busy]) li[data-id]")).to_have_count(5)


def test_what_is_half_written_is_left_alone_by_an_answer(page: Page, ids: list[str]) -> None:
    page.goto(f"/?s={ids[0]}&as=playlist&len=10t")
    expect(page.locator("#results .step")).to_have_count(9)
    page.get_by_role("button", name="Shape").click()
    page.get_by_role("button", name="Another mix").click()  # its answer is on its way
    page.get_by_label("Genres").focus()
    page.keyboard.type("ro")
    expect(page).to_have_url(re.compile("mix=1"))
    expect(page.locator("#results:not([aria-busy])")).to_be_visible()
    expect(page.get_by_label("Genres")).to_have_value("ro")
    page.keyboard.type("ck")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove genre rock")).to_be_visible()
    length = page.get_by_label("Length")
    length.fill("0")
    length.blur()
    expect(length).to_have_value("10")


def test_enter_takes_what_is_typed_and_not_what_was_found_for_less(page: Page, staffed: Service) -> None:
    name = staffed.client.get("/v1/popular?limit=1").json["tracks"][0]["name"]
    page.goto("/")
    expect(page.locator("#popular button")).to_have_count(12)
    page.locator("#find").focus()
    page.keyboard.type(name[:4])
    expect(page.locator("#found [aria-selected=true]")).to_have_count(1)
    page.keyboard.insert_text(" zzz qqq")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"s=%7E.*zzz\+qqq"))


def test_undo_on_a_message_undoes_what_it_tells_of(page: Page, ids: list[str]) -> None:
    page.goto(f"/?s={ids[0]}&n=5")
    rows = page.locator("#results li[data-id]")
    expect(rows).to_have_count(5)
    gone = rows.first.get_attribute("data-id")
    rows.first.locator(".drop").click()
    expect(page.locator(f'#results li[data-id="{gone}"]')).to_have_count(0)
    page.locator("label", has_text="Songs").locator("select").select_option("10")
    expect(rows).to_have_count(10)
    page.locator("#toasts").get_by_role("button", name="Undo").click()
    expect(rows.first).to_have_attribute("data-id", gone or "")
    expect(rows).to_have_count(10)


def test_names_with_signs_of_the_address_are_the_same_after_a_reload(page: Page) -> None:
    for name in ("Love|Hate", "Track*2", "100% Pure", "%2A %7C"):
        body = asked(page, "/?" + urlencode({"s": "~" + escaped(name)}), "/v1/recommendations")
        assert body["seeds"] == [{"name": name, "weight": 1}]
        page.reload()
    page.goto("/")
    page.fill("#find", "Love|Hate*2")
    with page.expect_request("**/v1/recommendations") as request:
        page.keyboard.press("Enter")
    assert json.loads(request.value.post_data or "")["seeds"] == [{"name": "Love|Hate*2", "weight": 1}]
    with page.expect_request("**/v1/recommendations") as request:
        page.reload()
    assert json.loads(request.value.post_data or "")["seeds"] == [{"name": "Love|Hate*2", "weight": 1}]


def escaped(name: str) -> str:
    return name.replace("%", "%25").replace("*", "%2A").replace("|", "%7C")


def test_a_song_less_on_a_path_does_not_mix_up_the_others(page: Page, ids: list[str], staffed: Service) -> None:
    names = [staffed.client.get(f"/v1/tracks/{track_id}").json["name"] for track_id in ids]
    page.goto(f"/?as=path&s={ids[0]}&s=~Nothing like it at all*-1&s=~{names[1][:3]}{names[1][4:]}&len=6t")
    expect(page.locator("#results .note").first).to_contain_text(f"“{names[1][:3]}{names[1][4:]}” was taken as")
    expect(page.locator("#seeds li.against")).to_contain_text("Nothing like it at all")
    expect(page.locator("#results h2")).to_contain_text("A path from")


def test_single_keys_can_be_switched_off(page: Page, ids: list[str]) -> None:
    page.goto(f"/?s={ids[0]}&n=5")
    expect(page.locator("#results li[data-id]")).to_have_count(5)
    page.keyboard.press("?")
    page.get_by_label("Single keys do something on this page").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#results:not([aria-busy]) li[data-id]")).to_have_count(5)
    for key in ("m", "?", "/", "j"):
        page.keyboard.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(f"/?s={ids[0]}&n=5")
    page.keyboard.press("ControlOrMeta+k")
    expect(page.locator("#find")).to_be_focused()


def test_a_wrong_key_is_refused_in_so_many_words(page: Page, ids: list[str]) -> None:
    problem = {"type": "about:blank", "title": "x", "status": 401, "detail": "no", "code": "unauthorized"}
    page.route(
        "**/v1/**",
        lambda route: route.fulfill(status=401, content_type="application/problem+json", body=json.dumps(problem)),
    )
    page.goto(f"/?s={ids[0]}")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("This service asks for an API key")
    page.get_by_label("API key", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("heading")).to_have_text("The API key was not accepted")
    page.keyboard.press("Escape")
    expect(page.locator("#results .failed")).to_contain_text("The API key was not accepted")
    page.get_by_role("button", name="Try again").click()
    expect(dialog).to_be_visible()


def test_the_map_has_a_ring_around_each_song_one_starts_from(page: Page, staffed: Service, ids: list[str]) -> None:
    at = staffed.client.get(f"/v1/tracks/{ids[0]}").json["at"]

    def ring() -> list[int]:
        """Whether the map has the page's accent around the first song, in 24 directions: 1 or 0."""
        colours: list[int] = page.evaluate(
            """async ([x, y]) => {
              const canvas = document.querySelector("#map canvas");
              const side = canvas.clientWidth, ratio = canvas.width / side;
              const of = (colour) => {
                const probe = new OffscreenCanvas(1, 1).getContext("2d");
                probe.fillStyle = colour;
                probe.fillRect(0, 0, 1, 1);
                return [...probe.getImageData(0, 0, 1, 1).data];
              };
              const left = Math.round((x * side - 12) * ratio), top = Math.round(((1 - y) * side - 12) * ratio);
              const width = Math.round(24 * ratio);
              const { data } = canvas.getContext("2d").getImageData(left, top, width, width);
              const there = (angle, radius) => {
                const at = (offset) => Math.round((12 + radius * offset) * ratio);
                const [column, row] = [at(Math.cos(angle)), at(Math.sin(angle))];
                return [...data.slice(4 * (row * width + column), 4 * (row * width + column) + 4)];
              };
              const accent = of(getComputedStyle(canvas).outlineColor);
              const like = (a, b) => a.every((part, i) => Math.abs(part - b[i]) < 40);
              return Array.from({ length: 24 }, (_, i) =>
                Number([8, 9, 10].some((radius) => like(there(i * Math.PI / 12, radius), accent))));
            }""",
            at,
        )
        return colours

    page.goto(f"/?s={ids[0]}&n=1")
    expect(page.locator("#results:not([aria-busy]) li[data-id]")).to_have_count(1)
    expect(page.locator("#map summary")).to_contain_text("2,9")
    page.wait_for_timeout(300)
    assert sum(ring()) >= 16
    page.get_by_role("button", name="Remove", exact=False).first.click()
    expect(page.locator("#seeds li")).to_have_count(0)
    page.wait_for_timeout(300)
    assert sum(ring()) <= 4
