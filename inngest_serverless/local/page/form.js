// A form for JSON, by its JSON schema. What a schema says that has no field of its own is written as JSON.

import { el } from "./dom.js";

let lastId = 0;

/**
 * Make a field for a value.
 * @param {object} schema Its schema.
 * @param {object} root The schema that "$ref" looks in.
 * @param {any} value What to fill in at first.
 * @returns {{node: Node, read: function(): any, title: string}} `read` throws a FieldError for what is no such value.
 */
export function makeField(schema, root, value) {
  const { plain, isNullable } = resolve(schema, root);
  const given = value === undefined ? plain.default : value;
  if (Array.isArray(plain.enum) || "const" in plain) return choice(plain, given, isNullable);
  if (plain.properties || (plain.type === "object" && plain.properties)) return group(plain, root, given);
  if (plain.type === "boolean" && !isNullable) return checkbox(plain, given);
  if (plain.type === "integer" || plain.type === "number") return number(plain, given, isNullable);
  if (plain.type === "string") return text(plain, given, isNullable);
  if (plain.type === "array" && plain.items) return rows(plain, root, given);
  return json(plain, given);
}

export class FieldError extends Error {
  constructor(message, control) {
    super(message);
    this.control = control;
  }
}

/** Follow references, and take "this or null" apart. */
function resolve(schema, root) {
  let plain = schema ?? {};
  let isNullable = false;
  for (let depth = 0; depth < 20; depth += 1) {
    const { $ref: reference, anyOf, allOf, ...rest } = plain;
    const options = anyOf?.filter((each) => each.type !== "null");
    if (reference?.startsWith("#/")) plain = { ...lookUp(root, reference), ...rest };
    else if (allOf?.length === 1) plain = { ...allOf[0], ...rest };
    else if (options?.length === 1 && options.length < anyOf.length) {
      plain = { ...options[0], ...rest };
      isNullable = true;
    } else break;
  }
  return { plain, isNullable };
}

function lookUp(root, reference) {
  const names = reference
    .slice(2)
    .split("/")
    .map((name) => name.replaceAll("~1", "/").replaceAll("~0", "~"));
  return names.reduce((found, name) => found?.[name], root) ?? {};
}

function group(schema, root, value) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties).map(([name, each]) => {
    const isGiven = value !== null && typeof value === "object" && name in value;
    return {
      name,
      isRequired: required.has(name),
      field: makeField(each, root, isGiven ? value[name] : undefined),
      schema: each,
    };
  });
  const known = new Set(Object.keys(schema.properties));
  const others = Object.entries(value ?? {}).filter(([name]) => !known.has(name));
  const read = () => {
    // What the schema does not speak of is kept, unless it is not allowed.
    const document = schema.additionalProperties === false ? {} : Object.fromEntries(others);
    for (const { name, isRequired, field } of fields) {
      const found = field.read(isRequired);
      if (found !== undefined) document[name] = found;
    }
    return document;
  };
  return { node: el("div", { class: "fields" }, fields.map(labelled)), read };
}

function labelled({ name, isRequired, field, schema }) {
  const mark = isRequired ? el("span", { class: "required", title: "required" }, "required") : null;
  const help = schema.description ? el("p", { class: "help", id: `help-${field.id ?? ""}` }, schema.description) : null;
  if (field.id) {
    if (help) field.control.setAttribute("aria-describedby", `help-${field.id}`);
    if (isRequired) field.control.setAttribute("aria-required", "true");
    return el("div", { class: "field" }, el("label", { for: field.id }, el("code", {}, name), mark), field.node, help);
  }
  return el("fieldset", {}, el("legend", {}, el("code", {}, name), mark), help, field.node);
}

function control(node, read) {
  lastId += 1;
  node.id = `field-${lastId}`;
  return { node, control: node, id: node.id, read };
}

function choice(schema, value, isNullable) {
  const options = schema.enum ?? [schema.const];
  const node = el(
    "select",
    {},
    el("option", { value: "" }, isNullable ? "null" : "–"),
    options.map((each, index) => el("option", { value: index }, String(each))),
  );
  const place = options.indexOf(value);
  node.value = place >= 0 ? String(place) : options.length === 1 && !isNullable ? "0" : "";
  return control(node, (isRequired) =>
    node.value === "" ? empty(node, isRequired, isNullable) : options[Number(node.value)],
  );
}

function checkbox(schema, value) {
  const node = el("input", { type: "checkbox", checked: value === true });
  return control(node, () => node.checked);
}

function number(schema, value, isNullable) {
  const isWhole = schema.type === "integer";
  const node = el("input", {
    type: "text",
    inputmode: isWhole ? "numeric" : "decimal",
    placeholder: isWhole ? "whole number" : "number",
    autocomplete: "off",
  });
  node.value = value ?? "";
  return control(node, (isRequired) => {
    const written = node.value.trim();
    if (written === "") return empty(node, isRequired, isNullable);
    const found = Number(written);
    if (/^-?\d+$/.test(written) && !Number.isSafeInteger(found)) {
      throw new FieldError(`${written} is too large for the form: write it as JSON`, node);
    }
    if (!Number.isFinite(found) || (isWhole && !Number.isInteger(found)))
      throw new FieldError(`${written} is no ${isWhole ? "whole " : ""}number`, node);
    const [low, high] = [schema.minimum ?? -Infinity, schema.maximum ?? Infinity];
    if (found < low || found > high) throw new FieldError(`${written} is not from ${low} to ${high}`, node);
    return found;
  });
}

const EXAMPLES = {
  "date-time": "2026-01-31T12:00:00Z",
  date: "2026-01-31",
  time: "12:00:00",
  email: "ada@example.com",
  uuid: "00000000-0000-4000-8000-000000000000",
  uri: "https://example.com",
};

function text(schema, value, isNullable) {
  const isLong =
    (typeof value === "string" && (value.length > 80 || value.includes("\n"))) || (schema.maxLength ?? 0) > 500;
  const node = isLong ? el("textarea", { rows: 4 }) : el("input", { type: "text", autocomplete: "off" });
  const example = EXAMPLES[schema.format] ?? schema.examples?.[0];
  if (example !== undefined) node.placeholder = String(example);
  node.value = value ?? "";
  return control(node, (isRequired) => {
    if (node.value === "" && (!isRequired || isNullable)) return isNullable && isRequired ? null : undefined;
    if (node.value.length < (schema.minLength ?? 0))
      throw new FieldError(`at least ${schema.minLength} characters are needed`, node);
    if (node.value.length > (schema.maxLength ?? Infinity))
      throw new FieldError(`${schema.maxLength} characters are the most`, node);
    return node.value;
  });
}

function rows(schema, root, value) {
  const fields = [];
  const list = el("div", { class: "field-rows" });
  const add = (each) => {
    const field = makeField(schema.items, root, each);
    const remove = el("button", { type: "button", class: "ghost small", "aria-label": "Remove this one" }, "Remove");
    const row = el("div", { class: "field-row" }, field.node, remove);
    if (field.id) field.control.setAttribute("aria-label", `item ${fields.length + 1}`);
    fields.push(field);
    remove.addEventListener("click", () => {
      fields.splice(fields.indexOf(field), 1);
      row.remove();
      more.focus();
    });
    list.append(row);
    return field;
  };
  const more = el("button", { type: "button", class: "ghost small" }, "Add one");
  more.addEventListener("click", () => add(undefined).node.focus?.());
  for (const each of Array.isArray(value) ? value : []) add(each);
  return { node: el("div", {}, list, more), read: () => fields.map((field) => field.read(true)) };
}

function json(schema, value) {
  const node = el("textarea", {
    rows: 3,
    class: "mono",
    spellcheck: "false",
    placeholder: schema.type === "object" ? "{}" : "JSON",
  });
  node.value = value === undefined ? "" : JSON.stringify(value, null, 2);
  return control(node, (isRequired) => {
    if (node.value.trim() === "") return empty(node, isRequired, false);
    return parse(node);
  });
}

/** The value in a field that holds JSON. */
export function parse(node) {
  try {
    return JSON.parse(node.value);
  } catch (error) {
    throw new FieldError(`this is not JSON: ${error.message}`, node);
  }
}

function empty(node, isRequired, isNullable) {
  if (!isRequired) return undefined;
  if (isNullable) return null;
  throw new FieldError("this is required", node);
}
