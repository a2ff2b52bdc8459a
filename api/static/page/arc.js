// The curve of energy over a playlist: drawn with the pointer, or point by point with the arrow keys.

import { h, s } from "./dom.js";
import { ARCS } from "./state.js";

const POINTS = 7;
const WIDTH = 240;
const HEIGHT = 96;

const SHAPES = {
  flat: () => 0.5, build: (t) => 0.15 + 0.7 * t, wind_down: (t) => 0.85 - 0.7 * t,
  wave: (t) => 0.5 + 0.35 * Math.sin(4 * Math.PI * t), peak: (t) => 0.15 + 0.7 * Math.sin(Math.PI * t),
};

const x = (i, n) => 8 + (i / (n - 1)) * (WIDTH - 16);
const y = (energy) => 8 + (1 - energy) * (HEIGHT - 16);
const line = (values) => values.map((energy, i) => `${i ? "L" : "M"}${x(i, values.length).toFixed(1)} ${y(energy).toFixed(1)}`).join("");

/** state.arc: null, a name or points; actual: energies of the songs in order, or null; change(arc). */
export function arcEditor(state, actual, change) {
  const named = typeof state.arc === "string" ? SHAPES[state.arc] : null;
  const points = Array.isArray(state.arc) ? [...state.arc] : Array.from({ length: POINTS }, (_, i) => (named || SHAPES.flat)(i / (POINTS - 1)));
  const aim = s("path", { class: "aim", d: state.arc ? line(points) : "" });
  const was = s("path", { class: "was", d: actual && actual.length > 1 ? line(actual) : "" });
  const set = (i, energy, done) => {
    points[i] = Math.min(1, Math.max(0, Math.round(energy * 20) / 20));
    aim.setAttribute("d", line(points));
    dots[i].setAttribute("cy", y(points[i]));
    dots[i].setAttribute("aria-valuenow", String(Math.round(points[i] * 100)));
    dots[i].setAttribute("aria-valuetext", `${Math.round(points[i] * 100)} %`);
    if (done) change([...points]);
  };
  const dots = points.map((energy, i) => s("circle", {
    class: "point", cx: x(i, points.length), cy: y(energy), r: 7, tabindex: 0, role: "slider", "data-keep": `arc-${i}`,
    "aria-label": `Energy at ${Math.round((i / (points.length - 1)) * 100)} % of the playlist`, "aria-orientation": "vertical",
    "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.round(energy * 100), "aria-valuetext": `${Math.round(energy * 100)} %`,
    onkeydown: (event) => {
      const by = { ArrowUp: 0.05, ArrowRight: 0.05, ArrowDown: -0.05, ArrowLeft: -0.05, PageUp: 0.2, PageDown: -0.2, Home: -1, End: 1 }[event.key];
      if (by === undefined) return;
      event.preventDefault();
      set(i, points[i] + by, true);
    },
  }));
  const picture = s("svg", { class: "arc", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "group", "aria-label": "Energy from the first song to the last" }, was, aim, dots);
  let drawing = false;
  const draw = (event, done) => {
    const box = picture.getBoundingClientRect();
    const i = Math.round(((event.clientX - box.left) / box.width) * (points.length - 1));
    set(Math.min(points.length - 1, Math.max(0, i)), 1 - ((event.clientY - box.top) / box.height * HEIGHT - 8) / (HEIGHT - 16), done);
  };
  picture.addEventListener("pointerdown", (event) => { drawing = true; picture.setPointerCapture(event.pointerId); draw(event, false); });
  picture.addEventListener("pointermove", (event) => { if (drawing) draw(event, false); });
  picture.addEventListener("pointerup", () => { if (drawing) { drawing = false; change([...points]); } });
  picture.addEventListener("pointercancel", () => { drawing = false; });
  return h("div", {},
    h("div", { class: "presets", role: "group", "aria-label": "Energy curve" },
      h("button", { type: "button", "data-keep": "arc-none", "aria-pressed": String(!state.arc), onclick: () => change(null) }, "Any"),
      Object.entries(ARCS).map(([name, label]) => h("button", { type: "button", "data-keep": `arc-${name}`, "aria-pressed": String(state.arc === name), onclick: () => change(name) }, label))),
    picture,
    h("p", { class: "small quiet" }, state.arc ? "Aim in colour, what the songs make of it in grey. Drag, or Tab and arrow keys." : "Drag here to draw a curve of your own."));
}
