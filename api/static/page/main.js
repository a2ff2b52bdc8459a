// The page: its state, what is asked when it changes, and who shows what.

import { answerTo } from "./answer.js";
import { ask, passes } from "./ask.js";
import { detail } from "./compare.js";
import { h, quietly, say, the, toast } from "./dom.js";
import { examples } from "./examples.js";
import { find } from "./find.js";
import { askForKey, banner, keys, tabs, theme } from "./frame.js";
import { remember, showHistory } from "./history.js";
import { doing, lightRow, showBusy, showEmpty, showFailed, showResult, showWaiting, songs } from "./list.js";
import { createMap } from "./map.js";
import { tint } from "./mood.js";
import { isFound } from "./notes.js";
import { seedName, showSeeds } from "./seeds.js";
import { lightKey, showShape } from "./shape.js";
import { KINDS, MOST_WAYPOINTS, read, seedsIn, WIDE, write } from "./state.js";
import { artistsOf, count, nameOf } from "./words.js";

const MOST_UNDO = 50;
const MOST_SEEDS = 50;
const AGAIN_MS = 5000;
const TITLE = document.title;

let state = read(location.search);
let model = null;
let genres = [];
let tries = [];
/** The last answer, with the state that it answers. */
let last = null;
let asking = null;
let trying = 0;
const before = [];
const map = createMap({
  light,
  add: (track) => addSeeds([seedFrom(track)]),
  viewed: (view) => {
    state = { ...state, view };
    history.replaceState(null, "", location.pathname + write(state));
  },
});

const seedFrom = (track, weight = 1) => ({ track_id: track.track_id, weight, track });
const idOf = (seed) => seed.track_id || seed.found;
/** Whether two seeds are the same wish, whatever has become known of them meanwhile. */
const isSame = (a, b) => a.track_id === b.track_id && a.name === b.name && a.artist === b.artist;
const isLed = () => state.kind === "path";

/** Take over a change, show it at once, and ask anew. push: a step that the browser's Back takes back. */
function change(patch, { undo = false, push = false } = {}) {
  if (undo) remembered();
  state = { ...state, ...patch };
  history[push ? "pushState" : "replaceState"](null, "", location.pathname + write(state));
  show();
  runSoon();
}

/** Keep the state as it is for Undo. */
function remembered() {
  before.push(state);
  if (before.length > MOST_UNDO) before.shift();
}

function undo() {
  const was = before.pop();
  if (!was) return;
  change({ ...was, view: state.view });
  say("Undone");
}

/** Show what an address asks for. */
function go(query) {
  remembered();
  history.pushState(null, "", location.pathname + query);
  arrive();
}

function arrive() {
  state = read(location.search);
  map.show(state.view);
  show();
  runSoon();
  fillIn();
}

function show() {
  showSeeds(state.seeds, state.kind, changeSeed);
  const arc = last && JSON.stringify(last.asked.arc) === JSON.stringify(state.arc) ? last.result.arc : null;
  showShape(state, { model, genres }, { tracks: songs(), arc }, (patch) => change(patch, { undo: true }));
  the("start").hidden = state.seeds.length > 0;
  the("shape").hidden = state.seeds.length === 0;
  const seeds = state.seeds.filter((seed) => seed.track?.at);
  const places = seeds.filter((seed) => seed.weight > 0).map((seed) => seed.track.at);
  tint(
    places.length
      ? places
      : songs()
          .slice(0, 5)
          .map((track) => track.at)
          .filter(Boolean),
  );
  map.seeds(seeds);
}

function addSeeds(seeds) {
  const known = new Set(state.seeds.map((seed) => seed.track_id).filter(Boolean));
  const isNew = ({ track_id }) => !track_id || (!known.has(track_id) && known.add(track_id));
  const some = seeds.filter(isNew);
  if (!some.length) {
    toast("That song is there already");
    return;
  }
  const all = [...state.seeds, ...some].slice(0, isLed() ? MOST_WAYPOINTS : MOST_SEEDS);
  if (all.length < state.seeds.length + some.length) toast(`${all.length} songs at most; the rest was left out`);
  say(`${count(all.length - state.seeds.length, "song")} added`);
  change({ seeds: all }, { undo: true, push: true });
  fillIn();
}

/** Change a seed; "earlier": its place; null: take it away. */
function changeSeed(i, patch) {
  const seeds = [...state.seeds];
  const was = seeds[i];
  if (patch === "earlier") [seeds[i - 1], seeds[i]] = [seeds[i], seeds[i - 1]];
  else if (patch) seeds[i] = { ...was, ...patch };
  else seeds.splice(i, 1);
  change({ seeds }, { undo: true, push: patch === null });
  if (patch === null) {
    toast(`Removed ${seedName(was)}`, "Undo", () =>
      change({ seeds: state.seeds.toSpliced(i, 0, was) }, { undo: true }),
    );
    (the("seeds").querySelector("button") || the("find")).focus();
  }
}

/** What a look-up tells of a seed. */
const whatOf = ({ value, reason }) => (value ? { track: value } : reason.code === "not-found" ? { outside: true } : {});

/** Seeds from an address or of an answer have ids only: give them their names and places. */
async function fillIn() {
  const ids = state.seeds.filter((one) => idOf(one) && !one.track && !one.outside).map(idOf);
  if (!ids.length) return;
  const found = await Promise.allSettled(ids.map(detail));
  const more = new Map(ids.map((id, i) => [id, whatOf(found[i])]));
  state = { ...state, seeds: state.seeds.map((one) => ({ ...one, ...more.get(idOf(one)) })) };
  show();
}

/** Ask once it is quiet; what is still asked for is not wanted any more. */
function runSoon() {
  asking?.abort();
  showBusy();
  run();
}

const run = quietly(async () => {
  if (!model) return; // begin() runs it once the model is known, which tells what percentiles are
  asking?.abort();
  clearTimeout(trying);
  trying = 0;
  const wanted = state.seeds.filter((seed) => seed.weight > 0);
  if (!wanted.length || (isLed() && wanted.length < 2)) {
    last = null;
    if (isLed() && wanted.length)
      showEmpty("A path needs two songs or more: it leads from the first to the last, in steps as small as can be.");
    else showEmpty("Name a song above. Songs that sound like it come here, each with its reasons.", tries, go);
    map.songs([]);
    document.title = TITLE;
    return;
  }
  if (isLed() && wanted.length > MOST_WAYPOINTS) toast(`A path leads through the first ${MOST_WAYPOINTS} songs`);
  asking = new AbortController();
  const { signal } = asking;
  const asked = state;
  const waiting = setTimeout(() => showWaiting(null), 120);
  const long = setTimeout(
    () =>
      ask("/readyz", { signal }).catch((error) => {
        if (passes(error)) banner(error.message);
      }),
    1500,
  );
  try {
    answered(
      await answerTo(asked, model, { signal, working: showWaiting, lost: (error) => banner(error?.message) }),
      asked,
    );
  } catch (error) {
    if (error.name !== "AbortError") failed(error, () => run());
  } finally {
    clearTimeout(waiting);
    clearTimeout(long);
  }
}, 40);

function answered(answer, asked) {
  const { result } = answer;
  const seeds = seedsIn(asked);
  last = { asked, result };
  banner(null);
  const matchOf = (seed) => result.seeds[seeds.findIndex((one) => isSame(one, seed))];
  state = { ...state, seeds: state.seeds.map((seed) => withMatch(seed, matchOf(seed), result)) };
  showResult(answer, asked);
  map.songs(result.tracks);
  tellAbout(result.notice);
  const names = seeds.map((seed, i) => `${seed.weight < 0 ? "not " : ""}${result.seeds[i]?.name || seedName(seed)}`);
  document.title = `${names.slice(0, 3).join(", ")} – Segue`;
  remember(write(asked), `${asked.kind === "list" ? "" : `${KINDS[asked.kind]}: `}${names.join(", ")}`);
  say(`${count(result.tracks.length, "song")}. ${isFound(result) ? "" : "These are not songs like yours."}`);
  show();
  fillIn();
}

/** What the answer tells of a seed: which song a name was taken for, or that there is none. */
function withMatch(seed, match, { degraded }) {
  if (!match) return seed;
  if (match.match) return { ...seed, found: match.track_id, called: `${match.name} – ${artistsOf(match)}` };
  return degraded ? seed : { ...seed, lost: true };
}

function failed(error, again) {
  if (error.code === "unauthorized") askForKey(error.message, again);
  showFailed(error, error.fallback, passes(error));
  if (!passes(error)) return;
  banner(error.message, again);
  clearTimeout(trying);
  trying = setTimeout(again, error.retryS ? error.retryS * 1000 : AGAIN_MS);
}

/** The type-ahead got no answer. What is on the page stays as it is. */
function stumbled(error) {
  if (error.code === "unauthorized") askForKey(error.message, () => {});
  else if (passes(error)) banner(error.message);
}

function tellAbout(notice) {
  const size = model ? `${model.tracks.toLocaleString("en")} songs, model ${model.version}.` : null;
  the("about").textContent = [notice, size].filter(Boolean).join(" ");
}

/** Point at a song in the list, on the map and on the wheel; null: at none. */
function light(id) {
  lightRow(id);
  map.light(id);
  if (["playlist", "path"].includes(state.kind)) lightKey(songs().find((one) => one.track_id === id) || null, songs());
}

const mix = () => {
  if (state.seeds.length) change({ variation: state.variation + 1 }, { undo: true });
};

Object.assign(doing, {
  light,
  again: () => (model ? run() : begin()),
  drop: (track) => {
    change({ removed: [...state.removed, track.track_id] }, { undo: true });
    toast(`Removed ${nameOf(track)}`, "Undo", () =>
      change({ removed: state.removed.filter((id) => id !== track.track_id) }, { undo: true }),
    );
  },
  // On a path a song more is one that it passes; its end stays.
  more: (track) => {
    addSeeds([seedFrom(track)]);
    const last = state.seeds.length - 1;
    if (isLed() && last > 1 && state.seeds[last].track_id === track.track_id) changeSeed(last, "earlier");
  },
  less: (track) => addSeeds([seedFrom(track, -1)]),
  mean: (seed, other) => {
    // The song may have gone, or another have come before it, since this was offered.
    const i = state.seeds.findIndex((one) => one.track_id === seed.track_id && one.name === seed.name);
    if (i < 0) return;
    const { weight } = state.seeds[i];
    change({ seeds: state.seeds.with(i, { track_id: other.track_id, weight }) }, { undo: true });
    fillIn();
  },
  widen: () => change(WIDE, { undo: true }),
});

function showPopular(tracks) {
  the("popular").replaceChildren(
    ...tracks.map((track) =>
      h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              addSeeds([seedFrom(track)]);
              the("find").focus();
            },
          },
          track.name,
          " ",
          h("span", { class: "artist" }, artistsOf(track)),
        ),
      ),
    ),
  );
}

async function begin() {
  clearTimeout(trying);
  trying = 0;
  try {
    const [about, labels, popular] = await Promise.all([
      ask("/v1/model"),
      ask("/v1/genres"),
      ask("/v1/popular?limit=12"),
    ]);
    model = about;
    genres = labels.genres.map((one) => one.genre).sort();
    tries = examples(popular.tracks, model);
    showPopular(popular.tracks);
    tellAbout(about.notice);
    banner(null);
    show();
    map.begin().then(() => map.show(state.view));
    run();
    fillIn();
  } catch (error) {
    failed(error, begin);
  }
}

tabs(map.wake);
theme(map.wake);
keys(undo, mix);
find(addSeeds, () => banner(null), stumbled);
the("history-open").addEventListener("click", () => showHistory(go));
addEventListener("popstate", () => {
  before.length = 0; // the browser's Back has gone by them
  arrive();
});
addEventListener("online", () => {
  banner(null);
  if (!model) begin();
  else if (trying) run();
});
addEventListener("offline", () =>
  banner("You are offline. What you see stays; new answers come when the connection is back."),
);
show();
begin();
