"""Thousands of browsers and a Django process that talks to all of them: each hears everything, in order, exactly once.

CARILLON_SCALE=full takes the sizes that Carillon promises where these tests, for their time, take smaller ones.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from listeners import Listeners, compiled
from processes import free_port
from shipped import shipped
from sites import Site

FULL = os.environ.get("CARILLON_SCALE") == "full"

#: Browsers of each of four gateways, and messages.
SOCKETS, MESSAGES = (1_000, 10_000) if FULL else (250, 1_000)

#: Seconds until everything must have been heard: for a machine that does much else.
PATIENCE = 900 if FULL else 240

#: With the capacity that is the default a gateway may not be late by a hundred messages, some 20 ms. When the machine had no
#: time for it, which Django's own layer tells, everything is tried once more.
ATTEMPTS = 3

#: On a few cores nginx gets less of them than four gateways do, and falls behind: all that is sent may wait for it, and
#: pongs come after it. With the defaults a browser that is 8 000 of these messages behind is sent away as slow.
ROOM = {"gateway": {"send_queue_limit": 4 << 20, "ping_interval": "10m", "pong_timeout": "10m"}}

NAMED = {"path": "/channels/updates/{name}", "authenticate": "anonymous", "groups": ["{name}"],
         "rules": [{"type": "user.message", "text": "data"}]}

#: What differs between the layers in Django's CHANNEL_LAYERS.
LAYERS = {
    "redis": ("redis", lambda broker, name: {
        "backend": "channels_redis.core.RedisChannelLayer", "config": {"hosts": [broker.url], "prefix": name}}),
    "redis_pubsub": ("redis", lambda broker, name: {
        "backend": "channels_redis.pubsub.RedisPubSubChannelLayer", "config": {"hosts": [broker.url], "prefix": name}}),
    "rabbitmq": ("rabbitmq", lambda broker, name: {
        "backend": "channels_rabbitmq.core.RabbitmqChannelLayer",
        "config": {"host": broker.url, "groups_exchange": name}}),
}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("load"))


@pytest.fixture
def layer(request, unique):
    """The layer's settings, the same for Django and for Carillon, with all options as they are by default."""
    broker, settings = LAYERS[request.param]
    return settings(request.getfixturevalue(broker), unique)


def django_tells(layer, group, count):
    """A Django process sends numbered messages; gives back the messages per second, and what its layer did not take."""
    place = str(pathlib.Path(__file__).parent)
    layers = {"default": {name.upper(): value for name, value in layer.items()}}
    done = subprocess.run(
        [sys.executable, "-m", "django_site.tell", group, str(count)], capture_output=True, text=True, timeout=PATIENCE,
        env={"PYTHONPATH": place, "PYTHONDONTWRITEBYTECODE": "1", "SITE_LAYERS": json.dumps(layers)})
    assert done.returncode == 0, done.stderr
    # Both layers of Python say when a message was refused, because a hundred wait already.
    return count / float(done.stdout), done.stderr


def through_router(servers, site):
    return site.router.port


def through_nginx(servers, site):
    """nginx straight to the four gateways, as shipped."""
    port = free_port()
    servers.nginx(shipped("nginx/gateways.conf", {
        "listen 80;": f"listen 127.0.0.1:{port};", "127.0.0.1:8080": f"127.0.0.1:{site.worker.port}",
        "/run/nginx.pid": site.folder / "nginx.pid", "/var/log/nginx/error.log notice": "stderr notice",
        "user www-data carillon;": "", "/run/carillon": site.folder}), port)
    return port


@pytest.mark.parametrize("front", [through_router, through_nginx])
@pytest.mark.parametrize("layer", ["redis", "rabbitmq"], indirect=True)
def test_four_gateways_get_everything_in_order_exactly_once(servers, load, layer, front):
    for attempt in range(ATTEMPTS):
        site = Site(servers, routes=[NAMED], gateways=4, layer=layer, more=ROOM)
        sockets = 4 * SOCKETS
        browsers = servers.start(Listeners, load, front(servers, site), "/channels/updates/all", sockets, MESSAGES)
        # Each process of nginx counts for itself, so that it does not divide quite evenly.
        shares = [gateway.metric("carillon_gateway_connections") for gateway in site.gateways]
        assert sum(shares) == sockets and min(shares) > SOCKETS / 2, shares
        rate, refused = django_tells(layer, "all", MESSAGES)
        if not refused:
            break
        assert "over capacity" in refused and attempt < ATTEMPTS - 1, refused
        browsers.kill()
        for process in [site.router, *site.gateways, *site.workers]:
            process.stop()
    counted = browsers.all_heard(PATIENCE)
    print(f"{rate:.0f} messages a second sent, {counted['deliveries']} deliveries in {counted['seconds']:.1f} s")
    for gateway in site.gateways:
        assert gateway.metric("carillon_gateway_publications_total") == MESSAGES
        assert gateway.metric("carillon_layer_dropped_messages_total") == 0


@pytest.mark.parametrize("layer", LAYERS, indirect=True)
def test_a_burst_of_ten_thousand_reaches_a_thousand_browsers(servers, load, layer):
    """As fast as Django can."""
    for attempt in range(ATTEMPTS):
        gateway = servers.carillon("gateway", {
            "channel_layers": {"default": layer}, "gateway": {"routes": [NAMED], "drain_time": "200ms"}})
        browsers = servers.start(Listeners, load, gateway.port, "/channels/updates/all", 1_000, 10_000)
        rate, refused = django_tells(layer, "all", 10_000)
        if not refused:
            break
        assert "over capacity" in refused and attempt < ATTEMPTS - 1, refused
        browsers.kill()
        gateway.stop()
    counted = browsers.all_heard(PATIENCE)
    print(f"{rate:.0f} messages a second sent, {counted['deliveries']} deliveries in {counted['seconds']:.1f} s")
    assert gateway.metric("carillon_layer_dropped_messages_total") == 0
    assert gateway.metric("carillon_gateway_slow_closes_total") == 0
