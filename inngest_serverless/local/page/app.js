// The page: draws what is known, and does what is asked for.

import { button, el, icon, patch } from "./dom.js";
import { confirmCancel, showHelp, showSize } from "./dialogs.js";
import { outdated } from "./details.js";
import { askNow, follow, isActive } from "./feed.js";
import { listen } from "./keys.js";
import { isInternal, list } from "./lists.js";
import { openSend } from "./send.js";
import { act, takeToken } from "./server.js";
import { address, changed, chosen, goToNew, known, onChange, route } from "./store.js";
import { toast } from "./toast.js";
import { watchTips } from "./tooltip.js";
import { detail } from "./views.js";

const VIEWS = [
  ["runs", "Runs", "1"],
  ["events", "Events", "2"],
  ["functions", "Functions", "3"],
];
const CONNECTION = { live: "live", lost: "no connection", locked: "locked", connecting: "connecting" };
const BANNERS = {
  lost: "The dev server does not answer. This page goes on by itself when it is back.",
  locked: "This server has a signing key: open the address that it printed when it was started.",
};

const part = (id) => document.getElementById(id);
let barWidth = 600;
let spoken = "";

function draw() {
  const { view, id } = route();
  patch(part("top"), top(view));
  const banner = BANNERS[known.connection];
  part("banner").hidden = !banner;
  part("banner").textContent = banner ?? "";
  part("panes").dataset.open = id ? "detail" : "list";
  part("list").setAttribute("aria-label", VIEWS.find(([name]) => name === view)[1]);
  patch(part("list"), list(view));
  patch(
    part("detail"),
    el("div", { class: "detail-body", data: { key: `${view}/${id}` } }, detail(view, id, barWidth)),
  );
  tell(view, id);
}

function top(view) {
  const events = [...known.events.values()].filter((event) => chosen.withInternal || !isInternal(event));
  const sizes = { runs: known.runs.size, events: events.length, functions: known.app?.functions.length ?? 0 };
  const isDark = document.documentElement.dataset.theme === "dark";
  return [
    el(
      "a",
      { class: "brand", href: address("runs") },
      el("img", { src: "/page/icon.svg", alt: "", width: 22, height: 22 }),
      el("span", { class: "brand-name" }, "inngest-serverless"),
    ),
    el(
      "nav",
      { "aria-label": "Views" },
      VIEWS.map(([name, title, key]) =>
        el(
          "a",
          { href: address(name), "aria-current": name === view ? "page" : null, "aria-keyshortcuts": key },
          title,
          el("span", { class: "nav-count num" }, sizes[name].toLocaleString("en")),
        ),
      ),
    ),
    el("span", { class: `connection is-${known.connection}`, id: "connection" }, CONNECTION[known.connection]),
    button(
      "theme",
      { class: "ghost square", "aria-label": isDark ? "Light colours" : "Dark colours", "aria-keyshortcuts": "t" },
      icon(isDark ? "sun" : "moon"),
    ),
    button("help", { class: "ghost square", "aria-label": "Keyboard shortcuts", "aria-keyshortcuts": "?" }, "?"),
    button("send", { class: "button primary", "aria-keyshortcuts": "n" }, "Send event"),
  ];
}

/** The window's title, and a word to screen readers when the run that is looked at has ended. */
function tell(view, id) {
  const active = [...known.runs.values()].filter(isActive).length;
  const run = view === "runs" ? known.runs.get(id) : null;
  const subject = run ? `${run.function}: ${run.status}` : VIEWS.find(([name]) => name === view)[1];
  document.title = `${active ? `(${active}) ` : ""}${subject} · inngest-serverless`;
  const now = run ? `${id} ${run.status}` : "";
  if (run && spoken.startsWith(id) && spoken !== now && !isActive(run)) toast(`Run ${run.status}`, "", true);
  spoken = now;
}

async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    toast(error.message, "error");
    return null;
  } finally {
    askNow();
  }
}

async function rerun(run) {
  const made = await attempt(() => act(`runs/${run}/rerun`));
  if (made) goToNew("runs", made.run_id);
}

async function cancel(run) {
  if (!(await confirmCancel(known.runs.get(run)))) return;
  const done = await attempt(() => act(`runs/${run}/cancel`));
  if (done && !done.is_cancelled) toast("The run has ended already.");
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast("The browser does not let this page copy: select the text instead.", "error");
  }
}

export const actions = {
  send: (data) => attempt(() => openSend(data)),
  theme: () => window.toggleTheme(),
  help: () => showHelp(),
  size: () => showSize(),
  rerun: ({ run }) => rerun(run),
  cancel: ({ run }) => cancel(run),
  copy: ({ copy: text }) => copy(text),
  fold: () => (chosen.axis = chosen.axis === "linear" ? "auto" : "linear"),
  status: ({ status }) => Object.assign(chosen, { status, limit: 250 }),
  more: () => (chosen.limit += 250),
  row: ({ row }) => (chosen.rows.has(row) ? chosen.rows.delete(row) : chosen.rows.add(row)),
  skip: () => part("detail").focus(),
};

function start() {
  takeToken();
  onChange(draw);
  document.addEventListener("click", (event) => {
    const found = event.target.closest("[data-do]");
    const action = found && actions[found.dataset.do];
    if (!action) return;
    if (found.dataset.do === "skip") event.preventDefault();
    action({ ...found.dataset });
    changed();
  });
  document.addEventListener("input", (event) => {
    if (event.target.dataset.do === "filter") Object.assign(chosen, { query: event.target.value, limit: 250 });
    else if (event.target.dataset.do === "internal") chosen.withInternal = event.target.checked;
    else return;
    changed();
  });
  addEventListener("hashchange", arrive);
  new ResizeObserver(measure).observe(part("detail"));
  listen(actions);
  watchTips();
  draw();
  follow(outdated);
}

/** Another view or another thing in it. */
function arrive() {
  const { view } = route();
  if (view !== shownView) {
    chosen.query = "";
    chosen.limit = 250;
    const field = document.querySelector(".filter");
    if (field) field.value = "";
  }
  shownView = view;
  draw();
  part("detail").scrollTop = 0;
}

let shownView = route().view;

function measure() {
  const track = document.querySelector(".axis-track");
  const width = track?.clientWidth || part("detail").clientWidth * 0.55;
  if (Math.abs(width - barWidth) < 2) return;
  barWidth = width;
  changed();
}

start();
