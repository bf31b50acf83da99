"""A Django application behind Carillon, and people who visit it."""

import http.cookiejar
import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request

from websockets.exceptions import InvalidStatus

from processes import free_port
from servers import KEY, Carillon
from sockets import WebSocket, ask

HERE = pathlib.Path(__file__).parent


class DjangoSite:
    """gunicorn with the Django project, and `carillon serve` in front of it.

    The publish API is at `api`, beside the application. alice is user 1 in group red, bob user 2 in group blue; their
    passwords are their names.
    """

    def __init__(self, servers, settings, *, sessions="django.contrib.sessions.backends.db", cookie="sessionid"):
        """`settings` are those of the site's own; where things listen is added."""
        folder = servers.new_folder()
        api = free_port()
        environment = {
            "SITE_DATABASE": str(folder / "site.sqlite"), "SITE_SESSIONS": sessions, "SITE_COOKIE": cookie,
            "PYTHONPATH": str(HERE), "SITE_PUBLISH": f"http://127.0.0.1:{api}/api/publish", "SITE_KEY": KEY,
            "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run([sys.executable, "-m", "django_site.prepare"], env={**os.environ, **environment}, check=True,
                       timeout=60)
        self.socket = folder / "site.sock"
        self.application = servers.gunicorn(
            "django_site.wsgi:application", HERE, "--threads", "4", environment=environment, unix_socket=self.socket)
        self.carillon = servers.start(Carillon, "serve", {
            **settings,
            "router": {"workers": {"upstreams": [f"unix://{self.socket}"]}},
            "workers": {"listen": f"http://127.0.0.1:{api}"},
            "api": {"keys": ["${CARILLON_API_KEY}"]},
        })
        self.api = f"http://127.0.0.1:{api}/api/publish"
        self.address = self.carillon.address

    def publish(self, group, data, **how):
        """`how` the value is written is json.dumps' word."""
        body = f'{{"channel": {json.dumps(group)}, "data": {json.dumps(data, **how)}}}'.encode()
        answer = ask("POST", self.api, body=body, headers={"X-API-Key": KEY})
        assert (answer.status, answer.json) == (200, {"result": {}}), answer

    def browser(self, path, **options):
        return WebSocket(self.carillon.websocket_url(path), **options)

    def refusal(self, path, **options):
        """The status of the answer to a WebSocket that is not let in."""
        try:
            self.browser(path, **options).close()
        except InvalidStatus as error:
            return error.response.status_code
        raise AssertionError(f"{path} let the browser in")


class Visitor:
    """Somebody with a browser that keeps cookies."""

    def __init__(self, site):
        self.site = site
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.jar))

    def get(self, path):
        with self._opener.open(self.site.address + path, timeout=20) as answer:
            return answer.read().decode()

    def post(self, path, **form):
        form["csrfmiddlewaretoken"] = self.cookies.get("csrftoken", "")
        request = urllib.request.Request(
            self.site.address + path, urllib.parse.urlencode(form).encode(),
            # As a browser does; Django compares it with the host.
            {"Origin": self.site.address, "Referer": self.site.address + path})
        with self._opener.open(request, timeout=20) as answer:
            return answer.read().decode()

    def log_in(self, name):
        self.get("/accounts/login/")
        assert self.post("/accounts/login/", username=name, password=name) == f"hello {name}\n"
        return self

    @property
    def cookies(self):
        return {cookie.name: cookie.value for cookie in self.jar}

    @property
    def cookie(self):
        """What the browser sends with a handshake."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())
