// What a route's connection does and when. Run by `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { carillon, clock, opens, page, reported, settle, Socket } from "./stage.mjs";

const { connect, isFinal, pause } = carillon;

/** Opens a connection and lets the first attempt begin. */
async function begin(options) {
  const bell = opens(connect("channels/groups/jobs", options));
  await settle();
  return bell;
}
const kinds = () => Socket.made.map((socket) => socket.kind);

test("relative addresses belong to the page, and http becomes ws", async () => {
  await begin();
  assert.equal(Socket.last.url, "wss://bell.example/app/channels/groups/jobs");
});

test("handlers hear the type they asked for, and message hears all", async () => {
  const bell = await begin();
  const heard = [];
  bell.on("job.progress", (event) => heard.push(["progress", event.step]));
  bell.on("new-message", (event) => heard.push(["event", event.payload]));
  bell.on("message", (value) => heard.push(["message", value]));
  Socket.last.onopen();
  Socket.last.onmessage({ data: '{"type":"job.progress","step":3}' });
  Socket.last.onmessage({ data: '{"event":"new-message","payload":1}' });
  Socket.last.onmessage({ data: "no json" });
  Socket.last.onmessage({ data: "null" });
  assert.deepEqual(heard, [
    ["message", { type: "job.progress", step: 3 }], ["progress", 3],
    ["message", { event: "new-message", payload: 1 }], ["event", 1],
    ["message", "no json"], ["message", null],
  ]);
});

test("a message cannot pass for a change of the connection", async () => {
  const bell = await begin();
  const heard = [];
  for (const type of ["open", "close", "state"]) bell.on(type, (event) => heard.push(event));
  Socket.last.onopen();
  heard.length = 0;
  Socket.last.onmessage({ data: '{"type":"close","code":4500}' });
  assert.deepEqual(heard, []);
});

test("whoever unsubscribes hears no more, and a handler that throws silences nobody", async () => {
  const bell = await begin();
  const heard = [];
  bell.on("a", () => { throw new Error("mine"); });
  const off = bell.on("a", () => heard.push(1));
  Socket.last.onopen();
  Socket.last.onmessage({ data: '{"type":"a"}' });
  off();
  Socket.last.onmessage({ data: '{"type":"a"}' });
  assert.deepEqual(heard, [1]);
  assert.equal(reported.length, 2);
});

test("pauses double to a bound and are spread from nothing", () => {
  const backoff = { min: 500, max: 30_000 };
  assert.deepEqual([0, 1, 2, 6, 40].map((n) => pause(n, backoff, () => 1)), [500, 1000, 2000, 30_000, 30_000]);
  assert.equal(pause(5, backoff, () => 0), 0);
});

test("a lost connection comes back, and says that it did", async () => {
  const bell = await begin();
  const heard = [];
  bell.on("open", (event) => heard.push(event));
  bell.on("close", (event) => heard.push(event));
  Socket.last.onopen();
  Socket.last.fail(1012, "restart");
  assert.equal(bell.state, "waiting");
  clock.tick(250);
  assert.equal(bell.state, "connecting");
  Socket.last.onopen();
  assert.deepEqual(heard, [
    { transport: "websocket", again: false },
    { code: 1012, reason: "restart", willReconnect: true },
    { transport: "websocket", again: true },
  ]);
});

test("a server that opens and closes at once is not hammered; one that lasted is met quickly", async () => {
  const bell = await begin();
  const pauses = [];
  bell.on("state", ({ state, retryIn }) => { if (state === "waiting") pauses.push(retryIn); });
  for (let n = 0; n < 3; n += 1) {
    Socket.last.onopen();
    Socket.last.fail();
    clock.tick(pauses.at(-1));
  }
  Socket.last.onopen();
  clock.tick(6_000);
  Socket.last.fail();
  assert.deepEqual(pauses, [250, 500, 1000, 250]);
});

test("close codes say by their range whether to come back", async () => {
  assert.deepEqual([3500, 3999, 4500, 4999].map(isFinal), [true, true, true, true]);
  assert.deepEqual([1000, 1006, 1012, 3008, 3499, 4000, 4401, 4499].map(isFinal), Array(8).fill(false));
  const bell = await begin();
  const closes = [];
  bell.on("close", (event) => closes.push(event));
  Socket.last.onopen();
  Socket.last.fail(4500, "gone");
  clock.tick(100_000);
  assert.equal(bell.state, "closed");
  assert.equal(Socket.made.length, 1);
  assert.deepEqual(closes, [{ code: 4500, reason: "gone", willReconnect: false }]);
});

test("a page that is looked at again, or is back online, does not wait for its pause", async () => {
  const bell = await begin();
  Socket.last.fail();
  document.visibilityState = "hidden";
  document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(bell.state, "waiting");
  document.visibilityState = "visible";
  document.dispatchEvent(new Event("visibilitychange"));
  assert.equal(bell.state, "connecting");
  Socket.last.fail();
  page.dispatchEvent(new Event("online"));
  assert.equal(Socket.made.length, 3);
});

test("a socket that neither opens nor fails is given up", async () => {
  const bell = await begin();
  clock.tick(10_000);
  assert.equal(Socket.made[0].closed, true);
  assert.equal(bell.state, "waiting");
});

test("where WebSocket never opens the event stream is used", async () => {
  const bell = await begin();
  for (let n = 0; n < 2; n += 1) {
    Socket.last.fail();
    clock.tick(30_000);
  }
  assert.deepEqual(kinds(), ["websocket", "websocket", "eventstream"]);
  Socket.last.onopen();
  assert.equal(bell.transport, "eventstream");
  assert.equal(bell.send("x"), false);
});

test("while the server is down both are tried in turn", async () => {
  await begin();
  for (let n = 0; n < 5; n += 1) {
    Socket.last.fail();
    clock.tick(30_000);
  }
  assert.deepEqual(kinds(), ["websocket", "websocket", "eventstream", "websocket", "eventstream", "websocket"]);
});

test("a WebSocket that once opened is no reason to fall back", async () => {
  await begin();
  Socket.last.onopen();
  for (let n = 0; n < 5; n += 1) {
    Socket.last.fail();
    clock.tick(30_000);
  }
  assert.deepEqual(new Set(kinds()), new Set(["websocket"]));
});

test("from the event stream a WebSocket is tried again, and taken when it opens", async () => {
  const bell = await begin();
  for (let n = 0; n < 2; n += 1) {
    Socket.last.fail();
    clock.tick(30_000);
  }
  const stream = Socket.last;
  stream.onopen();
  clock.tick(10_000);
  const probe = Socket.last;
  assert.equal(probe.kind, "websocket");
  probe.fail();
  assert.equal(stream.closed, false);
  clock.tick(300_000);
  Socket.last.onopen();
  assert.equal(stream.closed, true);
  assert.equal(bell.transport, "websocket");
  assert.equal(Socket.made.filter((socket) => !socket.closed && socket.onopen).length, 1);
});

test("a transport that was asked for is kept to", async () => {
  const bell = await begin({ transport: "eventstream" });
  for (let n = 0; n < 4; n += 1) {
    Socket.last.fail();
    clock.tick(30_000);
  }
  assert.deepEqual(new Set(kinds()), new Set(["eventstream"]));
  Socket.last.onopen();
  clock.tick(1_000_000);
  assert.equal(bell.state, "open");
  assert.deepEqual(new Set(kinds()), new Set(["eventstream"]));
});

test("an event stream's close event tells the code", async () => {
  const bell = await begin({ transport: "eventstream" });
  Socket.last.onopen();
  Socket.last.listeners.close({ data: '{"code":4500,"reason":"no"}' });
  assert.equal(bell.state, "closed");
});

test("bytes are bytes over either transport", async () => {
  for (const transport of ["websocket", "eventstream"]) {
    const bell = await begin({ transport });
    const heard = [];
    bell.on("message", (value) => heard.push(...new Uint8Array(value)));
    Socket.last.onopen();
    if (transport === "websocket") Socket.last.onmessage({ data: new Uint8Array([0, 255]).buffer });
    else Socket.last.listeners.binary({ data: "AP8=" });
    assert.deepEqual(heard, [0, 255]);
    bell.close();
  }
});

test("values are sent as text, bytes or JSON, and only while a WebSocket is open", async () => {
  const bell = await begin();
  assert.equal(bell.send("early"), false);
  Socket.last.onopen();
  assert.equal(bell.send("text"), true);
  assert.equal(bell.send({ a: 1 }), true);
  assert.deepEqual(Socket.last.sent, ["text", '{"a":1}']);
});

test("close is for good", async () => {
  const bell = await begin();
  Socket.last.onopen();
  bell.close();
  page.dispatchEvent(new Event("online"));
  clock.tick(100_000);
  assert.equal(bell.state, "closed");
  assert.equal(Socket.made.length, 1);
  assert.equal(Socket.last.closed, true);
});

test("closing before the first attempt makes none", async () => {
  const bell = connect("x");
  bell.close();
  await settle();
  assert.equal(Socket.made.length, 0);
});

test("notifications are shown for a hidden page that may, and asked for only on a gesture", async () => {
  const shown = [];
  let asked = 0;
  globalThis.Notification = class {
    static permission = "default";
    static async requestPermission() { asked += 1; return "granted"; }
    constructor(title, options) { shown.push([title, options.tag]); }
  };
  const gesture = { isActive: false };
  Object.defineProperty(globalThis, "navigator", { value: { userActivation: gesture }, configurable: true });
  const bell = await begin();
  bell.notify("job.done", ({ job }) => ({ title: `Job ${job}` }));
  Socket.last.onopen();
  const ring = () => Socket.last.onmessage({ data: '{"type":"job.done","job":1}' });

  ring();
  assert.equal(asked, 0);
  assert.equal(await bell.allowNotifications(), "default");
  gesture.isActive = true;
  assert.equal(await bell.allowNotifications(), "granted");
  globalThis.Notification.permission = "granted";
  ring();
  assert.deepEqual(shown, []);
  document.visibilityState = "hidden";
  ring();
  assert.deepEqual(shown, [["Job 1", "/app/channels/groups/jobs Job 1"]]);
  delete globalThis.Notification;
});
