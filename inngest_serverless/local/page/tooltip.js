// What a bar says: when the pointer is on it, or when the arrow keys have come to it in a row.

let current = null;

export function watchTips() {
  // A finger opens the row instead, which tells more.
  const point = (event) => show(event.pointerType === "touch" ? null : event.target.closest?.(".bar"));
  document.addEventListener("pointerover", point);
  // For a tip that was hidden under a pointer that has stayed on its bar.
  document.addEventListener("pointermove", point);
  document.addEventListener("focusout", () => show(null));
  document.addEventListener("scroll", () => show(null), true);
}

/** Go to the next bar of the row that has the focus, or to the one before; returns whether there is a row. */
export function stepBar(step) {
  const row = document.activeElement?.closest(".row-head");
  if (!row) return false;
  const bars = [...row.querySelectorAll(".bar")];
  if (!bars.length) return true;
  const place = bars.indexOf(current);
  show(bars[place < 0 ? (step > 0 ? 0 : bars.length - 1) : Math.min(Math.max(place + step, 0), bars.length - 1)]);
  row.setAttribute("aria-describedby", "tooltip");
  return true;
}

export function hideTip() {
  const was = current;
  show(null);
  return was !== null;
}

function show(bar) {
  if (bar === current) return;
  const tip = document.getElementById("tooltip");
  current?.classList.remove("is-shown");
  current = bar ?? null;
  tip.hidden = current === null;
  if (current === null) return;
  current.classList.add("is-shown");
  tip.textContent = current.dataset.tip;
  const place = current.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = tip;
  const left = Math.min(Math.max(place.left + Math.min(place.width, 200) / 2 - width / 2, 8), innerWidth - width - 8);
  const above = place.top - height - 8;
  tip.style.left = `${left}px`;
  tip.style.top = `${above > 8 ? above : place.bottom + 8}px`;
}
