"""The event proxy: a gunicorn application with four workers decides about browsers of channels."""

import concurrent.futures
import contextlib
import itertools
import json
import pathlib
import urllib.parse

import pytest

from processes import free_port
from servers import Carillon, Gunicorn
from shipped import ROOT, shipped
from sockets import EventStream, WebSocket, ask, open_request
from waiting import wait_for

HERE = pathlib.Path(__file__).parent
PATH = "/channels/connection/websocket"
NAMESPACE = {"name": "room", "subscribe_proxy_enabled": True, "publish_proxy_enabled": True,
             "sub_refresh_proxy_enabled": True, "presence": True, "allow_presence_for_subscriber": True}
EVENTS = ["connect", "refresh", "subscribe", "publish", "rpc", "sub_refresh"]


class Place:
    """An application, and `carillon serve`, whose gateway asks it."""

    def __init__(self, servers, *, batch=False, events=EVENTS, proxies=(), namespaces=(NAMESPACE,), transports=("websocket",),
                 **options):
        self.asked = servers.new_folder() / "asked"
        self.asked.touch()
        self.application = servers.start(
            Gunicorn, "event_application:application", HERE, "--workers", "4",
            environment={"ASKED": str(self.asked), "PYTHONDONTWRITEBYTECODE": "1"})
        def place(path, **more):
            return {"endpoint": f"{self.application.url}/{path}", "http_headers": ["Cookie"], "timeout": "20s", **more}

        # It listens before it answers, which those who are asked in little time would have to wait for.
        wait_for(lambda: ask("POST", f"{self.application.url}/refresh", json={}).status == 200, "the application answers")
        self.carillon = servers.carillon("serve", {"gateway": {"centrifugo": {
            "proxy": {event: place("batch" if batch else event, **options) for event in events},
            "proxies": [place(**proxy) for proxy in proxies], "namespaces": list(namespaces),
            "transports": list(transports)}}})

    def browser(self, user="ann", **more):
        return Browser(self.carillon.websocket_url(PATH), user, **more)

    @property
    def requests(self):
        """What the application was asked: for each request its questions, as event, user and channel."""
        return [json.loads(line) for line in self.asked.read_text().splitlines()]

    def questions(self, event, channel=""):
        return [question for request in self.requests for question in request
                if question[0] == event and question[2] == channel]

    def failures(self, reason):
        return self.carillon.metrics().get(f'carillon_proxy_failures_total{{reason="{reason}"}}', 0)


class Browser:
    """One connection of the client protocol, as JSON."""

    def __init__(self, url, user=None, connect=True, cookie=None):
        self.socket = WebSocket(url, cookie=f"user={user}" if user else cookie)
        self.ids = itertools.count(1)
        self.replies, self.pushes = {}, []
        if connect:
            self.client = self.ask("connect")["connect"]["client"]

    def send(self, *commands):
        """Several commands in one frame; gives back their numbers."""
        numbers = [next(self.ids) for _ in commands]
        self.socket.send("\n".join(
            json.dumps({"id": number, method: fields}) for number, (method, fields) in zip(numbers, commands)))
        return numbers

    def reply(self, number):
        while number not in self.replies:
            self.read()
        return self.replies.pop(number)

    def push(self):
        while not self.pushes:
            self.read()
        return self.pushes.pop(0)

    def read(self):
        for line in self.socket.read(60).splitlines():
            said = json.loads(line)
            if "id" in said:
                self.replies[said["id"]] = said
            elif said:
                self.pushes.append(said["push"])
            else:
                self.socket.send("{}")

    def ask(self, command, /, **fields):
        return self.reply(*self.send((command, fields)))

    def subscribe(self, channel):
        return self.ask("subscribe", channel=channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


@pytest.fixture(scope="module")
def place(shared):
    """Each question is a request, as every backend of Centrifugo knows them."""
    return Place(shared)


def test_a_browser_is_whom_its_cookie_says(place, unique):
    with place.browser("ann") as browser:
        joined = browser.subscribe(f"room:{unique}")
        assert joined["subscribe"]["data"] == {"welcome": unique}
        [present] = browser.ask("presence", channel=f"room:{unique}")["presence"]["presence"].values()
        assert (present["user"], present["conn_info"]) == ("ann", {"name": "Ann"})


def test_nobody_is_told_to_log_in(place):
    with place.browser(None, connect=False) as browser:
        browser.send(("connect", {}))
        assert browser.socket.close_code() == (4501, "login required")


def test_the_application_says_who_may_subscribe(place, unique):
    with place.browser() as browser:
        refused = browser.subscribe(f"room:closed-{unique}")
        assert refused["error"] == {"code": 403, "message": "not a member"}
        browser.send(("subscribe", {"channel": f"room:kicked-{unique}"}))
        assert browser.socket.close_code() == (4500, "banned")


def test_what_is_published_is_what_the_application_makes_of_it(place, unique):
    channel = f"room:{unique}"
    with place.browser("ann") as one, place.browser("bob") as two:
        for browser in one, two:
            browser.subscribe(channel)
        assert one.ask("publish", channel=channel, data="hello")["publish"] == {}
        push = two.push()
        assert push["pub"]["data"] == {"checked": "hello"} and push["pub"]["info"]["user"] == "ann"


def test_an_rpc_is_answered_by_the_application(place):
    with place.browser("ann") as browser:
        answer = browser.ask("rpc", method="cart", data={"x": 1})
        assert answer["rpc"]["data"] == {"called": "cart", "by": "ann", "with": {"x": 1}}


def test_the_application_is_asked_whether_somebody_may_stay(place, unique):
    with place.browser(f"brief-{unique}") as stays:
        stays.subscribe(f"room:brief-{unique}")
        wait_for(lambda: [q for q in place.questions("refresh") if q[1] == f"brief-{unique}"], "it was asked")
        wait_for(lambda: place.questions("sub_refresh", f"room:brief-{unique}"), "about the subscription, too")
        assert "presence" in stays.ask("presence", channel=f"room:brief-{unique}")
    with place.browser(f"brief-leaver-{unique}") as leaves:
        assert leaves.socket.close_code(60) == (3005, "connection expired")
    with place.browser("ann") as browser:
        browser.subscribe(f"room:brief-leaver-{unique}")
        assert browser.push()["unsubscribe"]["code"] == 2501


def test_what_is_no_answer_is_an_error_that_is_counted(place, unique):
    reasons = {"broken": "status", "redirected": "status", "nonsense": "unreadable", "dead": "unreachable"}
    with place.browser() as browser:
        for kind, reason in reasons.items():
            before = place.failures(reason)
            answer = browser.subscribe(f"room:{kind}-{unique}")
            assert answer["error"] == {"code": 100, "message": "internal server error", "temporary": True}, kind
            assert place.failures(reason) == before + 1, kind
        wait_for(lambda: "subscribe" in browser.subscribe(f"room:{unique}"), "after that the application is asked again")


def test_an_application_that_is_late_or_away_is_an_error_too(servers):
    place = Place(servers, timeout="4s")
    with place.browser() as browser:
        place.application.freeze()
        assert browser.subscribe("room:late")["error"]["temporary"]
        assert place.failures("slow") == 1
        place.application.kill()
        assert browser.subscribe("room:a")["error"]["code"] == 100
        assert place.failures("unreachable") == 1
        with place.browser(connect=False) as other:
            assert other.ask("connect")["error"]["code"] == 100
        place.application.start()
        wait_for(lambda: "subscribe" in browser.subscribe("room:b"), "the application is there again")


def test_an_answer_is_remembered_as_long_as_the_application_says(servers):
    place = Place(servers, include_client=False)
    for _ in range(20):
        with place.browser("ann") as browser:
            assert "subscribe" in browser.subscribe("room:known-a")
            assert "subscribe" in browser.subscribe("room:b")
    assert len(place.questions("subscribe", "room:known-a")) == 1
    assert len(place.questions("subscribe", "room:b")) == 20
    with place.browser("bob") as browser:
        browser.subscribe("room:known-a")
    assert len(place.questions("subscribe", "room:known-a")) == 2, "another cookie is another question"


def test_a_frames_questions_are_one_request(servers):
    # A batch that is full need not wait for its window, which is so long that nothing else makes it go.
    place = Place(servers, batch=True, batch_size=20, batch_window="1s")
    with place.browser() as browser:
        numbers = browser.send(*[("subscribe", {"channel": f"room:{number}"}) for number in range(20)])
        for number, name in zip(numbers, range(20)):
            assert browser.reply(number)["subscribe"]["data"] == {"welcome": str(name)}
    sizes = [len(request) for request in place.requests if request[0][0] == "subscribe"]
    # Two if this machine stood still for a whole second between the first question and the last.
    assert sum(sizes) == 20 and len(sizes) <= 2


def test_a_batch_is_answered_question_by_question(servers):
    place = Place(servers, batch=True, batch_size=5, batch_window="1s")
    channels = ["room:a", "room:closed-b", "room:a", "room:known-c", "nowhere:d", "$private", "room:e", "room:f"]
    with place.browser() as browser:
        numbers = browser.send(*[("subscribe", {"channel": channel}) for channel in channels])
        errors = [browser.reply(number).get("error", {}).get("code") for number in numbers]
        assert errors == [None, 403, 105, None, 102, 103, None, None]
    asked = [question[2] for request in place.requests for question in request if question[0] == "subscribe"]
    assert sorted(asked) == ["room:a", "room:closed-b", "room:e", "room:f", "room:known-c"]


def test_a_namespace_may_have_its_questions_asked_elsewhere(servers):
    """Two namespaces, one of which names an endpoint of its own, for questions in batches."""
    own = {**NAMESPACE, "name": "own", **{f"{event}_proxy_name": "batches" for event in ("subscribe", "publish", "sub_refresh")}}
    place = Place(
        servers, events=["connect", "subscribe"], namespaces=[NAMESPACE, own],
        proxies=[{"name": "batches", "path": "batch", "batch_size": 4, "batch_window": "1s"}])
    with place.browser() as browser:
        numbers = browser.send(*[
            ("subscribe", {"channel": channel}) for channel in ("own:a", "room:a", "own:b", "own:closed-c", "own:brief-d")])
        errors = [browser.reply(number).get("error", {}).get("code") for number in numbers]
        assert errors == [None, None, None, 403, None]
        asked = [sorted(question[2] for question in request) for request in place.requests if request[0][0] == "subscribe"]
        # Two batches if this machine stood still for a whole second between the first question and the last.
        assert asked.count(["room:a"]) == 1 and sum(len(one) for one in asked) == 5 and len(asked) <= 3
        assert browser.ask("publish", channel="own:a", data="hello")["publish"] == {}
        assert browser.push()["pub"]["data"] == {"checked": "hello"}
        assert browser.ask("publish", channel="room:a", data="hello")["error"]["code"] == 108, "nobody is there to ask"
        wait_for(lambda: place.questions("sub_refresh", "own:brief-d"), "it is asked about a subscription, too")
    found = place.carillon.metrics()
    assert {key for key in found if key.startswith("carillon_proxy_waiting")} == {
        f'carillon_proxy_waiting{{endpoint="{place.application.url}/{path}"}}' for path in ("connect", "subscribe", "batch")}


@pytest.fixture(scope="module")
def listening(shared):
    """Where browsers can connect that only listen."""
    return Place(shared, namespaces=[NAMESPACE, {"name": "open", "allow_subscribe_for_client": True}],
                 transports=["uni_websocket", "uni_sse", "uni_http_stream"])


@contextlib.contextmanager
def listener(place, transport, connect):
    """Connects as one that only listens; gives what reads its next push."""
    url = f"{place.carillon.address}/channels/connection/{transport}"
    query = "?cf_connect=" + urllib.parse.quote(json.dumps(connect))
    with contextlib.ExitStack() as stack:
        if transport == "uni_websocket":
            socket = WebSocket(url.replace("http", "ws", 1) + query, cookie="user=ann")
            stack.callback(socket.close)
            yield socket.json
        elif transport == "uni_sse":
            stream = EventStream(url + query, cookie="user=ann")
            stack.callback(stream.close)
            yield stream.json
        else:
            connection, answer = open_request("POST", url, json=connect, headers={"Cookie": "user=ann"})
            stack.callback(connection.close)
            stack.callback(answer.close)
            yield lambda: json.loads(answer.readline())


@pytest.mark.parametrize("transport", ["uni_websocket", "uni_sse", "uni_http_stream"])
def test_who_only_listens_gets_the_channels_that_the_application_grants(listening, unique, transport):
    """With the question about the connection it is told which channels are wanted; about each of them it is not asked."""
    names = [f"open:{unique}", f"room:{unique}", f"room:granted-{unique}"]
    wanted = {"subs": {name: {} for name in [*names, "$private"]}}
    with listener(listening, transport, wanted) as read:
        connected = read()["connect"]
        assert set(connected["subs"]) == {names[0], names[2]}
        assert not [name for name in names if listening.questions("subscribe", name)]
        listening.carillon.publish(names[1], "not for this one")
        listening.carillon.publish(names[2], "hello")
        assert read() == {"channel": names[2], "pub": {"data": "hello"}}


def test_a_batch_that_comes_to_nothing_is_an_error_for_all_of_it(servers):
    place = Place(servers, batch=True, batch_size=3, batch_window="1s")
    with place.browser() as browser:
        numbers = browser.send(*[("subscribe", {"channel": f"room:{name}"}) for name in ("a", "nonsense", "b")])
        assert [browser.reply(number)["error"]["code"] for number in numbers] == [100] * 3
        assert place.failures("unreadable") == 3


def test_many_browsers_at_once_wait_their_turn(servers):
    """Two hundred questions to four workers, each of which takes its time: none fails."""
    place = Place(servers)
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        browsers = list(pool.map(lambda number: place.browser(f"user{number}"), range(40)))
        try:
            waiting = [(browser, browser.send(*[("subscribe", {"channel": f"room:work-{n}"}) for n in range(5)]))
                       for browser in browsers]
            for browser, numbers in waiting:
                assert all("subscribe" in browser.reply(number) for number in numbers)
        finally:
            for browser in browsers:
                browser.socket.close()
    assert place.carillon.metric("carillon_proxy_failures_total") == 0
    assert place.carillon.metric("carillon_proxy_questions_total") == 240
    assert place.carillon.metric("carillon_proxy_wait_seconds_count") == 240


def test_what_waits_is_in_the_metrics(servers):
    place = Place(servers, max_concurrency=1, timeout="60s", queue_timeout="60s")

    def shown():
        found = place.carillon.metrics()
        return [found[f'carillon_proxy_{name}{{endpoint="{place.application.url}/subscribe"}}']
                for name in ("waiting", "running", "concurrency")]

    with place.browser() as browser:
        assert shown() == [0, 0, 1]
        place.application.freeze()
        numbers = browser.send(*[("subscribe", {"channel": f"room:{number}"}) for number in range(5)])
        wait_for(lambda: shown() == [4, 1, 1], "one is asked, and the others wait")
        place.application.thaw()
        assert all("subscribe" in browser.reply(number) for number in numbers)
        assert shown() == [0, 0, 1]


def test_the_shipped_flask_application_decides(servers):
    """examples/flask/decides.py with its settings: sessions instead of tokens, and several questions in one request."""
    secrets = {"CARILLON_SECRET": "between the two of us", "SECRET_KEY": "sessions"}
    application = servers.gunicorn(
        "decides:app", ROOT / "examples" / "flask", "--workers", "4",
        environment={**secrets, "PYTHONDONTWRITEBYTECODE": "1"})
    settings = json.loads(shipped("examples/flask/decides.json", {
        "http://127.0.0.1:8002": f"http://127.0.0.1:{free_port()}", "http://127.0.0.1:5000": application.url}))
    del settings["router"]["listen"]  # on a port of the test's
    for place in settings["gateway"]["centrifugo"]["proxy"].values():
        place["timeout"] = "20s"  # on a busy machine an answer may take longer than a second
    carillon = servers.start(Carillon, "serve", settings, environment=secrets)

    def session(user):
        said = ask("POST", f"{carillon.address}/log-in", body=f"user={user}",
                   headers={"Content-Type": "application/x-www-form-urlencoded"})
        return said.headers["Set-Cookie"].partition(";")[0]

    url = carillon.websocket_url(PATH)
    with Browser(url, cookie=session("ann")) as ann:
        numbers = ann.send(*[("subscribe", {"channel": f"rooms:{room}"}) for room in ("lobby", "ann", "bob")])
        answers = [ann.reply(number) for number in numbers]
        assert ["subscribe" in one for one in answers] == [True, True, False]
        assert answers[2]["error"] == {"code": 403, "message": "not your room"}
        # One for the connection, and one for the three if this machine is not too slow for the window.
        asked = carillon.metric("carillon_proxy_requests_total")
        assert asked <= 4
        ann.ask("unsubscribe", channel="rooms:ann")
        assert "subscribe" in ann.subscribe("rooms:ann")
        assert carillon.metric("carillon_proxy_requests_total") == asked, "the answer counts for a minute"
    with Browser(url, connect=False) as nobody:
        nobody.send(("connect", {}))
        assert nobody.socket.close_code() == (4501, "log in first")
    assert ask("POST", f"{carillon.address}/carillon/connect", json={}).status == 403, "browsers may not ask"
