#!/usr/bin/env python3
"""Benchmark of the broker layers: Carillon beside the Python layers, and beside what the broker itself can do.

    Benchmarks/layers.py redis [--quick]
    Benchmarks/layers.py rabbitmq [--quick]

Brokers, gateways and load tools share all cores here: what counts is the ratio of runs that follow each other. Needs
`Benchmarks/layers.py`'s own packages in .venv-bench (made on the first run) and the broker's Debian package.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shlex
import site
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import harness
import peers
from harness import BenchError

PYTHON = harness.VENV / "bin/python"
PEER = harness.HERE / "servers/layer_peer.py"
#: Messages of one run; Python gets fewer, because it would take minutes.
MANY, FEW = 100_000, 3_000


class Ends:
    """A receiver and a sender of one backend, as two programs that say the same."""

    def __init__(self, title, command, messages, window):
        self.title, self.command, self.messages, self.window = title, command, messages, window

    def measure(self, backend, url, group):
        """Messages a second, from the first sending to the last arrival."""
        with started([*self.command, "receive", backend, url, group, self.messages]) as receiver:
            expect(receiver, "ready")
            finished = subprocess.run(
                [*map(str, self.command), "send", backend, url, group, str(self.messages), str(self.window)],
                capture_output=True, text=True, timeout=300)
            if finished.returncode:
                raise BenchError(f"{self.title} cannot send: {finished.stderr.strip()[-500:]}")
            sent, heard = json.loads(finished.stdout), json.loads(line_of(receiver))
        if heard["count"] < self.messages:
            raise BenchError(f"{self.title}: {heard['count']} of {self.messages} messages arrived")
        seconds = (heard["last"] - sent["first"]) / 1e9
        return {"per_second": self.messages / seconds, "window": self.window,
                "send_cpu_us": sent["cpu"] * 1e6 / self.messages, "receive_cpu_us": heard["cpu"] * 1e6 / self.messages}


def carillon_ends(messages):
    return Ends("Carillon", [harness.ROOT / ".build/release/LayerBench"], messages, 1_000)


def python_ends(title, messages, window):
    return Ends(title, [PYTHON, PEER], messages, window)


@contextlib.contextmanager
def started(command):
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def line_of(process):
    line = process.stdout.readline()
    if not line:
        raise BenchError(f"{process.args[0]} ended: {process.stderr.read()[-1000:]}")
    return line


def expect(process, word):
    line = line_of(process).strip()
    if line != word:
        raise BenchError(f"{process.args[0]} said {line!r} instead of {word!r}")


def brokers():
    """The module with which the tests start real brokers, and what it needs of the environment made above."""
    for folder in (harness.VENV / "lib").glob("python3*/site-packages"):
        site.addsitedir(str(folder))
    sys.path.insert(0, str(harness.ROOT / "Tests/Integration"))
    import servers
    return servers


# What the broker itself can do

def script_of_a_send(redis, group, backend="redis", role="send"):
    """The command that one group send of Carillon is, as Redis saw it, with a message that is different each time."""
    with started(["redis-cli", "-p", redis.port, "monitor"]) as monitor:
        expect(monitor, "OK")
        run_quietly([harness.ROOT / ".build/release/LayerBench", role, backend, redis.url, group, 2, 1])
        while True:
            line = line_of(monitor)
            if '"EVALSHA"' in line.upper() and group in line and " lua]" not in line:
                break
    words = [re.sub(r"\\x[0-9a-f]{2}|\\.", "?", word) for word in re.findall(r'"((?:[^"\\]|\\.)*)"', line)]
    longest = max(range(len(words)), key=lambda place: len(words[place]))
    words[longest] = "__rand_int__" + "x" * (len(words[longest]) - 12)
    return words


def redis_benchmark(redis, words, messages, pipeline=1_000):
    output = run_quietly(["redis-benchmark", "-p", redis.port, "-c", 1, "-P", pipeline, "-n", messages, "-r", 1_000_000_000,
                          "--csv", *words])
    return {"per_second": float(output.strip().splitlines()[-1].split('","')[1])}


@contextlib.contextmanager
def listening(redis, topic):
    """A subscriber that throws away what it hears, as cheaply as that can be done."""
    with socket.create_connection(("127.0.0.1", redis.port)) as connection:
        connection.sendall(f"SUBSCRIBE {topic}\r\n".encode())
        connection.recv(4096)
        room = bytearray(1 << 20)

        def drain():
            with contextlib.suppress(OSError):
                while connection.recv_into(room):
                    pass

        thread = threading.Thread(target=drain)
        thread.start()
        try:
            yield
        finally:
            connection.shutdown(socket.SHUT_RDWR)
            thread.join()


def run_quietly(command):
    finished = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    if finished.returncode:
        raise BenchError(f"{shlex.join(map(str, command))[:200]}: {finished.stderr.strip()[-500:]}")
    return finished.stdout


def published(redis, backend, messages):
    """Publications a second of which a history is kept, from the first to the last answer."""
    run = json.loads(run_quietly([harness.ROOT / ".build/release/LayerBench", "publish", backend, redis.url, "kept", messages,
                                  1_000]))
    return {"per_second": messages / ((run["last"] - run["first"]) / 1e9), "cpu_us": run["cpu"] * 1e6 / messages}


def history(redis, backend, messages, rounds):
    """Carillon's publishing with a history, and the same script by redis-benchmark, in turn; the best of each."""
    words = script_of_a_send(redis, "limit", backend, "publish")
    ours, limit = [], []
    for _ in range(rounds):
        ours.append(published(redis, backend, messages))
        limit.append(redis_benchmark(redis, words, messages))
        print(f"{backend} history: {ours[-1]['per_second']:.0f} of {limit[-1]['per_second']:.0f} a second", file=sys.stderr)
    return {"carillon": max(ours, key=lambda run: run["per_second"]),
            "limit": max(limit, key=lambda run: run["per_second"])}


# Browsers

class LayeredGateway(peers.Carillon):
    """The gateway of the other benchmarks, on a layer."""

    def __init__(self, backend, config, arguments):
        super().__init__()
        self.prepare(arguments)
        if backend:
            layers = {"default": {"backend": backend, "config": config}}
            self.environment = {"CARILLON_CHANNEL_LAYERS": json.dumps(layers)}


def latency(gateway, seconds):
    """From a browser's publish through the layer to ten browsers, 20 messages a second: nobody waits for anybody."""
    server_core, load_core = harness.cores()
    with gateway.serve(server_core) as (port, pids):
        options = dict(mode="open", groups=1, members=10, rate=20, window=200, seconds=seconds, warmup=1)
        return harness.load(load_core, port, pids, options)["latency_us"]


def burst(gateway, backend, url, members, messages):
    """Python publishes as fast as it can; every browser must hear every message once and in order."""
    server_core, load_core = harness.cores()
    with gateway.serve(server_core) as (port, pids):
        load = ["taskset", "-c", load_core, harness.BUILD / "load", "--port", port, "--pids", ",".join(map(str, pids)),
                "--mode", "wait", "--members", members, "--messages", messages, "--window", messages, "--stall", 15]
        with started(load) as browsers:
            expect(browsers, "ready")
            sent = json.loads(run_quietly([PYTHON, PEER, "burst", backend, url, "g0", messages]).splitlines()[-1])
            heard = json.loads(line_of(browsers))
    return {"sent_per_second": messages / ((sent["last"] - sent["first"]) / 1e9),
            "missing": members * messages - heard["deliveries"], "seconds": heard["seconds"]}


def idle_cpu(gateway, seconds):
    """Processor time of a gateway with 100 browsers that hear nothing, in percent of one core."""
    server_core, load_core = harness.cores()
    with gateway.serve(server_core) as (port, pids):
        with started(["taskset", "-c", load_core, harness.BUILD / "load", "--port", port, "--pids",
                      ",".join(map(str, pids)), "--mode", "wait", "--members", 100, "--stall", seconds + 5]) as browsers:
            expect(browsers, "ready")
            time.sleep(2)
            before = harness.cpu_seconds(pids)
            time.sleep(seconds)
            return (harness.cpu_seconds(pids) - before) / seconds * 100


# The two brokers

def measure_redis(arguments, folder):
    many, few = (20_000, 2_000) if arguments.quick else (MANY, FEW)
    redis = brokers().Redis(folder).start()
    try:
        results = {}
        for backend, title in (("redis", "core"), ("redis_pubsub", "pub/sub")):
            if arguments.only and backend not in arguments.only:
                continue
            if arguments.history:
                results[backend] = {"history": history(redis, backend, many, arguments.rounds)}
                continue
            results[backend] = speed(backend, title, redis.url, many, few, arguments.rounds)
            words = script_of_a_send(redis, "limit") if backend == "redis" else ["publish", "limit", "__rand_int__" + "x" * 116]
            results[backend]["limit"] = best(lambda: redis_benchmark(redis, words, many), arguments.rounds)
            if backend == "redis_pubsub":
                with listening(redis, "limit"):
                    heard = best(lambda: redis_benchmark(redis, words, many), arguments.rounds)
                results[backend]["heard_limit"] = heard
            results[backend]["history"] = history(redis, backend, many, arguments.rounds)
            config = {"hosts": [redis.url]}
            results[backend].update(browsers(backend, redis.url, config, arguments))
        return results
    finally:
        redis.kill()


def measure_rabbitmq(arguments, folder):
    many, few = (10_000, 2_000) if arguments.quick else (MANY // 2, FEW)
    program = harness.compile_c("amqp_limit", "servers/amqp_limit.c", "-lrabbitmq")
    broker = brokers().RabbitMQ(folder).start()
    try:
        results = speed("rabbitmq", "", broker.url, many, few, arguments.rounds)
        results["limit"] = best(
            lambda: json.loads(run_quietly([program, broker.port, many, 1_000])), arguments.rounds)
        config = {"host": broker.url}
        results.update(browsers("rabbitmq", broker.url, config, arguments))
        results["idle_cpu_percent"] = idle_cpu(LayeredGateway("rabbitmq", config, arguments), 10)
        return {"rabbitmq": results}
    finally:
        broker.kill()


def best(measure, rounds):
    return max((measure() for _ in range(rounds)), key=lambda run: run["per_second"])


def speed(backend, title, url, many, few, rounds):
    """Rounds interleaved; the best of each, because a busy neighbour only ever takes away."""
    ends = {"carillon": carillon_ends(many),
            # As an application's views do it, each send awaited; and the best that a program made for speed can do.
            "python": python_ends(f"channels {title}", few, 1), "python16": python_ends(f"channels {title}", few, 16)}
    runs = {name: [] for name in ends}
    for number in range(rounds):
        for name, pair in ends.items():
            runs[name].append(pair.measure(backend, url, f"{backend}{number}{name}"))
            print(f"{backend} {name}: {runs[name][-1]['per_second']:.0f} messages/s", file=sys.stderr)
    return {name: max(found, key=lambda run: run["per_second"]) for name, found in runs.items()}


def browsers(backend, url, config, arguments):
    seconds = 5 if arguments.quick else 10
    gateway = LayeredGateway(backend, config, arguments)
    memory = LayeredGateway(None, None, arguments)
    pairs = [(latency(memory, seconds), latency(gateway, seconds)) for _ in range(arguments.rounds)]

    def median(part, which):
        return statistics.median(pair[which][part] for pair in pairs)

    results = {"latency_us": {part: {"memory": median(part, 0), "layer": median(part, 1)} for part in ("p50", "p99")}}
    print(f"{backend} latency: {results['latency_us']}", file=sys.stderr)
    results["burst"] = burst(gateway, backend, url, 1_000, 10_000)
    print(f"{backend} burst: {results['burst']}", file=sys.stderr)
    return results


# Tables

#: Per backend: times the Python layer's speed, share of the broker's own, milliseconds more than memory at p50 and p99.
GOALS = {"redis": (20, 0.7, 1, 5), "redis_pubsub": (10, 0.7, 1, 5), "rabbitmq": (10, 0.7, 2, 10)}
TITLES = {"redis": "Redis core", "redis_pubsub": "Redis pub/sub", "rabbitmq": "RabbitMQ"}


def rows(backend, found):
    if "history" in found:
        ours, limit = (found["history"][name]["per_second"] for name in ("carillon", "limit"))
        yield [f"{TITLES[backend]}: publications with a history ({ours:.0f} a second), pipelined, against redis-benchmark with "
               f"the same script ({limit:.0f})", f"{ours / limit:.2f}×", "at least 0.7×", "yes" if ours >= 0.7 * limit else "**no**"]
    if "carillon" not in found:
        return
    times, share, p50, p99 = GOALS[backend]
    ours, theirs, together, limit = (
        found[name]["per_second"] for name in ("carillon", "python", "python16", "limit"))
    extra = {part: (values["layer"] - values["memory"]) / 1000 for part, values in found["latency_us"].items()}
    title, heard = TITLES[backend], found.get("heard_limit", {}).get("per_second")
    lines = [
        (f"{title}: group sends end to end, against Python awaiting each ({ours:.0f} to {theirs:.0f} a second)",
         ours / theirs, "×", times, False),
        (f"{title}: the same against Python sending 16 at a time ({together:.0f} a second)", ours / together, "×", times,
         False),
        (f"{title}: the same against the broker's own limit ({limit:.0f} a second)", ours / limit, "×", share, False),
        *([(f"{title}: the same against that with one who hears it ({heard:.0f} a second)", ours / heard, "×", None, False)]
          if heard else []),
        (f"{title}: publish to browser, p50 above the memory layer", extra["p50"], " ms", p50, True),
        (f"{title}: publish to browser, p99 above the memory layer", extra["p99"], " ms", p99, True),
        (f"{title}: deliveries missing of a burst of 10 000 by Python to 1 000 browsers "
         f"({found['burst']['sent_per_second']:.0f} sent a second)", found["burst"]["missing"], "", 0, True),
    ]
    if "idle_cpu_percent" in found:
        lines.append((f"{title}: CPU of an idle gateway", found["idle_cpu_percent"], " % of a core", 0.5, True))
    for what, value, unit, goal, is_most in lines:
        if goal is None:
            yield [what, f"{value:.2f}{unit}", "", ""]
            continue
        reached = value <= goal if is_most else value >= goal
        yield [what, f"{value:.2f}{unit}", f"at {'most' if is_most else 'least'} {goal:g}{unit}",
               "yes" if reached else "**no**"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("broker", choices=["redis", "rabbitmq"])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--only", help="of redis: redis or redis_pubsub alone", type=lambda text: text.split(","))
    parser.add_argument("--history", action="store_true", help="of redis: publishing with a history alone")
    parser.add_argument("--rounds", type=int, help="how often each is repeated (2)")
    parser.add_argument("--carillon", help="the program to measure (.build/release/carillon)")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 2)
    # Of the tests' servers: which processes are this run's.
    os.environ.setdefault("CARILLON", str(harness.carillon_program(arguments.carillon)))
    try:
        harness.need_descriptors(12000)
        harness.need_packages("cc:gcc", "redis-server" if arguments.broker == "redis" else "rabbitmq-server")
        harness.need_venv(harness.LAYER_PACKAGES)
        harness.compile_c("load", "load/load.c")
        harness.layer_bench()
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            pathlib.Path(folder).chmod(0o755)
            measure = measure_redis if arguments.broker == "redis" else measure_rabbitmq
            results = measure(arguments, pathlib.Path(folder))
    except BenchError as error:
        sys.exit(f"bench: {error}")
    about = f"{time.strftime('%Y-%m-%d')}, commit {harness.commit()}. {harness.machine()}."
    head = ["what", "measured", "wanted", "reached"]
    text = f"{about}\n\n" + harness.table(head, [row for name, found in results.items() for row in rows(name, found)])
    print(text)
    harness.keep(f"layers-{arguments.broker}" + ("-history" if arguments.history else ""), text, {"about": about, "results": results})


if __name__ == "__main__":
    main()
