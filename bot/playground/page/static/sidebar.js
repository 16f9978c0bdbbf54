// Channels, threads and the conversation with the bot; below, who speaks.

import { avatar, colourOf } from "./avatar.js";
import { h, icon } from "./dom.js";
import { failed, prompted } from "./toast.js";

const FORUM = 15;

export class Sidebar {
  #store;
  #speakAs;
  #ask;
  #channels = document.getElementById("channels");
  #speaker = document.getElementById("speaker");
  #header = document.getElementById("channel-title");

  constructor(store, speakAs, ask) {
    this.#ask = ask;
    this.#store = store;
    this.#speakAs = speakAs;
    for (const type of ["loaded", "entered", "channels", "status"]) store.addEventListener(type, () => this.#render());
  }

  #render() {
    const focused = document.activeElement?.closest("#channels a")?.dataset.id;
    document.getElementById("guild-name").textContent = this.#store.guild?.name ?? "";
    const all = [...this.#store.channels.values()];
    const text = all.filter((channel) => channel.type === 0)
      .sort((a, b) => (a.position ?? 0) - (b.position ?? 0));
    const threads = all.filter((channel) => this.#store.isThread(channel) && !channel.thread_metadata?.archived);
    const under = (channel) => threads.filter((thread) => thread.parent_id === channel.id)
      .map((thread) => this.#entry(thread, "thread"));
    const forums = all.filter((channel) => channel.type === FORUM);
    this.#channels.replaceChildren(
      h("h2", { text: "Text channels" }),
      h("ul", {}, text.flatMap((channel) => [this.#entry(channel, "hash"), ...under(channel)])),
      forums.length ? h("h2", { text: "Forums" }) : "",
      h("ul", {}, forums.flatMap((forum) => [this.#forum(forum), ...under(forum)])),
      h("h2", { text: "Direct messages" }),
      h("ul", {}, all.filter((channel) => channel.type === 1).map((channel) => this.#entry(channel, "at"))));
    if (focused) this.#channels.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
    this.#renderSpeaker();
    this.#renderHeader();
  }

  #entry(channel, kind) {
    const unread = this.#store.unread.get(channel.id) ?? 0;
    const here = channel.id === this.#store.current;
    const direct = channel.type === 1;
    const name = direct ? this.#store.nameOf(this.#store.bot) : channel.name;
    return h("li", { class: kind === "thread" ? "thread" : "" },
      h("a", { href: `#${channel.id}`, class: `channel${here ? " here" : ""}${unread ? " unread" : ""}`,
        data: { id: channel.id }, "aria-current": here ? "page" : null,
        "aria-label": `${name}${direct ? ", direct message" : kind === "thread" ? ", thread" : ", channel"}${
          unread ? `, ${unread} unread` : ""}`,
        on: { click: (event) => {
          event.preventDefault();
          this.#store.enter(channel.id);
          document.body.classList.remove("show-sidebar");
          document.getElementById("toggle-sidebar").setAttribute("aria-expanded", "false");
        } } },
      direct ? avatar(this.#store.bot, "small") : icon(kind), h("span", { class: "channel-name", text: name }),
      direct ? h("i", { class: `presence ${this.#store.status.bot?.state ?? "offline"}`, "aria-hidden": "true" }) : null,
      unread ? h("span", { class: "badge", text: String(Math.min(unread, 99)) }) : null));
  }

  #forum(forum) {
    return h("li", {}, h("button", { type: "button", class: "channel", "aria-label": `New post in ${forum.name}`,
      on: { click: () => this.#post(forum) } }, icon("thread"), h("span", { class: "channel-name", text: forum.name })));
  }

  async #post(forum) {
    const name = await prompted(`New post in ${forum.name}`, "Title");
    const content = name && await prompted(name, "Message");
    if (!content) return;
    try {
      const post = await this.#ask("post", { channel_id: forum.id, name, content });
      this.#store.enter(post.id);
    } catch (error) {
      failed(error);
    }
  }

  #renderSpeaker() {
    const { people, me } = this.#store;
    this.#speaker.replaceChildren(h("span", { class: "speaker-label", id: "speaker-label", text: "Speak as" }),
      h("div", { class: "people", role: "radiogroup", "aria-labelledby": "speaker-label",
        on: { keydown: (event) => this.#onSpeakerKey(event) } },
      people.map((person) => this.#person(person, person.id === me))));
  }

  #person(person, chosen) {
    const name = this.#store.nameOf(person);
    const node = h("button", { type: "button", class: `person${chosen ? " chosen" : ""}`, role: "radio",
      "aria-checked": String(chosen), tabIndex: chosen ? 0 : -1, data: { person: person.id },
      title: person.note ? `${name} — ${person.note}` : name, on: { click: () => this.#speakAs(person.id) } },
    avatar(person), h("span", { class: "person-name", text: name }),
    person.note ? h("span", { class: "person-note", text: person.note }) : null);
    node.style.setProperty("--name", colourOf(person));
    return node;
  }

  #onSpeakerKey(event) {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const { people, me } = this.#store;
    const next = people[(people.findIndex((person) => person.id === me) + step + people.length) % people.length];
    this.#speakAs(next.id).then(() => this.#speaker.querySelector(`[data-person="${next.id}"]`)?.focus());
  }

  #renderHeader() {
    const { channel } = this.#store;
    if (!channel) return;
    const direct = channel.type === 1;
    const name = direct ? this.#store.nameOf(this.#store.bot) : channel.name;
    this.#header.replaceChildren(icon(direct ? "at" : this.#store.isThread(channel) ? "thread" : "hash"),
      h("h1", { text: name, title: name }), channel.topic ? h("span", { class: "topic", text: channel.topic }) : "");
    document.title = `${direct ? "@" : "#"}${name} · Burble playground`;
  }
}
