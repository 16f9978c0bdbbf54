// The page: connect, load what the speaker may see, wire the parts together.

import { openModal } from "./components.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { MessageList } from "./messages.js";
import { Panel, toggler } from "./panel.js";
import { RunningLine } from "./running.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { startTheme } from "./theme.js";
import { startTicking } from "./timestamps.js";
import { failed, toast } from "./toast.js";

const wide = matchMedia("(min-width: 1100px)");
const store = new Store();
const connection = new Connection();
const ask = (action, args) => connection.ask(action, args);
const composer = new Composer(store, ask);
const messages = new MessageList(store, ask, composer);
composer.onEditLast = () => messages.editLast();
composer.onFocusMessages = () => messages.focusLast();
new RunningLine(store, ask);
new Sidebar(store, speakAs, ask);
new Panel(store, ask);

async function speakAs(userId) {
  const snapshot = await ask("view", { user_id: userId });
  remember("speaker", snapshot.me);
  store.load(snapshot);
}

/** Read what was remembered, or remember `value`; who speaks is each tab's own, so that two tabs can talk. */
function remember(key, value) {
  try {
    const storage = key === "speaker" ? sessionStorage : localStorage;
    if (value === undefined) return storage.getItem(`burble-${key}`);
    storage.setItem(`burble-${key}`, value);
  } catch {
    // Without storage the page works, it only forgets.
  }
  return null;
}

connection.addEventListener("open", async () => {
  document.body.classList.remove("disconnected");
  try {
    store.current ??= location.hash.slice(1) || remember("channel");
    await speakAs(remember("speaker"));
    if (!matchMedia("(pointer: coarse)").matches) composer.focus();
  } catch (error) {
    failed(error);
  }
});
connection.addEventListener("closed", ({ detail: { stopped } }) => {
  document.body.classList.add("disconnected");
  document.getElementById("connection-lost").textContent = stopped
    ? "The playground was stopped. This page connects again once it runs." : "Connection lost. Trying again…";
  store.setStatus({ bot: { ...store.status.bot, state: stopped ? "gone" : "lost", detail: "" } });
});
connection.addEventListener("event", ({ detail }) => store.apply(detail.event, detail.data));

async function loadCommands() {
  const channelId = store.current;
  const commands = await ask("commands", { channel_id: channelId }).catch(() => []);
  if (channelId === store.current) store.setCommands(commands);
}
for (const type of ["loaded", "entered", "commands"]) store.addEventListener(type, loadCommands);

store.addEventListener("entered", () => {
  remember("channel", store.current);
  history.replaceState(null, "", `#${store.current}`);
});
store.addEventListener("interaction", ({ detail }) => {
  if (detail.user_id !== store.me) return;
  if (detail.state === "failed") toast("The application did not respond", "error");
  if (detail.modal) openModal(detail.modal, (values) => ask("modal", { id: detail.id, values }).catch(failed));
});

/** Close what lies over the messages on a narrow page. */
function closeDrawers() {
  const drawer = document.activeElement?.closest("nav, aside");
  if (drawer && getComputedStyle(drawer).position === "fixed") {
    document.getElementById(drawer.matches("nav") ? "toggle-sidebar" : "toggle-panel").focus();
  }
  document.body.classList.remove("show-sidebar");
  if (!wide.matches) document.body.classList.remove("show-panel");
  showExpanded();
}

function showExpanded() {
  for (const [id, name] of [["toggle-sidebar", "show-sidebar"], ["toggle-panel", "show-panel"]]) {
    document.getElementById(id).setAttribute("aria-expanded", String(document.body.classList.contains(name)));
  }
}

addEventListener("hashchange", () => {
  const id = location.hash.slice(1);
  if (store.channels.has(id) && id !== store.current) store.enter(id);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeDrawers();
  // Alt+Up and Alt+Down walk the channels, as in Discord's client.
  if (!event.altKey || (event.key !== "ArrowUp" && event.key !== "ArrowDown")) return;
  event.preventDefault();
  const links = [...document.querySelectorAll("#channels a")];
  const at = links.findIndex((link) => link.dataset.id === store.current);
  const next = links[(at + (event.key === "ArrowUp" ? -1 : 1) + links.length) % links.length];
  if (next) store.enter(next.dataset.id);
});

toggler(document.getElementById("toggle-sidebar"), "show-sidebar", "Channels", "menu",
  () => document.querySelector("#channels .here") ?? document.getElementById("channels"));
toggler(document.getElementById("toggle-panel"), "show-panel", "Behind the scenes", "chart",
  () => document.getElementById("close-panel"));
for (const scrim of document.querySelectorAll("[data-close]")) {
  scrim.addEventListener("click", closeDrawers);
}
function fitPanel() {
  document.body.classList.toggle("show-panel", wide.matches);
  showExpanded();
}
wide.addEventListener("change", fitPanel);
fitPanel();

startTheme(document.getElementById("toggle-theme"), remember);
startTicking();
connection.start();
