"""One end of a Python channel layer, for the benchmark of brokers; says the same as Benchmarks/LayerBench.

    layer_peer.py receive BACKEND URL GROUP MESSAGES          says "ready", then one line of JSON
    layer_peer.py send    BACKEND URL GROUP MESSAGES WINDOW   one line of JSON
    layer_peer.py burst   BACKEND URL GROUP MESSAGES          the load tool's messages, as fast as it can
"""

import asyncio
import json
import sys
import time

SAMPLE = {"type": "bench.message", "text": "x" * 100}
ROOM = 1_000_000


def make_layer(backend, url, **options):
    if backend == "redis":
        from channels_redis.core import RedisChannelLayer
        return RedisChannelLayer(hosts=[url], **options)
    if backend == "redis_pubsub":
        from channels_redis.pubsub import RedisPubSubChannelLayer
        return RedisPubSubChannelLayer(hosts=[url])
    from channels_rabbitmq.core import RabbitmqChannelLayer
    # What is unacknowledged is counted with 16 bits.
    room = {"local_capacity": 60_000, "remote_capacity": options["capacity"]} if options else {}
    return RabbitmqChannelLayer(host=url, **room)


async def receive(layer, group, messages):
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    print("ready", flush=True)
    before, first, count, last = time.process_time(), 0, 0, 0
    while count < messages:
        try:
            # A time limit for each message would cost as much as the message.
            await (layer.receive(channel) if count % 256 else asyncio.wait_for(layer.receive(channel), 30))
        except asyncio.TimeoutError:
            break
        last = time.monotonic_ns()
        first = first or last
        count += 1
    return {"first": first, "last": last, "count": count, "cpu": time.process_time() - before}


async def send(layer, group, messages, window):
    await layer.group_send(group, SAMPLE)
    before, first = time.process_time(), time.monotonic_ns()
    left = iter(range(messages - 1))

    async def one_after_the_other():
        for _ in left:
            await layer.group_send(group, SAMPLE)

    await asyncio.gather(*(one_after_the_other() for _ in range(window)))
    return {"first": first, "last": time.monotonic_ns(), "cpu": time.process_time() - before}


async def burst(layer, group, messages):
    """Messages as Benchmarks/load/payload.h has them: numbered, so that each browser's order is checked."""
    first = time.monotonic_ns()
    for number in range(messages):
        text = '{"s":1%09d,"g":1000000,"t":1%018d,"p":"' % (number, time.monotonic_ns())
        await layer.group_send(group, {"type": "bench.message", "text": text + "x" * (126 - len(text)) + '"}'})
    return {"first": first, "last": time.monotonic_ns()}


async def main(role, backend, url, group, messages, window="1"):
    # A burst meets a site's defaults; for speed there is room for all.
    layer = make_layer(backend, url, **({} if role == "burst" else {"capacity": ROOM}))
    if role == "receive":
        line = await receive(layer, group, int(messages))
    elif role == "send":
        line = await send(layer, group, int(messages), int(window))
    else:
        line = await burst(layer, group, int(messages))
    print(json.dumps(line), flush=True)
    await getattr(layer, "close", getattr(layer, "close_pools", None) or layer.flush)()


asyncio.run(main(*sys.argv[1:]))
