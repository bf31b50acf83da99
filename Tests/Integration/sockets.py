"""What browsers and backends do: requests, WebSockets, event streams, and raw bytes."""

import contextlib
import http.client
import json as json_module
import socket
import urllib.parse

from websockets.sync.client import connect

from tls import open_tls

# Seconds until a read that gets nothing fails. Long, because a busy machine is no fault.
LIMIT = 60


class Answer:
    """The answer to a request: `status`, `headers` (case does not matter), `body`."""

    def __init__(self, response, body):
        self.status = response.status
        self.headers = response.headers
        self.body = body

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json_module.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:400]!r}>"


def open_request(method, url, *, body=None, json=None, headers=None, tls=None, source_address=None, limit=LIMIT):
    """Sends a request on a connection of its own; gives back the connection and the response with an unread body.

    `tls` is the context for https.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=limit, context=tls, source_address=source_address)
    else:
        connection = http.client.HTTPConnection(
            parts.hostname, parts.port, timeout=limit, source_address=source_address)
    headers = dict(headers or {})
    if json is not None:
        body = json_module.dumps(json).encode()
        headers.setdefault("Content-Type", "application/json")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, target, body=body, headers=headers)
        return connection, connection.getresponse()
    except http.client.HTTPException as error:
        connection.close()
        # So that who waits for a server to be back takes it as "not yet".
        raise ConnectionError(f"{method} {url}: {error!r}") from error
    except BaseException:
        connection.close()
        raise


def ask(method, url, **options):
    """A request and its whole answer."""
    connection, response = open_request(method, url, **options)
    try:
        return Answer(response, response.read())
    finally:
        connection.close()


class WebSocket:
    """A browser's WebSocket. Made with an origin, because browsers always send one; `origin=None` is no browser.

    `tls` is the context for wss.
    """

    def __init__(self, url, *, origin="same", cookie=None, headers=(), subprotocols=None, tls=None, compression=None,
                 **options):
        if origin == "same":
            parts = urllib.parse.urlsplit(url)
            origin = f"{'https' if parts.scheme == 'wss' else 'http'}://{parts.netloc}"
        headers = list(headers) + ([("Cookie", cookie)] if cookie else [])
        if tls:
            parts = urllib.parse.urlsplit(url)
            options["sock"] = open_tls(parts.hostname, parts.port, tls, options.pop("source_address", None))
            url = url.replace("wss", "ws", 1)
        self._open = contextlib.ExitStack()
        self.connection = self._open.enter_context(connect(
            url, origin=origin, additional_headers=headers, subprotocols=subprotocols, open_timeout=LIMIT,
            ping_interval=None, close_timeout=5, compression=compression, proxy=None, max_size=None,
            # Without a bound it reads and answers pings also while the test does something else, as browsers do.
            max_queue=None, **options))

    def read(self, limit=LIMIT):
        """The next message: text, or bytes. The close of the connection is websockets' ConnectionClosed."""
        return self.connection.recv(timeout=limit)

    def json(self, limit=LIMIT):
        return json_module.loads(self.read(limit))

    def send(self, message):
        self.connection.send(message)

    def close_code(self, limit=LIMIT):
        """Reads until the server closes; gives back code and reason."""
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                self.read(limit)
        except ConnectionClosed:
            return self.connection.close_code, self.connection.close_reason

    def close(self):
        self._open.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Event:
    """One event of an event stream."""

    def __init__(self, type="message", data="", id=None, retry=None):
        self.type, self.data, self.id, self.retry = type, data, id, retry

    @property
    def json(self):
        return json_module.loads(self.data)

    def __repr__(self):
        return f"<{self.type} {self.id} {self.data!r}>"


class EventStream:
    """A browser's EventSource, without its reconnecting. Comments are in `comments`."""

    def __init__(self, url, *, cookie=None, headers=None, limit=LIMIT, **options):
        fields = {"Accept": "text/event-stream", "Cache-Control": "no-cache", "Sec-Fetch-Site": "same-origin"}
        if cookie:
            fields["Cookie"] = cookie
        fields.update(headers or {})
        self.connection, self.response = open_request("GET", url, headers=fields, limit=limit, **options)
        self.status = self.response.status
        self.comments = []

    def read(self):
        """The next event that has data."""
        event, lines = Event(), []
        while True:
            line = self.response.readline()
            if not line:
                raise EOFError("the event stream ended")
            line = line.decode().rstrip("\r\n")
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
            elif line:
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "data":
                    lines.append(value)
                elif name == "event":
                    event.type = value
                elif name == "id":
                    event.id = value
                elif name == "retry":
                    event.retry = int(value)
            elif lines:
                event.data = "\n".join(lines)
                return event

    def json(self):
        return self.read().json

    def close(self):
        self.response.close()
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Raw:
    """A TCP connection, for what no library would send."""

    def __init__(self, port, *, limit=LIMIT):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=limit)

    def send(self, data):
        self.socket.sendall(data)

    def read_until(self, mark):
        """Everything up to and including `mark`."""
        data = b""
        while mark not in data:
            more = self.socket.recv(65_536)
            if not more:
                raise EOFError(f"closed after {data!r}")
            data += more
        return data

    def read_all(self):
        """Everything until the other side closes; a reset is an end as well."""
        data = b""
        try:
            while more := self.socket.recv(65_536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def handshake(path, host="127.0.0.1", extra=""):
    """The bytes of a WebSocket handshake, for a `Raw` connection."""
    return (f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extra}\r\n").encode()
