// Markdown trees to DOM nodes. Every text becomes a text node and every address is checked: nothing is ever parsed as HTML.

import { h } from "./dom.js";
import { colour } from "./highlight.js";
import { isEmojiOnly, parse } from "./markdown.js";
import { timeNode } from "./timestamps.js";

/** Render a message's content. `names` finds users, roles and channels by id (see store.js). */
export function renderContent(content, names) {
  const nodes = parse(content).map((node) => block(node, names));
  if (isEmojiOnly(content)) nodes.forEach((node) => node.classList?.add("jumbo"));
  return nodes;
}

const BLOCKS = {
  p: (node, names) => h("p", {}, inlines(node.children, names)),
  h: (node, names) => h(`h${node.level + 2}`, { class: `md-h${node.level}` }, inlines(node.children, names)),
  sub: (node, names) => h("small", { class: "md-sub" }, inlines(node.children, names)),
  quote: (node, names) => h("blockquote", {}, node.children.map((child) => block(child, names))),
  code: (node) => codeBlock(node),
  list: (node, names) => {
    const items = node.items.map((item) => h("li", {}, item.map((child) => block(child, names))));
    return node.ordered ? h("ol", { start: String(node.start) }, items) : h("ul", {}, items);
  },
};

function block(node, names) {
  return BLOCKS[node.type](node, names);
}

function codeBlock(node) {
  const copy = h("button", { type: "button", class: "copy", text: "Copy", "aria-label": "Copy the code",
    data: { copy: "" } });
  return h("div", { class: "code-block", data: { key: "code" } },
    h("pre", { tabIndex: 0, "aria-label": node.language ? `Code, ${node.language}` : "Code" },
      h("code", { data: { language: node.language } }, colour(node.text, node.language))), copy);
}

const INLINES = {
  text: (node) => withSigns(node.text),
  strong: (node, names) => h("strong", {}, inlines(node.children, names)),
  em: (node, names) => h("em", {}, inlines(node.children, names)),
  u: (node, names) => h("u", {}, inlines(node.children, names)),
  s: (node, names) => h("s", {}, inlines(node.children, names)),
  icode: (node) => h("code", { class: "inline", text: node.text }),
  spoiler: (node, names) => h("span", { class: "spoiler", role: "button", tabIndex: 0, "aria-expanded": "false",
    "aria-label": "Spoiler, activate to reveal", data: { key: "spoiler" } },
  h("span", { class: "spoiler-text" }, inlines(node.children, names))),
  link: (node, names) => anchor(node, names),
  user: (node, names) => mention(`@${names.user(node.id) ?? "unknown-user"}`),
  role: (node, names) => mention(`@${names.role(node.id) ?? "unknown-role"}`),
  channel: (node, names) => mention(`#${names.channel(node.id) ?? "unknown"}`, { channel: node.id }),
  command: (node) => mention(`/${node.name}`),
  everyone: (node) => mention(`@${node.name}`),
  emoji: (node) => h("span", { class: "custom-emoji", title: `:${node.name}:`, text: `:${node.name}:` }),
  time: (node) => timeNode(node.unix, node.style),
};

/** The stop sign is drawn, because it is what this is about and few fonts have it. */
export function withSigns(value) {
  const parts = value.split(/⏹\ufe0f?/);
  return parts.flatMap((part, index) => [
    index ? h("span", { class: "stop-sign in-text", role: "img", "aria-label": "stop" }) : null,
    part ? document.createTextNode(part) : null,
  ]).filter(Boolean);
}

function inlines(nodes, names) {
  return nodes.map((node) => INLINES[node.type](node, names));
}

function mention(text, data = {}) {
  return data.channel
    ? h("a", { class: "mention", href: `#${data.channel}`, data, text })
    : h("span", { class: "mention", text });
}

function anchor(node, names) {
  let url;
  try {
    url = new URL(node.href);
  } catch {
    return h("span", {}, inlines(node.children, names));
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") return h("span", {}, inlines(node.children, names));
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow", title: url.href },
    inlines(node.children, names));
}

/** Listen for what rendered content offers: revealing spoilers and copying code. */
export function activateContent(root) {
  const reveal = (spoiler) => {
    spoiler.classList.add("revealed");
    spoiler.setAttribute("aria-expanded", "true");
    spoiler.removeAttribute("aria-label");
    // Survives the next live edit of the message (see patchAttributes).
    spoiler.dataset.kept = "class aria-expanded aria-label";
  };
  root.addEventListener("click", (event) => {
    const spoiler = event.target.closest?.(".spoiler:not(.revealed)");
    if (spoiler) {
      event.preventDefault();
      reveal(spoiler);
    }
    const copy = event.target.closest?.("[data-copy]");
    if (copy) copyCode(copy);
  });
  root.addEventListener("keydown", (event) => {
    const spoiler = event.target.closest?.(".spoiler:not(.revealed)");
    if (spoiler && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      event.stopPropagation();
      reveal(spoiler);
    }
  });
}

async function copyCode(button) {
  await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1200);
}
