// The lists on the left: runs, events, functions.

import { el, button, icon } from "./dom.js";
import { isActive } from "./feed.js";
import { clock, count, dollars, duration } from "./format.js";
import { address, chosen, known, route } from "./store.js";

const STATUSES = ["all", "active", "completed", "failed", "cancelled"];
const INTERNAL = "inngest/";
const OWN_TRIGGERS = { "inngest/function.invoked": "invoked", "inngest/scheduled.timer": "on schedule" };

/** The list of a view. */
export function list(view) {
  return { runs: runList, events: eventList, functions: functionList }[view]();
}

function shownRuns() {
  const words = chosen.query.toLowerCase().split(/\s+/).filter(Boolean);
  return [...known.runs.values()].reverse().filter((run) => {
    if (chosen.status === "active" ? !isActive(run) : chosen.status !== "all" && run.status !== chosen.status)
      return false;
    const text = `${run.function} ${run.function_id} ${run.event} ${run.id} ${run.status}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
}

export function isInternal(event) {
  return event.name.startsWith(INTERNAL);
}

function shownEvents() {
  const words = chosen.query.toLowerCase().split(/\s+/).filter(Boolean);
  return [...known.events.values()].reverse().filter((event) => {
    if (!chosen.withInternal && isInternal(event)) return false;
    return words.every((word) => `${event.name} ${event.id}`.toLowerCase().includes(word));
  });
}

function shownFunctions() {
  const words = chosen.query.toLowerCase().split(/\s+/).filter(Boolean);
  const text = (each) => `${each.name} ${each.id} ${triggerText(each)}`.toLowerCase();
  return (known.app?.functions ?? []).filter((each) => words.every((word) => text(each).includes(word)));
}

function runList() {
  const runs = shownRuns();
  const counts = Object.fromEntries(STATUSES.map((status) => [status, 0]));
  for (const run of known.runs.values()) {
    counts.all += 1;
    counts[isActive(run) ? "active" : run.status] += 1;
  }
  return [
    el(
      "div",
      { class: "list-head" },
      filter("Filter runs"),
      el(
        "div",
        { class: "chips", role: "group", "aria-label": "Status" },
        STATUSES.map((status) =>
          button(
            "status",
            { class: "chip", "aria-pressed": String(chosen.status === status), data: { status, key: status } },
            status[0].toUpperCase() + status.slice(1),
            el("span", { class: "chip-count num" }, counts[status].toLocaleString("en")),
          ),
        ),
      ),
    ),
    items(runs, runItem, known.runs.size ? "No run fits." : emptyRuns()),
    totals(runs),
  ];
}

function runItem(run, place) {
  const subject = run.doing || (OWN_TRIGGERS[run.event] ?? run.event);
  const start = run.started_ms ?? run.queued_ms;
  const took = (run.ended_ms ?? Math.max(known.nowMs, start)) - start;
  return item("runs", run.id, place, [
    icon(run.status, run.status),
    line(title(run.function), el("span", { class: "item-side num" }, run.status === "queued" ? "" : duration(took))),
    line(
      el(
        "span",
        { class: "item-sub clip", title: run.event },
        el("span", { class: "num" }, clock(start, known.nowMs)),
        ` · ${subject}`,
      ),
      el(
        "span",
        { class: "item-cost num" },
        [count(run.invocations, "call"), billed(run.billed_ms), dollars(run.usd)].map((text) => el("span", {}, text)),
      ),
    ),
  ]);
}

function totals(runs) {
  if (!runs.length) return null;
  const sum = (name) => runs.reduce((total, run) => total + run[name], 0);
  return el(
    "footer",
    { class: "list-foot num" },
    el("span", {}, count(runs.length, "run")),
    el("span", {}, count(sum("invocations"), "call")),
    el("span", {}, `${billed(sum("billed_ms"))} billed`),
    el("span", {}, dollars(sum("usd"))),
  );
}

/** Billed milliseconds: always in milliseconds, as on the bill. */
export function billed(ms) {
  return `${ms.toLocaleString("en")} ms`;
}

function emptyRuns() {
  return [
    el("p", {}, "No run yet."),
    el(
      "p",
      {},
      known.app?.functions.length
        ? "Send an event to start one."
        : "No function is registered yet: start your app, or sync it with this server.",
    ),
    known.app?.functions.length ? button("send", { class: "button primary" }, "Send an event") : null,
  ];
}

function eventList() {
  const events = shownEvents();
  return [
    el(
      "div",
      { class: "list-head" },
      filter("Filter events"),
      el(
        "label",
        { class: "check" },
        el("input", { type: "checkbox", data: { do: "internal" }, checked: chosen.withInternal }),
        "Events of the server itself",
      ),
    ),
    items(events, eventItem, known.events.size ? "No event fits." : "No event yet."),
  ];
}

function eventItem(event, place) {
  const kind = outcomeKind(event);
  return item("events", event.id, place, [
    icon("event", "event"),
    line(title(event.name), el("span", { class: "item-side num" }, clock(event.at_ms, known.nowMs))),
    line(el("span", { class: `item-sub clip outcome-${kind}` }, outcomeText(event))),
  ]);
}

function outcomeKind(event) {
  const kinds = event.outcomes.map((outcome) => outcome.kind);
  return ["started", "woke", "cancelled", "skipped", "batched", "debounced"].find((kind) => kinds.includes(kind)) ?? "none";
}

/** What an event does to runs; other kinds are about the event alone. */
const OF_RUNS = new Set(["started", "woke", "cancelled"]);

/** What became of an event, in a few words. */
function outcomeText(event) {
  if (!event.outcomes.length) return "started nothing";
  const kinds = new Map();
  for (const { kind } of event.outcomes) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  return [...kinds]
    .map(([kind, times]) =>
      OF_RUNS.has(kind) ? `${kind} ${count(times, "run")}` : times > 1 ? `${kind} ${times} times` : kind,
    )
    .join(", ");
}

function functionList() {
  return [
    el("div", { class: "list-head" }, filter("Filter functions")),
    items(
      shownFunctions(),
      functionItem,
      known.app?.functions.length ? "No function fits." : "No function is registered yet.",
    ),
  ];
}

function functionItem(each, place) {
  return item("functions", each.id, place, [
    icon("function", "function"),
    line(title(each.name)),
    line(el("span", { class: "item-sub clip", title: triggerText(each) }, triggerText(each))),
  ]);
}

function line(...children) {
  return el("span", { class: "item-line" }, children);
}

function title(text) {
  return el("span", { class: "item-title clip", title: text }, text);
}

function triggerText(each) {
  return each.triggers.map((trigger) => trigger.event ?? `cron ${trigger.cron}`).join(", ");
}

function filter(label) {
  return el("input", {
    class: "filter",
    type: "search",
    placeholder: label,
    "aria-label": label,
    "aria-keyshortcuts": "/",
    data: { do: "filter", key: "filter" },
  });
}

function items(all, make, empty) {
  if (!all.length) return el("div", { class: "empty", data: { key: "empty" } }, empty);
  const shown = all.slice(0, chosen.limit);
  const { id } = route();
  // One stop for the Tab key; the arrow keys go on from there.
  const stop = Math.max(
    shown.findIndex((each) => each.id === id),
    0,
  );
  return el(
    "div",
    { class: "scroll", data: { key: "items" } },
    el(
      "ul",
      { class: "items" },
      shown.map((each, index) => make(each, { isStop: index === stop, isChosen: each.id === id })),
    ),
    all.length > shown.length
      ? button("more", { class: "ghost more" }, `Show ${Math.min(all.length - shown.length, 250)} older`)
      : null,
  );
}

function item(view, id, place, children) {
  return el(
    "li",
    { data: { key: id } },
    el(
      "a",
      {
        class: "item",
        href: address(view, id),
        tabindex: place.isStop ? "0" : "-1",
        "aria-current": place.isChosen ? "true" : null,
      },
      children,
    ),
  );
}
