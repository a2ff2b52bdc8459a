// The songs one starts from, as chips: how much each counts, and "less like this".

import { h, the } from "./dom.js";
import { artistsOf } from "./words.js";

const STEPS = [1, 2, 4];

/** What a seed is called. */
export const seedName = (seed) => (seed.track ? `${seed.track.name} – ${artistsOf(seed.track)}` : seed.name || seed.track_id);

/** change(i, seed or null): called with what is to stand in a seed's place. */
export function showSeeds(seeds, kind, change) {
  the("seeds").replaceChildren(...seeds.map((seed, i) => {
    const name = seedName(seed);
    const against = seed.weight < 0;
    const next = STEPS[(STEPS.indexOf(seed.weight) + 1) % STEPS.length];
    return h("li", { class: against ? "against" : seed.lost ? "lost" : null },
      h("span", { class: "song", title: name }, against ? `not like ${name}` : kind === "path" ? `${i + 1}. ${name}` : name),
      !against && kind !== "path" && seeds.length > 1 && h("button", {
        type: "button", "aria-label": `${name} counts ${seed.weight} times; count it ${next} times`, onclick: () => change(i, { ...seed, weight: next }),
      }, `×${seed.weight}`),
      kind === "path" && i > 0 && h("button", { type: "button", "aria-label": `Earlier: ${name}`, onclick: () => change(i, "earlier") }, "←"),
      kind !== "path" && (against || seeds.filter((s) => s.weight > 0).length > 1) && h("button", {
        type: "button", "aria-pressed": String(against), "aria-label": `Less like ${name}`, onclick: () => change(i, { ...seed, weight: against ? 1 : -1 }),
      }, against ? "more" : "less"),
      h("button", { type: "button", "aria-label": `Remove ${name}`, onclick: () => change(i, null) }, "×"));
  }));
}
