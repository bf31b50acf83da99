"""A gateway that is restarted passes its browsers on: nobody is disconnected, and no message is lost or comes twice."""

import os
import resource
import signal
import ssl
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed

from certificates import Authority
from crowd import Crowd
from processes import free_port
from servers import Carillon
from sites import Site
from sockets import EventStream, WebSocket
from waiting import wait_for

MANY = 10_000
NEWS = {"path": "/channels/news/", "authenticate": "anonymous", "groups": ["news"]}
TALK = {"path": "/channels/talk/{room}", "authenticate": "anonymous", "groups": ["talk-{room}", "all"],
        "receive": {"group": "talk-{room}"}}
ASK = {"path": "/channels/ask/", "authenticate": "anonymous", "receive": {"worker": "/echo"}}
HAND = {"path": "/channels/hand/", "authenticate": "anonymous", "receive": {"layer": "hand"}}

# What answers those who ask.
ECHO = """
def application(environ, start_response):
    start_response("200 OK", [])
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    return [environ.get("HTTP_COOKIE", "").encode() + b" " + body]
"""


class Numbers:
    """Publishes 0, 1, 2, … to the group `news`, until it is stopped; `count` is how many."""

    def __init__(self, worker, pause=0.02):
        self.count = 0
        self.times = []
        self._stopped = threading.Event()
        self._pause = pause
        self._thread = threading.Thread(target=self._run, args=(worker,))
        self._thread.start()

    def _run(self, worker):
        while not self._stopped.is_set():
            self.times.append(time.monotonic())
            worker.publish("news", self.count)
            self.count += 1
            self._stopped.wait(self._pause)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()


def broker(request, which, unique):
    """The layer's settings, with names that no other test has."""
    if which == "redis":
        config = {"hosts": [request.getfixturevalue("redis").url], "prefix": unique, "capacity": 10_000}
    else:
        config = {"host": request.getfixturevalue("rabbitmq").url, "groups_exchange": unique}
    return {"backend": which, "config": config}


def made(servers, layer, routes=(NEWS, TALK), upstreams=None, **more):
    """A site whose gateway passes on."""
    folder = servers.new_folder()
    # The crowd answers no pings.
    gateway = {"ping_interval": "1h", "pong_timeout": "1h", "takeover": str(folder / "takeover"), **more}
    return Site(
        servers, routes=routes, layer=layer, more={"gateway": gateway}, upstreams=upstreams, workers=0 if upstreams else 1)


class Delays:
    """Notes when a browser hears each number."""

    def __init__(self, site):
        self._browser = site.browser("/channels/news/")
        self._heard = []
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            while True:
                self._browser.read()
                self._heard.append(time.monotonic())
        except ConnectionClosed:
            return

    def most(self, numbers):
        """Of all numbers, the most seconds from the sending to the hearing."""
        return max(heard - sent for heard, sent in zip(self._heard, numbers.times))

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._browser.close()
        self._thread.join()


class Peak:
    """The most memory that the gateway and whoever takes over from it have together, in MiB, while it is looked at."""

    def __init__(self, site):
        self._mark = str(site.path).encode()
        self.now = self._sum()
        self.most = self.now
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _sum(self):
        total = 0
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as line:
                    words = line.read().split(b"\0")
                if b"gateway" not in words or self._mark not in words:
                    continue
                with open(f"/proc/{entry}/smaps_rollup") as rollup:
                    total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            except (OSError, StopIteration):
                continue
        return total / 1024

    def _run(self):
        while not self._stopped.wait(0.1):
            self.most = max(self.most, self._sum())

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopped.set()
        self._thread.join()
        self.now, self.before = self._sum(), self.now


@pytest.fixture
def layer(request, redis, unique):
    return broker(request, "redis", unique)


@pytest.mark.parametrize("which", ["redis", "rabbitmq"])
def test_a_restart_disconnects_nobody_and_loses_nothing(servers, request, unique, which):
    site = made(servers, broker(request, which, unique))
    url = site.router.websocket_url("/channels/talk/hall")
    with Crowd(site.router.port, "/channels/news/") as crowd, EventStream(site.address + "/channels/news/") as stream, \
            WebSocket(url) as talker:
        crowd.connect(500)
        with Numbers(site.worker) as numbers:
            wait_for(lambda: numbers.count > 20, "numbers are published")
            for _ in range(2):
                # As supervisord does: the new process is started when the old one has ended.
                site.gateway.restart()
                talker.send('"still here"')
                assert talker.json() == "still here"
                before = numbers.count
                wait_for(lambda: numbers.count > before + 20, "numbers go on")
        answer = crowd.ask(f"numbers {numbers.count}")
        assert (answer["heard"], answer["ends"], answer["breaks"]) == (500, {}, 0), answer
        assert [stream.json() for _ in range(numbers.count)] == list(range(numbers.count))
        assert site.gateway.metric("carillon_gateway_taken_over_total") == 502
        assert site.gateway.metric("carillon_gateway_takeover_misses_total") == 0
        # Newcomers come in as ever, and hear with the others.
        with site.browser("/channels/talk/hall") as late:
            late.send('"hello"')
            assert late.json() == talker.json() == "hello"


def test_ten_thousand_browsers_move(servers, layer):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limit >= MANY + 1_000, f"a process here may open {limit} files, wanted {MANY + 1_000}: raise ulimit -Hn"
    site = made(servers, layer)
    with Crowd(site.router.port, "/channels/news/") as crowd:
        crowd.connect(MANY)
        with Delays(site) as delays, Numbers(site.worker, pause=0.2) as numbers, Peak(site) as peak:
            start = time.monotonic()
            site.gateway.restart()
            seconds = time.monotonic() - start
            before = numbers.count
            wait_for(lambda: numbers.count > before + 5, "numbers go on")
        answer = crowd.ask(f"numbers {numbers.count}")
        assert (answer["heard"], answer["ends"], answer["breaks"]) == (MANY, {}, 0), answer
        assert site.gateway.metric("carillon_gateway_taken_over_total") == MANY + 1
    print(f"{MANY} browsers moved twice within {seconds:.1f} s, {numbers.count} messages to each, the last one after "
          f"{delays.most(numbers):.2f} s at most; {peak.before:.0f} MiB before, {peak.most:.0f} at most, {peak.now:.0f} after")


def test_without_a_next_gateway_browsers_are_sent_away_by_the_bridge(servers, layer):
    site = made(servers, layer, takeover_wait="300ms")
    with site.browser("/channels/news/") as browser:
        assert site.gateway.stop() == 0
        assert browser.close_code()[0] == 1012


def bridge_of(gateway):
    """The process id of the bridge that a gateway has told of."""
    lines = [line for line in gateway.log_text().splitlines() if "Passing browsers on to a bridge" in line]
    return lines and int(lines[-1].split("pid=")[1].split()[0])


def test_when_the_new_one_is_killed_the_old_one_keeps_serving(servers, layer):
    site = made(servers, layer)
    with site.browser("/channels/news/") as browser:
        # A second gateway at the same path takes over, and is killed while the groups are heard by both.
        other = servers.make(
            Carillon, "gateway", None, "--settings", str(site.path), "--unix-socket", str(site.folder / "other.sock"))
        with Numbers(site.worker) as numbers:
            other.start(wait=False)
            failed = "carillon_gateway_failed_takeovers_total"
            # Stopped at some moment of it; the old one notices by the end of the connection.
            wait_for(lambda: connected(site), "the takeover has begun")
            other.kill()
            wait_for(lambda: site.gateway.metric(failed) == 1, "the takeover has failed")
        assert [browser.json() for _ in range(numbers.count)] == list(range(numbers.count))
        with site.browser("/channels/news/") as late:
            site.worker.publish("news", "more")
            assert browser.json() == late.json() == "more"


def beside(servers, site, limits=""):
    """A gateway that is started while the site's runs, and takes over from it: what listens, too."""
    other = servers.make(
        Carillon, "gateway", None, "--settings", str(site.path), "--unix-socket", str(site.folder / "gateway-0.sock"))
    if limits:
        other.command = ["/bin/sh", "-c", f'{limits}; exec "$@"', "sh", *other.command]
    return other


def test_when_the_old_one_is_killed_the_new_one_keeps_those_who_had_come(servers, layer):
    site = made(servers, layer)
    with Crowd(site.router.port, "/channels/news/") as crowd:
        crowd.connect(2_000)
        other = beside(servers, site)
        with Numbers(site.worker) as numbers:
            other.start(wait=False)
            # By then it has some of the sockets, and most of the time not all.
            wait_for(lambda: other.descriptors() > 500, "browsers come", pause=0)
            site.gateway.kill()
            other.wait_until_ready()
            before = numbers.count
            wait_for(lambda: numbers.count > before + 20, "numbers go on")
        moved = other.metric("carillon_gateway_taken_over_total")
        assert moved > 300
        assert crowd.ask(f"rest {numbers.count}") == {"open": moved, "heard": moved, "breaks": 0}
    # Newcomers are handed over as before.
    with site.browser("/channels/news/") as browser:
        site.worker.publish("news", "new")
        assert browser.json() == "new"


def test_when_a_new_one_cannot_take_all_the_old_one_keeps_all(servers, layer):
    site = made(servers, layer)
    with Crowd(site.router.port, "/channels/news/") as crowd:
        crowd.connect(500)
        other = beside(servers, site, "ulimit -n 300")
        with Numbers(site.worker) as numbers:
            other.start(wait=False)
            # It tries again and again.
            wait_for(lambda: site.gateway.metric("carillon_gateway_failed_takeovers_total") >= 2, "takeovers fail")
            other.kill()
            before = numbers.count
            wait_for(lambda: numbers.count > before + 20, "numbers go on")
        answer = crowd.ask(f"numbers {numbers.count}")
        assert (answer["heard"], answer["ends"], answer["breaks"]) == (500, {}, 0), answer
    with site.browser("/channels/news/") as browser:
        site.worker.publish("news", "new")
        assert browser.json() == "new"


def test_who_asks_a_worker_moves_and_who_has_a_reply_channel_is_sent_away(servers, layer):
    folder = servers.new_folder()
    (folder / "echo.py").write_text(ECHO)
    application = servers.gunicorn("echo:application", folder)
    site = made(servers, layer, routes=[NEWS, ASK, HAND], upstreams=[application.url], takeover_wait="60s")
    with site.browser("/channels/ask/", cookie="who=me") as asker, site.browser("/channels/hand/") as handed:
        asker.send("before")
        assert asker.read() == "who=me before"
        site.gateway.restart()
        assert handed.close_code()[0] == 1012
        asker.send("after")
        assert asker.read() == "who=me after"


def test_over_tls_and_with_compression_nobody_notices_either(servers, layer):
    """The router's own connections to a gateway move like those of browsers."""
    authority, port = Authority(servers.new_folder()), free_port()
    certificate, key = authority.issue("localhost", ["localhost"])
    site = made(servers, layer, compression=True)
    servers.start(Carillon, "router", {"router": {
        **site.settings["router"], "listen": [f"https://127.0.0.1:{port}"],
        "tls": {"certificates": [{"certificate": str(certificate), "key": str(key)}]}}})
    trust = ssl.create_default_context(cafile=str(authority.file))
    url = f"wss://localhost:{port}/channels/talk/hall"
    with WebSocket(url, tls=trust, compression="deflate") as secure, \
            site.browser("/channels/talk/hall", compression="deflate") as other:
        assert all(one.connection.protocol.extensions for one in [secure, other])
        for word in ["one", "two"]:
            secure.send(f'"{word}"')
            assert secure.json() == other.json() == word
            site.gateway.restart()
        other.send('"three"')
        assert secure.json() == other.json() == "three"


def connected(site):
    """Whether somebody is connected to the gateway's takeover socket."""
    path = site.settings["gateway"]["takeover"]
    with open("/proc/net/unix") as sockets:
        return sum(line.rstrip().endswith(path) for line in sockets) > 1


def test_when_the_bridge_is_killed_browsers_come_back(servers, layer):
    site = made(servers, layer, takeover_wait="60s")
    with site.browser("/channels/news/") as browser:
        site.gateway.stop()
        bridge = bridge_of(site.gateway)
        assert bridge
        os.kill(bridge, signal.SIGKILL)
        assert browser.close_code()[0] == 1006
    site.gateway.start()
    with site.browser("/channels/news/") as browser:
        site.worker.publish("news", 1)
        assert browser.json() == 1
