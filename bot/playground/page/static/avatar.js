// Avatars made of initials on a colour that follows from the name; the bot has a drawn one.

import { h, svg } from "./dom.js";

const COLOURS = ["#5865f2", "#3ba55c", "#d9822b", "#eb459e", "#9b59b6", "#1a8fb5", "#c0392b", "#607d8b"];

/** Return a decorative avatar; the name stands beside it. */
export function avatar(user, size = "") {
  if (user?.bot) return h("span", { class: `avatar bot ${size}`, "aria-hidden": "true" }, bubbles());
  const name = user?.global_name || user?.username || "?";
  const node = h("span", { class: `avatar ${size}`, "aria-hidden": "true", text: [...name][0].toUpperCase() });
  node.style.setProperty("--avatar", colourOf(user, name));
  return node;
}

function bubbles() {
  return svg("svg", { viewBox: "0 0 24 24" },
    svg("circle", { cx: "9.5", cy: "13.5", r: "5.5", fill: "currentColor" }),
    svg("circle", { cx: "17", cy: "8", r: "3", fill: "currentColor", opacity: ".85" }),
    svg("circle", { cx: "18", cy: "17.5", r: "1.7", fill: "currentColor", opacity: ".7" }),
    svg("circle", { cx: "7.8", cy: "11.8", r: "1.4", fill: "#fff", opacity: ".55" }));
}

/** The colour of someone's name and avatar. */
export function colourOf(user, name = user?.username ?? "") {
  const given = user?.color ?? user?.colour ?? user?.accent_color;
  if (typeof given === "string") return given;
  if (given) return `#${given.toString(16).padStart(6, "0")}`;
  let hash = 0;
  for (const char of name) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
  return COLOURS[hash % COLOURS.length];
}
