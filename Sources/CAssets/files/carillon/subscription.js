// One channel that a page follows.

/**
 * @typedef {object} SubscriptionOptions
 * @property {string} [token]  For a channel that asks for one.
 * @property {(channel: string) => string | null | Promise<string | null>} [getToken]
 *   Fetches a token when there is none, or when it has expired. One that gives nothing ends the subscription; one that
 *   throws is asked again.
 * @property {unknown} [data]  For the application, when it is asked about the subscription.
 * @property {number} [history]  So many of the last publications are heard first, before any new one; not when it goes on
 *   from a position, but again when that is too long ago.
 * @property {Position} [since]  Where to go on from, such as the position of a history that was shown.
 * @property {boolean} [recoverable]  Whether what is missed is made up for, where the namespace allows it. `true` if
 *   not given.
 * @property {boolean} [positioned]  Whether the server watches that nothing is missed.
 * @property {boolean} [joinLeave]  Whether to hear who comes and goes, where the namespace allows it.
 * @property {"fossil"} [delta]  Takes differences to the publication before, where the namespace allows it.
 * @property {object} [tagsFilter]  Which publications to hear: `{key: "lang", cmp: "eq", val: "en"}` and the like.
 */

/**
 * - `again`: it was subscribed before;
 * - `recovered`: all that was published since the position has been, or will be, heard. After `again` without
 *   `recovered` something may have been missed: load what the page shows anew;
 * - `data`: what the application gave.
 * @typedef {object} SubscribedEvent
 * @property {string} channel
 * @property {boolean} again
 * @property {boolean} recovered
 * @property {boolean} recoverable
 * @property {boolean} positioned
 * @property {unknown} data
 */
/** @typedef {{channel: string, code: number, reason: string}} UnsubscribedEvent  `code` 0: the page wanted it. */
/** @typedef {"subscribing" | "subscribed" | "unsubscribed"} SubscriptionState  "unsubscribed" is for good. */

/**
 * @typedef {object} HistoryOptions
 * @property {number} [limit]  So many publications; 0, the default, for the position alone.
 * @property {Position} [since]
 * @property {boolean} [reverse]  Newest first.
 */
/** @typedef {{publications: Publication[], offset: number, epoch: string}} History  With the position of the newest. */

const utf8 = { encoder: new TextEncoder(), decoder: new TextDecoder() };

/**
 * A channel that is followed until `unsubscribe`, or until the server ends it. Made by `Channels.subscribe`.
 */
export class Subscription {
  #handlers = new Handlers();
  #channel;
  #options;
  #token;
  #line;
  /** @type {SubscriptionState} */
  #state = "subscribing";
  #wasSubscribed = false;
  #subscribedAt = 0;
  /** How often in a row it was asked for again. */
  #failures = 0;
  /** An attempt's own object, so that what it waited for knows whether another has begun since. */
  #attempt = null;
  /** Until the next attempt, or until the token ends. */
  #timer;
  /** @type {Position | null} */
  #position;
  /** Publications that wait until those of the history were heard. @type {Publication[] | null} */
  #held = null;
  #takesDeltas = false;
  /** The publication before, which the next one may be a difference to. @type {Uint8Array | null} */
  #base = null;
  #waiting = new Set();

  /**
   * @param {string} channel
   * @param {SubscriptionOptions} options
   * @param {object} line  See `Channels`.
   */
  constructor(channel, options, line) {
    this.#channel = channel;
    this.#options = { recoverable: true, ...options };
    this.#token = options.token ?? "";
    this.#position = options.since ? { ...options.since } : null;
    this.#line = line;
    Object.assign(line.follower, {
      begin: () => this.#begin(),
      pushed: (push) => this.#pushed(push),
      lost: (code, reason) => {
        if (this.#state === "subscribed") this.#suspend(code, reason);
        else this.#pause();
      },
      end: (code, reason) => this.#end(code, reason),
    });
  }

  get channel() { return this.#channel; }

  /** @returns {SubscriptionState} */
  get state() { return this.#state; }

  /** Where in the channel's history this is: what `since` of another subscription may be. Null when none is kept. */
  get position() { return this.#position && { ...this.#position }; }

  /**
   * Calls `handler` for every event of a type: "publication" (`Publication`), "join" and "leave" (`{info}`),
   * "subscribing" and "unsubscribed" (`UnsubscribedEvent`), "subscribed" (`SubscribedEvent`).
   * @param {string} type
   * @param {(event: any) => void} handler
   * @returns {() => void}  Call it to hear no more.
   */
  on(type, handler) { return this.#handlers.add(type, handler); }

  /**
   * Waits until it is subscribed.
   * @param {number} [limit]  Milliseconds.
   * @returns {Promise<this>}  Fails with a `ChannelError` when that is too long, or when it ends.
   */
  ready(limit = this.#line.timeout) {
    if (this.#state === "subscribed") return Promise.resolve(this);
    if (this.#state === "unsubscribed") return Promise.reject(closedError());
    return new Promise((done, failed) => {
      const settle = (error) => {
        clearTimeout(timer);
        this.#waiting.delete(settle);
        if (error) failed(new ChannelError(error));
        else done(this);
      };
      const late = { code: ChannelError.TIMEOUT, message: "not subscribed", temporary: true };
      const timer = setTimeout(() => settle(late), limit);
      this.#waiting.add(settle);
    });
  }

  /** @param {unknown} data  Any JSON. */
  async publish(data) {
    await this.ready();
    return this.#line.owner.publish(this.#channel, data);
  }

  /**
   * @param {HistoryOptions} [options]
   * @returns {Promise<History>}
   */
  async history(options) {
    await this.ready();
    return this.#line.owner.history(this.#channel, options);
  }

  /** @returns {Promise<Map<string, ClientInfo>>}  By the names of connections. */
  async presence() {
    await this.ready();
    return this.#line.owner.presence(this.#channel);
  }

  /** @returns {Promise<{clients: number, users: number}>} */
  async presenceStats() {
    await this.ready();
    return this.#line.owner.presenceStats(this.#channel);
  }

  /** Ends it for good. `Channels.subscribe` makes another one. */
  unsubscribe() {
    if (this.#state === "unsubscribed") return;
    this.#leave();
    this.#end(0, "");
  }

  // Subscribing

  async #begin() {
    this.#pause();
    const attempt = this.#attempt = {};
    const isOver = () => this.#attempt !== attempt;
    if (!this.#token && this.#options.getToken) {
      const later = () => this.#later(ChannelError.UNAUTHORIZED, "getToken failed");
      if (!await this.#fetchToken(isOver, later)) return;
    }
    const since = this.#position;
    const { data, recoverable, positioned, joinLeave, delta, tagsFilter } = this.#options;
    this.#line.ask({
      method: "subscribe",
      parameters: {
        channel: this.#channel, token: this.#token || undefined, data, positioned, recoverable,
        join_leave: joinLeave, delta, tf: tagsFilter, flag: 1, ...(since && { recover: true, ...since }),
      },
      done: (answer) => { if (!isOver()) this.#subscribed(answer); },
      failed: (error) => { if (!isOver()) this.#refused(error); },
    });
  }

  #subscribed(answer) {
    const attempt = this.#attempt;
    this.#state = "subscribed";
    this.#subscribedAt = Date.now();
    this.#position = positionOf(answer);
    this.#takesDeltas = answer.delta === true;
    this.#base = null;
    if (answer.id) this.#line.number(answer.id);
    this.#expire(answer.expires, answer.ttl);
    const again = this.#wasSubscribed;
    this.#wasSubscribed = true;
    if (this.#options.history && !answer.recovered) this.#tellHistory();
    this.#tell("subscribed", subscribedEvent(this.#channel, answer, again));
    for (const settle of [...this.#waiting]) settle();
    for (const each of answer.publications ?? []) {
      if (this.#attempt === attempt) this.#published(each);
    }
  }

  /** @param {ChannelError} error */
  #refused({ code, message, temporary }) {
    // The connection tells by itself that it was lost.
    if (code === ChannelError.LOST) return;
    // Nobody knows whether the server follows the channel now: a new connection knows.
    if (code === ChannelError.TIMEOUT) { this.#line.fail("no answer"); return; }
    const hasExpired = code === 109 && this.#options.getToken !== undefined;
    if (hasExpired) this.#token = "";
    if (hasExpired || temporary) this.#later(code, message);
    else this.#end(code, message);
  }

  /** Tries again after a pause. */
  #later(code, reason) {
    this.#suspend(code, reason);
    this.#timer = setTimeout(() => this.#begin(), pause(this.#failures, ASK_AGAIN));
    this.#failures += 1;
  }

  /** It hears nothing at present. */
  #suspend(code, reason) {
    if (this.#state === "subscribed" && Date.now() - this.#subscribedAt >= STEADY_AFTER) this.#failures = 0;
    this.#pause();
    // Nobody has heard what was held, nor the history before it.
    if (this.#held) this.#held = this.#position = null;
    this.#state = "subscribing";
    this.#tell("subscribing", { channel: this.#channel, code, reason });
  }

  #pause() {
    clearTimeout(this.#timer);
    this.#attempt = null;
  }

  #end(code, reason) {
    if (this.#state === "unsubscribed") return;
    this.#pause();
    this.#line.leave();
    this.#state = "unsubscribed";
    this.#tell("unsubscribed", { channel: this.#channel, code, reason });
    const error = { code: code || ChannelError.CLOSED, message: reason || "unsubscribed" };
    for (const settle of [...this.#waiting]) settle(error);
  }

  /** Tells the server, which has nothing to say that would matter here. */
  #leave() {
    if (!this.#line.isTalking()) return;
    this.#line.ask({ method: "unsubscribe", parameters: { channel: this.#channel }, done() {}, failed() {} });
  }

  // Tokens

  /**
   * @param {() => boolean} isOver
   * @param {() => void} later  What to do when it cannot be had now.
   * @returns {Promise<boolean>}  Whether there is one, and something to do with it.
   */
  async #fetchToken(isOver, later) {
    try {
      const token = await this.#options.getToken(this.#channel);
      if (isOver()) return false;
      this.#token = token ?? "";
    } catch (error) {
      reportError(error);
      if (!isOver()) later();
      return false;
    }
    if (this.#token) return true;
    this.#leave();
    this.#end(ChannelError.UNAUTHORIZED, "no token");
    return false;
  }

  #expire(expires, ttl) {
    clearTimeout(this.#timer);
    if (!expires || !this.#options.getToken) return;
    this.#timer = setTimeout(() => this.#refresh(), Math.min(ttl * 1000, LONGEST_TIMER));
  }

  async #refresh() {
    const attempt = this.#attempt;
    const isOver = () => this.#attempt !== attempt;
    const later = () => this.#expire(true, pause(this.#failures++, ASK_AGAIN) / 1000);
    if (!await this.#fetchToken(isOver, later)) return;
    this.#line.ask({
      method: "sub_refresh", parameters: { channel: this.#channel, token: this.#token },
      done: ({ expires, ttl }) => { if (!isOver()) this.#expire(expires, ttl); },
      failed: (error) => {
        if (isOver() || error.code === ChannelError.LOST) return;
        if (error.temporary) { later(); return; }
        this.#leave();
        this.#end(error.code, error.message);
      },
    });
  }

  // Hearing

  #pushed({ pub, join, leave, unsubscribe }) {
    if (this.#state !== "subscribed") return;
    if (pub) this.#published(pub);
    else if (join) this.#tell("join", { channel: this.#channel, info: clientInfo(join.info) });
    else if (leave) this.#tell("leave", { channel: this.#channel, info: clientInfo(leave.info) });
    else if (unsubscribe) this.#unsubscribed(unsubscribe);
  }

  #unsubscribed({ code = 0, reason = "" }) {
    if (code < SUBSCRIBE_AGAIN) { this.#end(code, reason); return; }
    // "Subscription expired": its token is of no use any more.
    if (code === 2501 && this.#options.getToken) this.#token = "";
    this.#later(code, reason);
  }

  #published(publication) {
    let data;
    try {
      data = this.#takesDeltas ? this.#undelta(publication) : publication.data;
    } catch {
      // From the position on it is told all over again, beginning with a whole one.
      this.#leave();
      this.#later(SUBSCRIBE_AGAIN, "a difference does not fit");
      return;
    }
    if (this.#position && publication.offset) this.#position.offset = publication.offset;
    const event = publicationOf(this.#channel, { ...publication, data });
    if (this.#held) this.#held.push(event);
    else this.#tell("publication", event);
  }

  /** Has what was said before heard first. */
  #tellHistory() {
    const attempt = this.#attempt;
    this.#held = [];
    const tell = (publications) => {
      if (this.#attempt !== attempt) return;
      const past = publications.reverse().map((each) => publicationOf(this.#channel, each));
      const last = past.at(-1)?.offset ?? 0;
      const events = [...past, ...this.#held.filter(({ offset }) => offset === undefined || offset > last)];
      this.#held = null;
      for (const event of events) if (this.#attempt === attempt) this.#tell("publication", event);
    };
    this.#line.ask({
      method: "history", parameters: { channel: this.#channel, limit: this.#options.history, reverse: true },
      done: ({ publications = [] }) => tell(publications),
      // What cannot be had is nothing.
      failed: ({ code }) => { if (code !== ChannelError.LOST) tell([]); },
    });
  }

  #undelta({ data, delta }) {
    const bytes = utf8.encoder.encode(data);
    if (delta && this.#base === null) throw new RangeError("a difference to nothing");
    this.#base = delta ? patched(this.#base, bytes) : bytes;
    return JSON.parse(utf8.decoder.decode(this.#base));
  }

  #tell(type, event) {
    this.#handlers.call(type, event);
    this.#line.tell(type, event);
  }
}
