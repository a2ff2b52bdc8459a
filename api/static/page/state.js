// What is asked for, as one object; and as the address of the page, so that a link shares it.

/** The moods that can be set by percentile, and what each end of them is called. */
export const MOODS = {
  energy: ["Energy", "calm", "energetic"],
  valence: ["Brightness", "dark", "bright"],
  danceability: ["Dance", "for listening", "for dancing"],
  acousticness: ["Acoustic", "electric", "acoustic"],
  instrumentalness: ["Instrumental", "sung", "instrumental"],
};

/** Weights that can be set, with the service's defaults: artifacts/features.py; a test compares. */
export const WEIGHTS = {
  genre: ["Genre", 10, 20],
  year: ["Era", 6, 20],
  energy: ["Energy", 1, 10],
  valence: ["Brightness", 1, 10],
  danceability: ["Dance", 1, 10],
  acousticness: ["Acoustic", 1.5, 10],
  instrumentalness: ["Instrumental", 0.75, 10],
  loudness: ["Loudness", 1, 10],
  tempo: ["Tempo", 0.15, 10],
};
export const POPULARITY = 0.5;

/** What can be made, and what it is called. */
export const KINDS = { list: "List", each: "One each", playlist: "Playlist", path: "Path" };

/** Songs that a path may lead through. */
export const MOST_WAYPOINTS = 10;

export const ARCS = { flat: "Flat", build: "Build", wind_down: "Wind down", wave: "Wave", peak: "Peak" };

export const fresh = () => ({
  seeds: [],
  kind: "list",
  limit: 20,
  length: { tracks: 30 },
  arc: null,
  harmonic: false,
  years: null,
  tempo: null,
  genres: [],
  moods: {},
  weights: {},
  popularity: POPULARITY,
  diversity: 0,
  variation: 0,
  removed: [],
  view: null,
});

const range = (text) => {
  const found = /^(-?[\d.]+)-(-?[\d.]+)$/.exec(text || "");
  return found && Number(found[1]) <= Number(found[2]) ? [Number(found[1]), Number(found[2])] : null;
};
const within = (value, least, most, otherwise) => {
  const number = Number(value);
  return value !== null && Number.isFinite(number) ? Math.min(most, Math.max(least, number)) : otherwise;
};

/** Read the state from an address; what cannot be read is left out. */
export function read(search) {
  const given = new URLSearchParams(search);
  const state = fresh();
  state.seeds = given.getAll("s").slice(0, 50).map(seedOf).filter(Boolean);
  if (["each", "playlist", "path"].includes(given.get("as"))) state.kind = given.get("as");
  state.limit = Math.round(within(given.get("n"), 1, 100, 20));
  const length = /^(\d+)(t|m)$/.exec(given.get("len") || "");
  if (length)
    state.length =
      length[2] === "t" ? { tracks: within(length[1], 2, 500, 30) } : { minutes: within(length[1], 1, 1440, 60) };
  const arc = given.get("arc");
  if (arc && Object.hasOwn(ARCS, arc)) state.arc = arc;
  else if (arc) {
    const points = arc.split(",").map(Number);
    if (points.length >= 2 && points.length <= 50 && points.every((p) => p >= 0 && p <= 1)) state.arc = points;
  }
  state.harmonic = given.get("keys") === "1";
  state.years = range(given.get("year"));
  state.tempo = range(given.get("bpm"));
  state.genres = given.getAll("g").slice(0, 50);
  for (const mood of Object.keys(MOODS)) {
    const both = range(given.get(mood));
    if (both && both[0] >= 0 && both[1] <= 100) state.moods[mood] = both;
  }
  for (const pair of (given.get("w") || "").split(",")) {
    const [name, value] = pair.split(":");
    if (Object.hasOwn(WEIGHTS, name) && value !== undefined)
      state.weights[name] = within(value, 0, 20, WEIGHTS[name][1]);
  }
  state.popularity = within(given.get("pop"), -0.5, 2, POPULARITY);
  state.diversity = within(given.get("div"), 0, 1, 0);
  state.variation = Math.round(within(given.get("mix"), 0, 2 ** 31 - 1, 0));
  state.removed = given.getAll("not").slice(0, 200);
  const view = (given.get("map") || "").split(",").map(Number);
  if (view.length === 3 && view.every(Number.isFinite) && view[2] > 1)
    state.view = { x: within(view[0], 0, 1, 0.5), y: within(view[1], 0, 1, 0.5), zoom: within(view[2], 1, 4096, 1) };
  return state;
}

function seedOf(text) {
  const [, what, weight] = /^(.+?)(?:\*(-?[\d.]+))?$/.exec(text) || [];
  if (!what || what.length > 400) return null;
  const seed = { weight: within(weight ?? null, -10, 10, 1) || 1 };
  if (!what.startsWith("~")) return { ...seed, track_id: what };
  const [name, artist] = what.slice(1).split("|").map(unescaped);
  return name ? { ...seed, name, ...(artist ? { artist } : {}) } : null;
}

/** What widens a request that no song passes. */
export const WIDE = { years: null, tempo: null, genres: [], moods: {} };

/** Whether filters narrow what may be answered. */
export const isNarrowed = (state) =>
  Boolean(state.years || state.tempo || state.genres.length || Object.keys(state.moods).length);

/** What means something in a seed is written as %7C, %2A and %25 in a name. */
const escaped = (text) => text.replace(/[%*|]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`);
const unescaped = (text) => text?.replace(/%(25|2A|7C)/g, (_, code) => String.fromCharCode(parseInt(code, 16)));

/** Write the state as the query of an address. */
export function write(state) {
  const told = new URLSearchParams();
  for (const seed of state.seeds) {
    const what = seed.track_id || `~${escaped(seed.name)}${seed.artist ? `|${escaped(seed.artist)}` : ""}`;
    told.append("s", seed.weight === 1 ? what : `${what}*${seed.weight}`);
  }
  const plain = fresh();
  if (state.kind !== plain.kind) told.set("as", state.kind);
  if (state.limit !== plain.limit) told.set("n", state.limit);
  if (state.length.tracks !== 30)
    told.set("len", state.length.tracks ? `${state.length.tracks}t` : `${state.length.minutes}m`);
  if (state.arc)
    told.set("arc", Array.isArray(state.arc) ? state.arc.map((p) => Math.round(p * 100) / 100).join(",") : state.arc);
  if (state.harmonic) told.set("keys", "1");
  if (state.years) told.set("year", state.years.join("-"));
  if (state.tempo) told.set("bpm", state.tempo.join("-"));
  for (const genre of state.genres) told.append("g", genre);
  for (const [mood, both] of Object.entries(state.moods)) told.set(mood, both.join("-"));
  const weights = Object.entries(state.weights).map(([name, value]) => `${name}:${value}`);
  if (weights.length) told.set("w", weights.join(","));
  if (state.popularity !== plain.popularity) told.set("pop", state.popularity);
  if (state.diversity) told.set("div", state.diversity);
  if (state.variation) told.set("mix", state.variation);
  for (const id of state.removed) told.append("not", id);
  if (state.view)
    told.set(
      "map",
      [state.view.x.toFixed(4), state.view.y.toFixed(4), Math.round(state.view.zoom * 10) / 10].join(","),
    );
  const text = told.toString();
  return text ? `?${text}` : "";
}

/** The filters of a request. quantiles: of the model, by feature, 101 values each. */
export function filtersOf(state, quantiles) {
  const filters = {};
  if (state.years) filters.year = state.years;
  if (state.tempo) filters.tempo = state.tempo;
  if (state.genres.length) filters.genres = state.genres;
  for (const [mood, [least, most]] of Object.entries(state.moods)) {
    const values = quantiles && quantiles[mood];
    if (values) filters[mood] = [values[Math.round(least)], values[Math.round(most)]];
  }
  if (state.removed.length) filters.exclude_tracks = state.removed;
  return filters;
}

/** The seeds that a request is made of, in its order: the answer's `seeds` are of these. */
export function seedsIn({ kind, seeds }) {
  if (kind === "list" || kind === "playlist") return seeds;
  const wanted = seeds.filter((seed) => seed.weight > 0);
  return kind === "path" ? wanted.slice(0, MOST_WAYPOINTS) : wanted;
}

/** The request for what the state asks for: its address and body. */
export function requestOf(state, quantiles) {
  const seeds = seedsIn(state).map(({ track_id, name, artist, weight }) =>
    track_id ? { track_id, weight } : { name, ...(artist ? { artist } : {}), weight },
  );
  const body = { explain: true, deadline_s: 15, filters: filtersOf(state, quantiles) };
  const weights = { ...state.weights };
  if (state.popularity !== POPULARITY) weights.popularity = state.popularity;
  if (Object.keys(weights).length) body.weights = weights;
  if (state.variation) body.variation = state.variation;
  if (state.kind === "list") {
    return ["/v1/recommendations", { ...body, seeds, limit: state.limit, diversity: state.diversity }];
  }
  if (state.kind === "each") {
    const items = seeds.map((seed) => ({
      ...body,
      seeds: [{ ...seed, weight: 1 }],
      limit: state.limit,
      diversity: state.diversity,
    }));
    return ["/v1/batches", { items }];
  }
  Object.assign(body, { length: state.length, harmonic: state.harmonic });
  if (state.kind === "path")
    return [
      "/v1/playlists",
      {
        ...body,
        waypoints: seeds.map((seed) => ({ ...seed, weight: 1 })),
      },
    ];
  return ["/v1/playlists", { ...body, seeds, diversity: state.diversity, ...(state.arc ? { arc: state.arc } : {}) }];
}
