// Buttons and selects under a message, and the dialog that a bot may answer with.

import { h } from "./dom.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link" };
const STRING_SELECT = 3;

/** The action rows of a message. */
export function componentRows(message, context) {
  if (!message.components?.length) return null;
  const rows = message.components.map((row) => h("div", { class: "component-row" },
    (row.components ?? [row]).map((part) => component(message, part, context))));
  return h("div", { class: "components", data: { key: "components" } }, rows);
}

function component(message, part, context) {
  if (part.type === 2) return button(message, part, context);
  if (part.type === STRING_SELECT || (part.type >= 5 && part.type <= 8)) return select(message, part, context);
  return null;
}

function button(message, part, context) {
  if (part.style === 5) {
    const safe = /^https?:\/\//.test(part.url ?? "") ? part.url : null;
    return h("a", { class: "component-button secondary", href: safe, target: "_blank", rel: "noopener noreferrer",
      text: part.label ?? "Open" });
  }
  return h("button", { type: "button", class: `component-button ${STYLES[part.style] ?? "secondary"}`,
    disabled: Boolean(part.disabled), data: { key: part.custom_id },
    on: { click: (event) => context.click(message, part.custom_id, [], event.currentTarget) } },
  part.emoji?.name ? h("span", { class: "emoji", "aria-hidden": "true", text: part.emoji.name }) : null, part.label ?? "");
}

function select(message, part, context) {
  const options = part.options ?? [];
  const chosen = options.filter((option) => option.default).map((option) => option.value);
  const node = h("select", { class: "component-select", disabled: Boolean(part.disabled), data: { key: part.custom_id },
    "aria-label": part.placeholder ?? "Choose",
    on: { change: (event) => context.click(message, part.custom_id, [event.target.value], event.target) } },
  chosen.length ? null : h("option", { value: "", disabled: true, selected: true, text: part.placeholder ?? "Make a selection" }),
  options.map((option) => h("option", { value: option.value, selected: chosen.includes(option.value),
    text: option.description ? `${option.label} — ${option.description}` : option.label })));
  return node;
}

/** Show the dialog that a bot answered with; `submit` gets {custom_id: value}. */
export function openModal(modal, submit) {
  const fields = inputs(modal.components ?? []);
  const close = () => { dialog.close(); dialog.remove(); };
  const form = h("form", { method: "dialog", on: { submit: (event) => {
    event.preventDefault();
    submit(Object.fromEntries(fields.map(({ part }, index) => [part.custom_id, form.elements[`field${index}`].value])));
    close();
  } } }, h("h2", { text: modal.title ?? "" }), fields.map(modalField),
  h("div", { class: "dialog-buttons" }, h("button", { type: "button", class: "component-button secondary", text: "Cancel",
    on: { click: close } }), h("button", { type: "submit", class: "component-button primary", text: "Submit" })));
  const dialog = h("dialog", { class: "dialog", "aria-label": modal.title ?? "Form" }, form);
  document.body.append(dialog);
  dialog.showModal();
}

function inputs(parts) {
  return parts.flatMap((part) => {
    if (part.type === 4) return [{ part, label: part.label }];
    if (part.type === 18 && part.component?.type === 4) return [{ part: part.component, label: part.label }];
    return inputs(part.components ?? []);
  });
}

function modalField({ part, label }, index) {
  const common = { name: `field${index}`, value: part.value ?? "", placeholder: part.placeholder,
    required: part.required !== false, maxlength: part.max_length, minlength: part.min_length };
  return h("label", { class: "field" }, h("span", { text: label ?? part.custom_id }),
    part.style === 2 ? h("textarea", { rows: "5", ...common }) : h("input", common));
}
