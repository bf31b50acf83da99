"""The demonstration's chat in Chromium: two tabs, and a gateway that is killed meanwhile."""

import pytest
from websockets.exceptions import InvalidStatus

from sites import Site
from sockets import WebSocket
from waiting import wait_for

# What `carillon serve` has without settings.
CHAT = {"name": "chat", "allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True,
        "allow_publish_for_subscriber": True}
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


def wait_for_messages(both, wanted):
    for tab in both:
        wait_for(lambda: messages(tab) == wanted, f"{tab.url} shows {wanted}")
        assert tab.console == []


def test_two_tabs_chat(servers, tabs):
    site = servers.carillon("serve")
    both = [open_chat(tabs, site.address, name) for name in ("Ann", "Ben")]
    say(both[0], "Is anybody there?")
    wait_for_messages(both, ["Is anybody there?"])
    say(both[1], "Yes, \u00e9ven <b>me</b>.")
    wait_for_messages(both, ["Is anybody there?", "Yes, \u00e9ven <b>me</b>."])


def test_only_who_is_on_this_host_is_let_in(servers):
    site = servers.carillon("serve")
    with pytest.raises(InvalidStatus) as refused:
        WebSocket(site.websocket_url("/channels/connection/websocket"), headers=[("X-Forwarded-For", "203.0.113.9")])
    assert refused.value.response.status_code == 403


def test_a_chat_goes_on_when_its_gateway_is_killed(site, tabs):
    both = [open_chat(tabs, site.address, name) for name in ("Ann", "Ben")]
    said = []
    for gateway, other in (site.gateways, site.gateways[::-1]):
        # Whoever was on it goes to the other one; the second time that is everybody.
        gateway.kill()
        wait_for(lambda: other.metric("carillon_gateway_connections") == 2, "both have come to the other gateway")
        for tab in both:
            wait_until_live(tab)
        for tab in both:
            said.append(f"after {gateway.folder.name}, in {tab.url[-3:]}")
            say(tab, said[-1])
            wait_for_messages(both, said)
        gateway.start()
    assert (site.router.is_running, site.worker.is_running) == (True, True)
