"""A fresh host: a machine of its own as far as its processes can tell, and gone at the end with all that was done to it."""

import ctypes
import http.client
import os
import pathlib
import socket
import subprocess
import threading

import pytest

from processes import Process, descendants
from servers import needed
from shipped import ROOT

# Its files are this machine's with a layer above them that takes all changes; /run and /tmp are as after a start. The
# project is there to read. The last process collects the ends of daemons, as the first process of a host does.
SETUP = """
set -eu
folder=$1 project=$2
mount -t tmpfs tmpfs "$folder/layer"
cd "$folder/layer"
mkdir changes work root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/changes,workdir=$PWD/work" root
mkdir -p "root$project"
mount --bind "$project" "root$project"
mount -o remount,bind,ro "root$project"
mount -t proc proc root/proc
mount --rbind /dev root/dev
mount -t tmpfs tmpfs root/run
mount -t tmpfs tmpfs root/tmp
ip link set lo up
touch "$folder/ready"
exec chroot root bash -c 'while :; do sleep 3600 & wait $!; done'
"""


class Host(Process):
    """Runs commands as root, in a network, a process tree and files of its own."""

    name = "host"

    def __init__(self, folder):
        if os.getuid() != 0:
            pytest.skip("a host of its own takes root")
        folder = pathlib.Path(folder)
        (folder / "layer").mkdir(parents=True)
        self._ready = folder / "ready"
        super().__init__(folder, [
            needed("unshare", "util-linux"), "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
            "--propagation", "private", needed("bash", "bash"), "-c", SETUP, "host", folder, ROOT])

    def is_ready(self):
        return self._ready.exists()

    @property
    def first(self):
        """The first process on the host, by its number here."""
        return descendants(self.pid)[0]

    def run(self, command, *, limit=120):
        """A line of shell in the project's folder; gives back its status and what it printed."""
        done = subprocess.run(
            [needed("nsenter", "util-linux"), "--target", str(self.first), "--mount", "--net", "--pid", "--ipc", "--uts",
             "--root", "--wd", "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
             "HOME=/root", "LANG=C.UTF-8", "bash", "-c", f"cd {ROOT} && {{ {command}\n}}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit)
        return done.returncode, done.stdout

    def do(self, command, **options):
        """A command that must work."""
        status, said = self.run(command, **options)
        assert status == 0, f"{command}\n{said}"
        return said

    def connect(self, port, limit=20):
        """A connection to a port of its loopback: sockets stay in the network of the thread that makes them."""
        made = []

        def make():
            try:
                with open(f"/proc/{self.first}/ns/net") as network:
                    libc = ctypes.CDLL(None, use_errno=True)
                    if libc.setns(network.fileno(), 0x4000_0000) != 0:  # CLONE_NEWNET
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.create_connection(("127.0.0.1", port), timeout=limit))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def ask(self, method, path, *, port=80, body=None, headers=None):
        """A request to its loopback: the response, and its whole body as text."""
        connection = http.client.HTTPConnection("localhost", port)
        connection.sock = self.connect(port)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response, response.read().decode()
        finally:
            connection.close()
