// Numbers and times in words.

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
];

/** A duration in milliseconds by its two largest units: "4.2 ms", "1.25 s", "3 d 1 h", "7 d 20 s". */
export function duration(ms) {
  if (ms < 0.05) return "0 ms";
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${trimmed(ms / 1000)} s`;
  let left = Math.round(ms / 1000) * 1000;
  const words = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count) words.push(`${count} ${unit}`);
    if (words.length === 2) break;
  }
  return words.join(" ");
}

function trimmed(seconds) {
  return seconds.toFixed(seconds < 9.995 ? 2 : 1).replace(/\.?0+$/, "");
}

/** A price in US dollars; small ones all have as many digits, so that they can be compared in a column. */
export function dollars(usd) {
  if (usd === 0) return "$0";
  return `$${usd.toFixed(usd >= 1 ? 2 : usd >= 0.01 ? 4 : 8)}`;
}

/** What a million of them cost. */
export function perMillion(usd) {
  return `$${(usd * 1_000_000).toFixed(2)} per million`;
}

export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** The time of day, and the day where it is not that of `nowMs`. */
export function clock(ms, nowMs = Date.now()) {
  const at = new Date(ms);
  const text = CLOCK.format(at);
  return at.toDateString() === new Date(nowMs).toDateString() ? text : `${DAY.format(at)} ${text}`;
}

export function instant(ms) {
  return new Date(ms).toISOString();
}
