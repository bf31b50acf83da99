#!/usr/bin/env python3
"""Reconnect benchmark: a gateway is killed, and all its clients come back at once to the next one.

    Benchmarks/reconnect.py                                  10 000 clients, 5 channels each, 3 rounds
    Benchmarks/reconnect.py --clients 1000 --rounds 1

Each round has a Redis of its own, a worker with the server API, and for each variant a gateway on a core of its own; all else
shares the other core: what the gateway spends is read from its process clock. 10 000 clients connect and subscribe, the
gateway is killed with SIGKILL, 100 messages are published to every channel, a new gateway starts, and all clients come back
from where they were. Every one must get every message once and in order, and then one that is published to all.

The variants differ in who decides: tokens; the application, asked once for each connection and each subscription; the same,
asked in batches. The application is gunicorn with four workers, and counts what it is asked.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import harness
from harness import BenchError, table

SECRET = "a secret that is long enough to be one"
KEY = "a-key-for-benchmarks"
#: The application's server, and what the module needs that starts the broker.
PACKAGES = ["gunicorn==27.0.1", "websockets==17.4"]
VARIANTS = {
    "nothing missed": {"missed": 0},
    "tokens": {},
    "asked one by one": {"proxy": {"batch_size": 1}},
    "asked in batches": {"proxy": {"batch_size": 500, "batch_window": "20ms"}},
}


def settings(redis, address, proxy):
    namespace = {"name": "kept", "history_size": 1_000, "history_ttl": "1h", "force_recovery": True}
    centrifugo = {"namespaces": [namespace], "recovery_max_publication_limit": 1_000}
    if proxy is None:
        centrifugo["token"] = {"keys": [{"algorithm": "HS256", "secret": SECRET}]}
        namespace["allow_subscribe_for_client"] = True
    else:
        namespace["subscribe_proxy_enabled"] = True
        centrifugo["proxy"] = {
            event: {"endpoint": address + ("/batch" if proxy["batch_size"] > 1 else f"/{event}"), "timeout": "30s",
                    "queue": 100_000, "queue_timeout": "120s", "http_headers": ["Cookie"], **proxy}
            for event in ("connect", "subscribe")}
    return {
        "channel_layers": {"default": {"backend": "redis", "config": {"hosts": [redis]}}},
        "gateway": {"centrifugo": centrifugo},
        "api": {"keys": [KEY]},
    }


class Crowd:
    """The clients' process."""

    def __init__(self, core, options):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, harness.HERE / "load/clients.py"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        self.tell(options)

    def tell(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise BenchError("the clients' process ended; its last words are above")
        return json.loads(line)

    def ask(self, **what):
        self.tell(what)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def publish(worker, channels, numbers):
    for number in numbers:
        body = json.dumps({"channels": channels, "data": {"n": number, "text": "x" * 80}}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{worker}/api/broadcast", body, {"X-API-Key": KEY, "Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
            if any("error" in one for one in said["result"]["responses"]):
                raise BenchError(f"a message could not be published: {str(said)[:300]}")


@contextlib.contextmanager
def application(core, folder):
    """gunicorn with four workers; gives its address, and where it counts."""
    port = harness.free_port()
    with harness.running(
            "gunicorn", [harness.VENV / "bin/gunicorn", "--workers", "4", "--bind", f"127.0.0.1:{port}", "--backlog", "2048",
                         "--chdir", harness.HERE / "servers", "decide:application"],
            core, harness.answers(port), {"COUNT": f"{folder}/count", "PYTHONDONTWRITEBYTECODE": "1"}) as process:
        yield f"http://127.0.0.1:{port}", harness.processes_of(process.pid, 5)


def gateway(program, folder, port, **options):
    return harness.running(
        "gateway", [program, "gateway", "--settings", f"{folder}/settings.json", "--port", port], harness.cores()[0],
        harness.answers(port), **options)


def asked(folder):
    """Requests and questions that the application has had."""
    return [os.path.getsize(path) if os.path.exists(path) else 0
            for path in (f"{folder}/count.requests", f"{folder}/count.questions")]


def measure(variant, arguments, servers):
    other_core = harness.cores()[1]
    missed = variant.get("missed", arguments.missed)
    channels = [f"kept:{number}" for number in range(arguments.channels)]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        redis = stack.enter_context(broker(servers, folder, other_core))
        address, workers = stack.enter_context(application(other_core, folder))
        pathlib.Path(folder, "settings.json").write_text(
            json.dumps(settings(redis.url, address, variant.get("proxy"))))
        worker = harness.free_port()
        stack.enter_context(harness.running(
            "worker", [arguments.program, "worker", "--settings", f"{folder}/settings.json", "--port", worker], other_core,
            harness.answers(worker)))
        port = harness.free_port()
        with gateway(arguments.program, folder, port, killed=True) as process:
            crowd = stack.enter_context(Crowd(other_core, {
                "port": port, "clients": arguments.clients, "channels": len(channels), "each": arguments.each,
                "secret": "" if variant.get("proxy") else SECRET}))
            first = crowd.ask(come=True)
            process.kill()
            crowd.ask(gone=True)
        publish(worker, channels, range(1, missed + 1))
        asked_before = asked(folder)
        with gateway(arguments.program, folder, port) as process:
            pids = {"gateway": [process.pid], "redis": [redis.pid], "application": workers}
            before = {name: harness.cpu_seconds(some) for name, some in pids.items()}
            came = crowd.ask(come=True)
            cpu = {name: harness.cpu_seconds(some) - before[name] for name, some in pids.items()}
            requests, questions = (after - was for after, was in zip(asked(folder), asked_before))
            publish(worker, channels, [missed + 1])
            crowd.ask(hear=missed + 1)
    return {"first": first, "came": came, "cpu": cpu, "requests": requests, "questions": questions}


@contextlib.contextmanager
def broker(servers, folder, core):
    redis = servers.Redis(pathlib.Path(folder, "redis"))
    redis.command = ["taskset", "-c", str(core), *redis.command]
    redis.start()
    try:
        yield redis
    finally:
        redis.kill()


def tests_servers():
    """The module with which the tests start a broker."""
    sys.path.insert(0, str(harness.ROOT / "Tests/Integration"))
    import site
    for folder in (harness.VENV / "lib").glob("python3*/site-packages"):
        site.addsitedir(str(folder))
    import servers
    return servers


def report(lines, arguments, before):
    def median(name, pick):
        return statistics.median(pick(line) for line in lines if line["variant"] == name)

    rows = []
    for name in arguments.only:
        rows.append([
            name, f"{median(name, lambda line: line['came']['seconds']):.1f}",
            f"{median(name, lambda line: line['came']['p50']):.1f}",
            f"{median(name, lambda line: line['came']['p99']):.1f}",
            f"{median(name, lambda line: line['cpu']['gateway']) * 1e6 / arguments.clients:.0f}",
            f"{median(name, lambda line: line['cpu']['redis']):.1f}",
            f"{median(name, lambda line: line['came']['load_cpu']):.1f}",
            f"{median(name, lambda line: line['cpu']['application']):.1f}",
            f"{median(name, lambda line: line['requests']):.0f}",
            f"{median(name, lambda line: line['came']['retries']):.0f}"])
    text = [
        f"# {arguments.clients} clients come back, {time.strftime('%d %B %Y').lstrip('0')}", "",
        f"Commit {harness.commit()}. {before}. {arguments.rounds} rounds, medians.", "",
        "To reach: complete and correct; with the event proxy on a gunicorn with four workers at least 50 × fewer requests than one"
        " per subscription.", "",
        f"{arguments.clients} clients × {arguments.each} of {arguments.channels} channels, {arguments.missed} messages missed in each"
        " (in the first line none), over Redis; the gateway was killed and a new one started. Every client got every message once"
        " and in order, and the next one: a run in which that is not so ends with an error.", "",
        table(["who decides", "seconds", "p50 s", "p99 s", "gateway CPU µs a client", "Redis CPU s", "clients' CPU s",
               "application's CPU s", "requests to it", "tries again"], rows), "",
        "p50 and p99 are from a client's dialling to the last of its channels. The gateway has a core of its own; Redis, the"
        " application and the process of the clients share the other one."]
    single, batched = "asked one by one", "asked in batches"
    subscriptions = arguments.clients * arguments.each
    for name in (single, batched):
        if name in arguments.only:
            requests = median(name, lambda line: line["requests"])
            text += ["", f"**{name}**: {subscriptions} subscriptions are {subscriptions / requests:.0f} × the {requests:.0f} requests."]
    return "\n".join(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--channels", type=int, default=500)
    parser.add_argument("--each", type=int, default=5)
    parser.add_argument("--missed", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(VARIANTS))
    parser.add_argument("--carillon", help="another program than the release build")
    arguments = parser.parse_args()
    try:
        arguments.program = harness.carillon_program(arguments.carillon)
        harness.need_packages("redis-server")
        harness.need_venv(PACKAGES)
        harness.need_descriptors(arguments.clients + 2_000)
        servers = tests_servers()
        before = harness.machine()
        lines = []
        for number in range(arguments.rounds):
            for name in arguments.only:
                lines.append({"variant": name, "round": number + 1, **measure(VARIANTS[name], arguments, servers)})
                print(json.dumps(lines[-1]), file=sys.stderr)
    except BenchError as error:
        sys.exit(f"reconnect: {error}")
    text = report(lines, arguments, before)
    print(text)
    harness.keep("reconnect", text, lines)


if __name__ == "__main__":
    main()
