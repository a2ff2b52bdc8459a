// What shapes the answer: how many, what counts, which songs, in which order. What the model has no data for is not shown.

import { arcEditor } from "./arc.js";
import { ask } from "./ask.js";
import { h, quietly, rerender, the } from "./dom.js";
import { filtersOf, fresh, MOODS, POPULARITY, WEIGHTS } from "./state.js";
import { wheel } from "./wheel.js";

let open = false;
let pointed = null;

/** Point at a song on the wheel. */
export function lightKey(track, tracks) {
  pointed = track;
  const old = the("wheel");
  if (old) old.replaceChildren(wheel(tracks, pointed));
}

/** model: from /v1/model, or null; genres: their names; tracks: of the answer; change(patch). */
export function showShape(state, model, genres, tracks, change) {
  const has = (column) => !model || (model.coverage[column === "duration" ? "duration_ms" : column] ?? 1) > 0;
  const ordered = ["playlist", "path"].includes(state.kind);
  const panel = h("div", { class: "panel", id: "panel", hidden: !open },
    ordered ? order(state, has, tracks, change) : null,
    h("section", {}, h("h2", {}, "Which songs"), which(state, model, genres, has, change), h("p", { class: "small quiet", id: "passing", role: "status" })),
    h("section", {}, h("h2", {}, "What counts"), counts(state, has, change)));
  const toggle = h("button", {
    type: "button", class: "bordered", "data-keep": "shape", "aria-expanded": String(open), "aria-controls": "panel",
    onclick: () => { open = !open; panel.hidden = !open; toggle.setAttribute("aria-expanded", String(open)); if (open) tell(state, model); },
  }, `Shape${changed(state) ? ` (${changed(state)})` : ""}`);
  rerender(the("shape"), h("div", { class: "shape" },
    h("div", { class: "bar" }, kinds(state, change), howMany(state, change), toggle,
      h("button", { type: "button", "data-keep": "mix", onclick: () => change({ variation: state.variation + 1 }) }, "Another mix"),
      changed(state) || state.variation ? h("button", { type: "button", "data-keep": "reset", onclick: () => change({ ...fresh(), seeds: state.seeds, kind: state.kind }) }, "Reset") : null),
    panel));
  if (open) tell(state, model);
}

/** How many things differ from what is usual. */
function changed(state) {
  const plain = fresh();
  const differs = (name) => JSON.stringify(state[name]) !== JSON.stringify(plain[name]);
  return ["years", "tempo", "arc", "harmonic", "popularity", "diversity"].filter(differs).length + (state.genres.length ? 1 : 0) + Object.keys(state.moods).length + Object.keys(state.weights).length;
}

const tell = quietly(async (state, model) => {
  const said = the("passing");
  if (!said) return;
  try {
    const { count, of } = await ask("/v1/tracks/count", { method: "POST", body: { filters: filtersOf({ ...state, removed: [] }, model?.quantiles) } });
    said.textContent = count === of ? `All ${of.toLocaleString("en")} songs pass.` : `${count.toLocaleString("en")} of ${of.toLocaleString("en")} songs pass.`;
  } catch (error) {
    said.textContent = error.code === "offline" ? "" : error.message;
  }
}, 120);

function kinds(state, change) {
  const choices = { list: "List", each: "One each", playlist: "Playlist", path: "Path" };
  return h("fieldset", { class: "kinds" }, h("legend", { class: "unseen" }, "What to make"),
    Object.entries(choices).map(([kind, label]) => h("label", {},
      h("input", { type: "radio", name: "kind", value: kind, checked: state.kind === kind, "data-keep": `kind-${kind}`, onchange: () => change({ kind }) }), h("span", {}, label))));
}

function howMany(state, change) {
  if (["list", "each"].includes(state.kind)) {
    return h("label", { class: "plain" }, "Songs ", h("select", { "data-keep": "limit", onchange: (event) => change({ limit: Number(event.target.value) }) },
      [...new Set([5, 10, 20, 50, 100, state.limit])].sort((a, b) => a - b).map((n) => h("option", { value: n, selected: n === state.limit }, n))));
  }
  const unit = state.length.tracks ? "tracks" : "minutes";
  return h("span", { class: "plain" }, h("label", {}, "Length ", h("input", {
    type: "number", min: 2, max: unit === "tracks" ? 500 : 1440, value: state.length[unit], "data-keep": "length",
    onchange: (event) => { const value = Math.round(Number(event.target.value)); if (value >= 1) change({ length: { [unit]: Math.min(value, unit === "tracks" ? 500 : 1440) } }); },
  })), " ", h("label", {}, h("span", { class: "unseen" }, "Counted in"), h("select", { "data-keep": "unit", onchange: (event) => change({ length: event.target.value === "tracks" ? { tracks: 30 } : { minutes: 60 } }) },
    [["tracks", "songs"], ["minutes", "minutes"]].map(([value, label]) => h("option", { value, selected: value === unit }, label)))));
}

function order(state, has, tracks, change) {
  const energies = tracks.map((track) => track.energy).filter((energy) => energy !== null && energy !== undefined);
  return h("section", {}, h("h2", {}, "In which order"),
    state.kind === "playlist" && has("energy") ? arcEditor(state, energies, (arc) => change({ arc })) : null,
    has("key") ? h("label", { class: "small" }, h("input", { type: "checkbox", checked: state.harmonic, "data-keep": "harmonic", onchange: (event) => change({ harmonic: event.target.checked }) }), " Let keys and tempos of neighbours fit") : null,
    has("key") ? h("div", { id: "wheel" }, wheel(tracks, pointed)) : null);
}

function slider(label, value, least, most, step, told, keep, done) {
  const output = h("output", {}, told(value));
  return h("label", { class: "field" }, h("span", {}, label), h("input", {
    type: "range", min: least, max: most, step, value, "data-keep": keep, "aria-valuetext": told(value),
    oninput: (event) => { output.textContent = told(Number(event.target.value)); event.target.setAttribute("aria-valuetext", output.textContent); },
    onchange: (event) => done(Number(event.target.value)),
  }), output);
}

function between(label, both, least, most, ends, keep, done) {
  const [from, to] = both || [least, most];
  const output = h("output", {}, both ? `${from}–${to}` : "any");
  const inputs = [from, to].map((value, i) => h("input", {
    type: "range", min: least, max: most, step: 1, value, "data-keep": `${keep}-${i}`, "aria-label": `${label}, ${i ? "at most" : "at least"}${ends ? ` (${ends[0]} to ${ends[1]})` : ""}`,
    oninput: () => { output.textContent = read().join("–"); },
    onchange: () => { const now = read(); done(now[0] <= least && now[1] >= most ? null : now); },
  }));
  const read = () => {
    const values = inputs.map((input) => Number(input.value));
    return [Math.min(...values), Math.max(...values)];
  };
  return h("div", { class: "field two", role: "group", "aria-label": label }, h("span", { title: ends ? `${ends[0]} to ${ends[1]}` : null }, label), inputs, output);
}

function which(state, model, genres, has, change) {
  const quantiles = model?.quantiles || {};
  const [first, last] = quantiles.year ? [quantiles.year[0], quantiles.year[100]] : [1950, new Date().getFullYear()];
  const moods = Object.entries(MOODS).filter(([mood]) => has(mood) && quantiles[mood]).map(([mood, [label, low, high]]) => between(label, state.moods[mood], 0, 100, [low, high], mood, (both) => {
    const next = { ...state.moods };
    if (both) next[mood] = both;
    else delete next[mood];
    change({ moods: next });
  }));
  return [
    has("year") ? between("Years", state.years, first, last, null, "years", (years) => change({ years })) : null,
    has("tempo") ? between("Tempo", state.tempo, 50, 210, ["slow", "fast"], "tempo", (tempo) => change({ tempo })) : null,
    moods,
    has("genre") && genres.length ? h("div", {}, h("label", { class: "field" }, h("span", {}, "Genres"), h("select", {
      "data-keep": "genre", onchange: (event) => { if (event.target.value && !state.genres.includes(event.target.value)) change({ genres: [...state.genres, event.target.value] }); },
    }, h("option", { value: "" }, state.genres.length ? "and …" : "any"), genres.map((genre) => h("option", { value: genre }, genre))), h("output")),
    state.genres.length ? h("div", { class: "genres" }, state.genres.map((genre) => h("button", { type: "button", "aria-label": `Remove genre ${genre}`, onclick: () => change({ genres: state.genres.filter((one) => one !== genre) }) }, `${genre} ×`))) : null) : null,
  ];
}

function counts(state, has, change) {
  const usual = (name) => state.weights[name] ?? WEIGHTS[name][1];
  const weights = Object.entries(WEIGHTS).filter(([name]) => has(name)).map(([name, [label, plain, most]]) => slider(label, usual(name), 0, most, most / 40, (value) => (value === plain ? "usual" : value === 0 ? "not" : `×${(value / plain).toFixed(1)}`), `w-${name}`, (value) => {
    const next = { ...state.weights, [name]: Math.round(value * 100) / 100 };
    if (Math.abs(next[name] - plain) < most / 80) delete next[name];
    change({ weights: next });
  }));
  return [
    has("popularity") ? slider("Known", state.popularity, -0.5, 2, 0.25, (value) => (value === POPULARITY ? "usual" : value < 0.25 ? "rarer" : "hits"), "popularity", (popularity) => change({ popularity })) : null,
    state.kind === "path" ? null : slider("Variety", state.diversity, 0, 1, 0.1, (value) => (value ? percentOf(value) : "none"), "diversity", (diversity) => change({ diversity })),
    weights,
  ];
}

const percentOf = (value) => `${Math.round(value * 100)} %`;
