// Edits per second over the last minute, stacked by channel, with the line that Discord draws.

import { svg } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 100;
const TOP = 8;
const LABELS = 78; // what the lines' names take at the right, where no bar is drawn over them
const LABEL_HEIGHT = 13;
const SECONDS = 60;

/** Draw into `host` (an SVG element). `channels`: [{name, colour, seconds: [count …]}], `limit`: edits per second and channel. */
export function chart(host, channels, limit) {
  const totals = Array.from({ length: SECONDS }, (_, at) => channels.reduce((sum, c) => sum + (c.seconds[at] ?? 0), 0));
  const highest = Math.max(limit.burst, limit.per_second * 2, ...totals);
  const y = (count) => HEIGHT - (count / highest) * (HEIGHT - TOP);
  host.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  host.setAttribute("aria-label", `Edits per second: now ${totals.at(-1) ?? 0}, limit ${limit.per_second} per channel`);
  const [burst, sustained] = [y(limit.burst), y(limit.per_second)];
  host.replaceChildren(...bars(channels, y), ...line(burst, `${limit.burst} at once`, "burst", burst),
    ...line(sustained, `${limit.per_second}/s sustained`, "limit", Math.max(sustained, burst + LABEL_HEIGHT)));
}

function bars(channels, y) {
  const width = (WIDTH - LABELS) / SECONDS;
  const nodes = [];
  for (let at = 0; at < SECONDS; at += 1) {
    let below = 0;
    channels.forEach((channel) => {
      const count = channel.seconds[at] ?? 0;
      if (!count) return;
      const top = y(below + count);
      nodes.push(svg("rect", { x: (at * width + 0.4).toFixed(1), y: top.toFixed(1), width: (width - 0.8).toFixed(1),
        height: Math.max(0, y(below) - top - 0.8).toFixed(1), rx: 1.5, class: `series-${channel.colour}` }));
      below += count;
    });
  }
  return nodes;
}

function line(at, text, kind, labelAt) {
  const label = svg("text", { x: WIDTH - LABELS + 6, y: Math.min(labelAt + 4, HEIGHT - 2), class: `line-label ${kind}` });
  label.textContent = text;
  return [svg("line", { x1: 0, x2: WIDTH - LABELS, y1: at, y2: at, class: `line ${kind}` }), label];
}
