"""A whole site as in production: router, gateways and workers as processes of their own."""

import json

from servers import Carillon
from sockets import WebSocket

# Browsers of one room hear each other: messages flow through a gateway without a broker.
TALK = {"path": "/channels/talk/{room}", "authenticate": "anonymous", "groups": ["talk-{room}"],
        "receive": {"group": "talk-{room}"}}


class Site:
    """Router, gateways and workers, which find each other by one settings file."""

    def __init__(self, servers, *, routes=(TALK,), gateways=1, workers=1, layer=None, demo=False, more=None,
                 upstreams=None):
        """`upstreams` are the application's addresses when it is not `carillon worker`. `more` is laid over the settings."""
        self.folder = servers.new_folder()
        sockets = [self.folder / f"gateway-{number}.sock" for number in range(gateways)]
        self.settings = {
            "channel_layers": {"default": layer or {"backend": "memory"}},
            "router": {"gateways": {"upstreams": [f"unix://{path}" for path in sockets]},
                       "workers": {"upstreams": []}},
            "gateway": {"routes": list(routes), "drain_time": "200ms"},
            "workers": {"demo": demo},
            "api": {"keys": ["${CARILLON_API_KEY}"]},
        }
        _lay_over(self.settings, more or {})
        self.path = self.folder / "settings.json"
        self.workers = [self._make(servers, "worker") for _ in range(workers)]
        self.gateways = [self._make(servers, "gateway", "--unix-socket", path) for path in sockets]
        self.router = self._make(servers, "router")
        addresses = list(upstreams or []) + [worker.address for worker in self.workers]
        self.settings["router"]["workers"]["upstreams"] = addresses
        self.path.write_text(json.dumps(self.settings, indent=2))
        for process in [*self.workers, *self.gateways, self.router]:
            process.start()

    def _make(self, servers, part, *flags):
        return servers.make(Carillon, part, None, "--settings", str(self.path), *map(str, flags))

    @property
    def gateway(self):
        return self.gateways[0]

    @property
    def worker(self):
        return self.workers[0]

    @property
    def address(self):
        return self.router.address

    def browser(self, path, **options):
        """A WebSocket through the router."""
        return WebSocket(self.router.websocket_url(path), **options)


def _lay_over(settings, more):
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(settings.get(key), dict):
            _lay_over(settings[key], value)
        else:
            settings[key] = value
