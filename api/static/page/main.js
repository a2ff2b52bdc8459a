// The page: its state, what is asked when it changes, and who shows what.

import { ask, events, lines, Problem, useKey } from "./ask.js";
import { detail } from "./compare.js";
import { dialog, h, quietly, say, the, toast } from "./dom.js";
import { find } from "./find.js";
import { remember, showHistory } from "./history.js";
import { doing, lightRow, showEmpty, showFailed, showResult, showWaiting, songs } from "./list.js";
import { createMap } from "./map.js";
import { tint } from "./mood.js";
import { seedName, showSeeds } from "./seeds.js";
import { lightKey, showShape } from "./shape.js";
import { MOST_WAYPOINTS, read, requestOf, write } from "./state.js";
import { artistsOf, count, nameOf } from "./words.js";

const MOST_UNDO = 50;
const AGAIN_MS = 5000;

let state = read(location.search);
let model = null;
let genres = [];
let asking = null;
let trying = 0;
const before = [];
const map = createMap({
  light,
  add: (track) => addSeeds([{ track_id: track.track_id, weight: 1, track }]),
  viewed: (view) => {
    state = { ...state, view };
    history.replaceState(null, "", location.pathname + write(state));
  },
});

/** Take over a change, show it at once, and ask anew. */
function change(patch, { undo = false, push = false } = {}) {
  if (undo) {
    before.push(state);
    if (before.length > MOST_UNDO) before.shift();
  }
  state = { ...state, ...patch };
  history[push ? "pushState" : "replaceState"](null, "", location.pathname + write(state));
  show();
  run();
}

function undo() {
  const last = before.pop();
  if (!last) return;
  state = last;
  history.replaceState(null, "", location.pathname + write(state));
  show();
  run();
  say("Undone");
}

function show() {
  showSeeds(state.seeds, state.kind, changeSeed);
  showShape(state, model, genres, songs(), (patch) => change(patch));
  the("start").hidden = state.seeds.length > 0;
  the("shape").hidden = state.seeds.length === 0;
  const places = state.seeds.filter((seed) => seed.weight > 0 && seed.track?.at).map((seed) => seed.track.at);
  tint(places.length ? places : songs().slice(0, 5).map((track) => track.at).filter(Boolean));
  map.seeds(state.seeds.filter((seed) => seed.track?.at));
}

function addSeeds(seeds) {
  const known = new Set(state.seeds.map((seed) => seed.track_id).filter(Boolean));
  const some = seeds.filter((seed) => !seed.track_id || !known.has(seed.track_id));
  const all = [...state.seeds, ...some].slice(0, state.kind === "path" ? MOST_WAYPOINTS : 50);
  if (all.length < state.seeds.length + some.length) toast(`${all.length} songs at most; the rest was left out`);
  change({ seeds: all, removed: [] }, { undo: true, push: true });
  fillIn();
  say(`${count(some.length, "song")} added`);
}

function changeSeed(i, seed) {
  const seeds = [...state.seeds];
  if (seed === "earlier") [seeds[i - 1], seeds[i]] = [seeds[i], seeds[i - 1]];
  else if (seed) seeds[i] = seed;
  else seeds.splice(i, 1);
  const gone = seed === null ? state.seeds[i] : null;
  change({ seeds }, { undo: true, push: seed === null });
  if (gone) {
    toast(`Removed ${seedName(gone)}`, "Undo", undo);
    (the("seeds").querySelector("button") || the("find")).focus();
  }
}

/** Seeds from an address have ids only: give them their names. */
async function fillIn() {
  for (const seed of state.seeds.filter((one) => one.track_id && !one.track && !one.lost)) {
    try {
      const track = await detail(seed.track_id);
      state = { ...state, seeds: state.seeds.map((one) => (one.track_id === seed.track_id ? { ...one, track } : one)) };
    } catch (error) {
      if (error.code !== "not-found") return;
      state = { ...state, seeds: state.seeds.map((one) => (one.track_id === seed.track_id ? { ...one, lost: true } : one)) };
    }
    show();
  }
}

const run = quietly(async () => {
  asking?.abort();
  clearTimeout(trying);
  const wanted = state.seeds.filter((seed) => seed.weight > 0);
  if (!wanted.length || (state.kind === "path" && wanted.length < 2)) {
    showEmpty(state.kind === "path" && wanted.length ? "A path needs two songs or more: it leads from the first to the last, in steps as small as can be." : "Name a song above. Songs that sound like it come here, each with its reasons.");
    map.songs([]);
    return;
  }
  if (state.kind === "path" && wanted.length > MOST_WAYPOINTS) toast(`A path leads through the first ${MOST_WAYPOINTS} songs`);
  asking = new AbortController();
  const { signal } = asking;
  const asked = state;
  const waiting = setTimeout(() => showWaiting(null), 120);
  const long = setTimeout(() => ask("/readyz", { signal }).catch((error) => { if (error.name !== "AbortError") banner(error.message); }), 1500);
  try {
    const [path, body] = requestOf(asked, model?.quantiles);
    const job = await over(await ask(path, { method: "POST", body, signal, headers: path.endsWith("recommendations") ? { Prefer: "wait=20" } : {} }), signal);
    if (job.type === "batch") job.result = together(await lines(`${job.links.results}`, { signal }), model);
    clearTimeout(waiting);
    clearTimeout(long);
    if (job.status !== "succeeded") throw new Problem(job.error ? job.error.detail : "The request was stopped. Ask again.", { code: job.error?.code });
    answered(job, asked);
  } catch (error) {
    clearTimeout(waiting);
    clearTimeout(long);
    if (error.name === "AbortError") return;
    failed(error, () => run());
  }
}, 40);

/** Follow a job to its end, with the progress that the worker tells. */
async function over(job, signal) {
  let last = job;
  while (!["succeeded", "failed", "canceled"].includes(last.status)) {
    for await (const { data } of events(last.links.events, signal)) {
      if (data.code) throw new Problem(data.detail, { code: data.code });
      last = data;
      const { counts } = last;
      showWaiting(counts ? { stage: `${counts.total - counts.waiting} of ${counts.total}`, fraction: 1 - counts.waiting / counts.total } : last.progress || { stage: "queued", fraction: 0 });
    }
  }
  return last;
}

/** The lines of a batch as one answer, each song with the seed that it came from. */
function together(all, about) {
  const tracks = all.flatMap((line) => (line.result ? line.result.tracks.map((track, i) => ({ ...track, of: i ? null : line.index })) : []));
  const seeds = all.map((line) => line.result?.seeds[0] || { track_id: null, name: null, artists: [], match: 0, alternatives: [] });
  const warnings = all.filter((line) => line.error).map((line) => `list ${line.index + 1}: ${line.error.detail}`);
  return { model: about?.version, degraded: false, strategy: "catalogue", seeds, tracks, warnings, notice: about?.notice, each: all.map((line) => line.result) };
}

function answered(job, asked) {
  const { result } = job;
  if (job.type === "batch") asked = { ...asked, seeds: asked.seeds.filter((seed) => seed.weight > 0) };
  banner(null);
  state = { ...state, seeds: state.seeds.map((seed, i) => {
    const match = asked.seeds[i] === seed ? result.seeds[i] : null;
    return match && !match.match && !result.degraded ? { ...seed, lost: true } : seed;
  }) };
  showResult(job.type === "batch" ? null : job.id, result, asked.seeds);
  map.songs(result.tracks);
  the("about").textContent = [result.notice, model ? `${model.tracks.toLocaleString("en")} songs, model ${result.model}.` : null].filter(Boolean).join(" ");
  const names = asked.seeds.map((seed, i) => `${seed.weight < 0 ? "not " : ""}${result.seeds[i]?.name || seedName(seed)}`);
  document.title = `${names.slice(0, 3).join(", ")} – Segue`;
  remember(write(asked), names.join(", "));
  say(`${count(result.tracks.length, "song")}. ${result.degraded ? "These are not songs like yours." : ""}`);
  show();
}

function failed(error, again) {
  if (error.code === "unauthorized") {
    askForKey(again);
    return;
  }
  showFailed(error, error.fallback);
  if (["offline", "no-workers", "not-ready", "redis-unavailable", "queue-full", "rate-limited", "busy"].includes(error.code)) {
    banner(error.message);
    trying = setTimeout(again, error.retryS ? error.retryS * 1000 : AGAIN_MS);
  }
}

function banner(text) {
  the("banner").hidden = !text;
  the("banner").textContent = text || "";
}

function askForKey(again) {
  if (document.querySelector("dialog")) return;
  const input = h("input", { type: "password", id: "key", autocomplete: "off" });
  const box = dialog("This service asks for an API key", h("form", { method: "dialog", onsubmit: () => { useKey(input.value.trim()); again(); } },
    h("p", {}, h("label", { for: "key" }, "API key "), input, " ", h("button", { class: "solid" }, "Use it")),
    h("p", { class: "small quiet" }, "It is kept in this browser. Whoever runs the service makes one with python -m api keys create.")));
  box.addEventListener("close", () => the("find").focus());
}

function light(id) {
  lightRow(id);
  map.light(id);
  const track = songs().find((one) => one.track_id === id) || null;
  if (["playlist", "path"].includes(state.kind)) lightKey(track, songs());
}

Object.assign(doing, {
  light,
  again: () => run(),
  drop: (track) => {
    change({ removed: [...state.removed, track.track_id] }, { undo: true });
    toast(`Removed ${nameOf(track)}`, "Undo", undo);
  },
  more: (track) => addSeeds([{ track_id: track.track_id, weight: 1, track }]),
  less: (track) => addSeeds([{ track_id: track.track_id, weight: -1, track }]),
  mean: (i, other) => {
    changeSeed(i, { track_id: other.track_id, weight: state.seeds[i].weight, track: null });
    fillIn();
  },
});

function keys() {
  dialog("Keys", h("dl", {}, [["/", "Find a song"], ["↑ ↓", "Choose among the songs found"], ["j k", "Next, previous song of the list"], ["x", "Remove the song in focus, take the next"], ["m", "Another mix"], ["Ctrl Z", "Undo"], ["?", "This list"], ["On the map", "Arrows move, + and − zoom, 0 shows all"]]
    .map(([key, does]) => [h("dt", {}, key.includes(" ") && key.length > 6 ? key : key.split(" ").map((one) => [h("kbd", {}, one), " "])), h("dd", {}, does)])));
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    the("find").focus();
  } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !typing) {
    event.preventDefault();
    undo();
  } else if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  else if (event.key === "/") {
    event.preventDefault();
    the("find").focus();
  } else if (event.key === "?") keys();
  else if (event.key === "m" && state.seeds.length) change({ variation: state.variation + 1 });
  else if (event.key === "j" || event.key === "k") {
    const rows = [...the("results").querySelectorAll(".name")];
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))]?.focus();
  } else if (event.key === "x") {
    const row = document.activeElement.closest?.("li[data-id]");
    row?.querySelector(".drop")?.click();
  }
});

function tabs() {
  const both = [the("tab-list"), the("tab-map")];
  const shared = document.querySelector(".shared");
  const choose = (i, focus) => {
    both.forEach((tab, n) => { tab.setAttribute("aria-selected", String(n === i)); tab.tabIndex = n === i ? 0 : -1; });
    shared.dataset.tab = i ? "map" : "list";
    if (focus) both[i].focus();
    if (i) map.wake();
  };
  both.forEach((tab, i) => {
    tab.addEventListener("click", () => choose(i, false));
    tab.addEventListener("keydown", (event) => { if (event.key === "ArrowLeft" || event.key === "ArrowRight") choose(1 - i, true); });
  });
  document.querySelector(".tabs").hidden = false;
  choose(0, false);
}

function theme() {
  const select = the("theme");
  select.value = document.documentElement.dataset.theme || "system";
  select.addEventListener("change", () => {
    if (select.value === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = select.value;
    try {
      localStorage.setItem("segue.theme", select.value);
    } catch {
      // It holds for this visit then.
    }
    map.wake();
  });
}

async function begin() {
  try {
    const [about, labels, popular] = await Promise.all([ask("/v1/model"), ask("/v1/genres"), ask("/v1/popular?limit=12")]);
    model = about;
    genres = labels.genres.map((one) => one.genre).sort();
    the("popular").replaceChildren(...popular.tracks.map((track) => h("li", {}, h("button", { type: "button", onclick: () => { addSeeds([{ track_id: track.track_id, weight: 1, track }]); the("find").focus(); } }, track.name, " ", h("span", { class: "artist" }, artistsOf(track))))));
    the("about").textContent = [about.notice, `${about.tracks.toLocaleString("en")} songs, model ${about.version}.`].filter(Boolean).join(" ");
    banner(null);
    show();
    map.begin().then(() => map.show(state.view));
    run();
    fillIn();
  } catch (error) {
    failed(error, begin);
  }
}

tabs();
theme();
find(addSeeds, (error) => failed(error, () => {}));
the("history-open").addEventListener("click", () => showHistory((query) => { state = read(query); history.pushState(null, "", location.pathname + query); show(); run(); fillIn(); }));
the("help-open").addEventListener("click", keys);
addEventListener("popstate", () => { state = read(location.search); show(); run(); fillIn(); });
addEventListener("online", () => { banner(null); begin(); });
addEventListener("offline", () => banner("You are offline. What you see stays; new answers come when the connection is back."));
show();
begin();
