"""The configurations in nginx/ and supervisor/, as they are shipped but for addresses and paths, with the real servers."""

import getpass
import grp
import http.client
import json
import os
import pathlib
import socket
import threading

import pytest
from websockets.exceptions import InvalidStatus

from processes import free_port
from servers import KEY, program
from sites import TALK, Site
from sockets import EventStream, WebSocket, ask, open_request
from waiting import wait_for

ROOT = pathlib.Path(__file__).parents[2]


def shipped(path, replacements):
    """The text of a shipped file; whatever is to be replaced must be in it."""
    text = (ROOT / path).read_text()
    for old, new in replacements.items():
        assert old in text, f"{path} has no {old!r}"
        text = text.replace(old, str(new))
    return text


# nginx

BROWSER = "127.0.0.2"  # where browsers come from, to tell them from nginx itself
# nginx is between: its word on who the visitor is counts.
TRUST = {"gateway": {"trusted_proxies": ["127.0.0.1", "unix:"]}, "log": {"level": "debug"}}


def through_router(servers):
    site, port = Site(servers, gateways=2, demo=True, more=TRUST), free_port()
    return site, servers.nginx(shipped("nginx/carillon.conf", {
        "listen 80;": f"listen 127.0.0.1:{port};", "127.0.0.1:8000": f"127.0.0.1:{site.router.port}",
        "/run/nginx.pid": site.folder / "nginx.pid"}), port)


def straight_to_gateways(servers):
    site, port = Site(servers, gateways=2, demo=True, more=TRUST), free_port()
    return site, servers.nginx(shipped("nginx/gateways.conf", {
        "listen 80;": f"listen 127.0.0.1:{port};", "127.0.0.1:8080": f"127.0.0.1:{site.worker.port}",
        "/run/nginx.pid": site.folder / "nginx.pid", "/run/carillon": site.folder}), port)


@pytest.mark.parametrize("deploy", [through_router, straight_to_gateways])
def test_nginx_in_front(servers, deploy):
    site, nginx = deploy(servers)
    url, address = f"ws://127.0.0.1:{nginx.port}/channels/talk/hall", f"http://127.0.0.1:{nginx.port}"
    assert ask("GET", address + "/").text.startswith("<!doctype html>")
    assert ask("GET", address + "/channels/carillon.js").status == 200
    # Enough browsers that both gateways have some; each hears what is said in the room at its gateway.
    browsers = [WebSocket(url) for _ in range(8)]
    assert sum(gateway.metric("carillon_gateway_connections") for gateway in site.gateways) == 8
    for number, browser in enumerate(browsers):
        browser.send(json.dumps(number))
        wait_for(lambda: browser.json() == number, "a browser hears itself")
    for browser in browsers:
        browser.close()
    with WebSocket(url, source_address=(BROWSER, 0)):
        pass
    assert any(f"peer={BROWSER}" in gateway.log_text() for gateway in site.gateways)
    with pytest.raises(InvalidStatus) as refused:
        WebSocket(url, origin="https://elsewhere.example")
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("deploy", [through_router, straight_to_gateways])
def test_nginx_passes_events_on_at_once(servers, deploy):
    site, nginx = deploy(servers)
    address = f"http://127.0.0.1:{nginx.port}/channels/talk/hall"
    streams = [EventStream(address) for _ in range(4)]
    assert {stream.status for stream in streams} == {200}
    # Somebody speaks at each gateway until every stream has heard; what nginx kept would never come.
    for gateway in site.gateways:
        with WebSocket("ws://localhost/channels/talk/hall", sock=gateway_socket(gateway)) as speaker:
            speaker.send('"now"')
            assert speaker.json() == "now"
    assert {stream.json() for stream in streams} == {"now"}
    for stream in streams:
        stream.close()


def gateway_socket(gateway):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(gateway.command[gateway.command.index("--unix-socket") + 1])
    return connection


def test_nginx_streams_a_job_and_keeps_the_api_inside(servers):
    site, nginx = through_router(servers)
    address = f"http://127.0.0.1:{nginx.port}"
    connection, response = open_request("POST", address + "/jobs", body=b"")
    first = json.loads(response.readline())
    assert (first["type"], first["step"]) == ("job.progress", 0)
    # The rest is still to come: the job runs for seconds.
    assert site.worker.metric("carillon_workers_busy_threads") == 1
    connection.close()
    key = {"X-API-Key": KEY}
    assert ask("POST", address + "/api/publish", json={"channel": "x", "data": 1}, headers=key).status == 200
    outside = http.client.HTTPConnection("127.0.0.1", nginx.port, source_address=(BROWSER, 0), timeout=20)
    outside.request("POST", "/api/publish", body=b"{}", headers=key)
    assert outside.getresponse().status == 403
    outside.close()


# supervisord


def two_ports():
    """The first four digits of two free ports that end with 0 and 1."""
    while True:
        digits = str(free_port())[:4]
        try:
            for number in "01":
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", int(digits + number)))
            return digits
        except OSError:
            continue


class Supervised:
    """The shipped entries under a supervisord of their own."""

    def __init__(self, servers, file, settings, replacements):
        self.folder = servers.new_folder()
        self.port, self.telemetry = free_port(), two_ports()
        path = self.folder / "settings.json"
        path.write_text(json.dumps(settings(self), indent=2))
        user = getpass.getuser()
        text = shipped(file, {
            "/usr/local/bin/carillon": program(), "/etc/carillon/settings.json": path,
            "/var/log/carillon": self.folder, "user=carillon": f"user={user}", "startsecs=2": "startsecs=1",
            **{old: str(new) for old, new in replacements(self, user).items()}})
        self.supervisord = servers.supervisord(text, {"CARILLON_API_KEY": KEY})
        self.address = f"http://127.0.0.1:{self.port}"
        wait_for(self.all_run, "every program runs", limit=60, pause=0.2)

    def all_run(self):
        states = self.supervisord.states()
        assert "FATAL" not in states.values(), "\n".join(path.read_text() for path in self.folder.glob("*.log"))
        return states and set(states.values()) == {"RUNNING"} and states

    def browser(self, room="hall"):
        return WebSocket(f"ws://127.0.0.1:{self.port}/channels/talk/{room}")

    def hears_itself(self):
        with self.browser() as browser:
            browser.send('"hello"')
            return browser.json() == "hello"

    def stop(self):
        """Stops all programs, then supervisord; each must have ended by itself, and well."""
        status, said = self.supervisord.control("stop", "all")
        assert status == 0, said
        assert set(self.supervisord.states().values()) == {"STOPPED"}
        assert self.supervisord.stop() == 0
        log = self.supervisord.log_text()
        ends = [line for line in log.splitlines() if "stopped: " in line]
        assert ends and all("(exit status 0)" in line for line in ends), ends
        for path in self.folder.glob("*.log"):
            assert "Fatal" not in path.read_text(), path


def test_each_box_under_supervisord(servers):
    def settings(site):
        return {
            "router": {"listen": [f"http://127.0.0.1:{site.port}"],
                       "workers": {"upstreams": [f"unix://{site.folder}/worker.sock"]},
                       "gateways": {"upstreams": [f"unix://{site.folder}/gateway-{n}.sock" for n in (0, 1)]}},
            "gateway": {"routes": [TALK], "drain_time": "200ms"},
            "workers": {"demo": True},
            "api": {"keys": ["${CARILLON_API_KEY}"]},
        }

    def replacements(site, user):
        return {"/run/carillon": site.folder, "carillon:carillon": f"{user}:{grp.getgrgid(os.getgid()).gr_name}",
                ":9100": f":{free_port()}", ":911%": f":{site.telemetry}%"}

    site = Supervised(servers, "supervisor/carillon.conf", settings, replacements)
    assert sorted(site.supervisord.states()) == [
        "carillon-gateway:carillon-gateway_0", "carillon-gateway:carillon-gateway_1", "carillon-router",
        *(f"carillon-worker:carillon-worker_{number}" for number in range(4))]
    assert ask("GET", site.address + "/").status == 200
    assert site.hears_itself()
    workers_restart_unnoticed(site)
    gateways_restart(site)
    status, said = site.supervisord.control("restart", "carillon-router")
    assert status == 0, said
    assert ask("GET", site.address + "/").status == 200 and site.hears_itself()
    site.stop()


def workers_restart_unnoticed(site):
    """supervisord keeps the workers' socket while one of them runs, so that no request is lost."""
    answers, stop = [], threading.Event()

    def keep_asking():
        while not stop.is_set():
            answers.append(ask("GET", site.address + "/").status)

    askers = [threading.Thread(target=keep_asking) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        restarts = [
            site.supervisord.control("restart", f"carillon-worker:carillon-worker_{number}") for number in range(4)]
        before = len(answers)
        wait_for(lambda: len(answers) > before + 20, "requests go on")
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert all(status == 0 for status, _ in restarts) and set(answers) == {200}, (restarts, set(answers))


def gateways_restart(site):
    browsers = [site.browser() for _ in range(6)]
    status, said = site.supervisord.control("restart", "carillon-gateway:*")
    assert status == 0, said
    assert {browser.close_code()[0] for browser in browsers} == {1012}
    assert all(site.hears_itself() for _ in range(4))
    metrics = ask("GET", f"http://127.0.0.1:{site.telemetry}1/metrics").text
    assert "carillon_gateway_handshakes_total" in metrics


def test_one_process_under_supervisord(servers):
    def settings(site):
        return {"router": {"listen": [f"http://127.0.0.1:{site.port}"]},
                "gateway": {"routes": [TALK], "drain_time": "200ms"}, "workers": {"demo": True},
                "api": {"keys": ["${CARILLON_API_KEY}"]}}

    site = Supervised(servers, "supervisor/serve.conf", settings, lambda *_: {})
    with site.browser() as browser:
        answer = ask("POST", site.address + "/api/publish", json={"channel": "talk-hall", "data": "hello"},
                     headers={"X-API-Key": KEY})
        assert answer.json == {"result": {}} and browser.json() == "hello"
        status, said = site.supervisord.control("restart", "carillon")
        assert status == 0, said
        assert browser.close_code()[0] == 1012
    assert ask("GET", site.address + "/").status == 200 and site.hears_itself()
    site.stop()
