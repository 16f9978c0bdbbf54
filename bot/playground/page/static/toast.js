// Short notices at the edge of the page, and what only a screen reader needs to hear.

import { h } from "./dom.js";

/** Show a notice for some seconds. */
export function toast(text, kind = "info") {
  const node = h("div", { class: `toast ${kind}`, text });
  document.getElementById("toasts").append(node);
  setTimeout(() => node.classList.add("leaving"), 5200);
  setTimeout(() => node.remove(), 5600);
}

/** Show what went wrong. */
export function failed(error) {
  toast(error.message || "Something went wrong.", "error");
}

/** Say something to a screen reader only. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Ask before something that cannot be undone; resolves to a boolean. */
export function confirmed(question, verb) {
  return new Promise((resolve) => {
    const finish = (answer) => { dialog.close(); dialog.remove(); resolve(answer); };
    const dialog = h("dialog", { class: "dialog", "aria-label": question, on: { cancel: () => finish(false) } },
      h("h2", { text: question }),
      h("div", { class: "dialog-buttons" },
        h("button", { type: "button", class: "component-button secondary", text: "Cancel", on: { click: () => finish(false) } }),
        h("button", { type: "button", class: "component-button danger", text: verb, autofocus: true,
          on: { click: () => finish(true) } })));
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Ask for one line of text; resolves to it, or to null. */
export function prompted(title, label, value = "") {
  return new Promise((resolve) => {
    const finish = (answer) => { dialog.close(); dialog.remove(); resolve(answer); };
    const input = h("input", { value, required: true, maxlength: "100" });
    const dialog = h("dialog", { class: "dialog", "aria-label": title, on: { cancel: () => finish(null) } },
      h("form", { on: { submit: (event) => { event.preventDefault(); finish(input.value.trim() || null); } } },
        h("h2", { text: title }), h("label", { class: "field" }, h("span", { text: label }), input),
        h("div", { class: "dialog-buttons" },
          h("button", { type: "button", class: "component-button secondary", text: "Cancel", on: { click: () => finish(null) } }),
          h("button", { type: "submit", class: "component-button primary", text: "Create" }))));
    document.body.append(dialog);
    dialog.showModal();
    input.select();
  });
}
