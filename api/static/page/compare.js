// Two songs side by side: how each stands among all songs of the catalogue, feature by feature.

import { ask } from "./ask.js";
import { h, s } from "./dom.js";
import { nameOf, percent } from "./words.js";

const SIDES = {
  energy: "energy",
  valence: "brightness",
  danceability: "dance",
  loudness: "loudness",
  speechiness: "speech",
  instrumentalness: "instrumental",
  liveness: "live",
  acousticness: "acoustic",
};
const details = new Map();
const MOST_KEPT = 200;

/** One track with its features, from memory if it was asked for before. */
export function detail(id) {
  if (!details.has(id)) {
    if (details.size >= MOST_KEPT) details.delete(details.keys().next().value);
    const asked = ask(`/v1/tracks/${encodeURIComponent(id)}`);
    details.set(id, asked);
    asked.catch(() => details.delete(id));
  }
  return details.get(id);
}

/** A radar of two tracks, and the same as a table for who would rather read. */
export async function compare(id, other) {
  const [a, b] = await Promise.all([detail(id), detail(other)]);
  const names = Object.keys(SIDES).filter((name) => a.percentiles[name] !== null && b.percentiles[name] !== null);
  const at = (i, share) => {
    const angle = (i / names.length) * 2 * Math.PI - Math.PI / 2;
    return [130 + 90 * share * Math.cos(angle), 110 + 90 * share * Math.sin(angle)].map((v) => v.toFixed(1)).join(" ");
  };
  const shape = (track) => `M${names.map((name, i) => at(i, track.percentiles[name])).join("L")}Z`;
  const webs = [0.25, 0.5, 0.75, 1].map((share) =>
    s("path", { class: "web", d: `M${names.map((_, i) => at(i, share)).join("L")}Z` }),
  );
  const labels = names.map((name, i) => {
    const [x, y] = at(i, 1.17).split(" ");
    return s("text", { x, y }, SIDES[name]);
  });
  return h(
    "figure",
    {},
    s(
      "svg",
      {
        class: "radar",
        viewBox: "0 0 260 220",
        role: "img",
        "aria-label": `${nameOf(a)} beside ${nameOf(b)}; the table below has the figures`,
      },
      webs,
      s("path", { class: "b", d: shape(b) }),
      s("path", { class: "a", d: shape(a) }),
      labels,
    ),
    h(
      "figcaption",
      { class: "small quiet" },
      "In colour ",
      h("span", { class: "strong" }, a.name),
      ", dashed ",
      h("span", { class: "strong" }, b.name),
      ". How many songs have less of it: further out is more.",
    ),
    h(
      "details",
      { class: "small" },
      h("summary", {}, "As figures"),
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h("tr", {}, h("td", {}, ""), h("th", { scope: "col" }, a.name), h("th", { scope: "col" }, b.name)),
        ),
        h(
          "tbody",
          {},
          names.map((name) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, SIDES[name]),
              h("td", {}, percent(a.percentiles[name])),
              h("td", {}, percent(b.percentiles[name])),
            ),
          ),
        ),
      ),
    ),
  );
}
