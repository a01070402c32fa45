// Small dialogs: the shortcuts, what costs are counted with, whether a run is really to be cancelled.

import { el } from "./dom.js";
import { startOver } from "./feed.js";
import { SHORTCUTS } from "./keys.js";
import { changed, choose, chosen, known, size } from "./store.js";

const MEMORIES = [128, 256, 512, 1024, 1769, 2048, 3008, 4096, 6144, 8192, 10240];

const ESTIMATE =
  "An estimate by Lambda's list prices in us-east-1, without the free tier: for each call, and for its time, rounded " +
  "up to 1 ms, by memory. The time is what a call took here, on this machine.";

/** Show a dialog, and wait until it is closed; returns the value of the button that closed it, or "". */
export function ask(title, content, buttons, options = {}) {
  const heading = el("h2", { id: "dialog-title" }, title);
  const made = buttons.map(([value, text, kind]) => {
    const node = el("button", { type: "button", class: `button ${kind}` }, text);
    node.addEventListener("click", () => dialog.close(value));
    return node;
  });
  const dialog = el(
    "dialog",
    { class: options.class ?? "small-dialog", "aria-labelledby": "dialog-title" },
    heading,
    content,
    el("div", { class: "dialog-buttons" }, made),
  );
  document.body.append(dialog);
  const before = document.activeElement;
  dialog.addEventListener("pointerdown", (event) => {
    if (event.target === dialog) dialog.close("");
  });
  dialog.showModal();
  (options.focus ?? made.at(-1))?.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      before?.focus();
      resolve(dialog.returnValue);
    });
  });
}

export function showHelp() {
  const box = el("input", { type: "checkbox", checked: chosen.hasShortcuts });
  box.addEventListener("change", () => choose("shortcuts", box.checked));
  const keys = SHORTCUTS.map(([key, text]) => [
    el(
      "dt",
      {},
      key.split(" ").map((word) => (["or", "/"].includes(word) && key !== "/" ? ` ${word} ` : el("kbd", {}, word))),
    ),
    el("dd", {}, text),
  ]);
  return ask(
    "Keyboard shortcuts",
    [el("dl", { class: "keys" }, keys), el("label", { class: "check" }, box, "Single keys do something")],
    [["", "Close", "primary"]],
  );
}

export async function confirmCancel(run) {
  if (!run) return false;
  const text = "It cannot go on afterwards; Rerun starts it anew. A call that is under way ends by itself.";
  return (
    (await ask(`Cancel this run of ${run.function}?`, el("p", {}, text), [
      ["", "Keep it running", ""],
      ["cancel", "Cancel the run", "danger"],
    ])) === "cancel"
  );
}

export async function showSize() {
  const app = known.app;
  if (!app) return;
  const memory = el(
    "select",
    { id: "size-memory" },
    MEMORIES.map((mb) => el("option", { value: mb }, `${mb} MB`)),
  );
  const architecture = el(
    "select",
    { id: "size-architecture" },
    app.architectures.map((name) => el("option", { value: name }, name)),
  );
  const current = size();
  if (!MEMORIES.includes(current.memory))
    memory.prepend(el("option", { value: current.memory }, `${current.memory} MB`));
  memory.value = String(current.memory);
  architecture.value = current.architecture;
  const content = [
    el("p", { class: "quiet" }, ESTIMATE),
    el("div", { class: "field" }, el("label", { for: "size-memory" }, "Memory"), memory),
    el("div", { class: "field" }, el("label", { for: "size-architecture" }, "Architecture"), architecture),
  ];
  const buttons = [
    ["", "Leave it", ""],
    ["take", "Count with this", "primary"],
  ];
  if ((await ask("What costs are counted with", content, buttons, { focus: memory })) !== "take") return;
  choose("memory", Number(memory.value));
  choose("architecture", architecture.value);
  startOver();
  changed();
}
