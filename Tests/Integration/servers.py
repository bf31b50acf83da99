"""The real servers the tests run: brokers, nginx, supervisord, gunicorn and the built program.

Each is a `Process` on loopback ports of its own, with its files in a folder of its own.
"""

import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile

from processes import Process, free_port, listens
from sockets import ask

# The program under test; scripts/integration sets it.
PROGRAM = os.environ.get("CARILLON", "")

# The API key of every carillon process, unless its test says otherwise.
KEY = "a-key-for-tests"


def needed(program, package):
    """Where a program is; without it the error names the Debian package."""
    found = shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert found, f"{program} is missing: install the Debian package {package} (make test does)"
    return found


class Redis(Process):
    """redis-server; `url` is how clients reach it."""

    name = "redis"

    def __init__(self, folder, *options):
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        super().__init__(folder, [
            needed("redis-server", "redis-server"), "--port", self.port, "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", folder, *options])

    def is_ready(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            # An answer of any kind: with a password it is -NOAUTH. Only -LOADING means "not yet".
            answer = connection.recv(64)
            return answer[:1] in (b"+", b"-") and not answer.startswith(b"-LOADING")


class PortMapper(Process):
    """Erlang's epmd, in the foreground and on a port of its own."""

    name = "epmd"

    def __init__(self, folder):
        self.port = free_port()
        super().__init__(folder, [needed("epmd", "rabbitmq-server"), "-port", self.port, "-address", "127.0.0.1"])

    def is_ready(self):
        return listens(self.port)


class RabbitMQ(Process):
    """A RabbitMQ node of its own: name, cookie, port mapper, files and ports. `url` is its virtual host "/".

    Takes some seconds to start; share one (the fixture `rabbitmq`) where the test does not stop it.
    """

    name = "rabbitmq"

    def __init__(self, folder, *, plugins=(), configuration=""):
        self.folder = pathlib.Path(folder)
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"
        self.mapper = PortMapper(self.folder / "epmd")
        self._node = f"carillon{self.port}@localhost"
        self.folder.mkdir(parents=True, exist_ok=True)
        # Only root or the user "rabbitmq" may use Debian's wrapper in /usr/sbin; this is what it calls.
        script = "/usr/lib/rabbitmq/bin/rabbitmq-server"
        assert os.path.exists(script), "install the Debian package rabbitmq-server (make test does)"
        (self.folder / "rabbitmq.conf").write_text(configuration)
        (self.folder / "plugins").write_text("[" + ",".join(plugins) + "].\n")
        (self.folder / "env.conf").write_text("")
        super().__init__(folder, [script])

    def environment(self):
        folder = self.folder
        return {
            **super().environment(),
            "ERL_EPMD_PORT": str(self.mapper.port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # Idle schedulers that spin would take the processor from the other tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
        }

    def start(self, *, wait=True):
        self._distribution_port = free_port()
        if not self.mapper.is_running:
            self.mapper.start()
        return super().start(wait=wait)

    def is_ready(self):
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(b"AMQP\0\0\x09\x01")
            return connection.recv(1) == b"\x01"  # a method frame: Connection.Start

    def wait_until_ready(self, limit=90):
        super().wait_until_ready(limit)

    def kill(self):
        super().kill()
        # The next node of this name must find the mapper without the old one.
        if self.mapper.child is not None:
            self.mapper.kill()

    def control(self, *words):
        """rabbitmqctl against this node; gives back what it printed."""
        done = subprocess.run(
            ["/usr/lib/rabbitmq/bin/rabbitmqctl", "--node", self._node, "--quiet", *map(str, words)],
            env=self.environment(), capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, f"rabbitmqctl {words}: {done.stdout}{done.stderr}"
        return done.stdout


class Nginx(Process):
    """nginx with the text of a configuration. `port` is where the test made it listen."""

    name = "nginx"

    def __init__(self, folder, configuration, port):
        self.port = port
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.configuration = folder / "nginx.conf"
        self.configuration.write_text(configuration)
        # As an unprivileged user it could not write to Debian's folders, so its temporary files are ours as well.
        places = "".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = configuration.replace("http {", f"http {{ {places} access_log off;", 1)
        assert text != configuration, "the configuration has no http block"
        if os.getuid() == 0:
            text = f"user {_own_name()};\n" + text
        self.configuration.write_text(text)
        super().__init__(folder, [
            needed("nginx", "nginx"), "-p", folder, "-c", self.configuration, "-e", "stderr", "-g", "daemon off;"])

    def is_ready(self):
        return listens(self.port)


class Supervisord(Process):
    """supervisord with program entries; `control` is its supervisorctl."""

    name = "supervisord"

    def __init__(self, folder, programs, environment=None):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.socket = folder / "control.sock"
        self.configuration = folder / "supervisord.conf"
        self.configuration.write_text(f"""
[supervisord]
nodaemon=true
logfile=/dev/null
logfile_maxbytes=0
pidfile={folder}/supervisord.pid
childlogdir={folder}
{f"user={_own_name()}" if os.getuid() == 0 else ""}

[unix_http_server]
file={self.socket}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{self.socket}

{programs}
""")
        super().__init__(
            folder, [needed("supervisord", "supervisor"), "-c", self.configuration], environment=environment)

    def is_ready(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket))
            return True

    def control(self, *words, limit=60):
        """supervisorctl; gives back its status and what it printed."""
        done = subprocess.run(
            [needed("supervisorctl", "supervisor"), "-c", str(self.configuration), *words],
            env=self.environment(), capture_output=True, text=True, timeout=limit)
        return done.returncode, done.stdout + done.stderr

    def states(self):
        """The state of each process by its full name."""
        lines = self.control("status")[1].splitlines()
        return {line.split()[0]: line.split()[1] for line in lines if len(line.split()) > 1}


class Gunicorn(Process):
    """gunicorn with a WSGI application: "module:name", found in `place`. It listens on TCP, or on the path of a socket."""

    name = "gunicorn"

    def __init__(self, folder, application, place, *options, environment=None, unix_socket=None):
        self.port = free_port()
        self.unix_socket = unix_socket
        bind = f"unix:{unix_socket}" if unix_socket else f"127.0.0.1:{self.port}"
        self.url = f"unix://{unix_socket}" if unix_socket else f"http://127.0.0.1:{self.port}"
        super().__init__(folder, [
            sys.executable, "-m", "gunicorn", "--bind", bind, "--chdir", place, "--worker-tmp-dir", folder,
            *options, application], environment=environment)

    def is_ready(self):
        if self.unix_socket is None:
            return listens(self.port)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.unix_socket))
            return True


class Carillon(Process):
    """A process of the built program, with settings as a dictionary and health on a port of its own."""

    def __init__(self, folder, part, settings=None, *flags, environment=None):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.part = part
        self.port = free_port()
        self.telemetry_port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        command = [program(), part]
        if settings is not None:
            (folder / "settings.json").write_text(json.dumps(settings, indent=2))
            command += ["--settings", folder / "settings.json"]
        # A test that says where to listen is obeyed; then `port` and `address` are not used.
        listens_elsewhere = bool((settings or {}).get(part, {}).get("listen"))
        if not listens_elsewhere and not {"--unix-socket", "--fd", "--port"} & set(flags):
            command += ["--port", self.port]
        command += [*flags, "--set", f"telemetry.listen=http://127.0.0.1:{self.telemetry_port}"]
        # What it makes for itself goes with its folder, also when it is killed.
        own = {"CARILLON_API_KEY": KEY, "XDG_RUNTIME_DIR": str(folder)}
        super().__init__(folder, command, name=part, environment={**own, **(environment or {})})

    def is_ready(self):
        return ask("GET", f"http://127.0.0.1:{self.telemetry_port}/healthz").status == 200

    def metrics(self):
        """All values of /metrics; a name stands with its labels: 'carillon_router_requests_total{status="2xx"}'."""
        text = ask("GET", f"http://127.0.0.1:{self.telemetry_port}/metrics").text
        lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def metric(self, name):
        """One value, or the sum of those with labels under this name; 0 when it was never counted."""
        return sum(value for key, value in self.metrics().items() if key.partition("{")[0] == name or key == name)

    def publish(self, group, data, **more):
        """Publishes over the API of this process, which must be one that serves it; gives back the answer's JSON."""
        answer = ask("POST", f"{self.address}/api/publish", json={"channel": group, "data": data, **more},
                     headers={"X-API-Key": KEY})
        assert answer.status == 200, answer
        return answer.json

    def websocket_url(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"


def program():
    """Where the built program is."""
    assert PROGRAM and os.path.exists(PROGRAM), "CARILLON must name the built program: run scripts/integration"
    return PROGRAM


def run(*words, stdin=None, limit=60, environment=None):
    """Runs the program to its end; gives back what subprocess.run does, with text."""
    clean = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "CARILLON_API_KEY": KEY, **(environment or {})}
    if "LD_LIBRARY_PATH" in os.environ:
        clean["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    how = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
    return subprocess.run(
        [program(), *map(str, words)], env=clean, capture_output=True, text=True, timeout=limit, **how)


# Those that are in use, for the logs that a failure shows.
in_use = []


def logs():
    """Every log file there is now. What servers start themselves, as supervisord does, writes beside theirs."""
    return [path for servers in in_use for path in sorted(servers.folder.glob("*/*.log"))]


class Servers:
    """Starts servers, each in a folder of its own, and stops them all at the end, the last one first."""

    def __init__(self):
        # Short, because the path of a Unix socket has at most 107 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ct-"))
        self._numbers = itertools.count()
        self.running = []
        in_use.append(self)

    def new_folder(self):
        folder = self.folder / str(next(self._numbers))
        folder.mkdir()
        return folder

    def make(self, kind, *arguments, **options):
        """A server that is stopped at the end and is not started yet."""
        server = kind(self.new_folder(), *arguments, **options)
        self.running.append(server)
        return server

    def start(self, kind, *arguments, **options):
        return self.make(kind, *arguments, **options).start()

    def redis(self, *options):
        return self.start(Redis, *options)

    def rabbitmq(self, **options):
        return self.start(RabbitMQ, **options)

    def nginx(self, configuration, port):
        return self.start(Nginx, configuration, port)

    def supervisord(self, programs, environment=None):
        return self.start(Supervisord, programs, environment)

    def gunicorn(self, application, place, *options, **more):
        return self.start(Gunicorn, application, place, *options, **more)

    def carillon(self, part, settings=None, *flags, **options):
        return self.start(Carillon, part, settings, *flags, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Kills what still runs: a test that cares how a server ends stops it itself."""
        for server in reversed(self.running):
            server.kill()
        in_use.remove(self)
        shutil.rmtree(self.folder, ignore_errors=True)


def _own_name():
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name
