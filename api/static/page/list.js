// The songs, and every state that their place can be in: empty, waiting, failed, answered.

import { button, h, rerender, the } from "./dom.js";
import { groupName, headline, notes, sentence, total } from "./notes.js";
import { captions, gainOf, row, unfold } from "./row.js";
import { isNarrowed, seedsIn } from "./state.js";
import { takeAlong } from "./take.js";
import { STAGES } from "./words.js";

/** Everything that can be done from the list; main.js fills it in. */
export const doing = { drop: null, more: null, less: null, light: null, again: null, mean: null, widen: null };

const NOTHING = { jobId: null, lines: null, tracks: [] };

/** The id of the song that is unfolded. */
let open = null;
let shown = NOTHING;

/** The songs on the page, in order. */
export const songs = () => shown.tracks;

/** Point at a song, from the map or the list itself; null: at none. */
export function lightRow(id) {
  for (const line of the("results").querySelectorAll("li[data-id]"))
    line.classList.toggle("lit", line.dataset.id === id);
}

/** Nothing asked for yet. examples: { query, text } of things to try; go(query). */
export function showEmpty(text, examples = [], go = null) {
  shown = NOTHING;
  const link = ({ query, text: told }) =>
    h(
      "a",
      {
        href: `/${query}`,
        onclick: (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey) return;
          event.preventDefault();
          go(query);
        },
      },
      told,
    );
  const tries = h(
    "div.tries",
    h("h2", "Or try"),
    h(
      "ul",
      examples.map((one) => h("li", link(one))),
    ),
  );
  rerender(settled(), h("p.empty", text), examples.length > 0 && tries);
}

/** What is there is about to be another. */
export function showBusy() {
  the("results").setAttribute("aria-busy", "true");
}

/** Waiting: what is there stays, a line above it moves. progress: { stage, fraction } or null. */
export function showWaiting(progress) {
  const results = the("results");
  showBusy();
  let line = results.querySelector(".waiting");
  if (!line) {
    line = h("div.waiting", { role: "progressbar", "aria-label": "Working" }, h("span"));
    results.prepend(line);
    if (!shown.tracks.length) results.replaceChildren(line, h("p.empty", { id: "stage" }, "Listening …"));
  }
  if (!progress) return;
  const share = Math.round(progress.fraction * 100);
  const stage = STAGES[progress.stage] || progress.stage;
  line.classList.add("measured");
  line.firstChild.style.width = `${share}%`;
  line.setAttribute("aria-valuenow", String(share));
  line.setAttribute("aria-valuetext", stage);
  if (the("stage")) the("stage").textContent = `${stage} …`;
}

/** The place of the songs, with nothing in it that waits or has failed. */
function settled() {
  const results = the("results");
  results.removeAttribute("aria-busy");
  for (const old of results.querySelectorAll(".waiting, .failed")) old.remove();
  return results;
}

/** The wait is over without an answer: say why, and what to do. passing: it is said elsewhere, and asked again. */
export function showFailed(problem, fallback, passing) {
  const results = settled();
  if (fallback) {
    showResult({ ...NOTHING, result: fallback }, null);
    return;
  }
  if (!shown.tracks.length)
    results.replaceChildren(passing ? h("p.empty", "Your songs come here as soon as the service answers.") : "");
  if (passing) return;
  const again = h(
    "p",
    button("Try again", () => doing.again()),
  );
  results.prepend(h("div.note.failed", { role: "alert" }, h("p", sentence(problem.message)), again));
}

/** Show an answer of answer.js. asked: the state that it answers, or null if it is a fallback that nobody asked for. */
export function showResult({ jobId, lines, result }, asked) {
  const kind = asked?.kind ?? "list";
  const seeds = (asked ? seedsIn(asked) : []).map((seed, i) => ({
    ...seed,
    id: seed.track_id || result.seeds[i]?.track_id,
  }));
  shown = { jobId, lines, tracks: result.tracks };
  const take = () =>
    takeAlong(
      () => shown,
      () => doing.again(),
    );
  rerender(
    settled(),
    h("div.head", h("h2", headline(result, seeds, kind)), result.tracks.length > 0 && take()),
    notes(result, seeds, doing),
    result.tracks.length
      ? [captions(result.tracks), h("ol.songs", rows(result, seeds, kind))]
      : none(asked && isNarrowed(asked)),
    total(result, kind === "list" && !asked?.variation && !asked?.diversity),
  );
}

function none(narrowed) {
  const text = narrowed ? "No song passes. Ask for more years, genres or moods." : "No song is left.";
  return h(
    "div.empty",
    h("p", text),
    narrowed &&
      h(
        "p",
        button("Ask without these limits", () => doing.widen(), { class: "bordered" }),
      ),
  );
}

function rows(result, seeds, kind) {
  let own = seeds;
  const most = Math.max(...result.tracks.map(gainOf), 1e-9);
  return result.tracks.map((track, i) => {
    const toggle = () => {
      open = open === track.track_id ? null : track.track_id;
      unfoldOne(i, track, about);
    };
    if (Number.isInteger(track.of)) own = [seeds[track.of]];
    const about = { seeds: own, kind, doing };
    const group = Number.isInteger(track.of) && h("li.group", h("h3", groupName(result, track.of, seeds)));
    return [group, row(track, i, { ...about, most, open: open === track.track_id, toggle })];
  });
}

/** Unfold the song at place i, if it is the open one, and fold all others. */
function unfoldOne(i, track, about) {
  [...the("results").querySelectorAll("li[data-id]")].forEach((line, n) => {
    const body = line.querySelector(".more");
    const isOpen = n === i && open !== null;
    body.hidden = !isOpen;
    line.querySelector(".name").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) unfold(body, track, about);
  });
}
