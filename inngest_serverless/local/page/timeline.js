// A run's timeline: a row for each step, with bars on one time axis.

import { el, button, icon } from "./dom.js";
import { clock, count, duration } from "./format.js";
import { rowDetails } from "./row.js";
import { isUneven, makeAxis } from "./scale.js";
import { chosen, known } from "./store.js";

export const KINDS = {
  function: "function code",
  run: "step",
  sleep: "sleep",
  event: "wait for an event",
  signal: "wait for a signal",
  invoke: "invoked function",
  fetch: "request by the server",
  ai: "model call by the server",
};
const BARS = { call: "call", wait: "wait", retry: "until the next try", queued: "waits for its turn" };

/** Draw the timeline of a run document. */
export function timeline(run, width) {
  const nowMs = Math.max(known.nowMs, run.now_ms);
  const spans = run.rows.flatMap((row) => row.bars.map((bar) => span(bar, nowMs)));
  if (!spans.length) return el("p", { class: "quiet" }, "Nothing has happened yet.");
  const uneven = isUneven(spans);
  const folded = uneven && chosen.axis !== "linear";
  const axis = makeAxis(spans, folded);
  const px = Math.max(width, 120);
  return [
    el(
      "div",
      { class: "section-head" },
      el("h2", {}, "Timeline"),
      uneven
        ? button(
            "fold",
            { class: "ghost", "aria-pressed": String(folded), "aria-keyshortcuts": "z" },
            folded ? icon("checked") : null,
            "Fold idle time",
          )
        : null,
    ),
    el(
      "div",
      { class: "timeline", id: "timeline" },
      head(axis, px),
      el(
        "ol",
        { class: "rows" },
        run.rows.map((row) => timelineRow(run, row, axis, nowMs)),
      ),
    ),
  ];
}

function span(bar, nowMs) {
  return { start: bar.start_ms, end: Math.max(bar.end_ms ?? nowMs, bar.start_ms), isWork: bar.kind === "call" };
}

function head(axis, px) {
  const marks = axis.ticks(px).filter((mark) => mark.label);
  return el(
    "div",
    { class: "axis", "aria-hidden": "true" },
    el(
      "div",
      { class: "axis-track" },
      marks.map((mark) =>
        el("span", { class: mark.isFold ? "tick tick-fold" : "tick", style: { left: percent(mark.at) } }, mark.label),
      ),
    ),
  );
}

function timelineRow(run, row, axis, nowMs) {
  const id = `${run.id}/${row.key}`;
  const isOpen = chosen.rows.has(id);
  const name = row.name || "function";
  return el(
    "li",
    { class: "row", data: { key: row.key || "function", status: row.status } },
    button(
      "row",
      { class: "row-head", "aria-expanded": String(isOpen), data: { row: id } },
      el(
        "span",
        { class: "row-name" },
        icon("chevron"),
        icon(row.kind),
        el("span", { class: "clip", title: name }, name),
      ),
      el(
        "span",
        { class: "row-track" },
        axis.folds.map((fold) =>
          el("span", { class: "fold", style: { left: percent(fold.left), width: percent(fold.width) } }),
        ),
        row.bars.map((bar, index) => drawBar(bar, index, row, axis, nowMs, run.max_attempts)),
      ),
      el("span", { class: "row-time num" }, rowTime(row, nowMs)),
      el("span", { class: "sr" }, `${KINDS[row.kind]}, ${statusWord(row)}`),
    ),
    isOpen ? el("div", { class: "row-details" }, rowDetails(run, row)) : null,
  );
}

function drawBar(bar, index, row, axis, nowMs, maxAttempts) {
  const { start, end } = span(bar, nowMs);
  const left = axis.at(start);
  const tip = barTip(bar, row, start, end, axis, maxAttempts);
  return el("span", {
    class: `bar bar-${bar.kind} is-${bar.status}`,
    style: { left: percent(left), width: percent(axis.at(end) - left) },
    data: { tip, index },
  });
}

function barTip(bar, row, start, end, axis, maxAttempts) {
  const isOpen = bar.end_ms === null;
  const what = bar.kind === "wait" ? `${KINDS[row.kind]}${row.detail ? ` ${row.detail}` : ""}` : BARS[bar.kind];
  const lines = [`${row.name || "function"} · ${what}`];
  const words = { error: "raised", timeout: "timed out", cancelled: "cancelled", open: "under way" };
  lines.push(
    [isOpen ? `${duration(end - start)} so far` : duration(end - start), words[bar.status]].filter(Boolean).join(", "),
  );
  if (bar.kind === "call" && (bar.attempt || bar.error)) lines.push(`attempt ${bar.attempt + 1} of ${maxAttempts}`);
  lines.push(`at ${clock(start, known.nowMs)}, ${duration(start - axis.start)} after the start`);
  if (isOpen && bar.due_ms) lines.push(`until ${clock(bar.due_ms, known.nowMs)} at the latest`);
  if (bar.error) lines.push(`${bar.error.name}: ${bar.error.message}`);
  return lines.join("\n");
}

/** How long a row took: its calls, or its wait. */
function rowTime(row, nowMs) {
  const calls = row.bars.filter((bar) => bar.kind === "call");
  const counted = calls.length ? calls : row.bars.filter((bar) => bar.kind === "wait");
  if (!counted.length) return "";
  const total = counted.reduce((sum, bar) => sum + span(bar, nowMs).end - bar.start_ms, 0);
  const tries = calls.length > 1 ? `${calls.length} × ` : "";
  return row.key ? `${tries && "Σ "}${duration(total)}` : duration(total);
}

function statusWord(row) {
  const words = { ok: "done", error: "failed", timeout: "timed out", cancelled: "cancelled", open: "under way" };
  const calls = row.bars.filter((bar) => bar.kind === "call").length;
  return `${words[row.status]}${calls > 1 ? `, ${count(calls, "call")}` : ""}`;
}

function percent(part) {
  return `${(part * 100).toFixed(3)}%`;
}
