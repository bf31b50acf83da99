"""Router, gateway and worker as processes of their own: kill -9 of any of them, and what the others do meanwhile."""

import threading

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sites import TALK, Site
from sockets import EventStream, ask
from waiting import wait_for

QUICK = {"router": {"workers": {"back_off": "100ms", "connect_timeout": "1s"}}}


class Talk:
    """One browser that counts and another one in the same room that must hear every number, in order."""

    def __init__(self, site, room):
        self.speaker = site.browser(f"/channels/talk/{room}")
        self.listener = site.browser(f"/channels/talk/{room}")
        self.heard = []
        self._spoken = 0
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self):
        try:
            while True:
                self.heard.append(self.listener.json(limit=60))
        except (ConnectionClosed, TimeoutError):
            pass

    def go_on(self, count=50):
        """Says `count` more numbers and waits until all of them were heard."""
        for _ in range(count):
            self.speaker.send(str(self._spoken))
            self.speaker.json()  # its own words come back, so it is never too fast
            self._spoken += 1
        wait_for(lambda: len(self.heard) >= self._spoken, "all that was said is heard")
        assert self.heard == list(range(self._spoken))

    def close(self):
        self.speaker.close()
        self.listener.close()
        self._thread.join()


@pytest.fixture
def talks():
    made = []

    def talk(site, room="hall"):
        made.append(Talk(site, room))
        return made[-1]

    yield talk
    for one in made:
        one.close()


def status_of(site, path="/api/info"):
    return ask("POST", site.address + path, json={}, headers={"X-API-Key": "a-key-for-tests"}).status


def refusal(site, path):
    """The answer to a WebSocket that is not let in; `None` when it is."""
    try:
        site.browser(path).close()
    except InvalidStatus as error:
        return error.response
    return None


def test_sockets_are_handed_over_and_cost_the_router_nothing(servers):
    site = Site(servers)
    before = site.router.descriptors()
    browsers = [site.browser("/channels/talk/hall") for _ in range(50)]
    streams = [EventStream(f"{site.address}/channels/talk/hall") for _ in range(10)]
    # It counts when the gateway may have answered already.
    wait_for(lambda: site.router.metric("carillon_router_handed_off_total") == 60, "the router has counted them")
    assert site.gateway.metric("carillon_gateway_handoffs_total") == 60
    assert site.gateway.metric("carillon_gateway_connections") == 60
    wait_for(lambda: site.router.descriptors() <= before + 1, "the router let go of them")
    browsers[0].send('"hello"')
    assert {browser.json() for browser in browsers} == {"hello"}
    assert {stream.json() for stream in streams} == {"hello"}
    for one in browsers + streams:
        one.close()
    wait_for(lambda: site.gateway.metric("carillon_gateway_connections") == 0, "all have left")


def test_a_killed_router_is_not_noticed_by_those_who_are_connected(servers, talks):
    site = Site(servers, more=QUICK)
    talk = talks(site)
    talk.go_on()
    site.router.kill()
    talk.go_on()
    with pytest.raises(OSError):
        status_of(site)
    site.router.start()
    talk.go_on()
    assert status_of(site) == 200
    with site.browser("/channels/talk/hall") as late:
        talk.speaker.send('"again"')
        assert late.json() == "again"
        assert talk.speaker.json() == "again"


def test_a_killed_worker_costs_connected_browsers_nothing(servers, talks):
    asking = {**TALK, "path": "/channels/asked/", "groups": [], "receive": "drop",
              "authenticate": {"worker": "/api/info"}}
    site = Site(servers, routes=[TALK, asking], more=QUICK)
    talk = talks(site)
    talk.go_on()
    site.worker.kill()
    talk.go_on()
    assert status_of(site) == 502
    # Who it is cannot be found out: come back later.
    answer = refusal(site, "/channels/asked/")
    assert answer.status_code == 503 and "Retry-After" in answer.headers
    with site.browser("/channels/talk/other"):
        pass
    site.worker.start()
    wait_for(lambda: status_of(site) == 200, "the worker is used again")
    talk.go_on()


def test_a_killed_gateway_leaves_the_application_serving(servers, talks):
    site = Site(servers, more=QUICK)
    talk = talks(site)
    talk.go_on()
    stream = EventStream(f"{site.address}/channels/talk/hall")
    site.gateway.kill()
    with pytest.raises(ConnectionClosed):
        talk.speaker.json()
    with pytest.raises((EOFError, OSError)):
        stream.read()
    stream.close()
    assert status_of(site) == 200
    answer = refusal(site, "/channels/talk/hall")
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert ask("GET", site.address + "/channels/talk/hall", headers={"Accept": "text/event-stream"}).status == 503
    # A page that keeps trying is let in as soon as there is a gateway.
    again = []
    waiting = threading.Thread(target=lambda: again.append(wait_for(lambda: try_again(site), "a browser is back")))
    waiting.start()
    site.gateway.start()
    waiting.join()
    with again[0] as browser:
        browser.send('"back"')
        assert browser.json() == "back"
    assert site.router.is_running and site.worker.is_running


def try_again(site):
    try:
        return site.browser("/channels/talk/hall")
    except InvalidStatus as error:
        assert error.response.status_code == 503
        return None


def test_of_two_gateways_the_other_one_goes_on(servers):
    site = Site(servers, gateways=2, more=QUICK)
    first, second = site.gateways
    browsers = []
    wait_for(lambda: browsers.append(site.browser(f"/channels/talk/{len(browsers)}")) or (
        connections(first) > 0 and connections(second) > 1), "both gateways have browsers")
    kept = connections(second)
    first.kill()
    # Each browser hears itself, or finds its connection gone.
    assert sum(hears_itself(browser) for browser in browsers) == kept
    # New ones are let in at once, whoever the router would have asked.
    for number in range(20):
        with site.browser(f"/channels/talk/new{number}") as browser:
            assert hears_itself(browser)
    first.start()
    wait_for(lambda: site.browser("/channels/talk/x").close() or first.metric("carillon_gateway_handshakes_total") > 0,
             "the first gateway is used again")
    for browser in browsers:
        browser.close()


def connections(gateway):
    return gateway.metric("carillon_gateway_connections")


def hears_itself(browser):
    try:
        browser.send("1")
        return browser.json() == 1
    except ConnectionClosed:
        return False


def test_of_two_workers_the_other_one_answers(servers):
    site = Site(servers, workers=2, more=QUICK)
    answers, stop = [], threading.Event()

    def keep_asking():
        while not stop.is_set():
            answers.append(ask("GET", site.address + "/nothing").status)

    askers = [threading.Thread(target=keep_asking) for _ in range(4)]
    for asker in askers:
        asker.start()
    try:
        wait_for(lambda: len(answers) > 200, "requests flow")
        site.workers[0].kill()
        count = len(answers)
        wait_for(lambda: len(answers) > count + 200, "requests go on")
        site.workers[0].start()
        asked = site.workers[0].metric("carillon_workers_answers_total")
        wait_for(lambda: site.workers[0].metric("carillon_workers_answers_total") > asked, "it is used again")
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    # A request that a dying worker had may be lost, since nobody knows whether it was carried out: one for each asker.
    lost = [status for status in answers if status != 404]
    assert len(lost) <= len(askers) and set(lost) <= {502}, lost


def test_the_router_tells_when_it_has_no_worker_at_all(servers):
    site = Site(servers, workers=0, upstreams=["http://127.0.0.1:1"], more=QUICK)
    answer = ask("GET", site.address + "/")
    assert answer.status == 502 and answer.headers["Content-Type"].startswith("text/html")
    assert site.router.metric("carillon_router_upstream_failures_total") >= 1


def test_a_stopped_gateway_sends_its_browsers_away_and_ends_with_0(servers):
    site = Site(servers)
    browsers = [site.browser("/channels/talk/hall") for _ in range(20)]
    assert site.gateway.stop() == 0
    assert {browser.close_code()[0] for browser in browsers} == {1012}
    assert (site.router.stop(), site.worker.stop()) == (0, 0)
