// The line above the composer: who types, and which replies run here, each with its stop.

import { h } from "./dom.js";
import { askerOf, isRunning, mayStop, questionOf } from "./replies.js";
import { cutAtWord } from "./text.js";
import { failed } from "./toast.js";

const WORDS = 28;

export class RunningLine {
  #store;
  #ask;
  #typing = document.getElementById("typing");
  #stops = document.getElementById("stops");

  constructor(store, ask) {
    this.#store = store;
    this.#ask = ask;
    for (const type of ["entered", "loaded", "filled", "typing", "created", "updated", "removed"]) {
      store.addEventListener(type, () => this.#render());
    }
    setInterval(() => this.#renderTyping(), 1000);
    // The same key that stops a program in a terminal's neighbour, the browser: Ctrl+. (Cmd+. on a Mac).
    document.addEventListener("keydown", (event) => {
      if (event.key !== "." || !(event.ctrlKey || event.metaKey)) return;
      (this.#stops.querySelector("[data-own='1']") ?? this.#stops.querySelector("button"))?.click();
    });
  }

  #render() {
    this.#renderTyping();
    const running = this.#store.list(this.#store.current)
      .filter((message) => isRunning(message, this.#store) && mayStop(message, this.#store));
    const known = new Map([...this.#stops.children].map((node) => [node.dataset.id, node]));
    for (const message of running) {
      const node = known.get(message.id);
      known.delete(message.id);
      if (!node) this.#stops.append(this.#button(message));
      else if (node.title !== stopTitle(message, this.#store)) this.#replace(node, message);
    }
    known.forEach((node) => node.remove());
  }

  /** The question was edited: name the new one, and keep the focus. */
  #replace(node, message) {
    const isFocused = document.activeElement === node;
    const fresh = this.#button(message);
    node.replaceWith(fresh);
    if (isFocused) fresh.focus();
  }

  #button(message) {
    const asker = askerOf(message, this.#store);
    const question = questionOf(message, this.#store);
    const short = cutAtWord(question, WORDS);
    const whose = asker ? ` to ${this.#store.nameOf(asker)}` : "";
    return h("button", { type: "button", class: "stop-button", title: stopTitle(message, this.#store),
      data: { id: message.id, own: asker?.id === this.#store.me ? "1" : "" },
      on: { click: () => this.#ask("react", { channel_id: message.channel_id, message_id: message.id, emoji: "⏹️" })
        .catch(failed) } },
    h("span", { class: "stop-sign", "aria-hidden": "true" }), `Stop the reply${whose}`,
    short ? h("i", { text: short === question ? short : `${short}…` }) : null);
  }

  #renderTyping() {
    const names = this.#store.current ? this.#store.typers(this.#store.current) : [];
    const text = names.length > 3 ? "Several people are typing…"
      : names.length ? `${new Intl.ListFormat("en").format(names)} ${names.length > 1 ? "are" : "is"} typing…` : "";
    if (this.#typing.dataset.text === text) return;
    this.#typing.dataset.text = text;
    this.#typing.replaceChildren(...(text
      ? [h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i")), h("span", { text })] : []));
  }
}

function stopTitle(message, store) {
  const question = questionOf(message, store);
  return `Stop (Ctrl+.)${question ? `: ${question}` : ""}`;
}
