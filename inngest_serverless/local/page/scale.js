// The time axis: where an instant is, from 0 to 1.
//
// A run works for milliseconds and sleeps for days. Long times in which nothing of it runs are folded to strips of the
// same width, and what is left is drawn to scale.

import { duration } from "./format.js";

const FOLD_SHARE = 0.13;
const MOST_FOLDS_SHARE = 0.6;
const LABEL_PX = 62;

/**
 * Make an axis.
 * @param {Array<{start: number, end: number, isWork: boolean}>} spans In milliseconds, on one clock.
 * @param {boolean} mayFold Whether long idle times may be folded.
 * @returns {{start: number, end: number, folds: Array, at: function(number): number, ticks: function(number): Array}}
 */
export function makeAxis(spans, mayFold) {
  const start = Math.min(...spans.map((span) => span.start));
  const end = Math.max(...spans.map((span) => span.end), start + 1);
  const folds = mayFold ? longIdle(spans, start, end) : [];
  const stretches = cut(start, end, folds);
  const share = folds.length ? Math.min(FOLD_SHARE, MOST_FOLDS_SHARE / folds.length) : 0;
  const drawn = stretches.filter((stretch) => !stretch.isFold).reduce((sum, each) => sum + each.end - each.start, 0);
  let left = 0;
  for (const stretch of stretches) {
    const length = stretch.end - stretch.start;
    stretch.left = left;
    stretch.width = stretch.isFold ? share : (length / drawn) * (1 - share * folds.length);
    left += stretch.width;
  }
  const at = (ms) => {
    const stretch = stretches.find((each) => ms <= each.end) ?? stretches.at(-1);
    const part = (ms - stretch.start) / (stretch.end - stretch.start || 1);
    return Math.min(Math.max(stretch.left + part * stretch.width, 0), 1);
  };
  return {
    start,
    end,
    at,
    folds: stretches.filter((stretch) => stretch.isFold),
    ticks: (px) => ticks(stretches, start, end, px),
  };
}

/** Whether folding would make a difference. */
export function isUneven(spans) {
  const start = Math.min(...spans.map((span) => span.start));
  return longIdle(spans, start, Math.max(...spans.map((span) => span.end))).length > 0;
}

/** The times without work that are longer than all that is to be drawn to scale. */
function longIdle(spans, start, end) {
  const work = spans.filter((span) => span.isWork).sort((a, b) => a.start - b.start);
  const idle = [];
  let free = start;
  for (const span of [...work, { start: end, end }]) {
    if (span.start > free) idle.push({ start: free, end: span.start });
    free = Math.max(free, span.end);
  }
  idle.sort((a, b) => a.end - a.start - (b.end - b.start));
  let rest = Math.max(end - start - idle.reduce((sum, each) => sum + each.end - each.start, 0), 1);
  const folds = idle.filter((each) => {
    const length = each.end - each.start;
    if (length > 3 * rest && length > 20) return true;
    rest += length;
    return false;
  });
  return folds.sort((a, b) => a.start - b.start);
}

function cut(start, end, folds) {
  const stretches = [];
  let free = start;
  for (const fold of folds) {
    if (fold.start > free) stretches.push({ start: free, end: fold.start, isFold: false });
    stretches.push({ ...fold, isFold: true });
    free = fold.end;
  }
  if (end > free || !stretches.length) stretches.push({ start: free, end: Math.max(end, free + 1), isFold: false });
  return stretches;
}

/** Marks on the axis, as many as there is room for in so many pixels: {at, label, isFold}. */
function ticks(stretches, start, end, px) {
  const marks = [];
  for (const stretch of stretches) {
    if (stretch.isFold) {
      const isRoom = stretch.width * px > 30;
      marks.push({
        at: stretch.left + stretch.width / 2,
        label: isRoom ? duration(stretch.end - stretch.start) : "",
        isFold: true,
      });
      continue;
    }
    const room = Math.floor((stretch.width * px) / LABEL_PX);
    const step = niceStep((stretch.end - stretch.start) / Math.max(room, 1));
    for (let offset = 0; offset < stretch.end - stretch.start - step * 0.4 || offset === 0; offset += step) {
      const at = stretch.left + (offset / (stretch.end - stretch.start)) * stretch.width;
      // After a fold the time counts from there: "3 d 2 ms" tells nobody anything.
      const isLater = stretch.start > start && offset > 0;
      const label = isLater
        ? `+${duration(offset)}`
        : offset + stretch.start === start
          ? "0"
          : duration(stretch.start + offset - start);
      marks.push({ at, label, isFold: false });
    }
  }
  return spaced(marks, px);
}

/** Marks whose labels do not touch; of two that would, the later one stays without. */
function spaced(marks, px) {
  let free = -Infinity;
  return marks.map((mark) => {
    const width = mark.label.length * 6.4 + 10;
    const left = mark.at * px - (mark.isFold ? width / 2 : 0);
    const fits = mark.label && left >= free && left + width <= px + 4;
    if (fits) free = left + width;
    return fits ? mark : { ...mark, label: "" };
  });
}

function niceStep(ms) {
  const units = [1, 1000, 60_000, 3_600_000, 86_400_000];
  const unit = units.filter((each) => each <= ms).at(-1) ?? 0.001;
  const counts = unit >= 60_000 ? [1, 2, 5, 10, 15, 30, 60] : [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
  return unit * (counts.find((each) => each * unit >= ms) ?? Math.ceil(ms / unit));
}
