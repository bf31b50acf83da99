// What stands in for a browser round the module: sockets, a clock, a page. Each test begins with all of it new.
import { after, afterEach, beforeEach } from "node:test";
import { pathToFileURL } from "node:url";

/**
 * A clock that stands still until it is told to go on. Written here, because the one of `node:test` came with node 20.4
 * and Debian 12 has node 18.
 */
export const clock = {
  real: { setTimeout, clearTimeout, dateNow: Date.now },
  stop() {
    this.now = 0;
    this.timers = new Map();
    this.count = 0;
    globalThis.setTimeout = (action, delay = 0) => {
      this.timers.set(++this.count, { due: this.now + delay, action });
      return this.count;
    };
    globalThis.clearTimeout = (timer) => { this.timers.delete(timer); };
    Date.now = () => this.now;
  },
  /** Jumps by so many milliseconds and does what has come due, in its order. What that sets up counts from then. */
  tick(milliseconds) {
    this.now += milliseconds;
    const due = [...this.timers].filter(([, timer]) => timer.due <= this.now).sort(([, a], [, b]) => a.due - b.due);
    for (const [number, timer] of due) {
      // One that was done before may have cleared it.
      if (this.timers.delete(number)) timer.action();
    }
  },
  goOn() {
    Object.assign(globalThis, { setTimeout: this.real.setTimeout, clearTimeout: this.real.clearTimeout });
    Date.now = this.real.dateNow;
  },
};

export class Socket {
  static made = [];
  closed = false;
  constructor(url) { this.url = String(url); Socket.made.push(this); }
  close() { this.closed = true; }
  static get last() { return Socket.made.at(-1); }
}
export class FakeWebSocket extends Socket {
  kind = "websocket";
  sent = [];
  send(data) { this.sent.push(data); }
  fail(code = 1006, reason = "") { this.closed = true; this.onclose({ code, reason }); }
}
class FakeEventSource extends Socket {
  kind = "eventstream";
  listeners = {};
  addEventListener(type, listener) { this.listeners[type] = listener; }
  fail() { this.onerror({}); }
}

export const page = new EventTarget();
globalThis.document = Object.assign(new EventTarget(), { baseURI: "https://bell.example/app/", visibilityState: "visible" });
globalThis.addEventListener = page.addEventListener.bind(page);
globalThis.removeEventListener = page.removeEventListener.bind(page);
globalThis.WebSocket = FakeWebSocket;
globalThis.EventSource = FakeEventSource;
export const reported = [];
globalThis.reportError = (error) => reported.push(error);

// A file named .mjs: node takes no other for a module that stands alone.
export const carillon = await import(pathToFileURL(process.env.CARILLON_MODULE));

/** What a test opened, and is closed after it. */
const opened = [];
export const opens = (connection) => {
  opened.push(connection);
  return connection;
};

/** Lets all go on that waits for promises, and for no clock. */
export const settle = () => new Promise((done) => { setImmediate(done); });

/** Lets all go on until something is so: requests and streams take more turns than promises. */
export async function until(condition) {
  for (let turns = 0; turns < 10_000; turns += 1) {
    if (condition()) return;
    await settle();
  }
  throw new Error(`never: ${condition}`);
}

const random = Math.random;
beforeEach(() => {
  Socket.made = [];
  reported.length = 0;
  document.visibilityState = "visible";
  Math.random = () => 0.5;
  clock.stop();
});
afterEach(() => {
  for (const connection of opened.splice(0)) connection.close();
  clock.goOn();
});
after(() => { Math.random = random; });
