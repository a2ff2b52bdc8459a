// How things are said: facts of a track, names of parts, times.

const NOTES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

/** "A minor", or "" where it is not known. */
export const keyOf = (track) =>
  track.key === null || track.key === undefined
    ? ""
    : `${NOTES[track.key]}${track.mode === null ? "" : track.mode ? " major" : " minor"}`;

/** The key's place on the Camelot wheel, "8A": a fifth is one step, a relative key the same number. */
export function camelotOf(track) {
  if (track.key === null || track.key === undefined || track.mode === null || track.mode === undefined) return "";
  const number = track.mode ? ((track.key * 7 + 7) % 12) + 1 : ((track.key * 7 + 4) % 12) + 1;
  return `${number}${track.mode ? "B" : "A"}`;
}

export const artistsOf = (track) => (track.artists.length ? track.artists.join(", ") : "unknown artist");
export const nameOf = (track) => `${track.name} by ${artistsOf(track)}`;
export const tempoOf = (track) => (track.tempo ? String(Math.round(track.tempo)) : "");

/** "3:25" */
export const clock = (ms) => `${Math.floor(ms / 60000)}:${String(Math.floor(ms / 1000) % 60).padStart(2, "0")}`;

/** "1 h 4 min" */
export function span(ms) {
  const minutes = Math.round(ms / 60000);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString("en")} ${n === 1 ? one : many}`;

const PARTS = {
  valence: "brightness",
  danceability: "dance",
  year: "era",
  popularity: "how well known",
  speechiness: "speech",
  liveness: "live feel",
  duration: "length",
};
export const partOf = (part) => PARTS[part] || part;

/** What the stages of a job are called. */
export const STAGES = {
  queued: "In line",
  seeds: "Looking the songs up",
  candidates: "Searching",
  ordering: "Finding the order",
  writing: "Writing it out",
};

/** A share as people say it. */
export const percent = (share) => `${Math.round(share * 100)} %`;
