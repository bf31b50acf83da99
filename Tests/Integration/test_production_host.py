"""A host set up by README alone: its commands as they stand there, on a machine that has seen none of it before.

What needs the world outside is stood in for: the release build is the program under test, and Debian's and Python's
packages are those that the tests have installed, which are looked for by the names that README gives.
"""

import json
import re
import urllib.parse

import pytest

import readme
from host import Host
from servers import program
from shipped import ROOT
from sockets import WebSocket
from waiting import TookTooLong, wait_for

PROCESSES = {
    "application", "carillon-agent", *(f"carillon:carillon-gateway_{n}" for n in range(4)),
    *(f"carillon:carillon-router_{n}" for n in range(2)), *(f"carillon-worker:carillon-worker_{n}" for n in range(2))}


@pytest.fixture(scope="module")
def host(shared):
    host = shared.start(Host)
    # On the host everybody is root already.
    host.do("printf '#!/bin/sh\\nexec \"$@\"\\n' >/usr/local/bin/sudo && chmod 755 /usr/local/bin/sudo")
    for command in readme.commands("A production host"):
        follow(host, command)
    try:
        wait_for(lambda: set(states(host).values()) == {"RUNNING"}, "every process runs", limit=120, pause=0.5)
    except TookTooLong as error:
        raise AssertionError(host.run("supervisorctl status; tail -n 5 /var/log/carillon/*.log")[1]) from error
    assert set(states(host)) == PROCESSES
    # For supervisord a program runs that has not ended within seconds.
    wait_for(lambda: host.ask("GET", "/")[0].status == 200, "the application answers")
    wait_for(lambda: [host.ask("GET", "/healthz", port=9110 + number)[0].status for number in range(4)] == [200] * 4,
             "the gateways work")
    return host


def follow(host, command):
    """Does what README says."""
    if command == "make build && sudo make install":
        host.do(f"make --no-print-directory install PROGRAM={program()}")
    elif packages := re.fullmatch(r"sudo apt-get install (.*)", command):
        host.do(f"dpkg-query --show {packages[1]}")
    elif re.fullmatch(r"sudo /srv/site/venv/bin/pip install -r /srv/site/requirements.txt", command):
        host.do(f"echo {ROOT}/.venv-tests/lib/python3*/site-packages >$(echo /srv/site/venv/lib/python3*)/site-packages/t.pth")
        wanted = (ROOT / "examples/django/requirements.txt").read_text().split()
        names = " ".join(re.split("[<>=]", name)[0] for name in wanted)
        host.do(f"/srv/site/venv/bin/pip show --quiet {names}")
    else:
        host.do(command)


def states(host):
    lines = host.run("supervisorctl status")[1].splitlines()
    assert not any("FATAL" in line for line in lines), host.run("tail -n 20 /var/log/carillon/*.log")[1]
    return {line.split()[0]: line.split()[1] for line in lines if len(line.split()) > 1}


class Visitor:
    """Somebody with a browser, on the host's own port 80."""

    def __init__(self, host, name):
        self.host, self.cookies = host, {}
        self.ask("GET", "/")
        assert self.post("/log-in", user=name).status == 302

    def ask(self, method, path, body=None, **headers):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response, text = self.host.ask(
            method, path, body=body, headers={"Cookie": cookie, "Origin": "http://localhost", **headers})
        for field in response.headers.get_all("Set-Cookie") or []:
            name, value = field.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return response, text

    def post(self, path, **form):
        form["csrfmiddlewaretoken"] = self.cookies["csrftoken"]
        return self.ask("POST", path, urllib.parse.urlencode(form),
                        **{"Content-Type": "application/x-www-form-urlencoded"})[0]

    def open(self, path="/channels/updates/"):
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return WebSocket(f"ws://localhost{path}", sock=self.host.connect(80), cookie=cookie)


def browsers_at_each_gateway(host):
    return [metric(host, 9110 + number, "carillon_gateway_connections") for number in range(4)]


def metric(host, port, name):
    text = host.ask("GET", "/metrics", port=port)[1]
    return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name + " "))


def everybody_hears_django(host):
    """group_send in a view of Django reaches the browsers at all gateways, and only those it is meant for."""
    alice, bob = Visitor(host, "alice"), Visitor(host, "bob")
    pages = [who.open() for who in [alice, bob] for _ in range(8)]
    assert 0 not in browsers_at_each_gateway(host) and sum(browsers_at_each_gateway(host)) == 16
    assert alice.post("/notify", to="everybody", text="for all").status == 302
    assert [page.json() for page in pages] == [{"type": "note", "text": "for all"}] * 16
    assert bob.post("/notify", to="me", text="for bob").status == 302
    assert alice.post("/notify", to="me", text="for alice").status == 302
    heard = [page.json()["text"] for page in pages]
    assert heard == ["for alice"] * 8 + ["for bob"] * 8
    for page in pages:
        page.close()
    wait_for(lambda: sum(browsers_at_each_gateway(host)) == 0, "everybody is gone")


def test_django_reaches_the_browsers_of_all_gateways(host):
    everybody_hears_django(host)


def test_pages_and_the_publish_api_are_behind_nginx(host):
    response, page = host.ask("GET", "/")
    assert response.status == 200 and "You are <b>nobody</b>" in page
    assert response.headers["Server"].startswith("nginx")
    alice = Visitor(host, "alice")
    assert "You are <b>alice</b>" in alice.ask("GET", "/")[1]
    key = json.loads(host.do("cat /etc/carillon/settings.json"))["api"]["keys"][0]
    assert len(key) >= 32
    with alice.open() as page:
        response, answer = host.ask(
            "POST", "/api/publish", body=json.dumps({"channel": "updates-alice", "data": "over HTTP"}),
            headers={"X-API-Key": key})
        assert (response.status, json.loads(answer)) == (200, {"result": {}})
        assert page.json() == "over HTTP"
    assert host.ask("POST", "/api/publish", body="{}", headers={"X-API-Key": "CHANGE-ME"})[0].status == 401


def test_nobody_but_root_reads_the_secrets_and_nothing_runs_as_root(host):
    modes = host.do("stat -c '%a %U:%G' /etc/carillon/settings.json /etc/supervisor/conf.d/application.conf").split("\n")
    assert modes[:2] == ["640 root:carillon", "600 root:root"]
    assert "CHANGE-ME" not in host.do("cat /etc/carillon/settings.json /etc/supervisor/conf.d/application.conf")
    for command, user in [("router", "carillon"), ("gateway", "carillon"), ("worker", "carillon"), ("gunicorn", "www-data")]:
        users = set(host.do(f"ps -o user:20= -p $(pgrep -d, -f '[c]arillon {command}|[-]m {command}')").split())
        assert users == {user}, command


def test_browsers_see_what_processes_do(host):
    with Visitor(host, "alice").open("/channels/processes/") as page:
        host.do("supervisorctl restart application")
        while True:
            heard = page.json()
            if heard["type"] == "process.state" and (heard["name"], heard["to"]) == ("application", "RUNNING"):
                break
    wait_for(lambda: host.ask("GET", "/")[0].status == 200, "the application is back")


def test_nginx_straight_to_the_gateways(host):
    """The other configuration for nginx: its workers, who are www-data, reach the gateways' sockets and the application."""
    host.do("cp /usr/local/share/carillon/nginx/gateways.conf /etc/nginx/nginx.conf && service nginx restart")
    everybody_hears_django(host)
