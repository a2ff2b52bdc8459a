// Things to try, made of songs that many know: what can be asked beyond a list.

import { fresh, write } from "./state.js";

/** tracks: popular ones; model: from /v1/model. Returns { query, text } of each. */
export function examples(tracks, model) {
  if (tracks.length < 6) return [];
  const seed = (i) => ({ track_id: tracks[i].track_id, weight: 1 });
  const name = (i) => tracks[i].name.replace(/\s*[([-].*$/, "") || tracks[i].name;
  const some = [
    [{ seeds: [seed(0), seed(1)] }, `Songs between ${name(0)} and ${name(1)}`],
    [
      { seeds: [seed(2), seed(3)], kind: "path", length: { tracks: 10 } },
      `A path from ${name(2)} to ${name(3)}, in ten songs`,
    ],
  ];
  if (model.coverage.energy > 0) {
    some.push(
      [
        { seeds: [seed(4)], kind: "playlist", length: { minutes: 60 }, arc: "build", harmonic: model.coverage.key > 0 },
        `An hour that builds up, around ${name(4)}`,
      ],
      [{ seeds: [seed(5)], moods: { energy: [0, 30] } }, `Like ${name(5)}, but calm`],
    );
  }
  return some.map(([patch, text]) => ({ query: write({ ...fresh(), ...patch }), text }));
}
