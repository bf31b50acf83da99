"""The Daphne peer: a consumer of Django Channels over its in-memory layer.

    daphne -b 127.0.0.1 -p PORT daphne_app:application
"""

from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import re_path

settings.configure(
    # Room for every message under way: a full mailbox would lose some, and the run would stop.
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 10000}}},
    INSTALLED_APPS=["channels"],
    SECRET_KEY="none",
)


class Follower(AsyncWebsocketConsumer):
    async def connect(self):
        self.group = self.scope["url_route"]["kwargs"]["group"]
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.group, self.channel_name)

    async def news(self, event):
        await self.send(text_data=event["text"])


class Publisher(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        group = self.scope["url_route"]["kwargs"]["group"]
        await self.channel_layer.group_send(group, {"type": "news", "text": text_data})


application = ProtocolTypeRouter({
    "websocket": URLRouter([
        re_path(r"^channels/groups/(?P<group>\w+)$", Follower.as_asgi()),
        re_path(r"^channels/publish/(?P<group>\w+)$", Publisher.as_asgi()),
    ]),
})
