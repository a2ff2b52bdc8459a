// What is said above a list: what it is, what was guessed, what was not found.

import { button, h } from "./dom.js";
import { seedName } from "./seeds.js";
import { artistsOf, count, percent, span } from "./words.js";

/** Warnings that the page puts in its own words. */
const OF_SEEDS = /^(?:seed|waypoint) \d+: (?:not found|several artists)|^no seed was found/;
const OF_WORKERS = /^no worker answered/;
const OF_COUNT = /^0 tracks/;
/** Notes of single songs that stand open. */
const MOST_NOTES = 3;

export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

/** Whether the songs are like at least one of those that were asked for: a path may be degraded and yet be that. */
export const isFound = ({ degraded, strategy }) => !degraded || ["catalogue", "spotify", "fuzzy"].includes(strategy);

const LONGEST_NAME = 60;
/** A name as it stands among others: not endless, and its own direction of writing kept to itself. */
const inline = (name) => `\u2068${name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name}\u2069`;

/** seeds: as the page has them, in the order of the answer's; kind: of the request. */
export function headline(result, seeds, kind) {
  if (result.degraded && result.strategy === "genre") return "From the same genres";
  if (!isFound(result)) return result.tracks.length ? "What many listen to" : "Nothing found";
  const wanted = seeds.filter((seed, i) => seed.weight > 0 && result.seeds[i]?.match);
  const names = wanted.map((seed) => inline(result.seeds[seeds.indexOf(seed)].name || seedName(seed)));
  if (!names.length) return "Songs";
  if (result.each) return `A list for each of ${count(names.length, "song")}`;
  if (kind === "path" && names.length > 1) return `A path from ${names[0]} to ${names.at(-1)}`;
  const some = names.length > 3 ? [...names.slice(0, 2), `${names.length - 2} more`] : names;
  const joined = [some.slice(0, -1).join(", "), some.at(-1)].filter(Boolean).join(" and ");
  return "flow" in result ? `A playlist from ${joined}` : `Songs like ${joined}`;
}

/** What stands above the list of one seed, where there is one for each. */
export function groupName(result, i, seeds) {
  const name = result.seeds[i].name || (seeds[i] ? seedName(seeds[i]) : "");
  return result.each[i].degraded ? `${name} was not found; many listen to these` : name;
}

/** What stands below it: how long, how well it flows, how it was found. isExact: it is the best songs, in order. */
export function total({ tracks, duration_ms, flow, scanned }, isExact) {
  const looked = (scanned * 100).toFixed(scanned < 0.1 ? 1 : 0);
  const told = [
    duration_ms && `${count(tracks.length, "song")}, ${span(duration_ms)}`,
    Number.isFinite(flow) && `transitions fit ${percent(flow)} on average`,
    isExact &&
      scanned > 0 &&
      scanned < 0.5 &&
      `exact: the best of all songs, though only ${looked} % had to be looked at`,
  ].filter(Boolean);
  return told.length > 0 && h("p.total", sentence(told.join("; ")));
}

/** Everything that has to be said. doing: see list.js. */
export function notes(result, seeds, doing) {
  const mean = (i) => (other) => doing.mean(seeds[i], other);
  const matches = result.seeds.map((match, i) => ofSeed(result, match, seeds[i], mean(i))).filter(Boolean);
  const few = matches.slice(0, MOST_NOTES);
  const rest = matches.slice(MOST_NOTES);
  const others = result.warnings.filter(
    (text) => !OF_SEEDS.test(text) && !OF_WORKERS.test(text) && !(OF_COUNT.test(text) && !result.tracks.length),
  );
  return [
    !isFound(result) &&
      h(
        "div.note",
        h("p", whyDegraded(result, seeds)),
        isUnanswered(result) && h("p", button("Try again", doing.again)),
      ),
    few,
    rest.length > 0 && h("details.note", h("summary", `And ${count(rest.length, "more song")} to look at`), rest),
    others.map((text) => h("p.note", sentence(text))),
  ];
}

/** What a name was taken for, or that it was not found; null where it is just the song. */
function ofSeed(result, match, seed, mean) {
  const asked = seed?.name;
  const called = asked || (seed ? seedName(seed) : match.name);
  if (match.match > 0 && match.match < 1 && asked) {
    const taken = h("strong", `${match.name} by ${artistsOf(match)}`);
    return guess([`“${asked}” was taken as `, taken, ". "], match, mean);
  }
  if (match.match) return null;
  if (match.alternatives.length) return guess([`“${called}” was not found. `], match, mean);
  return isFound(result) && !result.each && h("p.note", `“${called}” was not found and was left out.`);
}

function guess(text, { alternatives }, mean) {
  const others = alternatives.map((other) =>
    h(
      "li",
      button(`${other.name} by ${artistsOf(other)}`, () => mean(other)),
    ),
  );
  return h("div.note", text, others.length > 0 && [h("span", "Did you mean "), h("ul", others)]);
}

const isUnanswered = ({ warnings }) => warnings.some((text) => OF_WORKERS.test(text));

/** Why these are not songs like those that were asked for. */
function whyDegraded(result, seeds) {
  const [warning] = result.warnings;
  const lost = seeds.filter((_, i) => result.seeds[i] && !result.seeds[i].match).map((seed) => `“${seedName(seed)}”`);
  if (lost.length && warning && OF_SEEDS.test(warning)) {
    const verb = lost.length > 1 ? "were" : "was";
    return `${lost.join(", ")} ${verb} not found. These songs are what many listen to, not songs like yours.`;
  }
  if (isUnanswered(result))
    return "No worker answered in time. These songs are what many listen to, not songs like yours.";
  return warning ? sentence(warning) : "These are not songs like yours.";
}
