"""The CATMAID profile, examples/catmaid.json as it is shipped, before an application with CATMAID's login view, over
each layer."""

import json
import pathlib

import pytest
from websockets.exceptions import ConnectionClosed

import channels_peer
from applications import DjangoSite, Visitor

PROFILE = pathlib.Path(__file__).parents[2] / "examples" / "catmaid.json"
# CATMAID names its session cookie after the path it is installed under; this is "/".
COOKIE = "sessionid_6666cd76f96956469e7be39d750cc7d9"
PATH = "/channels/updates/"
# Python's layer for each of ours that has one, in which CATMAID's own code sends.
PYTHON = {"redis": "channels_redis.core.RedisChannelLayer",
          "redis_pubsub": "channels_redis.pubsub.RedisPubSubChannelLayer"}


@pytest.fixture(scope="module", params=["memory", "redis", "redis_pubsub", "rabbitmq"])
def site(shared, request):
    config = {}
    if request.param in PYTHON:
        config = {"hosts": [shared.redis().url]}
    elif request.param == "rabbitmq":
        config = {"host": request.getfixturevalue("rabbitmq").url, "groups_exchange": "catmaid"}
    settings = json.loads(PROFILE.read_text())
    settings["channel_layers"] = {"default": {"backend": request.param, "config": config}}
    made = DjangoSite(shared, settings, cookie=COOKIE)
    made.layer, made.config = request.param, config
    return made


@pytest.fixture
def alice(site):
    return Visitor(site).log_in("alice").cookie


@pytest.fixture
def bob(site):
    return Visitor(site).log_in("bob").cookie


def message(number):
    """What CATMAID's server tells of a finished job."""
    return {"event": "new-message", "payload": {"message_id": number, "message_title": "Microstack finished \u00e9"}}


def test_each_user_hears_the_messages_for_them(site, alice, bob):
    with site.browser(PATH, cookie=alice) as one, site.browser(PATH, cookie=alice) as again, \
            site.browser(PATH, cookie=bob) as two:
        site.publish("updates-1", message(1))
        site.publish("updates-2", message(2))
        site.publish("updates-None", message(3))
        assert one.json() == again.json() == message(1)
        assert two.json() == message(2)


@pytest.mark.parametrize("site", ["memory"], indirect=True)
def test_within_one_process_json_keeps_the_spaces_and_escapes_of_python(site, alice):
    with site.browser(PATH, cookie=alice) as browser:
        site.publish("updates-1", message(1))
        assert browser.read() == json.dumps(message(1)) and "\\u00e9" in json.dumps(message(1))


@pytest.mark.parametrize("site", PYTHON, indirect=True)
def test_what_the_channel_layer_of_its_django_sends_arrives_unchanged(site, alice):
    with site.browser(PATH, cookie=alice) as browser, \
            channels_peer.Peer(site.config["hosts"], {}, PYTHON[site.layer]) as python:
        for number in range(20):
            python.group_send("updates-1", {"type": "user.message", "data": json.dumps(message(number))})
        assert [browser.read() for _ in range(20)] == [json.dumps(message(number)) for number in range(20)]


def test_every_event_the_page_knows_arrives(site, alice):
    events = [
        message(1),
        {"event": "similarity-config-update", "payload": {"config_id": 4, "config_status": "complete"}},
        {"event": "similarity-update", "payload": {"similarity_id": 5, "similarity_status": "error"}},
    ]
    with site.browser(PATH, cookie=alice) as browser:
        for event in events:
            site.publish("updates-1", event)
        assert [browser.json() for _ in events] == events


def test_strangers_share_a_group(site):
    with site.browser(PATH) as one, site.browser(PATH, cookie=f"{COOKIE}=nobody") as two:
        site.publish("updates-99", "for the stand-in user")
        site.publish("updates-None", message(1))
        assert one.json() == two.json() == message(1)


def test_the_page_gets_text_frames_without_a_subprotocol(site, alice):
    with site.browser(PATH, cookie=alice) as browser:
        assert browser.connection.subprotocol is None
        site.publish("updates-1", message(1))
        assert isinstance(browser.read(), str)


def test_what_a_browser_says_with_a_message_goes_unchanged_to_all_of_the_same_user(site, alice, bob):
    said = '{"message":  "hello", "n": 1.0}'
    with site.browser(PATH, cookie=alice) as one, site.browser(PATH, cookie=alice) as again, \
            site.browser(PATH, cookie=bob) as two:
        one.send(said)
        assert one.read() == again.read() == said
        two.send('{"message": "bob"}')
        assert two.read() == '{"message": "bob"}'


def test_anything_else_a_browser_says_is_dropped_and_harms_nobody(site, alice):
    def dropped():
        return site.carillon.metric("carillon_gateway_dropped_browser_messages_total")

    before = dropped()
    with site.browser(PATH, cookie=alice) as browser:
        for said in ("not json", '{"other": 1}', '["message"]', '"message"', b"\x00\xff", ""):
            browser.send(said)
        browser.send('{"message": "still here"}')
        assert browser.read() == '{"message": "still here"}'
    assert dropped() == before + 6


def test_who_cannot_be_asked_about_is_sent_away_in_a_way_that_brings_the_page_back(site, alice):
    site.application.stop()
    try:
        # CATMAID's page gives up for good when the handshake is refused, but comes back after a close.
        with site.browser(PATH, cookie=alice) as browser:
            assert browser.close_code()[0] == 1013
    finally:
        site.application.start()
    with site.browser(PATH, cookie=alice) as browser:
        site.publish("updates-1", message(1))
        assert browser.json() == message(1)


def test_a_restart_closes_with_a_code_that_brings_the_page_back(site, alice):
    with site.browser(PATH, cookie=alice) as browser:
        assert site.carillon.stop() == 0
        with pytest.raises(ConnectionClosed):
            browser.read()
        assert browser.connection.close_code == 1012
    site.carillon.start()
    with site.browser(PATH, cookie=alice) as browser:
        site.publish("updates-1", message(1))
        assert browser.json() == message(1)
