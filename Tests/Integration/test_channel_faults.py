"""Recoverable channels while parts of the site die: every client has every message once, in order, or was told."""

import http.client
import json
import threading
import time

import pytest

from followers import Followers
from servers import KEY
from sites import Site
from waiting import wait_for

CLIENTS, CHANNELS, ROUNDS_A_SECOND = 1_000, 100, 20
# Seconds. RabbitMQ 3.10 forgets a stream that it made shortly before it was killed.
STREAM_AGE = 15
CENTRIFUGO = {
    "allow_anonymous_connect_without_token": True,
    "namespaces": [{"name": "feed", "allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True,
                    "history_size": 2_000, "history_ttl": "10m", "force_recovery": True}],
    # A crowd on one loopback address comes back at once, each with up to some hundreds of messages to catch up with.
    "recovery_max_publication_limit": 2_000,
}


class Publisher:
    """Publishes 1, 2, 3 … to every channel, the next number when the one before was taken. A context; `pause` ends a run."""

    def __init__(self, port, prefix, channels=CHANNELS, rounds_a_second=ROUNDS_A_SECOND):
        self._port = port
        self._pause = 1 / rounds_a_second
        self._numbers = {f"{prefix}{number}": 1 for number in range(channels)}
        self._ends = False
        self.rounds = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        connection = None
        while not self._ends:
            begin = time.monotonic()
            open_numbers = dict(self._numbers)
            while open_numbers and not self._ends:
                try:
                    connection = connection or http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                    self._publish(connection, open_numbers)
                except (OSError, http.client.HTTPException):
                    connection.close()
                    connection = None
                if open_numbers:
                    time.sleep(0.05)  # somebody is away
            if not open_numbers:
                self.rounds += 1
            time.sleep(max(0, begin + self._pause - time.monotonic()))
        if connection:
            connection.close()

    def _publish(self, connection, numbers):
        """One batch. What was taken is no longer in `numbers`; what was not, or may not, keeps its key."""
        commands = [{"publish": {"channel": channel, "data": number, "idempotency_key": f"{channel}={number}"}}
                    for channel, number in numbers.items()]
        connection.request("POST", "/api/batch", json.dumps({"commands": commands, "parallel": True}),
                           {"X-API-Key": KEY, "Content-Type": "application/json"})
        answer = connection.getresponse()
        replies = json.loads(answer.read())["replies"] if answer.status == 200 else answer.read() and ()
        for channel, reply in zip(list(numbers), replies):
            if "publish" in reply:
                del numbers[channel]
                self._numbers[channel] += 1

    def go_on(self, rounds):
        """Until so many more were published to all."""
        wanted = self.rounds + rounds
        wait_for(lambda: self.rounds >= wanted, "publishing goes on", limit=120)

    @property
    def last(self):
        """The number that every channel has had."""
        return min(self._numbers.values()) - 1

    def end(self):
        """No more is published; gives back the last number."""
        self._ends = True
        self._thread.join()
        return self.last

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.end()


def redis(servers):
    started = servers.redis("--appendonly", "yes")
    return started, {"backend": "redis", "config": {"hosts": [started.url]}}


def forgetful_redis(servers):
    started = servers.redis()
    return started, {"backend": "redis", "config": {"hosts": [started.url]}}


def rabbitmq(servers):
    started = servers.rabbitmq()
    return started, {"backend": "rabbitmq", "config": {"host": started.url}}


@pytest.mark.parametrize("broker", [redis, forgetful_redis, rabbitmq], ids=lambda form: form.__name__)
def test_nobody_misses_anything_unknowingly(servers, broker):
    server, layer = broker(servers)
    site = Site(servers, gateways=2, layer=layer, more={"gateway": {"centrifugo": CENTRIFUGO}})
    with Followers([site.router.port], CLIENTS, CHANNELS, "feed:") as followers:
        begin = time.monotonic()
        assert followers.ask("open")["open"] == CLIENTS
        with Publisher(site.worker.port, "feed:") as publisher:
            publisher.go_on(20)
            followers.ask("cut", CLIENTS // 4)
            publisher.go_on(20)
            site.gateways[0].kill()
            publisher.go_on(20)
            site.gateways[0].start()
            while broker is rabbitmq and time.monotonic() < begin + STREAM_AGE:
                publisher.go_on(5)
            server.kill()
            time.sleep(1)  # how long it is away: the fault itself
            server.start()
            publisher.go_on(20)
            site.gateways[1].kill()
            followers.ask("cut", CLIENTS // 10)
            site.gateways[1].start()
            publisher.go_on(20)
            # All are back, also those who were told that they missed something, and hear what is published from there on.
            assert followers.ask("until", publisher.last)["there"] == CLIENTS, followers.ask("report")
            last = publisher.end()
        there = followers.ask("until", last)["there"]
        report = followers.ask("report")
    assert not report["faults"], report
    assert there == CLIENTS, report
    # It was about something: many came back, and most without a gap.
    assert report["recovered"] > 0 and sum(report["ends"].values()) > CLIENTS // 2, report
    if broker is not forgetful_redis:
        assert report["told"] <= CLIENTS // 2, report
