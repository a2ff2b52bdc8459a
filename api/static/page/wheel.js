// The Camelot wheel: neighbours on it are keys that mix well. Shows which keys a list holds, and its way through them.

import { s } from "./dom.js";
import { camelotOf, keyOf } from "./words.js";

const CENTRE = 120;
const RINGS = { A: [52, 82], B: [82, 114] };

function place(code, radius) {
  const angle = ((Number(code.slice(0, -1)) % 12) / 12) * 2 * Math.PI - Math.PI / 2;
  return [CENTRE + radius * Math.cos(angle), CENTRE + radius * Math.sin(angle)];
}

function segment(number, [inner, outer]) {
  const from = ((number - 0.5) / 12) * 2 * Math.PI - Math.PI / 2;
  const to = ((number + 0.5) / 12) * 2 * Math.PI - Math.PI / 2;
  const at = (radius, angle) =>
    `${(CENTRE + radius * Math.cos(angle)).toFixed(1)} ${(CENTRE + radius * Math.sin(angle)).toFixed(1)}`;
  const arc = (radius, turn, end) => `A${radius} ${radius} 0 0 ${turn} ${at(radius, end)}`;
  return `M${at(outer, from)}${arc(outer, 1, to)}L${at(inner, to)}${arc(inner, 0, from)}Z`;
}

/** tracks: in order; now: the one that is pointed at, or null. */
export function wheel(tracks, now) {
  const codes = tracks.map(camelotOf);
  const held = new Map();
  tracks.forEach((track, i) => {
    if (codes[i]) held.set(codes[i], [...(held.get(codes[i]) || []), track]);
  });
  const current = now ? camelotOf(now) : "";
  const parts = [];
  for (const [letter, ring] of Object.entries(RINGS)) {
    for (let number = 1; number <= 12; number += 1) {
      const code = `${number}${letter}`;
      const state = code === current ? "now" : held.has(code) ? "in" : null;
      const [cx, cy] = place(code, (ring[0] + ring[1]) / 2);
      parts.push(
        s("path", { d: segment(number, ring), class: state }),
        s("text", { x: cx.toFixed(1), y: cy.toFixed(1), class: state }, code),
      );
    }
  }
  const way = codes.filter(Boolean).map((code) => place(code, 44));
  const told = [...held].map(([code, some]) => `${code} (${keyOf(some[0])}): ${some.length}`).join(", ");
  return s(
    "svg",
    {
      class: "wheel",
      viewBox: "0 0 240 240",
      role: "img",
      "aria-label": told ? `Camelot wheel. Songs by key: ${told}` : "Camelot wheel, no song of a known key",
    },
    parts,
    s("path", { class: "way", d: way.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("") }),
  );
}
