// One WebSocket to the playground: requests with answers, and a stream of events. Reconnects by itself.

export class Connection extends EventTarget {
  #socket = null;
  #waiting = new Map();
  #next = 1;
  #attempt = 0;
  #stopped = false;

  /**
   * Open the socket; "open", "closed" (detail: {stopped}: by the playground's own end) and "event" (detail:
   * {event, data}) are dispatched from now on.
   */
  start() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/page/ws`);
    this.#socket = socket;
    socket.addEventListener("open", () => {
      this.#attempt = 0;
      this.#stopped = false;
      this.dispatchEvent(new Event("open"));
    });
    socket.addEventListener("message", ({ data }) => this.#receive(JSON.parse(data)));
    socket.addEventListener("close", ({ reason }) => this.#closed(reason));
  }

  /** Ask the playground to do something; resolves with its result, rejects with an Error that can be shown. */
  ask(action, args = {}) {
    if (this.#socket?.readyState !== WebSocket.OPEN) {
      return Promise.reject(new Error("The playground is not reachable. Is it still running?"));
    }
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#socket.send(JSON.stringify({ id, do: action, args }));
    });
  }

  #receive(frame) {
    if (frame.event) {
      this.dispatchEvent(new CustomEvent("event", { detail: frame }));
      return;
    }
    const waiting = this.#waiting.get(frame.re);
    this.#waiting.delete(frame.re);
    if (frame.error) waiting?.reject(Object.assign(new Error(frame.error.message), frame.error));
    else waiting?.resolve(frame.ok);
  }

  #closed(reason) {
    // Until it runs again, attempts that fail tell no reason.
    this.#stopped ||= reason === "stopped";
    for (const { reject } of this.#waiting.values()) reject(new Error("The connection to the playground was lost."));
    this.#waiting.clear();
    this.dispatchEvent(new CustomEvent("closed", { detail: { stopped: this.#stopped } }));
    setTimeout(() => this.start(), Math.min(250 * 2 ** this.#attempt++, 4000));
  }
}
