"""A Django application under gunicorn behind the router: its session decides who hears what, its pages work as before."""

import hashlib
import http.client
import http.cookiejar
import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest
from websockets.exceptions import InvalidStatus

from processes import free_port
from servers import KEY, Carillon
from sockets import EventStream, WebSocket, ask, open_request

HERE = pathlib.Path(__file__).parent
SECRET = "a-secret-of-the-tests-and-of-nobody-else"

ROUTES = [
    {"path": "/channels/updates/", "authenticate": {"worker": "/accounts/whoami"},
     "groups": ["updates-{user}", "everybody"], "rules": [{"type": "user.message", "text": "data"}]},
    {"path": "/channels/ticket/", "authenticate": {"django_ticket": {"secret": SECRET, "salt": "carillon"}},
     "groups": ["updates-{user}", "everybody"]},
    {"path": "/channels/session/", "authenticate": {"django_session": {"secret": SECRET}},
     "groups": ["updates-{user}", "everybody"]},
]


class Site:
    """gunicorn with the Django project, and `carillon serve` in front of it."""

    def __init__(self, servers, sessions):
        folder = servers.new_folder()
        api = free_port()
        environment = {
            "SITE_DATABASE": str(folder / "site.sqlite"), "SITE_SESSIONS": sessions, "PYTHONPATH": str(HERE),
            "SITE_PUBLISH": f"http://127.0.0.1:{api}/api/publish", "SITE_KEY": KEY, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, "-m", "django_site.prepare"], env={**os.environ, **environment}, check=True,
                       timeout=60)
        self.socket = folder / "site.sock"
        self.application = servers.gunicorn(
            "django_site.wsgi:application", HERE, "--threads", "4", environment=environment, unix_socket=self.socket)
        self.carillon = servers.start(Carillon, "serve", {
            "router": {"workers": {"upstreams": [f"unix://{self.socket}"]}},
            "gateway": {"routes": ROUTES},
            "workers": {"listen": f"http://127.0.0.1:{api}"},
            "api": {"keys": ["${CARILLON_API_KEY}"]},
        })
        self.api = f"http://127.0.0.1:{api}/api/publish"
        self.address = self.carillon.address

    def publish(self, group, data):
        assert ask("POST", self.api, json={"channel": group, "data": data}, headers={"X-API-Key": KEY}).status == 200

    def browser(self, path, **options):
        return WebSocket(self.carillon.websocket_url(path), **options)

    def refusal(self, path, **options):
        """The status of the answer to a WebSocket that is not let in."""
        with pytest.raises(InvalidStatus) as refused:
            self.browser(path, **options)
        return refused.value.response.status_code


class Visitor:
    """Somebody with a browser that keeps cookies."""

    def __init__(self, site):
        self.site = site
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.jar))

    def get(self, path):
        with self._opener.open(self.site.address + path, timeout=20) as answer:
            return answer.read().decode()

    def post(self, path, **form):
        form["csrfmiddlewaretoken"] = self.cookies.get("csrftoken", "")
        request = urllib.request.Request(
            self.site.address + path, urllib.parse.urlencode(form).encode(),
            # As a browser does; Django compares it with the host.
            {"Origin": self.site.address, "Referer": self.site.address + path})
        with self._opener.open(request, timeout=20) as answer:
            return answer.read().decode()

    def log_in(self, name):
        self.get("/accounts/login/")
        assert self.post("/accounts/login/", username=name, password=name) == f"hello {name}\n"
        return self

    @property
    def cookies(self):
        return {cookie.name: cookie.value for cookie in self.jar}

    @property
    def cookie(self):
        """What the browser sends with a handshake."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())


@pytest.fixture(scope="module")
def site(shared):
    return Site(shared, "django.contrib.sessions.backends.db")


@pytest.fixture(scope="module")
def signed_site(shared):
    return Site(shared, "django.contrib.sessions.backends.signed_cookies")


def each_hears_their_own(site, alice, bob):
    """Alice is user 1 and bob user 2; what is for everybody comes last and shows that nothing else came before."""
    site.publish("updates-1", "for alice")
    site.publish("updates-2", "for bob")
    site.publish("updates-3", "for a third one")
    site.publish("everybody", "for all")
    assert [alice.json(), alice.json()] == ["for alice", "for all"]
    assert [bob.json(), bob.json()] == ["for bob", "for all"]


def test_the_session_decides_who_hears_what(site):
    alice, bob = Visitor(site).log_in("alice"), Visitor(site).log_in("bob")
    with site.browser("/channels/updates/", cookie=alice.cookie) as one, \
            site.browser("/channels/updates/", cookie=bob.cookie) as two:
        each_hears_their_own(site, one, two)
        # The groups that the application named count too.
        site.publish("team-blue", "blue")
        site.publish("team-red", "red")
        assert (one.json(), two.json()) == ("red", "blue")
    with EventStream(site.address + "/channels/updates/", cookie=alice.cookie) as one, \
            EventStream(site.address + "/channels/updates/", cookie=bob.cookie) as two:
        each_hears_their_own(site, one, two)


def test_a_stranger_is_not_let_in(site):
    assert site.refusal("/channels/updates/") == 403
    assert site.refusal("/channels/updates/", cookie="sessionid=0123456789abcdefghijklmnopqrstuv") == 403
    with EventStream(site.address + "/channels/updates/") as stream:
        assert stream.status == 403
    assert site.carillon.metric('carillon_gateway_refusals_total{reason="unauthenticated"}') >= 3


def test_who_has_logged_out_does_not_come_back(site):
    alice = Visitor(site).log_in("alice")
    kept = alice.cookie
    with site.browser("/channels/updates/", cookie=kept):
        pass
    assert alice.post("/accounts/logout/") == "hello stranger\n"
    assert site.refusal("/channels/updates/", cookie=kept) == 403


def test_a_view_reaches_the_pages_of_its_own_user(site):
    alice = Visitor(site).log_in("alice")
    with site.browser("/channels/updates/", cookie=alice.cookie) as page:
        alice.get("/accounts/login/")
        assert alice.post("/notify", text="your job is done") == '{"result":{}}'
        assert page.json() == {"type": "note", "text": "your job is done"}


def test_a_ticket_is_enough(site):
    tickets = [json.loads(Visitor(site).log_in(name).get("/ticket"))["ticket"] for name in ("alice", "bob")]
    urls = ["/channels/ticket/?ticket=" + urllib.parse.quote(ticket) for ticket in tickets]
    with site.browser(urls[0]) as alice, site.browser(urls[1]) as bob:
        each_hears_their_own(site, alice, bob)
    with EventStream(site.address + urls[0]) as alice, EventStream(site.address + urls[1]) as bob:
        each_hears_their_own(site, alice, bob)
    # Somebody else's number under one's own signature, and none at all.
    assert site.refusal("/channels/ticket/?ticket=" + urllib.parse.quote("2" + tickets[0][1:])) == 403
    assert site.refusal("/channels/ticket/") == 403


def test_a_signed_session_is_read_without_asking_anybody(signed_site):
    alice, bob = Visitor(signed_site).log_in("alice"), Visitor(signed_site).log_in("bob")
    # Nobody is asked: the application does not even run.
    signed_site.application.stop()
    with signed_site.browser("/channels/session/", cookie=alice.cookie) as one, \
            signed_site.browser("/channels/session/", cookie=bob.cookie) as two:
        each_hears_their_own(signed_site, one, two)
    assert signed_site.refusal("/channels/session/") == 403
    session = bob.cookies["sessionid"]
    damaged = session[:10] + ("A" if session[10] != "A" else "B") + session[11:]
    assert signed_site.refusal("/channels/session/", cookie=f"sessionid={damaged}") == 403
    # This one would have to be asked.
    assert signed_site.refusal("/channels/updates/", cookie=alice.cookie) == 503
    signed_site.application.start()
    with signed_site.browser("/channels/updates/", cookie=alice.cookie):
        pass


# Plain HTTP


def test_forms_cookies_and_redirects_work_as_before(site):
    visitor = Visitor(site)
    assert visitor.get("/") == "hello stranger\n"
    visitor.log_in("alice")
    assert visitor.get("/") == "hello alice\n"
    assert "sessionid" in visitor.cookies
    redirect = ask("GET", site.address + "/ticket")
    assert redirect.status == 302 and redirect.headers["Location"] == "/accounts/login/?next=/ticket"
    # A page elsewhere that makes the browser post this form does not know the token.
    forged = ask("POST", site.address + "/notify", body=b"text=forged", headers={
        "Cookie": visitor.cookie, "Content-Type": "application/x-www-form-urlencoded"})
    assert forged.status == 403


@pytest.mark.parametrize("size", [0, 1, 70_000, 2_000_000])
def test_a_body_arrives_whole(site, size):
    body = os.urandom(size)
    answer = ask("POST", site.address + "/echo?a=1&b=%20", body=body, headers={"Cookie": "x=1; y=2"})
    heard = answer.json
    assert (heard["size"], heard["sha256"]) == (size, hashlib.sha256(body).hexdigest())
    assert (heard["method"], heard["path"], heard["cookies"]) == ("POST", "/echo?a=1&b=%20", {"x": "1", "y": "2"})
    assert answer.headers.get_all("Set-Cookie") == ["first=1; Path=/", "second=2; HttpOnly; Path=/sub"]
    assert heard["headers"]["X-Forwarded-For"] == "127.0.0.1"
    assert heard["headers"]["X-Forwarded-Proto"] == "http"


def test_a_chunked_body_arrives_whole(site):
    pieces = [os.urandom(1_000) for _ in range(20)]
    answer = ask("POST", site.address + "/echo", body=iter(pieces))
    assert answer.json["headers"].get("Transfer-Encoding") == "chunked"
    assert answer.json["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()


def test_a_streamed_answer_comes_as_it_is_made(site, tmp_path):
    gate = tmp_path / "gate"
    connection, response = open_request("GET", f"{site.address}/stream?gate={urllib.parse.quote(str(gate))}")
    assert response.readline() == b"first\n"
    gate.touch()
    assert response.read() == b"second\n"
    connection.close()


def test_one_connection_serves_many_requests(site):
    connection = http.client.HTTPConnection("127.0.0.1", site.carillon.port, timeout=20)
    for number in range(20):
        connection.request("GET", f"/echo?{number}")
        assert b"echo?%d" % number in connection.getresponse().read()
    connection.request("HEAD", "/")
    assert connection.getresponse().read() == b""
    connection.request("GET", "/none")
    assert connection.getresponse().status == 404
    connection.close()


def test_a_stopped_application_is_told_and_comes_back(site):
    site.application.stop()
    assert ask("GET", site.address + "/").status == 502
    site.application.start()
    assert Visitor(site).get("/") == "hello stranger\n"
