// The list of messages: keyed, patched in place, stuck to its end while the reader is there.

import { h } from "./dom.js";
import { pickEmoji } from "./emoji.js";
import { intro } from "./intro.js";
import { openMenu } from "./menu.js";
import { isTalk, messageElement, updateMessage } from "./message.js";
import { plainText } from "./plain.js";
import { activateContent } from "./render.js";
import { askerOf, isRunning, isStop, mayStop } from "./replies.js";
import { EPHEMERAL, STARTER } from "./store.js";
import { cutAtWord, encoded, room, tooLong } from "./text.js";
import { dayOf } from "./timestamps.js";
import { announce, confirmed, failed, prompted, toast } from "./toast.js";

const GROUP_MS = 7 * 60 * 1000;
const NEAR_END = 60;
const QUIET_MS = 2500;
const THREAD_NAME = 40;
const FORUM = 15;

export class MessageList {
  #store;
  #ask;
  #composer;
  #list = document.getElementById("messages");
  #scroller = document.getElementById("scroller");
  #jumpButton = document.getElementById("jump");
  #nodes = new Map();
  #stuck = true;
  #height = 0;
  #view = 0;
  #quiet = new Map();
  #dirty = new Set();
  editing = null;

  constructor(store, ask, composer) {
    this.#store = store;
    this.#ask = ask;
    this.#composer = composer;
    activateContent(this.#list);
    this.#listen();
    this.#watchScroll();
  }

  get #context() {
    return {
      store: this.#store,
      editing: this.editing,
      jump: (id) => this.#jump(id),
      finishEdit: (message, text) => this.#finishEdit(message, text),
      click: (message, customId, values, target) => this.#click(message, customId, values, target),
    };
  }

  #listen() {
    const here = (run) => ({ detail }) => {
      if ((detail.channelId ?? detail.message?.channel_id) === this.#store.current) run(detail);
    };
    this.#store.addEventListener("entered", () => this.#enter());
    this.#store.addEventListener("loaded", () => this.#enter());
    this.#store.addEventListener("filled", here(() => this.#rebuild()));
    this.#store.addEventListener("created", here(({ message }) => this.#created(message)));
    this.#store.addEventListener("updated", here(({ message }) => this.#updated(message)));
    this.#store.addEventListener("removed", here(() => this.#rebuild()));
    this.#list.addEventListener("click", (event) => this.#onClick(event));
    this.#list.addEventListener("keydown", (event) => this.#onKey(event));
    this.#list.addEventListener("focusin", (event) => this.#rove(event.target.closest(".message")));
    new MutationObserver(() => this.#rove(this.#list.querySelector(".message:focus-within"))).observe(this.#list,
      { childList: true, subtree: true });
    this.#jumpButton.addEventListener("click", () => this.toEnd());
  }

  #watchScroll() {
    this.#scroller.addEventListener("scroll", () => {
      const { scrollTop, clientHeight } = this.#scroller;
      // Against list and view as the reader last saw them: what has grown since did not move them.
      this.#stuck = this.#height - scrollTop - Math.max(clientHeight, this.#view) < NEAR_END;
      this.#jumpButton.hidden = this.#stuck;
    }, { passive: true });
    // The list grows with each edit, the view shrinks with the composer: both keep the end in view.
    const keep = new ResizeObserver(() => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
      // A wider page may bring the end into view without any scrolling.
      if (this.#stuck || scrollHeight - scrollTop - clientHeight < NEAR_END) this.toEnd();
      this.#height = this.#scroller.scrollHeight;
      this.#view = this.#scroller.clientHeight;
    });
    keep.observe(this.#list);
    keep.observe(this.#scroller);
  }

  /** Let Tab stop at one message only, `focused` or the newest, and at what is in it; the arrows lead to the others. */
  #rove(focused) {
    const tabbable = focused ?? [...this.#list.querySelectorAll(".message")].at(-1);
    for (const message of this.#list.querySelectorAll(".message")) {
      const index = message === tabbable ? 0 : -1;
      for (const node of [message, ...message.querySelectorAll("a, button, select, textarea, [tabindex]")]) {
        if (node.tabIndex !== index) node.tabIndex = index;
      }
    }
  }

  /** Scroll to the newest message. */
  toEnd() {
    this.#stuck = true;
    this.#height = this.#scroller.scrollHeight;
    this.#scroller.scrollTop = this.#height;
    this.#jumpButton.hidden = true;
  }

  async #enter() {
    const { current } = this.#store;
    this.editing = null;
    this.#stuck = true;
    if (!current) return;
    if (this.#store.messages.has(current)) this.#rebuild();
    try {
      this.#store.fill(current, await this.#ask("history", { channel_id: current }));
    } catch (error) {
      failed(error);
    }
  }

  #rebuild() {
    const messages = this.#store.list(this.#store.current);
    const known = new Map(messages.map((message) => [message.id, message]));
    for (const [id, node] of this.#nodes) {
      if (!known.has(id)) { node.remove(); this.#nodes.delete(id); }
    }
    const nodes = [intro(this.#store.channel, this.#store)];
    messages.forEach((message, index) => {
      const before = messages[index - 1];
      if (newDay(before, message)) nodes.push(divider(message));
      nodes.push(this.#node(message, before));
    });
    this.#list.replaceChildren(...nodes);
    if (this.#stuck) this.toEnd();
  }

  #node(message, before) {
    const compact = isCompact(before, message);
    const node = this.#nodes.get(message.id);
    if (node) {
      updateMessage(node, message, this.#context, compact);
      return node;
    }
    const fresh = messageElement(message, this.#context, compact);
    this.#nodes.set(message.id, fresh);
    return fresh;
  }

  #created(message) {
    const messages = this.#store.list(this.#store.current);
    if (messages.at(-1)?.id !== message.id) { this.#rebuild(); return; }
    const before = messages.at(-2);
    if (newDay(before, message)) this.#list.append(divider(message));
    this.#list.append(this.#node(message, before));
    if (message.author.id === this.#store.me) this.toEnd();
    if (message.author.bot) this.#announceWhenQuiet(message);
    else if (message.author.id !== this.#store.me) announce(`${this.#store.nameOf(message.author)}: ${message.content}`);
  }

  #updated(message) {
    this.#dirty.add(message.id);
    // One paint for whatever changed until the next frame; a hidden tab gets no frames, but needs the text no less.
    if (this.#dirty.size === 1) {
      if (document.hidden) queueMicrotask(() => this.#paint());
      else requestAnimationFrame(() => this.#paint());
    }
    if (message.author.bot) this.#announceWhenQuiet(message);
  }

  #paint() {
    const messages = this.#store.list(this.#store.current);
    messages.forEach((message, index) => {
      if (this.#dirty.has(message.id) && message.id !== this.editing) this.#node(message, messages[index - 1]);
    });
    this.#dirty.clear();
  }

  /** A growing reply is read out once, when it has been quiet for a moment; not at every edit. */
  #announceWhenQuiet(message) {
    clearTimeout(this.#quiet.get(message.id));
    this.#quiet.set(message.id, setTimeout(() => {
      this.#quiet.delete(message.id);
      const text = this.#nodes.get(message.id)?.querySelector(".content")?.textContent;
      if (text) announce(`${this.#store.nameOf(message.author)}: ${text}`);
    }, QUIET_MS));
  }

  #onClick(event) {
    const prompt = event.target.closest("[data-prompt]")?.dataset.prompt;
    if (prompt) this.#composer.askBot(prompt);
    const node = event.target.closest(".message");
    const message = node && this.#store.message(this.#store.current, node.dataset.id);
    if (!message) return;
    const reaction = event.target.closest("[data-react]");
    if (reaction) this.#clickReaction(message, reaction.dataset);
    const tool = event.target.closest("[data-action]");
    if (tool) this.#act(tool.dataset.action, message, tool);
    const channel = event.target.closest("[data-channel]");
    if (channel) {
      event.preventDefault();
      if (this.#store.channels.has(channel.dataset.channel)) this.#store.enter(channel.dataset.channel);
    }
  }

  #act(action, message, anchor) {
    const actions = {
      react: () => pickEmoji(anchor, (emoji) => this.#react(message, emoji, false)),
      reply: () => this.#composer.replyTo(message),
      edit: () => this.startEdit(message),
      delete: () => this.#delete(message),
      more: () => this.#more(message, anchor),
    };
    actions[action]?.();
  }

  #more(message, anchor) {
    const store = this.#store;
    const items = [
      { label: "Copy text", run: () => navigator.clipboard.writeText(message.content) },
      { label: "Copy message ID", run: () => navigator.clipboard.writeText(message.id) },
    ];
    if (isTalk(message)) items.push({ label: "Forward", run: () => this.#forward(message, anchor) });
    if (store.channel?.type === 0) items.push({ label: "Create thread", run: () => this.#thread(message) });
    for (const command of (store.commands ?? []).filter((candidate) => candidate.type === 3)) {
      items.push({ label: `Apps · ${command.name}`, run: () => this.#do("menu",
        { name: command.name, target_id: message.id }) });
    }
    for (const command of (store.commands ?? []).filter((candidate) => candidate.type === 2)) {
      items.push({ label: `Apps · ${command.name} (user)`, run: () => this.#do("menu",
        { name: command.name, target_id: message.author.id }) });
    }
    openMenu(anchor, items, { label: "More" });
  }

  #forward(message, anchor) {
    const store = this.#store;
    openMenu(anchor, [...store.channels.values()].filter(({ type }) => type !== FORUM).map(({ id, name }) => {
      const label = name ? `#${name}` : `@${store.nameOf(store.bot)}`;
      return { label, run: async () =>
        await this.#do("forward", { message_id: message.id, to: id }) && toast(`Forwarded to ${label}.`) };
    }), { label: "Forward to" });
  }

  async #thread(message) {
    const bot = `@${this.#store.nameOf(this.#store.bot)} `;
    const said = plainText(message.content, this.#store.names).replace(bot, "");
    const name = await prompted("Create a thread", "Name", cutAtWord(said, THREAD_NAME) || "Thread");
    if (!name) return;
    const thread = await this.#do("thread", { name, message_id: message.id });
    if (!thread) return;
    this.#store.enter(thread.id);
    this.#composer.focus();
  }

  #clickReaction(message, { react, mine }) {
    if (isStop(react) && isRunning(message, this.#store) && !mayStop(message, this.#store)) {
      const asker = askerOf(message, this.#store);
      toast(`Only ${asker ? this.#store.nameOf(asker) : "who asked"}, or who can manage messages here, can stop this reply.`);
    }
    this.#react(message, react, Boolean(mine));
  }

  async #delete(message) {
    if (await confirmed("Delete this message?", "Delete")) await this.#do("delete", { message_id: message.id });
  }

  #react(message, emoji, mine) {
    return this.#do(mine ? "unreact" : "react", { message_id: message.id, emoji });
  }

  async #click(message, customId, values, target) {
    target.disabled = true;
    await this.#do("click", { message_id: message.id, custom_id: customId, values });
    target.disabled = false;
  }

  async #do(action, args) {
    try {
      return await this.#ask(action, { channel_id: this.#store.current, ...args });
    } catch (error) {
      failed(error);
      return null;
    }
  }

  /** Turn a message into a text field. */
  startEdit(message) {
    this.editing = message.id;
    this.#rebuild();
    const area = this.#nodes.get(message.id)?.querySelector("textarea");
    area?.focus();
    area?.setSelectionRange(area.value.length, area.value.length);
  }

  /** Edit the speaker's newest message here, as the up arrow does in an empty composer. */
  editLast() {
    const mine = this.#store.list(this.#store.current)
      .filter((message) => message.author.id === this.#store.me && isTalk(message));
    if (mine.length) this.startEdit(mine.at(-1));
  }

  async #finishEdit(message, text) {
    const content = encoded(text ?? "", this.#store);
    if (room(content) < 0) { toast(`${tooLong(room(content))}. Nothing was saved.`, "error"); return; }
    this.editing = null;
    if (text !== null && text.trim() && content !== message.content) {
      await this.#do("edit", { message_id: message.id, content });
    } else if (text !== null && !text.trim()) await this.#delete(message);
    this.#rebuild();
    this.#composer.focus();
  }

  #jump(id) {
    const node = this.#nodes.get(id);
    if (!node) { toast("That message is not loaded."); return; }
    node.scrollIntoView({ block: "center" });
    node.focus({ preventScroll: true });
    node.classList.add("flash");
    setTimeout(() => node.classList.remove("flash"), 1600);
  }

  /** Move the focus into the list, to its newest message. */
  focusLast() {
    [...this.#list.querySelectorAll(".message")].at(-1)?.focus();
  }

  #onKey(event) {
    const node = event.target.closest(".message");
    if (!node || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      const all = [...this.#list.querySelectorAll(".message")];
      const next = all[all.indexOf(node) + (event.key === "ArrowUp" ? -1 : 1)];
      if (next) next.focus();
      else if (event.key === "ArrowDown") this.#composer.focus();
      return;
    }
    if (event.target !== node) return;
    const message = this.#store.message(this.#store.current, node.dataset.id);
    if (!message || message.type === STARTER) return;
    const own = message.author.id === this.#store.me;
    const talk = isTalk(message);
    const keys = { r: talk ? "reply" : null, "+": "react", e: own && talk ? "edit" : null,
      Delete: own || this.#store.may(13) ? "delete" : null, m: "more" };
    if (event.key === "s") node.querySelector(".reaction.stop")?.click();
    else if (event.key === "Escape") this.#composer.focus();
    else if (keys[event.key] && !(message.flags & EPHEMERAL)) {
      this.#act(keys[event.key], message, node.querySelector(`[data-action="${keys[event.key]}"]`) ?? node);
    } else return;
    event.preventDefault();
  }
}

function newDay(before, message) {
  return !before || new Date(before.timestamp).toDateString() !== new Date(message.timestamp).toDateString();
}

function divider(message) {
  return h("li", { class: "day", role: "separator" }, h("span", { text: dayOf(message.timestamp) }));
}

function isCompact(before, message) {
  return Boolean(before) && before.author.id === message.author.id && message.type !== 19 && before.type !== STARTER &&
    !message.interaction_metadata && !message.interaction && !newDay(before, message) &&
    (before.flags & EPHEMERAL) === (message.flags & EPHEMERAL) &&
    new Date(message.timestamp) - new Date(before.timestamp) < GROUP_MS;
}
