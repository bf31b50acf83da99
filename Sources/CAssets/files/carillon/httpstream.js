// Where WebSocket is blocked: requests that do what a WebSocket does.

/**
 * A request whose answer goes on for as long as the connection, and one for each thing that is said after the first.
 * It can be used like a WebSocket, but for `belongsTo`.
 */
class HTTPStream {
  onopen = null;
  onmessage = null;
  onclose = null;
  #url;
  #end = new AbortController();
  #isAsked = false;
  /** What the server must be told to know whose frame it is. */
  #owner = null;
  /** Frames that wait for that, or for the request before: requests at the same time may overtake each other. */
  #frames = [];
  #isSending = false;

  /** @param {URL} url  That of the WebSocket; the addresses for requests are beside it. */
  constructor(url) {
    this.#url = url;
    queueMicrotask(() => this.onopen?.());
  }

  /**
   * The server let the connection in, and told what it calls it.
   * @param {string} session
   * @param {string} node
   */
  belongsTo(session, node) {
    this.#owner = { session, node };
    this.#sendFrames();
  }

  /** @param {string} frame */
  send(frame) {
    if (!this.#isAsked) {
      this.#isAsked = true;
      this.#listen(frame);
      return;
    }
    this.#frames.push(frame);
    if (this.#owner) this.#sendFrames();
  }

  close() { this.#end.abort(); }

  /** @param {string} frame  Begins with the command "connect". */
  async #listen(frame) {
    try {
      const answer = await this.#post("http_stream", frame);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const end = value.lastIndexOf("\n");
        if (end < 0) {
          rest += value;
          continue;
        }
        const data = rest + value.slice(0, end);
        rest = value.slice(end + 1);
        this.onmessage?.({ data });
      }
      this.#closed("");
    } catch (error) {
      this.#closed(String(error));
    }
  }

  async #sendFrames() {
    if (this.#isSending) return;
    this.#isSending = true;
    try {
      while (this.#frames.length) {
        const frame = this.#frames.shift();
        await this.#post("../emulation", JSON.stringify({ ...this.#owner, data: frame }));
      }
    } catch (error) {
      this.#closed(String(error));
    }
    this.#isSending = false;
  }

  async #post(where, body) {
    const answer = await fetch(new URL(where, this.#url), {
      method: "POST", body, credentials: "include", cache: "no-store", signal: this.#end.signal,
      headers: { "Content-Type": "application/json" },
    });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    return answer;
  }

  #closed(reason) {
    if (this.#end.signal.aborted) return;
    this.close();
    this.onclose?.({ code: 1006, reason });
  }
}
