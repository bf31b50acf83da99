"""The Redis layer against real channels_redis processes: what Python sends reaches browsers, and the other way round."""

import json

import pytest

import channels_peer
from servers import Carillon
from sites import Site

# Every browser of a room hears what is sent to the room's group, as the text of the key "text".
ROOM = {"path": "/channels/rooms/{room}", "authenticate": "anonymous", "groups": ["{room}"],
        "rules": [{"type": "chat.message", "text": "text"}, {"type": "chat.bytes", "bytes": "data"}],
        "otherwise": "json"}

# Options of both sides, by what they are about.
OPTIONS = {
    "defaults": {},
    "json": {"serializer_format": "json"},
    "encrypted": {"symmetric_encryption_keys": ["new-key", "old-key"]},
    "prefix": {"prefix": "site1-"},
    "no random prefix": {"random_prefix_length": 0},
    "long random prefix": {"random_prefix_length": 40},
    "patterns": {"capacity": 50, "channel_capacity": {"specific.*": 500, "work-*": 3}},
    "short lives": {"expiry": 5, "group_expiry": 600},
}


def layer(hosts, **options):
    return {"backend": "redis", "config": {"hosts": hosts, **options}}


@pytest.fixture(params=OPTIONS, scope="module")
def options(request):
    return OPTIONS[request.param]


@pytest.fixture(scope="module")
def site(shared, options):
    """A site of two gateways with the options, on a Redis of its own."""
    redis = shared.redis()
    made = Site(shared, routes=[ROOM], gateways=2, layer=layer([redis.url], **options))
    made.redis = redis
    return made


@pytest.fixture
def python(site, options):
    """A Python process with the same layer."""
    with channels_peer.Peer([site.redis.url], options) as peer:
        yield peer


def test_a_group_message_of_python_reaches_the_browsers_of_all_gateways(site, python, unique):
    with site.browser(f"/channels/rooms/{unique}") as one, site.browser(f"/channels/rooms/{unique}") as two:
        for number in range(50):
            python.group_send(unique, {"type": "chat.message", "text": f"message {number} \u00e9 \U0001f600"})
        wanted = [f"message {number} \u00e9 \U0001f600" for number in range(50)]
        assert [one.read() for _ in wanted] == wanted
        assert [two.read() for _ in wanted] == wanted


def test_every_kind_of_value_arrives_as_python_sent_it(site, python, unique):
    message = {"type": "anything", "list": [1, -2.5, "x", None, True], "map": {"a": {}}, "": "empty"}
    with site.browser(f"/channels/rooms/{unique}") as browser:
        python.group_send(unique, message)
        assert browser.json() == message


def test_bytes_arrive_as_a_binary_frame(site, python, unique, options):
    if options.get("serializer_format") == "json":
        pytest.skip("JSON carries no bytes")
    with site.browser(f"/channels/rooms/{unique}") as browser:
        python.group_send(unique, {"type": "chat.bytes", "data": channels_peer.as_bytes(b"\x00\xff")})
        assert browser.read() == b"\x00\xff"


def test_what_is_published_here_reaches_consumers_in_python(site, python, unique):
    channel = python.new_channel()
    python.group_add(unique, channel)
    for number in range(20):
        site.worker.publish(unique, {"number": number})
    got = [python.receive(channel) for _ in range(20)]
    assert got == [{"type": "carillon.publication", "data": {"number": number}} for number in range(20)]


def test_several_members_of_one_python_process_hear_it_once_each(site, python, unique):
    channels = [python.new_channel() for _ in range(3)]
    for channel in channels:
        python.group_add(unique, channel)
    site.worker.publish(unique, "for all")
    for channel in channels:
        assert python.receive(channel)["data"] == "for all"
    python.group_discard(unique, channels[0])
    site.worker.publish(unique, "for two")
    assert python.receive(channels[1])["data"] == python.receive(channels[2])["data"] == "for two"
    assert python.receive(channels[0], limit=0.3) is None


def test_a_normal_channel_in_a_group_gets_it_too(site, python, unique):
    python.group_add(unique, f"work-{unique}")
    site.worker.publish(unique, "work")
    assert python.receive(f"work-{unique}")["data"] == "work"


def test_what_python_flushes_is_followed_again(site, python, unique):
    with site.browser(f"/channels/rooms/{unique}") as browser:
        python.group_send(unique, {"type": "chat.message", "text": "before"})
        assert browser.read() == "before"
        python.flush()
        # The gateway finds that out by itself, within seconds; who sends meanwhile is not heard.
        heard = None
        for _ in range(100):
            python.group_send(unique, {"type": "chat.message", "text": "after"})
            try:
                heard = browser.read(limit=0.2)
                break
            except TimeoutError:
                continue
        assert heard == "after"


def test_a_gateway_that_stops_leaves_nothing_behind(site, python, unique, servers, options):
    redis = servers.redis()
    other = Site(servers, routes=[ROOM], layer=layer([redis.url], **options))
    with channels_peer.Peer([redis.url], options) as peer, other.browser(f"/channels/rooms/{unique}") as browser:
        peer.group_send(unique, {"type": "chat.message", "text": "here"})
        assert browser.read() == "here"
        assert other.gateway.stop() == 0
        assert other.worker.stop() == 0
        assert [key for key in peer.keys() if "wake" not in key] == []


@pytest.mark.parametrize("hosts", [2, 3])
def test_several_hosts_divide_the_work_as_python_does(servers, unique, hosts):
    urls = [servers.redis().url for _ in range(hosts)]
    site = Site(servers, routes=[ROOM], gateways=2, layer=layer(urls))
    with channels_peer.Peer(urls, {}) as peer:
        for number in range(12):
            room = f"{unique}-{number}"
            channel = peer.new_channel()
            peer.group_add(room, channel)
            with site.browser(f"/channels/rooms/{room}") as one, site.browser(f"/channels/rooms/{room}") as two:
                peer.group_send(room, {"type": "chat.message", "text": "from python"})
                assert one.read() == two.read() == "from python"
                assert peer.receive(channel)["text"] == "from python"
                site.worker.publish(room, "from here")
                assert one.json() == two.json() == "from here"
                assert peer.receive(channel)["data"] == "from here"


def test_garbage_under_our_keys_harms_nobody(servers, unique):
    import redis as client

    server = servers.redis()
    site = Site(servers, routes=[ROOM], layer=layer([server.url]))
    with channels_peer.Peer([server.url], {}) as peer, site.browser(f"/channels/rooms/{unique}") as browser:
        direct = client.Redis.from_url(server.url)
        group = f"asgi:group:{unique}"
        mailbox = "asgi" + direct.zrange(group, 0, -1)[0].decode().partition("!")[0] + "!"
        direct.zadd(group, {"no name \xff": 9e9, "!": 9e9, "a" * 200: 9e9, b"\x00": 9e9, "asgi": 9e9})
        now = 9e9
        for garbage in (b"", b"short", b"x" * 400, b"\x00" * 12 + b"\xc1", b"\x00" * 12 + b"{broken"):
            direct.zadd(mailbox, {garbage: now})
        direct.set("asgi" + "garbage!", "no sorted set")
        direct.zadd(group, {"garbage!x": 9e9})
        site.worker.publish(unique, "still here")
        assert browser.json() == "still here"
        # A mailbox that is something else altogether.
        for _ in range(3):
            pipeline = direct.pipeline()
            pipeline.delete(mailbox)
            pipeline.set(mailbox, "no sorted set")
            pipeline.execute()
        for _ in range(100):
            site.worker.publish(unique, "again")
            try:
                assert browser.json(limit=0.2) == "again"
                break
            except TimeoutError:
                continue
        else:
            raise AssertionError("the gateway did not clear its mailbox")


def test_a_wrong_password_is_told_with_the_setting(servers):
    from servers import run

    server = servers.redis("--requirepass", "right")
    folder = servers.new_folder()
    settings = {"channel_layers": {"default": layer([f"redis://:wrong@127.0.0.1:{server.port}/0"])}}
    (folder / "settings.json").write_text(json.dumps(settings))
    done = run("check", folder / "settings.json")
    assert done.returncode == 1 and "channel_layers.default.config.hosts[0]" in done.stderr + done.stdout, done
    assert "wrong@" not in done.stderr + done.stdout


def test_every_fault_of_the_options_is_named_at_once(servers):
    from servers import run

    folder = servers.new_folder()
    (folder / "settings.json").write_text(json.dumps({"channel_layers": {"default": {"backend": "redis", "config": {
        "hosts": "redis://localhost", "serializer_format": "yaml", "random_prefix_length": -1, "capacity": 0,
        "expiri": 3, "symmetric_encryption_keys": ["secret-text", 7]}}}}))
    done = run("check", folder / "settings.json")
    said = done.stdout + done.stderr
    assert done.returncode == 1
    for part in ("config.hosts", "serializer_format", "random_prefix_length", "capacity", "expiry",
                 "symmetric_encryption_keys"):
        assert part in said, said
    assert "secret-text" not in said
