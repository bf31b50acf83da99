"""A process of its own with a real channels_redis layer, which a test tells what to do."""

import base64
import json
import os
import subprocess
import sys

# Seconds a call may take.
LIMIT = 60


class Peer:
    """`with Peer(hosts, config) as peer`: every call is one of the layer's, made in the other process."""

    def __init__(self, hosts, config, backend="channels_redis.core.RedisChannelLayer"):
        self._arguments = json.dumps({"backend": backend, "config": {"hosts": hosts, **config}})

    def __enter__(self):
        self._process = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), self._arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, bufsize=1)
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            self._process.stdout.close()

    def _call(self, name, *arguments):
        self._process.stdin.write(json.dumps([name, *arguments]) + "\n")
        answer = json.loads(self._process.stdout.readline() or '{"error": "the Python process has ended"}')
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def send(self, channel, message):
        """"full" when the channel is."""
        return self._call("send", channel, message)

    def group_send(self, group, message):
        return self._call("group_send", group, message)

    def group_add(self, group, channel):
        return self._call("group_add", group, channel)

    def group_discard(self, group, channel):
        return self._call("group_discard", group, channel)

    def new_channel(self):
        return self._call("new_channel")

    def receive(self, channel, limit=20):
        """The next message; None when there is none within `limit` seconds."""
        return self._call("receive", channel, limit)

    def flush(self):
        return self._call("flush")

    def keys(self):
        """All keys of the first host."""
        return self._call("keys")


def as_bytes(value):
    """Bytes inside a message of a test."""
    return {"__bytes__": base64.b64encode(value).decode()}


def _with_bytes(value):
    if isinstance(value, dict):
        if set(value) == {"__bytes__"}:
            return base64.b64decode(value["__bytes__"])
        return {key: _with_bytes(inner) for key, inner in value.items()}
    return [_with_bytes(inner) for inner in value] if isinstance(value, list) else value


def _without_bytes(value):
    if isinstance(value, bytes):
        return as_bytes(value)
    if isinstance(value, dict):
        return {key: _without_bytes(inner) for key, inner in value.items()}
    return [_without_bytes(inner) for inner in value] if isinstance(value, list) else value


async def _serve(arguments):
    import asyncio
    import importlib

    from channels.exceptions import ChannelFull

    module, _, name = arguments["backend"].rpartition(".")
    layer = getattr(importlib.import_module(module), name)(**arguments["config"])

    async def call(name, *values):
        if name == "send":
            try:
                return await layer.send(values[0], _with_bytes(values[1]))
            except ChannelFull:
                return "full"
        if name == "group_send":
            return await layer.group_send(values[0], _with_bytes(values[1]))
        if name == "receive":
            try:
                return _without_bytes(await asyncio.wait_for(layer.receive(values[0]), values[1]))
            except asyncio.TimeoutError:
                return None
        if name == "keys":
            keys = await layer.connection(0).keys("*")
            return [key.decode(errors="replace") for key in keys]
        return await getattr(layer, name)(*values)

    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = {"value": await call(*json.loads(line))}
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    import asyncio

    asyncio.run(_serve(json.loads(sys.argv[1])))
