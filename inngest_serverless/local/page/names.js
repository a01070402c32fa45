// What is known of events and functions by their names: for the dialog that sends them.

import { read } from "./server.js";
import { known } from "./store.js";

const EXAMPLE_MS = 700;

/** The event that is sent most likely: that of the last time. */
export function usualEvent() {
  const latest = [...known.events.values()].reverse().find((event) => !event.name.startsWith("inngest/"));
  return latest?.name ?? eventNames()[0] ?? "";
}

/** The names that are known: of triggers, typed events, events that have come. */
export function eventNames() {
  const triggers = (known.app?.functions ?? []).flatMap((each) => each.triggers.map((trigger) => trigger.event));
  const names = [
    ...triggers,
    ...Object.keys(known.app?.schemas ?? {}),
    ...[...known.events.values()].map((event) => event.name),
  ];
  return [...new Set(names)].filter((name) => name && !name.startsWith("inngest/") && !name.includes("*")).sort();
}

/** The JSON schema of the data of an event, or of what a function gets; undefined if there is none. */
export function schemaOf(kind, name) {
  const schemas = known.app?.schemas ?? {};
  if (kind === "event") return schemas[name];
  if (kind === "signal") return undefined;
  const triggers = known.app?.functions.find((each) => each.id === name)?.triggers ?? [];
  return triggers.map((trigger) => schemas[trigger.event]).find(Boolean);
}

/** What the last one of its kind was sent with; nothing if there is none, or if it takes too long to find out. */
export async function exampleOf(kind, name) {
  if (kind === "signal") return {};
  const late = new Promise((resolve) => setTimeout(resolve, EXAMPLE_MS, {}));
  try {
    return await Promise.race([read("example", kind === "event" ? { event: name } : { function_id: name }), late]);
  } catch {
    return {}; // it is only an example
  }
}
