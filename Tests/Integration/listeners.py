"""Thousands of browsers that check every message: the load tool of the benchmarks, told to publish nothing.

One thread of C, because a delivery must cost less here than in the server: with tens of millions of them nothing else
would do. A message is known by the number in it; one that is lost, doubled, changed or out of order ends the tool with
an error that says which.
"""

import json
import pathlib
import subprocess

from processes import Process
from servers import needed

SOURCE = pathlib.Path(__file__).parents[2] / "Benchmarks/load/load.c"

# Seconds without any delivery until the tool gives up.
SILENCE = 60


def compiled(folder):
    """The load tool, compiled into a folder."""
    program = folder / "load"
    command = [needed("cc", "gcc"), "-std=gnu11", "-O2", "-o", program, SOURCE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return program


class Listeners(Process):
    """`sockets` WebSockets at `path` of a port, connected when it has started, each of which is to hear `messages`."""

    name = "listeners"

    def __init__(self, folder, program, port, path, sockets, messages):
        self._wanted = sockets * messages
        # Nobody waits here for a window of messages; it is only how far one socket may be ahead of another.
        super().__init__(folder, [
            program, "--mode", "wait", "--port", port, "--subscribe", path, "--members", sockets, "--messages", messages,
            "--window", messages, "--stall", SILENCE])

    def is_ready(self):
        return "ready" in self.log_text().splitlines()

    def all_heard(self, limit):
        """Waits until each has heard all. Gives back what the tool has counted."""
        status = self.wait(limit)
        assert status == 0, self.log_tail()
        counted = json.loads(self.log_text().splitlines()[-1])
        assert counted["deliveries"] == self._wanted, f"{self._wanted - counted['deliveries']} deliveries are missing"
        return counted
