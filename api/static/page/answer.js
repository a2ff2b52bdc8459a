// Getting an answer: one waiting request for a list; a job that is followed to its end for the rest.

import { ask, events, lines, passes, Problem } from "./ask.js";
import { requestOf } from "./state.js";

const ENDED = ["succeeded", "failed", "canceled"];
const MOST_TRIES = 60;
const LONGEST_PAUSE_MS = 5000;

/**
 * Ask for what the state asks for. model: from /v1/model, or null; working({ stage, fraction }): how far it is;
 * lost(problem): the connection was cut, and it is tried again; lost(null): it is back.
 * Returns { jobId, lines, result }: the id of the job that has files, or null; where the answers of a batch lie, or
 * null; what is answered. Throws: Problem.
 */
export async function answerTo(state, model, { signal, working, lost }) {
  const [path, body] = requestOf(state, model?.quantiles);
  const headers = path.endsWith("recommendations") ? { Prefer: "wait=20" } : {};
  const first = await ask(path, { method: "POST", body, signal, headers });
  const [method, stop] = first.type === "batch" ? ["POST", `${first.links.self}/cancel`] : ["DELETE", first.links.self];
  // Nobody waits for it any more: those behind it in the queue need not either.
  const over = new AbortController();
  signal.addEventListener("abort", () => ask(stop, { method }).catch(() => {}), { signal: over.signal });
  const job = await ended(first, { signal, working, lost }).finally(() => over.abort());
  if (job.status !== "succeeded") {
    throw new Problem(job.error ? job.error.detail : "The request was stopped. Ask again.", { code: job.error?.code });
  }
  if (job.type !== "batch") return { jobId: job.id, lines: null, result: job.result };
  const all = await lines(job.links.results, { signal });
  return { jobId: null, lines: job.links.results, result: together(all, model) };
}

/** Follow a job to its end, with the progress that the worker tells. A cut connection is taken up where it was. */
async function ended(job, { signal, working, lost }) {
  let tries = 0;
  while (!ENDED.includes(job.status)) {
    try {
      for await (const { data } of events(job.links.events, signal)) {
        if (data.code) throw new Problem(data.detail, { code: data.code });
        if (tries) lost(null);
        tries = 0;
        job = data;
        working(progress(job));
      }
    } catch (error) {
      if (!passes(error)) throw error;
      lost(error);
    }
    if (ENDED.includes(job.status)) break;
    tries += 1;
    if (tries > MOST_TRIES) throw new Problem("The service stopped telling how far it is. Ask again.");
    await pause(Math.min(LONGEST_PAUSE_MS, 250 * 2 ** tries), signal);
  }
  return job;
}

function progress({ counts, progress: told }) {
  if (!counts) return told || { stage: "queued", fraction: 0 };
  return { stage: `${counts.total - counts.waiting} of ${counts.total}`, fraction: 1 - counts.waiting / counts.total };
}

/** Wait, but no longer than until the browser is online again. */
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    const end = (how) => () => {
      clearTimeout(timer);
      over.abort();
      how();
    };
    const timer = setTimeout(end(resolve), ms);
    addEventListener("online", end(resolve), { signal: over.signal });
    signal.addEventListener(
      "abort",
      end(() => reject(signal.reason)),
      { signal: over.signal },
    );
  });
}

/** The answers of a batch as one; the first song of each has the number of the seed that it came from. */
function together(all, model) {
  const nothing = { track_id: null, name: null, artists: [], match: 0, alternatives: [] };
  return {
    model: model?.version,
    degraded: false,
    strategy: "catalogue",
    seeds: all.map((line) => line.result?.seeds[0] || nothing),
    tracks: all.flatMap((line) =>
      (line.result?.tracks || []).map((track, i) => ({ ...track, of: i ? null : line.index })),
    ),
    warnings: all.filter((line) => line.error).map((line) => `list ${line.index + 1}: ${line.error.detail}`),
    notice: model?.notice,
    each: all.map((line) => line.result),
  };
}
