"""The Redis pub/sub layer against real channels_redis processes: what Python sends reaches browsers, and the other way
round."""

import json

import pytest

import channels_peer
from servers import Carillon, run
from sites import Site
from sockets import WebSocket

BACKEND = "channels_redis.pubsub.RedisPubSubChannelLayer"
# Every browser of a room hears what is sent to the room's group, as the text of the key "text".
ROOM = {"path": "/channels/rooms/{room}", "authenticate": "anonymous", "groups": ["{room}"],
        "rules": [{"type": "chat.message", "text": "text"}, {"type": "chat.bytes", "bytes": "data"}],
        "otherwise": "json", "on_gap": {"send": "gap"}}

# Options of both sides, by what they are about, and how many servers there are.
OPTIONS = {
    "defaults": ({}, 1),
    "json": ({"serializer_format": "json"}, 1),
    "encrypted": ({"symmetric_encryption_keys": ["new-key", "old-key"]}, 1),
    "prefix": ({"prefix": "site1-"}, 1),
    "three hosts": ({}, 3),
}


@pytest.fixture(params=OPTIONS, scope="module")
def chosen(request):
    return OPTIONS[request.param]


@pytest.fixture(scope="module")
def options(chosen):
    return chosen[0]


@pytest.fixture(scope="module")
def site(shared, chosen):
    """A site of two gateways with the options, on servers of its own."""
    options, count = chosen
    hosts = [shared.redis().url for _ in range(count)]
    made = Site(shared, routes=[ROOM], gateways=2,
                # As it stands in Django's settings.
                layer={"backend": BACKEND, "config": {"hosts": hosts, **options}})
    made.hosts = hosts
    return made


@pytest.fixture
def python(site, options):
    """A Python process with the same layer."""
    with channels_peer.Peer(site.hosts, options, BACKEND) as peer:
        yield peer


def test_a_group_message_of_python_reaches_the_browsers_of_all_gateways(site, python, unique):
    with site.browser(f"/channels/rooms/{unique}") as one, site.browser(f"/channels/rooms/{unique}") as two:
        wanted = [f"message {number} \u00e9 \U0001f600" for number in range(50)]
        for text in wanted:
            python.group_send(unique, {"type": "chat.message", "text": text})
        assert [one.read() for _ in wanted] == wanted
        assert [two.read() for _ in wanted] == wanted


def test_every_kind_of_value_arrives_as_python_sent_it(site, python, unique, options):
    message = {"type": "anything", "list": [1, -2.5, "x", None, True], "map": {"a": {}}, "": "empty"}
    with site.browser(f"/channels/rooms/{unique}") as browser:
        python.group_send(unique, message)
        assert browser.json() == message
        if options.get("serializer_format") != "json":
            python.group_send(unique, {"type": "chat.bytes", "data": channels_peer.as_bytes(b"\x00\xff")})
            assert browser.read() == b"\x00\xff"


def test_what_is_published_here_reaches_consumers_in_python(site, python, unique):
    channels = [python.new_channel() for _ in range(3)]
    for channel in channels:
        python.group_add(unique, channel)
    for number in range(20):
        site.worker.publish(unique, {"number": number})
    wanted = [{"type": "carillon.publication", "data": {"number": number}} for number in range(20)]
    for channel in channels:
        assert [python.receive(channel) for _ in range(20)] == wanted
    python.group_discard(unique, channels[0])
    site.worker.publish(unique, "for two")
    assert python.receive(channels[1])["data"] == python.receive(channels[2])["data"] == "for two"
    assert python.receive(channels[0], limit=0.3) is None


def test_groups_on_all_servers_are_followed(site, python, unique):
    for number in range(12):
        room = f"{unique}-{number}"
        with site.browser(f"/channels/rooms/{room}") as one, site.browser(f"/channels/rooms/{room}") as two:
            python.group_send(room, {"type": "chat.message", "text": "from python"})
            assert one.read() == two.read() == "from python"
            site.worker.publish(room, "from here")
            assert one.json() == two.json() == "from here"


def test_what_python_flushes_is_its_own_affair(site, python, unique):
    with site.browser(f"/channels/rooms/{unique}") as browser:
        python.flush()
        python.group_send(unique, {"type": "chat.message", "text": "after"})
        assert browser.read() == "after"


def test_a_redis_that_was_away_is_a_gap_that_browsers_hear_of(servers, unique):
    redis = servers.redis()
    gateway = servers.start(Carillon, "gateway", {
        "channel_layers": {"default": {"backend": "redis_pubsub", "config": {"hosts": [redis.url]}}},
        "gateway": {"routes": [ROOM], "drain_time": "200ms"}})
    with WebSocket(gateway.websocket_url(f"/channels/rooms/{unique}")) as browser:
        redis.kill()
        redis.start()
        assert browser.json() == "gap"
        with channels_peer.Peer([redis.url], {}, BACKEND) as peer:
            peer.group_send(unique, {"type": "chat.message", "text": "after"})
        assert browser.read() == "after"
    assert gateway.metric("carillon_gateway_feed_interruptions_total") == 1


def test_garbage_on_our_topics_is_counted_and_harms_nobody(servers, unique):
    import redis as client

    server = servers.redis()
    gateway = servers.start(Carillon, "gateway", {
        "channel_layers": {"default": {"backend": "redis_pubsub", "config": {"hosts": [server.url]}}},
        "gateway": {"routes": [ROOM], "drain_time": "200ms"}})
    direct = client.Redis.from_url(server.url)
    with WebSocket(gateway.websocket_url(f"/channels/rooms/{unique}")) as browser:
        garbage = (b"", b"short", b"\xc1", b"{broken", b"\x91" * 10_000, b"x" * 1_000_000, b"[1]", b"\x01")
        for data in garbage:
            direct.publish(f"asgi__group__{unique}", data)
        direct.publish(f"asgi__group__{unique}", b'{"type": "chat.message", "text": "plain JSON will do"}')
        assert browser.read() == "plain JSON will do"
    direct.close()
    assert gateway.metric('carillon_layer_dropped_messages_total{reason="undecodable"}') == len(garbage)


def test_a_wrong_password_is_told_with_the_setting(servers):
    server = servers.redis("--requirepass", "right")
    folder = servers.new_folder()
    settings = {"channel_layers": {"default": {
        "backend": "redis_pubsub", "config": {"hosts": [f"redis://:wrong@127.0.0.1:{server.port}/0"]}}}}
    (folder / "settings.json").write_text(json.dumps(settings))
    done = run("check", folder / "settings.json")
    assert done.returncode == 1 and "channel_layers.default.config.hosts[0]" in done.stderr, done
    assert "wrong@" not in done.stderr + done.stdout


def test_every_fault_of_the_options_is_named_at_once(servers):
    folder = servers.new_folder()
    (folder / "settings.json").write_text(json.dumps({"channel_layers": {"default": {
        "backend": "redis_pubsub", "config": {
            "hosts": "redis://localhost", "serializer_format": "yaml", "cluster": "perhaps", "prefiks": "x",
            "symmetric_encryption_keys": ["secret-text", 7], "local_capacity": 0}}}}))
    done = run("check", folder / "settings.json")
    assert done.returncode == 1
    for part in ("config.hosts", "serializer_format", "config.cluster", "prefix", "symmetric_encryption_keys",
                 "local_capacity"):
        assert part in done.stderr, done.stderr
    assert "secret-text" not in done.stderr
