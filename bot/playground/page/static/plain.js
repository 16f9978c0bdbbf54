// A message in one line of plain text: for previews, names and labels.

import { parse } from "./markdown.js";
import { timeNode } from "./timestamps.js";

const LONGEST = 600;

/** The text of `content` without any marks; what a spoiler hides stays hidden. */
export function plainText(content, names) {
  return parse((content ?? "").slice(0, LONGEST)).map((node) => blockText(node, names)).join(" ")
    .replace(/\s+/g, " ").trim();
}

function blockText(node, names) {
  if (node.type === "code") return node.text;
  if (node.type === "list") return node.items.flat().map((child) => blockText(child, names)).join(" ");
  if (node.type === "quote") return node.children.map((child) => blockText(child, names)).join(" ");
  return inlineText(node.children, names);
}

const INLINES = {
  text: (node) => node.text,
  icode: (node) => node.text,
  spoiler: () => "(spoiler)",
  user: (node, names) => `@${names.user(node.id) ?? "unknown-user"}`,
  role: (node, names) => `@${names.role(node.id) ?? "unknown-role"}`,
  channel: (node, names) => `#${names.channel(node.id) ?? "unknown"}`,
  command: (node) => `/${node.name}`,
  everyone: (node) => `@${node.name}`,
  emoji: (node) => `:${node.name}:`,
  time: (node) => timeNode(node.unix, node.style).textContent,
};

function inlineText(nodes, names) {
  return nodes.map((node) => INLINES[node.type]?.(node, names) ?? inlineText(node.children, names)).join("");
}
