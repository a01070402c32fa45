// The details of a run.

import { el, button, icon } from "./dom.js";
import { codeBlock } from "./code.js";
import { inputOf, runOf } from "./details.js";
import { isActive } from "./feed.js";
import { clock, count, dollars, duration, instant, perMillion } from "./format.js";
import { billed } from "./lists.js";
import { errorBlock } from "./row.js";
import { address, known, size } from "./store.js";
import { timeline } from "./timeline.js";

/** The details of a run; `width` is that of a timeline's bars, in pixels. */
export function runDetail(id, width) {
  const run = runOf(id);
  if (!run) return missing(id, known.runs.has(id));
  const start = run.started_ms ?? run.queued_ms;
  const took = (run.ended_ms ?? Math.max(known.nowMs, start)) - start;
  return [
    el(
      "header",
      { class: "detail-head" },
      el("div", { class: "titles" }, el("h1", {}, run.function), badge(run)),
      el(
        "div",
        { class: "buttons" },
        button("rerun", { class: "button", "aria-keyshortcuts": "r", data: { run: id } }, "Rerun"),
        isActive(run)
          ? button("cancel", { class: "button danger", "aria-keyshortcuts": "x", data: { run: id } }, "Cancel")
          : null,
      ),
      el(
        "p",
        { class: "meta" },
        el("a", { href: address("events", run.event_id) }, run.event),
        run.event_count > 1 ? el("span", {}, `and ${count(run.event_count - 1, "other event")}`) : null,
        el("time", { datetime: instant(start) }, clock(start, known.nowMs)),
        el("span", { class: "mono" }, id),
        button("copy", { class: "ghost small", "aria-label": "Copy the run's ID", data: { copy: id } }, icon("copy")),
      ),
    ),
    metrics(run, took),
    run.status === "failed" ? el("section", { class: "section", "aria-label": "Error" }, errorBlock(run.error)) : null,
    el("section", { class: "section", "aria-label": "Timeline" }, timeline(run, width)),
    el("section", { class: "section" }, output(run), input(id)),
    calls(run),
  ];
}

function badge(run) {
  const why = run.note ? ` (${run.note})` : "";
  return el("span", { class: `badge is-${run.status}` }, icon(run.status), `${run.status}${why}`);
}

function metrics(run, took) {
  return el(
    "dl",
    { class: "metrics" },
    metric("Duration", duration(took), run.doing || `${count(run.rows.length - 1, "step")}`),
    metric("Invocations", run.invocations.toLocaleString("en"), "calls of the function"),
    metric("Billed", billed(run.billed_ms), "each call rounded up to 1 ms"),
    metric(
      "Cost on Lambda",
      dollars(run.usd),
      button(
        "size",
        { class: "link" },
        el("span", { class: "whole" }, perMillion(run.usd)),
        " · ",
        el("span", { class: "whole" }, sizeText()),
      ),
    ),
  );
}

function sizeText() {
  const { memory, architecture } = size();
  return `${architecture}, ${memory} MB`;
}

function metric(name, value, note) {
  return el(
    "div",
    { class: "metric" },
    el("dt", {}, name),
    el("dd", { class: "num" }, value),
    el("dd", { class: "metric-note" }, note),
  );
}

function output(run) {
  return run.status === "completed" ? codeBlock(run.output, "Output") : null;
}

function input(id) {
  const events = inputOf(id);
  if (!events) return null;
  return codeBlock(events.text, events.count === 1 ? "Input event" : `Input: ${events.count} events`);
}

function calls(run) {
  if (!run.calls.length) return null;
  const names = new Map(run.rows.map((row) => [row.key, row.name]));
  const start = run.started_ms ?? run.queued_ms;
  return el(
    "details",
    { class: "section calls" },
    el("summary", {}, el("h2", {}, `Calls (${run.calls.length.toLocaleString("en")})`)),
    el(
      "div",
      { class: "table-scroll", tabindex: 0, role: "region", "aria-label": "Calls" },
      el(
        "table",
        { class: "table" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            ["#", "after", "for", "attempt", "status", "took", "billed"].map((name) =>
              el("th", { scope: "col" }, name),
            ),
          ),
        ),
        el(
          "tbody",
          {},
          run.calls.map((call, index) =>
            el(
              "tr",
              {},
              el("td", { class: "num" }, index + 1),
              el("td", { class: "num" }, duration(Math.max(call.at_ms - start, 0))),
              el(
                "td",
                { class: "wide" },
                call.target === "step" ? "what comes next" : (names.get(call.target) ?? call.target),
              ),
              el("td", { class: "num" }, call.attempt + 1),
              el("td", { class: call.status < 300 ? "num" : "num is-error" }, call.status),
              el("td", { class: "num" }, duration(call.took_ms)),
              el("td", { class: "num" }, billed(call.billed_ms)),
            ),
          ),
        ),
      ),
    ),
  );
}

/** What stands where there is nothing to show, or not yet. */
export function missing(id, isKnown) {
  const isLoading = isKnown || known.expected === id || known.connection === "connecting";
  const gone = "It is not there (any more): the server forgets the oldest, and everything when it starts anew.";
  return el("div", { class: "empty" }, el("p", {}, isLoading ? "Loading…" : gone));
}
