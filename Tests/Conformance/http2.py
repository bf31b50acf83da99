"""What RFC 9113 asks of an HTTP/2 server, frame by frame: the shapes that h2spec made known, sent with hyperframe."""

import socket
import ssl
import struct

from hpack import Encoder
from hyperframe.frame import Frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED = 0x1, 0x4, 0x8
PROTOCOL, FLOW, CLOSED, SIZE, COMPRESSION = 1, 3, 5, 6, 9
REQUEST = [(":method", "GET"), (":scheme", "https"), (":path", "/"), (":authority", "localhost")]
POST = [(":method", "POST"), *REQUEST[1:]]


def frame(kind, stream=0, payload=b"", flags=0):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(fields, stream=1, flags=END_HEADERS | END_STREAM):
    return frame(HEADERS, stream, Encoder().encode(fields), flags)


def setting(number, value):
    return frame(SETTINGS, 0, struct.pack(">HI", number, value))


def increment(number):
    return struct.pack(">I", number)


def without(name):
    return [field for field in REQUEST if field[0] != name]


OPEN = headers(POST, flags=END_HEADERS)  # a stream whose body is still to come

# Section, what is sent, and what must come: "works"; or the error code, of the connection or of the stream. A stream's
# error may be made the connection's (section 5.4.2), and a malformed request may be answered with 400 (section 8.1.1).
CONNECTION, STREAM, MALFORMED = "connection", "stream", "malformed"
CASES = [
    ("3.4", "a preface that is none", None, CONNECTION, PROTOCOL),
    ("4.1", "a frame of an unknown type", frame(0x16, 0, b"12345678"), "works", None),
    ("4.1", "flags that mean nothing", frame(PING, 0, b"abcdefgh", 0x16), "works", None),
    ("4.1", "the reserved bit of a stream's number", frame(PING, 1 << 31, b"abcdefgh"), "works", None),
    ("4.2", "DATA that is too long", OPEN + frame(DATA, 1, bytes(16_385)), STREAM, SIZE),
    ("4.2", "HEADERS that are too long", frame(HEADERS, 1, bytes(16_385), END_HEADERS), CONNECTION, SIZE),
    ("4.3", "a block that cannot be decoded", frame(HEADERS, 1, b"\xff" * 12, END_HEADERS), CONNECTION, COMPRESSION),
    ("4.3", "a frame within a block", headers(REQUEST, flags=0) + frame(PING, 0, bytes(8)), CONNECTION, PROTOCOL),
    ("4.3", "another stream's HEADERS within a block", headers(REQUEST, flags=0) + headers(REQUEST, 3), CONNECTION, PROTOCOL),
    ("5.1", "DATA on an idle stream", frame(DATA, 1, b"x", END_STREAM), CONNECTION, PROTOCOL),
    ("5.1", "RST_STREAM on an idle stream", frame(RST, 1, increment(8)), CONNECTION, PROTOCOL),
    ("5.1", "WINDOW_UPDATE on an idle stream", frame(WINDOW, 1, increment(100)), CONNECTION, PROTOCOL),
    ("5.1", "CONTINUATION on an idle stream", frame(CONTINUATION, 1, b"", END_HEADERS), CONNECTION, PROTOCOL),
    ("5.1", "DATA after the end of the stream", headers(REQUEST) + frame(DATA, 1, b"x"), STREAM, CLOSED),
    ("5.1", "HEADERS after the end of the stream", headers(REQUEST) + headers(REQUEST), STREAM, CLOSED),
    ("5.1", "DATA after RST_STREAM", OPEN + frame(RST, 1, increment(8)) + frame(DATA, 1, b"x"), STREAM, CLOSED),
    ("5.1", "PRIORITY on an idle stream", frame(PRIORITY, 1, bytes([0, 0, 0, 3, 1])), "works", None),
    ("5.1.1", "a stream with an even number", headers(REQUEST, 2), CONNECTION, PROTOCOL),
    ("5.1.1", "a stream with a lower number", headers(REQUEST, 5) + headers(REQUEST, 3), CONNECTION, PROTOCOL),
    ("6.1", "DATA on stream 0", frame(DATA, 0, b"x"), CONNECTION, PROTOCOL),
    ("6.1", "more padding than DATA", OPEN + frame(DATA, 1, b"\x09x", PADDED), CONNECTION, PROTOCOL),
    ("6.2", "HEADERS on stream 0", headers(REQUEST, 0), CONNECTION, PROTOCOL),
    ("6.2", "more padding than HEADERS", frame(HEADERS, 1, b"\xf0\x82", END_HEADERS | PADDED), CONNECTION, PROTOCOL),
    ("6.3", "PRIORITY on stream 0", frame(PRIORITY, 0, bytes(5)), CONNECTION, PROTOCOL),
    ("6.3", "PRIORITY of 4 bytes", OPEN + frame(PRIORITY, 1, bytes(4)), STREAM, SIZE),
    ("6.4", "RST_STREAM on stream 0", frame(RST, 0, increment(8)), CONNECTION, PROTOCOL),
    ("6.4", "RST_STREAM of 3 bytes", OPEN + frame(RST, 1, bytes(3)), CONNECTION, SIZE),
    ("6.5", "an acknowledgement with settings", frame(SETTINGS, 0, bytes(6), 1), CONNECTION, SIZE),
    ("6.5", "SETTINGS on a stream", frame(SETTINGS, 1), CONNECTION, PROTOCOL),
    ("6.5", "SETTINGS of 5 bytes", frame(SETTINGS, 0, bytes(5)), CONNECTION, SIZE),
    ("6.5.2", "ENABLE_PUSH 2", setting(2, 2), CONNECTION, PROTOCOL),
    ("6.5.2", "INITIAL_WINDOW_SIZE over the maximum", setting(4, 1 << 31), CONNECTION, FLOW),
    ("6.5.2", "MAX_FRAME_SIZE under the minimum", setting(5, 16_383), CONNECTION, PROTOCOL),
    ("6.5.2", "MAX_FRAME_SIZE over the maximum", setting(5, 1 << 24), CONNECTION, PROTOCOL),
    ("6.5.2", "an unknown setting", setting(0xFF, 1), "works", None),
    ("6.6", "PUSH_PROMISE from a browser", OPEN + frame(PUSH, 1, increment(2), END_HEADERS), CONNECTION, PROTOCOL),
    ("6.7", "PING on a stream", frame(PING, 1, bytes(8)), CONNECTION, PROTOCOL),
    ("6.7", "PING of 6 bytes", frame(PING, 0, bytes(6)), CONNECTION, SIZE),
    ("6.8", "GOAWAY on a stream", frame(GOAWAY, 1, bytes(8)), CONNECTION, PROTOCOL),
    ("6.9", "WINDOW_UPDATE by 0", frame(WINDOW, 0, increment(0)), CONNECTION, PROTOCOL),
    ("6.9", "WINDOW_UPDATE of a stream by 0", OPEN + frame(WINDOW, 1, increment(0)), STREAM, PROTOCOL),
    ("6.9", "WINDOW_UPDATE of 3 bytes", frame(WINDOW, 0, bytes(3)), CONNECTION, SIZE),
    ("6.9.1", "a window over the maximum", frame(WINDOW, 0, increment((1 << 31) - 1)), CONNECTION, FLOW),
    ("6.9.1", "a stream's window over the maximum", OPEN + frame(WINDOW, 1, increment((1 << 31) - 1)), STREAM, FLOW),
    ("6.10", "CONTINUATION without HEADERS", headers(REQUEST) + frame(CONTINUATION, 1, b"", END_HEADERS), CONNECTION, PROTOCOL),
    ("8.1", "a second block without the end of the stream", OPEN + headers([("x", "y")], flags=END_HEADERS), MALFORMED, PROTOCOL),
    ("8.1.1", "less body than Content-Length", headers([*POST, ("content-length", "3")], flags=END_HEADERS)
     + frame(DATA, 1, b"x", END_STREAM), MALFORMED, PROTOCOL),
    ("8.1.1", "more body than Content-Length", headers([*POST, ("content-length", "1")], flags=END_HEADERS)
     + frame(DATA, 1, b"xyz", END_STREAM), MALFORMED, PROTOCOL),
    ("8.2.1", "a name in capitals", headers([*REQUEST, ("X-TEST", "y")]), MALFORMED, PROTOCOL),
    ("8.2.2", "Connection", headers([*REQUEST, ("connection", "keep-alive")]), MALFORMED, PROTOCOL),
    ("8.2.2", "TE that is not trailers", headers([*REQUEST, ("te", "trailers, deflate")]), MALFORMED, PROTOCOL),
    ("8.3", "an unknown pseudo-field", headers([*REQUEST, (":test", "y")]), MALFORMED, PROTOCOL),
    ("8.3", "a response's pseudo-field", headers([*REQUEST, (":status", "200")]), MALFORMED, PROTOCOL),
    ("8.3", "a pseudo-field after a field", headers([("x", "y"), *REQUEST]), MALFORMED, PROTOCOL),
    ("8.3", "a pseudo-field in the trailers", OPEN + headers([(":method", "GET")]), MALFORMED, PROTOCOL),
    ("8.3.1", "no :method", headers(without(":method")), MALFORMED, PROTOCOL),
    ("8.3.1", "no :scheme", headers(without(":scheme")), MALFORMED, PROTOCOL),
    ("8.3.1", "no :path", headers(without(":path")), MALFORMED, PROTOCOL),
    ("8.3.1", "an empty :path", headers([*without(":path"), (":path", "")]), MALFORMED, PROTOCOL),
    ("8.3.1", "two :method", headers([*REQUEST, (":method", "GET")]), MALFORMED, PROTOCOL),
    ("8.1", "a request", headers(REQUEST), "answer", None),
]

# What is known to come out otherwise, and why it is left so.
KNOWN = {"HEADERS after the end of the stream": (
    ("reset", PROTOCOL), "SwiftNIO's HTTP/2 resets the stream with PROTOCOL_ERROR; nothing of it is served")}


def run(port, authority):
    """Gives back a line for each case that came out otherwise, one for each that is known to, and how many there were."""
    context = ssl.create_default_context(cafile=str(authority))
    context.set_alpn_protocols(["h2"])
    faults, known = [], []
    for section, name, sent, kind, code in CASES:
        seen = outcome(port, context, sent)
        if not is_right(seen, kind, code):
            line = f"RFC 9113 {section}: {name}: wanted {kind} {code or ''}, saw {seen or 'nothing'}"
            expected, why = KNOWN.get(name, (None, ""))
            (known if seen == expected else faults).append(f"{line} {why}".rstrip())
    return faults, known, len(CASES)


def is_right(seen, kind, code):
    if kind in ("works", "answer"):
        return seen == (kind,)
    # Ending the connection is what a server may always do with a broken one.
    right = [("goaway", code), ("ended",)]
    if kind != CONNECTION:
        right += [("reset", code)]
    if kind == MALFORMED:
        right += [("status", "400")]
    if code == CLOSED:
        # Section 5.1: the same, as a connection's error; a stream that is long forgotten may be ignored.
        right += [("goaway", PROTOCOL), ("works",), ("answer",)]
    return seen in right


def outcome(port, context, sent):
    """What the server does: the first of an error, an answer, and the answer to a PING that follows."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plain, server_hostname="localhost") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        try:
            if sent is None:
                connection.sendall(b"INVALID " * 4)
                return first_of(connection, False)
            connection.sendall(PREFACE + frame(SETTINGS))
            connection.sendall(sent + frame(PING, 0, b"the end!"))
            return first_of(connection, sent == CASES[-1][2])
        except (ConnectionError, ssl.SSLError):
            return ("ended",)
        except TimeoutError:
            return ()


def first_of(connection, wants_answer):
    pending = b""
    while True:
        while len(pending) < 9 or len(pending) < 9 + int.from_bytes(pending[:3], "big"):
            more = connection.recv(65_536)
            if not more:
                return ("ended",)
            pending += more
        length = int.from_bytes(pending[:3], "big")
        found, _ = Frame.parse_frame_header(memoryview(pending[:9]))
        found.parse_body(memoryview(pending[9:9 + length]))
        pending = pending[9 + length:]
        match type(found).__name__:
            case "GoAwayFrame":
                return ("goaway", found.error_code)
            case "RstStreamFrame":
                return ("reset", found.error_code)
            case "HeadersFrame" if wants_answer:
                return ("answer",)
            case "HeadersFrame" if found.data[:1] == b"\x8c":
                return ("status", "400")
            case "PingFrame" if found.opaque_data == b"the end!" and not wants_answer:
                return ("works",)
