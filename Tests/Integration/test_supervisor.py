"""The entries in supervisor/, as they are shipped but for addresses, paths and users, with a real supervisord."""

import contextlib
import getpass
import grp
import json
import os
import pathlib
import shutil
import signal
import ssl
import threading

from certificates import Authority
from processes import four_ports, free_port
from servers import KEY, program, run
from shipped import shipped
from sites import TALK
from sockets import WebSocket, ask
from waiting import wait_for


def service_user():
    """Who the processes run as, and its group: somebody without rights where the tests are root's, as on a host."""
    if os.getuid() == 0:
        return "nobody", grp.getgrnam("nogroup").gr_name
    return getpass.getuser(), grp.getgrgid(os.getgid()).gr_name


class Supervised:
    """The shipped entries under a supervisord of their own."""

    def __init__(self, servers, file, settings, replacements):
        self.folder = servers.new_folder()
        self.user, self.group = service_user()
        if os.getuid() == 0:
            servers.folder.chmod(0o711)
            shutil.chown(self.folder, self.user, self.group)
        self.port = free_port()
        self.path = self.folder / "settings.json"
        self.path.write_text(json.dumps(settings(self), indent=2))
        text = shipped(file, {
            "/usr/local/bin/carillon": program(), "/etc/carillon/settings.json": self.path,
            "/var/log/carillon": self.folder, "user=carillon": f"user={self.user}", "startsecs=2": "startsecs=1",
            **{old: str(new) for old, new in replacements(self).items()}})
        self.supervisord = servers.supervisord(text, {"CARILLON_API_KEY": KEY})
        self.address = f"http://127.0.0.1:{self.port}"
        wait_for(self.all_run, "every program runs", pause=0.2)
        # For supervisord a program runs that has not ended within a second.
        wait_for(lambda: ask("GET", self.address + "/").status == 200, "the site answers")

    def all_run(self):
        states = self.supervisord.states()
        assert "FATAL" not in states.values(), "\n".join(path.read_text() for path in self.folder.glob("*.log"))
        return states and set(states.values()) == {"RUNNING"} and states

    def control(self, *words):
        status, said = self.supervisord.control(*words)
        assert status == 0, said
        return said

    def pid(self, name):
        return int(self.control("pid", name))

    def browser(self, room="hall", **options):
        return WebSocket(f"ws://127.0.0.1:{self.port}/channels/talk/{room}", **options)

    def hears_itself(self):
        with self.browser() as browser:
            browser.send('"hello"')
            return browser.json() == "hello"

    def bridges(self):
        """Processes that serve browsers between two gateways; supervisord does not know them."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = pathlib.Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"--bridge" in words and str(self.path).encode() in words:
                found.append(int(entry))
        return found

    def end_bridges(self):
        for pid in self.bridges():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not self.bridges(), "bridges end")

    def stop(self):
        """Stops supervisord, which stops all programs; each must have ended by itself, and well. Gives back their order."""
        assert self.supervisord.stop(limit=120) == 0
        self.end_bridges()
        log = self.supervisord.log_text()
        ends = [line for line in log.splitlines() if "stopped: " in line]
        assert ends and all("(exit status 0)" in line for line in ends), ends
        for path in self.folder.glob("*.log"):
            assert "Fatal" not in path.read_text(), path
        return [line.split("stopped: ")[1].split()[0] for line in ends]


# Each box as processes of its own

GATEWAYS = [f"carillon:carillon-gateway_{number}" for number in range(4)]
WORKERS = [f"carillon-worker:carillon-worker_{number}" for number in range(2)]
ROUTERS = [f"carillon:carillon-router_{number}" for number in range(2)]


class Boxes(Supervised):
    """supervisor/carillon.conf over Redis, with TLS at the router too."""

    def __init__(self, servers, redis, prefix):
        self.redis, self.prefix = redis, prefix
        self.secure_port, self.telemetry = free_port(), four_ports()
        self.worker_telemetry, self.router_telemetry = four_ports(), four_ports()
        self.authority = Authority(servers.new_folder())
        super().__init__(servers, "supervisor/carillon.conf", Boxes.settings, Boxes.replacements)
        for name in [*GATEWAYS, *WORKERS, *ROUTERS]:
            self.wait_until_well(name)

    def settings(self):
        for path, name in zip(self.authority.issue("localhost", ["localhost"]), ["site.pem", "site.key"]):
            shutil.copy(path, self.folder / name)
        return {
            "channel_layers": {"default": {
                "backend": "redis", "config": {"hosts": [self.redis.url], "prefix": self.prefix}}},
            "router": {
                "listen": [f"http://127.0.0.1:{self.port}", f"https://127.0.0.1:{self.secure_port}"],
                "tls": {"certificates": [
                    {"certificate": str(self.folder / "site.pem"), "key": str(self.folder / "site.key")}]},
                "access_log": str(self.folder / "access"),
                "workers": {"upstreams": [f"unix://{self.folder}/worker.sock"]},
                "gateways": {"upstreams": [f"unix://{self.folder}/gateway-{n}.sock" for n in range(4)]}},
            "gateway": {"routes": [TALK], "drain_time": "200ms", "connection_limit": 900},
            "workers": {"demo": True},
            "api": {"keys": ["${CARILLON_API_KEY}"]},
        }

    def replacements(self):
        return {"/run/carillon": self.folder, "carillon:carillon\n": f"{self.user}:{self.group}\n",
                ":910%": f":{self.router_telemetry}%", ":911%": f":{self.telemetry}%", ":912%": f":{self.worker_telemetry}%"}

    def wait_until_well(self, name):
        """Until a program says of itself that it works."""
        part, number = name.rpartition("-")[2].split("_")
        row = {"gateway": self.telemetry, "worker": self.worker_telemetry, "router": self.router_telemetry}[part]
        wait_for(lambda: ask("GET", f"http://127.0.0.1:{row}{number}/healthz").status == 200, f"{name} works")

    def trust(self):
        return ssl.create_default_context(cafile=str(self.authority.file))

    def page_over_tls(self):
        return ask("GET", f"https://localhost:{self.secure_port}/", tls=self.trust()).status


def test_each_box_under_supervisord(servers, redis, unique):
    site = Boxes(servers, redis, unique)
    assert sorted(site.supervisord.states()) == sorted([*GATEWAYS, *WORKERS, *ROUTERS])
    owners = {pathlib.Path(f"/proc/{site.pid(name)}").owner() for name in [*GATEWAYS, *WORKERS, *ROUTERS]}
    assert owners == {site.user}
    for log in [*(f"gateway-{n}" for n in range(4)), *(f"{part}-{n}" for part in ("router", "worker") for n in range(2))]:
        assert "started" in (site.folder / f"{log}.log").read_text(), log
    assert ask("GET", site.address + "/").status == 200
    everybody_hears_across_gateways(site)
    # supervisord keeps the workers' socket while one of them runs.
    restart_unnoticed(site, WORKERS)
    one_gateway_after_another_restarts(site)
    certificates_and_logs_are_taken_anew(site)
    with site.browser() as browser:
        # Nor does whoever was handed to a gateway notice that routers restart.
        restart_unnoticed(site, ROUTERS)
        browser.send('"still here"')
        assert browser.json() == "still here"
    assert site.hears_itself()
    check_has_nothing_to_say(site)
    order = site.stop()
    # Nobody asks workers that are gone.
    assert set(order[-2:]) == {"carillon-worker_0", "carillon-worker_1"}


def everybody_hears_across_gateways(site):
    browsers = [site.browser() for _ in range(8)]
    held = [gateway_metric(site, number, "carillon_gateway_connections") for number in range(4)]
    # Not two each: there are two routers, and of what the other one hands over each hears once a second. One alone would be
    # exact but when it stands still while it is told; RouterTests have it exactly, with gateways that tell when they are asked.
    assert sum(held) == 8 and 0 < min(held) <= max(held) < 4, held
    key = {"X-API-Key": KEY}
    answer = ask("POST", site.address + "/api/publish", json={"channel": "talk-hall", "data": 7}, headers=key)
    assert answer.json == {"result": {}}
    assert [browser.json() for browser in browsers] == [7] * 8
    for browser in browsers:
        browser.close()


def gateway_metric(site, number, name):
    lines = ask("GET", f"http://127.0.0.1:{site.telemetry}{number}/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))


def restart_unnoticed(site, programs):
    """One after another, while requests go on, each on a connection of its own: none is refused or lost."""
    answers, stop = [], threading.Event()

    def keep_asking():
        while not stop.is_set():
            answers.append(ask("GET", site.address + "/").status)

    askers = [threading.Thread(target=keep_asking) for _ in range(2)]
    for asker in askers:
        asker.start()
    try:
        for name in programs:
            site.control("restart", name)
            site.wait_until_well(name)
        before = len(answers)
        wait_for(lambda: len(answers) > before + 20, "requests go on")
    finally:
        stop.set()
        for asker in askers:
            asker.join()
    assert set(answers) == {200}


def taken_over(site):
    return [gateway_metric(site, number, "carillon_gateway_taken_over_total") for number in range(4)]


def one_gateway_after_another_restarts(site):
    """Each passes its browsers on, and none of them notices."""
    browsers = [site.browser() for _ in range(8)]
    for name in GATEWAYS:
        old = site.pid(name)
        site.control("restart", name)
        assert site.pid(name) != old
        browsers[0].send(f'"{name}"')
        assert [browser.json() for browser in browsers] == [name] * 8
    # The last ones may still be with the bridge, where they hear everything as well.
    wait_for(lambda: sum(taken_over(site)) == 8, "each browser was taken over")
    moved = taken_over(site)
    # A gateway that is stopped leaves a bridge, and when that is ended too its browsers are sent away.
    site.control("stop", GATEWAYS[0])
    wait_for(lambda: len(site.bridges()) == 1, "there is its bridge, and none of the others any more")
    site.end_bridges()
    site.control("start", GATEWAYS[0])
    site.wait_until_well(GATEWAYS[0])
    held = [gateway_metric(site, number, "carillon_gateway_connections") for number in range(4)]
    assert held == [0, *moved[1:]]
    for browser in browsers:
        browser.close()


def certificates_and_logs_are_taken_anew(site):
    """`supervisorctl signal HUP`: new browsers see the new certificate, those that are there stay."""
    assert site.page_over_tls() == 200
    old = site.trust()
    url = f"wss://localhost:{site.secure_port}/channels/talk/tls"
    with WebSocket(url, tls=old) as before:
        site.authority = Authority(site.authority.folder, "another")
        for path, name in zip(site.authority.issue("localhost", ["localhost"]), ["site.pem", "site.key"]):
            shutil.copy(path, site.folder / name)
        (site.folder / "access").rename(site.folder / "access.1")
        for number, router in enumerate(ROUTERS):
            site.control("signal", "HUP", router)
            wait_for(lambda: "Settings were read again" in (site.folder / f"router-{number}.log").read_text(),
                     f"{router} has read them")

        def is_new():
            try:
                return site.page_over_tls() == 200
            except ssl.SSLCertVerificationError:
                return False

        wait_for(is_new, "the new certificate is shown")
        before.send('"kept"')
        assert before.json() == "kept"
        with WebSocket(url, tls=site.trust()) as after:
            after.send('"new"')
            assert after.json() == "new" and before.json() == "new"
    wait_for(lambda: (site.folder / "access").exists() and '"GET / ' in (site.folder / "access").read_text(),
             "requests are logged in the new file")


def check_has_nothing_to_say(site):
    """`carillon check` of the settings and of both files around them."""
    done = run("check", site.path, "--supervisor", site.supervisord.configuration)
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_process_under_supervisord(servers):
    def settings(site):
        return {"router": {"listen": [f"http://127.0.0.1:{site.port}"]},
                "gateway": {"routes": [TALK], "drain_time": "200ms"}, "workers": {"demo": True},
                "api": {"keys": ["${CARILLON_API_KEY}"]}}

    site = Supervised(servers, "supervisor/serve.conf", settings, lambda _: {})
    with site.browser() as browser:
        answer = ask("POST", site.address + "/api/publish", json={"channel": "talk-hall", "data": "hello"},
                     headers={"X-API-Key": KEY})
        assert answer.json == {"result": {}} and browser.json() == "hello"
        site.control("restart", "carillon")
        assert browser.close_code()[0] == 1012
    wait_for(lambda: ask("GET", site.address + "/").status == 200, "it is back")
    assert site.hears_itself()
    site.stop()
