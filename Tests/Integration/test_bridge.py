"""Groups of unmodified Python as channels with a history, on two gateways: kept once, in order, recovered after a
reconnect, while Python's own consumers hear each message once."""

import asyncio
import json

import pytest
from channels_rabbitmq.core import RabbitmqChannelLayer

import channels_peer
from servers import Carillon
from sockets import WebSocket
from test_centrifugo import PATH, aside
from waiting import LIMIT, wait_for

# channels_rabbitmq 4.0.1 checks names in a way that channels 4.3 calls deprecated, once per call.
pytestmark = pytest.mark.filterwarnings("ignore:valid_.*:DeprecationWarning")

KEPT = {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True, "history_size": 500,
        "history_ttl": "10m", "force_recovery": True, "data_key": "n"}
CENTRIFUGO = {
    "allow_anonymous_connect_without_token": True,
    "without_namespace": KEPT, "namespaces": [{"name": "room", **KEPT}],
    "bridge": {"groups": [{"group": "chat-*", "channel": "room:*"}], "always": ["alerts", "chat-always"]},
}
COUNT = 150
LIMIT_OF_ALL = 240


class RedisPeer:
    """A consumer and a sender of channels_redis, in a process of its own."""

    def __init__(self, url):
        self._peer = channels_peer.Peer([url], {"capacity": 1_000})

    async def __aenter__(self):
        self._peer.__enter__()
        self._channel = await aside(self._peer.new_channel)
        return self

    async def __aexit__(self, *_):
        self._peer.__exit__()

    async def join(self, group):
        await aside(self._peer.group_add, group, self._channel)

    async def send(self, group, message):
        await aside(self._peer.group_send, group, message)

    async def receive(self):
        return await aside(self._peer.receive, self._channel)


class RabbitMQPeer:
    """The same of channels_rabbitmq."""

    def __init__(self, url):
        self._layer = RabbitmqChannelLayer(host=url, local_capacity=1_000)

    async def __aenter__(self):
        self._channel = await self._layer.new_channel()
        return self

    async def __aexit__(self, *_):
        await self._layer.close()

    async def join(self, group):
        await self._layer.group_add(group, self._channel)

    async def send(self, group, message):
        await self._layer.group_send(group, message)

    async def receive(self):
        return await asyncio.wait_for(self._layer.receive(self._channel), LIMIT)


class TwoGateways:
    """Two gateways over one broker, each at a port of its own."""

    def __init__(self, servers, layer, peer):
        settings = {"channel_layers": {"default": layer}, "gateway": {
            # A follower answers no pings.
            "centrifugo": CENTRIFUGO, "drain_time": "200ms", "ping_interval": "1h", "pong_timeout": "1h"}}
        self.gateways = [servers.start(Carillon, "gateway", settings) for _ in range(2)]
        self.peer = peer


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def site(request, shared):
    if request.param == "redis":
        broker = shared.redis()
        layer = {"backend": "redis", "config": {"hosts": [broker.url]}}
        peer = RedisPeer
    else:
        broker = request.getfixturevalue("rabbitmq")
        layer = {"backend": "rabbitmq", "config": {"host": broker.url}}
        peer = RabbitMQPeer
    return TwoGateways(shared, layer, lambda: peer(broker.url))


class Follower:
    """One subscriber, at a gateway of its own."""

    def __init__(self, gateway, channel, since=None):
        self._socket = WebSocket(gateway.websocket_url(PATH))
        recovery = {} if since is None else {"recover": True, "offset": since[0], "epoch": since[1]}
        self._socket.send(json.dumps({"id": 1, "connect": {}}) + "\n"
                          + json.dumps({"id": 2, "subscribe": {"channel": channel, **recovery}}))
        self.heard, self.offsets = [], []
        self.subscribed = None
        while self.subscribed is None:
            self._read()

    def _read(self):
        for line in self._socket.read().split("\n"):
            reply = json.loads(line)
            assert "error" not in reply, reply
            if "subscribe" in reply:
                self.subscribed = reply["subscribe"]
                self.epoch = self.subscribed["epoch"]
                for publication in self.subscribed.get("publications", []):
                    self._take(publication)
            elif publication := reply.get("push", {}).get("pub"):
                self._take(publication)

    def _take(self, publication):
        self.heard.append(publication["data"])
        self.offsets.append(publication["offset"])

    def hear(self, count):
        while len(self.heard) < count:
            self._read()

    def close(self):
        self._socket.close()


def run(test):
    asyncio.run(asyncio.wait_for(test, LIMIT_OF_ALL))


def test_a_group_is_kept_once_and_in_order(site, unique):
    async def test():
        followers = [await aside(Follower, gateway, unique) for gateway in site.gateways]
        async with site.peer() as python:
            await python.join(unique)
            # Some contents come more than once.
            numbers = [number % 40 for number in range(COUNT)]
            for number in numbers:
                await python.send(unique, {"type": "news.item", "n": number})
            for follower in followers:
                await aside(follower.hear, COUNT)
                assert follower.heard == numbers
                assert follower.offsets == list(range(1, COUNT + 1))
            # Python hears each once, as it was sent, and then what was sent last.
            await python.send(unique, {"type": "the.end", "n": -1})
            heard = [await python.receive() for _ in range(COUNT + 1)]
            assert heard == [{"type": "news.item", "n": number} for number in numbers] + [{"type": "the.end", "n": -1}]
            # Who comes back gets what was missed, and what comes then.
            followers[0].close()
            more = list(range(100, 120))
            for number in more:
                await python.send(unique, {"type": "news.item", "n": number})
            await aside(followers[1].hear, COUNT + 21)
            back = await aside(Follower, site.gateways[0], unique, (COUNT + 1, followers[0].epoch))
            assert back.subscribed["recovered"] and back.heard == more
            await python.send(unique, {"type": "news.item", "n": 120})
            await aside(back.hear, 21)
            assert back.heard == more + [120] and back.offsets == list(range(COUNT + 2, COUNT + 23))
        for follower in [followers[1], back]:
            follower.close()

    run(test())


def test_a_group_of_another_name_is_kept_too(site, unique):
    async def test():
        followers = [await aside(Follower, gateway, f"room:{unique}") for gateway in site.gateways]
        async with site.peer() as python:
            for number in range(30):
                await python.send(f"chat-{unique}", {"type": "chat.said", "n": number})
        for follower in followers:
            await aside(follower.hear, 30)
            assert follower.heard == list(range(30)) and follower.offsets == list(range(1, 31))
            follower.close()

    run(test())


# The second one is heard in the channel of its own name, too.
@pytest.mark.parametrize("group, channel, channels", [("alerts", "alerts", 1), ("chat-always", "room:always", 2)])
def test_what_nobody_follows_is_kept_where_the_settings_say_so(site, group, channel, channels):
    def kept():
        return sum(gateway.metric("carillon_gateway_bridged_total") for gateway in site.gateways)

    async def test():
        async with site.peer() as python:
            before = kept()
            for number in range(30):
                await python.send(group, {"type": "alert", "n": number})
            await aside(wait_for, lambda: kept() == before + 30 * channels, "all is kept")
        late = await aside(Follower, site.gateways[1], channel, (0, ""))
        assert late.heard == list(range(30)) and late.offsets == list(range(1, 31))
        late.close()

    run(test())


def test_one_gateway_dies_and_the_other_goes_on_keeping(site, unique):
    async def test():
        first, second = [await aside(Follower, gateway, unique) for gateway in site.gateways]
        async with site.peer() as python:
            for number in range(20):
                await python.send(unique, {"type": "news.item", "n": number})
            await aside(first.hear, 20)
            await aside(site.gateways[0].kill)
            for number in range(20, 40):
                await python.send(unique, {"type": "news.item", "n": number % 25})
            await aside(second.hear, 40)
            assert second.heard == list(range(25)) + list(range(15))
            await aside(site.gateways[0].start)
            back = await aside(Follower, site.gateways[0], unique, (20, first.epoch))
            assert back.heard == second.heard[20:]
            await python.send(unique, {"type": "news.item", "n": 40})
            for follower in (second, back):
                await aside(follower.hear, len(follower.heard) + 1)
                assert follower.heard[-1] == 40 and follower.offsets[-1] == 41
                follower.close()
        first.close()

    run(test())
