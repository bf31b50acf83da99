"""What the benchmark scripts share: the machine, packages, C tools, and servers that are started and stopped.

Every failure is a `BenchError`, whose text says what is missing and what to do about it.
"""

import argparse
import contextlib
import functools
import json
import os
import pathlib
import platform
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
BUILD = HERE / ".build"
VENV = ROOT / ".venv-bench"
VENV_PACKAGES = ["channels==4.3.2", "daphne==4.2.3"]
LAYER_PACKAGES = ["channels==4.3.2", "channels_redis==4.3.0", "channels_rabbitmq==4.0.1", "websockets==17.4"]
START_SECONDS = 30


class BenchError(Exception):
    pass


# The machine

def cores():
    """The core of the server and the core of the load tool."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise BenchError("the server and the load tool need a core each; this process may use only one")
    return allowed[0], allowed[1]


def need_descriptors(count):
    """Raises the limit of open files for this process and all it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
            return
        except (ValueError, PermissionError):
            raise BenchError(
                f"the runs need {count} open files in one process, and the hard limit is {hard}; "
                f"raise it (`ulimit -Hn {count}` as root, or /etc/security/limits.conf)") from None
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def machine():
    """One line on what it was measured on."""
    model = "unknown CPU"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    load = os.getloadavg()[0]
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, load average before {load:.1f}"


# What has to be there

def need_packages(*names):
    """Installs the Debian packages that are missing; names as scripts/need-packages has them."""
    if names and subprocess.run([ROOT / "scripts/need-packages", *names], stdout=sys.stderr).returncode:
        raise BenchError("without these packages there is nothing to measure")


def need_venv(packages=tuple(VENV_PACKAGES)):
    """Pinned Python packages of a peer, in an environment of its own, which remembers what it has."""
    note = VENV / "installed"
    there = note.read_text().split() if note.exists() else []
    missing = [package for package in packages if package not in there]
    if not missing:
        return
    print(f"installing {' '.join(missing)} into {VENV.name}", file=sys.stderr)
    commands = [["/usr/bin/python3", "-m", "venv", VENV], [VENV / "bin/pip", "install", "-q", *missing]]
    for command in commands:
        if subprocess.run(command, stdout=sys.stderr).returncode:
            raise BenchError(f"could not make the Python environment {VENV}")
    note.write_text(" ".join([*there, *missing]) + "\n")


def compile_c(name, source, *libraries):
    """Compiles one C file when it or a header beside it is newer than the program."""
    BUILD.mkdir(exist_ok=True)
    program, source = BUILD / name, HERE / source
    inputs = [source, *source.parent.glob("*.h")]
    if program.exists() and program.stat().st_mtime > max(file.stat().st_mtime for file in inputs):
        return program
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise BenchError("no C compiler is there; install the Debian package gcc")
    command = [compiler, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, source, *libraries]
    if subprocess.run(command).returncode:
        raise BenchError(f"{source.name} does not compile")
    return program


def carillon_program(given=None):
    """The release build of Carillon."""
    program = pathlib.Path(given) if given else ROOT / ".build/release/carillon"
    if not program.exists():
        raise BenchError(f"{program} is not there; `make build` makes it")
    return program


def hello_program():
    """The application of examples/hello; built as `make build` builds, and never otherwise."""
    return release_product("Hello")


def layer_bench():
    """The program that sends and receives over a layer; built as `make build` builds, and never otherwise."""
    return release_product("LayerBench")


@functools.cache
def release_product(name):
    command = ["swift", "build", "-c", "release", "-Xswiftc", "-enforce-exclusivity=unchecked", "--static-swift-stdlib",
               "--product", name, "--quiet"]
    if subprocess.run(command, cwd=ROOT, env={**os.environ, "CARILLON_BENCHMARKS": "1"}, stdout=sys.stderr).returncode:
        raise BenchError(f"{name} does not build")
    return ROOT / ".build/release" / name


# Scripts whose runs are repeated in rounds

def flags(description):
    """Those that each of them has; the script may add more. To be read by `read`."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of short runs")
    parser.add_argument("--rounds", type=int, help="how often everything is repeated (3)")
    parser.add_argument("--seconds", type=float, default=4, help="length of a run (4)")
    parser.add_argument("--carillon", help="the program to measure (.build/release/carillon)")
    return parser


def read(parser):
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 3)
    return arguments


def durations(arguments):
    """The load tool's, in seconds."""
    return {"seconds": 2, "warmup": 0.5} if arguments.quick else {"seconds": arguments.seconds, "warmup": 1}


def need_load_tool():
    need_descriptors(12000)
    need_packages("cc:gcc")
    compile_c("load", "load/load.c")


def about(rounds):
    """What was measured and on what, for the head of the report."""
    return f"{time.strftime('%Y-%m-%d')}, commit {commit()}, {rounds} rounds, medians. {machine()}."


def finish(name, text, about, lines):
    """Prints and keeps the report. Ends with a failure when a run had one: its line has the key `error`."""
    print(text)
    keep(name, text, {"about": about, "runs": lines})
    failures = sum("error" in line for line in lines)
    if failures:
        sys.exit(f"bench: {failures} of {len(lines)} runs failed; each is told above")


# Results

def commit():
    found = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, cwd=ROOT)
    return found.stdout.strip() or "unknown"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def keep(name, text, data):
    """Writes what a person reads to a dated file, which is committed, and every single run beside it, which is not."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{time.strftime('%Y-%m-%d')}-{name}.md").write_text(text.rstrip() + "\n")
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")


# Servers

def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children_of(pid):
    listed = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed]


def processes_of(pid, least=1):
    """A process and all that it started, once there are so many."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        found = [pid, *(found for child in children_of(pid) for found in processes_of(child))]
        if len(found) >= least:
            return found
        if time.monotonic() > deadline:
            raise BenchError(f"process {pid} has {len(found)} of the {least} processes that it is made of")
        time.sleep(0.02)


def cpu_seconds(pids):
    """User and system time of processes, over all their threads, those that have ended too."""
    # The clock of another process, as clock_getcpuclockid(3) makes it.
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def proportional_set_size(pids):
    """In KiB."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def wait_until(check, what, log, process):
    """Asks again and again, because a server that starts has no other way to tell every kind of caller."""
    deadline = time.monotonic() + START_SECONDS
    while not check():
        if process.poll() is not None or time.monotonic() > deadline:
            end = pathlib.Path(log).read_text(errors="replace")[-2000:]
            raise BenchError(f"{what} did not start (exit status {process.poll()}). Its last words:\n{end}")
        time.sleep(0.05)


def answers(port):
    def check():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False
    return check


@contextlib.contextmanager
def running(name, command, core, ready, environment=None, directory=None, inherited=(), killed=False):
    """A process on a core of its own, from its start until the block ends, or kills it. Gives its Popen object."""
    with tempfile.NamedTemporaryFile(prefix=f"bench-{name}-", suffix=".log") as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *map(str, command)], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            cwd=directory, env={**os.environ, **(environment or {})}, start_new_session=True, pass_fds=inherited)
        try:
            wait_until(ready, name, log.name, process)
            yield process
            if process.poll() is not None and not killed:
                end = pathlib.Path(log.name).read_text(errors="replace")[-2000:]
                raise BenchError(f"{name} ended during the run (exit status {process.returncode}):\n{end}")
        finally:
            stop(process)


def stop(process):
    """All of the session it leads. Numbers are taken by then, so nobody waits for a drain."""
    for number, seconds in ((signal.SIGTERM, 2), (signal.SIGKILL, 10)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def fill_in(template, target, **values):
    """Writes a configuration file with every @NAME@ replaced."""
    text = pathlib.Path(template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    pathlib.Path(target).write_text(text)
    return target


def load(core, port, pids, options):
    """Runs the load tool and gives its line of results."""
    arguments = ["--port", port, "--pids", ",".join(map(str, pids))]
    for name, value in options.items():
        arguments += [f"--{name}", value]
    finished = subprocess.run(
        ["taskset", "-c", str(core), BUILD / "load", *map(str, arguments)], capture_output=True, text=True)
    if finished.returncode:
        raise BenchError(finished.stderr.strip() or f"the load tool ended with status {finished.returncode}")
    return json.loads(finished.stdout)
