// Keeps what is known up to date: asks what has changed, again and again.
//
// Nothing depends on a connection that stays: a server that starts anew, a laptop that slept, a tab that was in the
// background are all caught up with by the next question.

import { read } from "./server.js";
import { changed, known } from "./store.js";

const BUSY_MS = 350;
const QUIET_MS = 1000;
const HIDDEN_MS = 5000;
const QUIET_AFTER_MS = 5000;

let timer = 0;
let isAsking = false;
let isAskedAgain = false;
let isOutdated = false;
let changedAt = 0;

/** Begin to follow; `onNews` is told which runs and events have changed. */
export function follow(onNews) {
  const ask = async () => {
    clearTimeout(timer);
    // What has been done since the question that is under way may not be in its answer.
    isAskedAgain = isAsking;
    if (isAsking) return;
    isAsking = true;
    try {
      await askOnce(onNews);
    } finally {
      isAsking = false;
      timer = setTimeout(ask, isAskedAgain ? 0 : pause());
    }
  };
  for (const name of ["online", "focus", "pageshow"]) addEventListener(name, ask);
  document.addEventListener("visibilitychange", ask);
  askNow = ask;
  ask();
}

/** Ask at once, after something was done. */
export let askNow = () => {};

/** Forget everything, as when costs are to be counted in another way. */
export function startOver() {
  isOutdated = true;
  askNow();
}

function pause() {
  if (document.hidden) return HIDDEN_MS;
  if (known.connection !== "live") return QUIET_MS;
  const isBusy = performance.now() - changedAt < QUIET_AFTER_MS || [...known.runs.values()].some(isActive);
  return isBusy ? BUSY_MS : QUIET_MS;
}

export function isActive(run) {
  return run.status === "running" || run.status === "queued";
}

async function askOnce(onNews) {
  let news;
  const before = known.connection;
  const since = isOutdated ? 0 : known.stamp;
  isOutdated = false;
  try {
    news = await read("changes", { instance: known.instance, since });
    if (news.app !== known.appStamp || news.instance !== known.instance) known.app = await read("app");
    known.connection = "live";
  } catch (error) {
    known.connection = error.status === 401 ? "locked" : "lost";
    if (before !== known.connection) changed();
    return;
  }
  if (isOutdated) return;
  take(news);
  const isNews = news.is_all || news.runs.length + news.events.length + news.gone_runs.length + news.gone_events.length;
  if (isNews) changedAt = performance.now();
  if (isNews || before !== "live" || [...known.runs.values()].some(isActive)) changed();
  onNews(news);
}

function take(news) {
  if (news.is_all) {
    known.runs.clear();
    known.events.clear();
  }
  for (const run of news.runs) known.runs.set(run.id, run);
  for (const event of news.events) known.events.set(event.id, event);
  for (const id of news.gone_runs) known.runs.delete(id);
  for (const id of news.gone_events) known.events.delete(id);
  known.instance = news.instance;
  known.stamp = news.stamp;
  known.appStamp = news.app;
  known.nowMs = news.now_ms;
}
