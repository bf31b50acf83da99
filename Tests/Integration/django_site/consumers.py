"""What a `runworker` process does for browsers: one consumer for all of them, which answers on their reply channels."""

import json

from channels.consumer import AsyncConsumer


class Talk(AsyncConsumer):
    async def reply(self, message, **answer):
        await self.channel_layer.send(message["reply_channel"], answer)

    async def websocket_connect(self, message):
        if b"refuse" in message["query_string"]:
            return await self.reply(message, type="websocket.close", code=4403, reason="not you")
        await self.reply(message, type="websocket.accept")
        headers = {name.decode(): value.decode() for name, value in message["headers"]}
        await self.reply(message, type="websocket.send", text=json.dumps({
            "path": message["path"], "query": message["query_string"].decode(), "cookie": headers["cookie"],
            "client": message["client"][0], "order": message["order"]}))
        await self.channel_layer.group_add("talkers", message["reply_channel"])

    async def websocket_receive(self, message):
        text, data = message.get("text"), message.get("bytes")
        if data is not None:
            await self.reply(message, type="websocket.send", bytes=data[::-1])
        elif text == "bye":
            await self.reply(message, type="websocket.close", code=4000, reason="as you wish")
        elif text == "the old words":
            # Those of the first version of Channels: keys without a type.
            await self.channel_layer.send(message["reply_channel"], {"text": "and out", "close": True})
        elif text.startswith("all: "):
            await self.channel_layer.group_send("talkers", {"type": "websocket.send", "text": text})
        else:
            await self.reply(message, type="websocket.send", text=f"{message['order']} {text.upper()}")

    async def websocket_disconnect(self, message):
        await self.channel_layer.group_discard("talkers", message["reply_channel"])
        left = {"code": message["code"], "path": message["path"]}
        await self.channel_layer.group_send("left", {"type": "websocket.send", "text": json.dumps(left)})
