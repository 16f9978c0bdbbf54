// A pop-up menu for mouse and keyboard: arrows move, Enter chooses, Escape closes and gives the focus back.

import { h } from "./dom.js";

let open = null;

/** Open a menu at `anchor`. Items: {label, run, icon?, danger?}. With `grid`, items show their icon alone. */
export function openMenu(anchor, items, { grid = false, label = "Menu" } = {}) {
  closeMenu();
  const node = h("div", { class: grid ? "menu grid" : "menu", role: "menu", "aria-label": label });
  node.append(...items.map((item) => itemButton(item, grid)));
  node.addEventListener("keydown", (event) => onKey(event, node, grid ? 8 : 1));
  document.body.append(node);
  place(node, anchor);
  open = { node, anchor };
  node.querySelector("button")?.focus();
  setTimeout(() => document.addEventListener("pointerdown", onOutside));
}

function itemButton(item, grid) {
  return h("button", { type: "button", role: "menuitem", tabIndex: -1, class: item.danger ? "danger" : "",
    "aria-label": grid ? item.label : null, title: grid ? item.label : null,
    on: { click: () => { closeMenu(); item.run(); } } }, item.icon, grid ? null : h("span", { text: item.label }));
}

/** Close the open menu, if there is one. */
export function closeMenu(restore = true) {
  if (!open) return;
  document.removeEventListener("pointerdown", onOutside);
  const { node, anchor } = open;
  open = null;
  node.remove();
  if (restore && anchor.isConnected) anchor.focus();
}

function onOutside(event) {
  if (open && !open.node.contains(event.target)) closeMenu(false);
}

function onKey(event, node, columns) {
  const items = [...node.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  const steps = { ArrowDown: columns, ArrowUp: -columns, ArrowRight: 1, ArrowLeft: -1 };
  if (event.key in steps) items[(at + steps[event.key] + items.length) % items.length].focus();
  else if (event.key === "Home") items[0].focus();
  else if (event.key === "End") items.at(-1).focus();
  else if (event.key === "Escape" || event.key === "Tab") closeMenu();
  else return;
  event.preventDefault();
  event.stopPropagation();
}

function place(node, anchor) {
  const box = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = node;
  const left = Math.min(Math.max(8, box.right - width), innerWidth - width - 8);
  const below = box.bottom + 6 + height < innerHeight;
  node.style.left = `${left}px`;
  node.style.top = `${below ? box.bottom + 6 : Math.max(8, box.top - height - 6)}px`;
}
