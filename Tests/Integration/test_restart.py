"""Deploys that nobody notices: routers, gateways and workers that are restarted or die while browsers come and ask."""

import pathlib
import resource
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from processes import free_port
from crowd import Crowd
from servers import KEY, Carillon, program
from sites import TALK, Site
from sockets import ask
from waiting import wait_for

ROOT = pathlib.Path(__file__).parents[2]
MANY = 10_000
# A crowd answers no pings.
QUIET = {"ping_interval": "1h", "pong_timeout": "1h"}


class Askers:
    """Ask again and again, each time on a connection of their own, and keep every answer and every failure."""

    def __init__(self, *questions):
        self.answers, self.failures = [], []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(question,)) for question in questions]

    def _ask(self, question):
        while not self._stop.is_set():
            try:
                self.answers.append(question())
            except Exception as error:
                self.failures.append(repr(error))

    def go_on(self, count=30):
        before = len(self.answers)
        wait_for(lambda: len(self.answers) >= before + count or self.failures, "answers come")
        assert not self.failures, self.failures[:5]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()


def greets(site):
    """A WebSocket that is opened, heard and closed."""
    with site.browser("/channels/talk/short") as browser:
        browser.send('"hello"')
        return browser.json()


def test_routers_are_restarted_and_no_connection_is_refused_or_lost(servers):
    takeover = servers.new_folder() / "routers.sock"
    site = Site(servers, more={"router": {"takeover": str(takeover)}, "gateway": QUIET})
    other = servers.start(Carillon, "router", None, "--settings", str(site.path), "--port", str(site.router.port))
    with Crowd(site.router.port, "/channels/talk/hall") as crowd, Askers(
            lambda: ask("GET", site.address + "/nothing").status, lambda: greets(site)) as askers:
        crowd.connect(500)
        for router in (site.router, other, site.router):
            askers.go_on()
            assert router.stop() == 0
            askers.go_on()
            router.start()
        askers.go_on()
        assert {answer for answer in askers.answers} == {404, "hello"}
        # Each of the many is still there, and hears.
        with site.browser("/channels/talk/hall") as speaker:
            speaker.send('"still here"')
        assert crowd.ask("hear 1") | {"seconds": 0} == {"heard": 500, "seconds": 0, "ends": {}}
    assert (site.router.stop(), other.stop()) == (0, 0)
    # Nobody is left to take over from.
    site.router.start()
    assert ask("GET", site.address + "/nothing").status == 404


def test_ten_thousand_browsers_do_not_notice_that_a_router_is_restarted(servers):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert limit >= MANY + 1_000, f"a process here may open {limit} files, wanted {MANY + 1_000}: raise ulimit -Hn"
    takeover = servers.new_folder() / "routers.sock"
    site = Site(servers, more={"router": {"takeover": str(takeover)}, "gateway": QUIET})
    other = servers.start(Carillon, "router", None, "--settings", str(site.path), "--port", str(site.router.port))
    with Crowd(site.router.port, "/channels/talk/hall") as crowd, Askers(lambda: greets(site)) as askers:
        crowd.connect(MANY)
        start = time.monotonic()
        for router in (site.router, other):
            askers.go_on(5)
            assert router.restart().is_running
        askers.go_on(5)
        seconds = time.monotonic() - start
        with site.browser("/channels/talk/hall") as speaker:
            speaker.send('"still here"')
        assert crowd.ask("hear 1") | {"seconds": 0} == {"heard": MANY, "seconds": 0, "ends": {}}
    print(f"both routers were restarted within {seconds:.1f} s, with {MANY} browsers and {len(askers.answers)} newcomers")


def connections(gateway):
    return gateway.metric("carillon_gateway_connections")


def test_browsers_go_to_the_gateway_with_the_fewest_and_never_to_a_dead_one(servers):
    site = Site(servers, gateways=2)
    first, second = site.gateways
    browsers = [site.browser("/channels/talk/hall") for _ in range(20)]
    # What a gateway tells is a moment old, so it may be one more or less.
    assert connections(first) + connections(second) == 20 and 8 <= connections(first) <= 12
    first.kill()
    browsers += [site.browser("/channels/talk/hall") for _ in range(10)]
    had = connections(second)
    assert had >= 18
    first.start()
    browsers += [site.browser("/channels/talk/hall") for _ in range(16)]
    # The one that has just come is filled up first.
    assert connections(first) >= 14
    for browser in browsers:
        browser.close()


@pytest.mark.parametrize("gateways", [1, 2])
def test_newcomers_outlast_a_gateway_that_stands_still(servers, gateways):
    """More than its queue holds: they go to another gateway at once, or wait until there is room. None is lost or tunnelled."""
    many = 600
    site = Site(servers, gateways=gateways, more={"router": {"gateways": {"queue_timeout": "1h"}}, "gateway": QUIET})

    def counted(name):
        return site.router.metric(f"carillon_router_{name}")

    def all_have_come():
        waiting = counted("handoffs_waiting")
        return waiting + counted("handed_off_total") == many and (waiting == 0 if gateways > 1 else waiting > 0)

    site.gateway.freeze()
    try:
        with Crowd(site.router.port, "/channels/talk/hall") as crowd, ThreadPoolExecutor(1) as others:
            opened = others.submit(crowd.connect, many)
            wait_for(all_have_come, "all have been handed over, or wait for the one gateway")
            # Plain HTTP goes on, and so do browsers of the other gateway.
            assert ask("GET", site.address + "/nothing").status == 404
            for other in site.gateways[1:]:
                wait_for(lambda: connections(other) >= many // gateways, "the other gateway has its half at least")
            site.gateway.thaw()
            opened.result()
            assert sum(connections(gateway) for gateway in site.gateways) == many
            wait_for(lambda: counted("handed_off_total") == many, "the router has counted them")
            assert counted("handoff_failures_total") == 0
            assert (counted("handoff_waits_total") > 0) or gateways > 1
    finally:
        site.gateway.thaw()


def test_a_router_that_has_just_started_is_told_who_has_how_many(servers):
    takeover = servers.new_folder() / "routers.sock"
    site = Site(servers, gateways=2, more={"router": {"takeover": str(takeover)}, "gateway": QUIET})
    # Straight to the first gateway, without any router.
    with Crowd(site.router.port, "/channels/talk/hall") as crowd:
        crowd.connect(40)
        site.gateways[0].kill()
        site.gateways[0].start()
        # A router that has just started knows only what it is told.
        site.router.restart()
        browsers = []

        def lead():
            browsers.append(site.browser("/channels/talk/hall"))
            return connections(site.gateways[0]) - (connections(site.gateways[1]) - 20)

        wait_for(lambda: lead() >= 8, "the one with fewer browsers gets more")
        for browser in browsers:
            browser.close()


WORKERS = """
[fcgi-program:worker]
socket=unix://{folder}/worker.sock
command={program} worker --settings {settings} --fd 0 --set workers.max_requests=30
process_name=%(program_name)s_%(process_num)d
numprocs=6
startsecs=0
autorestart=true
stopwaitsecs=30
stdout_logfile=NONE
stderr_logfile={folder}/worker-%(process_num)d.log
"""


def test_worn_out_workers_are_replaced_without_a_lost_request(servers):
    site = Site(servers, workers=0, upstreams=[f"unix://{servers.folder}/pool/worker.sock"])
    folder = servers.folder / "pool"
    folder.mkdir()
    supervisord = servers.supervisord(
        WORKERS.format(folder=folder, program=program(), settings=site.path), {"CARILLON_API_KEY": KEY})
    wait_for(lambda: set(supervisord.states().values()) == {"RUNNING"}, "the workers run", pause=0.2)
    wait_for(lambda: ask("GET", site.address + "/nothing").status == 404, "the workers answer")

    def publishes():
        # Not safe to send twice: what is lost stays lost.
        return ask("POST", site.address + "/api/publish", json={"channel": "talk-x", "data": 1},
                   headers={"X-API-Key": KEY}).status

    def ended():
        text = supervisord.log_text()
        return [line for line in text.splitlines() if "exited: worker" in line]

    with Askers(publishes) as askers:
        wait_for(lambda: askers.failures or len(ended()) >= 4, "workers are worn out", limit=90, pause=0.1)
        askers.go_on()
    assert set(askers.answers) == {200} and not askers.failures
    assert all("(exit status 0; expected)" in line for line in ended()), ended()


# Nothing left


def limited(process, words):
    """The same process with a shell's commands before it."""
    process.command = ["/bin/sh", "-c", f'{words} exec "$@"', "sh", *process.command]
    return process


def test_out_of_descriptors_a_process_waits_and_goes_on(servers):
    for part in ("router", "gateway", "worker"):
        settings = {"gateway": {"routes": [TALK], "handshake_timeout": "1h"}, "router": {"head_timeout": "1h"}}
        process = limited(servers.make(Carillon, part, settings), "ulimit -n 64;")
        process.start()
        with Crowd(process.port) as crowd:
            # More than it can have; who is not accepted waits.
            crowd.connect(100)
            if part == "router":
                wait_for(lambda: "Accepting pauses" in process.log_text(), "it says why it accepts nobody")
        # 502, 404 and 404: it answers.
        wait_for(lambda: ask("GET", process.address + "/nothing").status in (404, 502), "it goes on")
        assert process.stop() == 0


def test_a_full_disk_for_logs_stops_nothing(servers):
    settings = {"router": {"access_log": "/dev/full"}, "log": {"level": "debug"}}
    site = limited(servers.make(Carillon, "serve", settings), "")
    site.command[2] = 'exec "$@" 2>/dev/full'
    site.start()
    for _ in range(20):
        assert ask("GET", site.address + "/nothing").status == 404
    wait_for(lambda: site.metric("carillon_router_access_log_lost_total") > 0, "lost lines are counted")
    assert site.stop() == 0


# An application of one's own


def test_an_application_of_its_own_is_ten_lines(servers):
    port = free_port()
    built = pathlib.Path(program()).with_name("Hello")
    assert built.exists(), "swift build --build-tests builds it beside carillon"
    hello = servers.make(Carillon, "worker", None)
    hello.command = [str(built), f"http://127.0.0.1:{port}"]
    hello.is_ready = lambda: ask("GET", f"http://127.0.0.1:{port}/ready").status == 200
    hello.start()
    assert ask("GET", f"http://127.0.0.1:{port}/reader").text == "Hello, /reader\n"
    assert hello.stop() == 0


def test_the_examples_package_can_be_read(tmp_path):
    # Only its manifest: the main package has built the same source with the same product already.
    done = subprocess.run(
        ["swift", "package", "--package-path", str(ROOT / "examples/hello"), "--scratch-path", str(tmp_path),
         "dump-package"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert '"Workers"' in done.stdout and '"carillon"' in done.stdout
