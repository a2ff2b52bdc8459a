// The songs one starts from, as chips: how much each counts, and "less like this".

import { button, h, the } from "./dom.js";
import { artistsOf } from "./words.js";

const STEPS = [1, 2, 4];

/** What a seed is called. */
export const seedName = (seed) =>
  seed.track ? `${seed.track.name} – ${artistsOf(seed.track)}` : seed.called || seed.name || seed.track_id;

/** What each chip was drawn from, so that one that stays the same is not taken from under a finger. */
let drawn = [];

/** change(i, patch): called with what is to be another at a seed; "earlier": a place earlier; null: it goes. */
export function showSeeds(seeds, kind, change) {
  const isLed = kind === "path";
  const canAvoid = !isLed && seeds.filter((seed) => seed.weight > 0).length > 1;
  const all = seeds.map((seed) => [seedName(seed), seed.weight, Boolean(seed.lost), isLed, canAvoid, seeds.length > 1]);
  const keys = all.map((about) => JSON.stringify(about));
  const list = the("seeds");
  const kept = list.contains(document.activeElement) && document.activeElement.dataset.keep;
  while (list.children.length > seeds.length) list.lastChild.remove();
  all.forEach((about, i) => {
    if (keys[i] === drawn[i]) return;
    const old = list.children[i];
    if (old) old.replaceWith(chip(i, about, change));
    else list.append(chip(i, about, change));
  });
  drawn = keys;
  if (kept) list.querySelector(`[data-keep="${kept}"]`)?.focus();
}

function chip(i, [name, weight, isLost, isLed, canAvoid, isOneOfMany], change) {
  const isAgainst = weight < 0;
  const next = STEPS[(STEPS.indexOf(weight) + 1) % STEPS.length];
  const shown = isAgainst ? `not like ${name}` : isLed ? `${i + 1}. ${name}` : name;
  const count = button(`×${weight}`, () => change(i, { weight: next }), {
    "data-keep": `count-${i}`,
    "aria-label": `×${weight}: ${name} counts ${weight} times; count it ${next} times`,
  });
  const less = button(isAgainst ? "more" : "less", () => change(i, { weight: isAgainst ? 1 : -1 }), {
    "data-keep": `less-${i}`,
    "aria-label": `${isAgainst ? "More" : "Less"} like ${name}`,
  });
  return h(
    isAgainst ? "li.against" : isLost ? "li.lost" : "li",
    h("span.song", { title: name }, shown),
    !isAgainst && !isLed && isOneOfMany && count,
    isLed &&
      i > 0 &&
      button("←", () => change(i, "earlier"), {
        "data-keep": `earlier-${i}`,
        "aria-label": `Earlier: ${name}`,
      }),
    !isLed && (isAgainst || canAvoid) && less,
    button("×", () => change(i, null), { "aria-label": `Remove ${name}` }),
  );
}
