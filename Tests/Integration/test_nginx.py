"""The configurations in nginx/, as they are shipped but for addresses and paths, with the real servers behind them."""

import json
import ssl
import subprocess

import pytest
from websockets.exceptions import InvalidStatus

from certificates import Authority
from processes import free_port
from servers import KEY, needed, run
from shipped import shipped
from sites import TALK, Site
from sockets import EventStream, WebSocket, ask, open_request
from waiting import wait_for

BROWSER = "127.0.0.2"  # where browsers come from, to tell them from nginx itself

# An application that sends back what it was asked, as people run theirs: WSGI, under gunicorn.
MIRROR = '''
import json

def application(environ, start_response):
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
'''


class Front:
    """nginx with one of the shipped configurations, and all that it passes to."""

    secure = False
    gateways = 2

    def __init__(self, servers, layer, prefix="/channels/"):
        self.prefix, self.port, self.folder = prefix, free_port(), servers.new_folder()
        (self.folder / "mirror.py").write_text(MIRROR)
        self.application = servers.gunicorn("mirror:application", self.folder)
        self.site = Site(
            servers, gateways=self.gateways, workers=0, layer=layer, upstreams=[self.application.url],
            routes=[{**TALK, "path": f"{prefix}talk/{{room}}"}],
            more={"gateway": {"path": prefix, "trusted_proxies": ["127.0.0.1", "unix:"]},
                  "router": {"gateways": {"path": prefix}}, "log": {"level": "debug"}})
        self.tls = None
        self.text = shipped(f"nginx/{self.file}", {
            "/run/nginx.pid": self.folder / "nginx.pid", "/var/log/nginx/error.log notice": "stderr notice",
            "location /channels/": f"location {prefix}", self.user: "", **self.replacements()})
        self.nginx = servers.nginx(self.text, self.port)

    file = "carillon.conf"
    user = "user www-data;"

    def replacements(self):
        return {"listen 80;": f"listen 127.0.0.1:{self.port};", "127.0.0.1:8000": f"127.0.0.1:{self.site.router.port}"}

    @property
    def address(self):
        return f"{'https' if self.secure else 'http'}://localhost:{self.port}"

    def ask(self, method, path, **options):
        return ask(method, self.address + path, tls=self.tls, **options)

    def socket(self, room, **options):
        url = f"{self.address.replace('http', 'ws', 1)}{self.prefix}talk/{room}"
        return WebSocket(url, tls=self.tls, **options)

    def stream(self, room, **options):
        return EventStream(f"{self.address}{self.prefix}talk/{room}", tls=self.tls, **options)


class Router(Front):
    """nginx to the router."""


class Gateways(Front):
    """nginx to the gateways, and to the application's own server."""

    file, gateways, user = "gateways.conf", 4, "user www-data carillon;"

    def replacements(self):
        return {"listen 80;": f"listen 127.0.0.1:{self.port};", "/run/carillon": self.site.folder,
                "127.0.0.1:8080": f"127.0.0.1:{self.application.port}"}


class TLS(Front):
    """nginx ends TLS."""

    file, secure = "tls.conf", True

    def replacements(self):
        self.authority = Authority(self.folder)
        certificate, key = self.authority.issue("localhost", ["localhost"])
        self.tls = ssl.create_default_context(cafile=str(self.authority.file))
        self.plain_port = free_port()
        return {"listen 80;": f"listen 127.0.0.1:{self.plain_port};",
                "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
                "127.0.0.1:8000": f"127.0.0.1:{self.site.router.port}",
                "/etc/ssl/example.org.pem": certificate, "/etc/ssl/example.org.key": key}


@pytest.fixture(scope="module", params=[Router, Gateways, TLS], ids=lambda form: form.__name__)
def front(request, shared, redis):
    return request.param(shared, layer(redis, request.param.__name__))


def layer(redis, name):
    return {"backend": "redis", "config": {"hosts": [redis.url], "prefix": f"nginx-{name}"}}


def test_websockets_event_streams_and_pages_pass(front, unique):
    seen = front.ask("GET", "/some/page?a=1%20").json
    assert (seen["RAW_URI"], seen["HTTP_HOST"]) == ("/some/page?a=1%20", f"localhost:{front.port}")
    assert seen["HTTP_X_FORWARDED_PROTO"] == ("https" if front.secure else "http")
    assert "carillon" in front.ask("GET", f"{front.prefix}carillon.js").text
    # Enough of them that every gateway has some.
    sockets = [front.socket(unique) for _ in range(8)]
    streams = [front.stream(unique) for _ in range(4)]
    assert {stream.status for stream in streams} == {200}
    held = [gateway.metric("carillon_gateway_connections") for gateway in front.site.gateways]
    assert sum(held) == 12 and 0 not in held, held
    for number, speaker in enumerate(sockets):
        speaker.send(json.dumps(number))
        # What nginx kept of a stream would never come.
        assert {listener.json() for listener in [*sockets, *streams]} == {number}
    for listener in [*sockets, *streams]:
        listener.close()
    wait_for(lambda: sum(gateway.metric("carillon_gateway_connections") for gateway in front.site.gateways) == 0,
             "everybody is gone")


def test_the_visitor_and_its_page_are_told(front, unique):
    def is_known_as(address, **options):
        # Another visit when the log left a line out, as it does when there are many.
        front.socket(unique, source_address=(address, 0), **options).close()
        return any(f"peer={address}" in gateway.log_text() for gateway in front.site.gateways)

    wait_for(lambda: is_known_as(BROWSER), "the gateway knows who the browser is", pause=0.3)
    # A visitor cannot claim to be somebody else.
    claim = [("X-Forwarded-For", "192.0.2.66"), ("X-Real-IP", "192.0.2.66")]
    wait_for(lambda: is_known_as("127.0.0.3", headers=claim), "the gateway knows who claims", pause=0.3)
    assert not any("192.0.2.66" in gateway.log_text() for gateway in front.site.gateways)
    assert front.ask("GET", "/", source_address=(BROWSER, 0)).json["HTTP_X_FORWARDED_FOR"].startswith(BROWSER)
    with pytest.raises(InvalidStatus) as refused:
        front.socket(unique, origin="https://elsewhere.example")
    assert refused.value.response.status_code == 403


def test_the_check_has_nothing_to_say_of_it(front):
    done = run("check", front.site.path, "--nginx", front.nginx.configuration)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Nothing was found" in done.stdout


@pytest.mark.parametrize("form", [Router, Gateways])
def test_a_site_in_a_sub_directory(servers, redis, form, unique, tabs):
    """With a real browser: the page, its WebSocket and its event stream, all below /shop/."""
    front = form(servers, layer(redis, unique), prefix="/shop/channels/")
    tab = tabs(f"{front.address}/shop/")
    assert "/shop/" in tab.text("body")
    heard = tab.evaluate(f"""new Promise((done, failed) => {{
        const heard = {{}};
        const path = "/shop/channels/talk/{unique}";
        const hear = (name) => ({{ data }}) => {{
            heard[name] = JSON.parse(data);
            if ("stream" in heard && "socket" in heard) done(heard);
        }};
        const stream = new EventSource(path);
        const socket = new WebSocket(path.replace(/^/, location.origin.replace("http", "ws")));
        stream.onmessage = hear("stream");
        socket.onmessage = hear("socket");
        stream.onerror = socket.onerror = () => failed("an error");
        const open = Promise.all([stream, socket].map((one) => new Promise((ready) => one.onopen = ready)));
        open.then(() => socket.send(JSON.stringify("ding")));
    }})""")
    assert heard == {"stream": "ding", "socket": "ding"}
    # Outside of it everything is the application's.
    assert front.ask("GET", "/channels/talk/x").json["RAW_URI"] == "/channels/talk/x"


def test_tls_takes_http2_and_sends_plain_requests_to_it(servers, redis, unique):
    front = TLS(servers, layer(redis, unique))
    plain = ask("GET", f"http://127.0.0.1:{front.plain_port}/a?b=1", headers={"Host": "example.org"})
    assert (plain.status, plain.headers["Location"]) == (308, "https://example.org/a?b=1")
    curl = [needed("curl", "curl"), "--silent", "--no-buffer", "--http2", "--cacert", front.authority.file]
    page = subprocess.run([*curl, "--write-out", "\n%{http_version}", front.address + "/"], capture_output=True,
                          text=True, timeout=30)
    assert page.stdout.endswith("\n2"), page.stdout
    stream = subprocess.Popen(
        [*curl, "--header", "Accept: text/event-stream", "--header", "Sec-Fetch-Site: same-origin",
         f"{front.address}/channels/talk/{unique}"], stdout=subprocess.PIPE, text=True)
    try:
        assert stream.stdout.readline().startswith("retry:")
        with front.socket(unique) as speaker:
            speaker.send('"over HTTP/2"')
        while not (line := stream.stdout.readline()).startswith("data:"):
            assert line, "the stream ended"
        assert line == 'data: "over HTTP/2"\n'
    finally:
        stream.kill()
        stream.wait()
        stream.stdout.close()


def test_nginx_streams_a_job_and_keeps_the_api_inside(servers):
    site, port = Site(servers, demo=True), free_port()
    servers.nginx(shipped("nginx/carillon.conf", {
        "listen 80;": f"listen 127.0.0.1:{port};", "127.0.0.1:8000": f"127.0.0.1:{site.router.port}",
        "/run/nginx.pid": site.folder / "nginx.pid", "/var/log/nginx/error.log": "stderr", "user www-data;": ""}), port)
    address = f"http://127.0.0.1:{port}"
    connection, response = open_request("POST", address + "/jobs", body=b"")
    first = json.loads(response.readline())
    assert (first["type"], first["step"]) == ("job.progress", 0)
    # The rest is still to come: the job runs for seconds.
    assert site.worker.metric("carillon_workers_busy_threads") == 1
    connection.close()
    key = {"X-API-Key": KEY}
    assert ask("POST", address + "/api/publish", json={"channel": "x", "data": 1}, headers=key).status == 200
    outside = ask("POST", address + "/api/publish", body=b"{}", headers=key, source_address=(BROWSER, 0))
    assert outside.status == 403


def test_a_gateway_that_is_away_is_passed_over(servers, redis, unique):
    front = Gateways(servers, layer(redis, unique))
    front.site.gateways[0].kill()
    for number in range(8):
        with front.socket(unique) as browser:
            browser.send(json.dumps(number))
            assert browser.json() == number
