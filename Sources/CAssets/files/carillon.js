/**
 * Carillon in the browser: hear what happens on the server, as it happens.
 *
 *     import { connect } from "/channels/carillon.js";
 *
 *     const bell = connect("/channels/groups/jobs");
 *     bell.on("job.progress", (event) => { bar.value = event.step / event.of; });
 *
 * The connection looks after itself: it comes back after a failure, waits a little longer and a little at random each
 * time (so that a server that restarts is not met by everybody at once), comes back at once when the page is looked at
 * again or the network returns, and where WebSocket is blocked it uses an event stream (SSE) on the same address.
 *
 * What is sent while there is no connection is not made up for. After an `open` event whose `again` is true, a page
 * that shows state should load it anew.
 *
 * @module carillon
 */

/**
 * - `connecting`: an attempt is being made;
 * - `open`: events arrive;
 * - `waiting`: the connection was lost or refused, the next attempt comes after a pause;
 * - `closed`: for good, by `close()` or because the server asked not to come back.
 * @typedef {"connecting" | "open" | "waiting" | "closed"} State
 */

/** @typedef {"websocket" | "eventstream"} Transport */

/**
 * @typedef {object} Options
 * @property {"auto" | Transport} [transport]  "auto" (the default) prefers WebSocket and falls back.
 * @property {{min?: number, max?: number}} [backoff]  Milliseconds: the longest first pause, and the longest of all.
 */

/** @typedef {{transport: Transport, again: boolean}} OpenEvent  `again`: it was open before, something may be missed. */
/** @typedef {{code: number, reason: string, willReconnect: boolean}} CloseEvent */
/** @typedef {{state: State, transport: Transport, retryIn: number | null}} StateEvent  `retryIn` in milliseconds. */
/** @typedef {{title: string} & NotificationOptions} Notice */

/** After so many attempts in a row that never opened, and no WebSocket that ever did, the event stream is tried in turn. */
const FAILURES_BEFORE_FALLBACK = 2;
/** A WebSocket that neither opens nor fails in this time is given up: some firewalls swallow it without a word. */
const CONNECT_TIMEOUT = 10_000;
/** A connection that lasted as long as this was a good one: the next pause starts small again. */
const STEADY_AFTER = 5_000;
/** On an event stream: when to see whether WebSocket works by now. The first time soon, because the server may have
 *  been away while WebSocket was tried, and be back since. */
const FIRST_PROBE = 10_000;
const PROBE_EVERY = 300_000;
/** Names of `on` that are about the connection; a message of such a `type` is heard only under "message". */
const LIFE_CYCLE = new Set(["open", "close", "state", "message"]);

/**
 * Whether a close code means "do not come back". Decided by range, as Centrifugo does: 3500 to 3999 and 4500 to 4999
 * are final; everything else is worth another attempt, such as 1012 (restart), 1006 (lost) and 3008 (read too slowly).
 * @param {number} code
 */
export const isFinal = (code) => (code >= 3500 && code < 4000) || (code >= 4500 && code < 5000);

/**
 * The pause before an attempt: anything from nothing to a bound that doubles each time ("full jitter").
 * @param {number} attempt  0 for the first one after a loss.
 * @param {{min: number, max: number}} backoff
 * @param {() => number} [random]
 */
export const pause = (attempt, { min, max }, random = Math.random) =>
  random() * Math.min(max, min * 2 ** Math.min(attempt, 30));

/**
 * Opens a connection and keeps it.
 * @param {string | URL} url  A route of the gateway, relative to the page: `/channels/groups/jobs`.
 * @param {Options} [options]
 * @returns {Bell}
 */
export const connect = (url, options) => new Bell(url, options);

/** A connection that keeps itself alive. Made by `connect`. */
export class Bell {
  /** @type {Map<string, Set<(event: any) => void>>} */
  #handlers = new Map();
  #url;
  #preference;
  #backoff;
  /** @type {State} */
  #state = "waiting";
  /** @type {Transport} */
  #transport;
  /** @type {WebSocket | EventSource | null} */
  #socket = null;
  /** @type {WebSocket | null} */
  #probe = null;
  /** The one timer that runs: the pause, the time a connection has to open, or the next probe. */
  #timer;
  #attempt = 0;
  /** Attempts in a row that never opened. */
  #failures = 0;
  /** One has opened on this network, so that a failure is the server's, and no reason to fall back. */
  #webSocketWorks = false;
  #wasOpen = false;
  #openedAt = 0;

  /**
   * @param {string | URL} url
   * @param {Options} [options]
   */
  constructor(url, { transport = "auto", backoff = {} } = {}) {
    this.#url = new URL(url, document.baseURI);
    this.#preference = transport;
    this.#transport = transport === "eventstream" ? "eventstream" : "websocket";
    this.#backoff = { min: 500, max: 30_000, ...backoff };
    document.addEventListener("visibilitychange", this.#resume);
    addEventListener("online", this.#resume);
    // Not within the constructor, so that the page can say what it wants to hear first.
    queueMicrotask(() => this.#open());
  }

  /** @returns {State} */
  get state() { return this.#state; }

  /** What is in use, or tried at present. @returns {Transport} */
  get transport() { return this.#transport; }

  /**
   * Calls `handler` for every event of a type.
   *
   * The type of a message is what its JSON object has under `type`, or else under `event`; the handler gets the object.
   * "message" is every message: parsed JSON, or a string when it is none, or an `ArrayBuffer`.
   * "open", "close" and "state" are about the connection: see `OpenEvent`, `CloseEvent`, `StateEvent`.
   *
   * @param {string} type
   * @param {(event: any) => void} handler
   * @returns {() => void}  Call it to hear no more.
   */
  on(type, handler) {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
    return () => { handlers.delete(handler); };
  }

  /**
   * Sends a value to the server: text and bytes as they are, anything else as JSON.
   * @param {unknown} value
   * @returns {boolean}  Whether it was sent. It is not kept: without an open WebSocket (an event stream only listens)
   *   it is gone, and the page knows best whether to ask again.
   */
  send(value) {
    if (this.#state !== "open" || this.#transport !== "websocket") return false;
    const isRaw = typeof value === "string" || value instanceof ArrayBuffer || ArrayBuffer.isView(value);
    this.#socket.send(isRaw ? value : JSON.stringify(value));
    return true;
  }

  /** Ends the connection for good. */
  close() {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#drop();
    this.#end();
    if (wasOpen) this.#emit("close", { code: 1000, reason: "", willReconnect: false });
  }

  /**
   * Shows a desktop notification for each event of a type while the page is not looked at.
   *
   * Never asks for permission: call `allowNotifications()` when somebody clicks on something that says so.
   *
   * @param {string} type
   * @param {(event: any) => Notice | null | undefined} make  Title and options of the notification; nothing for none.
   * @returns {() => void}  Call it to show no more.
   */
  notify(type, make) {
    return this.on(type, (event) => {
      if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
      if (document.visibilityState === "visible") return;
      const notice = make(event);
      if (!notice) return;
      // Tabs of one site that show the same notice replace it instead of stacking it up.
      const { title, ...options } = { tag: `${this.#url.pathname} ${notice.title}`, ...notice };
      const shown = new Notification(title, options);
      shown.onclick = () => { focus(); shown.close(); };
    });
  }

  /**
   * Asks for the permission to show notifications. Only within a click or a key press, which browsers demand.
   * @returns {Promise<"granted" | "denied" | "default" | "unsupported">}
   */
  async allowNotifications() {
    if (!("Notification" in globalThis)) return "unsupported";
    if (Notification.permission !== "default") return Notification.permission;
    if (navigator.userActivation?.isActive === false) return "default";
    return Notification.requestPermission();
  }

  // Connecting

  #open() {
    if (this.#state === "closed") return;
    this.#drop();
    this.#transport = this.#choose();
    this.#become("connecting");
    try {
      this.#socket = this.#transport === "websocket" ? this.#openWebSocket() : this.#openEventStream();
    } catch (error) { // a policy of the page forbids it (CSP, mixed content)
      this.#lost(1006, String(error));
      return;
    }
    this.#timer = setTimeout(() => this.#lost(1006, "no answer"), CONNECT_TIMEOUT);
  }

  /** @returns {Transport} */
  #choose() {
    if (this.#preference !== "auto") return this.#preference;
    if (this.#webSocketWorks || this.#failures < FAILURES_BEFORE_FALLBACK) return "websocket";
    // In turn, because both fail while the server is down: only one that opens tells which of them is blocked.
    return (this.#failures - FAILURES_BEFORE_FALLBACK) % 2 === 0 ? "eventstream" : "websocket";
  }

  #openWebSocket() {
    const socket = new WebSocket(this.#webSocketURL());
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#webSocketWorks = true;
      this.#opened();
    };
    socket.onmessage = ({ data }) => this.#received(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    return socket;
  }

  #openEventStream() {
    const source = new EventSource(this.#url, { withCredentials: true });
    source.onopen = () => {
      this.#opened();
      if (this.#preference === "auto") this.#probeAfter(FIRST_PROBE);
    };
    source.onmessage = ({ data }) => this.#received(data);
    // EventSource would come back by itself, but after a fixed time: all pages at once, and never after a refusal.
    source.onerror = () => this.#lost(1006, "");
    // An event stream is text: bytes come as base64.
    source.addEventListener("binary", ({ data }) => {
      this.#received(Uint8Array.from(atob(data), (character) => character.charCodeAt(0)).buffer);
    });
    source.addEventListener("close", ({ data }) => {
      const { code = 1006, reason = "" } = parse(data) ?? {};
      this.#lost(code, reason);
    });
    return source;
  }

  #webSocketURL() {
    const url = new URL(this.#url);
    url.protocol = url.protocol.replace("http", "ws");
    url.hash = "";
    return url;
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#failures = 0;
    this.#openedAt = Date.now();
    const again = this.#wasOpen;
    this.#wasOpen = true;
    this.#become("open");
    this.#emit("open", { transport: this.#transport, again });
  }

  /**
   * The connection failed, was closed, or could not be opened.
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    const wasOpen = this.#state === "open";
    this.#drop();
    const willReconnect = !isFinal(code);
    if (!wasOpen) this.#failures += 1;
    if (wasOpen && Date.now() - this.#openedAt >= STEADY_AFTER) this.#attempt = 0;
    if (willReconnect) {
      const retryIn = pause(this.#attempt, this.#backoff);
      this.#attempt += 1;
      this.#timer = setTimeout(() => this.#open(), retryIn);
      this.#become("waiting", retryIn);
    } else {
      this.#end();
    }
    if (wasOpen || !willReconnect) this.#emit("close", { code, reason, willReconnect });
  }

  /** Ends a pause early: somebody looks at the page again, or the network is back (and perhaps another one). */
  #resume = ({ type }) => {
    if (type === "online") this.#webSocketWorks = false;
    if (this.#state === "waiting" && document.visibilityState === "visible") this.#open();
  };

  /** Lets go of whatever there is, without a word to the page. */
  #drop() {
    clearTimeout(this.#timer);
    for (const socket of [this.#socket, this.#probe]) {
      if (!socket) continue;
      socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
    }
    this.#socket = this.#probe = null;
  }

  #end() {
    document.removeEventListener("visibilitychange", this.#resume);
    removeEventListener("online", this.#resume);
    this.#become("closed");
  }

  // From the event stream back to WebSocket

  /**
   * Looks, at some time round `delay`, whether a WebSocket opens, and if so moves over.
   * @param {number} delay  Milliseconds.
   */
  #probeAfter(delay) {
    this.#timer = setTimeout(() => {
      const probe = this.#probe = new WebSocket(this.#webSocketURL());
      // It only tells that it works; the move is a reconnect, because two connections would hear some events twice.
      probe.onopen = () => {
        this.#webSocketWorks = true;
        this.#open();
      };
      probe.onclose = () => {
        this.#probe = null;
        this.#probeAfter(PROBE_EVERY);
      };
    }, delay * (0.5 + Math.random()));
  }

  // Telling the page

  /** @param {string | ArrayBuffer} data */
  #received(data) {
    const value = typeof data === "string" ? parse(data) : data;
    this.#emit("message", value === undefined ? data : value);
    const type = value?.type ?? value?.event;
    if (typeof type === "string" && !LIFE_CYCLE.has(type)) this.#emit(type, value);
  }

  /**
   * @param {State} state
   * @param {number | null} [retryIn]
   */
  #become(state, retryIn = null) {
    this.#state = state;
    this.#emit("state", { state, transport: this.#transport, retryIn });
  }

  /**
   * @param {string} type
   * @param {unknown} event
   */
  #emit(type, event) {
    for (const handler of [...this.#handlers.get(type) ?? []]) {
      // One handler's mistake is reported as uncaught, and keeps nobody else from hearing.
      try { handler(event); } catch (error) { reportError(error); }
    }
  }
}

/**
 * @param {string} text
 * @returns {any}  `undefined` when it is no JSON.
 */
function parse(text) {
  try { return JSON.parse(text); } catch { return undefined; }
}
