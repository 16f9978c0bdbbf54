// The few emoji that one reacts with here. The stop sign is drawn, so that it looks the same with any font.

import { h } from "./dom.js";
import { openMenu } from "./menu.js";

const CHOICES = [["⏹️", "Stop"], ["👍", "Thumbs up"], ["👎", "Thumbs down"], ["❤️", "Heart"], ["😂", "Joy"],
  ["🎉", "Party"], ["😮", "Surprised"], ["😢", "Sad"], ["🤔", "Thinking"], ["👀", "Eyes"], ["🔥", "Fire"],
  ["✅", "Check mark"], ["❌", "Cross mark"], ["🙏", "Thanks"], ["🚀", "Rocket"], ["🔁", "Repeat"]];
const NAMES = new Map(CHOICES.map(([emoji, name]) => [emoji.replace(/\ufe0f/g, ""), name]));

/** An emoji as a node. */
export function emojiNode(name) {
  if ((name ?? "").startsWith("⏹")) return h("span", { class: "emoji stop-sign", "aria-hidden": "true" });
  return h("span", { class: "emoji", "aria-hidden": "true", text: name });
}

/** What a reaction's button is called. */
export function reactionLabel(reaction, stop) {
  const name = NAMES.get((reaction.emoji.name ?? "").replace(/\ufe0f/g, "")) ?? reaction.emoji.name;
  const people = reaction.count === 1 ? "1 reaction" : `${reaction.count} reactions`;
  return stop ? `Stop this reply (${people})` : `${name}, ${people}`;
}

/** Let someone choose an emoji; `choose` gets it. */
export function pickEmoji(anchor, choose) {
  openMenu(anchor, CHOICES.map(([emoji, name]) => ({ label: name, icon: emojiNode(emoji), run: () => choose(emoji) })),
    { grid: true, label: "Choose a reaction" });
}
