// The curve of energy over a playlist: drawn with the pointer, or point by point with the arrow keys.

import { h, s } from "./dom.js";
import { ARCS } from "./state.js";

const POINTS = 7;
const WIDTH = 240;
const HEIGHT = 96;

const x = (i, n) => 8 + (i / (n - 1)) * (WIDTH - 16);
const y = (energy) => 8 + (1 - energy) * (HEIGHT - 16);
const line = (values) =>
  values.map((energy, i) => `${i ? "L" : "M"}${x(i, values.length).toFixed(1)} ${y(energy).toFixed(1)}`).join("");

/** The value at a share of the way through values that are evenly spaced. */
function along(values, share) {
  const at = share * (values.length - 1);
  const before = Math.floor(at);
  return values[before] + (at - before) * ((values[before + 1] ?? values[before]) - values[before]);
}

/**
 * arc: null, a name or points; wanted: the energies that the answer aimed at, by which a named arc is drawn (its ends
 * are those of the songs there are), or null; actual: energies of its songs, in order; change(arc).
 */
export function arcEditor(arc, wanted, actual, change) {
  const drawn = Array.isArray(arc)
    ? arc
    : arc && wanted?.length > 1
      ? Array.from({ length: POINTS }, (_, i) => Math.round(100 * along(wanted, i / (POINTS - 1))) / 100)
      : null;
  const points = drawn ? [...drawn] : Array(POINTS).fill(0.5);
  const aim = s("path", { class: "aim", d: drawn ? line(Array.isArray(arc) ? points : wanted) : "" });
  const was = s("path", { class: "was", d: actual && actual.length > 1 ? line(actual) : "" });
  const set = (i, energy) => {
    points[i] = Math.min(1, Math.max(0, Math.round(energy * 20) / 20));
    aim.setAttribute("d", line(points));
    dots[i].setAttribute("cy", y(points[i]));
    dots[i].setAttribute("aria-valuenow", String(Math.round(points[i] * 100)));
    dots[i].setAttribute("aria-valuetext", `${Math.round(points[i] * 100)} %`);
  };
  const dots = points.map((energy, i) =>
    s("circle", {
      class: "point",
      cx: x(i, points.length),
      cy: y(energy),
      r: 7,
      tabindex: 0,
      role: "slider",
      "data-keep": `arc-${i}`,
      "aria-label": `Energy at ${Math.round((i / (points.length - 1)) * 100)} % of the playlist`,
      "aria-orientation": "vertical",
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": Math.round(energy * 100),
      "aria-valuetext": `${Math.round(energy * 100)} %`,
      onkeydown: (event) => {
        const by = {
          ArrowUp: 0.05,
          ArrowRight: 0.05,
          ArrowDown: -0.05,
          ArrowLeft: -0.05,
          PageUp: 0.2,
          PageDown: -0.2,
          Home: -1,
          End: 1,
        }[event.key];
        if (by === undefined) return;
        event.preventDefault();
        set(i, points[i] + by);
        change([...points]);
      },
    }),
  );
  const picture = s(
    "svg",
    {
      class: "arc",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "group",
      "aria-label": "Energy from the first song to the last",
    },
    was,
    aim,
    dots,
  );
  let last = null;
  const draw = (event) => {
    const box = picture.getBoundingClientRect();
    const place = Math.round(((event.clientX - box.left) / box.width) * (points.length - 1));
    const i = Math.min(points.length - 1, Math.max(0, place));
    const energy = 1 - (((event.clientY - box.top) / box.height) * HEIGHT - 8) / (HEIGHT - 16);
    // A quick hand passes points without touching them: they get what lies between.
    const from = last ?? i;
    const start = points[from];
    for (let k = from; k !== i; k += Math.sign(i - from))
      if (k !== from) set(k, start + ((energy - start) * (k - from)) / (i - from));
    set(i, energy);
    last = i;
  };
  picture.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    picture.setPointerCapture(event.pointerId);
    draw(event);
  });
  picture.addEventListener("pointermove", (event) => {
    if (last !== null) draw(event);
  });
  picture.addEventListener("pointerup", () => {
    if (last !== null) {
      last = null;
      change([...points]);
    }
  });
  picture.addEventListener("pointercancel", () => {
    last = null;
  });
  return h(
    "div",
    {},
    h(
      "div",
      { class: "presets", role: "group", "aria-label": "Energy curve" },
      h(
        "button",
        { type: "button", "data-keep": "arc-none", "aria-pressed": String(!arc), onclick: () => change(null) },
        "Any",
      ),
      Object.entries(ARCS).map(([name, label]) =>
        h(
          "button",
          {
            type: "button",
            "data-keep": `arc-${name}`,
            "aria-pressed": String(arc === name),
            onclick: () => change(name),
          },
          label,
        ),
      ),
    ),
    picture,
    h(
      "p",
      { class: "small quiet" },
      arc
        ? "Up is energetic. In colour the aim, in grey what the songs make of it. Drag, or Tab and arrow keys."
        : "Drag here to draw a curve of your own: up is energetic.",
    ),
  );
}
