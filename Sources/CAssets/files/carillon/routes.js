// Routes: a connection whose groups the server chooses.

/** @typedef {"websocket" | "eventstream"} Transport */

/**
 * @typedef {object} Options
 * @property {"auto" | Transport} [transport]  "auto" (the default) prefers WebSocket and falls back.
 * @property {Backoff} [backoff]
 */

/** @typedef {{transport: Transport, again: boolean}} OpenEvent  `again`: it was open before, something may be missed. */
/** @typedef {{state: State, transport: Transport, retryIn: number | null}} StateEvent  `retryIn` in milliseconds. */
/** @typedef {{title: string} & NotificationOptions} Notice */

/** On an event stream: when to see whether WebSocket works by now. The first time soon, because the server may have
 *  been away while WebSocket was tried, and be back since. */
const FIRST_PROBE = 10_000;
const PROBE_EVERY = 300_000;
/** Names of `on` that are about the connection; a message of such a `type` is heard only under "message". */
const LIFE_CYCLE = new Set(["open", "close", "state", "message"]);

/**
 * Opens a connection and keeps it.
 * @param {string | URL} url  A route of the gateway, relative to the page: `/channels/groups/jobs`.
 * @param {Options} [options]
 * @returns {Bell}
 */
export const connect = (url, options) => new Bell(url, options);

/** A connection that keeps itself alive. Made by `connect`. */
export class Bell {
  #handlers = new Handlers();
  #url;
  #ways;
  #comeback;
  /** @type {State} */
  #state = "waiting";
  /** @type {Transport} */
  #transport;
  /** @type {WebSocket | EventSource | null} */
  #socket = null;
  /** @type {WebSocket | null} */
  #probe = null;
  /** The time a connection has to open, or until the next probe. */
  #timer;
  #wasOpen = false;

  /**
   * @param {string | URL} url
   * @param {Options} [options]
   */
  constructor(url, { transport = "auto", backoff = {} } = {}) {
    this.#url = new URL(url, document.baseURI);
    this.#ways = new Ways("eventstream", transport);
    this.#transport = this.#ways.next;
    this.#comeback = new Comeback(backoff, () => this.#open(), () => this.#ways.webSocketWorks(false));
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
  on(type, handler) { return this.#handlers.add(type, handler); }

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
    if (wasOpen) this.#handlers.call("close", { code: 1000, reason: "", willReconnect: false });
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
    this.#transport = this.#ways.next;
    this.#become("connecting");
    try {
      this.#socket = this.#transport === "websocket" ? this.#openWebSocket() : this.#openEventStream();
    } catch (error) { // a policy of the page forbids it (CSP, mixed content)
      this.#lost(1006, String(error));
      return;
    }
    this.#timer = setTimeout(() => this.#lost(1006, "no answer"), CONNECT_TIMEOUT);
  }

  #openWebSocket() {
    const socket = new WebSocket(webSocketURL(this.#url));
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#ways.webSocketWorks(true);
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
      if (this.#ways.isFree) this.#probeAfter(FIRST_PROBE);
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

  #opened() {
    clearTimeout(this.#timer);
    this.#ways.opened();
    this.#comeback.worked();
    const again = this.#wasOpen;
    this.#wasOpen = true;
    this.#become("open");
    this.#handlers.call("open", { transport: this.#transport, again });
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
    if (!wasOpen) this.#ways.failed();
    if (willReconnect) {
      this.#become("waiting", this.#comeback.plan(wasOpen));
    } else {
      this.#end();
    }
    if (wasOpen || !willReconnect) this.#handlers.call("close", { code, reason, willReconnect });
  }

  /** Lets go of whatever there is, without a word to the page. */
  #drop() {
    this.#comeback.cancel();
    clearTimeout(this.#timer);
    for (const socket of [this.#socket, this.#probe]) {
      if (!socket) continue;
      socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
    }
    this.#socket = this.#probe = null;
  }

  #end() {
    this.#comeback.end();
    this.#become("closed");
  }

  // From the event stream back to WebSocket

  /**
   * Looks, at some time round `delay`, whether a WebSocket opens, and if so moves over.
   * @param {number} delay  Milliseconds.
   */
  #probeAfter(delay) {
    this.#timer = setTimeout(() => {
      const probe = this.#probe = new WebSocket(webSocketURL(this.#url));
      // It only tells that it works; the move is a reconnect, because two connections would hear some events twice.
      probe.onopen = () => {
        this.#ways.webSocketWorks(true);
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
    this.#handlers.call("message", value === undefined ? data : value);
    const type = value?.type ?? value?.event;
    if (typeof type === "string" && !LIFE_CYCLE.has(type)) this.#handlers.call(type, value);
  }

  /**
   * @param {State} state
   * @param {number | null} [retryIn]
   */
  #become(state, retryIn = null) {
    this.#state = state;
    this.#handlers.call("state", { state, transport: this.#transport, retryIn });
  }
}
