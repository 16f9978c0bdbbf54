// What stands above the first message of a channel, thread or conversation.

import { h, icon } from "./dom.js";

const FIRST_PROMPTS = ["What can you do?", "Show me some code", "Tell me a long story", "Think about why the sky is blue"];

/** The heading of `channel`; while it is empty, prompts to click. */
export function intro(channel, store) {
  const kind = channel?.type === 1 ? DIRECT : store.isThread(channel ?? {}) ? THREAD : TEXT;
  return h("li", { class: "intro" }, h("span", { class: "intro-icon" }, icon(kind.icon)),
    h("h2", { text: kind.title(channel, store) }), h("p", { text: kind.text(channel, store) }),
    store.mayWrite && h("div", { class: "first-prompts", role: "group", "aria-label": "Things to ask" },
      FIRST_PROMPTS.map((text) => h("button", { type: "button", class: "component-button", text, data: { prompt: text } }))));
}

const TEXT = {
  icon: "hash",
  title: (channel) => `Welcome to #${channel?.name ?? ""}`,
  text: (channel, store) =>
    `This is the beginning of #${channel?.name ?? ""}. Mention @${store.nameOf(store.bot)} to ask something.`,
};

const DIRECT = {
  icon: "at",
  title: (_, store) => store.nameOf(store.bot),
  text: (_, store) => `This is your conversation with ${store.nameOf(store.bot)}. Just write, no mention needed.`,
};

const THREAD = {
  icon: "thread",
  title: (channel) => channel.name,
  text: (channel, store) => {
    const parent = store.names.channel(channel.parent_id);
    return `A thread${parent ? ` in #${parent}` : ""}, started by ${store.nameOf(store.person(channel.owner_id))}. ` +
      `It has a memory of its own: mention @${store.nameOf(store.bot)} to ask something.`;
  },
};
