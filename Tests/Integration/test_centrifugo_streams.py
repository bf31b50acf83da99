"""The client protocol without WebSocket: streams whose browser says everything else in requests of their own, at any gateway."""

import contextlib
import http.client
import json
import urllib.parse

import pytest

from sites import Site
from waiting import LIMIT, wait_for

OPEN = {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True, "allow_publish_for_subscriber": True}
CENTRIFUGO = {
    "allow_anonymous_connect_without_token": True,
    "transports": ["websocket", "http_stream", "sse", "uni_http_stream", "uni_sse", "init"],
    "without_namespace": OPEN,
}


@pytest.fixture(scope="module")
def site(shared):
    """Two gateways over Redis."""
    redis = shared.redis()
    return Site(shared, gateways=2, layer={"backend": "redis", "config": {"hosts": [redis.url]}},
                more={"gateway": {"centrifugo": CENTRIFUGO}})


class Stream:
    """A download that goes on, and the requests beside it."""

    def __init__(self, site, path, body=None):
        self.site = site
        host = urllib.parse.urlsplit(site.address).netloc
        self.connection = http.client.HTTPConnection(host, timeout=LIMIT)
        self.connection.request("POST" if body is not None else "GET", "/channels/connection/" + path, body)
        self.answer = self.connection.getresponse()
        assert self.answer.status == 200
        self.is_events = self.answer.headers["Content-Type"] == "text/event-stream"
        if self.is_events:
            assert self.answer.readline() == b"\r\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answer.close()
        self.connection.close()

    def next(self):
        line = self.answer.readline()
        if not self.is_events:
            return json.loads(line)
        assert line.startswith(b"data: ") and self.answer.readline() == b"\n"
        return json.loads(line[6:])

    def connected(self):
        told = self.next()["connect"]
        self.session, self.node = told["session"], told["node"]
        return told

    def say(self, *commands):
        return say(self.site, {"session": self.session, "node": self.node, "data": "\n".join(map(json.dumps, commands))})


def say(site, body):
    """A request of its own; the answer's status."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(site.address).netloc, timeout=LIMIT)
    try:
        connection.request("POST", "/channels/emulation", json.dumps(body))
        answer = connection.getresponse()
        assert answer.status != 204 or answer.read() == b""
        return answer.status
    finally:
        connection.close()


def opened(site, kind):
    connect = json.dumps({"id": 1, "connect": {}})
    if kind == "sse":
        return Stream(site, "sse?cf_connect=" + urllib.parse.quote(connect))
    return Stream(site, "http_stream", connect)


@pytest.mark.parametrize("kind", ["http_stream", "sse"])
def test_what_a_browser_says_reaches_its_stream_from_any_gateway(site, unique, kind):
    with contextlib.ExitStack() as open_streams:
        # One at each gateway: the next connection goes to the one that has fewer, as far as the router knows by then.
        streams = {}

        def at_both():
            stream = open_streams.enter_context(opened(site, kind))
            streams.setdefault(stream.connected()["node"], stream)
            return len(streams) == 2

        wait_for(at_both, "both gateways have a stream")
        one, two = streams.values()
        for stream in (one, two):
            assert stream.say({"id": 2, "subscribe": {"channel": unique}}) == 204
            assert stream.next() == {"id": 2, "subscribe": {}}
        for number in range(10):
            assert one.say({"id": 3 + number, "publish": {"channel": unique, "data": number}}) == 204
            # Both wait for it, so that the next one is not said before.
            told = [one.next(), one.next()]
            assert {"id": 3 + number, "publish": {}} in told
            assert [each["push"]["pub"]["data"] for each in told if "push" in each] == [number]
            assert two.next()["push"]["pub"]["data"] == number


def test_who_ends_the_download_is_gone_at_once(site, unique):
    with opened(site, "http_stream") as stream:
        stream.connected()
        stream.say({"id": 2, "subscribe": {"channel": unique}})
        stream.next()
        assert sum(gateway.metric("carillon_gateway_connections") for gateway in site.gateways)
    wait_for(lambda: not sum(gateway.metric("carillon_gateway_connections") for gateway in site.gateways), "nobody there")
    assert stream.say({"id": 3, "subscribe": {"channel": unique}}) == 204


@pytest.mark.parametrize("path, body", [("uni_http_stream", "{}"), ("uni_sse?cf_connect=%7B%7D", None)])
def test_who_only_listens_is_told_what_it_is(site, path, body):
    with Stream(site, path, body) as stream:
        told = stream.next()["connect"]
        assert told["session"] and "node" not in told and "pong" not in told


def test_what_is_no_request_is_refused(site):
    node = "0" * 16
    for body, status in [
        ({}, 400), ([], 400), ({"session": "s", "node": node}, 400), ({"session": 1, "node": node, "data": "{}"}, 400),
        ({"session": "s", "node": "n", "data": "{}"}, 404), ({"session": "s", "node": node, "data": "{}"}, 204),
        ({"session": "s", "node": node, "data": "x" * 70_000}, 413),
    ]:
        assert say(site, body) == status, body


def test_no_browser_hears_what_gateways_tell_each_other(site):
    with opened(site, "http_stream") as stream:
        node = stream.connected()["node"]
        for name in ("carillon.control", f"carillon.control.{node}"):
            stream.say({"id": 2, "subscribe": {"channel": name}})
            assert stream.next()["error"]["code"] == 107
            stream.say({"id": 3, "publish": {"channel": name, "data": 1}})
            assert stream.next()["error"]["code"] == 107
