"""The demonstration's chat in Chromium: two tabs, who is here, what was said, and a gateway that is killed meanwhile."""

import pytest

from websockets.exceptions import InvalidStatus

from sites import Site
from sockets import WebSocket
from waiting import wait_for

# What `carillon serve` has without settings.
CHAT = {
    "name": "chat", "allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True,
    "allow_publish_for_subscriber": True, "history_size": 1000, "history_ttl": "1h", "force_recovery": True,
    "allow_history_for_subscriber": True, "presence": True, "join_leave": True, "allow_presence_for_subscriber": True}
CENTRIFUGO = {"allow_anonymous_connect_without_token": True, "namespaces": [CHAT]}


@pytest.fixture
def site(servers, redis, unique):
    layer = {"backend": "redis", "config": {"hosts": [redis.url], "prefix": unique}}
    return Site(servers, gateways=2, demo=True, layer=layer, more={"gateway": {"centrifugo": CENTRIFUGO}})


def open_chat(tabs, address, name):
    tab = tabs(f"{address}/chat?name={name}")
    wait_until_live(tab)
    return tab


def wait_until_live(tab):
    tab.wait_for("document.querySelector('#connection').dataset.state === 'open'"
                 " && document.querySelector('#state').innerText === 'Live'")


def say(tab, text):
    tab.evaluate(f"document.querySelector('#text').value = {text!r}; document.querySelector('#say').requestSubmit()")


def messages(tab):
    """The texts that have arrived, in the order of the page."""
    return tab.evaluate(
        "[...document.querySelectorAll('#messages li[data-state=heard]')].map((each) => each.children[1].innerText)")


def people(tab):
    return sorted(tab.evaluate("[...document.querySelectorAll('#people li')].map((each) => each.innerText)"))


def notes(tab):
    return tab.evaluate("[...document.querySelectorAll('#messages li.note')].map((each) => each.innerText)")


def check_history_and_presence(tabs, address):
    ann = open_chat(tabs, address, "Ann")
    wait_for(lambda: people(ann) == ["Ann (you)"], "Ann sees herself")
    say(ann, "Is anybody there?")
    ben = open_chat(tabs, address, "Ben")
    for tab, who in ((ann, ["Ann (you)", "Ben"]), (ben, ["Ann", "Ben (you)"])):
        wait_for(lambda: people(tab) == who, f"{tab.url} shows {who}, and shows {people(tab)}")
    say(ben, "Yes, \u00e9ven <b>me</b>.")
    for tab in (ann, ben):
        wait_for(lambda: messages(tab) == ["Is anybody there?", "Yes, \u00e9ven <b>me</b>."], "both messages are shown")
    return ann, ben


def test_a_chat_shows_what_was_said_and_who_is_here(servers, tabs):
    site = servers.carillon("serve")
    ann, ben = check_history_and_presence(tabs, site.address)
    ben.close()
    wait_for(lambda: people(ann) == ["Ann (you)"], "Ben has left")
    assert ann.console == []


def test_only_who_is_on_this_host_is_let_in(servers):
    site = servers.carillon("serve")
    with pytest.raises(InvalidStatus) as refused:
        WebSocket(site.websocket_url("/channels/connection/websocket"), headers=[("X-Forwarded-For", "203.0.113.9")])
    assert refused.value.response.status_code == 403


def test_a_chat_misses_nothing_when_its_gateway_is_killed(site, tabs):
    both = check_history_and_presence(tabs, site.address)
    for tab, name in zip(both, ("Ann", "Ben")):
        # Both say something all the time.
        tab.evaluate(f"""(() => {{
            window.said = [];
            window.talk = setInterval(() => {{
                document.querySelector("#text").value = "{name} " + said.length;
                document.querySelector("#say").requestSubmit();
                said.push("{name} " + said.length);
            }}, 60);
        }})()""")
    for gateway, other in (site.gateways, site.gateways[::-1]):
        before = len(messages(both[0]))
        wait_for(lambda: len(messages(both[0])) > before + 20, "messages flow")
        # Whoever was on it goes to the other one; the second time that is everybody.
        gateway.kill()
        wait_for(lambda: other.metric("carillon_gateway_connections") == 2, "both have come to the other gateway")
        for tab in both:
            wait_until_live(tab)
        gateway.start()
    said = {text for tab in both for text in tab.evaluate("clearInterval(talk), said")}
    for tab in both:
        wait_for(lambda: said <= set(messages(tab)), f"{tab.url} shows all that was said")
    one, other = (messages(tab) for tab in both)
    assert one == other and len(set(one)) == len(one)
    # Each of them was on at least one of the gateways that died, came back, and was told by recovery what it missed.
    for tab in both:
        assert notes(tab) and all(note.endswith("nothing was missed.") for note in notes(tab)), notes(tab)
        assert tab.console == []
    for tab, who in zip(both, (["Ann (you)", "Ben"], ["Ann", "Ben (you)"])):
        # Not those as well whom the gateways that died have left behind.
        wait_for(lambda: people(tab) == who, f"{tab.url} shows {who}, and shows {people(tab)}")
    both[0].keep_screenshot("chat")
    assert (site.router.is_running, site.worker.is_running) == (True, True)
