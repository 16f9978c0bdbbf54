// The side panel: what is special here. Edits against the limit, requests, refusals, lag; bot, model and limiter.

import { chart } from "./chart.js";
import { h, icon } from "./dom.js";
import { failed } from "./toast.js";

const STATES = { online: "Online", connecting: "Starting…", restarting: "Restarting…", crashed: "Crashed, starting again",
  offline: "Offline", external: "Waiting for your bot", stopping: "Stopping…", stopped: "Stopped",
  gone: "Playground stopped", lost: "Not reachable" };
const STARTABLE = new Set(["online", "connecting", "crashed"]);

export class Panel {
  #store;
  #ask;
  #nodes = Object.fromEntries(["chart", "legend", "edits", "requests", "refused", "lag", "lag-p95", "tokens", "bot-state",
    "bot-detail", "restart", "model-source", "model-note", "speed", "speed-value", "speed-field", "limiter", "bot-log", "log"]
    .map((id) => [id, document.getElementById(id)]));

  constructor(store, ask) {
    this.#store = store;
    this.#ask = ask;
    store.addEventListener("status", () => this.#status());
    store.addEventListener("metrics", ({ detail }) => this.#metrics(detail));
    this.#nodes.restart.addEventListener("click", () => this.#do("restart"));
    this.#nodes.speed.addEventListener("input", () => this.#setSpeed());
    this.#nodes.log.addEventListener("toggle", () => this.#showLog());
    this.#nodes.limiter.addEventListener("change", (event) => this.#do("limiter", { kind: event.target.value }));
  }

  #status() {
    const { bot, model, limiter } = this.#store.status;
    const { state = "offline", detail = "", log = [], managed = true } = bot ?? {};
    const nodes = this.#nodes;
    nodes["bot-state"].replaceChildren(h("i", { class: `presence ${state}`, "aria-hidden": "true" }), STATES[state] ?? state);
    nodes["bot-detail"].textContent = detail;
    nodes.restart.hidden = !managed;
    nodes.restart.disabled = !STARTABLE.has(state);
    patchLog(nodes["bot-log"], log);
    if (model) {
      nodes["model-source"].textContent = `${model.stand_in ? "Stand-in" : "Ollama"}${model.reachable ? "" : " is not reachable"}`;
      nodes["model-note"].textContent = model.note ?? "";
      nodes["speed-field"].hidden = !model.stand_in;
      if (document.activeElement !== nodes.speed) nodes.speed.value = String(toSlider(model.speed ?? 40));
      nodes["speed-value"].textContent = `${rounded(model.speed ?? 40)} tokens/s`;
    }
    for (const input of nodes.limiter.querySelectorAll("input")) input.checked = input.value === limiter?.kind;
  }

  #showLog() {
    const { log, "bot-log": lines } = this.#nodes;
    if (!log.open) return;
    lines.scrollTop = lines.scrollHeight;
    log.scrollIntoView({ block: "nearest" });
  }

  #setSpeed() {
    const speed = fromSlider(Number(this.#nodes.speed.value));
    this.#nodes["speed-value"].textContent = `${rounded(speed)} tokens/s`;
    this.#do("speed", { tokens_per_second: speed });
  }

  #metrics(metrics) {
    const nodes = this.#nodes;
    const { channels, refused, refused_recent: refusedLately } = metrics;
    chart(nodes.chart, channels, metrics.limit);
    nodes.legend.replaceChildren(...channels.map((channel) => h("li", {},
      h("i", { class: `series-${channel.colour}`, "aria-hidden": "true" }), `${channel.name}: ${channel.recent.toFixed(1)}/s`)));
    nodes.edits.textContent = `${metrics.edits_recent.toFixed(1)}`;
    nodes.requests.textContent = metrics.requests.toLocaleString("en");
    nodes.refused.textContent = refused ? `${refusedLately} / ${refused}` : "0";
    nodes.refused.closest(".tile").classList.toggle("bad", refusedLately > 0);
    nodes.lag.textContent = seconds(metrics.lag.mean);
    nodes["lag-p95"].textContent = seconds(metrics.lag.p95);
    nodes.tokens.textContent = metrics.tokens_recent ? `${Math.round(metrics.tokens_recent)}` : "–";
  }

  async #do(action, args) {
    try {
      await this.#ask(action, args);
    } catch (error) {
      failed(error);
    }
  }
}

function patchLog(node, lines) {
  const atEnd = node.scrollHeight - node.scrollTop - node.clientHeight < 30;
  node.textContent = lines.join("\n");
  if (atEnd) node.scrollTop = node.scrollHeight;
}

// The slider is logarithmic: 1 to 1000 tokens a second.
function fromSlider(value) {
  return 10 ** (value / 100);
}

function toSlider(speed) {
  return Math.round(Math.log10(Math.max(1, speed)) * 100);
}

function rounded(speed) {
  return speed < 10 ? speed.toFixed(1) : String(Math.round(speed));
}

function seconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 10 ? `${value.toFixed(2)} s` : `${value.toFixed(1)} s`;
}

/** Make `button` show or hide a side of the page; where that covers the messages, `first()` gets the focus. */
export function toggler(button, className, label, iconName, first) {
  button.append(icon(iconName));
  button.setAttribute("aria-label", label);
  button.title = label;
  button.addEventListener("click", () => {
    const shown = document.body.classList.toggle(className);
    button.setAttribute("aria-expanded", String(shown));
    const target = first();
    if (shown && getComputedStyle(target.closest("nav, aside")).position === "fixed") setTimeout(() => target.focus(), 200);
  });
}
