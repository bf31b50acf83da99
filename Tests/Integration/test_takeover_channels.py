"""Browsers that chose their channels stay connected, too, while their gateway is restarted."""

import pytest

from followers import Followers
from servers import KEY
from sockets import ask
from test_channel_faults import CENTRIFUGO, Publisher
from test_takeover import broker, made
from waiting import wait_for

CLIENTS, CHANNELS = 120, 20
FEED = {**CENTRIFUGO["namespaces"][0], "presence": True, "join_leave": True}


@pytest.mark.parametrize("which", ["redis", "rabbitmq"])
def test_a_restart_disconnects_nobody_and_loses_nothing(servers, request, unique, which):
    # A busy machine may take long to start a process.
    site = made(servers, broker(request, which, unique), centrifugo={**CENTRIFUGO, "namespaces": [FEED]}, takeover_wait="60s")
    prefix = f"feed:{unique}-"

    def clients():
        answers = [ask("POST", f"{site.worker.address}/api/presence_stats", json={"channel": f"{prefix}{number}"},
                       headers={"X-API-Key": KEY}) for number in range(5)]
        return [answer.json["result"]["num_clients"] for answer in answers]

    with Followers([site.router.port], CLIENTS, CHANNELS, prefix) as followers:
        assert followers.ask("open")["open"] == CLIENTS
        with Publisher(site.worker.port, prefix, CHANNELS, rounds_a_second=20) as publisher:
            publisher.go_on(10)
            for _ in range(2):
                # As supervisord does: to a bridge, and from it to the new process.
                site.gateway.restart()
                publisher.go_on(10)
            last = publisher.end()
        assert followers.ask("until", last)["there"] == CLIENTS, followers.ask("report")
        report = followers.ask("report")
        # Not one came back, or was told anything but what was published, once.
        assert (report["faults"], report["ends"], report["recovered"], report["told"]) == ([], {}, 0, 0), report
        assert site.gateway.metric("carillon_gateway_taken_over_total") == CLIENTS
        assert clients() == [CLIENTS // CHANNELS] * 5
    # Who leaves the new process is gone at once, whatever the old one had said.
    wait_for(lambda: clients() == [0] * 5, "nobody is there")
