// Elements as values, and a document that is made equal to them.
//
// Views build what should be there; patch() changes what is there as little as possible, so that focus, scrolling,
// selected text and open details stay. Text only ever becomes text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element.
 * @param {string} tag Its name; "svg:path" for one of SVG.
 * @param {object} props Attributes; true for one without a value, null or false for none. `style` is an object of
 *   properties, `data` an object of data attributes.
 * @param {...(Node|string|number|null|false|Array)} children
 */
export function el(tag, props = {}, ...children) {
  const node = tag.startsWith("svg:") ? document.createElementNS(SVG, tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...nodes(children));
  return node;
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Make the children of an element equal to what is given. */
export function patch(parent, ...children) {
  const wanted = nodes(children).map((child) => (child instanceof Node ? child : document.createTextNode(child)));
  const keyed = new Map();
  for (const child of parent.childNodes) if (child.dataset?.key) keyed.set(child.dataset.key, child);
  let place = parent.firstChild;
  for (const node of wanted) {
    const key = node.dataset?.key;
    const match = key ? keyed.get(key) : isLike(place, node) ? place : null;
    if (match && isLike(match, node)) {
      if (match === place) place = place.nextSibling;
      else parent.insertBefore(match, place);
      if (key) keyed.delete(key);
      update(match, node);
    } else parent.insertBefore(node, place);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function isLike(old, node) {
  return old !== null && old.nodeName === node.nodeName && (old.dataset?.key ?? "") === (node.dataset?.key ?? "");
}

function update(old, node) {
  if (node.nodeType === Node.TEXT_NODE) {
    if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!node.hasAttribute(name) && !isOwn(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of node.attributes) {
    if (name !== "style" && old.getAttribute(name) !== value && !isOwn(old, name)) old.setAttribute(name, value);
  }
  // The policy of this page allows styles that are set by properties, but no attribute.
  if (old.style.cssText !== node.style.cssText) old.style.cssText = node.style.cssText;
  patch(old, ...node.childNodes);
}

/** Whether an attribute belongs to whoever looks at the page: what is unfolded stays so. */
function isOwn(node, name) {
  return name === "open" && node.nodeName === "DETAILS";
}

const PATHS = {
  completed: ["M4.5 8.2l2.4 2.4 4.6-5"],
  failed: ["M5.4 5.4l5.2 5.2", "M10.6 5.4l-5.2 5.2"],
  cancelled: ["M4.9 8h6.2"],
  queued: ["M8 4.8V8l2.1 1.6"],
  running: [],
  checked: ["M3.5 8.4l3 3 6-6.6"],
  back: ["M10 3.5L5.5 8l4.5 4.5"],
  chevron: ["M6 4l4 4-4 4"],
  sun: ["M8 1.6v1.2M8 13.2v1.2M1.6 8h1.2M13.2 8h1.2M3.5 3.5l.8.8M11.7 11.7l.8.8M3.5 12.5l.8-.8M11.7 4.3l.8-.8"],
  moon: ["M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8z"],
  copy: ["M5.5 5.5h7v7h-7z", "M3.5 10.5v-7h7"],
  sleep: ["M8 4.6V8l2.3 1.4"],
  event: ["M9 2.5L4 9h3.6L7 13.5 12 7H8.4z"],
  signal: ["M4.6 11.4a4.8 4.8 0 0 1 0-6.8M11.4 4.6a4.8 4.8 0 0 1 0 6.8"],
  invoke: ["M3 8h8.5M8.5 5l3 3-3 3"],
  fetch: ["M3.2 8h9.6"],
  ai: ["M8 2.8l1.3 3.9 3.9 1.3-3.9 1.3L8 13.2 6.7 9.3 2.8 8l3.9-1.3z"],
  run: ["M5.5 4l6 4-6 4z"],
  function: ["M10.8 3.4c-1.6-.5-2.3.3-2.6 2L7 11c-.3 1.6-1 2.2-2.4 1.7", "M5.6 7.2h4.6"],
};
const ROUND = new Set(["completed", "failed", "cancelled", "queued", "running", "sleep", "fetch"]);

/** A small drawing; `label` says in words what it means, for those who do not see it. */
export function icon(name, label = "") {
  return el(
    "svg:svg",
    {
      viewBox: "0 0 16 16",
      class: `icon icon-${name}`,
      role: label ? "img" : null,
      "aria-label": label || null,
      "aria-hidden": label ? null : "true",
    },
    ROUND.has(name) ? el("svg:circle", { cx: 8, cy: 8, r: 6 }) : null,
    name === "signal" ? el("svg:circle", { cx: 8, cy: 8, r: 1.2 }) : null,
    name === "sun" ? el("svg:circle", { cx: 8, cy: 8, r: 2.8 }) : null,
    name === "running" ? el("svg:path", { class: "turning", d: "M8 2a6 6 0 0 1 6 6" }) : null,
    (PATHS[name] ?? []).map((d) => el("svg:path", { d })),
  );
}

/** A button that does something; see actions in app.js. */
export function button(action, props, ...children) {
  const { data = {}, ...rest } = props;
  return el("button", { type: "button", ...rest, data: { do: action, ...data } }, ...children);
}
