// What was asked for before, on this device alone: to search, to go back to, to clear.

import { dialog, h } from "./dom.js";

const KEY = "segue.history";
const MOST = 200;

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) || "[]");
    return Array.isArray(kept)
      ? kept.filter((one) => one && typeof one.query === "string" && typeof one.name === "string")
      : [];
  } catch {
    return [];
  }
}

function save(all) {
  try {
    localStorage.setItem(KEY, JSON.stringify(all.slice(0, MOST)));
  } catch {
    // Full or forbidden storage: then there is no history.
  }
}

/** Remember what was asked for. query: of the page's address; name: what to call it. */
export function remember(query, name) {
  save([{ query, name, at: Date.now() }, ...load().filter((one) => one.query !== query && one.name !== name)]);
}

/** Show it. go(query): called with what was chosen. */
export function showHistory(go) {
  const list = h("ul", { class: "past" });
  const search = h("input", {
    type: "search",
    autofocus: true,
    "aria-label": "Search what you asked for",
    placeholder: "Search",
    oninput: () => show(),
  });
  const when = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const all = load().filter((one) => one.name.toLowerCase().includes(wanted));
    list.replaceChildren(
      ...all.map((one) =>
        h(
          "li",
          {},
          h(
            "a",
            {
              href: `/${one.query}`,
              onclick: (event) => {
                if (event.ctrlKey || event.metaKey || event.shiftKey) return;
                event.preventDefault();
                box.close();
                go(one.query);
              },
            },
            one.name,
          ),
          h("span", { class: "small quiet" }, when.format(one.at)),
        ),
      ),
    );
    if (!all.length)
      list.append(
        h(
          "li",
          { class: "quiet" },
          wanted ? "Nothing like that." : "Nothing yet. What you ask for is kept here, on this device only.",
        ),
      );
  };
  const box = dialog(
    "What you asked for",
    search,
    list,
    h(
      "p",
      {},
      h(
        "button",
        {
          type: "button",
          class: "bordered",
          onclick: () => {
            save([]);
            show();
          },
        },
        "Clear all",
      ),
    ),
  );
  show();
}
