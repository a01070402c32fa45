// Documents that are fetched one by one when they are looked at: of runs, their events, their steps, of events.

import { read, ServerError } from "./server.js";
import { changed, known } from "./store.js";

const found = new Map();
const underWay = new Set();

/** The document of a run as far as it is known; a new one is fetched whenever the run has changed. */
export function runOf(id) {
  return known.runs.has(id) ? constant(`runs/${id}`) : undefined;
}

export function inputOf(id) {
  return constant(`runs/${id}/events`);
}

/** The result of a step: {text, is_error}; undefined until it is known. */
export function resultOf(id, key) {
  return constant(`runs/${id}/steps/${key}`);
}

export function eventOf(id) {
  return known.events.has(id) ? constant(`events/${encodeURIComponent(id)}`) : undefined;
}

/** Take note of what has changed: what is known of it must be fetched again. */
export function outdated(news) {
  if (news.is_all) {
    found.clear();
    changed();
    return;
  }
  for (const run of news.runs) if (found.has(`runs/${run.id}`)) fetchOnce(`runs/${run.id}`);
}

function constant(path) {
  const entry = found.get(path);
  if (!entry) fetchOnce(path);
  return entry?.document;
}

async function fetchOnce(path) {
  if (underWay.has(path)) {
    underWay.add(`${path} again`);
    return;
  }
  underWay.add(path);
  try {
    found.set(path, { document: await read(path) });
    changed();
  } catch (error) {
    // What cannot be reached now is asked for again when the server is back; what is not there never.
    if (error instanceof ServerError) found.set(path, {});
  } finally {
    underWay.delete(path);
  }
  if (underWay.delete(`${path} again`)) await fetchOnce(path);
}
