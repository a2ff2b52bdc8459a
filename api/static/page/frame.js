// What stands around the songs: the banner, the tabs of a narrow screen, the theme, the keys, the API key.

import { useKey } from "./ask.js";
import { button, dialog, h, the } from "./dom.js";

const KEYS = [
  ["/", "Find a song"],
  ["↑ ↓", "Choose among the songs found"],
  ["j k", "Next, previous song of the list"],
  ["x", "Remove the song in focus, take the next"],
  ["m", "Another mix"],
  ["Ctrl Z", "Undo"],
  ["?", "This list"],
];

/** List and map share a wide screen; on a narrow one they are two tabs. shown(): the map has come into view. */
export function tabs(shown) {
  const both = [the("tab-list"), the("tab-map")];
  const choose = (i, focus) => {
    both.forEach((tab, n) => {
      tab.setAttribute("aria-selected", String(n === i));
      tab.tabIndex = n === i ? 0 : -1;
    });
    document.querySelector(".shared").dataset.tab = i ? "map" : "list";
    if (focus) both[i].focus();
    if (i) shown();
  };
  both.forEach((tab, i) => {
    tab.addEventListener("click", () => choose(i, false));
    tab.addEventListener("keydown", (event) => {
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") choose(1 - i, true);
    });
  });
  document.querySelector(".tabs").hidden = false;
  choose(0, false);
}

/** The choice of a theme, kept in this browser; theme.js sets it before the first paint. changed(): it is another. */
export function theme(changed) {
  const select = the("theme");
  select.value = document.documentElement.dataset.theme || "system";
  select.addEventListener("change", () => {
    if (select.value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
    try {
      localStorage.setItem("segue.theme", select.value);
    } catch {
      // It holds for this visit then.
    }
    changed();
  });
}

function showKeys() {
  if (document.querySelector("dialog")) return;
  const each = KEYS.map(([key, does]) => [
    h(
      "dt",
      {},
      key.split(" ").map((one) => [h("kbd", {}, one), " "]),
    ),
    h("dd", {}, does),
  ]);
  const box = h("input", { type: "checkbox", checked: single, onchange: (event) => setSingle(event.target.checked) });
  const choice = h("p", h("label", box, " Single keys do something on this page"));
  dialog(
    "Keys",
    choice,
    h("dl", each, h("dt", {}, "On the map"), h("dd", {}, "Arrows move, + and − zoom, 0 shows all")),
  );
}

const SINGLE = "segue.keys";
/** Whether keys without Ctrl do something: whoever speaks to the machine may not want that. */
let single = true;
try {
  single = localStorage.getItem(SINGLE) !== "off";
} catch {
  // Without storage they do.
}

function setSingle(on) {
  single = on;
  try {
    localStorage.setItem(SINGLE, on ? "on" : "off");
  } catch {
    // It holds for this visit then.
  }
}

/** Keys that work everywhere but where one types. undo(), mix(): what they do. */
export function keys(undo, mix) {
  the("help-open").addEventListener("click", showKeys);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest(
      "input:not([type=radio], [type=range], [type=checkbox]), textarea, select, dialog",
    );
    const control = event.ctrlKey || event.metaKey;
    const pressed = event.key.toLowerCase();
    if ((control && pressed === "k") || (single && !control && !typing && !event.altKey && pressed === "/")) {
      event.preventDefault();
      the("find").focus();
    } else if (control && pressed === "z" && !event.shiftKey && !typing) {
      event.preventDefault();
      undo();
    } else if (!single || typing || control || event.altKey) return;
    else if (event.key === "?") showKeys();
    else if (pressed === "m") mix();
    else if (pressed === "j" || pressed === "k") step(pressed === "j" ? 1 : -1);
    else if (pressed === "x") document.activeElement.closest("li[data-id]")?.querySelector(".drop")?.click();
  });
}

/** Go to the next or the previous song. */
function step(by) {
  const rows = [...the("results").querySelectorAll(".name")];
  const here = document.activeElement.closest("li[data-id]")?.querySelector(".name");
  rows[Math.min(rows.length - 1, Math.max(0, rows.indexOf(here) + by))]?.focus();
}

/** Say how the service is, above everything else; null: it is well. again(): offered as a button. */
export function banner(text, again = null) {
  const box = the("banner");
  const hadFocus = box.contains(document.activeElement);
  box.hidden = !text;
  // Said again it would be read out again, every few seconds; and the button would go from under who presses it.
  if (text && box.firstChild?.textContent === text && Boolean(again) === Boolean(box.querySelector("button"))) return;
  box.replaceChildren(text || "", again ? button("Try again", again) : "");
  if (hadFocus) (box.querySelector("button") || the("find")).focus();
}

/** Ask for an API key, once, and say why; then again(). */
export function askForKey(why, again) {
  if (document.querySelector("dialog")) return;
  const input = h("input", { type: "password", id: "key", autocomplete: "off", autofocus: true });
  const use = () => {
    useKey(input.value.trim());
    again();
  };
  const box = dialog(
    why.replace(/\.$/, ""),
    h(
      "form",
      { method: "dialog", onsubmit: use },
      h("p", {}, h("label", { for: "key" }, "API key "), input, " ", h("button", { class: "solid" }, "Use it")),
      h(
        "p",
        { class: "small quiet" },
        "It is kept in this browser. Whoever runs the service makes one with python -m api keys create.",
      ),
    ),
  );
  box.addEventListener("close", () => the("find").focus());
}
