// The box that finds songs: an ARIA combobox with a list of what may be meant while one types. One can paste into it.

import { ask } from "./ask.js";
import { h, quietly, the, toast } from "./dom.js";
import { artistsOf } from "./words.js";

const LINK = /(?:spotify:track:|open\.spotify\.com\/(?:[a-z-]+\/)?track\/)([0-9A-Za-z]{22})/;
/** Of an album or a playlist: which songs are on it, nobody here knows. */
const OTHER_LINK = /(?:spotify:|open\.spotify\.com\/\S*)(?:album|playlist|artist)\b/;
const MOST = 1000;

/** Make seeds of what was pasted or typed: links become ids, any other line a song by its name. */
export function seedsOf(text) {
  return text
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => /[\p{L}\p{N}]/u.test(line) && !line.startsWith("#") && !OTHER_LINK.test(line))
    .slice(0, MOST)
    .map((line) => {
      const link = LINK.exec(line);
      return link
        ? { track_id: link[1], weight: 1 }
        : { name: line.replace(/^\d+[.)]\s+/, "").slice(0, 200), weight: 1 };
    });
}

/** add(seeds); answered(): the type-ahead got an answer; failed(problem): it got none. */
export function find(add, answered, failed) {
  const input = the("find");
  const list = the("found");
  let options = [];
  let at = -1;
  let asking = null;
  /** What was typed when the options were found. */
  let listedFor = "";

  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    at = -1;
  };

  const mark = (to) => {
    at = to;
    [...list.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === at)));
    if (at < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", list.children[at].id);
      list.children[at].scrollIntoView({ block: "nearest" });
    }
  };

  const addText = (text) => {
    const seeds = seedsOf(text);
    if (seeds.length) add(seeds);
    else toast("No song can be read from that. Of an album or a playlist, paste the songs' names or links.");
  };

  const take = (option) => {
    close();
    asking?.abort();
    input.value = "";
    if (option.track) add([{ track_id: option.track.track_id, weight: 1, track: option.track }]);
    else addText(option.text);
  };

  const show = (typed, tracks) => {
    listedFor = typed;
    options = tracks.map((track) => ({ track }));
    options.push({ text: typed });
    list.replaceChildren(
      ...options.map((option, i) =>
        h(
          "li",
          {
            id: `found-${i}`,
            role: "option",
            "aria-selected": "false",
            onpointerdown: (event) => event.preventDefault(),
            onclick: () => take(option),
            onpointermove: () => {
              if (at !== i) mark(i);
            },
          },
          ...(option.track
            ? [
                h(
                  "span",
                  {},
                  h("span", {}, option.track.name),
                  h("span", { class: "artist" }, artistsOf(option.track)),
                ),
                h("span", { class: "year" }, option.track.year ?? ""),
              ]
            : [
                h(
                  "span",
                  {},
                  h("span", {}, `“${typed}”`),
                  h("span", { class: "artist" }, "as typed: the closest song there is"),
                ),
              ]),
        ),
      ),
    );
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    mark(tracks.length ? 0 : -1);
    the("found-said").textContent = tracks.length
      ? `${tracks.length} songs; arrow keys to choose`
      : "No song begins like this; Enter takes it as typed";
  };

  const look = quietly(async () => {
    const typed = input.value.trim();
    asking?.abort();
    if (typed.length < 2 || LINK.test(typed) || document.activeElement !== input) {
      close();
      return;
    }
    asking = new AbortController();
    try {
      const { tracks } = await ask(`/v1/tracks?q=${encodeURIComponent(typed)}&limit=8`, { signal: asking.signal });
      answered();
      if (input.value.trim() === typed) show(typed, tracks);
    } catch (error) {
      if (error.name !== "AbortError") failed(error);
    }
  }, 60);

  input.addEventListener("input", () => {
    // What is listed still answers what was typed before: Enter must not take it.
    if (!list.hidden && input.value.trim() !== listedFor) mark(-1);
    look();
  });
  input.addEventListener("blur", () => {
    asking?.abort();
    close();
  });
  input.addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text");
    if (LINK.test(text) || /[\r\n]\s*\S/.test(text.trim())) {
      event.preventDefault();
      close();
      addText(text);
    }
  });
  input.addEventListener("keydown", (event) => {
    // Enter and the arrows choose among an input method's own candidates first.
    if (event.isComposing) return;
    const open = !list.hidden;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) look();
      else {
        const step = event.key === "ArrowDown" ? 1 : -1;
        mark((at + step + options.length) % options.length);
      }
    } else if (event.key === "Enter") {
      event.preventDefault();
      const typed = input.value.trim();
      if (open && at >= 0) take(options[at]);
      else if (typed) take({ text: typed });
    } else if (event.key === "Escape") {
      if (open) close();
      else input.value = "";
    }
  });
}
