// The field for the data of an event: a form where there is a schema, and JSON by hand.
//
// The data is a text of JSON all along. A browser reads large numbers inexactly, so they are never read where they are
// only to be passed on.

import { el } from "./dom.js";
import { FieldError, makeField, parse } from "./form.js";

export class DataField {
  /** @param {function(Error)} complain Told what is wrong when the way of writing cannot be changed. */
  constructor(complain) {
    this.node = el("div", { class: "send-data" });
    this.isTouched = false;
    this.mode = "form";
    this.complain = complain;
    this.node.addEventListener("input", (event) => {
      if (event.target.name !== "mode") this.isTouched = true;
    });
  }

  /** Show data; without a schema it is written as JSON. */
  show(text, schema) {
    this.text = text;
    this.schema = schema;
    const isForm = schema !== undefined && this.mode === "form" && isExact(text);
    const field = isForm
      ? makeField(schema, schema, text === undefined ? undefined : JSON.parse(text))
      : jsonField(text);
    this.readField = isForm ? () => JSON.stringify(field.read(true), null, 2) : () => checked(field.node);
    const hasFocus = this.node.contains(document.activeElement);
    this.node.replaceChildren(
      el(
        "div",
        { class: "send-data-head" },
        isForm ? el("h3", {}, "Data") : el("label", { for: "send-json" }, "Data (JSON)"),
        schema === undefined ? null : this.modes(isForm ? "form" : "json"),
      ),
      field.node,
    );
    if (hasFocus) this.node.querySelector("textarea, input:not([name=mode]), select")?.focus();
  }

  /** The data; throws a FieldError for what is none. */
  read() {
    return this.readField();
  }

  /** The data, or what was shown at first where there is something wrong with it. */
  readLoosely() {
    try {
      return this.read();
    } catch {
      return this.text;
    }
  }

  modes(current) {
    const choices = ["form", "json"].map((mode) => {
      const radio = el("input", { type: "radio", name: "mode", value: mode, checked: mode === current });
      radio.addEventListener("change", () => this.change(mode));
      return el("label", {}, radio, el("span", {}, mode === "form" ? "Form" : "JSON"));
    });
    return el("div", { class: "segmented", role: "radiogroup", "aria-label": "How to write the data" }, choices);
  }

  /** Write the same data in the other way. */
  change(mode) {
    try {
      // What is missing in a form is no reason not to show the rest as JSON.
      const text = mode === "form" ? this.read() : this.readLoosely();
      if (mode === "form" && !isExact(text)) throw new FieldError("a number in it is too large for the form", null);
      this.mode = mode;
      this.show(text, this.schema);
      this.node.querySelector(`[name=mode][value=${mode}]`).focus();
    } catch (error) {
      this.node.querySelector("[name=mode][value=json]").checked = true;
      this.complain(error);
    }
  }
}

function jsonField(text) {
  const node = el("textarea", { id: "send-json", class: "mono", rows: 10, spellcheck: "false" });
  node.value = text ?? "{}";
  return { node };
}

function checked(node) {
  parse(node);
  return node.value;
}

/** Whether a browser reads the whole numbers in a JSON text as they are written. */
function isExact(text) {
  return !/(?:^|[^\d.])\d{16,}(?![\d.])/.test((text ?? "").replace(/"(?:[^"\\]|\\.)*"/g, '""'));
}
