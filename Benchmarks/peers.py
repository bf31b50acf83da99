"""The servers that are measured: how each is started, and what it is asked to do less of because it is slower."""

import contextlib
import dataclasses
import pathlib
import tempfile

import harness


@dataclasses.dataclass
class Peer:
    title: str
    #: Debian packages it is made of.
    packages: tuple = ()
    #: Per scenario: options of the load tool that replace the usual ones; None leaves the scenario out.
    instead: dict = dataclasses.field(default_factory=dict)
    #: How many processes are the server, at least; some are started after the port is open.
    processes: int = 1

    def prepare(self, arguments):
        harness.need_packages(*self.packages)

    def command(self, port, directory):
        """The program and its arguments, as a list. `directory` is empty and goes away afterwards."""
        raise NotImplementedError

    environment = None

    @contextlib.contextmanager
    def serve(self, core):
        """Gives the port and the processes that together are the server."""
        port = harness.free_port()
        with tempfile.TemporaryDirectory(prefix="bench-") as directory:
            pathlib.Path(directory).chmod(0o755)  # a worker of nginx runs as another user
            command = self.command(port, directory)
            with harness.running(self.title, command, core, harness.answers(port), self.environment) as process:
                yield port, harness.processes_of(process.pid, self.processes)


class Epoll(Peer):
    def __init__(self, mode):
        super().__init__(title=mode, packages=("cc:gcc",))
        self.mode = mode

    def prepare(self, arguments):
        super().prepare(arguments)
        self.program = harness.compile_c("epoll_server", "servers/epoll_server.c")

    def command(self, port, directory):
        return [self.program, self.mode, port]


class Carillon(Peer):
    def __init__(self):
        super().__init__(title="Carillon")

    def prepare(self, arguments):
        self.program = harness.carillon_program(arguments.carillon)

    def command(self, port, directory):
        return [self.program, "gateway", "--settings", harness.HERE / "carillon.json", "--port", port]


class Nchan(Peer):
    def __init__(self):
        super().__init__(title="nchan", packages=("nginx", "libnginx-mod-nchan"), processes=2)

    def command(self, port, directory):
        configuration = f"{directory}/nginx.conf"
        harness.fill_in(harness.HERE / "servers/nchan.conf", configuration, PORT=port, DIRECTORY=directory)
        return ["/usr/sbin/nginx", "-e", f"{directory}/error.log", "-c", configuration]


class Node(Peer):
    environment = {"NODE_PATH": "/usr/share/nodejs"}

    def __init__(self):
        super().__init__(title="node ws", packages=("node:nodejs", "node-ws"))

    def command(self, port, directory):
        return ["/usr/bin/node", harness.HERE / "servers/node_ws.js", port]


class Daphne(Peer):
    """Two orders of magnitude slower than the others: fewer messages, smaller numbers, the same measure."""

    def __init__(self):
        instead = {
            "one-1k": {"window": 2, "seconds": 8},
            "burst-1k": None,
            "one-10k": None,
            "many": {"groups": 100, "seconds": 5},
            "latency": None,
            "latency-many": None,
            "idle": {"members": 1000, "warm": 20},
        }
        super().__init__(title="Daphne", packages=("python3-venv",), instead=instead)

    def prepare(self, arguments):
        super().prepare(arguments)
        harness.need_venv()

    @property
    def environment(self):
        return {"PYTHONPATH": str(harness.HERE / "servers")}

    def command(self, port, directory):
        daphne = harness.VENV / "bin/daphne"
        return [daphne, "-b", "127.0.0.1", "-p", port, "--verbosity", "0", "daphne_app:application"]


ALL = {
    "carillon": Carillon(), "plain": Epoll("plain"), "batch": Epoll("batch"), "nchan": Nchan(), "node": Node(),
    "daphne": Daphne(),
}
