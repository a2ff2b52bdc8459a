// One song of the list: rank, title, artist, then the facts in small, and the reasons as one thin bar that unfolds.

import { compare } from "./compare.js";
import { button, h } from "./dom.js";
import { artistsOf, camelotOf, clock, keyOf, nameOf, partOf, percent, tempoOf } from "./words.js";

/** The least that a reason has to count to be shown, in points of the score. */
const LEAST = 0.05;
const MOST_REASONS = 8;

const gains = (track) => track.reasons.filter((reason) => reason.value > 0);
const sumOf = (parts) => parts.reduce((sum, part) => sum + part.value, 0);

/** How much speaks for a song, in points of the score. */
export const gainOf = (track) => sumOf(gains(track));

/** What the small columns are; for the eye alone, as each row says it for itself. */
export function captions(tracks) {
  const some = (value, text) => h("span", tracks.some((track) => value(track)) ? text : "");
  const facts = [
    some((t) => t.year, "Year"),
    some((t) => t.genres.length, "Genre"),
    some(camelotOf, "Key"),
    some(tempoOf, "BPM"),
  ];
  return h(
    "div.song-row.captions",
    { "aria-hidden": "true" },
    h("span"),
    h("span"),
    h("span.facts", facts),
    some(gainOf, "Because"),
  );
}

/**
 * i: its place on the page, by which the focus is kept; most: the gain of the song that most speaks for; seeds: those
 * that it answers, each with its id; kind: of the request; open: whether it is unfolded; toggle(): unfold or fold it;
 * doing: see list.js.
 */
export function row(track, i, { most, seeds, kind, open, toggle, doing }) {
  const id = track.track_id;
  const body = h("div.more", { id: `more-${i}`, hidden: !open });
  if (open) unfold(body, track, { seeds, kind, doing });
  const name = h(
    "button.name",
    {
      type: "button",
      "data-keep": `row-${i}`,
      "aria-expanded": String(open),
      "aria-controls": body.id,
      onclick: toggle,
    },
    h("span.title", track.name),
    h("span.artist", artistsOf(track)),
  );
  const drop = button("×", () => doing.drop(track), {
    class: "drop",
    "data-keep": `drop-${i}`,
    "aria-label": `Remove ${nameOf(track)}, take the next`,
    title: "Remove, take the next",
  });
  return h(
    track.given ? "li.given" : "li",
    {
      "data-id": id,
      onpointerenter: () => doing.light(id),
      onpointerleave: () => doing.light(null),
      onfocusin: () => doing.light(id),
    },
    track.transition && h("p.step", transition(track.transition)),
    h(
      "div.song-row",
      h("span.rank", track.rank),
      name,
      facts(track),
      bar(gains(track), most),
      track.given ? h("span") : drop,
    ),
    body,
  );
}

function facts(track) {
  const all = [
    [track.year, "Year"],
    [track.genres[0], "Genre"],
    [camelotOf(track), "Key", keyOf(track)],
    [tempoOf(track), "Tempo"],
  ];
  return h(
    "span.facts",
    all.map(([value, label, title]) =>
      h("span", { title: title || null }, value && [h("span.unseen", `${label} `), String(value)]),
    ),
  );
}

/** The reasons as one thin bar: the two strongest, then all others. */
function bar(parts, most) {
  if (!parts.length) return h("span");
  const sum = sumOf(parts);
  const names = parts.slice(0, 3).map((part) => partOf(part.part));
  const pieces = [...parts.slice(0, 2).map((part) => part.value), sumOf(parts.slice(2))];
  return h(
    "span.bar-of",
    {
      role: "img",
      "aria-label": `Because of ${names.join(", ")}`,
      title: names.join(", "),
      style: { width: `${Math.max(8, (sum / most) * 100)}%` },
    },
    pieces.map((value) => h("i", { style: { width: `${(value / sum) * 100}%` } })),
  );
}

function transition(step) {
  const told = step.parts.filter((part) => part.score !== null && part.part !== "sound").map((part) => part.text);
  return [h("b", percent(step.score)), told.length ? ` ${told.join(" · ")}` : ""];
}

/** Show in a song's own space why it is there, what is known of it, and what can be done with it. */
export function unfold(body, track, { seeds, kind, doing }) {
  const side = h("div");
  const bordered = { class: "bordered" };
  // A path leads through all that it is given, and a list for each song has no other to keep away from.
  const canAvoid = !track.given && kind !== "path" && kind !== "each";
  const seed = seeds.find((one) => one.weight > 0 && one.id && one.id !== track.track_id);
  const besides = async () => {
    try {
      side.replaceChildren(await compare(track.track_id, seed.id));
    } catch (error) {
      side.replaceChildren(h("p.note", error.message));
    }
  };
  const whose = seeds.length > 1 ? seed?.track?.name || "the first song" : "yours";
  body.replaceChildren(
    h(
      "div.doings",
      button("More like this", () => doing.more(track), bordered),
      canAvoid && button("Less like this", () => doing.less(track), bordered),
      seed && button(`Compare with ${whose}`, besides, bordered),
      track.spotify_url && button("Play here", () => side.replaceChildren(player(track)), bordered),
      track.spotify_url &&
        h("a", { href: track.spotify_url, target: "_blank", rel: "noreferrer noopener" }, "Open in Spotify"),
    ),
    h("div", reasons(track), h("p.small.quiet", known(track).join(" · "))),
    side,
  );
}

/** Spotify's player. It is fetched when it is asked for, and not before. */
const player = (track) =>
  h("iframe.player", {
    title: `Spotify player: ${nameOf(track)}`,
    src: `https://open.spotify.com/embed/track/${encodeURIComponent(track.track_id)}`,
    allow: "encrypted-media",
    referrerpolicy: "no-referrer",
    sandbox: "allow-scripts allow-same-origin allow-popups",
  });

function known(track) {
  const key = [keyOf(track), camelotOf(track) && `(${camelotOf(track)})`].filter(Boolean).join(" ");
  const tempo = tempoOf(track) && `${tempoOf(track)} BPM`;
  const popularity = track.popularity !== null && `popularity ${track.popularity}`;
  return [
    key,
    tempo,
    track.duration_ms && clock(track.duration_ms),
    track.year,
    track.genres.join(", "),
    popularity,
  ].filter(Boolean);
}

function whyNone(track) {
  if (track.given) return "One of your songs.";
  return track.transition ? "A step between your songs." : "No reasons: it was not chosen by its sound.";
}

function reasons(track) {
  if (!track.reasons.length) return h("p.small.quiet", whyNone(track));
  const most = Math.max(...track.reasons.map((reason) => Math.abs(reason.value)));
  const shown = track.reasons.filter((reason) => Math.abs(reason.value) >= LEAST).slice(0, MOST_REASONS);
  return h(
    "dl.reasons",
    shown.map(({ part, value }) => [
      h("dt", partOf(part)),
      h("dd.line", h(value < 0 ? "i.less" : "i", { style: { width: `${(Math.abs(value) / most) * 100}%` } })),
      h("dd.number", `${value > 0 ? "+" : "−"}${Math.abs(value).toFixed(1)}`),
    ]),
  );
}
