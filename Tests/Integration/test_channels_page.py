"""The browser module in Chromium, with channels that the page chooses."""

import json

import pytest

from servers import run
from sites import Site

SECRET = "a secret that is long enough to be one"
OPEN = {"allow_subscribe_for_client": True, "allow_subscribe_for_anonymous": True, "allow_publish_for_subscriber": True}
CENTRIFUGO = {
    "token": {"keys": [{"algorithm": "HS256", "secret": SECRET}]},
    "allow_anonymous_connect_without_token": True,
    "transports": ["websocket", "http_stream"],
    "without_namespace": OPEN,
    "namespaces": [{"name": "chat", "allow_subscribe_for_client": True, "allow_publish_for_client": True}],
}

# What the scripts of these tests find in their page: the module, and a list of all they heard.
BEFORE = """
window.module = await import("/channels/carillon.js");
window.heard = [];
window.follow = (hub, channel, options) => {
  const subscription = hub.subscribe(channel, options);
  for (const type of ["subscribing", "subscribed", "unsubscribed", "publication", "join", "leave"]) {
    subscription.on(type, (event) => heard.push({ type, ...event }));
  }
  return subscription;
};
"""


@pytest.fixture(scope="module")
def site(shared):
    redis = shared.redis()
    made = Site(shared, demo=True, layer={"backend": "redis", "config": {"hosts": [redis.url]}},
                more={"gateway": {"centrifugo": CENTRIFUGO}})
    made.redis = redis
    return made


@pytest.fixture
def script(site, tabs):
    """Opens a page; gives back what runs a script in it, which may await, and the page."""
    def begin():
        tab = tabs(site.address + "/channels/no-page")  # an empty page of the same origin

        def in_page(text):
            return tab.evaluate(f"(async () => {{ {text} }})()")

        in_page(BEFORE)
        in_page.tab = tab
        return in_page

    return begin


def token(site, user, *more):
    done = run("token", "--settings", site.path, "--user", user, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_pages_choose_a_channel_and_hear_each_other(site, script, unique):
    ann, visitor = script(), script()
    ann(f"""
      window.hub = module.channels(undefined, {{ getToken: () => {json.dumps(token(site, "42"))} }});
      window.chat = await follow(hub, {json.dumps(unique)}).ready();""")
    visitor(f"""
      window.hub = module.channels("/channels/connection/websocket");
      window.chat = await follow(hub, {json.dumps(unique)}).ready();
      await chat.publish({{ text: "h\\u00e9\\nllo" }});""")
    ann("await chat.publish([1])")
    assert site.worker.publish(unique, False) == {"result": {}}
    for page in (ann, visitor):
        page.tab.wait_for("heard.length === 4")
        subscribed, first, second, third = page("return heard")
        assert subscribed["type"] == "subscribed" and not subscribed["again"]
        assert [event["data"] for event in (first, second, third)] == [{"text": "h\u00e9\nllo"}, [1], False]
        assert [event["info"]["user"] for event in (first, second)] == ["", "42"] and "info" not in third
        assert page.tab.console == []
    assert visitor("return heard[1].info.client === hub.client")


def test_what_is_refused_is_told_with_its_code(site, script, unique):
    page = script()
    page("window.hub = module.channels()")
    assert page("""
      const codes = [];
      for (const channel of ["nowhere:1", "chat:1", "a b"]) {
        await hub.subscribe(channel).ready().catch(({ code }) => codes.push(code));
      }
      await hub.rpc("method").catch(({ code }) => codes.push(code));
      await hub.publish("chat:1", 1).catch(({ code, name }) => codes.push(code, name));
      return codes;""") == [102, 103, 107, 108, 103, "ChannelError"]
    closed = script()
    assert closed("""
      const hub = module.channels(undefined, { token: "a.b.c" });
      const event = await new Promise((done) => hub.on("close", done));
      return [event, hub.state];""") == [{"code": 3500, "reason": "invalid token", "willReconnect": False}, "closed"]


def test_a_token_is_renewed_when_it_ends(site, script, unique):
    page = script()
    # The one that ends is made last and at once used, since it must not have ended before.
    second, first = token(site, "42"), token(site, "42", "--expires", "3s")
    page(f"""
      const tokens = {json.dumps([first, second])};
      window.asked = 0;
      window.hub = module.channels(undefined, {{ getToken: () => tokens[asked++] }});
      hub.on("close", (event) => heard.push(event));
      window.chat = await follow(hub, "chat:" + {json.dumps(unique)}).ready();""")
    page.tab.wait_for("asked === 2")
    page("await chat.publish(7)")
    page.tab.wait_for("heard.at(-1).data === 7")
    assert [event["type"] for event in page("return heard")] == ["subscribed", "publication"]


def test_a_page_comes_back_to_a_gateway_that_restarts(site, script, unique):
    page = script()
    page(f"""
      window.hub = module.channels(undefined, {{ backoff: {{ min: 50, max: 500 }} }});
      window.chat = await follow(hub, {json.dumps(unique)}).ready();""")
    site.gateway.stop()
    page.tab.wait_for("chat.state === 'subscribing'")
    # A call made meanwhile waits for the connection.
    page("window.late = chat.publish('late').catch(String)")
    site.gateway.start()
    page.tab.wait_for("heard.at(-1).data === 'late'")
    subscribed = page("return heard.filter(({ type }) => type === 'subscribed')")
    assert [event["again"] for event in subscribed] == [False, True]
    assert page("return heard.find(({ type }) => type === 'subscribing').code") == 3001
    page("chat.unsubscribe(); await hub.publish('x', 1).catch(() => {})")
    site.worker.publish(unique, "nobody hears this")
    page("hub.close()")
    assert page("return heard.at(-1).type") == "unsubscribed"


def test_where_websockets_are_blocked_requests_do(site, script, unique):
    page, other = script(), script()
    page(f"""
      window.WebSocket = class {{ constructor() {{ throw new Error("blocked"); }} }};
      window.hub = module.channels(undefined, {{ backoff: {{ min: 50, max: 500 }}, token: {json.dumps(token(site, "42"))} }});
      window.chat = await follow(hub, {json.dumps(unique)}).ready();""")
    assert page("return hub.transport") == "httpstream"
    other(f"window.hub = module.channels(); window.chat = await follow(hub, {json.dumps(unique)}).ready();")
    page("await Promise.all([...Array(20).keys()].map((number) => chat.publish(number)))")
    other("await chat.publish('\u00e9'.repeat(10000))")
    for tab in (page, other):
        tab.tab.wait_for("heard.length === 22")
        assert [event["data"] for event in tab("return heard.slice(1)")] == [*range(20), "\u00e9" * 10_000]
    assert page("return heard[1].info.user") == "42"
    # The end of such a connection is noticed, and made up for like any other.
    site.gateway.kill()
    page.tab.wait_for("chat.state === 'subscribing'")
    site.gateway.start()
    page("await chat.ready(30000); await chat.publish('again')")
    page.tab.wait_for("heard.at(-1).data === 'again'")
    page("hub.close()")
