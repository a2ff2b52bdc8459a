// Requests to the service. Whatever goes wrong becomes a Problem whose message says what to do.

export class Problem extends Error {
  constructor(message, more = {}) {
    super(message);
    Object.assign(this, { code: "no-answer", status: 0, fallback: null, retryS: 0 }, more);
  }
}

/** Problems that pass by themselves: what was asked may be asked again. */
const PASSING = ["offline", "no-workers", "not-ready", "redis-unavailable", "queue-full", "rate-limited", "busy"];
export const passes = (error) => PASSING.includes(error.code);

/** The service says something at least every 15 s while a job runs; after three times that, nobody is there. */
const SILENCE_MS = 45000;

const KEY = "segue.key";
let key = null;
try {
  key = localStorage.getItem(KEY);
} catch {
  // Without storage the key lives as long as the page.
}

/** Keep an API key for this page's requests. */
export function useKey(text) {
  key = text;
  try {
    localStorage.setItem(KEY, text);
  } catch {
    // See above.
  }
}

async function send(path, { method = "GET", body, headers = {}, signal } = {}) {
  const all = { ...headers };
  if (key) all.Authorization = `Bearer ${key}`;
  if (body !== undefined) all["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: all,
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    throw cut(error);
  }
  if (response.ok) return response;
  throw await problem(response);
}

/** What a request that got no answer, or only a part of one, means. */
function cut(error) {
  if (error.name === "AbortError") return error;
  return new Problem(
    navigator.onLine
      ? "The service does not answer. It may be starting again; this page tries on by itself."
      : "You are offline. What you see stays; new answers come when the connection is back.",
    { code: "offline" },
  );
}

async function problem(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Somebody between us and the service answered; its status has to do.
  }
  const retryS = Number(response.headers.get("Retry-After")) || 0;
  const words = {
    unauthorized: key ? "The API key was not accepted." : "This service asks for an API key.",
    "rate-limited": `That was a lot at once. It goes on in ${Math.max(1, retryS)} s.`,
    "queue-full": "Many people are asking right now.",
    "no-workers": "Nobody is there to work: no worker is running. Start one, or wait a moment.",
    "not-ready": "The service has no model yet. It may still be learning; wait a moment.",
    "redis-unavailable": "The service has lost its memory for a moment. This page tries on by itself.",
  };
  const text = words[told.code] || told.detail || `The service answered with status ${response.status}.`;
  return new Problem(text, {
    code: told.code || "no-answer",
    status: response.status,
    fallback: told.fallback || null,
    retryS,
    detail: told.detail,
  });
}

/** Ask, and read the answer as JSON. */
export async function ask(path, how) {
  return whole(await send(path, how), "json");
}

/** The body of an answer. What breaks off in it, or is not what it should be, is not from the service as a whole. */
const whole = (response, kind) =>
  response[kind]().catch((error) => {
    throw cut(error);
  });

/** Ask, and read the answer as JSON Lines. */
export async function lines(path, how) {
  const text = await whole(await send(path, how), "text");
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

/** Ask, and return the bytes with their type. */
export async function fetched(path, how) {
  return whole(await send(path, how), "blob");
}

/** The next piece of a stream; silence for too long is an error, as a cut is. */
async function heard(reader) {
  let timer = 0;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new TypeError("silent")), SILENCE_MS);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } catch (error) {
    reader.cancel().catch(() => {});
    throw cut(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Follow server-sent events: yields { event, data } until the service ends them. */
export async function* events(path, signal) {
  const response = await send(path, { headers: { Accept: "text/event-stream" }, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await heard(reader);
    if (done) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const told = (name) =>
        lines
          .filter((line) => line.startsWith(`${name}: `))
          .map((line) => line.slice(name.length + 2))
          .join("\n");
      if (told("data")) yield { event: told("event"), data: JSON.parse(told("data")) };
    }
  }
}
