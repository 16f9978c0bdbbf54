// Building and patching DOM nodes. Text only ever becomes text nodes: nothing here parses HTML.

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "tabIndex", "selected", "open", "htmlFor"]);

/** Create an element. `props`: `class`, `text`, `data` (dataset), `on` (listeners), DOM properties, else attributes. */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else if (PROPERTIES.has(name)) node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

/** Create an SVG element with plain attributes. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const ICONS = {
  hash: "M5.9 21 7 15H3l.4-2h4l1-6h-4l.3-2h4.1L9.9 3h2l-1.1 6h6l1.1-6h2l-1.1 6h4l-.4 2h-4l-1 6h4l-.3 2h-4.1l-1.1 6h-2l1.1-6h-6l-1.1 6zM10.4 11l-1 4h6l1-4z",
  thread: "M4 4h16a2 2 0 0 1 2 2v9a2 2 0 0 1-2 2h-7l-5 4v-4H4a2 2 0 0 1-2-2V6c0-1.1.9-2 2-2zm3 4v2h10V8zm0 4v2h6v-2z",
  at: "M12 2a10 10 0 1 0 5.3 18.48l-1.06-1.7A8 8 0 1 1 20 12v1.3c0 .94-.76 1.7-1.7 1.7s-1.3-.76-1.3-1.7V8h-2v.64A4.5 4.5 0 1 0 15.4 15 3.7 3.7 0 0 0 22 13.3V12A10 10 0 0 0 12 2zm0 12.5a2.5 2.5 0 1 1 0-5 2.5 2.5 0 0 1 0 5z",
  reply: "M10 8V3L2 10.5 10 18v-5c5 0 8.7 1.6 12 6-1-6-4-11-12-11z",
  edit: "M3 17.2V21h3.8L17.9 9.9l-3.8-3.8zM20.7 7a1 1 0 0 0 0-1.4l-2.3-2.3a1 1 0 0 0-1.4 0l-1.9 1.9 3.8 3.8z",
  trash: "M6 19a2 2 0 0 0 2 2h8a2 2 0 0 0 2-2V8H6zM15.5 4l-1-1h-5l-1 1H5v2h14V4z",
  smile: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zM8.5 8A1.5 1.5 0 1 1 8.5 11 1.5 1.5 0 0 1 8.5 8zm7 0a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3zM12 18a6 6 0 0 1-5.5-3.6h11A6 6 0 0 1 12 18z",
  more: "M6 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4zm6 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4zm6 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  menu: "M3 6h18v2H3zm0 5h18v2H3zm0 5h18v2H3z",
  chart: "M4 20h16v-2H4zM5 16h3v-5H5zm5.5 0h3V5h-3zm5.5 0h3V8.5h-3z",
  close: "M18.3 5.7a1 1 0 0 0-1.4 0L12 10.6 7.1 5.7a1 1 0 0 0-1.4 1.4L10.6 12l-4.9 4.9a1 1 0 0 0 1.4 1.4l4.9-4.9 4.9 4.9a1 1 0 0 0 1.4-1.4L13.4 12l4.9-4.9a1 1 0 0 0 0-1.4z",
  send: "M3 20.5 21.5 12 3 3.5 3 10l12 2-12 2z",
  restart: "M12 5V1L7 6l5 5V7a5 5 0 1 1-5 5H5a7 7 0 1 0 7-7z",
  sun: "M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10zM11 1h2v3h-2zm0 19h2v3h-2zM1 11h3v2H1zm19 0h3v2h-3zM4.2 5.6l1.4-1.4 2.1 2.1-1.4 1.4zm12 12 1.4-1.4 2.1 2.1-1.4 1.4zM4.2 18.3l2.1-2.1 1.4 1.4-2.1 2.1zm12-12 2.1-2.1 1.4 1.4-2.1 2.1z",
  moon: "M12.3 3a9 9 0 1 0 8.7 11.5A7 7 0 0 1 12.3 3z",
  eye: "M12 5C6.5 5 2.7 9.3 1.5 12c1.2 2.7 5 7 10.5 7s9.3-4.3 10.5-7C21.3 9.3 17.5 5 12 5zm0 11.5a4.5 4.5 0 1 1 0-9 4.5 4.5 0 0 1 0 9zm0-2.5a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  down: "M12 16.5 4.5 9l1.4-1.4L12 13.7l6.1-6.1L19.5 9z",
  copy: "M8 2h11a2 2 0 0 1 2 2v13h-2V4H8zM5 6h9a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8c0-1.1.9-2 2-2zm0 2v12h9V8z",
};

/** Return a decorative icon (hidden from assistive technology: the button around it has the name). */
export function icon(name) {
  return svg("svg", { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("path", { d: ICONS[name], fill: "currentColor" }));
}

/** A button with an icon; its label is both the accessible name and the tooltip. */
export function iconButton(name, label, onClick, props = {}) {
  return h("button", { type: "button", class: "icon-button", "aria-label": label, title: label,
    on: { click: onClick }, ...props }, icon(name));
}

/** Make `old` look like `fresh` touching only what differs, so that selection and focus survive a live edit. */
export function patch(old, fresh) {
  if (!alike(old, fresh)) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType === Node.TEXT_NODE) {
    patchText(old, fresh.data);
    return;
  }
  patchAttributes(old, fresh);
  patchChildren(old, [...fresh.childNodes]);
}

/** Make the children of `parent` look like `fresh` (a list of nodes). */
export function patchChildren(parent, fresh) {
  const old = [...parent.childNodes];
  fresh.forEach((node, index) => {
    if (index < old.length) patch(old[index], node);
    else parent.append(node);
  });
  old.slice(fresh.length).forEach((node) => node.remove());
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && a.dataset?.key === b.dataset?.key;
}

function patchText(node, data) {
  if (node.data === data) return;
  // Growing text is appended, which leaves a selection inside it alone.
  if (data.startsWith(node.data)) node.appendData(data.slice(node.data.length));
  else node.data = data;
}

function patchAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    // Where Tab stops is up to the list that the node is in.
    if (!fresh.hasAttribute(name) && name !== "data-kept" && name !== "tabindex") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) === value || (old.dataset.kept ?? "").split(" ").includes(name)) continue;
    // The page's policy forbids style attributes; the CSS object model is allowed.
    if (name === "style") old.style.cssText = fresh.style.cssText;
    else old.setAttribute(name, value);
  }
}
