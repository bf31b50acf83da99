"""Child processes of the tests: started, waited for, frozen, killed, and surely gone at the end."""

import contextlib
import ctypes
import os
import pathlib
import random
import signal
import socket
import subprocess
import uuid

from waiting import LIMIT, TookTooLong, wait_for

# In the environment of every child, so that also one that left its process group is found at the end.
MARK = f"CARILLON_TEST_RUN={uuid.uuid4()}"


class Process:
    """A program with its output in a log file. It can be started again after its end, on the same files and ports.

    Subclasses say what to start (`command`) and when it works (`is_ready`).
    """

    name = "process"

    def __init__(self, folder, command, *, environment=None, is_ready=None, name=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name or self.name
        self.command = [str(word) for word in command]
        self.log = self.folder / f"{self.name}.log"
        self.child = None
        self._extra = environment or {}
        if is_ready is not None:
            self.is_ready = is_ready

    # What subclasses change

    def is_ready(self):
        """Whether it does its work by now. An OSError counts as no."""
        return True

    def environment(self):
        """Nothing of the person's or machine's own settings but what programs are found with."""
        return {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            **({"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]} if "LD_LIBRARY_PATH" in os.environ else {}),
            **dict([MARK.split("=")]),
            **self._extra,
        }

    # Life

    @property
    def pid(self):
        return self.child.pid

    @property
    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def start(self, *, wait=True):
        """Starts it and waits until it works."""
        assert not self.is_running, f"{self.name} runs already"
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(
                self.command, cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True)
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, limit=LIMIT):
        def works():
            if not self.is_running:
                raise AssertionError(f"{self.name} ended with {self.child.returncode}:\n{self.log_tail()}")
            return self.is_ready()

        try:
            wait_for(works, f"{self.name} is ready", limit=limit)
        except TookTooLong as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    def send(self, number):
        """Sends a signal to the process alone."""
        os.kill(self.child.pid, number)

    def stop(self, number=signal.SIGTERM, limit=LIMIT):
        """Asks it to end, and gives back its status; what it left of its group is killed."""
        if self.is_running:
            self.send(signal.SIGCONT)
            self.send(number)
        status = self.wait(limit)
        self._kill_group()
        return status

    def wait(self, limit=LIMIT):
        """Its status, once it has ended."""
        try:
            return self.child.wait(limit)
        except subprocess.TimeoutExpired:
            self._kill_group()
            raise AssertionError(f"{self.name} did not end within {limit:g} s:\n{self.log_tail()}") from None

    def kill(self):
        """kill -9, children included, also those in groups of their own."""
        if self.child is not None:
            family = descendants(self.child.pid)
            self._kill_group()
            for pid in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.child.wait()
            # Its children die by themselves, each when it has its turn.
            wait_for(lambda: not any(map(lives, family)), f"the children of {self.name} are dead")

    def restart(self):
        self.stop()
        return self.start()

    def freeze(self):
        """It keeps its sockets and does nothing, as a machine that swaps or a broker behind a dead link."""
        os.killpg(self.child.pid, signal.SIGSTOP)
        # kill(2) comes back when one thread was told; until that one has its turn, the others go on and may answer.
        wait_for(lambda: not runs(self.child.pid), f"every thread of {self.name} stands still")

    def thaw(self):
        os.killpg(self.child.pid, signal.SIGCONT)

    def _kill_group(self):
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    # What it said and what it costs

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines=40):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def memory(self):
        """Bytes of real memory, shared pages counted in part (proportional set size)."""
        with open(f"/proc/{self.pid}/smaps_rollup") as rollup:
            return next(int(line.split()[1]) * 1024 for line in rollup if line.startswith("Pss:"))

    def descriptors(self):
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def descendants(pid):
    """The processes that a process has started, and those that they have."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = pathlib.Path("/proc", entry, "stat").read_text()
                children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def lives(pid):
    """Whether there is such a process, and it is not dead already."""
    try:
        return pathlib.Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def runs(group):
    """Whether a thread of a process group is neither stopped nor dead."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state not in "TtZX":
                return True
    return False


def adopt_orphans():
    """Makes this process the parent of whatever loses its own, so that it can be waited for."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER


def kill_leftovers():
    """Ends whatever a child of this run left behind, also what called itself a daemon. Gives back what that was."""
    mark = MARK.encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as environ:
                if mark not in environ.read().split(b"\0"):
                    continue
            with open(f"/proc/{entry}/cmdline", "rb") as line:
                found.append(line.read().replace(b"\0", b" ").decode(errors="replace").strip())
            os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    return [name for name in found if name]


_given_ports = set()


def free_port():
    """A loopback port nobody listens on, and that the system gives to no outgoing connection."""
    return _free_ports(lambda: [random.randrange(20_000, 32_000)])[0]


def four_ports():
    """The first four digits of such ports that end with 0 to 3."""
    return str(_free_ports(lambda: [10 * random.randrange(2_000, 3_200) + last for last in range(4)])[0])[:4]


def _free_ports(some):
    for _ in range(1_000):
        ports = some()
        if _given_ports.isdisjoint(ports) and all(map(_is_free, ports)):
            _given_ports.update(ports)
            return ports
    raise AssertionError("no free port on the loopback")


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def listens(port):
    """Whether somebody takes connections on a loopback port."""
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
