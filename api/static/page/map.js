// The map of all songs: dark to bright from left to right, calm to energetic from bottom to top. A picture of how dense
// the songs lie, made in training, with labels; closer in, single songs. The same songs stand in a list below.

import { ask, fetched } from "./ask.js";
import { h, quietly, the } from "./dom.js";
import { artistsOf, nameOf } from "./words.js";

const MOST_ZOOM = 4096;
/** From this zoom on songs are drawn, and from that one on with their names instead of the clusters'. */
const CLOSE = 4;
const NEAR = 14;
/** Songs in the list below. */
const LISTED = 60;

/** light(id): point at a song elsewhere; add(track): take it to start from; viewed(view): another part is in view. */
export function createMap({ light, add, viewed }) {
  const canvas = h("canvas", { tabindex: 0, role: "img", "data-keep": "map" });
  const tip = h("div", { class: "tip", hidden: true });
  const inside = h("ul", { class: "inside" });
  const summary = h("summary", {}, "Songs in view");
  const said = h("p", { class: "unseen", role: "status" });
  const left = h("span"), right = h("span");
  const button = (text, label, action) => h("button", { type: "button", "aria-label": label, onclick: action }, text);
  the("map").append(
    h("figure", {}, canvas, tip, h("div", { class: "zoom" }, button("+", "Zoom in", () => zoom(2)), button("−", "Zoom out", () => zoom(0.5)), button("○", "Show all of the map", () => move({ x: 0.5, y: 0.5, zoom: 1 }))),
      h("figcaption", {}, h("div", { class: "axis" }, left, right))), said, h("details", { open: false }, summary, inside));

  const context = canvas.getContext("2d");
  let about = null, picture = null, tinted = null, tintedFor = "";
  let view = { x: 0.5, y: 0.5, zoom: 1 };
  let near = [], found = [], seeds = [], lit = null, asking = null, frame = 0, size = 0;

  const put = ([x, y]) => [(0.5 + (x - view.x) * view.zoom) * size, (0.5 - (y - view.y) * view.zoom) * size];
  const pick = (px, py) => [view.x + (px / size - 0.5) / view.zoom, view.y - (py / size - 0.5) / view.zoom];
  const resolved = (name) => {
    const probe = h("i", { style: { color: `var(${name})` } });
    canvas.parentElement.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  };

  function move(to) {
    const half = 0.5 / Math.max(1, to.zoom);
    const hold = (v) => Math.min(1 - half, Math.max(half, v));
    view = { zoom: Math.min(MOST_ZOOM, Math.max(1, to.zoom)), x: hold(to.x), y: hold(to.y) };
    draw();
    look();
    tell();
  }

  const tell = quietly(() => viewed(view.zoom > 1 ? view : null), 300);

  function zoom(by, px = size / 2, py = size / 2) {
    const [x, y] = pick(px, py);
    const to = Math.min(MOST_ZOOM, Math.max(1, view.zoom * by));
    move({ zoom: to, x: x - (px / size - 0.5) / to, y: y + (py / size - 0.5) / to });
  }

  function draw() {
    if (!frame) frame = requestAnimationFrame(() => { frame = 0; paint(); });
  }

  function paint() {
    const box = canvas.getBoundingClientRect();
    if (!box.width) return;
    const ratio = Math.min(2, devicePixelRatio || 1);
    size = box.width;
    if (canvas.width !== Math.round(size * ratio)) canvas.width = canvas.height = Math.round(size * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, size, size);
    const ink = resolved("--ink"), quiet = resolved("--quiet"), paper = resolved("--raised"), accent = resolved("--accent");
    if (picture) {
      if (tintedFor !== ink) {
        tinted = new OffscreenCanvas(picture.width, picture.height);
        const brush = tinted.getContext("2d");
        brush.drawImage(picture, 0, 0);
        const pixels = brush.getImageData(0, 0, picture.width, picture.height);
        const [r, g, b] = (ink.match(/[\d.]+/g) || [0, 0, 0]).slice(0, 3).map(Number);
        const [red, green, blue] = ink.startsWith("rgb") ? [r, g, b] : lightness(ink);
        for (let i = 0; i < pixels.data.length; i += 4) {
          pixels.data[i + 3] = 150 * (pixels.data[i] / 255) ** 2.2;
          pixels.data[i] = red; pixels.data[i + 1] = green; pixels.data[i + 2] = blue;
        }
        brush.putImageData(pixels, 0, 0);
        tintedFor = ink;
      }
      const [x0, y0] = put([0, 1]);
      context.globalAlpha = Math.max(0.25, 1 - Math.log2(view.zoom) / 10);
      context.imageSmoothingEnabled = true;
      context.drawImage(tinted, x0, y0, size * view.zoom, size * view.zoom);
      context.globalAlpha = 1;
    }
    const taken = [];
    for (const track of near) {
      const [x, y] = put(track.at);
      dot(x, y, 2, quiet);
    }
    for (const track of found) if (track.at) keepFree(...put(track.at), taken);
    if (view.zoom >= NEAR) near.slice(0, 40).forEach((track) => { const [x, y] = put(track.at); label(track.name, x, y - 12, quiet, paper, taken); });
    else for (const one of about?.labels || []) if (one.genres.length && one.room * view.zoom > 0.08) label(one.genres.slice(0, 2).join(", "), ...put(one.at), quiet, paper, taken);
    for (const track of found) {
      if (!track.at) continue;
      const [x, y] = put(track.at);
      const on = track.track_id === lit;
      dot(x, y, on ? 8 : 5, accent, paper);
      if (on) label(track.name, x, y - 16, ink, paper, [], true);
    }
    for (const seed of seeds) {
      const [x, y] = put(seed.track.at);
      context.strokeStyle = seed.weight < 0 ? quiet : accent;
      context.lineWidth = 2;
      context.beginPath();
      context.arc(x, y, 9, 0, 2 * Math.PI);
      context.stroke();
      dot(x, y, 3, seed.weight < 0 ? quiet : accent);
    }
    const one = near.find((track) => track.track_id === lit);
    if (one && !found.includes(one)) dot(...put(one.at), 5, ink, paper);
  }

  const lightness = (text) => {
    const l = Number((/([\d.]+)/.exec(text) || [0, 0.5])[1]);
    const grey = Math.round(255 * (l > 1 ? l / 100 : l));
    return [grey, grey, grey];
  };

  function dot(x, y, radius, fill, edge = null) {
    if (x < -20 || y < -20 || x > size + 20 || y > size + 20) return;
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = fill;
    context.fill();
    if (edge) {
      context.lineWidth = 1.5;
      context.strokeStyle = edge;
      context.stroke();
    }
  }

  function keepFree(x, y, taken) {
    taken.push([x - 6, y - 6, x + 6, y + 6]);
  }

  function label(text, x, y, ink, paper, taken, strong = false) {
    if (x < 0 || y < 0 || x > size || y > size) return;
    context.font = `${strong ? 600 : 400} 12px system-ui, sans-serif`;
    context.textAlign = "center";
    const short = text.length > 28 ? `${text.slice(0, 27)}…` : text;
    const width = context.measureText(short).width / 2 + 4;
    const at = Math.min(size - width, Math.max(width, x));
    const box = [at - width, y - 12, at + width, y + 8];
    if (taken.some((other) => box[0] < other[2] && box[2] > other[0] && box[1] < other[3] && box[3] > other[1])) return;
    taken.push(box);
    context.lineWidth = 3;
    context.strokeStyle = paper;
    context.strokeText(short, at, y + 4);
    context.fillStyle = ink;
    context.fillText(short, at, y + 4);
  }

  const look = quietly(async () => {
    if (!about || !size) return;
    asking?.abort();
    asking = new AbortController();
    const half = 0.5 / view.zoom;
    const box = [view.x - half, view.y - half, view.x + half, view.y + half].map((v) => Math.min(1, Math.max(0, v)).toFixed(5));
    try {
      const seen = await ask(`/v1/map/tracks?box=${box.join(",")}&limit=${view.zoom < CLOSE ? LISTED : 400}`, { signal: asking.signal });
      near = view.zoom < CLOSE ? [] : seen.tracks.filter((track) => track.at);
      summary.textContent = `Songs in view: ${seen.count.toLocaleString("en")}, the best known first`;
      inside.replaceChildren(...seen.tracks.slice(0, LISTED).map((track) => h("li", {}, h("button", {
        type: "button", onclick: () => add(track), onfocus: () => show(track), onpointerenter: () => show(track),
      }, `${track.name} – ${artistsOf(track)}`))));
      draw();
    } catch (error) {
      if (error.name !== "AbortError") summary.textContent = error.message;
    }
  }, 150);

  function show(track) {
    lit = track ? track.track_id : null;
    if (track && !near.some((one) => one.track_id === lit) && track.at) near = [...near, track];
    draw();
  }

  function nearest(px, py) {
    let best = null, least = 15;
    for (const track of [...found.filter((one) => one.at), ...near]) {
      const [x, y] = put(track.at);
      const distance = Math.hypot(x - px, y - py);
      if (distance < least) [best, least] = [track, distance];
    }
    return best;
  }

  const pointers = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    moved = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const was = pointers.get(event.pointerId);
    if (!was) {
      const track = nearest(event.offsetX, event.offsetY);
      tip.hidden = !track;
      if (track) {
        tip.textContent = nameOf(track);
        [tip.style.left, tip.style.top] = put(track.at).map((v) => `${v}px`);
      }
      if ((track?.track_id || null) !== lit) { lit = track?.track_id || null; light(lit); draw(); }
      return;
    }
    const now = [event.offsetX, event.offsetY];
    if (pointers.size === 1) {
      moved += Math.hypot(now[0] - was[0], now[1] - was[1]);
      pointers.set(event.pointerId, now);
      move({ ...view, x: view.x - (now[0] - was[0]) / size / view.zoom, y: view.y + (now[1] - was[1]) / size / view.zoom });
    } else {
      const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const by = Math.hypot(now[0] - other[0], now[1] - other[1]) / Math.max(1, Math.hypot(was[0] - other[0], was[1] - other[1]));
      pointers.set(event.pointerId, now);
      moved = 99;
      zoom(by, (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
  });
  const up = (event) => {
    const clicked = pointers.delete(event.pointerId) && moved < 4 && event.type === "pointerup";
    const track = clicked && nearest(event.offsetX, event.offsetY);
    if (track) add(track);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("wheel", (event) => { event.preventDefault(); zoom(2 ** (-event.deltaY / 240), event.offsetX, event.offsetY); }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const step = 0.15 / view.zoom;
    const to = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
    if (to) move({ ...view, x: view.x + to[0], y: view.y + to[1] });
    else if (event.key === "+" || event.key === "=") zoom(2);
    else if (event.key === "-") zoom(0.5);
    else if (event.key === "0") move({ x: 0.5, y: 0.5, zoom: 1 });
    else return;
    event.preventDefault();
    said.textContent = `Zoom ${Math.round(view.zoom)}, at ${Math.round(view.x * 100)} % bright, ${Math.round(view.y * 100)} % energetic`;
  });
  new ResizeObserver(draw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

  return {
    async begin() {
      try {
        about = await ask("/v1/map");
        const { x, y } = about;
        [left.textContent, right.textContent] = [`← ${x.low}, ${y.low} ↓`, `${x.high} →, ${y.high} ↑`];
        canvas.setAttribute("aria-label", `Map of ${about.tracks.toLocaleString("en")} songs: ${x.low} to ${x.high} from left to right, ${y.low} to ${y.high} from bottom to top. Arrow keys move, plus and minus zoom. The list below holds the same songs.`);
        picture = await createImageBitmap(await fetched("/v1/map.png"));
        the("map").hidden = false;
      } catch (error) {
        the("map").hidden = error.code === "not-found";
        canvas.setAttribute("aria-label", "The map could not be loaded");
        summary.textContent = error.message;
      }
      draw();
      look();
    },
    show(to) { if (to) move(to); },
    seeds(some) { seeds = some; draw(); },
    songs(tracks) { found = tracks; draw(); },
    light(id) { if (id !== lit) { lit = id; draw(); } },
    wake() { tintedFor = ""; draw(); look(); },
  };
}
