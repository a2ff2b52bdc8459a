// Taking a list along: files in all formats, the text, the link.

import { fetched } from "./ask.js";
import { h, toast } from "./dom.js";
import { artistsOf } from "./words.js";

const FILES = {
  m3u8: "M3U8, for players",
  xspf: "XSPF, for VLC and others",
  jspf: "JSPF, for ListenBrainz",
  csv: "CSV, as Exportify writes it",
  uris: "Spotify links, to paste",
  jsonl: "JSON lines, for scripts",
};

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    toast("The browser does not let this page copy. Select the text and copy it yourself.");
  }
}

/** Where a list lies as a file. Of a batch there are its answers, and the songs' links. */
async function fileOf({ jobId, lines, tracks }, format) {
  if (jobId) return fetched(`/v1/jobs/${jobId}/result?format=${format}`);
  if (lines && format === "jsonl") return fetched(lines);
  return new Blob(
    tracks.filter((track) => track.spotify_url).map((track) => `${track.spotify_url}\n`),
    { type: "text/plain" },
  );
}

async function download(shown, format, again) {
  try {
    const blob = await fileOf(shown, format);
    const link = h("a", { href: URL.createObjectURL(blob), download: `segue.${format === "uris" ? "txt" : format}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  } catch (error) {
    if (error.code === "expired") toast("That result is no longer kept.", "Ask again", again);
    else toast(error.message);
  }
}

/** The buttons above a list. shown(): { jobId, lines, tracks }; again(): ask once more. */
export function takeAlong(shown, again) {
  const menu = h(
    "ul",
    { hidden: true },
    Object.entries(FILES)
      .filter(([format]) => shown().jobId || format === "uris" || (shown().lines && format === "jsonl"))
      .map(([format, label]) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              onclick: () => {
                close();
                download(shown(), format, again);
              },
            },
            label,
          ),
        ),
      ),
  );
  const opener = h(
    "button",
    {
      type: "button",
      "aria-expanded": "false",
      "data-keep": "export",
      onclick: () => (menu.hidden ? open() : close()),
    },
    "Export",
  );
  const box = h("div", { class: "menu" }, opener, menu);
  const open = () => {
    menu.hidden = false;
    opener.setAttribute("aria-expanded", "true");
    // Safari gives no focus to a button that is clicked; without it nothing would tell of a click elsewhere.
    opener.focus();
  };
  const close = () => {
    menu.hidden = true;
    opener.setAttribute("aria-expanded", "false");
  };
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || menu.hidden) return;
    event.stopPropagation();
    close();
    opener.focus();
  });
  // Nor may the focus go from the box before the click on a line of the menu is there.
  menu.addEventListener("mousedown", (event) => event.preventDefault());
  box.addEventListener("focusout", (event) => {
    if (!box.contains(event.relatedTarget)) close();
  });
  return h(
    "div",
    { class: "take" },
    h(
      "button",
      {
        type: "button",
        onclick: () =>
          copy(
            shown()
              .tracks.map((t) => `${artistsOf(t)} - ${t.name}`)
              .join("\n"),
            "The list",
          ),
      },
      "Copy",
    ),
    h(
      "button",
      {
        type: "button",
        onclick: () =>
          navigator.share
            ? navigator.share({ title: document.title, url: location.href }).catch(() => {})
            : copy(location.href, "The link"),
      },
      "Share",
    ),
    box,
  );
}
