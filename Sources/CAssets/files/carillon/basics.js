/**
 * Carillon in the browser: hear what happens on the server, as it happens.
 *
 *     import { connect } from "/channels/carillon.js";
 *
 *     const bell = connect("/channels/groups/jobs");
 *     bell.on("job.progress", (event) => { bar.value = event.step / event.of; });
 *
 * That is a route, whose groups the server chooses. One connection with channels that the page chooses:
 *
 *     import { channels } from "/channels/carillon.js";
 *
 *     const hub = channels();
 *     const chat = hub.subscribe("chat:7");
 *     chat.on("publication", ({ data }) => show(data));
 *     await chat.publish({ text: "hello" });
 *
 * Either connection looks after itself: it comes back after a failure, waits a little longer and a little at random
 * each time (so that a server that restarts is not met by everybody at once), and comes back at once when the page is
 * looked at again or the network returns. Where WebSocket is blocked a route uses an event stream on the same address,
 * and channels use requests.
 *
 * What a route sends while there is no connection is not made up for. After an `open` event whose `again` is true, a
 * page that shows state should load it anew. A channel that has a history is made up for; see `SubscribedEvent`.
 *
 * @module carillon
 */

// The module is served as one file, so that nobody ever has two halves of different age. cassets.c joins its parts:
// this one, routes.js, channels.js, subscription.js, httpstream.js, fossil.js.

/**
 * - `connecting`: an attempt is being made;
 * - `open`: events arrive;
 * - `waiting`: the connection was lost or refused, the next attempt comes after a pause;
 * - `closed`: for good, by `close()` or because the server asked not to come back.
 * @typedef {"connecting" | "open" | "waiting" | "closed"} State
 */

/** @typedef {{min?: number, max?: number}} Backoff  Milliseconds: the longest first pause, and the longest of all. */
/** @typedef {{code: number, reason: string, willReconnect: boolean}} CloseEvent */

/** What neither opens nor fails in this time is given up: some firewalls swallow a connection without a word. */
const CONNECT_TIMEOUT = 10_000;
/** What lasted as long as this was good: the next pause starts small again. */
const STEADY_AFTER = 5_000;

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

/** Decides when a connection that was lost is tried again. */
class Comeback {
  #backoff;
  #again;
  #networkChanged;
  #timer = null;
  #attempt = 0;
  #workedAt = 0;

  /**
   * @param {Backoff} backoff
   * @param {() => void} again  Makes an attempt.
   * @param {() => void} [networkChanged]
   */
  constructor(backoff, again, networkChanged = () => {}) {
    this.#backoff = { min: 500, max: 30_000, ...backoff };
    this.#again = again;
    this.#networkChanged = networkChanged;
    document.addEventListener("visibilitychange", this.#resume);
    addEventListener("online", this.#resume);
  }

  /** The connection has opened. */
  worked() { this.#workedAt = Date.now(); }

  /**
   * Plans the next attempt.
   * @param {boolean} wasOpen
   * @returns {number}  Milliseconds until then.
   */
  plan(wasOpen) {
    if (wasOpen && Date.now() - this.#workedAt >= STEADY_AFTER) this.#attempt = 0;
    const wait = pause(this.#attempt, this.#backoff);
    this.#attempt += 1;
    this.#timer = setTimeout(this.#now, wait);
    return wait;
  }

  /** No attempt is wanted at present. */
  cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** None will be wanted any more. */
  end() {
    this.cancel();
    document.removeEventListener("visibilitychange", this.#resume);
    removeEventListener("online", this.#resume);
  }

  #now = () => {
    this.cancel();
    this.#again();
  };

  /** Ends a pause early: somebody looks at the page again, or the network is back (and perhaps another one). */
  #resume = ({ type }) => {
    if (type === "online") this.#networkChanged();
    if (this.#timer !== null && document.visibilityState === "visible") this.#now();
  };
}

/** After so many attempts in a row that never opened, when no WebSocket ever did, the other way is tried in turn. */
const FAILURES_BEFORE_FALLBACK = 2;

/** Chooses between WebSocket and the way to take where that is blocked. */
class Ways {
  #other;
  #preference;
  /** Attempts in a row that never opened. */
  #failures = 0;
  /** One has opened on this network, so that a failure is the server's, and no reason to fall back. */
  #webSocketWorks = false;

  /**
   * @param {string} other
   * @param {string} preference  "auto", or the only way to try.
   */
  constructor(other, preference) {
    this.#other = other;
    this.#preference = preference;
  }

  get isFree() { return this.#preference === "auto"; }

  /** The way of the next attempt. */
  get next() {
    if (!this.isFree) return this.#preference;
    if (this.#webSocketWorks || this.#failures < FAILURES_BEFORE_FALLBACK) return "websocket";
    // In turn, because both fail while the server is down: only one that opens tells which of them is blocked.
    return (this.#failures - FAILURES_BEFORE_FALLBACK) % 2 === 0 ? this.#other : "websocket";
  }

  opened() { this.#failures = 0; }

  failed() { this.#failures += 1; }

  /** What is known of WebSockets here. */
  webSocketWorks(doesIt) { this.#webSocketWorks = doesIt; }
}

/** Who wants to hear what. */
class Handlers {
  /** @type {Map<string, Set<(event: any) => void>>} */
  #ofType = new Map();

  /**
   * @param {string} type
   * @param {(event: any) => void} handler
   * @returns {() => void}  Takes it away again.
   */
  add(type, handler) {
    const handlers = this.#ofType.get(type) ?? new Set();
    this.#ofType.set(type, handlers.add(handler));
    return () => { handlers.delete(handler); };
  }

  /**
   * @param {string} type
   * @param {unknown} event
   */
  call(type, event) {
    for (const handler of [...this.#ofType.get(type) ?? []]) {
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

/**
 * An address with the scheme of WebSockets.
 * @param {URL} address
 */
function webSocketURL(address) {
  const url = new URL(address);
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  return url;
}
