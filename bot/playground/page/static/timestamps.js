// Times in words: Discord's <t:…> in all its styles, and the clock beside a message. Relative ones count live.

import { h } from "./dom.js";

const STYLES = {
  t: { timeStyle: "short" },
  T: { timeStyle: "medium" },
  d: { dateStyle: "short" },
  D: { dateStyle: "long" },
  f: { dateStyle: "long", timeStyle: "short" },
  F: { dateStyle: "full", timeStyle: "short" },
};
const UNITS = [["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600],
  ["minute", 60], ["second", 1]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** Render `<t:unix:style>`. */
export function timeNode(unix, style) {
  const date = new Date(unix * 1000);
  if (Number.isNaN(date.getTime())) return h("span", { class: "timestamp", text: "Invalid Date" });
  return h("time", { class: "timestamp", datetime: date.toISOString(), title: format(date, "F"),
    data: { unix: String(unix), style }, text: style === "R" ? ago(unix) : format(date, style) });
}

function format(date, style) {
  return new Intl.DateTimeFormat(undefined, STYLES[style] ?? STYLES.f).format(date);
}

function ago(unix) {
  const seconds = unix - Date.now() / 1000;
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? UNITS.at(-1);
  return relative.format(Math.trunc(seconds / size), unit);
}

/** Keep every relative time on the page true. */
export function startTicking() {
  setInterval(() => {
    for (const node of document.querySelectorAll('time[data-style="R"]')) {
      const text = ago(Number(node.dataset.unix));
      if (node.textContent !== text) node.textContent = text;
    }
  }, 1000);
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });

/** "14:03". */
export function clockOf(iso) {
  return clock.format(new Date(iso));
}

/** "Today at 14:03", "Yesterday at 14:03" or a date. */
export function stampOf(iso) {
  const date = new Date(iso);
  const today = new Date();
  const yesterday = new Date(today);
  yesterday.setDate(today.getDate() - 1);
  if (date.toDateString() === today.toDateString()) return `Today at ${clock.format(date)}`;
  if (date.toDateString() === yesterday.toDateString()) return `Yesterday at ${clock.format(date)}`;
  return `${new Intl.DateTimeFormat(undefined, { dateStyle: "short" }).format(date)} ${clock.format(date)}`;
}

/** "23 November 2026", for the line between two days. */
export function dayOf(iso) {
  return day.format(new Date(iso));
}
