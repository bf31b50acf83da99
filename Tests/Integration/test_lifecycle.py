"""What the application is told of its browsers: a real one, which checks signatures, and gateways that are killed."""

import collections
import json
import pathlib
import time

import jwt
import pytest
from websockets.exceptions import ConnectionClosed

from servers import Carillon
from sites import TALK, Site
from sockets import WebSocket, ask
from waiting import LIMIT, wait_for

SECRET = "a secret that is long enough to be one"
LIFECYCLE_SECRET = "another secret, for signatures"
NAMESPACE = {"name": "chat", "allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True}
CENTRIFUGO = {"token": {"keys": [{"algorithm": "HS256", "secret": SECRET}]},
              "allow_anonymous_connect_without_token": True, "namespaces": [NAMESPACE]}
PATH = "/channels/connection/websocket"


def settings(**more):
    # The browsers here answer pings only while they are asked something, and a test may wait half a minute.
    return {"centrifugo": CENTRIFUGO, "ping_interval": "1h", "pong_timeout": "1h",
            "lifecycle": {"endpoint": "/carillon/events", "secret": LIFECYCLE_SECRET, "linger": "1s",
                          "gateway_timeout": "5s", **more}}


class Application:
    """The application, and what it was told."""

    def __init__(self, servers):
        self.server = servers.gunicorn(
            "told_site:app", pathlib.Path(__file__).parent, "--threads", "4",
            environment={"CARILLON_LIFECYCLE_SECRET": LIFECYCLE_SECRET, "PYTHONDONTWRITEBYTECODE": "1"})
        self.url = self.server.url
        self.endpoint = f"{self.url}/carillon/events"

    def refuse(self, refuses):
        assert ask("POST", f"{self.url}/refuse/{int(refuses)}").status == 204

    @property
    def state(self):
        return ask("GET", f"{self.url}/told").json

    @property
    def events(self):
        """Each once, in the order of their numbers. What came twice must have been the same."""
        events = {}
        for batch in self.state["batches"]:
            numbers = events.setdefault(batch["stream"], {})
            for event in batch["events"]:
                assert numbers.setdefault(event["number"], event) == event
        return [numbers[number] for numbers in events.values() for number in sorted(numbers)]

    def told(self):
        """`online 42`, `occupied chat:1`, `disconnected 3001`: how often each was told."""
        return collections.Counter(
            " ".join(str(each[key]) for key in ("event", "channel", "code", "user") if key in each)
            for each in self.events)

    def wait_for(self, *wanted):
        """Each as often as it stands there. After failures the application is told again half a minute later at most."""
        wanted = collections.Counter(wanted)
        wait_for(lambda: not wanted - self.told(), f"{wanted} are told", limit=3 * LIMIT, pause=0.1)


class Browser:
    """A connection with the Centrifugo client protocol."""

    def __init__(self, address, user=None, *channels):
        self.socket = WebSocket(address.replace("http", "ws", 1) + PATH)
        self.user = user
        self.channels = channels
        claims = {"token": jwt.encode({"sub": user}, SECRET)} if user else {}
        self.id = self.ask(1, "connect", claims)["client"]
        for number, channel in enumerate(channels):
            self.ask(number + 2, "subscribe", {"channel": channel})

    def ask(self, number, method, parameters):
        self.socket.send(json.dumps({"id": number, method: parameters}))
        while True:
            for line in self.socket.read().splitlines():
                if (reply := json.loads(line)).get("id") == number:
                    return reply[method]
                if not reply:
                    self.socket.send("{}")

    def is_alive(self):
        try:
            self.ask(1_000, "unsubscribe", {"channel": "chat:none"})
            return True
        except ConnectionClosed:
            return False

    def close(self):
        self.socket.close()


def check_numbers(application):
    """They are 1, 2, 3 … in one stream, and come in this order."""
    batches = application.state["batches"]
    assert len({batch["stream"] for batch in batches}) == 1
    assert [event["number"] for event in application.events] == list(range(1, len(application.events) + 1))
    assert not any("missing" in batch for batch in batches)
    reached = 0
    for batch in batches:
        numbers = [event["number"] for event in batch["events"]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] <= reached + 1
        reached = max(reached, numbers[-1])


def test_the_application_is_told_who_comes_and_goes(servers):
    application = Application(servers)
    site = servers.start(Carillon, "serve", {
        # Long enough for a page that is loaded anew on a busy machine.
        "gateway": {**settings(linger="4s"), "routes": [TALK]}, "router": {"workers": {"upstreams": [application.url]}}})
    browser = Browser(site.address, "42", "chat:1")
    visitor = Browser(site.address)
    with WebSocket(site.websocket_url("/channels/talk/7")):
        application.wait_for("connected 42", "online 42", "occupied chat:1", "occupied talk-7")
    browser.close()
    visitor.close()
    application.wait_for("vacated talk-7", "vacated chat:1", "offline 42")
    first, *_ = application.events
    assert first["client"] == browser.id and first["transport"] == "websocket"
    assert abs(first["time"] / 1000 - time.time()) < 2 * LIMIT
    assert application.told()["connected "] == 2  # the visitor, and who talks
    assert {"disconnected 1000 42", "disconnected 1000 "} <= set(application.told())
    # Who loads a page anew was not away.
    Browser(site.address, "43").close()
    Browser(site.address, "43").close()
    application.wait_for("offline 43")
    assert (application.told()["online 43"], application.told()["connected 43"]) == (1, 2)
    again = Browser(site.address, "44")
    application.wait_for("online 44")
    site.stop()
    application.wait_for("disconnected 3001 44")
    again.close()
    check_numbers(application)


@pytest.fixture(params=["redis", "redis_pubsub", "rabbitmq"])
def layer(request, unique):
    if request.param == "rabbitmq":
        broker = request.getfixturevalue("rabbitmq")
        return {"backend": "rabbitmq", "config": {"host": broker.url, "groups_exchange": unique}}
    broker = request.getfixturevalue("redis")
    return {"backend": request.param, "config": {"hosts": [broker.url], "prefix": unique}}


def test_of_a_killed_gateway_the_others_tell_what_is_missing(servers, layer):
    application = Application(servers)
    # At an address of its own: behind the router there are workers as well, who take no events.
    site = Site(servers, gateways=2, layer=layer, more={"gateway": settings(endpoint=application.endpoint)})
    browsers = [Browser(site.address, str(number), "chat:all", f"chat:{number}") for number in range(6)]
    # One user with connections to both.
    browsers += [Browser(site.address, "both") for _ in range(6)]
    online = [f"online {user}" for user in {each.user for each in browsers}]
    offline = []
    # Whichever of them tells the application: both are killed, one after the other.
    for gateway in site.gateways:
        application.wait_for(*online, *(f"occupied chat:{number}" for number in range(6)))
        wait_for(lambda: {each.id for each in browsers} <= {each.get("client") for each in application.events},
                 "all connections are told", pause=0.1)
        node = {each["client"]: each["node"] for each in application.events if each["event"] == "connected"}
        gateway.kill()
        alive = [each for each in browsers if each.is_alive()]
        dead = [each for each in browsers if each not in alive]
        assert {node[each.id] for each in alive}.isdisjoint(node[each.id] for each in dead)
        assert "both" in {each.user for each in alive} & {each.user for each in dead}
        users = {each.user for each in dead} - {each.user for each in alive}
        assert users
        offline += [f"offline {user}" for user in users]
        application.wait_for(*offline, *(each.replace("offline ", "vacated chat:") for each in offline))
        ended = [each["client"] for each in application.events if each["event"] == "disconnected"]
        assert sorted(ended) == sorted(each for each in ended if node[each] != node[alive[0].id]) == sorted(set(ended))
        assert {each.id for each in dead} <= set(ended)
        # The pages come back.
        gateway.start()
        browsers = alive + [Browser(site.address, each.user, *each.channels) for each in dead]
        online += [f"online {user}" for user in users]
    application.wait_for(*online)
    told = application.told()
    assert told["vacated chat:all"] == told["offline both"] == 0
    # Nothing twice.
    assert {each: count for each, count in told.items() if each.startswith(("online", "offline"))} \
        == collections.Counter(online + offline)
    check_numbers(application)


def test_an_application_that_is_away_is_told_later_and_of_what_is_missing(servers, redis, unique):
    application = Application(servers)
    site = Site(servers, layer={"backend": "redis", "config": {"hosts": [redis.url], "prefix": unique}},
                more={"gateway": settings(endpoint=application.endpoint, backlog=5, events=["connected", "online"])})
    application.refuse(True)
    first = Browser(site.address, "1")
    wait_for(lambda: application.state["refused"] > 1, "it was told in vain, and again")
    application.refuse(False)
    application.wait_for("online 1")
    application.refuse(True)
    others = [Browser(site.address, str(number)) for number in range(2, 9)]
    wait_for(lambda: site.gateway.metric("carillon_lifecycle_dropped_total") == 9, "what is too much was dropped")
    application.refuse(False)
    application.wait_for("online 8")
    batches = application.state["batches"]
    # A batch whose answer came too late is sent again.
    holes = {(batch["missing"]["first"], batch["missing"]["last"]) for batch in batches if "missing" in batch}
    assert holes == {(3, 11)}
    assert [event["number"] for event in application.events] == [1, 2, 12, 13, 14, 15, 16]
    for each in [first, *others]:
        each.close()


def test_what_a_gateway_forgot_while_the_broker_hung_is_told_once_and_in_order(servers):
    application = Application(servers)
    redis = servers.redis()
    site = Site(servers, layer={"backend": "redis", "config": {"hosts": [redis.url]}},
                more={"gateway": settings(endpoint=application.endpoint, gateway_backlog=5)})
    browsers = [Browser(site.address, "1")]
    application.wait_for("online 1")
    redis.freeze()
    # More than may wait and may be under way.
    browsers += [Browser(site.address, str(number)) for number in range(2, 14)]
    wait_for(lambda: site.gateway.metric("carillon_lifecycle_forgotten_total") > 5, "the gateway forgot")
    redis.thaw()
    application.wait_for("online 13")
    browsers.append(Browser(site.address, "14"))
    application.wait_for("online 14")
    users = [str(number) for number in range(1, 15)]
    told = [(each["event"], each["user"]) for each in application.events]
    assert told == [(event, user) for user in users for event in ("connected", "online")]
    check_numbers(application)
    for each in browsers:
        each.close()


def test_a_broker_that_lost_all_it_had_changes_nothing_that_was_told(servers):
    application = Application(servers)
    redis = servers.redis()
    site = Site(servers, gateways=2, layer={"backend": "redis", "config": {"hosts": [redis.url]}},
                more={"gateway": settings(endpoint=application.endpoint)})
    browsers = [Browser(site.address, str(number), "chat:all", f"chat:{number}") for number in range(6)]
    wanted = [*(f"connected {number}" for number in range(6)), *(f"online {number}" for number in range(6)),
              *(f"occupied chat:{number}" for number in range(6)), "occupied chat:all"]
    for round in range(2):
        application.wait_for(*wanted)
        redis.kill()
        # Meanwhile one goes, and somebody comes.
        browsers.pop(0).close()
        browsers.append(Browser(site.address, f"late {round}"))
        redis.start()
        wanted += [f"connected late {round}", f"online late {round}", f"offline {round}", f"vacated chat:{round}"]
        application.wait_for(*wanted)
        # And on with what happens then.
        browsers.append(Browser(site.address, f"new {round}", f"chat:new{round}"))
        wanted += [f"connected new {round}", f"online new {round}", f"occupied chat:new{round}"]
    application.wait_for(*wanted)
    told = {each: count for each, count in application.told().items() if not each.startswith("disconnected")}
    assert told == collections.Counter(wanted)
    gone = [each["user"] for each in application.events if each["event"] == "disconnected"]
    assert gone == ["0", "1"]
    check_numbers(application)
    # With nobody left who remembers, it begins anew.
    for gateway in site.gateways:
        gateway.kill()
    redis.kill()
    redis.start()
    for gateway in site.gateways:
        gateway.start()
    again = Browser(site.address, "again")
    application.wait_for("online again")
    assert len({batch["stream"] for batch in application.state["batches"]}) == 2
    assert [(each["number"], each["event"]) for each in application.events[-2:]] == [(1, "connected"), (2, "online")]
    again.close()


def test_browsers_that_move_to_the_next_process_are_not_told_again(servers, redis, unique):
    application = Application(servers)
    route = {"path": "/channels/own/", "groups": ["own-{user}"],
             "authenticate": {"jwt": {"keys": [{"algorithm": "HS256", "secret": SECRET}]}}}
    lifecycle = settings(endpoint=application.endpoint)
    # Long enough for a move on a busy machine.
    lifecycle["lifecycle"]["linger"] = "1h"
    site = Site(servers, routes=(route,), layer={"backend": "redis", "config": {"hosts": [redis.url], "prefix": unique}},
                more={"gateway": {**lifecycle, "takeover": str(servers.new_folder() / "takeover")}})
    path = "/channels/own/?token="
    browsers = [site.browser(path + jwt.encode({"sub": str(user)}, SECRET)) for user in (1, 2)]
    wanted = [f"{event}{user}" for user in (1, 2) for event in ("connected ", "online ", "occupied own-")]
    application.wait_for(*wanted)
    for round in range(2):
        site.gateway.restart()
        # With it the next event has come, and all before it.
        browsers.append(site.browser(path + jwt.encode({"sub": f"new{round}"}, SECRET)))
        wanted += [f"connected new{round}", f"online new{round}", f"occupied own-new{round}"]
        application.wait_for(*wanted)
        site.worker.publish("own-1", "still here")
        assert browsers[0].json() == "still here"
    # Whoever has them now says when they go.
    browsers[0].close()
    wanted.append("disconnected 1000 1")
    application.wait_for(*wanted)
    assert application.told() == collections.Counter(wanted)
    names = [each["client"] for each in application.events if each.get("user") == "1" and "client" in each]
    assert len(names) == 2 and len(set(names)) == 1
    check_numbers(application)
