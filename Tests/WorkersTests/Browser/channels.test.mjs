// What a connection for channels says, hears and does when. Run by `node --test`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { carillon, clock, opens, reported, settle, Socket, until } from "./stage.mjs";

const { channels, ChannelError } = carillon;

/** Opens a connection; what is done with it in `first` comes before its first attempt. */
async function begin(options, first = () => {}) {
  const hub = opens(channels("channels/connection/websocket", options));
  first(hub);
  await settle();
  return hub;
}

/** What the page said since the last time, as a list of commands. */
async function said() {
  await settle();
  return Socket.last.sent.splice(0).flatMap((frame) => frame.split("\n")).map((line) => JSON.parse(line));
}

/** The server says something, all in one frame. */
async function hear(...replies) {
  Socket.last.onmessage({ data: replies.map((reply) => JSON.stringify(reply)).join("\n") });
  await settle();
}

/** The socket opens, and the server lets the page in. Gives back what was said with "connect". */
async function letIn(answer = {}) {
  Socket.last.onopen();
  const [connect, ...rest] = await said();
  await hear({ id: connect.id, connect: { client: "c-1", version: "1", ...answer } });
  return [connect, ...rest];
}

/** A connection that is open and follows "chat:1". */
async function follow(options, answer = {}, hubOptions = {}) {
  let chat;
  const hub = await begin(hubOptions, (hub) => { chat = hub.subscribe("chat:1", options); });
  const [, subscribe] = await letIn();
  await hear({ id: subscribe.id, subscribe: answer });
  return { hub, chat, subscribe: subscribe.subscribe };
}

/** Records the events of some types, in their order. */
function record(source, ...types) {
  const heard = [];
  for (const type of types) source.on(type, (event) => heard.push([type, event]));
  return heard;
}

const publication = (data, offset, more = {}) => ({ push: { channel: "chat:1", pub: { data, offset, ...more } } });
/** Lets the next attempt begin. */
async function comeBackFromWaiting() {
  clock.tick(30_000);
  await settle();
}
/** Loses the connection first. */
async function comeBack(code = 1006) {
  Socket.last.fail(code);
  await comeBackFromWaiting();
}

test("connect and the first subscriptions are one frame", async () => {
  const hub = await begin({ token: "t", data: { theme: "dark" } }, (hub) => {
    hub.subscribe("a");
    hub.subscribe("b", { joinLeave: true, recoverable: false, token: "s", delta: "fossil" });
  });
  assert.equal(Socket.last.url, "wss://bell.example/app/channels/connection/websocket");
  assert.equal(hub.state, "connecting");
  Socket.last.onopen();
  await settle();
  assert.equal(Socket.last.sent.length, 1);
  assert.deepEqual(await said(), [
    { id: 1, connect: { token: "t", data: { theme: "dark" }, name: "carillon" } },
    { id: 2, subscribe: { channel: "a", recoverable: true, flag: 1 } },
    { id: 3, subscribe: { channel: "b", token: "s", recoverable: false, join_leave: true, delta: "fossil", flag: 1 } },
  ]);
});

test("a frame stays below what a server takes", async () => {
  await begin({}, (hub) => { for (let n = 0; n < 120; n += 1) hub.subscribe(`é${n}`, { token: "ü".repeat(400) }); });
  Socket.last.onopen();
  await settle();
  const sizes = Socket.last.sent.map((frame) => Buffer.byteLength(frame));
  assert.ok(sizes.length > 1 && Math.max(...sizes) < 65_536, String(sizes));
  assert.equal((await said()).length, 121);
});

test("states and events of a connection, from the first to the last", async () => {
  const hub = await begin();
  const heard = record(hub, "open", "close", "state");
  await letIn({ data: 7 });
  assert.equal(hub.client, "c-1");
  Socket.last.fail(3001, "shutdown");
  clock.tick(250);
  await settle();
  await letIn({ client: "c-2" });
  hub.close();
  assert.deepEqual(heard, [
    ["state", { state: "open", transport: "websocket", retryIn: null }],
    ["open", { client: "c-1", data: 7, transport: "websocket", again: false }],
    ["state", { state: "waiting", transport: "websocket", retryIn: 250 }],
    ["close", { code: 3001, reason: "shutdown", willReconnect: true }],
    ["state", { state: "connecting", transport: "websocket", retryIn: null }],
    ["state", { state: "open", transport: "websocket", retryIn: null }],
    ["open", { client: "c-2", data: undefined, transport: "websocket", again: true }],
    ["state", { state: "closed", transport: "websocket", retryIn: null }],
    ["close", { code: 1000, reason: "", willReconnect: false }],
  ]);
});

test("publications are heard by the subscription and by the connection, in their order", async () => {
  const { hub, chat } = await follow();
  const heard = [chat, hub].map((source) => record(source, "publication", "join", "leave"));
  const info = { user: "42", client: "c-9", conn_info: { name: "Ann" } };
  const who = { user: "42", client: "c-9", connInfo: { name: "Ann" }, chanInfo: undefined };
  await hear(
    { push: { channel: "chat:1", join: { info } } }, publication({ text: "hi" }, 1, { info, tags: { a: "b" } }),
    publication(null, 2), { push: { channel: "other", pub: { data: 3 } } },
    { push: { channel: "chat:1", leave: { info } } });
  for (const each of heard) {
    assert.deepEqual(each, [
      ["join", { channel: "chat:1", info: who }],
      ["publication",
        { channel: "chat:1", data: { text: "hi" }, info: who, offset: 1, tags: { a: "b" }, time: undefined }],
      ["publication", { channel: "chat:1", data: null, info: undefined, offset: 2, tags: undefined, time: undefined }],
      ["leave", { channel: "chat:1", info: who }],
    ]);
  }
});

test("what stands behind the reply in one frame is heard", async () => {
  const hub = await begin();
  const chat = hub.subscribe("chat:1");
  const heard = record(hub, "open", "subscribed", "publication");
  Socket.last.onopen();
  const [connect, subscribe] = await said();
  await hear({ id: connect.id, connect: { client: "c", subs: { mine: {} } } },
    { push: { channel: "mine", pub: { data: 1 } } },
    { id: subscribe.id, subscribe: {} }, publication(2));
  assert.deepEqual(heard.map(([type, { channel, data }]) => [type, channel, data]), [
    ["open", undefined, undefined], ["subscribed", "mine", undefined], ["publication", "mine", 1],
    ["subscribed", "chat:1", undefined], ["publication", "chat:1", 2],
  ]);
  assert.equal(chat.state, "subscribed");
});

test("after a loss it goes on from the last publication", async () => {
  const { hub, chat, subscribe } = await follow({}, { recoverable: true, positioned: true, epoch: "e", offset: 3 });
  assert.equal(subscribe.recover, undefined);
  await hear(publication("d", 4), publication("e", 5));
  assert.deepEqual(chat.position, { offset: 5, epoch: "e" });
  const heard = record(chat, "subscribing", "subscribed", "publication");
  await comeBack(3001);
  const [, again] = await letIn();
  assert.deepEqual(again.subscribe,
    { channel: "chat:1", recoverable: true, flag: 1, recover: true, epoch: "e", offset: 5 });
  await hear({ id: again.id, subscribe: { recoverable: true, epoch: "e", offset: 5, recovered: true,
    was_recovering: true, publications: [{ data: "f", offset: 6 }, { data: "g", offset: 7 }] } });
  assert.deepEqual(heard.map(([type, event]) => [type, event.code ?? event.recovered ?? event.data]), [
    ["subscribing", 3001], ["subscribed", true], ["publication", "f"], ["publication", "g"],
  ]);
  assert.equal(heard[1][1].again, true);
  assert.deepEqual(chat.position, { offset: 7, epoch: "e" });
  // And who could not be told what was missed learns that, and goes on from the top.
  await comeBack();
  const [, third] = await letIn();
  assert.equal(third.subscribe.offset, 7);
  await hear({ id: third.id, subscribe: { recoverable: true, epoch: "other", offset: 1, was_recovering: true } });
  assert.equal(heard.at(-1)[1].recovered, false);
  assert.deepEqual(chat.position, { offset: 1, epoch: "other" });
  assert.equal(hub.state, "open");
});

test("a position that the page has is where a subscription begins", async () => {
  const { subscribe } = await follow({ since: { offset: 8, epoch: "x" } });
  assert.deepEqual([subscribe.recover, subscribe.offset, subscribe.epoch], [true, 8, "x"]);
});

test("what was said before is heard first, and nothing twice", async () => {
  let chat;
  const hub = await begin({}, (hub) => { chat = hub.subscribe("chat:1", { history: 10 }); });
  const heard = record(chat, "subscribed", "publication");
  const [, subscribe] = await letIn();
  await hear({ id: subscribe.id, subscribe: { recoverable: true, epoch: "e", offset: 2 } });
  const [history] = await said();
  assert.deepEqual(history.history, { channel: "chat:1", limit: 10, reverse: true });
  await hear(publication("c", 3), publication("d", 4));
  assert.deepEqual(heard.map(([type]) => type), ["subscribed"]);
  // The connection is lost before it came: all begins anew.
  await comeBack();
  const [, anew] = await letIn();
  assert.equal(anew.subscribe.recover, undefined);
  await hear({ id: anew.id, subscribe: { recoverable: true, epoch: "e", offset: 4 } });
  const [again] = await said();
  await hear(publication("e", 5), publication("f", 6), { id: again.id, history: { epoch: "e", offset: 5,
    publications: [5, 4, 3, 2].map((offset) => ({ data: "..bcde"[offset], offset })) } }, publication("g", 7));
  assert.deepEqual(heard.slice(2).map(([, { data, offset }]) => `${data}${offset}`),
    ["b2", "c3", "d4", "e5", "f6", "g7"]);
  // Once it has a position it goes on from there; and what has no history is heard all the same.
  await comeBack();
  const [, third] = await letIn();
  assert.equal(third.subscribe.offset, 7);
  await hear({ id: third.id, subscribe: { recoverable: true, epoch: "e", offset: 7, recovered: true } },
    publication("h", 8));
  assert.deepEqual(await said(), []);
  const other = hub.subscribe("b", { history: 1 });
  const none = record(other, "publication");
  const [without] = await said();
  await hear({ id: without.id, subscribe: {} });
  const [refused] = await said();
  await hear({ push: { channel: "b", pub: { data: 1 } } },
    { id: refused.id, error: { code: 108, message: "not available" } });
  assert.deepEqual([heard.at(-1)[1].data, none.length], ["h", 1]);
});

test("a server that lost its place is asked again, after growing pauses; one that ends it is believed", async () => {
  const { chat } = await follow({}, { recoverable: true, epoch: "e", offset: 3 });
  const heard = record(chat, "subscribing", "unsubscribed");
  const pauses = [];
  for (let n = 0; n < 3; n += 1) {
    await hear({ push: { channel: "chat:1", unsubscribe: { code: 2500, reason: "insufficient state" } } });
    assert.deepEqual(await said(), []);
    const start = clock.now;
    let commands = [];
    while (commands.length === 0) { clock.tick(50); commands = await said(); }
    pauses.push(clock.now - start);
    assert.deepEqual([commands[0].subscribe.recover, commands[0].subscribe.offset], [true, 3]);
    await hear({ id: commands[0].id, subscribe: { recoverable: true, epoch: "e", offset: 3, recovered: true } });
  }
  assert.deepEqual(pauses, [250, 500, 1000]);
  await hear({ push: { channel: "chat:1", unsubscribe: { code: 2000, reason: "server unsubscribe" } } });
  assert.equal(chat.state, "unsubscribed");
  assert.deepEqual(heard.at(-1), ["unsubscribed", { channel: "chat:1", code: 2000, reason: "server unsubscribe" }]);
  clock.tick(100_000);
  assert.deepEqual(await said(), []);
});

test("a refusal for now is asked again, one for good ends it", async () => {
  const hub = await begin();
  await letIn();
  const [mine, other] = [hub.subscribe("a"), hub.subscribe("b")];
  const heard = record(hub, "unsubscribed");
  const [a, b] = await said();
  await hear({ id: a.id, error: { code: 100, message: "internal server error", temporary: true } },
    { id: b.id, error: { code: 103, message: "permission denied" } });
  assert.deepEqual([mine.state, other.state], ["subscribing", "unsubscribed"]);
  assert.deepEqual(heard, [["unsubscribed", { channel: "b", code: 103, reason: "permission denied" }]]);
  await assert.rejects(other.publish(1), { code: ChannelError.CLOSED });
  clock.tick(500);
  const [again] = await said();
  assert.equal(again.subscribe.channel, "a");
  await hear({ id: again.id, subscribe: {} });
  assert.equal(mine.state, "subscribed");
  assert.notEqual(hub.subscribe("b"), other);
  assert.equal(hub.subscribe("a"), mine);
});

test("who has left hears no more, and may come back at once", async () => {
  const { hub, chat } = await follow();
  const heard = record(chat, "unsubscribed", "publication");
  chat.unsubscribe();
  const next = hub.subscribe("chat:1");
  const later = record(next, "subscribed", "publication");
  const commands = await said();
  assert.deepEqual(commands.map(({ id, ...command }) => command), [
    { unsubscribe: { channel: "chat:1" } }, { subscribe: { channel: "chat:1", recoverable: true, flag: 1 } }]);
  await hear(publication(1), { id: commands[0].id, unsubscribe: {} }, { id: commands[1].id, subscribe: {} },
    publication(2));
  assert.deepEqual(heard, [["unsubscribed", { channel: "chat:1", code: 0, reason: "" }]]);
  assert.deepEqual(later.map(([type, { data }]) => [type, data]), [["subscribed", undefined], ["publication", 2]]);
});

test("an answer that comes after the page has left is nothing", async () => {
  const hub = await begin();
  await letIn();
  const chat = hub.subscribe("chat:1");
  const [subscribe] = await said();
  const heard = record(chat, "subscribed");
  hub.unsubscribe("chat:1");
  await hear({ id: subscribe.id, subscribe: {} });
  assert.deepEqual([heard, chat.state], [[], "unsubscribed"]);
});

test("calls and their results", async () => {
  const { hub, chat } = await follow();
  const calls = Promise.all([
    chat.publish({ a: 1 }), chat.history({ limit: 2, since: { offset: 1, epoch: "e" }, reverse: true }),
    chat.presence(), chat.presenceStats(), hub.rpc("sum", [1, 2]),
  ]);
  const refused = assert.rejects(hub.rpc("none"),
    { name: "ChannelError", code: 104, message: "method not found", temporary: false });
  assert.equal(hub.send("x"), true);
  const commands = await said();
  const [send] = commands.splice(commands.findIndex((command) => command.send), 1);
  assert.deepEqual(send, { send: { data: "x" } });
  const byMethod = Object.fromEntries(
    commands.map(({ id, ...command }) => [`${Object.keys(command)[0]}${command.rpc?.method ?? ""}`, id]));
  assert.deepEqual(commands.find((command) => command.history).history,
    { channel: "chat:1", limit: 2, since: { offset: 1, epoch: "e" }, reverse: true });
  await hear(
    { id: byMethod.rpcsum, rpc: { data: 3 } }, { id: byMethod.publish, publish: {} },
    { id: byMethod.history, history: { publications: [{ data: 1, offset: 1 }], offset: 4, epoch: "e" } },
    { id: byMethod.presence, presence: { presence: { "c-1": { user: "42", client: "c-1" } } } },
    { id: byMethod.presence_stats, presence_stats: { num_clients: 2, num_users: 1 } },
    { id: byMethod.rpcnone, error: { code: 104, message: "method not found" } });
  await refused;
  const [published, history, presence, stats, sum] = await calls;
  assert.equal(published, undefined);
  assert.deepEqual([history.offset, history.epoch, history.publications[0].channel], [4, "e", "chat:1"]);
  assert.equal(presence.get("c-1").user, "42");
  assert.deepEqual(stats, { clients: 2, users: 1 });
  assert.equal(sum, 3);
});

test("a call waits for the connection, and not for ever", async () => {
  const hub = await begin();
  const early = hub.publish("a", 1);
  await letIn();
  const [publish] = await said();
  assert.deepEqual(publish.publish, { channel: "a", data: 1 });
  await hear({ id: publish.id, publish: {} });
  await early;

  const unanswered = hub.publish("a", 2);
  await said();
  clock.tick(10_000);
  await assert.rejects(unanswered, { code: ChannelError.TIMEOUT, temporary: true });
  const cut = hub.publish("a", 3);
  await said();
  Socket.last.fail();
  await assert.rejects(cut, { code: ChannelError.LOST });
  const late = hub.publish("a", 4);
  const held = hub.publish("a", 5);
  clock.tick(10_000);
  await assert.rejects(late, { code: ChannelError.TIMEOUT });
  await assert.rejects(held, { code: ChannelError.TIMEOUT });
  const never = hub.publish("a", 6);
  hub.close();
  await assert.rejects(never, { code: ChannelError.CLOSED });
  await assert.rejects(hub.publish("a", 7), { code: ChannelError.CLOSED });
  assert.throws(() => hub.subscribe("a"), { code: ChannelError.CLOSED });
});

test("a server whose answer to a subscription never comes is left", async () => {
  const hub = await begin();
  await letIn();
  hub.subscribe("chat:1");
  await said();
  clock.tick(10_000);
  assert.equal(hub.state, "waiting");
  clock.tick(250);
  await settle();
  assert.equal((await letIn()).length, 2);
});

test("refusals of the connection: for now, and for good", async () => {
  const hub = await begin();
  const heard = record(hub, "close");
  const chat = hub.subscribe("chat:1");
  Socket.last.onopen();
  const [connect] = await said();
  await hear({ id: connect.id, error: { code: 100, message: "internal server error", temporary: true } });
  assert.equal(hub.state, "waiting");
  clock.tick(30_000);
  await settle();
  Socket.last.onopen();
  const [again] = await said();
  await hear({ id: again.id, error: { code: 101, message: "unauthorized" } });
  assert.equal(hub.state, "closed");
  assert.deepEqual(heard, [["close", { code: 101, reason: "unauthorized", willReconnect: false }]]);
  assert.equal(chat.state, "unsubscribed");
  clock.tick(100_000);
  assert.equal(Socket.made.length, 2);
});

test("a connection that is lost before it was let in comes back", async () => {
  const hub = await begin();
  Socket.last.onopen();
  await said();
  Socket.last.fail();
  assert.equal(hub.state, "waiting");
});

test("codes of closes that are for good", async () => {
  for (const [state, codes] of [["closed", [3500, 4500, 1009]], ["waiting", [3000, 1006]]]) {
    for (const code of codes) {
      const hub = await begin();
      await letIn();
      Socket.last.fail(code);
      assert.equal(hub.state, state, String(code));
    }
  }
});

test("pings are answered, and their absence is noticed", async () => {
  const hub = await begin();
  await letIn({ ping: 25, pong: true });
  clock.tick(34_000);
  await hear({});
  assert.deepEqual(await said(), [{}]);
  clock.tick(34_999);
  assert.equal(hub.state, "open");
  clock.tick(1);
  assert.equal(hub.state, "waiting");
  await comeBackFromWaiting();
  await letIn({ ping: 5 });
  await hear({});
  assert.deepEqual(await said(), []);
});

test("a token is fetched when there is none, when it has ended, and before it ends", async () => {
  let number = 0;
  const hub = await begin({ getToken: async () => `t${number += 1}` });
  const [first] = await letIn({ expires: true, ttl: 60 });
  assert.equal(first.connect.token, "t1");
  clock.tick(60_000);
  const [refresh] = await said();
  assert.deepEqual(refresh.refresh, { token: "t2" });
  await hear({ id: refresh.id, refresh: { client: "c-1", expires: true, ttl: 5_000_000 } });
  // Browsers take no timer of 58 days: they would let it end at once.
  assert.ok([...clock.timers.values()].every(({ due }) => due - clock.now < 2 ** 31));
  await comeBack(3005);
  Socket.last.onopen();
  const [old] = await said();
  assert.equal(old.connect.token, "t2");
  await hear({ id: old.id, error: { code: 109, message: "token expired" } });
  assert.equal(hub.state, "waiting");
  await comeBackFromWaiting();
  const [fresh] = await letIn();
  assert.equal(fresh.connect.token, "t3");
});

test("without a token, or with one that nobody renews, it is over", async () => {
  const none = await begin({ getToken: () => null });
  assert.deepEqual([none.state, Socket.made.length], ["closed", 0]);
  const old = await begin({ token: "old" });
  Socket.last.onopen();
  const [connect] = await said();
  await hear({ id: connect.id, error: { code: 109, message: "token expired" } });
  assert.equal(old.state, "closed");
});

test("a token that cannot be fetched now is asked for again", async () => {
  let fails = true;
  const getToken = async () => {
    if (fails) throw new Error("offline");
    return "t";
  };
  const hub = await begin({ getToken });
  assert.deepEqual([hub.state, reported.length, Socket.made.length], ["waiting", 1, 0]);
  fails = false;
  await comeBackFromWaiting();
  const [{ connect }] = await letIn({ expires: true, ttl: 60 });
  assert.equal(connect.token, "t");
  fails = true;
  clock.tick(60_000);
  await settle();
  fails = false;
  clock.tick(250);
  assert.equal((await said())[0].refresh.token, "t");
});

test("the token of a channel", async () => {
  const asked = [];
  const getToken = (channel) => `s${asked.push(channel)}`;
  let chat;
  const hub = await begin({}, (hub) => { chat = hub.subscribe("$secret", { getToken }); });
  const [, subscribe] = await letIn();
  assert.deepEqual([subscribe.subscribe.token, asked], ["s1", ["$secret"]]);
  await hear({ id: subscribe.id, subscribe: { expires: true, ttl: 10 } });
  clock.tick(10_000);
  const [refresh] = await said();
  assert.deepEqual(refresh.sub_refresh, { channel: "$secret", token: "s2" });
  await hear({ id: refresh.id, sub_refresh: { expires: true, ttl: 10 } });
  await hear({ push: { channel: "$secret", unsubscribe: { code: 2501, reason: "subscription expired" } } });
  clock.tick(250);
  const [again] = await said();
  assert.equal(again.subscribe.token, "s3");
  await hear({ id: again.id, error: { code: 109, message: "token expired" } });
  clock.tick(500);
  assert.equal((await said())[0].subscribe.token, "s4");
  assert.equal(chat.state, "subscribing");
  const denied = hub.subscribe("$other", { getToken: () => "" });
  await settle();
  assert.equal(denied.state, "unsubscribed");
});

test("channels that the server chose", async () => {
  const hub = await begin();
  const heard = record(hub, "subscribed", "publication", "unsubscribed", "message");
  await letIn({ subs: { "#42": { recoverable: true, epoch: "e", offset: 1 }, news: {} } });
  await hear({ push: { channel: "#42", pub: { data: "x", offset: 2 } } }, { push: { message: { data: "you" } } },
    { push: { channel: "late", subscribe: { recoverable: true, epoch: "f" } } });
  await comeBack();
  const [{ connect }] = await letIn({ subs: {
    "#42": { recoverable: true, epoch: "e", offset: 2, recovered: true, publications: [{ data: "y", offset: 3 }] },
    late: { recoverable: true, epoch: "f" } } });
  assert.deepEqual(connect.subs,
    { "#42": { recover: true, epoch: "e", offset: 2 }, late: { recover: true, epoch: "f", offset: 0 } });
  await hear({ push: { channel: "late", unsubscribe: { code: 2000, reason: "server unsubscribe" } } });
  assert.deepEqual(heard.map(([type, { channel, data, again, code }]) => [type, channel, data ?? again ?? code]), [
    ["subscribed", "#42", false], ["subscribed", "news", false], ["publication", "#42", "x"],
    ["message", undefined, "you"], ["subscribed", "late", false],
    ["unsubscribed", "news", 0], ["subscribed", "#42", true], ["publication", "#42", "y"],
    ["subscribed", "late", true], ["unsubscribed", "late", 2000],
  ]);
});

test("a number stands for a channel's name as long as its subscription", async () => {
  const { chat } = await follow({}, { id: 7 });
  const heard = record(chat, "publication");
  await hear({ push: { id: 7, pub: { data: 1 } } });
  chat.unsubscribe();
  await hear({ push: { id: 7, pub: { data: 2 } } });
  assert.deepEqual(heard.map(([, { data }]) => data), [1]);
});

test("differences to the publication before", async () => {
  const { chat } = await follow({ delta: "fossil" }, { delta: true, recoverable: true, epoch: "e", offset: 0 });
  const heard = record(chat, "publication", "subscribing");
  // {"n":"é","of":10} becomes {"n":"ü","of":10}: 6 bytes as they were, a character, 10 bytes as they were.
  await hear(publication('{"n":"é","of":10}', 1), publication('I\n6@0,2:üA@8,1j48uz;', 2, { delta: true }));
  assert.deepEqual(heard.map(([, { data }]) => data), [{ n: "é", of: 10 }, { n: "ü", of: 10 }]);
  await hear(publication('I\n6@0,2:öA@8,1j48uz;', 3, { delta: true }));
  const [unsubscribe] = await said();
  assert.deepEqual(unsubscribe.unsubscribe, { channel: "chat:1" });
  assert.equal(chat.state, "subscribing");
  clock.tick(250);
  const [again] = await said();
  assert.deepEqual([again.subscribe.recover, again.subscribe.offset], [true, 2]);
});

test("what a page does in its handlers ends nothing that it should not", async () => {
  const hub = await begin();
  const heard = record(hub, "publication");
  hub.on("open", () => { throw new Error("mine"); });
  const chat = hub.subscribe("chat:1");
  chat.on("publication", () => hub.close());
  const [, subscribe] = await letIn();
  await hear({ id: subscribe.id, subscribe: { publications: [{ data: 1 }, { data: 2 }] } }, publication(3));
  assert.deepEqual([heard.length, hub.state, chat.state, reported.length], [1, "closed", "unsubscribed", 1]);
});

test("what is no protocol has the connection made anew", async () => {
  for (const frame of ["x", "null", "5", '{"id":1']) {
    const hub = await begin();
    await letIn();
    Socket.last.onmessage({ data: frame });
    assert.equal(hub.state, "waiting", frame);
  }
  const hub = await begin();
  await letIn();
  await hear({ id: 99, publish: {} }, { push: {} }, { push: { channel: "nobody", pub: { data: 1 } } });
  assert.equal(hub.state, "open");
});

/** Stands in for a server's answers to requests: those that go on, and those that were taken. */
function serveRequests() {
  const requests = [];
  globalThis.fetch = async (url, { body, signal }) => {
    let stream;
    const answer = new Response(new ReadableStream({ start(controller) { stream = controller; } }));
    const say = (text) => stream.enqueue(new TextEncoder().encode(text));
    requests.push({ url: String(url), body, signal, say });
    if (String(url).endsWith("emulation")) return new Response(null, { status: 204 });
    return answer;
  };
  return requests;
}

test("where WebSocket never opens requests are used, one after the other", async () => {
  const requests = serveRequests();
  const hub = await begin({}, (hub) => { hub.subscribe("chat:1"); });
  const heard = record(hub, "open", "publication");
  for (let n = 0; n < 2; n += 1) await comeBack();
  await until(() => requests.length > 0);
  assert.deepEqual([hub.transport, requests.length], ["httpstream", 1]);
  const [{ url, body, say, signal }] = requests;
  assert.equal(url, "https://bell.example/app/channels/connection/http_stream");
  const [connect, subscribe] = body.split("\n").map((line) => JSON.parse(line));
  const text = [
    { id: connect.id, connect: { client: "c", session: "s", node: "n", pong: true } },
    { id: subscribe.id, subscribe: {} }, { push: { channel: "chat:1", pub: { data: "\u00e9" } } }, {},
  ].map((reply) => `${JSON.stringify(reply)}\n`).join("");
  for (const part of [text.slice(0, 30), text.slice(30, 150), text.slice(150)]) say(part);
  await until(() => heard.length === 2);
  assert.deepEqual(heard.map(([type, { transport, data }]) => [type, transport, data]),
    [["open", "httpstream", undefined], ["publication", undefined, "\u00e9"]]);
  hub.publish("chat:1", 1).catch(() => {});
  await settle();
  hub.publish("chat:1", 2).catch(() => {});
  const sent = () => requests.slice(1).flatMap(({ body }) => JSON.parse(body).data.split("\n"));
  await until(() => sent().length === 3);
  assert.deepEqual(sent().map((line) => JSON.parse(line).publish?.data), [undefined, 1, 2]);
  for (const { url, body } of requests.slice(1)) {
    assert.equal(url, "https://bell.example/app/channels/emulation");
    assert.deepEqual([JSON.parse(body).session, JSON.parse(body).node], ["s", "n"]);
  }
  hub.close();
  assert.equal(signal.aborted, true);
});

test("a WebSocket that may not even be made is one that never opens", async () => {
  const requests = serveRequests();
  const { WebSocket } = globalThis;
  globalThis.WebSocket = class { constructor() { throw new Error("a policy forbids it"); } };
  const hub = await begin();
  for (let n = 0; n < 2; n += 1) await comeBackFromWaiting();
  globalThis.WebSocket = WebSocket;
  assert.deepEqual([hub.transport, requests.length], ["httpstream", 1]);
});

test("while the server is down both ways are tried in turn", async () => {
  globalThis.fetch = async () => new Response("", { status: 502 });
  const hub = await begin();
  const tried = [];
  hub.on("state", ({ state, transport }) => { if (state === "connecting") tried.push(transport); });
  for (let n = 0; n < 5; n += 1) {
    if (hub.transport === "websocket") Socket.last.fail();
    await until(() => hub.state === "waiting");
    clock.tick(30_000);
    await settle();
  }
  assert.deepEqual(tried, ["websocket", "httpstream", "websocket", "httpstream", "websocket"]);
});
