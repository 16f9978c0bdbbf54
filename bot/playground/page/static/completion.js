// A list of suggestions above a text field: combobox and listbox roles, arrows, Tab and Enter, Escape.

import { h } from "./dom.js";

export class Completion {
  #input;
  #list;
  #items = [];
  #active = -1;

  /** `input` gets the roles; `host` gets the list. */
  constructor(input, host, label) {
    this.#input = input;
    const id = `completion-${Math.random().toString(36).slice(2)}`;
    this.#list = h("ul", { class: "completion", role: "listbox", id, hidden: true, "aria-label": label });
    host.append(this.#list);
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-controls": id,
      "aria-expanded": "false" })) input.setAttribute(name, value);
    this.#list.addEventListener("pointerdown", (event) => event.preventDefault());
    this.#list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option?.dataset.index) this.#choose(Number(option.dataset.index));
    });
  }

  get isOpen() {
    return !this.#list.hidden;
  }

  /**
   * Show `items`: {label, detail?, icon?, run}. `select` is the index that is chosen at first. An empty list closes,
   * unless `empty` has words for it.
   */
  show(items, { heading = "", select = 0, empty = "" } = {}) {
    this.#items = items;
    if (!items.length && !empty) { this.close(); return; }
    this.#list.replaceChildren(heading ? h("li", { class: "completion-heading", role: "presentation", text: heading }) : "",
      ...items.map((item, index) => h("li", { role: "option", id: `${this.#list.id}-${index}`, data: { index },
        "aria-selected": "false" }, item.icon, h("b", { text: item.label }),
      item.detail ? h("span", { text: item.detail }) : null)),
      items.length ? "" : h("li", { role: "option", class: "completion-empty", "aria-disabled": "true", text: empty }));
    this.#list.hidden = false;
    this.#input.setAttribute("aria-expanded", "true");
    this.#move(Math.min(select, items.length - 1));
  }

  close() {
    this.#list.hidden = true;
    this.#items = [];
    this.#active = -1;
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
  }

  /** Handle a key; returns whether it was taken. */
  key(event) {
    if (!this.isOpen || event.isComposing || (!this.#items.length && event.key !== "Escape")) return false;
    const { length } = this.#items;
    if (event.key === "ArrowDown") this.#move((this.#active + 1) % length);
    else if (event.key === "ArrowUp") this.#move((this.#active - 1 + length) % length);
    else if (event.key === "Escape") this.close();
    else if ((event.key === "Enter" || event.key === "Tab") && !event.shiftKey && this.#active >= 0) this.#choose(this.#active);
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #move(index) {
    const options = this.#list.querySelectorAll("[role=option]");
    options[this.#active]?.setAttribute("aria-selected", "false");
    this.#active = index;
    const option = options[index];
    if (!option) return;
    option.setAttribute("aria-selected", "true");
    // Not scrollIntoView: that would scroll the page as well.
    const { offsetTop: top, offsetHeight: height } = option;
    if (top < this.#list.scrollTop) this.#list.scrollTop = top - 8;
    else if (top + height > this.#list.scrollTop + this.#list.clientHeight) {
      this.#list.scrollTop = top + height - this.#list.clientHeight + 8;
    }
    this.#input.setAttribute("aria-activedescendant", option.id);
  }

  #choose(index) {
    const item = this.#items[index];
    this.close();
    item?.run();
  }
}
