"""A Django process that tells a group many things, one after the other as fast as its channel layer takes them.

    python -m django_site.tell GROUP COUNT

The messages are those that the listeners check. Prints the seconds it took; on standard error, what its channel layer
did not take.
"""

import logging
import os
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "django_site.settings")
django.setup()

from asgiref.sync import async_to_sync  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402


def numbered(number):
    """The text of message `number`, as Benchmarks/load/payload.h has it: 128 bytes."""
    text = f'{{"s":1{number:09d},"g":1000000,"t":1{0:018d},"p":"'
    return text + "x" * (126 - len(text)) + '"}'


# The Redis layer says of a full channel that much, and no more.
logging.getLogger("channels_redis").addHandler(logging.StreamHandler())
logging.getLogger("channels_redis").setLevel(logging.INFO)


async def tell(group, count):
    layer = get_channel_layer()
    start = time.monotonic()
    for number in range(count):
        await layer.group_send(group, {"type": "user.message", "data": numbered(number)})
    print(time.monotonic() - start)
    # RabbitMQ's layer complains when it is not.
    if hasattr(layer, "close"):
        await layer.close()


async_to_sync(tell)(sys.argv[1], int(sys.argv[2]))
