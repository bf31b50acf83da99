"""`carillon agent` under a real supervisord: what its processes do, seen by browsers."""

import http.client
import os
import signal
import socket
import xmlrpc.client

import pytest
import redis as redis_client

from servers import KEY, Carillon, Supervisord, program, run
from shipped import shipped
from sites import Site
from sockets import WebSocket
from waiting import wait_for

ENTRIES = """
[program:sleeper]
command=/bin/sleep 600
startsecs=0
autorestart=unexpected

[program:failing]
command=/bin/sh -c "exit 7"
autostart=false
autorestart=false
startsecs=0

[eventlistener:agent]
command={program} agent --set agent.publish_url={url} --set agent.host=here --set process.event_loops=1
events=PROCESS_STATE,PROCESS_GROUP,SUPERVISOR_STATE_CHANGE,REMOTE_COMMUNICATION
environment=CARILLON_API_KEY="{key}",LD_LIBRARY_PATH="{libraries}"
buffer_size=1000
startsecs=0
priority=7
stderr_logfile={folder}/agent.log
"""


class Supervised:
    """A site, and a supervisord whose agent publishes to it."""

    def __init__(self, servers):
        self.site = servers.start(Carillon, "serve")
        folder = servers.new_folder()
        self.log = folder / "agent.log"
        self.supervisord = servers.make(Supervisord, ENTRIES.format(
            program=program(), url=self.site.address, key=KEY, folder=folder,
            libraries=os.environ.get("LD_LIBRARY_PATH", "")))

    def browser(self):
        return WebSocket(self.site.websocket_url("/channels/groups/processes"))


def heard(browser, **wanted):
    """The next message that has all of `wanted`."""
    while True:
        message = browser.json()
        if all(message.get(key) == value for key, value in wanted.items()):
            return message


@pytest.fixture
def supervised(servers):
    return Supervised(servers)


def test_browsers_see_processes_start_stop_and_fail(supervised):
    with supervised.browser() as browser:
        supervised.supervisord.start()
        started = heard(browser, type="process.state", name="sleeper", to="RUNNING")
        assert started["host"] == "here"
        assert started["group"] == "sleeper"
        assert started["pid"] > 1

        os.kill(started["pid"], signal.SIGKILL)
        ended = heard(browser, type="process.state", name="sleeper", to="EXITED")
        assert ended["expected"] is False
        assert ended["pid"] == started["pid"]
        again = heard(browser, type="process.state", name="sleeper", to="RUNNING")
        assert again["pid"] != started["pid"]

        supervised.supervisord.control("start", "failing")
        failed = heard(browser, type="process.state", name="failing", to="EXITED")
        assert failed["exit_status"] == 7

        supervised.supervisord.control("stop", "sleeper")
        assert heard(browser, type="process.state", name="sleeper", to="STOPPED")["from"] == "STOPPING"


def test_a_snapshot_has_every_process_and_comes_when_it_is_asked_for(supervised):
    with supervised.browser() as browser:
        supervised.supervisord.start()
        heard(browser, type="process.snapshot")
        heard(browser, type="process.state", name="sleeper", to="RUNNING")
        ask_for_snapshot(supervised.supervisord)
        snapshot = heard(browser, type="process.snapshot", to="RUNNING")
        states = {process["name"]: process["state"] for process in snapshot["processes"]}
        assert states == {"agent": "RUNNING", "failing": "STOPPED", "sleeper": "RUNNING"}


def test_supervisord_is_never_held_up_and_the_newest_states_come_later(supervised):
    """The site is away while processes change: nothing waits for it, and when it is back it hears how things are."""
    with supervised.browser() as browser:
        supervised.supervisord.start()
        heard(browser, type="process.state", name="sleeper", to="RUNNING")
    supervised.site.kill()
    for _ in range(4):
        status, text = supervised.supervisord.control("restart", "sleeper")
        assert status == 0, text
    supervised.supervisord.control("stop", "sleeper")
    wait_for(lambda: "cannot be published" in supervised.log.read_text(), "the agent noticing it")
    supervised.site.start()
    with supervised.browser() as browser:
        # The agent tries again by itself; which of both comes first depends on when it does.
        supervised.supervisord.control("start", "sleeper")
        seen = heard(browser, type="process.state", name="sleeper", to="RUNNING")
        assert seen["serial"] > 10


# Over a broker, by the entry that is shipped

SLEEPERS = """
[program:sleeper]
command=/bin/sleep 600
process_name=%(program_name)s_%(process_num)d
numprocs=2
startsecs=0
"""
# Its browsers may ask all agents for a snapshot.
PROCESSES = {"path": "/channels/processes/", "authenticate": "anonymous", "groups": ["processes"],
             "receive": {"group": "agents", "type": "carillon.snapshot", "key": "text"}}


class Spread:
    """A site of two gateways over Redis, and a supervisord whose agent speaks into that layer."""

    def __init__(self, servers):
        self.redis = servers.redis()
        self.control = redis_client.Redis.from_url(self.redis.url)
        self.site = Site(
            servers, routes=[PROCESSES], gateways=2, layer={"backend": "redis", "config": {"hosts": [self.redis.url]}})
        self.log = self.site.folder / "agent.log"
        entry = shipped("supervisor/agent.conf", {
            "/usr/local/bin/carillon": program(), "/etc/carillon/settings.json": self.site.path,
            "/var/log/carillon": self.site.folder})
        self.supervisord = servers.make(Supervisord, entry + SLEEPERS, {"CARILLON_API_KEY": KEY})

    def browsers(self):
        """One at each gateway."""
        pair = [self.site.browser("/channels/processes/") for _ in range(2)]
        assert [gateway.metric("carillon_gateway_connections") for gateway in self.site.gateways] == [1, 1]
        return pair

    def close_the_door(self):
        """Redis keeps what it has and lets nobody in."""
        self.control.config_set("requirepass", "nobody knows it")
        for kind in ("normal", "pubsub"):
            self.control.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    def open_the_door(self):
        self.control.config_set("requirepass", "")


def test_over_a_broker_the_browsers_of_all_gateways_hear(servers):
    spread = Spread(servers)
    pair = spread.browsers()
    spread.supervisord.start()
    for browser in pair:
        heard(browser, type="process.state", name="sleeper_1", to="RUNNING")
    # Somebody who comes later asks how things are; the answer is for all.
    pair[1].send("how are things?")
    for browser in pair:
        snapshot = heard(browser, type="process.snapshot")
        while "sleeper_1" not in {process["name"] for process in snapshot["processes"]}:
            snapshot = heard(browser, type="process.snapshot")
    for browser in pair:
        browser.close()
    spread.control.close()


def test_what_changed_while_the_broker_was_away_comes_later_once_for_each_process(servers):
    spread = Spread(servers)
    pair = spread.browsers()
    spread.supervisord.start()
    for browser in pair:
        for name in ("sleeper_0", "sleeper_1"):
            heard(browser, type="process.state", name=name, to="RUNNING")
    spread.close_the_door()
    for _ in range(3):
        assert spread.supervisord.control("restart", "sleeper:sleeper_0")[0] == 0
    assert spread.supervisord.control("stop", "sleeper:sleeper_1")[0] == 0
    wait_for(lambda: "cannot be published" in spread.log.read_text(), "the agent noticing it")
    spread.open_the_door()
    for browser in pair:
        # Nothing of the way there: each process' newest state is the first that is heard of it.
        seen = {}
        while set(seen) != {"sleeper_0", "sleeper_1"}:
            notice = heard(browser, type="process.state")
            seen.setdefault(notice["name"], notice["to"])
        assert seen == {"sleeper_0": "RUNNING", "sleeper_1": "STOPPED"}
        browser.close()
    spread.control.close()


def test_an_agent_outside_of_supervisord_says_who_starts_it():
    done = run("agent")
    assert done.returncode != 0
    assert "supervisor/agent.conf" in done.stderr


def ask_for_snapshot(supervisord):
    """supervisorctl has no command for it: XML-RPC over the Unix socket."""
    class Connection(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(supervisord.socket))

    class Transport(xmlrpc.client.Transport):
        def make_connection(self, host):
            self._connection = host, Connection("localhost")
            return self._connection[1]

    with xmlrpc.client.ServerProxy("http://localhost", transport=Transport()) as proxy:
        assert proxy.supervisor.sendRemoteCommEvent("carillon.snapshot", "")
