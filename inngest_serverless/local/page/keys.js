// The keyboard: single keys for what is done often, arrow keys in lists and timelines.

import { changed, chosen, route } from "./store.js";
import { hideTip, stepBar } from "./tooltip.js";

export const SHORTCUTS = [
  ["j / k or ↓ / ↑", "next, previous in the list"],
  ["1 2 3", "runs, events, functions"],
  ["/", "filter the list"],
  ["n", "send an event"],
  ["r", "run the run again"],
  ["x", "cancel the run"],
  ["d", "go to the details"],
  ["Enter", "open a row of the timeline"],
  ["← / →", "in a row: from bar to bar"],
  ["z", "fold idle time, or draw to scale"],
  ["t", "light or dark"],
  ["Esc", "back to the list"],
  ["?", "this list"],
];

const VIEWS = { 1: "runs", 2: "events", 3: "functions" };

/** Begin to listen; `actions` are those of app.js. */
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    const isTyping = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (press(event, isTyping, actions)) {
      event.preventDefault();
      changed();
    }
  });
}

function press(event, isTyping, actions) {
  const { key } = event;
  if (key === "Escape") return escape(event.target);
  if (key === "ArrowDown" || key === "ArrowUp") return moveFrom(event.target, key === "ArrowDown" ? 1 : -1);
  if (isTyping) return false;
  if (key === "ArrowRight" || key === "ArrowLeft") return stepBar(key === "ArrowRight" ? 1 : -1);
  return chosen.hasShortcuts && shortcut(key, actions);
}

function shortcut(key, actions) {
  const { view, id } = route();
  const run = view === "runs" ? id : "";
  if (key in VIEWS) location.hash = `#/${VIEWS[key]}`;
  else if (key === "j" || key === "k") choose(key === "j" ? 1 : -1);
  else if (key === "/") document.querySelector(".filter")?.focus();
  else if (key === "d") document.getElementById("detail").focus();
  else if (key === "n") actions.send({});
  else if (key === "t") actions.theme();
  else if (key === "?") actions.help();
  else if (key === "z") document.querySelector("[data-do=fold]")?.click();
  else if (key === "r" && run) actions.rerun({ run });
  else if (key === "x" && run) document.querySelector("[data-do=cancel]")?.click();
  else return false;
  return true;
}

function escape(target) {
  if (hideTip()) return true;
  if (target.matches(".filter") && target.value) return false; // the browser empties the field
  const { view, id } = route();
  const item = document.querySelector(".item[aria-current]") ?? document.querySelector(".item");
  if (id && matchMedia("(max-width: 56rem)").matches) location.hash = `#/${view}`;
  item?.focus();
  return true;
}

/** The arrow keys move the focus where it is in a list, a timeline, or the filter above a list. */
function moveFrom(target, step) {
  const kind = target.matches(".item, .filter") ? ".item" : target.matches(".row-head") ? ".row-head" : null;
  if (!kind) return false;
  const all = [...document.querySelectorAll(kind)];
  const next = all[Math.min(Math.max(all.indexOf(target) + step, 0), all.length - 1)];
  next?.focus();
  return true;
}

/** Choose the next thing of the list, or the one before. */
function choose(step) {
  const all = [...document.querySelectorAll(".item")];
  const place = all.findIndex((item) => item.hasAttribute("aria-current"));
  const next = all[place < 0 ? 0 : Math.min(Math.max(place + step, 0), all.length - 1)];
  if (!next) return;
  location.hash = next.hash;
  next.focus();
}
