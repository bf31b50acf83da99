"""Channels that browsers choose, with a real SDK of the Centrifugo client protocol on the other side."""

import asyncio
import json

import pytest
from centrifuge import (
    Client, ClientEventHandler, ClientState, ReplyError, SubscriptionEventHandler, SubscriptionState)

import channels_peer
from servers import run
from sites import Site
from sockets import WebSocket
from waiting import LIMIT, wait_for

SECRET = "a secret that is long enough to be one"
OPEN = {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True, "allow_publish_for_subscriber": True}
CENTRIFUGO = {
    "token": {"keys": [{"algorithm": "HS256", "secret": SECRET}]},
    "allow_anonymous_connect_without_token": True,
    "without_namespace": OPEN,
    "namespaces": [
        {"name": "chat", "allow_subscribe_for_client": True, "allow_publish_for_client": True,
         "allow_user_limited_channels": True},
        {"name": "items", **OPEN, "data_key": "item"},
        {"name": "closed"},
    ],
}
PATH = "/channels/connection/websocket"


@pytest.fixture(scope="module")
def site(shared):
    """A site of two gateways over Redis."""
    redis = shared.redis()
    made = Site(shared, gateways=2, layer={"backend": "redis", "config": {"hosts": [redis.url]}},
                more={"gateway": {"centrifugo": CENTRIFUGO}})
    made.redis = redis
    return made


def token(site, user, *more):
    done = run("token", "--settings", site.path, "--user", user, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Events(ClientEventHandler, SubscriptionEventHandler):
    """All that a client or a subscription hears, in its order."""

    def __init__(self):
        self.queue = asyncio.Queue()

    async def on_publication(self, ctx):
        await self.queue.put(ctx.pub)

    async def on_unsubscribed(self, ctx):
        await self.queue.put(("unsubscribed", ctx.code))

    async def on_connecting(self, ctx):
        await self.queue.put(("connecting", ctx.code))

    async def on_disconnected(self, ctx):
        await self.queue.put(("disconnected", ctx.code))

    async def next(self):
        return await asyncio.wait_for(self.queue.get(), LIMIT)

    async def until(self, wanted):
        while (found := await self.next()) != wanted:
            pass
        return found


class Page:
    """`async with Page(site) as page`: a connected client."""

    def __init__(self, site, **options):
        self.events = Events()
        self.client = Client(site.router.websocket_url(PATH), events=self.events, timeout=LIMIT, proxy=None, **options)

    async def __aenter__(self):
        await self.client.connect()
        await self.client.ready(LIMIT)
        return self

    async def __aexit__(self, *_):
        await self.client.disconnect()

    async def subscribe(self, channel):
        events = Events()
        subscription = self.client.new_subscription(channel, events=events)
        await subscription.subscribe()
        await subscription.ready(LIMIT)
        return subscription, events


def in_a_loop(test):
    """Runs a coroutine as a test."""
    async def to_the_end(*fixtures):
        await asyncio.wait_for(test(*fixtures), 4 * LIMIT)
        # The SDK closes its sockets in tasks of its own.
        if tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(tasks, timeout=LIMIT)

    def runs(site, unique):
        asyncio.run(to_the_end(site, unique))

    runs.__name__, runs.__doc__ = test.__name__, test.__doc__
    return runs


async def aside(function, *arguments):
    """A blocking call, while the clients go on hearing."""
    return await asyncio.to_thread(function, *arguments)


@in_a_loop
async def test_what_the_api_publishes_reaches_subscribers_on_all_gateways(site, unique):
    async with Page(site) as one, Page(site) as two:
        heard = [(await page.subscribe(f"items:{unique}"))[1] for page in (one, two)]
        for number in range(20):
            assert await aside(site.worker.publish, f"items:{unique}", {"n": number, "text": "\u00e9\n"}) == {"result": {}}
        for events in heard:
            assert [(await events.next()).data for _ in range(20)] == [{"n": n, "text": "\u00e9\n"} for n in range(20)]


@in_a_loop
async def test_what_django_sends_to_a_group_reaches_subscribers_of_the_channel(site, unique):
    message = {"type": "news.item", "title": "x", "list": [1, None, True]}
    async with Page(site) as page:
        _, events = await page.subscribe(unique)
        with channels_peer.Peer([site.redis.url], {}) as python:
            await aside(python.group_send, unique, message)
            assert (await events.next()).data == message


@in_a_loop
async def test_the_key_of_a_namespace_is_the_data(site, unique):
    async with Page(site) as page:
        _, events = await page.subscribe(f"items:{unique}")
        with channels_peer.Peer([site.redis.url], {}) as python:
            await aside(python.group_send, f"carillon.channel.items_3A{unique}", {"type": "a", "item": {"id": 7}})
        assert (await events.next()).data == {"id": 7}


@in_a_loop
async def test_clients_publish_to_each_other_and_are_named(site, unique):
    signed = await aside(token, site, "42", "--claim", 'info={"name": "Ann"}')
    async with Page(site, token=signed) as ann, Page(site) as other:
        mine, own = await ann.subscribe(f"chat:{unique}")
        await mine.publish({"text": "hi"})
        publication = await own.next()
        assert publication.data == {"text": "hi"}
        assert publication.info.user == "42" and publication.info.conn_info == {"name": "Ann"}
        _, heard = await other.subscribe(unique)
        subscription, _ = await ann.subscribe(unique)
        await subscription.publish([1])
        assert (await heard.next()).data == [1]


@in_a_loop
async def test_a_plain_route_hears_what_a_client_publishes(site, unique):
    with site.browser(f"/channels/talk/{unique}") as plain:
        async with Page(site) as page:
            subscription, _ = await page.subscribe(f"talk-{unique}")
            await subscription.publish({"a": 1})
            assert await aside(plain.json) == {"a": 1}


@in_a_loop
async def test_who_has_left_hears_nothing_and_may_come_back(site, unique):
    async with Page(site) as page:
        subscription, events = await page.subscribe(unique)
        _, other = await page.subscribe(f"{unique}-other")
        await subscription.unsubscribe()
        assert await events.until(("unsubscribed", 0))
        await aside(site.worker.publish, unique, 1)
        await aside(site.worker.publish, f"{unique}-other", 2)
        assert (await other.next()).data == 2 and events.queue.empty()
        await subscription.subscribe()
        await subscription.ready(LIMIT)
        await aside(site.worker.publish, unique, 3)
        assert (await events.next()).data == 3


@in_a_loop
async def test_what_is_not_allowed_is_said_with_its_code(site, unique):
    async with Page(site) as page:
        for channel, code in [("closed:1", 103), ("nowhere:1", 102), ("chat:1", 103), ("$x", 103), ("a b", 107)]:
            subscription = page.client.new_subscription(channel, events=Events())
            await subscription.subscribe()
            assert (await subscription.events.until(("unsubscribed", code)))
            assert subscription.state == SubscriptionState.UNSUBSCRIBED
        subscription, _ = await page.subscribe(unique)
        for call in (subscription.history, subscription.presence, subscription.presence_stats):
            with pytest.raises(ReplyError) as raised:
                await call()
            assert raised.value.code == 108
        with pytest.raises(ReplyError) as raised:
            await page.client.rpc("method", {})
        assert raised.value.code == 108


@in_a_loop
async def test_a_user_limited_channel_is_for_its_users(site, unique):
    async with Page(site, token=await aside(token, site, "12")) as page:
        _, events = await page.subscribe(f"chat:{unique}#12,57")
        await aside(site.worker.publish, f"chat:{unique}#12,57", "for two")
        assert (await events.next()).data == "for two"
        denied = page.client.new_subscription(f"chat:{unique}#57", events=Events())
        await denied.subscribe()
        assert await denied.events.until(("unsubscribed", 103))


@in_a_loop
async def test_a_token_that_is_none_ends_it_for_good(site, unique):
    events = Events()
    client = Client(site.router.websocket_url(PATH), events=events, token="a.b.c", proxy=None)
    await client.connect()
    assert await events.until(("disconnected", 3500))
    assert client.state == ClientState.DISCONNECTED


@in_a_loop
async def test_a_token_is_renewed_before_it_ends_and_when_it_has(site, unique):
    asked = asyncio.Queue()

    async def get_token():
        await asked.put(None)
        return await aside(token, site, "42", "--expires", "2s")

    # Long over: the gateway says 109, and the client fetches a new one.
    old = await aside(token, site, "42", "--claim", "exp=1000")
    async with Page(site, token=old, get_token=get_token) as page:
        await asyncio.wait_for(asked.get(), LIMIT)
        await asyncio.wait_for(asked.get(), LIMIT)
        _, events = await page.subscribe(unique)
        await aside(site.worker.publish, unique, 1)
        assert (await events.next()).data == 1


def test_a_client_that_breaks_the_protocol_is_told_why(site, unique):
    connect = '{"id":1,"connect":{}}'
    for frames, code in [
        (["{}"], 3501), (["x"], 3501), ([""], 3501), ([connect, connect], 3501), ([connect, '{"send":{}}'], 3508),
        ([connect + "\n" + connect], 3501), ([connect, "{" * 60_000], 3501), ([b"\x02\x08\x01"], 3506),
        ([connect, json.dumps({"id": 2, "subscribe": {"channel": ["x"]}})], 3501),
        ([connect, json.dumps({"id": 2, "publish": {"channel": "x", "data": "x" * 70_000}})], 1009),
        (['{"id":1,"connect":{"token":"x.y.z"}}'], 3500),
    ]:
        with WebSocket(site.router.websocket_url(PATH)) as browser:
            for frame in frames:
                browser.send(frame)
            assert browser.close_code()[0] == code, frames
    with WebSocket(site.router.websocket_url(PATH)) as browser:
        browser.send(connect)
        for number in range(200):
            try:
                browser.send("\n".join([json.dumps({"id": 2, "rpc": {}})] * 50))
            except Exception:
                break
        assert browser.close_code()[0] == 3013


def test_a_thousand_channels_and_long_names_are_bounded(site, unique):
    with WebSocket(site.router.websocket_url(PATH)) as browser:
        browser.send('{"id":1,"connect":{}}')
        browser.read()
        commands = [{"id": number + 2, "subscribe": {"channel": f"{unique}-{number}"}} for number in range(130)]
        commands += [{"id": 140, "subscribe": {"channel": "x" * 200}}, {"id": 141, "subscribe": {"channel": "x" * 60_000}}]
        browser.send("\n".join(json.dumps(command) for command in commands[:-1]))
        replies = {}
        while len(replies) < 131:
            replies.update((reply["id"], reply) for reply in map(json.loads, browser.read().split("\n")))
        assert all(replies[number]["subscribe"] == {} for number in range(2, 130))
        assert [replies[number]["error"]["code"] for number in (130, 131, 140)] == [106, 106, 106]
        browser.send(json.dumps({"id": 142, "unsubscribe": {"channel": f"{unique}-0"}}))
        assert browser.json() == {"id": 142, "unsubscribe": {}}
        browser.send(json.dumps(commands[-1]))
        assert browser.json()["error"]["code"] == 107


@in_a_loop
async def test_a_gateway_that_stops_sends_its_clients_to_another(site, unique):
    async with Page(site) as page:
        _, events = await page.subscribe(unique)
        def held():
            return [each.metric("carillon_gateway_connections") for each in site.gateways]

        # Nobody of the tests before any more.
        await aside(wait_for, lambda: sorted(held()) == [0, 1], "one gateway has the page")
        gateway = site.gateways[held().index(1)]
        await aside(gateway.stop)
        await aside(gateway.start)
        assert await page.events.until(("connecting", 3001))
        await page.client.ready(LIMIT)
        await asyncio.wait_for(page.client.get_subscription(unique).ready(LIMIT), LIMIT)
        await aside(site.worker.publish, unique, "again")
        assert (await events.next()).data == "again"
