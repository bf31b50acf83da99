"""Chromium, driven over its DevTools protocol: pages are opened, asked in JavaScript, and photographed."""

import base64
import contextlib
import itertools
import json
import os
import pathlib
import urllib.parse

from websockets.sync.client import connect

from processes import Process
from servers import needed
from sockets import ask
from waiting import LIMIT, wait_for

# What Chromium answers to a question during which the page became another one.
ANOTHER_PAGE = ("Inspected target navigated or closed", "Execution context was destroyed", "Cannot find default execution context")
SCREENSHOTS = pathlib.Path(__file__).parents[2] / ".build" / "screenshots"


class Chromium(Process):
    """A headless Chromium with a profile of its own."""

    name = "chromium"

    def __init__(self, folder):
        profile = pathlib.Path(folder) / "profile"
        self._port_file = profile / "DevToolsActivePort"
        super().__init__(folder, [
            needed("chromium", "chromium"), "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}",
            # Root may not use the sandbox; the only pages are ours.
            *(["--no-sandbox"] if os.getuid() == 0 else []),
            "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--no-default-browser-check",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            # Every tab counts as looked at: a hidden one has its timers slowed down.
            "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
            "--disable-backgrounding-occluded-windows", "--window-size=1000,900", "about:blank"])

    def start(self, *, wait=True):
        self._port_file.unlink(missing_ok=True)
        return super().start(wait=wait)

    def is_ready(self):
        lines = self._port_file.read_text().split() if self._port_file.exists() else []
        if len(lines) < 2:
            return False
        self.port = int(lines[0])
        return ask("GET", f"http://127.0.0.1:{self.port}/json/version").status == 200

    def open(self, url):
        """A new tab that shows `url`."""
        answer = ask("PUT", f"http://127.0.0.1:{self.port}/json/new?about:blank")
        assert answer.status == 200, answer
        return Tab(self, answer.json, url)


class Tab:
    """One page."""

    def __init__(self, chromium, target, url):
        self.id = target["id"]
        self.chromium = chromium
        self.url = url
        # What the page wrote to its console and threw.
        self.console = []
        self._numbers = itertools.count(1)
        self._open = contextlib.ExitStack()
        self._connection = self._open.enter_context(connect(
            target["webSocketDebuggerUrl"], max_size=None, compression=None, proxy=None, open_timeout=LIMIT,
            ping_interval=None))
        self._call("Runtime.enable")
        self._call("Page.enable")
        self._call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def _call(self, method, **parameters):
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=LIMIT))
            if message.get("method") == "Runtime.consoleAPICalled":
                words = message["params"]["args"]
                self.console.append(" ".join(str(word.get("value", word.get("description"))) for word in words))
            elif message.get("method") == "Runtime.exceptionThrown":
                self.console.append(str(message["params"]["exceptionDetails"]))
            if message.get("id") == number:
                if message.get("error", {}).get("message", "").startswith(ANOTHER_PAGE):
                    raise ConnectionError(f"{method}: {message['error']}")  # "not yet" for who waits
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]

    def evaluate(self, expression):
        """The value of a JavaScript expression in the page; a promise is waited for."""
        result = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait_for(self, expression, limit=LIMIT):
        """Waits until an expression is true in the page, and gives back its value."""
        return wait_for(lambda: self.evaluate(expression), f"{expression} in {self.url}", limit=limit, pause=0.02)

    def click(self, selector):
        """A real click of the mouse in the middle of an element."""
        self.wait_for(f"!!document.querySelector({json.dumps(selector)})")
        place = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def text(self, selector):
        """The text of an element, as shown."""
        return self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText")

    def screenshot(self):
        """The page as PNG bytes."""
        self._call("Page.bringToFront")  # a tab behind another one is not drawn, and its picture never comes
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def keep_screenshot(self, name):
        """Saves a picture of the page, for a person; gives back where, or why not."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{urllib.parse.quote(name, safe='-_[]')}.png"
        try:
            path.write_bytes(self.screenshot())
        except Exception as error:  # the page may be what failed; the test's own error counts
            return f"none: {error!r}"
        return path

    def close(self):
        self._open.close()
        ask("GET", f"http://127.0.0.1:{self.chromium.port}/json/close/{self.id}")
