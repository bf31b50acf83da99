"""Thousands of clients of the client protocol in one process, for reconnect.py. One epoll, and every reply is checked.

Told by lines of JSON on standard input, it answers each with one:

    {"come": true}   all connect, as fast as handshakes are answered; each subscribes to its channels in one frame, from
                     where it was, and is done when it has all that it missed
    {"hear": M}      waits until each has M publications in each of its channels
    {"gone": true}   waits until all connections have ended

What a client missed of a channel is compared byte for byte with what the first client got, whose bytes are taken apart.
"""

import base64
import hashlib
import hmac
import json
import os
import resource
import select
import socket
import sys
import time

LIMIT = 300.0
#: Handshakes under way: more than the kernel's backlog would be lost and sent again a second later.
HANDSHAKES = 1_000
READ = 1 << 18


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(user, secret):
    head = encoded(b'{"alg":"HS256"}') + b"." + encoded(json.dumps({"sub": user}).encode())
    return (head + b"." + encoded(hmac.digest(secret.encode(), head, hashlib.sha256))).decode()


def frame(text):
    """Masked with zeros, as the protocol allows."""
    text = text.encode()
    size = len(text)
    head = bytes([0x81, 0x80 | size]) if size < 126 else bytes([0x81, 0xFE]) + size.to_bytes(2, "big")
    return head + bytes(4) + text


class Client:
    __slots__ = ("socket", "number", "channels", "rest", "isOpen", "waiting", "began", "next")

    def __init__(self, number, channels):
        self.number, self.channels, self.next = number, channels, dict.fromkeys(channels, 1)


class Clients:
    def __init__(self, options):
        self.options = options
        self.port, secret = options["port"], options["secret"]
        count, channels, each = options["clients"], options["channels"], options["each"]
        self.clients = [
            Client(number, [f"kept:{(number * each + place) % channels}" for place in range(each)])
            for number in range(count)]
        self.tokens = [token(f"u{number}", secret) for number in range(count)] if secret else None
        self.epoll = select.epoll()
        self.open = {}
        self.known = {}  # what a channel's subscribers get, as bytes, and the epoch and offset in it
        self.position = {}
        self.refused = 0

    # Coming

    def come(self):
        start, cpu = time.monotonic(), time.process_time()
        self.known.clear()
        self.took, self.refused, self.retries = [], 0, 0
        waiting = iter(self.clients)
        left = len(self.clients)
        self.handshakes = 0
        while len(self.took) < len(self.clients):
            while left and self.handshakes < HANDSHAKES:
                self.dial(next(waiting))
                left -= 1
            self.turn(start)
        self.took.sort()
        return {"seconds": time.monotonic() - start, "load_cpu": time.process_time() - cpu, "retries": self.retries,
                "p50": self.took[len(self.took) // 2], "p99": self.took[len(self.took) * 99 // 100]}

    def dial(self, client):
        client.socket = socket.socket()
        client.socket.setblocking(False)
        client.socket.connect_ex(("127.0.0.1", self.port))
        client.rest, client.isOpen, client.waiting, client.began = b"", False, None, time.monotonic()
        self.open[client.socket.fileno()] = client
        self.epoll.register(client.socket.fileno(), select.EPOLLIN | select.EPOLLOUT)
        self.handshakes += 1

    def greet(self, client):
        self.epoll.modify(client.socket.fileno(), select.EPOLLIN)
        cookie = "" if self.tokens else f"Cookie: session=u{client.number}\r\n"
        self.send(client, (
            f"GET /channels/connection/websocket HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"{cookie}\r\n").encode())

    def send(self, client, data):
        if client.socket.send(data) != len(data):
            raise SystemExit("a socket's buffer is full")

    def connect(self, client):
        client.waiting = {1}
        request = {"token": self.tokens[client.number]} if self.tokens else {}
        self.send(client, frame(json.dumps({"id": 1, "connect": request})))

    def subscribe(self, client, channels):
        client.waiting = {}
        lines = []
        for channel in channels:
            number = 2 + client.channels.index(channel)
            client.waiting[number] = channel
            since = self.position.get(channel, ("", 0))
            lines.append(json.dumps({"id": number, "subscribe": {
                "channel": channel, "recover": True, "epoch": since[0], "offset": client.next[channel] - 1}}))
        self.send(client, frame("\n".join(lines)))

    # Reading

    def turn(self, start):
        if time.monotonic() - start > LIMIT:
            raise SystemExit(f"not done after {LIMIT:g} seconds: {len(self.took)} of {len(self.clients)}")
        for descriptor, events in self.epoll.poll(1, 1_024):
            client = self.open[descriptor]
            if events & select.EPOLLOUT:
                self.greet(client)
            if events & ~select.EPOLLOUT:
                self.read(client, descriptor)

    def read(self, client, descriptor):
        try:
            data = client.socket.recv(READ)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self.epoll.unregister(descriptor)
            del self.open[descriptor]
            client.socket.close()
            return
        data = client.rest + data if client.rest else data
        if not client.isOpen:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                client.rest = head
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                raise SystemExit(f"no WebSocket: {head[:200]}")
            client.isOpen = True
            self.handshakes -= 1
            self.connect(client)
        place = 0
        while len(data) - place >= 2:
            size, start = data[place + 1], place + 2
            if size == 126:
                size, start = int.from_bytes(data[start:start + 2], "big"), start + 2
            elif size == 127:
                size, start = int.from_bytes(data[start:start + 8], "big"), start + 8
            if len(data) < start + size:
                break
            if data[place] == 0x81:
                self.frame(client, data[start:start + size])
            elif data[place] == 0x88:
                raise SystemExit(f"closed: {data[start:start + size]}")
            place = start + size
        client.rest = data[place:]

    def frame(self, client, payload):
        for line in payload.split(b"\n"):
            if line == b"{}":
                self.send(client, frame("{}"))
            elif line.startswith(b'{"push"'):
                self.push(client, line)
            else:
                self.reply(client, line)

    def push(self, client, line):
        push = json.loads(line)["push"]
        self.publication(client, push["channel"], push["pub"])

    def publication(self, client, channel, publication):
        wanted = client.next[channel]
        if publication["offset"] != wanted or publication["data"]["n"] != wanted:
            raise SystemExit(f"{channel}: {publication} instead of number {wanted}")
        client.next[channel] = wanted + 1

    def reply(self, client, line):
        head, _, body = line.partition(b",")
        number = int(head[6:])
        if number == 1:
            if not body.startswith(b'"connect"'):
                raise SystemExit(f"not connected: {line[:300]}")
            return self.subscribe(client, client.channels)
        channel = client.waiting.pop(number)
        if body.startswith(b'"error"'):
            # As an SDK does after a temporary error, but at once.
            if b'"temporary":true' not in body:
                raise SystemExit(f"refused: {line[:300]}")
            self.retries += 1
            waiting = client.waiting
            self.subscribe(client, [channel])
            client.waiting.update(waiting)
            return
        self.subscribed(client, channel, body)
        if not client.waiting:
            self.took.append(time.monotonic() - client.began)

    def subscribed(self, client, channel, body):
        key = (channel, client.next[channel])
        known = self.known.get(key)
        if known is None:
            result = json.loads(b"{" + body)["subscribe"]
            if channel in self.position and not result.get("recovered"):
                raise SystemExit(f"{channel} was not recovered: {result}")
            probe = Client(0, [channel])
            probe.next[channel] = client.next[channel]
            for publication in result.get("publications", []):
                self.publication(probe, channel, publication)
            self.position[channel] = (result["epoch"], 0)
            known = self.known[key] = (body, probe.next[channel])
        elif known[0] != body:
            raise SystemExit(f"{channel}: a client got other bytes than the first: {body[:300]}")
        client.next[channel] = known[1]

    # Waiting

    def hear(self, count):
        start, self.took = time.monotonic(), []
        while not all(number > count for client in self.clients for number in client.next.values()):
            self.turn(start)
        return {"heard": len(self.clients), "seconds": time.monotonic() - start}

    def gone(self):
        start, self.took = time.monotonic(), []
        while self.open:
            self.turn(start)
        return {"gone": len(self.clients)}


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients = Clients(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        match json.loads(line):
            case {"come": _}: answer = clients.come()
            case {"hear": count}: answer = clients.hear(count)
            case {"gone": _}: answer = clients.gone()
        print(json.dumps(answer), flush=True)
    os._exit(0)  # closing thousands of sockets one by one takes time nobody needs


if __name__ == "__main__":
    main()
