"""examples/flask as it is shipped: rooms with tokens, in two browsers' tabs."""

import json

import pytest

from processes import free_port
from servers import KEY, Carillon
from shipped import ROOT, shipped

EXAMPLE = ROOT / "examples" / "flask"
SECRETS = {"CARILLON_JWT_SECRET": "a secret that is long enough to be one", "CARILLON_API_KEY": KEY, "SECRET_KEY": "sessions"}


@pytest.fixture(scope="module")
def address(shared):
    """Where the router is."""
    api = free_port()
    application = shared.gunicorn(
        "rooms:app", EXAMPLE, "--threads", "4",
        environment={**SECRETS, "CARILLON_API": f"http://127.0.0.1:{api}/api", "PYTHONDONTWRITEBYTECODE": "1"})
    settings = json.loads(shipped("examples/flask/settings.json", {
        "http://127.0.0.1:8002": f"http://127.0.0.1:{api}", "http://127.0.0.1:5000": application.url}))
    del settings["router"]["listen"]  # on a port of the test's
    return shared.start(Carillon, "serve", settings, environment=SECRETS).address


def log_in(tab, name):
    tab.evaluate(f"document.querySelector('[name=user]').value = '{name}'; document.forms[0].submit()")
    tab.wait_for(f"document.querySelector('form b')?.innerText === '{name}'")
    tab.wait_for("document.querySelector('#here')?.innerText.length > 0")


def lines(tab, room):
    return tab.evaluate(f"[...document.querySelectorAll('#{room} li')].map((each) => each.innerText)")


def wait_for_lines(tab, room, wanted):
    tab.wait_for(f"document.querySelectorAll('#{room} li').length === {len(wanted)}")
    assert lines(tab, room) == wanted


def test_rooms_have_members_a_history_and_a_private_room(address, tabs):
    # Two names of this host, because a browser has one session for each.
    ann, ben = tabs(address), tabs(address.replace("127.0.0.1", "localhost"))
    log_in(ann, "ann")
    ann.evaluate("document.querySelector('[name=text]').value = 'hello'; document.querySelector('#say').requestSubmit()")
    wait_for_lines(ann, "lobby", ["Ann: hello"])
    log_in(ben, "ben")
    wait_for_lines(ben, "lobby", ["Ann: hello"])
    for tab in (ann, ben):
        tab.wait_for("document.querySelector('#here').innerText === 'Ann, Ben'")
    assert ann.evaluate("fetch('/announce', { method: 'POST' }).then(({ status }) => status)") == 200
    for tab in (ann, ben):
        wait_for_lines(tab, "lobby", ["Ann: hello", "the server: ann rang the bell"])
    wait_for_lines(ann, "staff", ["the server: psst"])
    assert ben.evaluate("fetch('/token/$rooms:staff').then(({ status }) => status)") == 403
    assert lines(ben, "staff") == []
    # A page that is loaded anew is told what it said before.
    ann.evaluate("location.reload()")
    ann.wait_for("document.querySelector('#lobby li')?.innerText === 'Ann: hello'")
    ben.wait_for("document.querySelector('#here').innerText === 'Ann, Ben'")
    assert ann.console == ben.console == []
