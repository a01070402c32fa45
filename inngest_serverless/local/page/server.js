// Requests to the server.

import { chosen } from "./store.js";

const SECONDS = 10;

export class ServerError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Keep the token that the address brings along, for servers with a signing key; it need not stay in the address. */
export function takeToken() {
  const found = location.hash.match(/^#token=(.+)$/);
  if (!found) return;
  sessionStorage.setItem("token", found[1]);
  history.replaceState(null, "", "/");
}

export function read(path, query = {}) {
  const size = { memory_mb: chosen.memory, architecture: chosen.architecture };
  const given = Object.entries({ ...size, ...query }).filter(([, value]) => value !== null && value !== undefined);
  return request("GET", `${path}?${new URLSearchParams(given)}`);
}

/** Do something; `raw` are fields of the body that are JSON already, and go out as they are. */
export function act(path, body = {}, raw = {}) {
  const fields = Object.entries(body).filter(([, value]) => value !== undefined);
  const written = [...fields.map(([name, value]) => [name, JSON.stringify(value)]), ...Object.entries(raw)];
  return request("POST", path, `{${written.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`);
}

async function request(method, path, body) {
  const headers = body === undefined ? {} : { "Content-Type": "application/json" };
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  const signal = AbortSignal.timeout(SECONDS * 1000);
  const reply = await fetch(`/page/${path}`, { method, headers, body, signal, cache: "no-store" });
  const document = await reply.json();
  if (!reply.ok) throw new ServerError(reply.status, document.error ?? `HTTP status ${reply.status}`);
  return document;
}
