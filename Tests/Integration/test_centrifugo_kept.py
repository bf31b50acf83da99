"""History, presence, recovery and tokens of channels, with a real SDK of the Centrifugo client protocol."""

import asyncio

import pytest
from centrifuge import Client, ReplyError, StreamPosition

from sites import Site
from test_centrifugo import PATH, SECRET, Events, Page, aside, in_a_loop, token
from waiting import LIMIT

OTHER_SECRET = "another secret for the tokens of subscriptions"
KEPT = {
    "presence": True, "join_leave": True, "force_push_join_leave": True, "history_size": 50, "history_ttl": "5m",
    "force_recovery": True, "allow_subscribe_for_client": True, "allow_publish_for_subscriber": True,
    "allow_presence_for_subscriber": True, "allow_history_for_subscriber": True,
}


@pytest.fixture(scope="module")
def site(shared):
    return Site(shared, more={"gateway": {"centrifugo": {
        "token": {"keys": [{"algorithm": "HS256", "secret": SECRET}], "issuer_regex": "^(me|you)$"},
        "subscription_token": {"keys": [{"algorithm": "HS256", "secret": OTHER_SECRET}]},
        "personal_channel": {"single_connection": True}, "expired_sub_close_delay": "1s",
        "namespaces": [{"name": "kept", **KEPT},
                       {"name": "cache", **KEPT, "force_recovery_mode": "cache", "auto_cache_recover": True}],
    }}})


def ours(site, user, *more):
    return token(site, user, "--claim", "iss=me", *more)


class Heard(Events):
    """Joins and leaves too, with positions."""

    async def on_publication(self, ctx):
        await self.queue.put((ctx.pub.data, ctx.pub.offset))

    async def on_join(self, ctx):
        await self.queue.put(("join", ctx.info.user))

    async def on_leave(self, ctx):
        await self.queue.put(("leave", ctx.info.user))

    async def on_subscribed(self, ctx):
        await self.queue.put(("subscribed", ctx.was_recovering, ctx.recovered))


async def subscribed(page, channel, **options):
    events = Heard()
    subscription = page.client.new_subscription(channel, events=events, **options)
    await subscription.subscribe()
    await subscription.ready(LIMIT)
    return subscription, events


@in_a_loop
async def test_who_comes_back_gets_what_was_missed(site, unique):
    channel = f"kept:{unique}"
    async with Page(site, token=await aside(ours, site, "1")) as one, \
            Page(site, token=await aside(ours, site, "2")) as two:
        mine, _ = await subscribed(one, channel)
        other, heard = await subscribed(two, channel)
        await mine.publish(1)
        assert await heard.until((1, 1))
        await other.unsubscribe()
        for number in range(2, 6):
            await mine.publish(number)
        await other.subscribe()
        await other.ready(LIMIT)
        assert await heard.until(("subscribed", True, True))
        assert [await heard.until((number, number)) for number in range(2, 6)]
        page = await other.history(limit=2, since=StreamPosition(offset=1, epoch=""))
        assert [each.data for each in page.publications] == [2, 3] and page.offset == 5
        await other.unsubscribe()
        for number in range(6, 70):
            await mine.publish(number)
        await other.subscribe()
        assert await heard.until(("subscribed", True, False))


@in_a_loop
async def test_presence_says_who_is_there(site, unique):
    channel = f"kept:{unique}"
    async with Page(site, token=await aside(ours, site, "1", "--info", '{"name": "Ann"}')) as one:
        mine, heard = await subscribed(one, channel)
        async with Page(site, token=await aside(ours, site, "2")) as two:
            await subscribed(two, channel)
            assert await heard.until(("join", "2"))
            clients = (await mine.presence()).clients
            assert sorted(each.user for each in clients.values()) == ["1", "2"]
            assert [each.conn_info for each in clients.values() if each.user == "1"] == [{"name": "Ann"}]
        assert await heard.until(("leave", "2"))
        stats = await mine.presence_stats()
        assert (stats.num_clients, stats.num_users) == (1, 1)


@in_a_loop
async def test_a_token_opens_a_private_channel_until_it_ends(site, unique):
    channel = f"$kept:{unique}"

    async def get_token(ctx):
        return await aside(token, site, "1", "--channel", channel, "--expires", "2s", "--override", "presence=false")

    async with Page(site, token=await aside(ours, site, "1")) as page:
        mine, heard = await subscribed(page, channel, get_token=get_token)
        with pytest.raises(ReplyError) as raised:
            await mine.presence()
        assert raised.value.code == 108
        # It is prolonged in time, and goes on.
        await asyncio.sleep(4)
        await mine.publish("still here")
        assert await heard.until(("still here", 1))
        denied = page.client.new_subscription(f"$kept:{unique}-2", events=Events())
        await denied.subscribe()
        assert await denied.events.until(("unsubscribed", 103))


@in_a_loop
async def test_in_cache_mode_who_comes_gets_the_newest(site, unique):
    channel = f"cache:{unique}"
    async with Page(site, token=await aside(ours, site, "1")) as one, \
            Page(site, token=await aside(ours, site, "2")) as two:
        mine, _ = await subscribed(one, channel)
        for number in range(1, 4):
            await mine.publish(number)
        _, heard = await subscribed(two, channel)
        assert await heard.until((3, 3))


@in_a_loop
async def test_a_user_has_one_connection_and_a_channel_of_its_own(site, unique):
    class Personal(Events):
        async def on_subscribed(self, ctx):
            await self.queue.put(("subscribed", ctx.channel))

        async def on_publication(self, ctx):
            await self.queue.put((ctx.channel, ctx.pub.data))

    events = Personal()
    client = Client(site.router.websocket_url(PATH), events=events, timeout=LIMIT, proxy=None,
                    token=await aside(ours, site, unique))
    await client.connect()
    assert await events.until(("subscribed", f"#{unique}"))
    assert await aside(site.worker.publish, f"#{unique}", "for you") == {"result": {}}
    async with Page(site, token=await aside(ours, site, unique)):
        assert await events.until(("disconnected", 3504))


@in_a_loop
async def test_tokens_of_strangers_count_for_nothing(site, unique):
    for signed in (
        await aside(token, site, "1", "--claim", "iss=them"),
        await aside(token, site, "1", "--channel", "kept:1"),
    ):
        events = Events()
        client = Client(site.router.websocket_url(PATH), events=events, token=signed, proxy=None)
        await client.connect()
        assert await events.until(("disconnected", 3500))
