// The map of all songs: dark to bright from left to right, calm to energetic from bottom to top. A picture of how dense
// the songs lie, made in training, with labels; closer in, single songs. The same songs stand in a list below.

import { ask, fetched, passes } from "./ask.js";
import { button, h, quietly, the } from "./dom.js";
import { painter } from "./paint.js";
import { artistsOf, nameOf } from "./words.js";

const MOST_ZOOM = 4096;
const AGAIN_MS = 5000;
const ALL = { x: 0.5, y: 0.5, zoom: 1 };
/** From this zoom on songs are drawn, and from that one on with their names instead of the clusters'. */
const CLOSE = 4;
const NEAR = 14;
/** How far a button moves it, as a share of what is in view. */
const PAN = 0.25;
/** Songs in the list below, dots on the map, and names beside them. */
const LISTED = 60;
const DRAWN = 400;
const NAMED = 40;
/** How much room a cluster needs to its neighbours to be named, as a share of the map's side. */
const ROOM = 0.08;
/** How far from a dot a pointer still means it, and how far it may move for a click, in px. */
const REACH = 15;
const STILL = 4;

/** light(id): point at a song elsewhere; add(track): take it to start from; viewed(view): another part is in view. */
export function createMap({ light, add, viewed }) {
  const canvas = h("canvas", {
    tabindex: 0,
    role: "application",
    "aria-label": "The map is being loaded",
    "data-keep": "map",
  });
  const tip = h("div.tip", { hidden: true });
  const inside = h("ul.inside");
  const summary = h("summary", "Songs in view");
  const said = h("p.unseen", { role: "status" });
  const left = h("span");
  const right = h("span");
  const go = (x, y) => () => move({ ...view, x: view.x + x / view.zoom, y: view.y + y / view.zoom });
  const buttons = h(
    "div.zoom",
    button("+", () => zoom(2), { "aria-label": "Zoom in" }),
    button("−", () => zoom(0.5), { "aria-label": "Zoom out" }),
    button("○", () => move(ALL), { "aria-label": "Show all of the map" }),
  );
  const pan = h(
    "div.pan",
    { hidden: true },
    button("↑", go(0, PAN), { "aria-label": "Move up" }),
    button("←", go(-PAN, 0), { "aria-label": "Move left" }),
    button("→", go(PAN, 0), { "aria-label": "Move right" }),
    button("↓", go(0, -PAN), { "aria-label": "Move down" }),
  );
  the("map").append(
    h("figure", canvas, tip, buttons, pan, h("figcaption", h("div.axis", left, right))),
    said,
    h("details", summary, inside),
  );

  const paint = painter(canvas);
  let size = 0;
  let frame = 0;
  let asking = null;
  let view = ALL;
  /** Of /v1/map, and its picture. */
  let about = null;
  let picture = null;
  /** Songs that are near, that were found, and that one starts from; the id of the one that is pointed at. */
  let near = [];
  let found = [];
  let seeds = [];
  let lit = null;

  const put = ([x, y]) => [(0.5 + (x - view.x) * view.zoom) * size, (0.5 - (y - view.y) * view.zoom) * size];
  const pick = (px, py) => [view.x + (px / size - 0.5) / view.zoom, view.y - (py / size - 0.5) / view.zoom];

  function move(to) {
    const half = 0.5 / Math.max(1, to.zoom);
    const hold = (v) => Math.min(1 - half, Math.max(half, v));
    view = { zoom: Math.min(MOST_ZOOM, Math.max(1, to.zoom)), x: hold(to.x), y: hold(to.y) };
    pan.hidden = view.zoom === 1;
    draw();
    look();
    tell();
  }

  const tell = quietly(() => viewed(view.zoom > 1 ? view : null), 300);

  /** Zoom so that the place under px, py stays there. */
  function zoom(by, px = size / 2, py = size / 2) {
    const [x, y] = pick(px, py);
    const to = Math.min(MOST_ZOOM, Math.max(1, view.zoom * by));
    move({ zoom: to, x: x - (px / size - 0.5) / to, y: y + (py / size - 0.5) / to });
  }

  function draw() {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      drawNow();
    });
  }

  function drawNow() {
    const wasHidden = !size;
    size = paint.begin();
    if (!size) return;
    if (wasHidden) look();
    if (picture) paint.cloud(picture, ...put([0, 1]), size * view.zoom, Math.max(0.25, 1 - Math.log2(view.zoom) / 10));
    for (const track of near) paint.dot(...put(track.at), 2, "quiet");
    for (const track of found) paint.keepFree(...put(track.at));
    const one = [...found, ...near].find((track) => track.track_id === lit);
    if (one) paint.keepFreeFor(one.name, ...above(one, 16));
    if (view.zoom < NEAR) drawClusters();
    else
      for (const track of near.slice(0, NAMED))
        if (track !== one) paint.label(track.name, ...above(track, 12), "quiet");
    for (const track of found) paint.dot(...put(track.at), track.track_id === lit ? 8 : 5, "accent", "paper");
    for (const { weight, track } of seeds) {
      const colour = weight < 0 ? "quiet" : "accent";
      paint.ring(...put(track.at), 9, colour);
      paint.dot(...put(track.at), 3, colour);
    }
    if (one && !found.includes(one)) paint.dot(...put(one.at), 5, "ink", "paper");
    if (one) paint.headline(one.name, ...above(one, 16));
  }

  const above = (track, by) => [put(track.at)[0], put(track.at)[1] - by];

  /** Name the clusters in view, the largest first; what one is called already is not said again. */
  function drawClusters() {
    const named = new Set();
    for (const { genres, room, at } of about?.labels || []) {
      if (!genres.length || named.has(genres[0]) || room * view.zoom <= ROOM) continue;
      if (paint.label(genres.slice(0, 2).join(", "), ...put(at), "quiet")) named.add(genres[0]);
    }
  }

  /** Ask which songs lie in view. */
  const look = quietly(async () => {
    if (!about || !size) return;
    asking?.abort();
    asking = new AbortController();
    const half = 0.5 / view.zoom;
    const edges = [view.x - half, view.y - half, view.x + half, view.y + half];
    const box = edges.map((v) => Math.min(1, Math.max(0, v)).toFixed(5)).join(",");
    const isFar = view.zoom < CLOSE;
    try {
      const seen = await ask(`/v1/map/tracks?box=${box}&limit=${isFar ? LISTED : DRAWN}`, { signal: asking.signal });
      near = isFar ? [] : seen.tracks.filter((track) => track.at);
      summary.textContent = `Songs in view: ${seen.count.toLocaleString("en")}, the best known first`;
      inside.replaceChildren(...seen.tracks.slice(0, LISTED).map(listed));
      draw();
    } catch (error) {
      if (error.name !== "AbortError") summary.textContent = error.message;
    }
  }, 150);

  function listed(track) {
    const point = () => show(track);
    const text = `${track.name} – ${artistsOf(track)}`;
    return h(
      "li",
      button(text, () => add(track), { onfocus: point, onpointerenter: point }),
    );
  }

  function show(track) {
    lit = track.track_id;
    if (track.at && !near.some((one) => one.track_id === lit)) near = [...near, track];
    draw();
  }

  /** The song under a pointer, or null. */
  function nearest(px, py) {
    const away = (track) => Math.hypot(put(track.at)[0] - px, put(track.at)[1] - py);
    let best = null;
    for (const track of [...found, ...near]) if (away(track) < (best ? away(best) : REACH)) best = track;
    return best;
  }

  function hover(px, py) {
    const track = nearest(px, py);
    tip.hidden = !track;
    if (track) {
      tip.textContent = nameOf(track);
      const [x, y] = put(track.at);
      const half = tip.offsetWidth / 2;
      tip.style.left = `${Math.min(size - half, Math.max(half, x))}px`;
      tip.style.top = `${y}px`;
      tip.classList.toggle("below", y < 2 * tip.offsetHeight);
    }
    const id = track?.track_id ?? null;
    if (id === lit) return;
    lit = id;
    light(id);
    draw();
  }

  // One pointer that is down pans, two zoom; one that hardly moved has clicked.
  const down = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, [event.offsetX, event.offsetY]);
    tip.hidden = true;
    if (down.size === 1) moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const was = down.get(event.pointerId);
    const now = [event.offsetX, event.offsetY];
    if (!was) {
      hover(...now);
      return;
    }
    down.set(event.pointerId, now);
    const [other] = [...down].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    if (other) {
      moved = Infinity;
      const apart = (at) => Math.max(1, Math.hypot(at[0] - other[0], at[1] - other[1]));
      zoom(apart(now) / apart(was), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else {
      const [dx, dy] = [now[0] - was[0], now[1] - was[1]];
      moved += Math.hypot(dx, dy);
      move({ ...view, x: view.x - dx / size / view.zoom, y: view.y + dy / size / view.zoom });
    }
  });
  const up = (event) => {
    const hasClicked = down.delete(event.pointerId) && moved < STILL && event.type === "pointerup";
    if (!hasClicked || event.button) return;
    const track = nearest(event.offsetX, event.offsetY);
    // A finger cannot point before it presses: the first touch says which song it is, the second takes it.
    if (track && event.pointerType === "touch" && track.track_id !== lit) hover(event.offsetX, event.offsetY);
    else if (track) add(track);
    else {
      const [x, y] = pick(event.offsetX, event.offsetY);
      move({ ...view, x, y });
    }
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", (event) => {
    if (event.pointerType === "touch") return;
    tip.hidden = true;
    lit = null;
    light(null);
    draw();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      zoom(2 ** (-event.deltaY / 240), event.offsetX, event.offsetY);
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    const step = 0.15 / view.zoom;
    const to = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (to) move({ ...view, x: view.x + to[0], y: view.y + to[1] });
    else if (event.key === "+" || event.key === "=") zoom(2);
    else if (event.key === "-") zoom(0.5);
    else if (event.key === "0") move(ALL);
    else return;
    event.preventDefault();
    const [bright, energetic] = [view.x, view.y].map((share) => Math.round(share * 100));
    said.textContent = `Zoom ${Math.round(view.zoom)}, at ${bright} % bright, ${energetic} % energetic`;
  });
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  /** Load what the map is. */
  async function begin() {
    try {
      about = await ask("/v1/map");
      const { x, y, tracks } = about;
      left.textContent = `← ${x.low}, ${y.low} ↓`;
      right.textContent = `${x.high} →, ${y.high} ↑`;
      canvas.setAttribute(
        "aria-label",
        [
          `Map of ${tracks.toLocaleString("en")} songs: ${x.low} to ${x.high} from left to right,`,
          `${y.low} to ${y.high} from bottom to top. Arrow keys move, plus and minus zoom.`,
          "The list below holds the same songs.",
        ].join(" "),
      );
      picture = await createImageBitmap(await fetched("/v1/map.png"));
      the("map").hidden = false;
    } catch (error) {
      const isNone = error.code === "not-found";
      the("map").hidden = isNone;
      if (isNone) document.querySelector(".tabs").hidden = true;
      if (passes(error)) setTimeout(begin, AGAIN_MS);
      canvas.setAttribute("aria-label", "The map could not be loaded");
      summary.textContent = error.message;
    }
    draw();
    look();
  }

  return {
    begin,
    /** Show a part of it; null: all. */
    show(to) {
      move(to || ALL);
    },
    seeds(some) {
      seeds = some;
      draw();
    },
    songs(tracks) {
      found = tracks.filter((track) => track.at);
      draw();
    },
    light(id) {
      if (id !== lit) {
        lit = id;
        draw();
      }
    },
    /** It has come into view, or the theme is another. */
    wake() {
      draw();
      look();
    },
  };
}
