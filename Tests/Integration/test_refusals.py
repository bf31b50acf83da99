"""Why somebody is not let in: a code in the log, and in the answer to who asks on the host itself."""

import json

import pytest
from websockets.exceptions import InvalidStatus

from processes import free_port
from servers import run
from sites import Site
from sockets import EventStream, Raw, ask
from waiting import wait_for

ROUTES = [
    {"path": "/channels/open/", "authenticate": "anonymous", "groups": ["open"]},
    {"path": "/channels/asked/", "authenticate": {"worker": "/whoami"}, "groups": ["open"]},
    {"path": "/channels/signed/", "groups": ["open"],
     "authenticate": {"jwt": {"keys": [{"algorithm": "HS256", "secret": "x" * 32}]}}},
    {"path": "/channels/named/", "authenticate": "anonymous", "groups": ["of-{query.name}"]},
    {"path": "/channels/crowded/", "authenticate": "anonymous", "groups": ["open"], "otherwise": "json"},
]


@pytest.fixture(scope="module")
def site(shared):
    return Site(shared, routes=ROUTES, workers=0, upstreams=[f"http://127.0.0.1:{free_port()}"], more={
        "log": {"level": "info"}, "router": {"trusted_proxies": ["127.0.0.9"]},
        "gateway": {"trusted_proxies": ["127.0.0.9"], "connections_per_address": 3}})


def refusal(site, path, **options):
    """The answer to a WebSocket that is not let in."""
    with pytest.raises(InvalidStatus) as refused:
        site.browser(path, **options).close()
    return refused.value.response


def is_logged(process, reason, again):
    """Asks `again` when the log left the line out, as it does when there are many."""
    def is_there():
        if f"reason={reason}" not in process.log_text():
            again()
        return f"reason={reason}" in process.log_text()

    wait_for(is_there, f"{reason} in the log of {process.name}", pause=0.3)


@pytest.mark.parametrize("path, options, status, reason", [
    ("/channels/open/", {"origin": "https://elsewhere.example"}, 403, "origin"),
    ("/channels/asked/", {}, 503, "authentication_unavailable"),
    ("/channels/signed/", {}, 403, "unauthenticated"),
    ("/channels/signed/?token=no.real.one", {}, 403, "bad_credentials"),
    ("/channels/named/?name=not%20valid", {}, 403, "invalid_group"),
    ("/channels/none/", {}, 404, "no_route"),
])
def test_a_refused_browser_has_its_reason_in_the_log_and_on_the_host_in_the_answer(site, path, options, status, reason):
    answer = refusal(site, path, **options)
    assert (answer.status_code, answer.headers["X-Carillon-Reason"]) == (status, reason)
    is_logged(site.gateway, reason, lambda: refusal(site, path, **options))
    with EventStream(site.address + path, headers={"Origin": options.get("origin", site.address)}) as stream:
        assert (stream.status, stream.response.headers["X-Carillon-Reason"]) == (status, reason)


def test_too_many_are_told_so(site):
    there = [site.browser("/channels/crowded/") for _ in range(3)]
    answer = refusal(site, "/channels/crowded/")
    assert (answer.status_code, answer.headers["X-Carillon-Reason"]) == (429, "address_limit")
    is_logged(site.gateway, "address_limit", lambda: refusal(site, "/channels/crowded/"))
    for browser in there:
        browser.close()


@pytest.mark.parametrize("fields, status, reason", [
    ({"Upgrade": "x"}, 426, "no_stream"),
    ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "8"}, 426, "wrong_version"),
    ({"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}, 400, "bad_handshake"),
    ({"Upgrade": "websocket"}, 400, "bad_handshake"),
])
def test_a_handshake_that_is_none_is_told_what_it_lacks(site, fields, status, reason):
    def again():
        return ask("GET", site.address + "/channels/open/", headers=fields)

    answer = again()
    assert (answer.status, answer.headers["X-Carillon-Reason"]) == (status, reason)
    is_logged(site.gateway, reason, again)


def test_the_router_tells_too(site):
    answer = ask("GET", site.address + "/")
    assert (answer.status, answer.headers["X-Carillon-Reason"]) == (502, "unreachable")
    def again():
        with Raw(site.router.port) as raw:
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")
            assert b"X-Carillon-Reason: bad_framing\r\n" in raw.read_all()

    again()
    is_logged(site.router, "bad_framing", again)
    trace = ask("TRACE", site.address + "/")
    assert (trace.status, trace.headers["X-Carillon-Reason"]) == (405, "method_not_taken")
    assert "GET" in trace.headers["Allow"]


@pytest.mark.parametrize("path", ["/channels/signed/", "/channels/none/", "/"])
def test_nobody_elsewhere_is_told(site, path):
    """Visitors of a proxy on this host, trusted or not: they learn the status and no more."""
    for source, field in [("127.0.0.9", "X-Forwarded-For"), ("127.0.0.1", "X-Forwarded-For"), ("127.0.0.1", "Forwarded")]:
        answer = ask("GET", site.address + path, source_address=(source, 0), headers={
            field: "192.0.2.7" if field != "Forwarded" else "for=192.0.2.7", "Accept": "text/event-stream"})
        assert answer.status in (403, 404, 502)
        assert "X-Carillon-Reason" not in answer.headers


def test_a_gateway_that_is_gone_is_told(servers):
    site = Site(servers, routes=ROUTES)
    site.gateway.kill()
    answer = refusal(site, "/channels/open/")
    assert (answer.status_code, answer.headers["X-Carillon-Reason"]) == (503, "unreachable")


@pytest.mark.parametrize("backend, config, text", [
    ("redis", {"hosts": ["redis://127.0.0.1:{port}/0"]}, "127.0.0.1:{port}"),
    ("rabbitmq", {"host": "amqp://guest:guest@127.0.0.1:{port}/"}, "RabbitMQ at amqp://127.0.0.1:{port}"),
])
def test_check_tells_of_a_broker_that_is_not_there(tmp_path, backend, config, text):
    port = free_port()
    layer = json.loads(json.dumps({"backend": backend, "config": config}).replace("{port}", str(port)))
    path = tmp_path / "settings.json"
    path.write_text(json.dumps({"channel_layers": {"default": layer}}))
    done = run("check", path)
    assert done.returncode == 1
    assert "the channel layer cannot be reached" in done.stderr
    assert text.replace("{port}", str(port)) in done.stderr


def test_check_tells_of_a_broker_that_lets_nobody_in(servers, rabbitmq, tmp_path):
    redis = servers.redis("--requirepass", "secret")
    brokers = [
        ({"backend": "redis", "config": {"hosts": [redis.url]}}, "NOAUTH"),
        ({"backend": "rabbitmq", "config": {"host": rabbitmq.url.replace("guest:guest", "guest:wrong")}}, "password"),
        ({"backend": "rabbitmq", "config": {"host": rabbitmq.url.replace("%2F", "nowhere")}}, "rabbitmqctl add_vhost"),
    ]
    path = tmp_path / "settings.json"
    for layer, text in brokers:
        path.write_text(json.dumps({"channel_layers": {"default": layer}}))
        done = run("check", path)
        assert done.returncode == 1 and text in done.stderr, done.stderr
    path.write_text(json.dumps({"channel_layers": {"default": {
        "backend": "rabbitmq", "config": {"host": rabbitmq.url}}}}))
    assert run("check", path).returncode == 0
