"""The page in a real browser: `python -m bench.page --models DIR`.

Everything on this machine: headless Chromium, one API process, one worker, Redis. Times are taken inside the page, from
the time stamp of the event that the browser made of a key, the wheel or the mouse.

"Next paint" is the browser's own figure, interaction to next paint (INP): the longest of the events of one press of a
key or a mouse button, as Event Timing has it, in steps of 8 ms and from 16 ms on; shorter ones count as under 16. The
browser takes neither the wheel nor a move of the mouse for an interaction; theirs is the time until the main thread has
drawn the frame.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from bench import machine
from producer.schema import MAX_POPULAR
from tests.integration.browsing import chromium, opened
from tests.services import service, wait_for

KEY_S, LETTERS = 0.07, 14
TYPED, CHOSEN, VISITS = 5, 10, 5
DRAGS, WHEEL_STEPS, MOVES = 10, 20, 8
_SETTLED_S = 0.5
"""Until what the page was asked has come and the browser has reported its events."""
_VIEWPORT = {"width": 1440, "height": 1000}
_WATCH = """
const seen = { key: 0, interactions: new Map(), lists: [], songs: [], frames: [] };
window.seen = seen;
new PerformanceObserver((list) => {
  for (const { interactionId: id, duration } of list.getEntries()) {
    if (id) seen.interactions.set(id, Math.max(duration, seen.interactions.get(id) || 0));
  }
}).observe({ type: "event", durationThreshold: 16, buffered: true });
addEventListener("keydown", (event) => { seen.key = event.timeStamp; }, true);
// A task that is posted while a frame is made runs when its scripts, layout and painting are done.
const note = ({ timeStamp }) => seen.frames.push(performance.now() - timeStamp);
const frame = (event) => requestAnimationFrame(() => {
  scheduler.postTask(() => note(event), { priority: "user-blocking" });
});
for (const kind of ["wheel", "pointermove"]) addEventListener(kind, frame, { capture: true, passive: true });
addEventListener("DOMContentLoaded", () => {
  const [found, results] = [document.getElementById("found"), document.getElementById("results")];
  // The last line of the list is what was typed, not a song.
  new MutationObserver(() => seen.lists.push([performance.now() - seen.key, found.children.length - 1]))
    .observe(found, { childList: true });
  new MutationObserver(() => {
    if (results.querySelectorAll("li[data-id]").length === 20) seen.songs.push(performance.now() - seen.key);
  }).observe(results, { childList: true, subtree: true });
});
"""


def main() -> None:
    """Measure it all."""
    parser = argparse.ArgumentParser(prog="python -m bench.page")
    parser.add_argument("--models", type=Path, required=True, help="a folder of published models")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder), options.models.resolve()) as running,
        running.worker(),
        chromium() as browser,
    ):
        wait_for(running.is_ready, "the service", 60)
        address = running.client.address
        tracks = running.client.get("/v1/model").json["tracks"]
        print(f"{machine.describe()}, Chromium {browser.version}; {tracks:,} tracks; one worker\n")
        popular = running.client.get(f"/v1/popular?limit={MAX_POPULAR}").json["tracks"]
        # Letters that no key makes would come without the events that are measured.
        names = list(dict.fromkeys(track["name"] for track in popular if track["name"].isascii()))
        titles = [name[:LETTERS] for name in names]
        wrong = [f"{name[:2]}{name[3:]}"[:LETTERS] for name in names]
        visits(browser, address)
        print("\n| from, to | times | p50 ms | p98 ms | worst ms |\n|---|---|---|---|---|")
        row("key while typing, next paint", typing(browser, address, titles[:TYPED]))
        row("the same, third letter left out", typing(browser, address, wrong[:TYPED]))
        for name, typed in (("key, list of songs found", titles), ("the same, third letter left out", wrong)):
            found = lists(browser, address, typed[:TYPED])
            row(f"{name} ({sum(not songs for _, songs in found)} without a song)", [ms for ms, _ in found])
        row("choice of a song, list of 20", answers(browser, address, titles[:CHOSEN]))
        presses, frames = on_the_map(browser, address, popular[0]["track_id"])
        row("map, button of the mouse, next paint", presses)
        row("map, wheel or move, its frame", frames)


def visits(browser: Browser, address: str) -> None:
    """Print what a first visit costs, with nothing in the browser's cache."""
    found = [visit(browser, address) for _ in range(VISITS)]
    print(f"| first visit, {VISITS} times | median | least | most |\n|---|---|---|---|")
    for name, digits, values in (
        ("document, styles and scripts, kB over the wire", 1, [size / 1000 for size, _ in found]),
        ("first contentful paint, ms", 0, [painted for _, painted in found]),
    ):
        cells = " | ".join(f"{value:.{digits}f}" for value in (median(values), min(values), max(values)))
        print(f"| {name} | {cells} |", flush=True)


def visit(browser: Browser, address: str) -> tuple[int, float]:
    """Visit in a context of its own. → bytes asked for before the map's picture, headers too; ms to the first paint."""
    asked: dict[str, dict[str, Any]] = {}
    sizes: dict[str, int] = {}
    with opened(browser, viewport=_VIEWPORT) as watched:
        network = watched.page.context.new_cdp_session(watched.page)
        network.on("Network.requestWillBeSent", lambda sent: asked.update({sent["requestId"]: sent}))
        network.on("Network.loadingFinished", lambda end: sizes.update({end["requestId"]: end["encodedDataLength"]}))
        network.send("Network.enable")
        watched.page.goto(address)
        see_the_map(watched.page)
        painted = watched.page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    paths = [urlsplit(sent["request"]["url"]).path for sent in asked.values()]
    before = list(asked.items())[: paths.index("/v1/map.png")]
    kinds = ("Document", "Stylesheet", "Script")
    return int(sum(sizes[name] for name, sent in before if sent["type"] in kinds)), float(painted)


@contextmanager
def watching(browser: Browser) -> Iterator[Page]:
    """Open a page that notes its times in `seen`, in a context of its own; nothing on it may go wrong."""
    with opened(browser, viewport=_VIEWPORT) as watched:
        watched.page.add_init_script(_WATCH)
        yield watched.page
        assert not watched.errors, watched.errors


def go(page: Page, address: str) -> None:
    """Go to the page as one finds it at first."""
    page.goto(address)
    expect(page.locator("#popular button").first).to_be_visible()


def see_the_map(page: Page) -> None:
    """Wait until the map has its picture and its songs."""
    expect(page.locator("#map summary")).to_contain_text("Songs in view:")


def typing(browser: Browser, address: str, titles: Sequence[str]) -> list[float]:
    """Type titles at an even pace. → ms from each key, that which empties the box too, to the next paint."""
    with watching(browser) as page:
        go(page, address)
        for title in titles:
            clear(page)
            began = time.perf_counter()
            for n, letter in enumerate(title):
                time.sleep(max(0.0, began + n * KEY_S - time.perf_counter()))
                page.keyboard.press(letter)
            time.sleep(_SETTLED_S)
        return interactions(page)


def interactions(page: Page) -> list[float]:
    """Return ms to the next paint of all interactions so far, 0 for those too short to be reported."""
    count: int = page.evaluate("performance.interactionCount")
    reported: list[float] = page.evaluate("[...seen.interactions.values()]")
    return reported + [0.0] * (count - len(reported))


def lists(browser: Browser, address: str, titles: Sequence[str]) -> list[tuple[float, int]]:
    """Type titles, each letter once the list for the one before is there. → ms from each key to its list, its songs."""
    count = 0
    with watching(browser) as page:
        go(page, address)
        for title in titles:
            clear(page)
            for n, letter in enumerate(title, 1):
                page.keyboard.press(letter)
                if len(title[:n].strip()) > 1:  # the page does not look for a single letter
                    count += 1
                    wait_for(partial(has_lists, page, count), "a list of songs")
        found: list[tuple[float, int]] = page.evaluate("seen.lists")
    return found


def has_lists(page: Page, count: int) -> bool:
    """Whether so many lists of songs have come."""
    return bool(page.evaluate("seen.lists.length") >= count)


def clear(page: Page) -> None:
    """Empty the box that finds songs, and wait until its list is gone."""
    page.fill("#find", "")
    expect(page.locator("#found")).to_be_hidden()


def answers(browser: Browser, address: str, titles: Sequence[str]) -> list[float]:
    """Choose songs, each on the page as one finds it at first. → ms from Enter to the list of 20."""
    found: list[float] = []
    with watching(browser) as page:
        for title in titles:
            go(page, address)
            see_the_map(page)
            page.focus("#find")
            page.keyboard.type(title)
            expect(page.locator("#found-0")).to_be_visible()
            time.sleep(_SETTLED_S)
            page.keyboard.press("Enter")
            expect(page.locator("#results li[data-id]")).to_have_count(20)
            found.append(page.evaluate("seen.songs[0]"))
    return found


def on_the_map(browser: Browser, address: str, track_id: str) -> tuple[list[float], list[float]]:
    """Zoom in by the wheel and drag in turns, a song chosen. → ms of presses, and of wheel steps and moves."""
    with watching(browser) as page:
        page.goto(f"{address}/?s={track_id}")
        expect(page.locator("#results li[data-id]")).to_have_count(20)
        see_the_map(page)
        canvas = page.locator("#map canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        for n in range(DRAGS):
            for _ in range(WHEEL_STEPS // DRAGS):
                page.mouse.wheel(0, -120)
                time.sleep(KEY_S)
            page.mouse.down()
            way = 1 if n % 2 else -1
            page.mouse.move(x + 100 * way, y + 60 * way, steps=MOVES)
            page.mouse.up()
            page.mouse.move(x, y)
            time.sleep(_SETTLED_S)
        frames: list[float] = page.evaluate("seen.frames")
        return interactions(page), frames


def row(name: str, times: Sequence[float]) -> None:
    """Print a row: how many, p50, p98 (nearest rank, so of few times the worst) and the worst."""
    ordered = sorted(times)
    figures = [ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.98, 1)]
    cells = " | ".join(f"{ms:.0f}" if ms else "< 16" for ms in figures)
    print(f"| {name} | {len(times)} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
