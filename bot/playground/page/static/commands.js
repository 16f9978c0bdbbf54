// Slash commands: which exist, how a typed line names one, and the form that asks for their options.

import { Completion } from "./completion.js";
import { h, iconButton } from "./dom.js";

const SUB = 1;
const GROUP = 2;
const TYPES = { 3: "text", 4: "whole number", 5: "true or false", 6: "person", 7: "channel", 8: "role", 10: "number" };

/** Flatten registered commands (null: not known yet) to what one can call: {path, description, options}. */
export function callable(commands) {
  return (commands ?? []).filter((command) => (command.type ?? 1) === 1).flatMap((command) => flatten(command, []))
    .sort((a, b) => a.path.join(" ").localeCompare(b.path.join(" ")));
}

function flatten(command, above) {
  const path = [...above, command.name];
  const below = (command.options ?? []).filter((option) => option.type === SUB || option.type === GROUP);
  if (below.length) return below.flatMap((option) => flatten(option, path));
  return [{ path, description: command.description ?? "", options: command.options ?? [] }];
}

/** The commands that `typed` (without the slash) may mean: those that begin so, then by a word, then by any part. */
export function suggested(commands, typed) {
  const wanted = typed.toLowerCase();
  const rank = ({ path }) => {
    const name = path.join(" ");
    if (name.startsWith(wanted)) return 0;
    return name.includes(` ${wanted}`) || name.includes(`-${wanted}`) ? 1 : name.includes(wanted) ? 2 : 3;
  };
  return callable(commands).map((command) => ({ command, at: rank(command) })).filter(({ at }) => at < 3)
    .sort((a, b) => a.at - b.at).map(({ command }) => command);
}

/** Why a line that looks like a command cannot be run, or "". */
export function refusal(line, commands) {
  const [, name] = /^\/([\p{L}\p{N}_-]+)(?:\s|$)/u.exec(line) ?? [];
  if (!name) return "";
  if (!commands) return "The commands are not loaded yet. Try again in a moment.";
  if (!commands.length) return `There is no command /${name}: no bot has registered any yet.`;
  const below = callable(commands).map(({ path }) => path).filter(([first]) => first === name)
    .map((path) => `/${path.join(" ")}`);
  if (below.length) return `/${name} needs a second word: ${new Intl.ListFormat("en", { type: "disjunction" }).format(below)}.`;
  return `There is no command /${name}. Nothing was sent.`;
}

/** Find the command that a line such as "/model use x" names; `rest` is what follows its name. */
export function matchCommand(line, commands) {
  const found = callable(commands).filter(({ path }) => {
    const name = `/${path.join(" ")}`;
    return line === name || line.startsWith(`${name} `) || line.startsWith(`${name}\n`);
  }).sort((a, b) => b.path.length - a.path.length)[0];
  return found && { command: found, rest: line.slice(found.path.join(" ").length + 1).trim() };
}

/** The form of one command, in place of the composer's text field. */
export class CommandForm {
  #command;
  #fields = [];
  #complete;
  #names;
  element;

  /** `actions`: {run(options), cancel(), complete(options, focused)}; `names`: {people, channels} for pickers. */
  constructor(command, rest, actions, names) {
    this.#command = command;
    this.#complete = actions.complete;
    this.#names = names;
    const first = command.options.find((option) => option.required) ?? command.options[0];
    this.#fields = command.options.map((option) => this.#field(option, option === first ? rest : ""));
    this.element = h("form", { class: "command-form", "aria-label": `/${command.path.join(" ")}`,
      on: {
        submit: (event) => { event.preventDefault(); this.#submit(actions.run); },
        keydown: (event) => this.#onKey(event, actions),
      } },
    h("span", { class: "command-name", text: `/${command.path.join(" ")}` }),
    h("div", { class: "command-fields" }, this.#fields.map((field) => field.element)),
    iconButton("send", "Run the command", null, { type: "submit", class: "icon-button send" }),
    iconButton("close", "Cancel the command", () => actions.cancel()));
  }

  /** Put the focus into the first field that is empty. */
  focus() {
    const empty = this.#fields.find((field) => !field.input.value) ?? this.#fields[0];
    (empty?.input ?? this.element.querySelector(".send")).focus();
  }

  #field(option, value) {
    const input = h("input", { value, name: option.name, autocomplete: "off", spellcheck: "false",
      "aria-label": `${option.name}: ${option.description ?? TYPES[option.type] ?? ""}`, placeholder: option.description ?? "",
      maxlength: "6000", "aria-required": option.required ? "true" : null });
    const element = h("span", { class: "command-field" }, h("label", { text: option.name },
      option.required ? null : h("i", { text: " optional" })), input);
    const field = { option, input, element, value: null, asked: 0 };
    field.completion = new Completion(input, element, `Suggestions for ${option.name}`);
    const suggest = () => this.#suggest(field);
    input.addEventListener("input", () => { field.value = null; suggest(); });
    input.addEventListener("focus", suggest);
    input.addEventListener("blur", () => field.completion.close());
    return field;
  }

  async #suggest(field) {
    const asked = ++field.asked;
    const choices = await this.#choices(field);
    if (asked !== field.asked || document.activeElement !== field.input) return;
    field.completion.show(choices.slice(0, 25).map((choice) => ({ label: choice.name, detail: choice.detail,
      run: () => { field.input.value = choice.name; field.value = choice.value; this.#next(field); } })),
    { heading: field.option.description, select: field.input.value || field.option.required ? 0 : -1,
      empty: field.option.autocomplete ? (field.input.value ? "No options match." : "There is nothing to choose from.") : "" });
  }

  async #choices(field) {
    const { option, input } = field;
    const wanted = input.value.toLowerCase();
    const filtered = (choices) => choices.filter((choice) => choice.name.toLowerCase().includes(wanted));
    if (option.choices) return filtered(option.choices);
    if (option.type === 5) return filtered([{ name: "True", value: true }, { name: "False", value: false }]);
    if (option.type === 6) return filtered(this.#names.people);
    if (option.type === 7) return filtered(this.#names.channels);
    return option.autocomplete ? this.#complete(this.#values(), option.name) : [];
  }

  #next(field) {
    const next = this.#fields[this.#fields.indexOf(field) + 1];
    (next?.input ?? field.input).focus();
    if (!next) field.completion.close();
  }

  #onKey(event, actions) {
    const field = this.#fields.find((candidate) => candidate.input === event.target);
    if (field?.completion.key(event)) return;
    if (event.key === "Escape" || (event.key === "Backspace" && this.#fields.every(({ input }) => !input.value))) {
      event.preventDefault();
      actions.cancel();
    }
  }

  #values() {
    const values = {};
    for (const field of this.#fields) {
      const raw = field.value ?? field.input.value.trim();
      if (raw !== "") values[field.option.name] = converted(raw, field.option);
    }
    return values;
  }

  #submit(run) {
    for (const { option, input } of this.#fields) {
      const missing = option.required && !input.value.trim();
      input.setAttribute("aria-invalid", String(missing));
      if (missing) { input.focus(); return; }
    }
    run(this.#values());
  }
}

function converted(raw, option) {
  if (option.type === 4) return Math.trunc(Number(raw));
  if (option.type === 10) return Number(raw);
  if (option.type === 5) return raw === true || String(raw).toLowerCase() === "true";
  return raw;
}
