// The composer: text field, mention and command suggestions, reply bar, length counter, running replies and their stop.

import { avatar } from "./avatar.js";
import { CommandForm, matchCommand, refusal, suggested } from "./commands.js";
import { Completion } from "./completion.js";
import { h, icon, iconButton } from "./dom.js";
import { encoded, room, tooLong } from "./text.js";
import { failed, toast } from "./toast.js";

const COUNT_BELOW = 200;
const TYPING_EVERY_MS = 8000;
const DIRECT = 1;

export class Composer {
  #store;
  #ask;
  #area = document.getElementById("composer-text");
  #box = document.getElementById("composer-box");
  #form = document.getElementById("composer");
  #replyBar = document.getElementById("reply-bar");
  #counter = document.getElementById("counter");
  #send = document.getElementById("send");
  #nudge = document.getElementById("nudge");
  #knowsHow = false; // that a bot is mentioned
  #completion;
  #command = null;
  #reply = null;
  #ping = true;
  #typedAt = 0;
  #drafts = new Map();
  #channel = null;
  onEditLast = () => {};
  onFocusMessages = () => {};

  constructor(store, ask) {
    this.#store = store;
    this.#ask = ask;
    this.#completion = new Completion(this.#area, this.#box, "Suggestions");
    this.#area.addEventListener("input", () => this.#onInput());
    this.#area.addEventListener("keydown", (event) => this.#onKey(event));
    this.#area.addEventListener("blur", () => this.#completion.close());
    this.#form.addEventListener("submit", (event) => { event.preventDefault(); this.#submit(); });
    for (const type of ["entered", "loaded", "channels"]) store.addEventListener(type, () => this.#refresh());
    store.addEventListener("known", () => {
      if (document.activeElement === this.#area && this.#area.value.startsWith("/")) this.#suggest();
    });
    store.addEventListener("removed", ({ detail }) => { if (detail.id === this.#reply?.id) this.replyTo(null); });
  }

  /** Put the focus where one writes. */
  focus() {
    if (this.#command) this.#command.focus();
    else this.#area.focus();
  }

  /** Ask the bot `text` here; what is being written stays. */
  async askBot(text) {
    const { bot, channel } = this.#store;
    const content = channel.type === DIRECT ? text : `<@${bot.id}> ${text}`;
    try {
      await this.#ask("send", { channel_id: channel.id, content, reply_to: null, ping_reply: true });
    } catch (error) {
      failed(error);
    }
    this.focus();
  }

  /** Let the next message answer `message` (or none). */
  replyTo(message) {
    this.#reply = message;
    this.#ping = true;
    this.#replyBar.hidden = !message;
    if (!message) return;
    const ping = h("button", { type: "button", class: "link", "aria-pressed": "true", title: "Whether they are notified",
      text: "@ ON", on: { click: () => {
        this.#ping = !this.#ping;
        ping.textContent = this.#ping ? "@ ON" : "@ OFF";
        ping.setAttribute("aria-pressed", String(this.#ping));
      } } });
    this.#replyBar.replaceChildren(h("span", {}, "Replying to ", h("b", { text: this.#store.nameOf(message.author) })),
      ping, iconButton("close", "Cancel the reply", () => { this.replyTo(null); this.focus(); }));
    this.focus();
  }

  #refresh() {
    const { channel } = this.#store;
    if (!channel) return;
    if (this.#channel !== channel.id) {
      this.#drafts.set(this.#channel, this.#area.value);
      this.#area.value = this.#drafts.get(channel.id) ?? "";
      this.#channel = channel.id;
      this.replyTo(null);
      this.#nudge.hidden = true;
      this.#closeCommand();
      this.#resize();
    }
    const direct = channel.type === 1;
    const allowed = this.#store.mayWrite;
    const bot = this.#store.nameOf(this.#store.bot);
    this.#area.disabled = !allowed;
    this.#area.placeholder = !allowed ? "You do not have permission to send messages here."
      : direct ? `Message @${bot}`
      : `Message ${this.#store.isThread(channel) ? `“${channel.name}”` : `#${channel.name}`} — mention @${bot} to ask`;
    this.#area.setAttribute("aria-label", direct ? `Message ${bot}` : `Message ${channel.name}`);
  }

  #onInput() {
    this.#resize();
    this.#suggest();
    const now = Date.now();
    if (this.#area.value.trim() && !this.#area.value.startsWith("/") && now - this.#typedAt > TYPING_EVERY_MS) {
      this.#typedAt = now;
      this.#ask("typing", { channel_id: this.#store.current }).catch(() => {});
    }
  }

  #resize() {
    const area = this.#area;
    // The box keeps its height while the field is measured: else the messages above would move for a moment.
    this.#box.style.minHeight = `${this.#box.offsetHeight}px`;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, innerHeight * 0.4)}px`;
    this.#box.style.minHeight = "";
    const left = room(encoded(area.value, this.#store));
    this.#counter.hidden = left > COUNT_BELOW;
    this.#counter.textContent = left < 0 ? tooLong(left) : String(left);
    this.#counter.classList.toggle("over", left < 0);
    this.#counter.setAttribute("aria-label", left < 0 ? tooLong(left) : `${left} characters left`);
    this.#send.disabled = left < 0;
  }

  #suggest() {
    const { value, selectionStart: caret } = this.#area;
    if (value.startsWith("/")) { this.#suggestCommands(value); return; }
    const found = /(^|\s)([@#])([\p{L}\p{N}_-]*)$/u.exec(value.slice(0, caret));
    if (!found) { this.#completion.close(); return; }
    const [, , sign, wanted] = found;
    const start = caret - wanted.length - 1;
    this.#completion.show(sign === "@" ? this.#people(wanted, start) : this.#channels(wanted, start),
      { heading: sign === "@" ? "People" : "Channels" });
  }

  #suggestCommands(value) {
    const matched = matchCommand(value, this.#store.commands);
    if (matched && value.endsWith(" ")) { this.#openCommand(matched.command, matched.rest); return; }
    const commands = suggested(this.#store.commands, value.slice(1));
    this.#completion.show(commands.map((command) => ({ label: `/${command.path.join(" ")}`, detail: command.description,
      icon: avatar(this.#store.bot, "small"), run: () => this.#openCommand(command, "") })), { heading: "Burble" });
  }

  #people(wanted, start) {
    return [this.#store.bot, ...this.#store.people].filter((person) =>
      this.#store.nameOf(person).toLowerCase().startsWith(wanted.toLowerCase()))
      .map((person) => ({ label: this.#store.nameOf(person), detail: person.bot ? "APP — mention to ask" : person.username,
        icon: avatar(person, "small"), run: () => this.#insert(start, `@${this.#store.nameOf(person)} `) }));
  }

  #channels(wanted, start) {
    return [...this.#store.channels.values()].filter((channel) => channel.name && channel.type !== 1 &&
      channel.name.toLowerCase().startsWith(wanted.toLowerCase()))
      .map((channel) => ({ label: channel.name, icon: icon("hash"), run: () => this.#insert(start, `#${channel.name} `) }));
  }

  #insert(start, text) {
    this.#area.setRangeText(text, start, this.#area.selectionStart, "end");
    this.#area.focus();
    this.#resize();
  }

  #onKey(event) {
    if (this.#completion.key(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "ArrowUp" && !this.#area.value) {
      event.preventDefault();
      if (event.shiftKey) this.onFocusMessages();
      else this.onEditLast();
    } else if (event.key === "Escape" && this.#reply) this.replyTo(null);
  }

  async #submit() {
    const line = this.#area.value;
    if (!line.trim() || this.#area.disabled) return;
    const matched = line.startsWith("/") && matchCommand(line.trim(), this.#store.commands);
    if (matched) { this.#submitLine(matched); return; }
    const content = encoded(line, this.#store);
    const refused = room(content) < 0 ? `${tooLong(room(content))}. Nothing was sent.` : refusal(line, this.#store.commands);
    if (refused) { toast(refused, "error"); return; }
    const reply = this.#reply;
    this.#clear();
    try {
      await this.#ask("send", { channel_id: this.#store.current, content, reply_to: reply?.id ?? null, ping_reply: this.#ping });
      this.#hint(content, line, reply);
    } catch (error) {
      if (!this.#area.value) this.#area.value = line; // nothing that someone wrote is lost
      this.#resize();
      failed(error);
    }
  }

  /** Tell who has never mentioned the bot that it answers who does, with a click that adds the mention. */
  #hint(content, line, reply) {
    const { bot, channel } = this.#store;
    this.#knowsHow ||= content.includes(`<@${bot.id}>`) || reply?.author.id === bot.id;
    this.#nudge.hidden = this.#knowsHow || channel.type === DIRECT;
    const name = this.#store.nameOf(bot);
    this.#nudge.replaceChildren(h("span", { text: `${name} answers when it is mentioned.` }),
      h("button", { type: "button", class: "link", text: `Add @${name}`, on: { click: () => {
        this.#nudge.hidden = true;
        this.#area.value = `@${name} ${line}`;
        this.#resize();
        this.#area.focus();
      } } }),
      iconButton("close", "Dismiss the hint", () => { this.#nudge.hidden = true; this.focus(); }));
  }

  /** A command typed as a line runs at once if that is all it needs, else its form opens. */
  #submitLine({ command, rest }) {
    const required = command.options.filter((option) => option.required);
    const [first = command.options[0]] = required;
    const simple = required.length <= (rest ? 1 : 0) && (!rest || (first && first.type === 3 && !first.choices));
    if (simple) this.#run(command, rest ? { [first.name]: rest } : {});
    else this.#openCommand(command, rest);
  }

  #openCommand(command, rest) {
    this.#clear();
    if (!command.options.length) { this.#run(command, {}); return; }
    this.#command = new CommandForm(command, rest, {
      run: (options) => { this.#closeCommand(); this.#run(command, options); },
      cancel: () => this.#closeCommand(),
      complete: (options, focused) => this.#complete(command, options, focused),
    }, {
      people: [this.#store.bot, ...this.#store.people].map((p) => ({ name: this.#store.nameOf(p), value: p.id })),
      channels: [...this.#store.channels.values()].map((c) => ({ name: c.name ?? "", value: c.id })),
    });
    this.#form.hidden = true;
    this.#box.append(this.#command.element);
    this.#command.focus();
  }

  #closeCommand() {
    if (!this.#command) return;
    this.#command.element.remove();
    this.#command = null;
    this.#form.hidden = false;
    this.#area.focus();
  }

  async #complete(command, options, focused) {
    try {
      return await this.#ask("autocomplete", { channel_id: this.#store.current, path: command.path, options, focused });
    } catch {
      return [{ name: "Loading options failed", value: "" }];
    }
  }

  async #run(command, options) {
    this.#clear();
    try {
      await this.#ask("command", { channel_id: this.#store.current, path: command.path, options });
    } catch (error) {
      failed(error);
    }
  }

  #clear() {
    this.#area.value = "";
    this.#typedAt = 0;
    this.replyTo(null);
    this.#completion.close();
    this.#resize();
  }
}
