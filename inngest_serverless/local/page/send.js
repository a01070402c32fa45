// The dialog that sends an event, invokes a function, or sends a signal.

import { DataField } from "./data_field.js";
import { el } from "./dom.js";
import { FieldError, parse } from "./form.js";
import { askNow } from "./feed.js";
import { eventNames, exampleOf, schemaOf, usualEvent } from "./names.js";
import { act, read } from "./server.js";
import { address, goToNew, known } from "./store.js";
import { toast } from "./toast.js";

const TITLES = { event: "Send an event", function: "Invoke a function", signal: "Send a signal" };

/**
 * Open the dialog.
 * @param {{event?: string, invoke?: string, signal?: string, again?: string}} what The name of an event, the ID of a
 *   function, the name of a signal, or the ID of an event that is to be sent again.
 */
export async function openSend(what) {
  if (document.querySelector("dialog[open]")) return;
  const again = what.again ? await read("example", { event_id: what.again }) : null;
  const kind = what.invoke ? "function" : what.signal ? "signal" : "event";
  const name = what.invoke ?? what.signal ?? what.event ?? known.events.get(what.again)?.name ?? usualEvent();
  new SendDialog(kind, name, again).open();
}

class SendDialog {
  constructor(kind, name, again) {
    this.kind = kind;
    this.name = name;
    this.again = again;
    this.turn = 0;
  }

  open() {
    this.body = el("div", { class: "dialog-scroll" });
    this.fault = el("p", { class: "fault", role: "alert", hidden: true });
    this.title = el("h2", { id: "send-title" });
    this.submit = el("button", { type: "submit", class: "button primary" }, "Send");
    const cancel = el("button", { type: "button", class: "button" }, "Close");
    cancel.addEventListener("click", () => this.dialog.close());
    const form = el(
      "form",
      { novalidate: true },
      el("div", { class: "dialog-head" }, this.title, this.kinds()),
      this.body,
      this.fault,
      el(
        "div",
        { class: "dialog-buttons" },
        el("span", { class: "quiet hint" }, "Ctrl + Enter sends"),
        cancel,
        this.submit,
      ),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.send();
    });
    this.dialog = el("dialog", { class: "send", "aria-labelledby": "send-title" }, form);
    document.body.append(this.dialog);
    const before = document.activeElement;
    this.dialog.addEventListener("close", () => {
      this.dialog.remove();
      before?.focus();
    });
    this.dialog.showModal();
    this.draw();
  }

  kinds() {
    const choices = ["event", "function"].map((kind) => {
      const radio = el("input", { type: "radio", name: "kind", value: kind, checked: kind === this.kind });
      radio.addEventListener("change", () => {
        this.kind = kind;
        this.again = null;
        this.name = kind === "event" ? usualEvent() : (known.app?.functions[0]?.id ?? "");
        this.draw();
        this.dialog.querySelector(`[value=${kind}]`).focus();
      });
      return el("label", {}, radio, el("span", {}, kind === "event" ? "Event" : "Function"));
    });
    return this.kind === "signal"
      ? ""
      : el("div", { class: "segmented", role: "radiogroup", "aria-label": "What to send" }, choices);
  }

  draw() {
    this.title.textContent = TITLES[this.kind];
    this.submit.textContent = this.kind === "function" ? "Invoke" : "Send";
    this.fault.hidden = true;
    this.data = new DataField((error) => this.complain(error));
    const user = el("textarea", { rows: 2, id: "send-user", class: "mono", spellcheck: "false", placeholder: "{}" });
    user.value = this.again?.user ?? "";
    const id = el("input", { type: "text", id: "send-id", autocomplete: "off", placeholder: "given by the server" });
    this.extra = { user, id };
    const more = el(
      "details",
      {},
      el("summary", {}, "User and ID"),
      el("div", { class: "field" }, el("label", { for: "send-user" }, "User (JSON)"), user),
      el(
        "div",
        { class: "field" },
        el("label", { for: "send-id" }, "ID"),
        id,
        el("p", { class: "help" }, "A function runs once for an ID within 24 hours."),
      ),
    );
    this.body.replaceChildren(this.nameField(), this.data.node, ...(this.kind === "event" ? [more] : []));
    this.filling = this.fill();
    this.focusOn.focus();
  }

  nameField() {
    if (this.kind === "function") {
      const node = el(
        "select",
        { id: "send-name" },
        (known.app?.functions ?? []).map((each) =>
          el("option", { value: each.id }, each.name === each.id ? each.id : `${each.name} (${each.id})`),
        ),
      );
      node.value = this.name;
      node.addEventListener("change", () => this.rename(node.value));
      this.focusOn = node;
      return el("div", { class: "field" }, el("label", { for: "send-name" }, "Function"), node);
    }
    const node = el("input", {
      type: "text",
      id: "send-name",
      list: "send-names",
      autocomplete: "off",
      spellcheck: "false",
      placeholder: "app/thing.happened",
    });
    node.value = this.name;
    node.addEventListener("change", () => this.rename(node.value.trim()));
    this.focusOn = node;
    const names = el(
      "datalist",
      { id: "send-names" },
      eventNames().map((name) => el("option", { value: name })),
    );
    return el(
      "div",
      { class: "field" },
      el("label", { for: "send-name" }, this.kind === "signal" ? "Signal" : "Event name"),
      node,
      this.kind === "signal" ? null : names,
    );
  }

  rename(name) {
    if (name === this.name) return;
    this.name = name;
    this.again = null;
    // What somebody has written is kept under the new name.
    if (this.data.isTouched) this.data.show(this.data.readLoosely(), schemaOf(this.kind, name));
    else this.filling = this.fill();
  }

  /** Put in what was sent last, or what the schema begins with. */
  async fill() {
    this.turn += 1;
    const turn = this.turn;
    const example = this.again ?? (await exampleOf(this.kind, this.name));
    // Whatever has been written meanwhile stays.
    if (turn !== this.turn || this.data.isTouched) return;
    this.data.show(example.data ?? (this.kind === "signal" ? "null" : undefined), schemaOf(this.kind, this.name));
  }

  async send() {
    if (this.isSending) return;
    this.isSending = true;
    this.submit.disabled = true;
    try {
      await this.filling;
      await this.deliver();
      this.dialog.close();
    } catch (error) {
      this.complain(error);
    } finally {
      this.isSending = false;
      this.submit.disabled = false;
      askNow();
    }
  }

  async deliver() {
    if (!this.name) throw new FieldError("a name is needed", this.focusOn);
    const data = this.data.read();
    if (this.kind === "function") {
      const { run_id: run } = await act("invoke", { function_id: this.name }, { data });
      goToNew("runs", run);
    } else if (this.kind === "signal") {
      await act("signals", { signal: this.name }, { data });
      toast(`Sent the signal ${this.name}`);
    } else {
      const { user, id } = this.extra;
      if (user.value.trim()) parse(user);
      const fields = { name: this.name, id: id.value.trim() || undefined };
      const { event_id: event } = await act("events", fields, { data, user: user.value.trim() || "null" });
      toast(`Sent ${this.name}`);
      goToNew("events", event);
      goToRun(event);
    }
  }

  complain(error) {
    for (const node of this.dialog.querySelectorAll("[aria-invalid]")) node.removeAttribute("aria-invalid");
    const node = error instanceof FieldError ? error.control : null;
    const label = node?.id ? this.dialog.querySelector(`label[for="${node.id}"] code, label[for="${node.id}"]`) : null;
    this.fault.textContent = label ? `${label.firstChild.textContent}: ${error.message}` : error.message;
    this.fault.hidden = false;
    node?.setAttribute("aria-invalid", "true");
    node?.focus();
  }
}

const WAIT_MS = 3000;

/** Go on to the run that an event starts, if it starts one soon and nobody has gone elsewhere meanwhile. */
async function goToRun(id) {
  const until = performance.now() + WAIT_MS;
  while (performance.now() < until && location.hash === address("events", id)) {
    const started = known.events.get(id)?.outcomes.filter((outcome) => outcome.kind === "started") ?? [];
    if (started.length === 1 && known.runs.has(started[0].run_id)) {
      location.replace(address("runs", started[0].run_id));
      return;
    }
    if (started.length > 1) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
