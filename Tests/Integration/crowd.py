"""Thousands of browsers in one small process of their own; run by the class `Crowd` below.

Told by lines on standard input, it answers each with a line of JSON:

    connect N   opens N more connections: how many WebSockets are open then, and the seconds it took
    hear N      waits until each has N messages in all: how many heard so many, and the seconds since the line
    numbers N   waits until each has N messages in all that are the numbers from 0 on, each once and in order: how many
                have heard so many, and how many heard another number than they had to
    rest N      waits until each that is open still has N messages in all: how many are open, and the breaks as above
    closed      waits until all are closed by the other side: how many, and what they were told
"""

import collections
import json
import os
import pathlib
import resource
import select
import socket
import subprocess
import sys
import time

# Seconds: a busy machine is no fault.
LIMIT = 180.0


class Browsers:
    """Many connections on one epoll; each costs a socket and a few numbers."""

    def __init__(self, port, path):
        self._address = ("127.0.0.1", port)
        self._opening = None
        if path:
            self._opening = (
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()
        self._epoll = select.epoll()
        self._sockets = {}
        self._heard = {}  # text frames by descriptor; absent until the handshake is answered
        self._rest = {}  # bytes of an unfinished head or frame
        self._ends = collections.Counter()
        self._breaks = 0

    def connect(self, count):
        start = time.monotonic()
        wanted = len(self._heard) + count
        for number in range(count):
            one = socket.create_connection(self._address, timeout=LIMIT)
            one.setblocking(False)
            self._sockets[one.fileno()] = one
            self._epoll.register(one.fileno(), select.EPOLLIN)
            if self._opening:
                one.send(self._opening)
            if number % 64 == 63:
                self._turn(0)
        if self._opening:
            self._until(lambda: len(self._heard) >= wanted or self._ends)
        return {"open": len(self._heard), "seconds": time.monotonic() - start, "ends": dict(self._ends)}

    def hear(self, count):
        start = time.monotonic()
        self._until(lambda: all(heard >= count for heard in self._heard.values()) or self._ends)
        return {"heard": sum(heard >= count for heard in self._heard.values()), "seconds": time.monotonic() - start,
                "ends": dict(self._ends)}

    def numbers(self, count):
        return {**self.hear(count), "breaks": self._breaks}

    def rest(self, count):
        self._until(lambda: all(self._heard[descriptor] >= count for descriptor in self._sockets))
        return {"open": len(self._sockets), "breaks": self._breaks,
                "heard": sum(self._heard[descriptor] >= count for descriptor in self._sockets)}

    def closed(self):
        start = time.monotonic()
        self._until(lambda: not self._sockets)
        return {"closed": sum(self._ends.values()), "seconds": time.monotonic() - start, "ends": dict(self._ends)}

    def _until(self, condition):
        end = time.monotonic() + LIMIT
        while not condition() and time.monotonic() < end:
            self._turn(0.05)

    def _turn(self, pause):
        for descriptor, _ in self._epoll.poll(pause, 4_096):
            try:
                data = self._sockets[descriptor].recv(65_536)
            except ConnectionResetError:
                data = b""
            if data:
                self._take(descriptor, self._rest.pop(descriptor, b"") + data)
            else:
                self._end(descriptor, self._rest.pop(descriptor, b"")[:12].decode("latin-1"))

    def _take(self, descriptor, data):
        if self._opening and descriptor not in self._heard:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found or not head.startswith(b"HTTP/1.1 101 "):
                self._rest[descriptor] = head + found + data
                return
            self._heard[descriptor] = 0
        while self._opening and len(data) >= 2:
            size, start = data[1], 2
            if size == 126:
                size, start = int.from_bytes(data[2:4], "big"), 4
            if size == 127:
                size, start = int.from_bytes(data[2:10], "big"), 10
            if len(data) < start + size or len(data) < start:
                break
            if data[0] == 0x81:
                self._breaks += data[start:start + size] != b"%d" % self._heard[descriptor]
                self._heard[descriptor] += 1
            elif data[0] == 0x88:
                self._end(descriptor, f"close {int.from_bytes(data[start:start + 2], 'big')}")
                return
            data = data[start + size:]
        if data:
            self._rest[descriptor] = data

    def _end(self, descriptor, how):
        self._epoll.unregister(descriptor)
        self._sockets.pop(descriptor).close()
        self._ends[how] += 1


class Crowd:
    """The other side: starts such a process and talks to it. A context; the connections end with it."""

    def __init__(self, port, path=""):
        """With a path each is a WebSocket there; without one it connects and says nothing."""
        self._listens = path != ""
        self._child = subprocess.Popen(
            [sys.executable, str(pathlib.Path(__file__)), str(port), path], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def ask(self, line):
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        assert answer, f"the crowd's process ended at {line!r}"
        return json.loads(answer)

    def connect(self, count):
        """Opens so many, and gives back the seconds it took. Of those who say nothing some may have gone again."""
        answer = self.ask(f"connect {count}")
        assert not self._listens or answer["open"] >= count and not answer["ends"], answer
        return answer["seconds"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._child.kill()
        self._child.communicate()


def main():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    browsers = Browsers(int(sys.argv[1]), sys.argv[2])
    for line in sys.stdin:
        command, *numbers = line.split()
        answer = getattr(browsers, command)(*map(int, numbers))
        print(json.dumps(answer), flush=True)
    os._exit(0)  # closing thousands of sockets one by one takes time nobody needs


if __name__ == "__main__":
    main()
