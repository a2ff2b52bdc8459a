// What shapes the answer: how many, in which order, which songs, what counts; nothing that the model has no data for.

import { arcEditor } from "./arc.js";
import { ask } from "./ask.js";
import { button, h, quietly, rerender, the } from "./dom.js";
import { between, slider } from "./sliders.js";
import { filtersOf, fresh, KINDS, MOODS, POPULARITY, WEIGHTS } from "./state.js";
import { wheel } from "./wheel.js";
import { count, percent } from "./words.js";

const LIMITS = [5, 10, 20, 50, 100];
/** The units of a playlist's length: what they are called, the least, the most, and how many at first. */
const UNITS = { tracks: ["songs", 2, 500, 30], minutes: ["minutes", 1, 1440, 60] };
const TEMPO = [50, 210];

let open = false;
let pointed = null;
let drawn = null;

// What is drawn anew under a hand that drags, or that is writing, would slip from it: it waits until that is over.
const DRAGGED = "#shape :is(input[type=range], .arc)";
const WRITTEN = "#shape :is(input[type=text], input[type=number])";
let held = null;
let late = null;
const hold =
  (which) =>
  ({ target }) => {
    if (target.closest(which)) held = which;
  };
const letGo = (which) => () => {
  if (held !== which) return;
  held = null;
  late?.();
  late = null;
};
addEventListener("pointerdown", hold(DRAGGED));
addEventListener("pointerup", letGo(DRAGGED));
addEventListener("pointercancel", letGo(DRAGGED));
addEventListener("input", hold(WRITTEN));
addEventListener("change", letGo(WRITTEN), true);
addEventListener("focusout", letGo(WRITTEN));

/** Point at a song on the wheel. */
export function lightKey(track, tracks) {
  pointed = track;
  the("wheel")?.replaceChildren(wheel(tracks, pointed));
}

/**
 * about: { model, genres }, of /v1/model and /v1/genres, model null while it is not known; answer: { tracks, arc } as
 * they are on the page, arc null unless it is the answer to the state's; change(patch).
 */
export function showShape(state, about, answer, change) {
  if (held) {
    late = () => showShape(state, about, answer, change);
    return;
  }
  const { model } = about;
  const ordered = state.kind === "playlist" || state.kind === "path";
  // What stays the same is not drawn anew: a click that has begun would be lost.
  const shown = ordered && [answer.arc, answer.tracks.map((track) => track.track_id)];
  const key = JSON.stringify([shapingOf(state), state.removed.length, model?.version, about.genres.length, shown]);
  if (key === drawn) return;
  drawn = key;
  const has = (column) => !model || (model.coverage[column] ?? 1) > 0;
  const panel = h(
    "div.panel",
    { id: "panel", hidden: !open },
    ordered && h("section", h("h2", "In which order"), order(state, has, answer, change)),
    h(
      "section",
      h("h2", "Which songs"),
      which(state, about, has, change),
      h("p.small.quiet", { id: "passing", role: "status" }, the("passing")?.textContent),
    ),
    h("section", h("h2", "What counts"), counts(state, has, change)),
  );
  const differs = changed(state);
  const toggle = button(
    differs ? `Shape (${differs})` : "Shape",
    () => {
      open = !open;
      panel.hidden = !open;
      toggle.setAttribute("aria-expanded", String(open));
      if (open) tell(state, model);
    },
    { class: "bordered", "data-keep": "shape", "aria-expanded": String(open), "aria-controls": "panel" },
  );
  const mix = button("Another mix", () => change({ variation: state.variation + 1 }), { "data-keep": "mix" });
  const reset = button("Reset", () => change({ ...shapingOf(fresh()), kind: state.kind, removed: [] }), {
    "data-keep": "reset",
  });
  const bar = h(
    "div.bar",
    kinds(state, change),
    ordered ? length(state, change) : limit(state, change),
    toggle,
    mix,
    (differs > 0 || state.variation > 0 || state.removed.length > 0) && reset,
  );
  rerender(the("shape"), h("div.shape", bar, panel));
  if (open) tell(state, model);
}

/** The part of a state that is shaped here. */
const shapingOf = ({ seeds, view, removed, ...shaping }) => shaping;

/** How many things differ from what is usual. */
function changed(state) {
  const plain = fresh();
  const differs = (name) => JSON.stringify(state[name]) !== JSON.stringify(plain[name]);
  const single = ["years", "tempo", "genres", "arc", "harmonic", "popularity", "diversity"].filter(differs).length;
  return single + Object.keys(state.moods).length + Object.keys(state.weights).length;
}

const tell = quietly(async (state, model) => {
  const said = the("passing");
  if (!said) return;
  try {
    const filters = filtersOf({ ...state, removed: [] }, model?.quantiles);
    const passing = await ask("/v1/tracks/count", { method: "POST", body: { filters } });
    const all = count(passing.of, "song");
    said.textContent =
      passing.count === passing.of ? `All ${all} pass.` : `${passing.count.toLocaleString("en")} of ${all} pass.`;
  } catch (error) {
    said.textContent = error.code === "offline" ? "" : error.message;
  }
}, 120);

function kinds(state, change) {
  const choice = ([kind, label]) =>
    h(
      "label",
      h("input", {
        type: "radio",
        name: "kind",
        value: kind,
        checked: state.kind === kind,
        "data-keep": `kind-${kind}`,
        onchange: () => change({ kind }),
      }),
      h("span", label),
    );
  return h("fieldset.kinds", h("legend.unseen", "What to make"), Object.entries(KINDS).map(choice));
}

const options = (pairs, chosen) =>
  pairs.map(([value, label]) => h("option", { value, selected: value === chosen }, label));

function limit(state, change) {
  const all = [...new Set([...LIMITS, state.limit])].sort((a, b) => a - b).map((n) => [n, n]);
  const choose = (event) => change({ limit: Number(event.target.value) });
  return h("label.plain", "Songs ", h("select", { "data-keep": "limit", onchange: choose }, options(all, state.limit)));
}

function length(state, change) {
  const unit = state.length.tracks ? "tracks" : "minutes";
  const [, least, most] = UNITS[unit];
  const set = (event) => {
    const value = Math.round(Number(event.target.value));
    if (value >= 1) change({ length: { [unit]: Math.min(Math.max(value, least), most) } });
    else event.target.value = state.length[unit];
  };
  const input = h("input", {
    type: "number",
    min: least,
    max: most,
    value: state.length[unit],
    "data-keep": "length",
    onchange: set,
  });
  const turn = ({ target: { value } }) => change({ length: { [value]: UNITS[value][3] } });
  const units = options(
    Object.entries(UNITS).map(([value, [label]]) => [value, label]),
    unit,
  );
  return h(
    "span.plain",
    h("label", "Length ", input),
    " ",
    h("label", h("span.unseen", "Counted in"), h("select", { "data-keep": "unit", onchange: turn }, units)),
  );
}

function order(state, has, { tracks, arc: wanted }, change) {
  const energies = tracks.map((track) => track.energy).filter(Number.isFinite);
  const check = h("input", {
    type: "checkbox",
    checked: state.harmonic,
    "data-keep": "harmonic",
    onchange: (event) => change({ harmonic: event.target.checked }),
  });
  return [
    state.kind === "playlist" && has("energy") && arcEditor(state.arc, wanted, energies, (arc) => change({ arc })),
    has("key") && h("label.small", check, " Let keys and tempos of neighbours fit"),
    has("key") && h("div", { id: "wheel" }, wheel(tracks, pointed)),
  ];
}

/** The same with one thing set; null: taken away. */
function put(all, name, value) {
  return Object.fromEntries(Object.entries({ ...all, [name]: value }).filter(([, one]) => one !== null));
}

function which(state, { model, genres }, has, change) {
  const { year, ...quantiles } = model?.quantiles || {};
  const moods = Object.entries(MOODS)
    .filter(([mood]) => has(mood) && quantiles[mood])
    .map(([mood, [label, ...ends]]) => {
      const done = (both) => change({ moods: put(state.moods, mood, both) });
      return between(label, { both: state.moods[mood], least: 0, most: 100, ends, keep: mood, done });
    });
  return [
    has("year") &&
      year &&
      between("Years", {
        both: state.years,
        least: year[0],
        most: year[100],
        ends: null,
        keep: "years",
        done: (years) => change({ years }),
      }),
    has("tempo") &&
      between("Tempo", {
        both: state.tempo,
        least: TEMPO[0],
        most: TEMPO[1],
        ends: ["slow", "fast"],
        keep: "tempo",
        done: (tempo) => change({ tempo }),
      }),
    moods,
    has("genre") && genres.length > 0 && ofGenres(state.genres, genres, (some) => change({ genres: some })),
  ];
}

function ofGenres(chosen, genres, done) {
  const said = h("output", chosen.length ? "" : "any");
  const add = ({ target }) => {
    const genre = target.value.trim().toLowerCase();
    if (genres.includes(genre) && !chosen.includes(genre)) {
      target.value = "";
      done([...chosen, genre]);
    } else said.textContent = !genre || chosen.includes(genre) ? "" : "no such";
  };
  // Firefox tells of a choice from the list as of typing, and of a change on leaving; WebKit's list keeps the first
  // Enter to itself.
  const input = h("input", {
    type: "text",
    list: "genres",
    autocomplete: "off",
    "data-keep": "genre",
    onchange: add,
    oninput: (event) => event.inputType === "insertReplacementText" && add(event),
    onkeyup: (event) => event.key === "Enter" && event.target.value && add(event),
  });
  const all = h(
    "datalist",
    { id: "genres" },
    options(
      genres.map((genre) => [genre, genre]),
      null,
    ),
  );
  const remove = (genre) => {
    const others = chosen.filter((one) => one !== genre);
    return button(`${genre} ×`, () => done(others), { "aria-label": `Remove genre ${genre}` });
  };
  return h(
    "div",
    h("label.field", h("span", "Genres"), input, said),
    all,
    chosen.length > 0 && h("div.genres", chosen.map(remove)),
  );
}

function counts(state, has, change) {
  const known = (value) =>
    value === POPULARITY
      ? "usual"
      : `${value < POPULARITY ? "rarer" : "hits"} ${value > POPULARITY ? "+" : "−"}${Math.abs(value - POPULARITY)}`;
  const weights = Object.entries(WEIGHTS)
    .filter(([name]) => has(name))
    .map(([name, [label, plain, most]]) => {
      const told = (value) => (value === plain ? "usual" : value === 0 ? "not" : `×${(value / plain).toFixed(1)}`);
      const done = (value) => {
        const isUsual = Math.abs(value - plain) < most / 80;
        change({ weights: put(state.weights, name, isUsual ? null : Math.round(value * 100) / 100) });
      };
      return slider(label, {
        value: state.weights[name] ?? plain,
        least: 0,
        most,
        step: most / 40,
        told,
        keep: `w-${name}`,
        done,
      });
    });
  return [
    has("popularity") &&
      slider("Known", {
        value: state.popularity,
        least: -0.5,
        most: 2,
        step: 0.25,
        told: known,
        keep: "popularity",
        done: (popularity) => change({ popularity }),
      }),
    state.kind !== "path" &&
      slider("Variety", {
        value: state.diversity,
        least: 0,
        most: 1,
        step: 0.1,
        told: (value) => (value ? percent(value) : "none"),
        keep: "diversity",
        done: (diversity) => change({ diversity }),
      }),
    weights,
  ];
}
