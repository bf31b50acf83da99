"""TLS at the router, with curl as the browser: HTTP/2, certificates by host, client certificates, new files on SIGHUP."""

import json
import signal
import subprocess

import pytest

from certificates import Authority
from processes import free_port
from servers import needed, run
from sockets import ask
from waiting import wait_for

# An application that sends back what it was asked.
MIRROR = '''
import json

def application(environ, start_response):
    open(__file__ + ".begun", "w").close()
    length = environ.get("CONTENT_LENGTH")
    body = environ["wsgi.input"].read(*([int(length)] if length else [])).decode()
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"environ": seen, "body": body}).encode()]
'''


class Site:
    def __init__(self, servers):
        self.folder = servers.new_folder()
        (self.folder / "mirror.py").write_text(MIRROR)
        self.application = servers.gunicorn("mirror:application", self.folder, "--threads", "4")
        self.authority = Authority(self.folder)
        self.people = Authority(self.folder, "people")
        plain = self.authority.issue("example.org", ["example.org"])
        intern = self.authority.issue("intern.example.org", ["intern.example.org"])
        self.port, self.plain_port = free_port(), free_port()
        self.settings = {"router": {
            "listen": [f"http://127.0.0.1:{self.plain_port}", f"https://127.0.0.1:{self.port}"],
            "trusted_proxies": [],
            "workers": {"upstreams": [self.application.url]},
            "gateways": {"upstreams": []},
            "routes": [{"path": "/secret/", "pool": "workers", "client_certificate": "required"}],
            "tls": {"certificates": [
                {"certificate": str(plain[0]), "key": str(plain[1])},
                {"certificate": str(intern[0]), "key": str(intern[1]), "client_ca": str(self.people.file)}]}}}
        self.router = servers.carillon("router", self.settings)

    def curl(self, path, *options, host="example.org", limit=30):
        """curl's status, and what the application saw; the status is None when there was no answer."""
        done = subprocess.run(
            [needed("curl", "curl"), "--silent", "--show-error", "--cacert", self.authority.file, "--resolve",
             f"{host}:{self.port}:127.0.0.1", "--write-out", "\n%{http_code} %{http_version}",
             *options, f"https://{host}:{self.port}{path}"],
            capture_output=True, text=True, timeout=limit)
        if done.returncode:
            return None, done.stderr, ""
        text, _, last = done.stdout.rpartition("\n")
        status, version = last.split()
        return int(status), json.loads(text)["environ"] if status == "200" else text, version


@pytest.fixture(scope="module")
def site(shared):
    return Site(shared)


@pytest.mark.parametrize("flag, version", [("--http1.1", "1.1"), ("--http2", "2")])
def test_both_versions_of_http_say_where_they_come_from(site, flag, version):
    status, seen, spoken = site.curl("/a?b", flag, "-H", "X-SSL-Client-CN: root", "-H", "X-Forwarded-For: 1.2.3.4")
    assert (status, spoken) == (200, version)
    assert seen["wsgi.url_scheme"] == "https" and seen["HTTP_X_FORWARDED_PROTO"] == "https"
    assert seen["HTTP_X_FORWARDED_FOR"] == "127.0.0.1" and "HTTP_X_SSL_CLIENT_CN" not in seen
    assert seen["HTTP_X_SSL_CLIENT_VERIFY"] == "NONE"
    assert seen["HTTP_VIA"] == ("2.0 carillon" if version == "2" else "1.1 carillon")


@pytest.mark.parametrize("flag", ["--http1.1", "--http2"])
def test_bodies_of_some_megabytes_pass(site, flag):
    (site.folder / "large").write_bytes(b"0123456789" * 500_000)
    status, seen, _ = site.curl("/", flag, "--data-binary", f"@{site.folder}/large")
    assert status == 200 and seen["CONTENT_LENGTH"] == "5000000"


def test_old_versions_of_tls_are_not_spoken(site):
    status, error, _ = site.curl("/", "--tls-max", "1.1")
    assert status is None, error


def test_a_client_certificate_is_required_and_passed_on(site):
    certificate, key = site.people.issue("ada")
    ours = ["--cert", certificate, "--key", key]
    host = "intern.example.org"
    for flag in ("--http1.1", "--http2"):
        status, seen, _ = site.curl("/secret/", flag, *ours, "-H", "X-SSL-Client-CN: root", host=host)
        assert status == 200, seen
        assert seen["HTTP_X_SSL_CLIENT_CN"] == "ada" and seen["HTTP_X_SSL_CLIENT_S_DN"] == "CN=ada"
        assert seen["HTTP_X_SSL_CLIENT_I_DN"] == "CN=people"
        assert site.curl("/secret/", flag, host=host)[0] == 403
        # The host that asks nobody cannot be used to get past the one that does.
        assert site.curl("/secret/", flag, "-H", f"Host: {host}")[0] == 421
    strange, strange_key = Authority(site.folder, "strangers").issue("eve")
    status, error, _ = site.curl("/secret/", "--cert", strange, "--key", strange_key, host=host)
    assert status is None, error


def test_new_certificates_are_taken_without_dropping_anybody(servers):
    site = Site(servers)
    assert site.curl("/")[0] == 200
    new = Authority(site.folder, "new")
    new.issue("example.org", ["example.org"])
    # A request that is under way the whole time. Without a length: curl 7.88 waits for the connection's end when the answer
    # ends before it has read the end of what it uploads.
    running = subprocess.Popen(
        [needed("curl", "curl"), "--silent", "--cacert", site.authority.file, "--resolve",
         f"intern.example.org:{site.port}:127.0.0.1", "-T", "-", f"https://intern.example.org:{site.port}/"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        running.stdin.write("abc")
        running.stdin.flush()
        site.router.send(signal.SIGHUP)
        site.authority, old = new, site.authority
        wait_for(lambda: site.curl("/")[0] == 200, "the new certificate is shown")
        running.stdin.write("def")
        running.stdin.close()
        assert json.loads(running.stdout.read())["body"] == "abcdef"
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    # A file that cannot be used changes nothing, and is told.
    (site.folder / "example.org.key").write_text("no key")
    site.router.send(signal.SIGHUP)
    wait_for(lambda: "no private key" in site.router.log_text(), "the fault is told")
    assert site.curl("/")[0] == 200 and old


def test_files_that_cannot_be_used_are_told_by_check(site, tmp_path):
    late = site.authority.issue("late.example.org", ["late.example.org"], days=(-9, -3.5))
    wrong = site.authority.issue("wrong.example.org", ["wrong.example.org"])
    identities = [
        {"certificate": str(late[0]), "key": str(late[1])}, {"certificate": str(wrong[0]), "key": str(late[1])},
        {"certificate": "/nowhere.pem", "key": str(late[1])}]
    for identity, text in zip(identities, ["out of date for 3 days", "is not the key of", "/nowhere.pem cannot be read"]):
        settings = json.loads(json.dumps(site.settings))
        settings["router"]["tls"]["certificates"] = [identity]
        (tmp_path / "settings.json").write_text(json.dumps(settings))
        done = run("check", tmp_path / "settings.json")
        assert done.returncode == 1 and text in done.stdout + done.stderr
    assert ask("GET", f"http://127.0.0.1:{site.plain_port}/").status == 200


def test_a_stopping_router_finishes_what_runs_in_http2(servers):
    site = Site(servers)
    running = subprocess.Popen(
        [needed("curl", "curl"), "--silent", "--http2", "--cacert", site.authority.file, "--resolve",
         f"example.org:{site.port}:127.0.0.1", "-T", "-", f"https://example.org:{site.port}/"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        running.stdin.write("abc")
        running.stdin.flush()
        wait_for((site.folder / "mirror.py.begun").exists, "the request is under way")
        site.router.send(signal.SIGTERM)
        wait_for(lambda: "Draining" in site.router.log_text(), "it drains")
        running.stdin.write("def")
        running.stdin.close()
        assert json.loads(running.stdout.read())["body"] == "abcdef"
        assert site.router.wait() == 0
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
