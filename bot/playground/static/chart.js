// Edits per second over the last minute, stacked by channel, with the line that Discord draws.

import { svg } from "./dom.js";

const WIDTH = 300;
const HEIGHT = 96;
const TOP = 14;
const SECONDS = 60;

/** Draw into `host` (an SVG element). `channels`: [{name, seconds: [count …]}], `limit`: edits per second and channel. */
export function chart(host, channels, limit) {
  const totals = Array.from({ length: SECONDS }, (_, at) => channels.reduce((sum, c) => sum + (c.seconds[at] ?? 0), 0));
  const highest = Math.max(limit.burst, limit.per_second * 2, ...totals);
  const y = (count) => HEIGHT - (count / highest) * (HEIGHT - TOP);
  host.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  host.setAttribute("aria-label", `Edits per second: now ${totals.at(-1) ?? 0}, limit ${limit.per_second} per channel`);
  host.replaceChildren(...bars(channels, y), ...line(y(limit.per_second), `${limit.per_second}/s sustained`, "limit"),
    ...line(y(limit.burst), `${limit.burst} at once`, "burst"));
}

function bars(channels, y) {
  const width = WIDTH / SECONDS;
  const nodes = [];
  for (let at = 0; at < SECONDS; at += 1) {
    let below = 0;
    channels.forEach((channel, index) => {
      const count = channel.seconds[at] ?? 0;
      if (!count) return;
      const top = y(below + count);
      nodes.push(svg("rect", { x: (at * width + 0.6).toFixed(1), y: top.toFixed(1), width: (width - 1.2).toFixed(1),
        height: Math.max(0, y(below) - top - 0.8).toFixed(1), rx: 1.5, class: `series-${index % 4}` }));
      below += count;
    });
  }
  return nodes;
}

function line(at, text, kind) {
  const label = svg("text", { x: 1, y: at - 3, class: `line-label ${kind}` });
  label.textContent = text;
  return [svg("line", { x1: 0, x2: WIDTH, y1: at, y2: at, class: `line ${kind}` }), label];
}
