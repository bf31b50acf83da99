"""The server API with its real client library, cent 5.2.0: every method, over every layer, against several gateways."""

import asyncio
import itertools
import json

import pytest
from cent import (
    AsyncClient, BatchRequest, BoolValue, BroadcastRequest, CentApiResponseError, CentTransportError,
    CentUnauthorizedError, ChannelOptionsOverride, ChannelsRequest, Client, ConnectionsRequest, Disconnect,
    DisconnectRequest, HistoryRemoveRequest, HistoryRequest, InfoRequest, PresenceRequest, PresenceStatsRequest,
    PublishRequest, RefreshRequest, StreamPosition, SubscribeRequest, UnsubscribeRequest)

from servers import KEY, run
from sites import Site
from sockets import WebSocket
from waiting import LIMIT, wait_for

SECRET = "a secret that is long enough to be one"
SETTINGS = {
    "gateway": {"drain_time": "200ms", "centrifugo": {
        "token": {"keys": [{"algorithm": "HS256", "secret": SECRET}]},
        "without_namespace": {"allow_subscribe_for_client": True},
        "namespaces": [
            {"name": "kept", "allow_subscribe_for_client": True, "history_size": 3, "history_ttl": "60s",
             "presence": True},
            {"name": "plain", "allow_subscribe_for_client": True},
        ],
    }},
    "api": {"keys": ["${CARILLON_API_KEY}"]},
}
PATH = "/channels/connection/websocket"
LAYERS = {
    "redis": lambda broker, name: {"backend": "redis", "config": {"hosts": [broker.url], "prefix": name}},
    "rabbitmq": lambda broker, name: {"backend": "rabbitmq", "config": {"host": broker.url, "groups_exchange": name}},
}
_names = itertools.count()


class Place:
    """Where browsers and backends go, whatever processes are behind it."""

    def __init__(self, address, doors, settings):
        self.api = f"{address}/api"
        self.client = Client(self.api, KEY, timeout=LIMIT)
        self.doors = doors
        self.settings = settings

    def browser(self, user, door=0):
        return Browser(self.doors[door % len(self.doors)], self.token(user))

    def token(self, user):
        done = run("token", "--settings", self.settings, "--user", user)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module", params=["memory", "redis", "rabbitmq"])
def place(request, shared):
    """`serve` with its memory layer, or two gateways, a worker and a router over a broker."""
    if request.param == "memory":
        server = shared.carillon("serve", SETTINGS)
        return Place(server.address, [server.websocket_url(PATH)], server.folder / "settings.json")
    layer = LAYERS[request.param](request.getfixturevalue(request.param), f"cent{next(_names)}")
    site = Site(shared, gateways=2, layer=layer, more=SETTINGS)
    doors = [site.router.websocket_url(PATH)]
    made = Place(site.address, doors, site.path)
    # Each hand-over goes to the gateway with the fewest connections, so that browsers are on both.
    wait_for(lambda: len(made.client.info(InfoRequest()).nodes) == 2, "both gateways are there")
    return made


class Browser:
    """One connection of the client protocol, as JSON."""

    def __init__(self, url, token):
        self.socket = WebSocket(url, origin=None)
        self.ids = itertools.count(1)
        self.pushes = []
        self.client = self.command("connect", token=token)["client"]

    def command(self, method, **fields):
        """Sends a command; gives back the result of its reply. Pushes that come before it are kept."""
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, method: fields}))
        while True:
            for line in self.socket.read().splitlines():
                said = json.loads(line)
                if said.get("id") == number:
                    assert method in said, said
                    return said[method]
                self.pushes.append(said)

    def subscribe(self, channel):
        self.command("subscribe", channel=channel)
        return self

    def push(self):
        """The next push; pings are answered."""
        while True:
            while self.pushes:
                said = self.pushes.pop(0)
                if "push" in said:
                    return said["push"]
                self.socket.send("{}")
            self.pushes += [json.loads(line) for line in self.socket.read().splitlines()]

    def close_code(self):
        return self.socket.close_code()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def refused(action, *arguments):
    """The code and text of the error that is answered."""
    with pytest.raises(CentApiResponseError) as caught:
        action(*arguments)
    return caught.value.code, caught.value.message


def test_what_is_published_reaches_subscribers_everywhere(place, unique):
    with place.browser("1") as one, place.browser("2") as two:
        for browser in one, two:
            browser.subscribe(unique)
        result = place.client.publish(PublishRequest(channel=unique, data={"t": "é"}, tags={"a": "1"}))
        assert not result.offset and not result.epoch
        for browser in one, two:
            push = browser.push()
            assert push["channel"] == unique and push["pub"]["data"] == {"t": "é"}


def test_a_broadcast_reaches_each_channel(place, unique):
    channels = [f"plain:{unique}", f"kept:{unique}"]
    with place.browser("1") as browser:
        for channel in channels:
            browser.subscribe(channel)
        done = place.client.broadcast(BroadcastRequest(channels=[*channels, "", "nope:x"], data=[1, 2]))
        plain, kept, unnamed, unknown = done.responses
        assert plain.error is None and not plain.result.offset
        assert kept.result.offset == 1 and kept.result.epoch
        assert (unnamed.error.code, unnamed.error.message) == (107, "bad request")
        assert (unknown.error.code, unknown.error.message) == (102, "unknown channel")
        assert {browser.push()["channel"] for _ in channels} == set(channels)
    assert refused(place.client.broadcast, BroadcastRequest(channels=[], data=1)) == (107, "bad request")


def test_history_is_kept_read_and_removed(place, unique):
    channel = f"kept:{unique}"
    positions = [place.client.publish(PublishRequest(channel=channel, data={"n": n})) for n in range(5)]
    assert [position.offset for position in positions] == [1, 2, 3, 4, 5]
    assert len({position.epoch for position in positions}) == 1
    epoch = positions[0].epoch

    def read(**options):
        page = place.client.history(HistoryRequest(channel=channel, **options))
        assert (page.offset, page.epoch) == (5, epoch)
        return [(publication.offset, publication.data["n"]) for publication in page.publications]

    assert read() == []
    assert read(limit=-1) == [(3, 2), (4, 3), (5, 4)]
    assert read(limit=1, reverse=True) == [(5, 4)]
    assert read(limit=-1, since=StreamPosition(offset=4, epoch=epoch)) == [(5, 4)]
    assert read(limit=2, since=StreamPosition(offset=5, epoch=epoch), reverse=True) == [(4, 3), (3, 2)]
    strange = HistoryRequest(channel=channel, limit=-1, since=StreamPosition(offset=1, epoch="other"))
    assert refused(place.client.history, strange) == (112, "unrecoverable position")
    place.client.history_remove(HistoryRemoveRequest(channel=channel))
    assert read(limit=-1) == []
    assert place.client.publish(PublishRequest(channel=channel, data={"n": 5})).offset == 6
    assert refused(place.client.history, HistoryRequest(channel=f"plain:{unique}")) == (108, "not available")
    assert refused(place.client.history_remove, HistoryRemoveRequest(channel=unique)) == (108, "not available")


def test_a_publication_may_pass_be_idempotent_and_have_a_version(place, unique):
    channel = f"kept:{unique}"
    with place.browser("1") as browser:
        browser.subscribe(channel)
        assert not place.client.publish(PublishRequest(channel=channel, data=0, skip_history=True)).offset
        once = [place.client.publish(PublishRequest(channel=channel, data=1, idempotency_key="k")) for _ in range(2)]
        assert [result.offset for result in once] == [1, 1]
        for version in 7, 6, 8:
            place.client.publish(PublishRequest(channel=channel, data=version, version=version, version_epoch="v"))
        assert [browser.push()["pub"]["data"] for _ in range(4)] == [0, 1, 7, 8]


def test_nobody_is_present_where_nobody_is(place, unique):
    channel = f"kept:{unique}"
    assert place.client.presence(PresenceRequest(channel=channel)).presence == {}
    stats = place.client.presence_stats(PresenceStatsRequest(channel=channel))
    assert (stats.num_clients, stats.num_users) == (0, 0)
    for method, question in [(place.client.presence, PresenceRequest), (place.client.presence_stats, PresenceStatsRequest)]:
        assert refused(method, question(channel=unique)) == (108, "not available")
        assert refused(method, question(channel="nope:x")) == (102, "unknown channel")
        assert refused(method, question(channel="")) == (107, "bad request")


def test_channels_and_nodes_are_counted_over_all_gateways(place, unique):
    with place.browser("1") as one, place.browser("2") as two:
        one.subscribe(f"plain:{unique}").subscribe(f"kept:{unique}")
        two.subscribe(f"plain:{unique}")
        found = place.client.channels(ChannelsRequest(pattern=f"*:{unique}")).channels
        assert {name: info.num_clients for name, info in found.items()} == {f"plain:{unique}": 2, f"kept:{unique}": 1}
        assert place.client.channels(ChannelsRequest(pattern=f"{unique}:*")).channels == {}
        assert f"kept:{unique}" in place.client.channels(ChannelsRequest()).channels
        nodes = place.client.info(InfoRequest()).nodes
        assert len({node.uid for node in nodes}) == len(nodes)
        assert sum(node.num_clients for node in nodes) == 2
        assert sum(node.num_subs for node in nodes) == 3
        assert all(node.name and node.version and node.uptime >= 0 for node in nodes)


def test_connections_of_a_user_are_told(place, unique):
    with place.browser(unique) as one, place.browser(unique) as two, place.browser("other"):
        found = place.client.connections(ConnectionsRequest(user=unique, expression="")).connections
        assert set(found) == {one.client, two.client}
        assert {(info.user, info.transport, info.protocol) for info in found.values()} == {(unique, "websocket", "json")}


def test_a_user_is_disconnected_everywhere_but_where_it_is_spared(place, unique):
    with place.browser(unique) as one, place.browser(unique) as two, place.browser(unique) as spared:
        place.client.disconnect(DisconnectRequest(
            user=unique, whitelist=[spared.client], disconnect=Disconnect(code=4000, reason="bye")))
        assert one.close_code() == two.close_code() == (4000, "bye")
        place.client.disconnect(DisconnectRequest(user=unique))
        assert spared.close_code() == (3503, "force disconnect")
    assert refused(place.client.disconnect, DisconnectRequest(
        user=unique, disconnect=Disconnect(code=1000, reason="no"))) == (107, "bad request")


def test_one_connection_of_a_user_is_disconnected(place, unique):
    with place.browser(unique) as one, place.browser(unique) as two:
        place.client.disconnect(DisconnectRequest(user=unique, client=two.client))
        assert two.close_code() == (3503, "force disconnect")
        one.subscribe(unique)


def test_a_connection_that_is_said_to_be_expired_is_closed(place, unique):
    with place.browser(unique) as browser:
        place.client.refresh(RefreshRequest(user=unique, expired=True))
        assert browser.close_code() == (3005, "connection expired")


def test_a_user_is_subscribed_and_unsubscribed(place, unique):
    channel = f"kept:{unique}"
    with place.browser(unique) as one, place.browser(unique) as two:
        place.client.subscribe(SubscribeRequest(
            user=unique, channel=channel, info={"role": "mod"}, data={"hello": 1},
            override=ChannelOptionsOverride(presence=BoolValue(value=True))))
        for browser in one, two:
            push = browser.push()
            assert push["channel"] == channel and push["subscribe"]["data"] == {"hello": 1}
        place.client.publish(PublishRequest(channel=channel, data="to both"))
        assert [browser.push()["pub"]["data"] for browser in (one, two)] == ["to both"] * 2
        place.client.unsubscribe(UnsubscribeRequest(user=unique, channel=channel))
        for browser in one, two:
            assert browser.push() == {
                "channel": channel, "unsubscribe": {"code": 2000, "reason": "server unsubscribe"}}
    for action, question in [(place.client.subscribe, SubscribeRequest), (place.client.unsubscribe, UnsubscribeRequest)]:
        assert refused(action, question(user=unique, channel="nope:x")) == (102, "unknown channel")


def test_a_batch_is_answered_in_its_order(place, unique):
    for parallel in False, True:
        channel = f"kept:{unique}{parallel}"
        replies = place.client.batch(BatchRequest(parallel=parallel, requests=[
            PublishRequest(channel=channel, data={}), PresenceStatsRequest(channel=channel), InfoRequest(),
            BroadcastRequest(channels=[channel, "nope:x"], data=1), ChannelsRequest(),
            DisconnectRequest(user="nobody"), HistoryRemoveRequest(channel=channel)])).replies
        assert replies[0].offset == 1 and replies[1].num_clients == 0 and replies[2].nodes
        assert replies[3].responses[1].error.code == 102 and len(replies) == 7


def test_errors_are_those_that_the_library_knows(place, unique):
    assert refused(place.client.publish, PublishRequest(channel=unique, data=None)) == (107, "bad request")
    assert refused(place.client.publish, PublishRequest(channel="", data={})) == (107, "bad request")
    assert refused(place.client.publish, PublishRequest(channel="nope:x", data={})) == (102, "unknown channel")
    with pytest.raises(CentUnauthorizedError):
        Client(place.api, "wrong", timeout=LIMIT).info(InfoRequest())
    with pytest.raises(CentTransportError) as caught:
        Client(f"{place.api}/nowhere", KEY, timeout=LIMIT).info(InfoRequest())
    assert caught.value.status_code == 404


def test_the_asynchronous_client_is_served_alike(place, unique):
    async def talk():
        client = AsyncClient(place.api, KEY, timeout=LIMIT)
        try:
            channel = f"kept:{unique}"
            assert (await client.publish(PublishRequest(channel=channel, data="é"))).offset == 1
            page = await client.history(HistoryRequest(channel=channel, limit=1))
            assert page.publications[0].data == "é"
            assert len((await client.info(InfoRequest())).nodes) >= 1
            await asyncio.gather(*[client.publish(PublishRequest(channel=channel, data=n)) for n in range(20)])
            assert (await client.history(HistoryRequest(channel=channel))).offset == 21
        finally:
            await client.close()

    asyncio.run(talk())
