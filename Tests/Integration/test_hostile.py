"""Browsers and backends that mean harm or are broken. Each gets the protocol's own error and is counted, and two
bystanders, one on each transport, go on hearing everything."""

import base64
import threading

import pytest

from servers import KEY
from sockets import EventStream, Raw, WebSocket, ask, handshake, open_request
from waiting import wait_for

LIMITS = {
    "router.head_timeout": "4s", "router.body_timeout": "4s", "gateway.handshake_timeout": "4s",
    "gateway.send_queue_limit": "65536", "gateway.message_rate": "50", "gateway.message_burst": "50",
    "workers.body_limit": "200000",
}
# A browser that reads nothing answers no pings either; where that is not what is tested, nobody is pinged.
CALM = {"gateway.ping_interval": "1h"}
QUICK = {"gateway.ping_interval": "4s", "gateway.pong_timeout": "3s"}
# Browsers that take what they get say something back on this one.
ROUTES = '[{"path": "/channels/groups/{name}", "authenticate": "anonymous", "groups": ["{name}"], "otherwise": "json", ' \
         '"receive": {"group": "{name}"}}]'


def serve(servers, settings):
    settings = {**LIMITS, **settings, "gateway.routes": ROUTES, "workers.demo": "true"}
    return servers.carillon(
        "serve", None, *(word for name, value in settings.items() for word in ("--set", f"{name}={value}")))


@pytest.fixture(scope="module")
def site(shared):
    return serve(shared, CALM)


@pytest.fixture(scope="module")
def pinging(shared):
    """A site that pings every four seconds and waits three."""
    return serve(shared, QUICK)


@pytest.fixture(autouse=True)
def bystanders(site, unique):
    """Two who listen while a test does its worst: what is published before, meanwhile and after, they hear in order."""
    group = f"quiet-{unique}"
    said = []
    stop = threading.Event()

    def talk():
        while not stop.wait(0.05):
            site.publish(group, len(said))
            said.append(len(said))

    with WebSocket(site.websocket_url(f"/channels/groups/{group}")) as browser, \
            EventStream(f"{site.address}/channels/groups/{group}") as stream:
        talker = threading.Thread(target=talk)
        talker.start()
        yield
        stop.set()
        talker.join()
        site.publish(group, "end")
        for one in (browser, stream):
            heard = []
            while not heard or heard[-1] != "end":
                heard.append(one.json())
            assert heard == said + ["end"]
    assert site.is_running


@pytest.fixture
def counted(site):
    """Tells by how much a metric rose during the test."""
    before = site.metrics()
    return lambda name: site.metric(name) - sum(
        value for key, value in before.items() if key.partition("{")[0] == name or key == name)


def drip(connection, data, pause=0.1):
    """Sends byte after byte, slowly, until all is sent or the other side has had enough; gives back what it answered."""
    connection.socket.settimeout(pause)
    heard = b""
    for number in range(len(data)):
        try:
            connection.send(data[number:number + 1])
            if not (more := connection.socket.recv(4_096)):
                return heard
            heard += more
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return heard
    raise AssertionError(f"all {len(data)} bytes were taken")


# Slow ones


def test_a_head_byte_by_byte_is_cut_off(site, counted):
    with Raw(site.port) as slow:
        answer = drip(slow, b"GET /" + b"x" * 500)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert counted("carillon_router_refused_total") == 1


def test_a_handshake_byte_by_byte_is_cut_off_by_the_gateway(site, counted):
    with Raw(site.port) as slow:
        slow.send(b"GET /channels/groups/x HTTP/1.1\r\n")
        answer = drip(slow, b"X-Slow: " + b"x" * 500)
    assert answer.startswith(b"HTTP/1.1 408 ") or answer == b""
    assert counted("carillon_gateway_bad_requests_total") + counted("carillon_router_silent_total") == 1


def test_a_body_that_stops_is_cut_off(site, counted):
    with Raw(site.port) as slow:
        slow.send(b"POST /api/publish HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Length: 1000\r\n\r\n{"
                  % KEY.encode())
        answer = slow.read_all()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 "), answer
    assert counted("carillon_router_aborted_total") == 1


def test_who_does_not_answer_a_ping_is_sent_away(pinging, unique):
    with Raw(pinging.port) as browser:
        browser.send(handshake(f"/channels/groups/{unique}", f"127.0.0.1:{pinging.port}"))
        browser.read_until(b"\r\n\r\n")
        frames = read_frames(browser)
    assert [frame for frame in frames if frame[0] == 0x9]
    assert frames[-1][0] == 0x8 and close_code(frames[-1]) == 3012


def test_who_answers_pings_stays(pinging, unique):
    with Raw(pinging.port) as browser:
        browser.send(handshake(f"/channels/groups/{unique}", f"127.0.0.1:{pinging.port}"))
        browser.read_until(b"\r\n\r\n")
        for _ in range(3):
            assert browser.read_until(b"\x89\x00") == b"\x89\x00"
            browser.send(frame(0x8A))
        pinging.publish(unique, 1)
        # The next ping may have come before it.
        assert browser.read_until(b"1").removeprefix(b"\x89\x00") == b"\x81\x011"


def read_frames(connection, first=b""):
    """Every frame the server sends until it closes: the opcode, and the bytes."""
    data, frames = first + connection.read_all(), []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        assert size <= len(data) - start, "a torn frame"
        frames.append((data[0] & 15, data[start:start + size]))
        data = data[start + size:]
    return frames


def close_code(frame):
    return int.from_bytes(frame[1][:2], "big")


def test_who_never_reads_is_sent_away_and_others_get_everything(site, counted, unique):
    url = site.websocket_url(f"/channels/groups/{unique}")
    with Raw(site.port) as deaf, WebSocket(url) as good, EventStream(f"{site.address}/channels/groups/{unique}") as stream:
        deaf.send(handshake(f"/channels/groups/{unique}", f"127.0.0.1:{site.port}"))
        deaf.read_until(b"\r\n\r\n")
        published = 0
        while counted("carillon_gateway_slow_closes_total") == 0:
            site.publish(unique, f"{published}:" + "x" * 150_000)
            published += 1
            assert good.json().startswith(f"{published - 1}:") and stream.json().startswith(f"{published - 1}:")
            assert published < 500, "the kernel took everything"
        frames = read_frames(deaf)
    # It may still read what had left for it, whole frames only, and is told why it must go.
    assert close_code(frames[-1]) == 3008 and frames[-1][0] == 0x8
    assert 0 < len(frames) - 1 < published
    assert counted("carillon_gateway_slow_closes_total") == 1


# Browsers that break the protocol

MASK = b"\1\2\3\4"


def frame(head, payload=b"", *, mask=MASK):
    """A frame with its first byte as given."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65_536 else \
        b"\x7f" + size.to_bytes(8, "big")
    if mask is None:
        return bytes([head]) + length + payload
    masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(payload))
    return bytes([head]) + bytes([length[0] | 0x80]) + length[1:] + mask + masked


@pytest.mark.parametrize("name, data, code", [
    ("not masked", frame(0x81, b"{}", mask=None), 1002),
    ("a reserved bit", frame(0xC1, b"{}"), 1002),
    ("an unknown opcode", frame(0x83), 1002),
    ("a fragmented ping", frame(0x09), 1002),
    ("a long ping", frame(0x89, b"x" * 126), 1002),
    ("a continuation of nothing", frame(0x80, b"x"), 1002),
    ("text that is not UTF-8", frame(0x81, b"\xff\xfe"), 1007),
    ("a message too big", frame(0x81, b"x" * 70_000), 1009),
    ("a length beyond all bounds", b"\x81\xff" + b"\x7f" + b"\xff" * 7 + MASK, 1009),
    ("a close code nobody may send", frame(0x88, (1005).to_bytes(2, "big")), 1002),
])
def test_a_browser_that_breaks_the_protocol_is_told(site, counted, unique, name, data, code):
    with Raw(site.port) as browser:
        browser.send(handshake(f"/channels/groups/{unique}", f"127.0.0.1:{site.port}"))
        browser.read_until(b"\r\n\r\n")
        browser.send(data)
        assert close_code(read_frames(browser)[-1]) == code
    assert counted("carillon_gateway_protocol_errors_total") == 1


def test_a_browser_that_says_too_much_is_told(site, counted, unique):
    with WebSocket(site.websocket_url(f"/channels/groups/{unique}")) as browser:
        for number in range(200):
            try:
                browser.send(str(number))
            except Exception:
                break
        assert browser.close_code()[0] == 1008
    assert counted("carillon_gateway_rate_closes_total") == 1


@pytest.mark.parametrize("change, status", [
    ((b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 12"), 426),
    ((b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Key: short"), 400),
    ((b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""), 400),
    ((b"GET /channels/groups/", b"POST /channels/groups/"), 405),
    ((b"/channels/groups/", b"/channels/nowhere/"), 404),
    ((b"Host: ", b"Host : "), 400),
    ((b"Connection: Upgrade\r\n", b"Connection: Upgrade\r\n folded\r\n"), 400),
])
def test_a_malformed_handshake_is_told(site, counted, change, status):
    data = handshake("/channels/groups/x", f"127.0.0.1:{site.port}")
    assert change[0] in data
    with Raw(site.port) as browser:
        browser.send(data.replace(*change))
        assert browser.read_all().startswith(b"HTTP/1.1 %d " % status)
    assert counted("carillon_gateway_bad_requests_total") == 1


# Requests that are none


@pytest.mark.parametrize("lines, status", [
    ([b"POST /jobs HTTP/1.1", b"Host: x", b"Content-Length: 4", b"Transfer-Encoding: chunked", b"", b"0\r\n\r\n"], 400),
    ([b"POST /jobs HTTP/1.1", b"Host: x", b"Content-Length: 4", b"Content-Length: 5", b"", b"aaaaa"], 400),
    ([b"GET / HTTP/1.1", b"Host: x", b"Host: y", b"", b""], 400),
    ([b"GET / HTTP/1.1", b"Host : x", b"", b""], 400),
    ([b"GET / HTTP/1.1", b"Host: x", b"A: b", b" folded", b"", b""], 400),
    ([b"GET / HTTP/1.1\nHost: x\n\n"], 400),
    ([b"GET / HTTP/1.1", b"Host: x", b"A: " + b"x" * 100_000, b"", b""], 431),
    ([b"GET /" + b"x" * 100_000 + b" HTTP/1.1", b"Host: x", b"", b""], 414),
    ([b"POST /jobs HTTP/1.1", b"Host: x", b"Transfer-Encoding: chunked", b"", b"zz\r\n"], 400),
    ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"", b""], 400),
    ([b"GET / HTTP/9.9", b"Host: x", b"", b""], 505),
])
def test_a_request_that_is_none_is_refused_and_the_connection_closed(site, counted, lines, status):
    with Raw(site.port) as browser:
        browser.send(b"\r\n".join(lines))
        answer = browser.read_all()
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert answer.count(b"\r\n\r\n") == 1
    assert counted("carillon_router_refused_total") == 1


# Publications that cannot be


def publish(site, body):
    return ask("POST", site.address + "/api/publish", body=body, headers={"X-API-Key": KEY})


@pytest.mark.parametrize("body, status, code", [
    (b"", 400, None),
    (b"no json", 400, None),
    (b'{"channel": "x", "data": ', 400, None),
    (b'{"channel": "x", "data": 1} 2', 400, None),
    (b'{"channel": "x", "data": \xff}', 400, None),
    (b'{"channel": "x", "data": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, None),
    (b'{"channel": "x", "data": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}", 400, None),
    (b'[1, 2]', 400, None),
    (b'{"channel": 1, "data": 1}', 400, None),
    (b'{"channel": "x"}', 200, 107),
    (b'{"channel": "no name", "data": 1}', 200, 107),
    (b'{"channel": "' + b"x" * 200 + b'", "data": 1}', 200, 107),
    (b'{"channel": "x", "b64data": "not base 64"}', 200, 107),
])
def test_a_publication_that_cannot_be_is_told(site, counted, body, status, code):
    answer = publish(site, body)
    assert answer.status == status, answer
    assert code is None or answer.json["error"]["code"] == code
    assert counted("carillon_api_errors_total") == 1


def test_a_huge_publication_is_refused_before_it_is_read(site, counted):
    answer = publish(site, b'{"channel": "x", "data": "' + b"x" * 1_000_000 + b'"}')
    assert answer.status == 413
    assert counted("carillon_workers_malformed_requests_total") == 1


def test_many_guesses_of_a_key_are_counted(site, counted):
    for number in range(20):
        headers = {"X-API-Key": base64.b64encode(bytes([number])).decode()}
        assert ask("POST", site.address + "/api/publish", json={"channel": "x", "data": 1}, headers=headers).status == 401
    assert counted("carillon_api_denied_total") == 20


def test_more_jobs_than_there_are_places_for_are_told_when_to_come_back(site):
    jobs = [open_request("POST", site.address + "/jobs", body=b"") for _ in range(6)]
    try:
        refused = [response for _, response in jobs if response.status == 503]
        assert len(refused) == 2 and all(int(response.headers["Retry-After"]) > 0 for response in refused)
    finally:
        for connection, response in jobs:
            response.close()
            connection.close()
    wait_for(lambda: site.metric("carillon_workers_busy_threads") == 0, "the jobs end")
