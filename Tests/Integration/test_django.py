"""A Django application under gunicorn behind the router: its session decides who hears what, its pages work as before."""

import hashlib
import http.client
import json
import os
import urllib.parse

import pytest

from applications import DjangoSite, Visitor
from sockets import EventStream, ask, open_request

SECRET = "a-secret-of-the-tests-and-of-nobody-else"

SETTINGS = {"gateway": {"routes": [
    {"path": "/channels/updates/", "authenticate": {"worker": "/accounts/whoami"},
     "groups": ["updates-{user}", "everybody"], "rules": [{"type": "user.message", "text": "data"}]},
    {"path": "/channels/ticket/", "authenticate": {"django_ticket": {"secret": SECRET, "salt": "carillon"}},
     "groups": ["updates-{user}", "everybody"]},
    {"path": "/channels/session/", "authenticate": {"django_session": {"secret": SECRET}},
     "groups": ["updates-{user}", "everybody"]},
]}}


@pytest.fixture(scope="module")
def site(shared):
    return DjangoSite(shared, SETTINGS)


@pytest.fixture(scope="module")
def signed_site(shared):
    return DjangoSite(shared, SETTINGS, sessions="django.contrib.sessions.backends.signed_cookies")


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
