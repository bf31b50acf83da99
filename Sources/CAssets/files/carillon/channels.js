// Channels: one connection, whose channels the page chooses. It speaks the Centrifugo client protocol, version 2, in
// JSON: commands with an id and their replies, pushes without one, several to a frame, a line each.

/**
 * @typedef {object} ChannelsOptions
 * @property {string} [token]  Says who this is; see `carillon token`. Without one: a visitor, where those are let in.
 * @property {() => string | null | Promise<string | null>} [getToken]
 *   Fetches a token when there is none, or when it has expired. One that gives nothing has the connection closed for
 *   good; one that throws is asked again.
 * @property {unknown} [data]  For the application, when it is asked about the connection.
 * @property {Record<string, string>} [headers]  Passed to the application like a request's header fields.
 * @property {"auto" | "websocket" | "httpstream"} [transport]  "auto" (the default) prefers WebSocket and falls back.
 * @property {Backoff} [backoff]
 * @property {number} [timeout]  Milliseconds until a call that nobody answers fails. 10 000 if not given.
 */

/**
 * `client` is the connection's name on the server, `data` what the application gave, `again`: it was open before.
 * @typedef {{client: string, data: unknown, transport: string, again: boolean}} ChannelsOpenEvent
 */
/** @typedef {{client: string, user: string, connInfo?: unknown, chanInfo?: unknown}} ClientInfo */
/** @typedef {{offset: number, epoch: string}} Position  A place in a channel's history, in one life of that history. */
/**
 * `info` is who published it, if a client did; `offset` is there when the channel has a history.
 * @typedef {object} Publication
 * @property {string} channel
 * @property {any} data
 * @property {ClientInfo} [info]
 * @property {number} [offset]
 * @property {Record<string, string>} [tags]
 * @property {number} [time]  Milliseconds since 1970.
 */

/** How a call failed. `code` is the server's (100 and above) or one of those below; `temporary`: worth another try. */
export class ChannelError extends Error {
  /** Nobody answered in time. */
  static TIMEOUT = 1;
  /** The connection was lost before the answer: what was asked for may have happened or not. */
  static LOST = 2;
  /** The connection is closed, or the subscription has ended. */
  static CLOSED = 3;
  /** There is no token. */
  static UNAUTHORIZED = 4;

  /** @param {{code: number, message?: string, temporary?: boolean}} error */
  constructor({ code, message = "", temporary = false }) {
    super(message);
    this.name = "ChannelError";
    this.code = code;
    this.temporary = temporary;
  }
}

/**
 * @typedef {object} Call
 * @property {string} method
 * @property {object} parameters
 * @property {(result: any) => void} done
 * @property {(error: ChannelError) => void} failed
 */

/** A ping may be so late, in milliseconds, before the connection is taken for dead. */
const PING_GRACE = 10_000;
/** UTF-16 units of a frame: with three bytes each they stay below the 64 KiB that a server takes. */
const FRAME_LENGTH = 20_000;
/** The longest time browsers take for a timer, in milliseconds: 24 days. */
const LONGEST_TIMER = 2 ** 31 - 1;
/** Pauses before what failed for now, while the connection lasts, is asked again. */
const ASK_AGAIN = { min: 500, max: 20_000 };
/** The code of an unsubscription from which on the server wants the client to subscribe again. */
const SUBSCRIBE_AGAIN = 2500;
/** A frame that was too large would be so again. */
const TOO_LARGE = 1009;

/**
 * Opens a connection for channels, and keeps it.
 * @param {string | URL} [url]  Relative to the page. If not given: `connection/websocket` beside this module.
 * @param {ChannelsOptions} [options]
 * @returns {Channels}
 */
export const channels = (url = new URL("connection/websocket", import.meta.url), options = {}) =>
  new Channels(url, options);

/**
 * A connection that keeps itself and its subscriptions alive. Made by `channels`.
 *
 * Calls wait for the connection while it is away, for `timeout` at the most; then they fail with a `ChannelError`.
 */
export class Channels {
  #handlers = new Handlers();
  #url;
  #options;
  #token;
  #ways;
  #comeback;
  /** @type {State} */
  #state = "waiting";
  #client = "";
  #wasOpen = false;
  #transport = "websocket";
  /** @type {WebSocket | HTTPStream | null} */
  #socket = null;
  /** An attempt's own object, so that what it waited for knows whether another has begun since. */
  #attempt = null;
  /** The connection has opened, and "connect" is the first thing that was said. */
  #isTalking = false;
  /** The server has said something, be it that it lets nobody in. */
  #isAnswered = false;
  /** The time an answer to "connect" has, or the next ping. */
  #timer;
  #refreshTimer;
  #refreshFailures = 0;
  #answersPings = false;
  #silence = 0;
  #lastID = 0;
  /** Commands that wait for their replies, by their ids. */
  #asked = new Map();
  /** Calls that wait for the connection. */
  #held = new Set();
  /** Lines that go out at the end of this turn. @type {string[]} */
  #lines = [];
  /** What a subscription wants to be told by the connection, by channel: see `Subscription`. */
  #subscriptions = new Map();
  /** By the numbers that a server may use in place of the channels' names. */
  #byNumber = new Map();
  /**
   * Channels the server subscribed this client to, and where in their histories it is.
   * @type {Map<string, Position | null>}
   */
  #served = new Map();

  /**
   * @param {string | URL} url
   * @param {ChannelsOptions} [options]
   */
  constructor(url, options = {}) {
    this.#url = new URL(url, document.baseURI);
    this.#options = { timeout: 10_000, ...options };
    this.#token = options.token ?? "";
    this.#ways = new Ways("httpstream", options.transport ?? "auto");
    this.#comeback = new Comeback(options.backoff, () => this.#open(), () => this.#ways.webSocketWorks(false));
    // Not within the constructor, so that the page can subscribe first: all goes out in one frame then.
    queueMicrotask(() => this.#open());
  }

  /** @returns {State} */
  get state() { return this.#state; }

  /** What is in use, or tried at present. @returns {"websocket" | "httpstream"} */
  get transport() { return this.#transport; }

  /** The connection's name on the server; "" before there was one. */
  get client() { return this.#client; }

  /**
   * Calls `handler` for every event of a type.
   *
   * "open" (`ChannelsOpenEvent`), "close" (`CloseEvent`) and "state" are about the connection, "message" is what the
   * server sent to this connection alone (`{data}`). What a subscription hears is heard here, too: "publication",
   * "join", "leave", "subscribing", "subscribed" and "unsubscribed", each with its `channel`. This is how a page hears
   * the channels that the server chose for it.
   *
   * @param {string} type
   * @param {(event: any) => void} handler
   * @returns {() => void}  Call it to hear no more.
   */
  on(type, handler) { return this.#handlers.add(type, handler); }

  /**
   * Follows a channel. One that is followed already is the same subscription, with its first options.
   * @param {string} channel
   * @param {SubscriptionOptions} [options]
   * @returns {Subscription}
   */
  subscribe(channel, options = {}) {
    if (this.#state === "closed") throw closedError();
    const known = this.#subscriptions.get(channel);
    if (known) return known.subscription;
    const follower = {};
    this.#subscriptions.set(channel, follower);
    follower.subscription = new Subscription(channel, options, this.#lineFor(channel, follower));
    if (this.#isTalking) follower.begin();
    return follower.subscription;
  }

  /**
   * Follows a channel no more; also by `Subscription.unsubscribe`.
   * @param {string} channel
   */
  unsubscribe(channel) { this.#subscriptions.get(channel)?.subscription.unsubscribe(); }

  /**
   * @param {string} channel
   * @param {unknown} data  Any JSON.
   */
  async publish(channel, data) { await this.#call("publish", { channel, data }); }

  /**
   * The newest publications of a channel, or those before or after a position.
   * @param {string} channel
   * @param {HistoryOptions} [options]
   * @returns {Promise<History>}
   */
  async history(channel, { limit = 0, since, reverse } = {}) {
    const { publications, offset, epoch } = await this.#call("history", { channel, limit, since, reverse });
    return { publications: (publications ?? []).map((each) => publicationOf(channel, each)), offset, epoch };
  }

  /**
   * Who follows a channel, by the names of their connections.
   * @param {string} channel
   * @returns {Promise<Map<string, ClientInfo>>}
   */
  async presence(channel) {
    const { presence } = await this.#call("presence", { channel });
    return new Map(Object.entries(presence ?? {}).map(([client, info]) => [client, clientInfo(info)]));
  }

  /**
   * How many follow a channel: connections, and different users.
   * @param {string} channel
   * @returns {Promise<{clients: number, users: number}>}
   */
  async presenceStats(channel) {
    const { num_clients: clients = 0, num_users: users = 0 } = await this.#call("presence_stats", { channel });
    return { clients, users };
  }

  /**
   * Asks the application.
   * @param {string} method
   * @param {unknown} [data]
   * @returns {Promise<any>}
   */
  async rpc(method, data) { return (await this.#call("rpc", { method, data })).data; }

  /**
   * Sends the application something that it does not answer.
   * @param {unknown} data
   * @returns {boolean}  Whether it was sent. It is not kept for later.
   */
  send(data) {
    if (this.#state !== "open") return false;
    this.#write({ send: { data } });
    return true;
  }

  /** Ends the connection and its subscriptions for good. */
  close() { this.#end(1000, "", { isWanted: true }); }

  // Connecting

  async #open() {
    if (this.#state === "closed") return;
    this.#drop();
    const attempt = this.#attempt = {};
    this.#transport = this.#ways.next;
    this.#become("connecting");
    const isOver = () => this.#attempt !== attempt;
    if (!this.#token && this.#options.getToken) {
      try {
        const token = await this.#options.getToken();
        if (isOver()) return;
        this.#token = token ?? "";
      } catch (error) {
        reportError(error);
        if (!isOver()) this.#lost(ChannelError.UNAUTHORIZED, "getToken failed");
        return;
      }
      if (!this.#token) { this.#end(ChannelError.UNAUTHORIZED, "no token"); return; }
    }
    // A handler of "state" may have closed it.
    if (isOver()) return;
    try {
      const socket = this.#socket =
        this.#transport === "websocket" ? new WebSocket(webSocketURL(this.#url)) : new HTTPStream(this.#url);
      socket.onopen = () => this.#opened();
      socket.onmessage = ({ data }) => this.#received(data, attempt);
      socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    } catch (error) { // a policy of the page forbids it (CSP, mixed content)
      this.#ways.failed();
      this.#lost(1006, String(error));
      return;
    }
    this.#timer = setTimeout(() => this.#lost(1006, "no answer"), CONNECT_TIMEOUT);
  }

  #opened() {
    this.#isTalking = true;
    const known = [...this.#served].filter(([, position]) => position)
      .map(([channel, position]) => [channel, { recover: true, ...position }]);
    const { data, headers } = this.#options;
    this.#ask({
      method: "connect",
      parameters: {
        token: this.#token || undefined, data, headers, name: "carillon",
        subs: known.length ? Object.fromEntries(known) : undefined,
      },
      done: (answer) => this.#connected(answer),
      failed: (error) => this.#refused(error),
    });
    for (const follower of [...this.#subscriptions.values()]) follower.begin();
  }

  #connected({ client = "", data, subs = {}, ping = 0, pong = false, expires, ttl, session, node }) {
    const attempt = this.#attempt;
    this.#ways.opened();
    if (this.#transport === "websocket") this.#ways.webSocketWorks(true);
    else this.#socket.belongsTo(session, node);
    this.#client = client;
    this.#answersPings = pong;
    this.#silence = ping && ping * 1000 + PING_GRACE;
    this.#refreshFailures = 0;
    this.#comeback.worked();
    this.#awaitPing();
    this.#expire(expires, ttl);
    const again = this.#wasOpen;
    this.#wasOpen = true;
    this.#become("open");
    this.#handlers.call("open", { client, data, transport: this.#transport, again });
    for (const channel of [...this.#served.keys()]) {
      if (Object.hasOwn(subs, channel)) continue;
      this.#served.delete(channel);
      this.#handlers.call("unsubscribed", { channel, code: 0, reason: "" });
    }
    for (const [channel, answer] of Object.entries(subs)) this.#serve(channel, answer);
    // What a handler did may have been the end of it.
    if (this.#attempt !== attempt) return;
    for (const call of this.#held) this.#ask(call);
    this.#held.clear();
  }

  /** @param {ChannelError} error */
  #refused({ code, message, temporary }) {
    // That it was lost is told by the connection itself.
    if (code === ChannelError.LOST) return;
    const hasExpired = code === 109 && this.#options.getToken !== undefined;
    if (hasExpired) this.#token = "";
    if (hasExpired || temporary) this.#lost(code, message);
    else this.#end(code, message);
  }

  /**
   * The connection failed, was closed, or could not be opened.
   * @param {number} code
   * @param {string} reason
   */
  #lost(code, reason) {
    if (this.#state === "closed") return;
    if (isFinal(code) || code === TOO_LARGE) { this.#end(code, reason); return; }
    const wasOpen = this.#state === "open";
    if (this.#socket && !this.#isAnswered) this.#ways.failed();
    this.#drop();
    this.#become("waiting", this.#comeback.plan(wasOpen));
    if (wasOpen) this.#handlers.call("close", { code, reason, willReconnect: true });
    this.#failAsked();
    for (const follower of [...this.#subscriptions.values()]) follower.lost(code, reason);
  }

  /**
   * Nothing more will come of it.
   * @param {number} code
   * @param {string} reason
   * @param {{isWanted: boolean}} [cause]  Whether the page wanted it.
   */
  #end(code, reason, { isWanted } = { isWanted: false }) {
    if (this.#state === "closed") return;
    this.#drop();
    this.#comeback.end();
    this.#become("closed");
    this.#handlers.call("close", { code, reason, willReconnect: false });
    this.#failAsked();
    for (const follower of [...this.#subscriptions.values()]) follower.end(isWanted ? 0 : code, reason);
    const error = isWanted ? { code: ChannelError.CLOSED, message: "closed" } : { code, message: reason };
    for (const call of [...this.#held]) this.#fail(call, error);
  }

  /** Nobody will hear what was asked over a connection that is gone. */
  #failAsked() {
    const error = { code: ChannelError.LOST, message: "the connection was lost" };
    for (const call of [...this.#asked.values()]) this.#fail(call, error);
  }

  /** Lets go of the connection, without a word to the page. */
  #drop() {
    this.#comeback.cancel();
    clearTimeout(this.#timer);
    clearTimeout(this.#refreshTimer);
    const socket = this.#socket;
    this.#socket = this.#attempt = null;
    this.#isTalking = this.#isAnswered = false;
    this.#lines = [];
    this.#byNumber.clear();
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  // Life of a connection

  /** Waits for the next ping, if the server sends any. */
  #awaitPing() {
    clearTimeout(this.#timer);
    if (this.#silence) this.#timer = setTimeout(() => this.#lost(1006, "no ping"), this.#silence);
  }

  /** Has a new token ready when the present one ends. */
  #expire(expires, ttl) {
    clearTimeout(this.#refreshTimer);
    if (!expires || !this.#options.getToken) return;
    this.#refreshTimer = setTimeout(() => this.#refresh(), Math.min(ttl * 1000, LONGEST_TIMER));
  }

  async #refresh() {
    const attempt = this.#attempt;
    const later = () => {
      if (this.#attempt === attempt) this.#expire(true, pause(this.#refreshFailures++, ASK_AGAIN) / 1000);
    };
    try {
      const token = await this.#options.getToken();
      if (this.#attempt !== attempt) return;
      if (!token) { this.#end(ChannelError.UNAUTHORIZED, "no token"); return; }
      this.#token = token;
    } catch (error) {
      reportError(error);
      later();
      return;
    }
    this.#ask({
      method: "refresh", parameters: { token: this.#token },
      done: ({ expires, ttl }) => {
        this.#refreshFailures = 0;
        this.#expire(expires, ttl);
      },
      failed: (error) => {
        if (error.temporary || error.code === ChannelError.TIMEOUT) later();
        else this.#refused(error);
      },
    });
  }

  // Commands and their replies

  #call(method, parameters) {
    return new Promise((done, failed) => {
      if (this.#state === "closed") { failed(closedError()); return; }
      const call = { method, parameters, done, failed };
      if (this.#state === "open") { this.#ask(call); return; }
      this.#held.add(call);
      this.#limit(call);
    });
  }

  /**
   * Sends a command. `done` and `failed` are called within the turn that brings the reply, so that what stands behind
   * it in the same frame finds it done.
   * @param {Call} call
   */
  #ask(call) {
    const id = this.#lastID += 1;
    call.id = id;
    this.#asked.set(id, call);
    this.#limit(call);
    this.#write({ id, [call.method]: call.parameters });
  }

  /** Has a call fail when its time is over. */
  #limit(call) {
    call.timer ??= setTimeout(
      () => this.#fail(call, { code: ChannelError.TIMEOUT, message: "no answer", temporary: true }),
      this.#options.timeout);
  }

  #fail(call, error) {
    clearTimeout(call.timer);
    this.#held.delete(call);
    this.#asked.delete(call.id);
    call.failed(new ChannelError(error));
  }

  #write(command) {
    if (this.#lines.push(JSON.stringify(command)) === 1) queueMicrotask(() => this.#flush());
  }

  #flush() {
    let frame = "";
    for (const line of this.#lines.splice(0)) {
      if (frame && frame.length + line.length >= FRAME_LENGTH) {
        this.#socket?.send(frame);
        frame = "";
      }
      frame += frame ? `\n${line}` : line;
    }
    if (frame) this.#socket?.send(frame);
  }

  #received(frame, attempt) {
    this.#isAnswered = true;
    for (const line of String(frame).split("\n")) {
      // A handler may have closed the connection meanwhile.
      if (this.#attempt !== attempt) return;
      if (line === "") continue;
      const reply = parse(line);
      if (reply === null || typeof reply !== "object") { this.#lost(1006, "not understood"); return; }
      if (reply.id) this.#replied(reply);
      else if (reply.push) this.#pushed(reply.push);
      else this.#pinged();
    }
  }

  #pinged() {
    this.#awaitPing();
    if (this.#answersPings) this.#write({});
  }

  #replied({ id, error, ...reply }) {
    const call = this.#asked.get(id);
    if (!call) return;
    this.#asked.delete(id);
    clearTimeout(call.timer);
    if (error) call.failed(new ChannelError(error));
    else call.done(reply[call.method] ?? {});
  }

  #pushed(push) {
    const { channel, id, message, disconnect, subscribe } = push;
    if (message) this.#handlers.call("message", { data: message.data });
    else if (disconnect) this.#lost(disconnect.code, disconnect.reason ?? "");
    else if (subscribe) this.#serve(channel, subscribe);
    else if (this.#served.has(channel)) this.#pushedToServed(push);
    else (this.#subscriptions.get(channel) ?? this.#byNumber.get(id))?.pushed(push);
  }

  // Channels that the server chose

  #serve(channel, answer) {
    const again = this.#served.has(channel);
    this.#served.set(channel, positionOf(answer));
    this.#handlers.call("subscribed", subscribedEvent(channel, answer, again));
    for (const each of answer.publications ?? []) this.#pushedToServed({ channel, pub: each });
  }

  #pushedToServed({ channel, pub, join, leave, unsubscribe }) {
    const position = this.#served.get(channel);
    if (pub) {
      if (position && pub.offset) position.offset = pub.offset;
      this.#handlers.call("publication", publicationOf(channel, pub));
    } else if (join || leave) {
      this.#handlers.call(join ? "join" : "leave", { channel, info: clientInfo((join ?? leave).info) });
    } else if (unsubscribe) {
      this.#served.delete(channel);
      this.#handlers.call("unsubscribed", { channel, code: unsubscribe.code ?? 0, reason: unsubscribe.reason ?? "" });
    }
  }

  // What subscriptions need

  /** What a subscription knows of its connection. */
  #lineFor(channel, follower) {
    return {
      follower,
      owner: this,
      timeout: this.#options.timeout,
      isTalking: () => this.#isTalking,
      ask: (call) => this.#ask(call),
      tell: (type, event) => this.#handlers.call(type, event),
      number: (number) => { this.#byNumber.set(number, follower); },
      fail: (reason) => this.#lost(1006, reason),
      leave: () => {
        if (this.#subscriptions.get(channel) === follower) this.#subscriptions.delete(channel);
        for (const [number, each] of this.#byNumber) if (each === follower) this.#byNumber.delete(number);
      },
    };
  }

  // Telling the page

  /**
   * @param {State} state
   * @param {number | null} [retryIn]
   */
  #become(state, retryIn = null) {
    this.#state = state;
    this.#handlers.call("state", { state, transport: this.#transport, retryIn });
  }
}

const closedError = () => new ChannelError({ code: ChannelError.CLOSED, message: "closed" });

/** @returns {ClientInfo} */
const clientInfo = ({ client = "", user = "", conn_info: connInfo, chan_info: chanInfo } = {}) =>
  ({ client, user, connInfo, chanInfo });

/** @returns {Publication} */
const publicationOf = (channel, { data, info, offset, tags, time }) =>
  ({ channel, data, info: info && clientInfo(info), offset, tags, time });

/** Where a follower of a channel is after the answer to its subscription; null when nobody keeps that. */
const positionOf = ({ recoverable, offset = 0, epoch = "" }) => (recoverable ? { offset, epoch } : null);

/**
 * @param {string} channel
 * @param {any} answer
 * @param {boolean} again
 * @returns {SubscribedEvent}
 */
const subscribedEvent = (channel, answer, again) => ({
  channel, again, recovered: answer.recovered === true, recoverable: answer.recoverable === true,
  positioned: answer.positioned === true, data: answer.data,
});
