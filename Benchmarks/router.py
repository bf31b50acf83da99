#!/usr/bin/env python3
"""Router benchmark: what a proxied request costs beside nginx and haproxy, and what a handed-off connection costs the
router; and what a request costs a worker pool beside gunicorn.

    Benchmarks/router.py [--quick] [--only proxy,bodies,latency,workers,handoff]

The proxy is alone on one core; load tool and upstream share the other, so requests a second are a lower bound and CPU per
request is the number to look at. All proxies take turns in each round; ratios are medians of the rounds' own.

proxy    wrk → proxy → nginx that answers at once, 64 kept-alive connections
bodies   100 KiB and 100 MiB to the upstream and back (body_server.c): throughput, and what the proxy's memory grew to
latency  half as many requests a second as nginx could pass on, at even intervals: what the proxy adds to p50 and p99
workers  a trivial application: two processes of examples/hello, and two workers of gunicorn, sync and gthread
handoff  WebSocket connections come in at the router and end up in a gateway; only the router is measured
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile

import harness
import run
from harness import BenchError

NGINX = "/usr/sbin/nginx"
HAPROXY = "/usr/sbin/haproxy"
BODIES = {"12 bytes": "/", "64 KiB": "/large"}


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        pathlib.Path(directory).chmod(0o755)  # a worker of nginx runs as another user
        yield directory


@contextlib.contextmanager
def nginx(template, core, **values):
    """Gives the port and the processes."""
    with folder() as directory:
        pathlib.Path(directory, "large").write_bytes(os.urandom(65536))
        port = harness.free_port()
        configuration = harness.fill_in(
            harness.HERE / "servers" / template, f"{directory}/nginx.conf", PORT=port, DIRECTORY=directory, **values)
        command = [NGINX, "-e", f"{directory}/error.log", "-c", configuration]
        with harness.running("nginx", command, core, harness.answers(port)) as process:
            yield port, harness.processes_of(process.pid)


@contextlib.contextmanager
def carillon_router(program, core, upstream, directory):
    port = harness.free_port()
    settings = harness.fill_in(
        harness.HERE / "servers/router.json", f"{directory}/router.json", PORT=port, UPSTREAM=upstream,
        DIRECTORY=directory)
    command = [program, "router", "--settings", settings]
    with harness.running("carillon router", command, core, harness.answers(port)) as process:
        yield port, harness.processes_of(process.pid)


@contextlib.contextmanager
def carillon_gateway(program, core, directory):
    socket = pathlib.Path(directory, "gateway.sock")
    command = [program, "gateway", "--settings", harness.HERE / "carillon.json", "--unix-socket", socket]
    with harness.running("carillon gateway", command, core, socket.exists) as process:
        yield process


@contextlib.contextmanager
def haproxy(core, upstream):
    with folder() as directory:
        port = harness.free_port()
        configuration = harness.fill_in(
            harness.HERE / "servers/haproxy.cfg", f"{directory}/haproxy.cfg", PORT=port, UPSTREAM=upstream)
        with harness.running("haproxy", [HAPROXY, "-db", "-f", configuration], core, harness.answers(port)) as process:
            yield port, harness.processes_of(process.pid)


@contextlib.contextmanager
def body_server(core):
    port = harness.free_port()
    with harness.running("body_server", [harness.BUILD / "body_server", port], core, harness.answers(port)):
        yield port


def proxies(program, core, upstream, directory):
    return {"Carillon": lambda: carillon_router(program, core, upstream, directory),
            "nginx": lambda: nginx("proxy.conf", core, UPSTREAM=upstream),
            "haproxy": lambda: haproxy(core, upstream)}


def told(number, name, what, text):
    print(f"round {number + 1}  {name:<10}{what:<22}{text}", file=sys.stderr)


def median(lines, key, **wanted):
    return statistics.median(
        line[key] for line in lines if all(line[name] == value for name, value in wanted.items()))


def ratio(lines, key, name, beside, **wanted):
    """The median of the ratios of each round."""
    def of(who):
        return [line[key] for line in lines
                if line["name"] == who and all(line[each] == value for each, value in wanted.items())]

    return statistics.median(ours / theirs for ours, theirs in zip(of(name), of(beside)))


# Proxying

def wrk(core, port, path, connections, seconds, script=None):
    """Requests in all, and seconds."""
    words = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    words += ["-s", str(script)] if script else []
    finished = subprocess.run([*words, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True)
    counted = re.search(r"(\d+) requests in ([\d.]+)(m?)s", finished.stdout)
    if finished.returncode or not counted:
        raise BenchError(f"wrk failed: {finished.stderr or finished.stdout}")
    faults = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", finished.stdout)
    if faults:
        raise BenchError(f"the server did not answer every request: {faults.group()}")
    return int(counted.group(1)), float(counted.group(2)) * (60 if counted.group(3) else 1)


def costs(core, port, pids, path, connections, seconds):
    wrk(core, port, path, connections, 1)
    before = harness.cpu_seconds(pids)
    requests, elapsed = wrk(core, port, path, connections, seconds)
    cpu = harness.cpu_seconds(pids) - before
    return {"requests_per_second": requests / elapsed, "cpu_us": cpu * 1e6 / requests,
            "requests_per_cpu_second": requests / cpu}


def proxy_runs(program, rounds, seconds):
    proxy_core, other_core = harness.cores()
    lines = []
    with nginx("upstream.conf", other_core) as (upstream, _), folder() as directory:
        for number in range(rounds):
            for body, path in BODIES.items():
                for name, start in proxies(program, proxy_core, upstream, directory).items():
                    with start() as (port, pids):
                        line = costs(other_core, port, pids, path, 64, seconds)
                    lines.append({"round": number + 1, "name": name, "body": body, **line})
                    told(number, name, body, f"{line['cpu_us']:.1f} CPU µs, {line['requests_per_second']:.0f} requests/s")
    return lines


def proxy_table(lines):
    rows = []
    for body in BODIES:
        for name in ("Carillon", "nginx", "haproxy"):
            rows.append([f"{name}, {body}", run.written(median(lines, "cpu_us", name=name, body=body)),
                         run.written(ratio(lines, "cpu_us", name, "nginx", body=body)) + "×",
                         run.written(median(lines, "requests_per_second", name=name, body=body))])
    return harness.table(["proxy, body", "CPU µs per request", "against nginx", "requests/s"], rows)


# Bodies

SIZES = {"100 KiB": (102_400, 16), "100 MiB": (104_857_600, 2)}


def peak_kib(pids):
    """The most memory the processes ever had."""
    text = "".join(pathlib.Path(f"/proc/{pid}/status").read_text() for pid in pids)
    return sum(int(number) for number in re.findall(r"VmHWM:\s+(\d+)", text))


def body_runs(program, rounds, seconds):
    proxy_core, other_core = harness.cores()
    lines = []
    with body_server(other_core) as upstream, folder() as directory:
        for number in range(rounds):
            for size, (count, connections) in SIZES.items():
                script = pathlib.Path(directory, "upload.lua")
                script.write_text(f'wrk.method = "POST"\nwrk.body = string.rep("x", {count})\n')
                for way, path, with_script in (("down", f"/bytes/{count}", None), ("up", "/bytes/12", script)):
                    for name, start in proxies(program, proxy_core, upstream, directory).items():
                        with start() as (port, pids):
                            wrk(other_core, port, "/bytes/102400", connections, 1)
                            memory, before = peak_kib(pids), harness.cpu_seconds(pids)
                            requests, elapsed = wrk(other_core, port, path, connections, seconds, with_script)
                            if not requests:
                                raise BenchError(f"{name} passed on no body of {size} in {seconds} s")
                            line = {"mib_per_second": requests * count / elapsed / 2**20,
                                    "cpu_ms_per_mib": (harness.cpu_seconds(pids) - before) * 1e3
                                    / (requests * count / 2**20),
                                    "grown_kib": peak_kib(pids) - memory}
                        lines.append({"round": number + 1, "name": name, "size": size, "way": way, **line})
                        told(number, name, f"{size} {way}", f"{line['mib_per_second']:.0f} MiB/s, "
                             f"{line['cpu_ms_per_mib']:.2f} CPU ms a MiB, {line['grown_kib']} KiB more memory")
    return lines


def body_table(lines):
    rows = []
    for size in SIZES:
        for way in ("down", "up"):
            for name in ("Carillon", "nginx", "haproxy"):
                this = {"name": name, "size": size, "way": way}
                rows.append([f"{name}, {size} {way}", run.written(median(lines, "mib_per_second", **this)),
                             run.written(ratio(lines, "mib_per_second", name, "nginx", size=size, way=way)) + "×",
                             run.written(median(lines, "cpu_ms_per_mib", **this)),
                             run.written(median(lines, "grown_kib", **this), 0)])
    return harness.table(["proxy, body, way", "MiB/s", "against nginx", "CPU ms per MiB", "peak memory grown by KiB"], rows)


# Latency

def http_load(core, port, rate, seconds):
    words = ["taskset", "-c", core, harness.BUILD / "http_load", port, "/", 64, rate, seconds]
    finished = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if finished.returncode:
        raise BenchError(f"http_load: {finished.stderr}")
    return json.loads(finished.stdout)


def latency_runs(program, rounds, seconds):
    proxy_core, other_core = harness.cores()
    lines = []
    with nginx("upstream.conf", other_core) as (upstream, _), folder() as directory:
        with nginx("proxy.conf", proxy_core, UPSTREAM=upstream) as (port, _):
            requests, elapsed = wrk(other_core, port, "/", 64, seconds)
        rate = int(requests / elapsed / 2)
        for number in range(rounds):
            direct = http_load(other_core, upstream, rate, seconds)
            for name, start in proxies(program, proxy_core, upstream, directory).items():
                with start() as (port, _):
                    line = http_load(other_core, port, rate, seconds)
                added = {f"added_{key}": max(0.1, line[key] - direct[key]) for key in ("p50_us", "p99_us")}
                lines.append({"round": number + 1, "name": name, "rate": rate, **line, **added})
                told(number, name, f"{rate} requests/s", f"p50 {line['p50_us']:.0f} µs, p99 {line['p99_us']:.0f} µs; "
                     f"without a proxy {direct['p50_us']:.0f} and {direct['p99_us']:.0f}")
    return lines


def latency_table(lines):
    rows = [[name, *(text for key in ("added_p50_us", "added_p99_us") for text in (
        run.written(median(lines, key, name=name)), run.written(ratio(lines, key, name, "nginx")) + "×"))]
        for name in ("Carillon", "nginx", "haproxy")]
    return harness.table(["proxy", "added to p50, µs", "against nginx", "added to p99, µs", "against nginx"], rows)


# Workers

@contextlib.contextmanager
def hello(program, core):
    """Two processes on one listening socket, as supervisord's fcgi-program starts them."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        port = listener.getsockname()[1]
        number = listener.fileno()
        processes = [stack.enter_context(harness.running(
            "hello", [program, f"fd://{number}"], core, harness.answers(port), inherited=(number,)))
            for _ in range(2)]
        yield port, [pid for process in processes for pid in harness.processes_of(process.pid)]


@contextlib.contextmanager
def gunicorn(kind, core):
    port = harness.free_port()
    command = [harness.VENV / "bin/python", "-m", "gunicorn", "--workers", "2", "--worker-class", kind, "--bind",
               f"127.0.0.1:{port}", "--chdir", harness.HERE / "servers", "--log-level", "error", "trivial_wsgi"]
    command += ["--threads", "8"] if kind == "gthread" else []
    with harness.running(f"gunicorn-{kind}", command, core, harness.answers(port)) as process:
        yield port, harness.processes_of(process.pid, least=3)


def worker_runs(hello_program, rounds, seconds):
    server_core, load_core = harness.cores()
    peers = {"Carillon": lambda core: hello(hello_program, core), "gunicorn sync": lambda core: gunicorn("sync", core),
             "gunicorn gthread": lambda core: gunicorn("gthread", core)}
    lines = []
    for number in range(rounds):
        for name, start in peers.items():
            with start(server_core) as (port, pids):
                line = costs(load_core, port, pids, "/", 16, seconds)
            lines.append({"round": number + 1, "name": name, **line})
            told(number, name, "trivial application", f"{line['requests_per_cpu_second']:.0f} requests/CPU s, "
                 f"{line['requests_per_second']:.0f} requests/s")
    return lines


def worker_table(lines):
    rows = [[name, run.written(median(lines, "requests_per_cpu_second", name=name)),
             run.written(ratio(lines, "requests_per_cpu_second", "Carillon", name)) + "×",
             run.written(median(lines, "requests_per_second", name=name))]
            for name in ("Carillon", "gunicorn sync", "gunicorn gthread")]
    return harness.table(["two workers", "requests per CPU second", "Carillon against it", "requests/s"], rows)


# Hand-off

def handoff_run(program, seconds):
    """The load tool connects to the router, and asks for the router's CPU and memory only."""
    router_core, other_core = harness.cores()
    with folder() as directory, nginx("upstream.conf", other_core) as (upstream, _), \
            carillon_gateway(program, other_core, directory), \
            carillon_router(program, router_core, upstream, directory) as (port, pids):
        return harness.load(other_core, port, pids, dict(
            mode="closed", groups=1, members=5000, window=8, seconds=seconds, warmup=1, warm=100, settle=2))


def handoff_table(line):
    return harness.table(["cost to the router", "measured"], [
        ["CPU s per million messages delivered", f"{line['cpu_seconds_per_million']:.4f}"],
        ["CPU s in all while messages flowed", f"{line['server_cpu_seconds']:.4f} of {line['seconds']:.1f} s"],
        ["bytes per connection held (PSS)", f"{line['bytes_per_connection']:.0f}"],
        ["CPU µs per connection handed over, once", f"{line['handshake_cpu_us']:.1f}"],
    ])


def goals(results):
    """The numbers to be reached, as far as they were measured."""
    rows = []

    def goal(what, value, wanted, reached, unit="×"):
        rows.append([what, run.written(value) + unit, wanted, "yes" if reached else "**no**"])

    if lines := results.get("proxy"):
        for peer in ("nginx", "haproxy"):
            value = ratio(lines, "cpu_us", "Carillon", peer, body="12 bytes")
            goal(f"CPU per request, small answer, against {peer}", value, "at most 1.3×", value <= 1.3)
    if lines := results.get("bodies"):
        for size in SIZES:
            for way in ("down", "up"):
                value = ratio(lines, "mib_per_second", "Carillon", "nginx", size=size, way=way)
                goal(f"throughput, {size} {way}, against nginx", value, "at least 0.7×", value >= 0.7)
        value = max(line["grown_kib"] for line in lines if line["name"] == "Carillon" and line["size"] == "100 MiB")
        goal("peak memory grown by bodies of 100 MiB", value / 1024, "constant", value < 16 * 1024, " MiB")
    if lines := results.get("latency"):
        for key in ("p50", "p99"):
            value = ratio(lines, f"added_{key}_us", "Carillon", "nginx")
            goal(f"added latency, {key}, at half load, against nginx", value, "at most 2×", value <= 2)
    if lines := results.get("workers"):
        for peer in ("gunicorn sync", "gunicorn gthread"):
            value = ratio(lines, "requests_per_cpu_second", "Carillon", peer)
            goal(f"worker pool, requests per CPU second, against {peer}", value, "at least 10×", value >= 10)
    return harness.table(["what", "measured", "wanted", "reached"], rows) if rows else ""


PARTS = {
    "proxy": ("A proxied request, 64 connections", proxy_table),
    "bodies": ("Bodies", body_table),
    "latency": ("Added latency, half of what nginx can pass on", latency_table),
    "workers": ("Worker pool, trivial application, 16 connections", worker_table),
    "handoff": ("A handed-off connection", handoff_table),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of short runs")
    parser.add_argument("--only", help="some parts, with commas between: " + ", ".join(PARTS))
    parser.add_argument("--carillon", help="the program to measure (.build/release/carillon)")
    parser.add_argument("--hello", help="the program of examples/hello (is built when left out)")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(PARTS)
    if not set(chosen) <= set(PARTS):
        parser.error(f"--only takes some of {', '.join(PARTS)}")
    rounds, seconds = (1, 2) if arguments.quick else (3, 5)
    head = harness.about(rounds) + "\n"
    results = {}
    try:
        harness.need_packages("nginx", "wrk", "haproxy", "cc:gcc")
        harness.need_descriptors(12000)
        harness.compile_c("load", "load/load.c")
        harness.compile_c("http_load", "load/http_load.c")
        harness.compile_c("body_server", "servers/body_server.c")
        program = harness.carillon_program(arguments.carillon)
        runs = {
            "proxy": lambda: proxy_runs(program, rounds, seconds),
            "bodies": lambda: body_runs(program, rounds, seconds),
            "latency": lambda: latency_runs(program, rounds, seconds),
            "workers": lambda: worker_runs(arguments.hello or harness.hello_program(), rounds, seconds),
            "handoff": lambda: handoff_run(program, seconds),
        }
        if "workers" in chosen:
            harness.need_venv(["gunicorn==27.0.1"])
        for part in chosen:
            results[part] = runs[part]()
    except BenchError as error:
        sys.exit(f"bench: {error}")
    reached = goals(results)
    text = "\n".join([head, *([f"### Numbers to reach\n\n{reached}\n"] if reached else []), *(
        f"### {PARTS[part][0]}\n\n{PARTS[part][1](results[part])}\n" for part in chosen)])
    print(text)
    harness.keep("router", text, results)


if __name__ == "__main__":
    main()
