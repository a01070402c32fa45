// What the page knows, and what it shows of it.

/** What is known of the engine; feed.js keeps it up to date. */
export const known = {
  connection: "connecting", // "live", "lost" or "locked"
  instance: "",
  stamp: 0,
  appStamp: 0,
  app: null,
  nowMs: 0,
  expected: "", // the run or event that was asked for last, and may not be listed yet
  runs: new Map(),
  events: new Map(),
};

/** What whoever looks has chosen. */
export const chosen = {
  query: "",
  status: "all",
  withInternal: false,
  limit: 250,
  axis: "auto",
  rows: new Set(), // the open rows of timelines, by run and step
  memory: stored("memory", null),
  architecture: stored("architecture", null),
  hasShortcuts: stored("shortcuts", true),
};

/** What costs are counted with: as chosen here, or else as the server does. */
export function size() {
  return {
    memory: chosen.memory ?? known.app?.memory_mb ?? 0,
    architecture: chosen.architecture ?? known.app?.architecture ?? "",
  };
}

/** Remember a choice in this browser. */
export function choose(name, value) {
  chosen[{ shortcuts: "hasShortcuts" }[name] ?? name] = value;
  localStorage.setItem(name, JSON.stringify(value));
}

function stored(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Where the page is, by the part of its address after "#": {view, id}. */
export function route() {
  const [view, ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  return { view: ["runs", "events", "functions"].includes(view) ? view : "runs", id: decode(rest.join("/")) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

export function address(view, id = "") {
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ""}`;
}

/** Go to a run or an event that has just been asked for. */
export function goToNew(view, id) {
  known.expected = id;
  location.hash = address(view, id);
}

let draw = () => {};
let isDue = false;

export function onChange(callback) {
  draw = callback;
}

/** Draw again, once, however often it is asked for. */
export function changed() {
  if (isDue) return;
  isDue = true;
  // A page in the background gets no animation frames, but should be up to date when it is looked at.
  setTimeout(() => {
    isDue = false;
    draw();
  }, 0);
}
