#!/usr/bin/env python3
"""Router benchmark: what a proxied request costs beside nginx, and what a handed-off connection costs the router.

    Benchmarks/router.py [--quick] [--only proxy|handoff]

Proxying: wrk → proxy → nginx that answers at once, 64 kept-alive connections. The proxy is alone on one core; wrk and
the upstream share the other, so requests a second are a lower bound and CPU per request is the number to look at.
Hand-off: WebSocket connections come in at the router and end up in a gateway; only the router is measured.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

import harness
import run
from harness import BenchError

NGINX = "/usr/sbin/nginx"
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


# Proxying

def wrk(core, port, path, connections, seconds):
    """Requests a second and requests in all."""
    finished = subprocess.run(
        ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
         f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True)
    counted = re.search(r"(\d+) requests in", finished.stdout)
    if finished.returncode or not counted:
        raise BenchError(f"wrk failed: {finished.stderr or finished.stdout}")
    faults = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", finished.stdout)
    if faults:
        raise BenchError(f"the proxy did not answer every request: {faults.group()}")
    return int(counted.group(1))


def proxied(core, port, pids, path, seconds):
    wrk(core, port, path, 64, 1)
    before, start = harness.cpu_seconds(pids), time.monotonic()
    requests = wrk(core, port, path, 64, seconds)
    elapsed, cpu = time.monotonic() - start, harness.cpu_seconds(pids) - before
    return {"requests_per_second": requests / elapsed, "cpu_us_per_request": cpu * 1e6 / requests}


def proxy_runs(program, rounds, seconds):
    proxy_core, other_core = harness.cores()
    lines = []
    with nginx("upstream.conf", other_core) as (upstream, _), folder() as directory:
        for number in range(rounds):
            for body, path in BODIES.items():
                for name, start in (("carillon router", carillon_router(program, proxy_core, upstream, directory)),
                                    ("nginx", nginx("proxy.conf", proxy_core, UPSTREAM=upstream))):
                    with start as (port, pids):
                        line = proxied(other_core, port, pids, path, seconds)
                    lines.append({"round": number + 1, "proxy": name, "body": body, **line})
                    print(f"round {number + 1}  {name:<16}{body:<10}{line['cpu_us_per_request']:.1f} CPU µs a request, "
                          f"{line['requests_per_second']:.0f} requests/s", file=sys.stderr)
    return lines


def proxy_table(lines):
    def median(name, body, key):
        return statistics.median(line[key] for line in lines if line["proxy"] == name and line["body"] == body)

    rows = []
    for body in BODIES:
        ours, theirs = (median(name, body, "cpu_us_per_request") for name in ("carillon router", "nginx"))
        rows.append([body, run.written(ours), run.written(theirs), run.written(ours / theirs) + "×"]
                    + [run.written(median(name, body, "requests_per_second")) for name in ("carillon router", "nginx")])
    head = ["body", "CPU µs per request: Carillon", "nginx", "ratio", "requests/s: Carillon", "nginx"]
    return run.table(head, rows)


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
    return run.table(["cost to the router", "measured"], [
        ["CPU s per million messages delivered", f"{line['cpu_seconds_per_million']:.4f}"],
        ["CPU s in all while messages flowed", f"{line['server_cpu_seconds']:.4f} of {line['seconds']:.1f} s"],
        ["bytes per connection held (PSS)", f"{line['bytes_per_connection']:.0f}"],
        ["CPU µs per connection handed over, once", f"{line['handshake_cpu_us']:.1f}"],
    ])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of short runs")
    parser.add_argument("--only", choices=["proxy", "handoff"])
    parser.add_argument("--carillon", help="the program to measure (.build/release/carillon)")
    arguments = parser.parse_args()
    rounds, seconds = (1, 2) if arguments.quick else (3, 5)
    results, text = {}, [f"{time.strftime('%Y-%m-%d')}, commit {run.commit()}. {harness.machine()}.\n"]
    try:
        harness.need_packages("nginx", "wrk", "cc:gcc")
        harness.need_descriptors(12000)
        harness.compile_c("load", "load/load.c")
        program = harness.carillon_program(arguments.carillon)
        if arguments.only != "handoff":
            results["proxy"] = proxy_runs(program, rounds, seconds)
            text.append(f"### A proxied request, 64 connections\n\n{proxy_table(results['proxy'])}\n")
        if arguments.only != "proxy":
            results["handoff"] = handoff_run(program, seconds)
            text.append(f"### A handed-off connection\n\n{handoff_table(results['handoff'])}\n")
    except BenchError as error:
        sys.exit(f"bench: {error}")
    print("\n".join(text))
    harness.keep("router", "\n".join(text), results)


if __name__ == "__main__":
    main()
