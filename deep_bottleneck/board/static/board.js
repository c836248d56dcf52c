"use strict";
// Keeps the progress of running experiments current; everything else on the pages is made by the server.
const INTERVAL = 3000;
const bars = [...document.querySelectorAll(".progress")];
const query = new URLSearchParams(bars.map((bar) => ["id", bar.dataset.id]));

async function update() {
  const response = await fetch(`/progress?${query}`);
  const found = await response.json();
  for (const bar of bars) {
    const now = found[bar.dataset.id];
    if (now?.status !== "RUNNING") {
      location.reload();
      return;
    }
    bar.querySelector("progress").value = now.done;
    bar.querySelector("span").textContent =
      now.total === null ? `${now.done} epochs` : `${now.done} of ${now.total} epochs`;
  }
}

if (bars.length > 0) {
  setInterval(() => update().catch(() => {}), INTERVAL);
}
