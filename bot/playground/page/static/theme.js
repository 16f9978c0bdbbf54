// Light or dark: as the system says, unless someone chose.

import { icon } from "./dom.js";

/** Let `button` switch between light and dark; `remember(key, value?)` keeps the choice. */
export function startTheme(button, remember) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = remember("theme");
    const dark = chosen ? chosen === "dark" : system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    const label = dark ? "Switch to light" : "Switch to dark";
    button.replaceChildren(icon(dark ? "sun" : "moon"));
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  button.addEventListener("click", () => {
    remember("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}
