"""examples/django_rooms as it is shipped: rooms whose application is asked by the event proxy, in two browsers' tabs."""

import json

import pytest

from processes import free_port
from servers import KEY, Carillon
from shipped import ROOT, shipped

SECRETS = {"CARILLON_API_KEY": KEY, "SECRET_KEY": "sessions"}


@pytest.fixture(scope="module")
def address(shared):
    """Where the router is."""
    application = shared.gunicorn(
        "rooms:application", ROOT / "examples" / "django_rooms", "--threads", "4",
        environment={**SECRETS, "PYTHONDONTWRITEBYTECODE": "1"})
    settings = json.loads(shipped("examples/django_rooms/settings.json", {
        "http://127.0.0.1:8002": f"http://127.0.0.1:{free_port()}", "http://127.0.0.1:5000": application.url}))
    del settings["router"]["listen"]  # on a port of the test's
    for place in settings["gateway"]["centrifugo"]["proxy"].values():
        place["timeout"] = "20s"  # on a busy machine an answer may take longer than a second
    return shared.start(Carillon, "serve", settings, environment=SECRETS).address


def log_in(tab, name):
    tab.evaluate(f"document.querySelector('[name=user]').value = '{name}'; document.forms[0].submit()")
    tab.wait_for(f"document.querySelector('#state')?.innerText === 'Welcome, {name}.'")


def say(tab, room, text):
    tab.wait_for(f"document.querySelector('#say option')"
                 f" && [...document.querySelectorAll('option')].some((each) => each.innerText === '{room}')")
    tab.evaluate(f"""(() => {{
        const form = document.querySelector('#say');
        form.room.value = '{room}';
        form.text.value = {json.dumps(text)};
        form.requestSubmit();
    }})()""")


def said(tab):
    return tab.evaluate("[...document.querySelectorAll('#said li')].map((each) => each.innerText)")


def wait_until_said(tab, wanted):
    tab.wait_for(f"document.querySelectorAll('#said li').length === {len(wanted)}")
    assert said(tab) == wanted


def test_the_application_says_who_may_what(address, tabs):
    visitor = tabs(address.replace("127.0.0.1", "localhost"))
    visitor.wait_for("document.querySelector('#state').innerText === 'log in first'")
    # Two names of this host, because a browser has one session for each.
    ann, ben = tabs(address), visitor
    log_in(ann, "ann")
    say(ann, "rooms:garden", "  hello ")
    wait_until_said(ann, ["rooms:garden Ann: hello"])
    say(ann, "rooms:attic", "for my ears")
    wait_until_said(ann, ["rooms:garden Ann: hello", "rooms:attic Ann: for my ears"])
    log_in(ben, "ben")
    wait_until_said(ben, ["rooms:garden Ann: hello"])
    say(ben, "rooms:garden", "x" * 501)
    ben.wait_for("document.querySelector('#state').innerText === 'say something, and not too much'")
    refused = ben.evaluate("""import("/channels/carillon.js").then(({ channels }) =>
        channels().subscribe("rooms:attic").ready().catch(({ code, message }) => [code, message]))""")
    assert refused == [403, "not a member"]
    say(ben, "rooms:garden", "hi")
    for tab in (ann, ben):
        tab.wait_for("document.querySelector('#said li:last-child').innerText === 'rooms:garden Ben: hi'")
    assert ann.console == ben.console == []
