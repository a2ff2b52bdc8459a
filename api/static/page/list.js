// The list of songs: rank, title, artist, then the facts in small, and the reasons as one thin bar that unfolds.

import { compare } from "./compare.js";
import { h, rerender, the } from "./dom.js";
import { seedName } from "./seeds.js";
import { takeAlong } from "./take.js";
import { artistsOf, camelotOf, clock, count, keyOf, nameOf, partOf, percent, span, STAGES, tempoOf } from "./words.js";

/** Everything that can be done from the list; main.js fills it in. */
export const doing = { drop: null, more: null, less: null, light: null, again: null, mean: null, stop: null };

let open = null;
let shown = { jobId: null, tracks: [] };

/** The songs on the page, in order. */
export const songs = () => shown.tracks;

/** Point at a song, from the map or the list itself; null: at none. */
export function lightRow(id) {
  for (const row of the("results").querySelectorAll("li[data-id]")) row.classList.toggle("lit", row.dataset.id === id);
}

/** Nothing asked for yet. */
export function showEmpty(text) {
  shown = { jobId: null, tracks: [] };
  rerender(the("results"), h("p", { class: "empty" }, text));
}

/** Waiting: what is there stays, a line above it moves. progress: { stage, fraction } or null. */
export function showWaiting(progress) {
  const results = the("results");
  results.setAttribute("aria-busy", "true");
  let line = results.querySelector(".waiting");
  if (!line) {
    line = h("div", { class: "waiting", role: "progressbar", "aria-label": "Working" }, h("span"));
    results.prepend(line);
    if (!shown.tracks.length) results.replaceChildren(line, h("p", { class: "empty", id: "stage" }, "Listening …"));
  }
  if (!progress) return;
  line.classList.add("measured");
  line.firstChild.style.width = `${Math.round(progress.fraction * 100)}%`;
  line.setAttribute("aria-valuenow", String(Math.round(progress.fraction * 100)));
  const stage = the("stage");
  if (stage) stage.textContent = `${STAGES[progress.stage] || progress.stage} …`;
}

/** The wait is over without an answer: say why, and what to do. */
export function showFailed(problem, fallback) {
  const results = the("results");
  results.removeAttribute("aria-busy");
  results.querySelector(".waiting")?.remove();
  results.querySelector(".failed")?.remove();
  if (fallback) {
    showResult(null, fallback, []);
    return;
  }
  if (!shown.tracks.length) results.replaceChildren();
  results.prepend(h("div", { class: "note failed", role: "alert" }, h("p", {}, problem.message),
    h("p", {}, h("button", { type: "button", onclick: () => doing.again() }, "Try again"))));
}

/** Show an answer. jobId: where its files are; seeds: as the page has them, in the request's order. */
export function showResult(jobId, result, seeds) {
  shown = { jobId, tracks: result.tracks };
  const results = the("results");
  results.removeAttribute("aria-busy");
  const longest = Math.max(...result.tracks.map((track) => gains(track).reduce((sum, part) => sum + part.value, 0)), 1e-9);
  rerender(results,
    h("div", { class: "head" }, h("h2", {}, headline(result, seeds)), result.tracks.length && (jobId || result.each) ? takeAlong(() => shown, () => doing.again()) : null),
    notes(result, seeds),
    result.tracks.length
      ? h("ol", { class: "songs" }, result.tracks.map((track) => [
        Number.isInteger(track.of) ? h("li", { class: "group" }, h("h3", {}, of(result, track.of, seeds))) : null, row(track, longest, seeds)]))
      : h("p", { class: "empty" }, "No song passes. Widen what you ask for: years, genres or moods."),
    total(result));
}

function headline(result, seeds) {
  if (result.degraded) return result.strategy === "genre" ? "From the same genres" : result.tracks.length ? "What many listen to" : "Nothing found";
  const named = seeds.map((seed, i) => (seed.weight > 0 ? result.seeds[i]?.name || seedName(seed) : null)).filter(Boolean);
  if (!named.length) return "Songs";
  if (result.each) return `A list for each of ${count(named.length, "song")}`;
  const some = named.length > 3 ? `${named.slice(0, 2).join(", ")} and ${named.length - 2} more` : named.join(named.length === 2 ? " and " : ", ");
  return "flow" in result ? `A playlist from ${some}` : `Songs like ${some}`;
}

/** What stands above the list of one seed. */
function of(result, i, seeds) {
  const name = result.seeds[i].name || (seeds[i] ? seedName(seeds[i]) : "");
  return result.each[i].degraded ? `${name} was not found; many listen to these` : name;
}

function total(result) {
  const told = [];
  if (result.duration_ms) told.push(`${count(result.tracks.length, "song")}, ${span(result.duration_ms)}`);
  if (result.flow !== null && result.flow !== undefined) told.push(`transitions fit ${percent(result.flow)} on average`);
  if (result.scanned) told.push(`exact: the best of all songs, though only ${(result.scanned * 100).toFixed(result.scanned < 0.1 ? 1 : 0)} % had to be looked at`);
  return told.length ? h("p", { class: "total" }, sentence(told.join("; "))) : null;
}

function notes(result, seeds) {
  const found = [];
  if (result.degraded) found.push(h("p", { class: "note" }, result.warnings[0] ? sentence(result.warnings[0]) : "These are not songs like yours."));
  result.seeds.forEach((match, i) => {
    const asked = seeds[i] ? seeds[i].name : null;
    if (match.match > 0 && match.match < 1 && asked) {
      found.push(guess([`“${asked}” was taken as `, h("strong", {}, `${match.name} by ${artistsOf(match)}`), ` (${percent(match.match)} sure). `], match, i));
    } else if (!match.match && match.alternatives.length) {
      found.push(guess([`“${asked || seedName(seeds[i])}” was not found. `], match, i));
    } else if (!match.match && !result.degraded && !result.each) {
      found.push(h("p", { class: "note" }, `“${seeds[i] ? seedName(seeds[i]) : match.name}” was not found and was left out.`));
    }
  });
  for (const warning of result.warnings) {
    if (!/^seed \d+|^no seed was found|^no worker answered/.test(warning)) found.push(h("p", { class: "note" }, sentence(warning)));
  }
  return found;
}

function guess(text, match, i) {
  return h("div", { class: "note" }, text, match.alternatives.length > 0 && [h("span", {}, "Did you mean "), h("ul", {}, match.alternatives.map((other) => h("li", {},
    h("button", { type: "button", onclick: () => doing.mean(i, other) }, `${other.name} by ${artistsOf(other)}`))))]);
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

const gains = (track) => track.reasons.filter((reason) => reason.value > 0);

function row(track, longest, seeds) {
  const id = track.track_id;
  const parts = gains(track);
  const sum = parts.reduce((all, part) => all + part.value, 0);
  const facts = [[track.year, "Year"], [track.genres[0], "Genre"], [camelotOf(track), "Key"], [tempoOf(track), "Tempo"]];
  const body = h("div", { class: "more", id: `more-${id}`, hidden: open !== id });
  const line = h("li", { "data-id": id, class: track.given ? "given" : null, onpointerenter: () => doing.light(id), onpointerleave: () => doing.light(null), onfocusin: () => doing.light(id) },
    track.transition && h("p", { class: "step" }, transition(track.transition)),
    h("div", { class: "song-row" },
      h("span", { class: "rank" }, track.rank),
      h("button", {
        type: "button", class: "name", "data-keep": `row-${id}`, "aria-expanded": String(open === id), "aria-controls": body.id,
        onclick: (event) => {
          open = open === id ? null : id;
          for (const other of the("results").querySelectorAll(".more")) other.hidden = other !== body || open !== id;
          for (const other of the("results").querySelectorAll(".name")) other.setAttribute("aria-expanded", String(other === event.currentTarget && open === id));
          if (open === id) unfold(body, track, seeds);
        },
      }, h("span", { class: "title" }, track.name), h("span", { class: "artist" }, artistsOf(track))),
      h("span", { class: "facts" }, facts.map(([value, label]) => h("span", { title: label === "Key" ? keyOf(track) || null : null }, value ? [h("span", { class: "unseen" }, `${label} `), String(value)] : ""))),
      parts.length
        ? h("span", { class: "bar-of", role: "img", "aria-label": `Because of ${parts.slice(0, 3).map((part) => partOf(part.part)).join(", ")}`, style: { width: `${Math.max(8, (sum / longest) * 100)}%` } },
          [...parts.slice(0, 2).map((part) => part.value), parts.slice(2).reduce((all, part) => all + part.value, 0)].map((value) => h("i", { style: { width: `${(value / sum) * 100}%` } })))
        : h("span"),
      track.given ? h("span") : h("button", { type: "button", class: "drop", "data-keep": `drop-${track.rank}`, "aria-label": `Remove ${nameOf(track)}, take the next`, title: "Remove, take the next", onclick: () => doing.drop(track) }, "×")),
    body);
  if (open === id) unfold(body, track, seeds);
  return line;
}

function transition(step) {
  const told = step.parts.filter((part) => part.score !== null && part.part !== "sound").map((part) => part.text);
  return [h("b", {}, percent(step.score)), told.length ? ` ${told.join(" · ")}` : ""];
}

function unfold(body, track, seeds) {
  const side = h("div");
  const seed = seeds.find((one) => one.weight > 0 && one.track_id && one.track_id !== track.track_id);
  const doings = [
    h("button", { type: "button", class: "bordered", onclick: () => doing.more(track) }, "More like this"),
    h("button", { type: "button", class: "bordered", onclick: () => doing.less(track) }, "Less like this"),
    seed && h("button", { type: "button", class: "bordered", onclick: async () => {
      try {
        side.replaceChildren(await compare(track.track_id, seed.track_id));
      } catch (error) {
        side.replaceChildren(h("p", { class: "note" }, error.message));
      }
    } }, seeds.length > 1 ? `Compare with ${seed.track?.name || "the first song"}` : "Compare with yours"),
    track.spotify_url && h("button", { type: "button", class: "bordered", onclick: () => side.replaceChildren(h("iframe", {
      class: "player", title: `Spotify player: ${nameOf(track)}`, src: `https://open.spotify.com/embed/track/${encodeURIComponent(track.track_id)}`, allow: "encrypted-media", referrerpolicy: "no-referrer", sandbox: "allow-scripts allow-same-origin allow-popups",
    })) }, "Play here"),
    track.spotify_url && h("a", { href: track.spotify_url, target: "_blank", rel: "noreferrer noopener" }, "Open in Spotify"),
  ];
  const known = [keyOf(track) && [keyOf(track), camelotOf(track) && `(${camelotOf(track)})`].filter(Boolean).join(" "), tempoOf(track) && `${tempoOf(track)} BPM`, track.duration_ms && clock(track.duration_ms), track.year, track.genres.join(", "), track.popularity !== null && `popularity ${track.popularity}`].filter(Boolean);
  body.replaceChildren(h("div", { class: "doings" }, doings), h("div", {}, reasons(track), h("p", { class: "small quiet" }, known.join(" · "))), side);
}

function reasons(track) {
  if (!track.reasons.length) return h("p", { class: "small quiet" }, track.given ? "One of your songs." : "No reasons: it was not chosen by its sound.");
  const most = Math.max(...track.reasons.map((reason) => Math.abs(reason.value)));
  return h("dl", { class: "reasons" }, track.reasons.filter((reason) => Math.abs(reason.value) >= 0.05).slice(0, 8).map((reason) => {
    const width = (Math.abs(reason.value) / most) * 100;
    return [h("dt", {}, partOf(reason.part)), h("dd", { class: "line" }, h("i", { class: reason.value < 0 ? "less" : null, style: { width: `${width}%` } })),
      h("dd", { class: "number" }, `${reason.value > 0 ? "+" : "−"}${Math.abs(reason.value).toFixed(1)}`)];
  }));
}
