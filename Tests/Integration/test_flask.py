"""examples/flask as it is shipped: a room, and tokens that say who is in it, in two browsers' tabs."""

import json

import pytest

from processes import free_port
from servers import KEY, Carillon
from shipped import ROOT, shipped

EXAMPLE = ROOT / "examples" / "flask"
SECRETS = {
    "CARILLON_JWT_SECRET": "a secret that is long enough to be one", "CARILLON_API_KEY": KEY, "SECRET_KEY": "sessions"}


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
    tab.wait_for("document.querySelector('#state')?.innerText === 'You are in the lobby.'")


def test_a_room_of_people_with_tokens(address, tabs):
    # Two names of this host, because a browser has one session for each.
    both = ann, ben = tabs(address), tabs(address.replace("127.0.0.1", "localhost"))
    log_in(ann, "ann")
    assert ben.evaluate("fetch('/token').then(({ status }) => status)") == 403
    log_in(ben, "ben")
    wanted = []
    for tab, name in ((ann, "Ann"), (ben, "Ben")):
        tab.evaluate("document.querySelector('[name=text]').value = 'hello'; document.querySelector('#say').requestSubmit()")
        wanted.append(f"{name}: hello")
        wait_for_lines(both, wanted)
    assert ann.evaluate("fetch('/announce', { method: 'POST' }).then(({ status }) => status)") == 200
    wait_for_lines(both, wanted + ["the server: ann rang the bell"])
    assert ann.console == ben.console == []


def wait_for_lines(both, wanted):
    for tab in both:
        tab.wait_for(f"document.querySelectorAll('#lobby li').length === {len(wanted)}")
        assert tab.evaluate("[...document.querySelectorAll('#lobby li')].map((each) => each.innerText)") == wanted
