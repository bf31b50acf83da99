"""Ten thousand browsers at once: those who listen, and those who never say a word."""

import resource
import time

import pytest

from crowd import Crowd
from sites import TALK
from sockets import WebSocket, ask
from waiting import wait_for

MANY = 10_000


@pytest.fixture(autouse=True)
def enough_descriptors():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limit >= MANY + 1_000, f"a process here may open {limit} files, wanted {MANY + 1_000}: raise ulimit -Hn"


def test_ten_thousand_browsers_hear_one_publication(servers):
    # The crowd does not answer pings.
    site = servers.carillon("serve", None, "--set", "gateway.ping_interval=1h")
    # What the first connections of all cost is not what each costs.
    with WebSocket(site.websocket_url("/channels/groups/all")):
        before = site.memory()
    with Crowd(site.port, "/channels/groups/all") as crowd:
        crowd.connect(MANY)
        assert site.metric("carillon_gateway_connections") == MANY
        each = (site.memory() - before) / MANY
        site.publish("all", {"text": "x" * 100})
        assert crowd.ask("hear 1")["heard"] == MANY
        for number in range(9):
            site.publish("all", number)
        answer = crowd.ask("hear 10")
        assert (answer["heard"], answer["ends"]) == (MANY, {})
        after = (site.memory() - before) / MANY
        assert site.metric("carillon_gateway_slow_closes_total") == 0
    print(f"{each:.0f} and {after:.0f} bytes for each connection")
    # A debug build, whose memory is not what the benchmarks measure; but it is bounded, and deliveries leave nothing.
    assert each < 16_384, f"{each:.0f} bytes for each connection"
    assert after < each + 2_048, f"{after:.0f} bytes for each connection after ten messages, {each:.0f} before"
    wait_for(lambda: site.metric("carillon_gateway_connections") == 0, "all have left")


def slowest(site, browser, group, rounds=20):
    """The longest time from a publication to its arrival, in seconds."""
    times = []
    for number in range(rounds):
        start = time.monotonic()
        site.publish(group, number)
        assert browser.json() == number
        times.append(time.monotonic() - start)
    return max(times)


def test_ten_thousand_who_say_nothing_to_the_router_cost_nobody_anything(servers):
    site = servers.carillon("serve", None, "--set", "router.head_timeout=10s")
    with WebSocket(site.websocket_url("/channels/groups/few")) as browser, Crowd(site.port) as crowd:
        before, silent = site.memory(), site.metric("carillon_router_silent_total")
        crowd.connect(MANY)
        # Others are let in, answered and told things as ever: nobody waits until those who are silent go.
        assert slowest(site, browser, "few") < 5
        with WebSocket(site.websocket_url("/channels/groups/few")) as late:
            assert slowest(site, late, "few", rounds=1) < 5
            assert browser.json() == 0
        assert ask("GET", site.address + "/").status == 200
        assert (site.memory() - before) / MANY < 1_024
        answer = crowd.ask("closed")
        assert answer["closed"] == MANY, answer
        assert site.metric("carillon_router_silent_total") - silent == MANY
        assert slowest(site, browser, "few") < 5


def test_ten_thousand_who_say_nothing_to_a_gateway_are_dropped(servers):
    gateway = servers.carillon("gateway", {"gateway": {"routes": [TALK], "handshake_timeout": "10s"}})
    with WebSocket(gateway.websocket_url("/channels/talk/hall")) as browser, Crowd(gateway.port) as crowd:
        before = gateway.memory()
        crowd.connect(MANY)
        browser.send('"hello"')
        assert browser.json(limit=5) == "hello"
        assert (gateway.memory() - before) / MANY < 16_384
        answer = crowd.ask("closed")
        assert answer["closed"] == MANY and set(answer["ends"]) <= {"HTTP/1.1 408", ""}, answer
        assert gateway.metric("carillon_gateway_bad_requests_total") == MANY
        browser.send('"hello"')
        assert browser.json(limit=5) == "hello"
