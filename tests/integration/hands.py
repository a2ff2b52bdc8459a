"""How a page is worked: by a mouse, a finger, or the keyboard alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from playwright.sync_api import Locator, Page, expect

from tests.integration.browsing import Watched

MOST_TABS = 400
"""Elements on a page that Tab may have to pass."""

SIZES = {"phone": (360, 760), "tablet": (768, 1024), "desk": (1440, 1000)}

_IS_FOCUSED = "element => element === document.activeElement"

_SHOWS_FOCUS = """element => {
  const drawn = (one) => {
    const style = getComputedStyle(one);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  };
  const box = element.getBoundingClientRect();
  const inView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const byItself = element.matches("input[type=range], .arc .point");  // thumbs and points show it in their own way
  const beside = element.nextElementSibling;  // a radio's label shows it for the radio
  return element.matches(":focus-visible") && inView && (byItself || drawn(element) || (beside && drawn(beside)));
}"""


class Hand(Protocol):
    """What somebody can do to a page."""

    def press(self, what: Locator) -> None:
        """Use a button, a link, a box to check, a radio or a tab."""

    def choose(self, what: Locator, label: str) -> None:
        """Choose from a list that opens."""

    def write(self, what: Locator, text: str) -> None:
        """Write into a field, and Enter."""

    def slide(self, what: Locator, share: float, key: str) -> None:
        """Set a slider. share: where to, 0–1, by a pointer; key: what the keyboard presses, once."""


@dataclass
class Mouse:
    page: Page

    def press(self, what: Locator) -> None:
        if what.get_attribute("type") in ("radio", "checkbox"):
            what.check(force=True)  # a radio lies invisibly under its label
        else:
            what.click()

    def choose(self, what: Locator, label: str) -> None:
        what.select_option(label)

    def write(self, what: Locator, text: str) -> None:
        what.fill(text)
        self.page.keyboard.press("Enter")

    def slide(self, what: Locator, share: float, key: str) -> None:
        what.scroll_into_view_if_needed()
        box = what.bounding_box()
        assert box
        if what.get_attribute("role") == "slider":  # a point of the curve, in a picture of its own
            start = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            picture = what.locator("xpath=..").bounding_box()
            assert picture
            end = (start[0], picture["y"] + (1 - share) * picture["height"])
        else:
            now = what.evaluate("input => (input.value - input.min) / (input.max - input.min)")
            start, end = (
                (box["x"] + 12 + place * (box["width"] - 24), box["y"] + box["height"] / 2) for place in (now, share)
            )
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=4)
        self.page.mouse.up()


@dataclass
class Finger(Mouse):
    def press(self, what: Locator) -> None:
        if what.get_attribute("type") in ("radio", "checkbox"):
            what.check(force=True)
        else:
            what.tap()


@dataclass
class Keys:
    """The keyboard alone: whatever is to be used must be reached by Tab, and show that it was."""

    page: Page

    def reach(self, what: Locator) -> None:
        expect(what).to_be_visible()
        for _ in range(MOST_TABS):
            if what.evaluate(_IS_FOCUSED):
                self._see_focus(what)
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{what} cannot be reached by Tab")

    def _see_focus(self, what: Locator) -> None:
        """It may be drawn anew while one looks, and has the focus again then: so look more than once."""
        for _ in range(20):
            if what.evaluate(_SHOWS_FOCUS):
                return
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{what} has the focus, and nobody can see it")

    def press(self, what: Locator) -> None:
        if what.get_attribute("type") == "radio":
            self._choose_radio(what)
            return
        if what.get_attribute("role") == "tab" and what.get_attribute("aria-selected") == "false":
            self.reach(self.page.locator("[role=tab][aria-selected=true]"))
            self.page.keyboard.press("ArrowRight")
            return
        self.reach(what)
        self.page.keyboard.press("Space" if what.get_attribute("type") == "checkbox" else "Enter")

    def _choose_radio(self, what: Locator) -> None:
        """Tab goes to the chosen one of a group; the arrows go on from there, and choose."""
        self.reach(self.page.locator(f'input[name="{what.get_attribute("name")}"]:checked'))
        for _ in range(10):
            if what.is_checked():
                return
            self.page.keyboard.press("ArrowRight")
        raise AssertionError(f"{what} cannot be chosen by the arrow keys")

    def choose(self, what: Locator, label: str) -> None:
        self.reach(what)
        self.page.keyboard.type(label)

    def write(self, what: Locator, text: str) -> None:
        self.reach(what)
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")

    def slide(self, what: Locator, share: float, key: str) -> None:
        self.reach(what)
        self.page.keyboard.press(key)


@dataclass
class Visitor:
    """Somebody at a page: how large it is, and by what means they work it."""

    watched: Watched
    hand: Hand
    size: str

    @property
    def page(self) -> Page:
        return self.watched.page

    @property
    def songs(self) -> Locator:
        """The rows of the list."""
        return self.page.locator("#results li[data-id]")

    def button(self, name: str, nth: int = 0) -> None:
        """Press the nth button of this name, which its accessible name begins with."""
        self.hand.press(self.page.locator(f'button:is([aria-label^="{name}"], :text("{name}"))').nth(nth))

    def wait(self) -> None:
        """Wait until the songs are those that were asked for last."""
        expect(self.page.locator("#results:not([aria-busy]) li[data-id]").first).to_be_visible()

    def turn_to_map(self) -> None:
        """Have the map in view: on a narrow page it is a tab."""
        if self.size != "desk":
            self.hand.press(self.page.get_by_role("tab", name="Map"))
        expect(self.page.locator("#map canvas")).to_be_visible()

    def look(self) -> None:
        """See that nothing is wrong with the page as it is: axe finds nothing, nothing is wider than the page."""
        found, width = self.watched.violations(), self.page.evaluate("document.documentElement.scrollWidth")
        assert not found, found
        assert width <= SIZES[self.size][0], f"the page is {width} px wide"
