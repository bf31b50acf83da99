"""A thousand clients of the Centrifugo protocol in one process, which follow recoverable channels and come back after whatever
ends their connections; run by the class `Followers` below.

Each follows one channel, whose publications have the data 1, 2, 3 … It keeps its position and recovers, as SDKs do, and
notes what it heard: runs of numbers, each after it was told that something may be missing. So "every message once, in
order, or told" is: within a run each number is one more than the one before.

Told by lines on standard input, it answers each with a line of JSON:

    open            until all are subscribed: how many, and the seconds it took
    cut N           cuts N connections
    until N         until each has heard N, or a later one, in its channel: how many did
    report          what was heard: faults in words, and counts
"""

import collections
import contextlib
import json
import os
import pathlib
import random
import select
import socket
import subprocess
import sys
import time

# Seconds: a busy machine is no fault.
LIMIT = 180.0
MASK = b"\0\0\0\0"  # so that nothing has to be masked


def frame(text):
    data = text.encode()
    if len(data) < 126:
        return bytes([0x81, 0x80 | len(data)]) + MASK + data
    return bytes([0x81, 0xFE]) + len(data).to_bytes(2, "big") + MASK + data


class Follower:
    """One client: its connection, its position, and what it heard."""

    def __init__(self, number, port, channel):
        self.number, self.port, self.channel = number, port, channel
        self.socket, self.rest, self.is_open = None, b"", False
        self.offset, self.epoch, self.has_position = 0, "", False
        self.is_subscribed, self.next_try, self.tries, self.id = False, 0.0, 0, 1
        self.last, self.runs = None, 1  # the newest number of this run, and how many runs there are
        self.heard, self.recovered, self.ends = 0, 0, collections.Counter()
        self.faults = []

    def connect(self):
        self.rest, self.is_open, self.is_subscribed = b"", False, False
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=LIMIT)
        self.socket.setblocking(False)
        self.socket.send(
            f"GET /channels/connection/websocket HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: Upgrade\r\n"
            f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            .encode())

    def say(self, *commands):
        try:
            self.socket.send(frame("\n".join(json.dumps(command) for command in commands)))
        except OSError:
            pass  # its end is heard of by reading

    def greet(self):
        self.say({"id": 1, "connect": {}}, self.subscribe())

    def subscribe(self):
        self.id += 1
        request = {"channel": self.channel}
        if self.has_position:
            request.update(recover=True, offset=self.offset, epoch=self.epoch)
        return {"id": self.id, "subscribe": request}

    def take(self, data):
        """Bytes of the server. What ends the connection is the answer, or None."""
        data = self.rest + data
        if not self.is_open:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self.rest = data
                return None
            if not head.startswith(b"HTTP/1.1 101 "):
                return head[:12].decode("latin-1")
            self.is_open, data = True, rest
            self.greet()
        start = 0
        while len(data) - start >= 2:
            size, body = data[start + 1], start + 2
            if size == 126:
                size, body = int.from_bytes(data[start + 2:start + 4], "big"), start + 4
            elif size == 127:
                size, body = int.from_bytes(data[start + 2:start + 10], "big"), start + 10
            if len(data) < body + size:
                break
            if data[start] == 0x88:
                return f"close {int.from_bytes(data[body:body + 2], 'big')}"
            for line in data[body:body + size].split(b"\n"):
                if end := self.reply(json.loads(line)):
                    return end
            start = body + size
        self.rest = data[start:]
        return None

    def reply(self, reply):
        if not reply:
            self.say({})
        elif push := reply.get("push"):
            if publication := push.get("pub"):
                self.publication(publication)
            elif push.get("unsubscribe"):
                self.ends[f"unsubscribe {push['unsubscribe']['code']}"] += 1
                self.is_subscribed = False
                self.say(self.subscribe())
        elif error := reply.get("error"):
            return f"error {error['code']}"
        elif (result := reply.get("subscribe")) is not None:
            self.subscribed(result)
        return None

    def subscribed(self, result):
        if not result.get("recoverable"):
            self.faults.append("not recoverable")
        if self.has_position and not result.get("recovered"):
            # Something may be missing, and it was said: another run.
            self.runs, self.last = self.runs + 1, None
        self.is_subscribed, self.tries = True, 0
        self.offset, self.epoch = result.get("offset", 0), result.get("epoch", "")
        if not self.has_position and self.offset:
            self.last = None  # came later than the first publications
        self.has_position = True
        for publication in result.get("publications", []):
            self.recovered += 1
            self.publication(publication)

    def publication(self, publication):
        number = publication["data"]
        if self.last is not None and number != self.last + 1:
            self.faults.append(f"{number} after {self.last} (offset {publication.get('offset')} after {self.offset})")
        if publication.get("offset") != self.offset + 1:
            self.faults.append(f"offset {publication.get('offset')} after {self.offset}")
        self.last, self.offset = number, publication.get("offset", 0)
        self.heard += 1


class Process:
    """All followers on one epoll."""

    def __init__(self, ports, clients, channels, prefix):
        self._epoll = select.epoll()
        self._by_descriptor = {}
        self._all = [Follower(number, ports[number % len(ports)], f"{prefix}{number % channels}")
                     for number in range(clients)]
        self._waiting = set(self._all)

    def open(self):
        start = time.monotonic()
        self._until(lambda: all(one.is_subscribed for one in self._all))
        return {"open": sum(one.is_subscribed for one in self._all), "seconds": time.monotonic() - start}

    def cut(self, count):
        connected = [one for one in self._all if one.is_open]
        for one in random.sample(connected, min(count, len(connected))):
            with contextlib.suppress(OSError):  # its gateway may have been quicker
                one.socket.shutdown(socket.SHUT_RDWR)
        return {}

    def until(self, number):
        self._until(lambda: all(one.is_subscribed and one.last is not None and one.last >= number for one in self._all))
        return {"there": sum(one.last is not None and one.last >= number for one in self._all)}

    def report(self):
        ends = sum((one.ends for one in self._all), collections.Counter())
        return {"faults": [f"{one.channel} client {one.number}: {fault}" for one in self._all for fault in one.faults][:20],
                "heard": sum(one.heard for one in self._all), "recovered": sum(one.recovered for one in self._all),
                "told": sum(one.runs - 1 for one in self._all), "ends": dict(ends)}

    def turn(self, pause):
        now = time.monotonic()
        for one in [one for one in self._waiting if one.next_try <= now][:64]:
            self._waiting.discard(one)
            try:
                one.connect()
            except OSError as error:
                self._later(one, f"refused {error.errno}")
                continue
            self._by_descriptor[one.socket.fileno()] = one
            self._epoll.register(one.socket.fileno(), select.EPOLLIN)
        for descriptor, _ in self._epoll.poll(pause, 4_096):
            one = self._by_descriptor[descriptor]
            try:
                data = one.socket.recv(262_144)
            except OSError:
                data = b""
            end = one.take(data) if data else "cut"
            if end:
                self._epoll.unregister(descriptor)
                del self._by_descriptor[descriptor]
                one.socket.close()
                one.is_open = one.is_subscribed = False
                self._later(one, end)

    def _later(self, one, why):
        one.ends[why] += 1
        one.tries += 1
        one.next_try = time.monotonic() + random.uniform(0.05, min(0.1 * 2 ** min(one.tries, 5), 2))
        self._waiting.add(one)

    def _until(self, condition):
        end = time.monotonic() + LIMIT
        while not condition() and time.monotonic() < end:
            self.turn(0.05)


class Followers:
    """The other side: starts such a process and talks to it. A context; the connections end with it."""

    def __init__(self, ports, clients, channels, prefix):
        words = [json.dumps(ports), str(clients), str(channels), prefix]
        self._child = subprocess.Popen([sys.executable, str(pathlib.Path(__file__)), *words], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self._child.stdin.write(" ".join(map(str, words)) + "\n")
        self._child.stdin.flush()
        line = self._child.stdout.readline()
        assert line, "the followers' process ended"
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.kill()
        self._child.wait()
        self._child.stdin.close()
        self._child.stdout.close()


def main():
    ports, clients, channels, prefix = sys.argv[1:]
    process = Process(json.loads(ports), int(clients), int(channels), prefix)
    os.set_blocking(0, False)
    text = ""
    while True:
        process.turn(0.02)
        if not select.select([0], [], [], 0)[0]:
            continue
        more = os.read(0, 4_096).decode()
        if not more:
            return
        *lines, text = (text + more).split("\n")
        for line in lines:
            name, *numbers = line.split()
            print(json.dumps(getattr(process, name)(*map(int, numbers))), flush=True)


if __name__ == "__main__":
    main()
