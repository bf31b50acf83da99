"""Browsers answered by an unmodified `runworker` process: it gets their events from a channel of the layer."""

import json
import pathlib
import sys

import pytest

from processes import Process
from servers import Carillon, run
from sites import Site
from sockets import WebSocket

HERE = pathlib.Path(__file__).parent
# What the consumer of django_site answers, and what it says of those who left.
ROUTES = [
    {"path": "/channels/talk/{room}", "authenticate": "anonymous", "groups": [], "receive": {"layer": "talk"}},
    {"path": "/channels/left/", "authenticate": "anonymous", "groups": ["left"]},
]


def layer(hosts, **options):
    return {"backend": "redis", "config": {"hosts": hosts, **options}}


def start_worker(servers, hosts, **options):
    """python manage.py runworker talk"""
    layers = {"default": {"BACKEND": "channels_redis.core.RedisChannelLayer", "CONFIG": {"hosts": hosts, **options}}}
    environment = {"SITE_LAYERS": json.dumps(layers), "SITE_DATABASE": ":memory:", "PYTHONPATH": str(HERE),
                   "DJANGO_SETTINGS_MODULE": "django_site.settings", "PYTHONDONTWRITEBYTECODE": "1"}
    # It need not be ready: what is for it waits in Redis.
    return servers.start(
        Process, [sys.executable, "-m", "django", "runworker", "talk"], environment=environment, name="runworker")


@pytest.fixture(scope="module", params=[{}, {"symmetric_encryption_keys": ["key"], "prefix": "site-"}],
                ids=["plain", "encrypted"])
def site(shared, request):
    redis = shared.redis()
    made = Site(shared, routes=ROUTES, gateways=2, layer=layer([redis.url], **request.param))
    made.redis = redis
    start_worker(shared, [redis.url], **request.param)
    return made


def test_a_worker_is_told_who_came_and_answers(site, unique):
    with site.browser(f"/channels/talk/{unique}%20a?q=1&r=%C3%A9", cookie="sessionid=abc") as browser:
        assert browser.json() == {"path": f"/channels/talk/{unique} a", "query": "q=1&r=%C3%A9",
                                  "cookie": "sessionid=abc", "client": "127.0.0.1", "order": 0}


def test_text_and_bytes_go_there_and_back_in_order(site, unique):
    with site.browser(f"/channels/talk/{unique}", cookie="a=b") as one, \
            site.browser(f"/channels/talk/{unique}", cookie="a=b") as two:
        one.read(), two.read()
        for number in range(1, 21):
            one.send(f"one {number}")
            two.send(bytes([number, 0, 255]))
        assert [one.read() for _ in range(20)] == [f"{number} ONE {number}" for number in range(1, 21)]
        assert [two.read() for _ in range(20)] == [bytes([255, 0, number]) for number in range(1, 21)]


def test_a_worker_closes_with_its_code_and_reason(site, unique):
    with site.browser(f"/channels/talk/{unique}", cookie="a=b") as browser:
        browser.read()
        browser.send("bye")
        assert browser.close_code() == (4000, "as you wish")
    with site.browser(f"/channels/talk/{unique}", cookie="a=b") as browser:
        browser.read()
        browser.send("the old words")
        assert browser.read() == "and out"
        assert browser.close_code()[0] == 1000


def test_a_worker_refuses(site, unique):
    with site.browser(f"/channels/talk/{unique}?refuse", cookie="a=b") as browser:
        assert browser.close_code() == (4403, "not you")


def test_a_worker_puts_browsers_into_groups(site, unique):
    with site.browser(f"/channels/talk/{unique}", cookie="a=b") as one, \
            site.browser(f"/channels/talk/{unique}", cookie="a=b") as two:
        one.read(), two.read()
        # Its answer comes after it has added this one to the group.
        one.send("x"), two.send("x")
        one.read(), two.read()
        one.send("all: hello")
        assert one.read() == two.read() == "all: hello"


def test_a_worker_is_told_who_left(site, unique):
    def heard_of(path):
        """What the worker says of that browser; others may still be leaving."""
        while True:
            left = watcher.json()
            if left["path"] == path:
                return left["code"]

    with site.browser("/channels/left/") as watcher:
        with site.browser(f"/channels/talk/{unique}-1", cookie="a=b") as browser:
            browser.read()
            browser.connection.close(4321)
        assert heard_of(f"/channels/talk/{unique}-1") == 4321
        with site.browser(f"/channels/talk/{unique}-2", cookie="a=b") as browser:
            browser.read()
            browser.connection.socket.shutdown(2)
        assert heard_of(f"/channels/talk/{unique}-2") == 1006


def test_a_gateway_that_stops_tells_the_worker_of_all_who_were_there(servers, site, unique):
    gateway = servers.start(Carillon, "gateway", {
        "channel_layers": site.settings["channel_layers"], "gateway": {"routes": ROUTES, "drain_time": "200ms"}})
    paths = [f"/channels/talk/{unique}-{number}" for number in range(6)]
    with site.browser("/channels/left/") as watcher:
        browsers = [WebSocket(gateway.websocket_url(path), cookie="a=b") for path in paths]
        for browser in browsers:
            browser.read()
        assert gateway.stop() == 0
        left = {}
        while not left.keys() >= set(paths):
            told = watcher.json()
            left[told["path"]] = told["code"]
        assert {left[path] for path in paths} == {1012}
    for browser in browsers:
        browser.close()


def test_who_cannot_be_heard_by_a_worker_is_sent_away_to_come_back(servers, unique):
    """No worker runs, and the channel is full."""
    redis = servers.redis()
    site = Site(servers, routes=ROUTES, layer=layer([redis.url], channel_capacity={"talk": 3}))
    with site.browser(f"/channels/talk/{unique}") as browser:
        browser.send("two")
        browser.send("three")
        browser.send("four")
        assert browser.close_code() == (1013, "busy")


@pytest.mark.parametrize("chosen, wanted", [
    (layer(["redis://127.0.0.1:1"], serializer_format="json"), '"msgpack"'),
    ({"backend": "redis_pubsub", "config": {"hosts": ["redis://127.0.0.1:1"]}}, '"redis"'),
    ({"backend": "rabbitmq", "config": {"host": "amqp://127.0.0.1:1/"}}, '"redis"'),
    ({"backend": "memory"}, '"redis"'),
], ids=["json", "redis_pubsub", "rabbitmq", "memory"])
def test_a_layer_that_cannot_reach_workers_is_a_fault_of_the_settings(servers, chosen, wanted):
    folder = servers.new_folder()
    (folder / "settings.json").write_text(json.dumps(
        {"channel_layers": {"default": chosen}, "gateway": {"routes": ROUTES}}, indent=2))
    for part in ("check", "gateway", "serve"):
        done = run(part, "--settings", folder / "settings.json")
        assert done.returncode == 1, done
        assert "gateway.routes[0].receive.layer" in done.stderr and wanted in done.stderr, done
