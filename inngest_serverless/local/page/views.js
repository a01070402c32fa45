// The details on the right: of a run, an event, a function.

import { el, button, icon } from "./dom.js";
import { codeBlock } from "./code.js";
import { eventOf } from "./details.js";
import { clock, count, dollars, instant } from "./format.js";
import { billed } from "./lists.js";
import { missing, runDetail } from "./run.js";
import { address, known } from "./store.js";

const BACK = { runs: "Runs", events: "Events", functions: "Functions" };
const CHOOSE = {
  runs: "Choose a run to see it.",
  events: "Choose an event to see it.",
  functions: "Choose a function to see it.",
};

/** The details of what is chosen in a view; `width` is that of a timeline's bars, in pixels. */
export function detail(view, id, width) {
  if (!id) return el("div", { class: "empty" }, el("p", {}, CHOOSE[view]));
  const shown = { runs: runDetail, events: eventDetail, functions: functionDetail }[view](id, width);
  return [el("a", { class: "back", href: address(view) }, icon("back"), BACK[view]), shown];
}

function eventDetail(id) {
  const event = known.events.get(id);
  const document = eventOf(id);
  if (!event || !document) return missing(id, Boolean(event));
  return [
    el(
      "header",
      { class: "detail-head" },
      el("div", { class: "titles" }, el("h1", {}, event.name)),
      el("div", { class: "buttons" }, button("send", { class: "button", data: { again: id } }, "Send again…")),
      el(
        "p",
        { class: "meta" },
        el("time", { datetime: instant(event.at_ms) }, clock(event.at_ms, known.nowMs)),
        el("span", { class: "mono" }, id),
        button("copy", { class: "ghost small", "aria-label": "Copy the event's ID", data: { copy: id } }, icon("copy")),
      ),
    ),
    el("section", { class: "section" }, el("h2", {}, "What became of it"), outcomes(event)),
    el("section", { class: "section" }, codeBlock(document.text, "Event")),
  ];
}

function outcomes(event) {
  if (!event.outcomes.length) {
    return el(
      "p",
      { class: "quiet" },
      "Nothing: no function has a trigger for it whose condition holds, and no run waited for it.",
    );
  }
  const names = new Map((known.app?.functions ?? []).map((each) => [each.id, each.name]));
  return el(
    "ul",
    { class: "outcomes" },
    event.outcomes.map((outcome) => {
      const run = known.runs.get(outcome.run_id);
      return el(
        "li",
        { class: `outcome is-${outcome.kind}` },
        el("span", { class: "outcome-kind" }, outcome.kind),
        el("span", { class: "outcome-name" }, names.get(outcome.function_id) ?? outcome.function_id),
        outcome.detail ? el("span", { class: "quiet" }, outcome.detail) : null,
        run ? el("a", { href: address("runs", run.id) }, icon(run.status), `${run.status} run`) : null,
      );
    }),
  );
}

function functionDetail(id) {
  const each = known.app?.functions.find((one) => one.id === id);
  if (!each) return el("div", { class: "empty" }, el("p", {}, "There is no such function any more."));
  const runs = [...known.runs.values()]
    .filter((run) => run.function_id === id)
    .reverse()
    .slice(0, 20);
  const events = each.triggers.filter((trigger) => trigger.event && !trigger.event.includes("*"));
  return [
    el(
      "header",
      { class: "detail-head" },
      el("div", { class: "titles" }, el("h1", {}, each.name)),
      el(
        "div",
        { class: "buttons" },
        button("send", { class: "button", data: { invoke: id } }, "Invoke…"),
        events
          .slice(0, 1)
          .map((trigger) =>
            button("send", { class: "button", data: { event: trigger.event } }, `Send ${trigger.event}…`),
          ),
      ),
      el(
        "p",
        { class: "meta" },
        el("span", { class: "mono" }, id),
        el("span", {}, count(each.retries, "retry").replace("retrys", "retries")),
      ),
    ),
    el(
      "section",
      { class: "section" },
      el("h2", {}, "Triggers"),
      el("ul", { class: "outcomes" }, each.triggers.map(trigger)),
    ),
    each.flow.length
      ? el(
          "section",
          { class: "section" },
          el("h2", {}, "Flow control"),
          el(
            "dl",
            { class: "facts" },
            each.flow.map(({ name, text }) => [el("dt", {}, name), el("dd", {}, text)]),
          ),
        )
      : null,
    el(
      "section",
      { class: "section" },
      el("h2", {}, "Latest runs"),
      runs.length
        ? el("ul", { class: "outcomes" }, runs.map(runLink))
        : el("p", { class: "quiet" }, "It has not run yet."),
    ),
    el("section", { class: "section" }, el("h2", {}, "Served at"), el("p", { class: "mono wrap" }, each.url)),
  ];
}

function trigger(each) {
  return el(
    "li",
    { class: "outcome" },
    el("span", { class: "outcome-kind" }, each.event ? "event" : "cron"),
    el("span", { class: "outcome-name mono" }, each.event ?? each.cron),
    each.expression ? el("span", { class: "quiet" }, `if ${each.expression}`) : null,
    each.next_ms ? el("span", { class: "quiet num" }, `next at ${clock(each.next_ms, known.nowMs)}`) : null,
  );
}

function runLink(run) {
  return el(
    "li",
    { class: "outcome", data: { key: run.id } },
    el("a", { href: address("runs", run.id) }, icon(run.status), `${run.status} run`),
    el("span", { class: "num quiet" }, clock(run.started_ms ?? run.queued_ms, known.nowMs)),
    el(
      "span",
      { class: "num quiet" },
      `${count(run.invocations, "call")} · ${billed(run.billed_ms)} · ${dollars(run.usd)}`,
    ),
  );
}
