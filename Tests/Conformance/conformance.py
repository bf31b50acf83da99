#!/usr/bin/env python3
"""Runs Autobahn's fuzzing client against a real gateway, and fails unless every case is as it should be.

    conformance.py                          all cases; what docs/conformance.md tells
    conformance.py --cases '7.*' '6.4.*'    some of them

Browsers reach a gateway in three ways: straight, through a router that hands their sockets over, and through one that
passes their bytes on. All three are held to the same.
"""

import argparse
import collections
import contextlib
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# How many cases version 25.10.1 has in each section; a run of less must not look like a run of all.
SECTIONS = {
    "1": ("framing", 16),
    "2": ("pings and pongs", 11),
    "3": ("reserved bits", 7),
    "4": ("opcodes", 10),
    "5": ("fragmentation", 20),
    "6": ("UTF-8", 145),
    "7": ("close", 37),
    "9": ("limits", 54),
    "10": ("automatic fragments", 1),
    "12": ("compression, kinds of data", 90),
    "13": ("compression, offers", 126),
}
# What routers are not in the way of, and takes long: 216 000 messages that are compressed.
STRAIGHT_ONLY = {"12", "13"}

# A behaviour that is neither is a fault: FAILED, NON-STRICT, WRONG CODE, UNCLEAN, UNIMPLEMENTED.
ALLOWED = {"OK", "INFORMATIONAL"}


def main():
    arguments = parse_arguments()
    # So that also who is told to end stops what was started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped by SIGTERM"))
    reports = arguments.reports
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    began = time.monotonic()
    with servers(arguments.program, reports) as addresses:
        run_suite(arguments.wstest, addresses, arguments.cases or [f"{section}.*" for section in SECTIONS], reports)
    faults = []
    report = read_report(reports)
    for way in addresses:
        cases = report.get(way, {})
        print(f"\n{way}")
        faults += print_summary(way, cases, reports)
        if not arguments.cases:
            faults += missing(way, cases)
    count = sum(len(cases) for cases in report.values())
    print(f"\n{count} cases in {time.monotonic() - began:.0f} s; a page for each: {reports / 'index.html'}")
    print("\n".join(faults[:40]))
    if len(faults) > 40:
        print(f"and {len(faults) - 40} more")
    sys.exit(1 if faults or not count else 0)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / ".build/release/carillon", type=pathlib.Path)
    parser.add_argument("--wstest", default=ROOT / ".venv-conformance/bin/wstest", type=pathlib.Path)
    parser.add_argument(
        "--reports", default=ROOT / ".build/conformance", type=pathlib.Path,
        help="where the logs and a page for each case go; what is there already is removed")
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help="for example 7.* or 6.4.1")
    arguments = parser.parse_args()
    for name in ("program", "wstest", "reports"):
        setattr(arguments, name, getattr(arguments, name).absolute())
    for needed in (arguments.program, arguments.wstest):
        if not needed.exists():
            parser.error(f"{needed} is not there; make conformance makes it")
    return arguments


# Servers


@contextlib.contextmanager
def servers(program, reports):
    """A gateway and two routers before it, on free ports of the loopback; gives the address of each way to the gateway."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        socket = f"{folder}/gateway.sock"

        def start(name, *options):
            return stack.enter_context(server(program, reports / f"{name}.log", *options))

        straight = start("gateway", "gateway", "--unix-socket", socket, "--settings", HERE / "settings.json")
        yield {
            "straight": straight,
            "handed over by a router": start("handing", "router", "--set", f"router.gateways.upstreams=unix://{socket}"),
            "through a router": start("passing", "router", "--set", f"router.gateways.upstreams={straight}"),
        }


@contextlib.contextmanager
def server(program, log, *options):
    """A process of the program; gives its address, as its log tells it."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, *options, "--port", "0"], cwd=log.parent, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield wait_for_address(process, log)
        if process.poll() is not None:
            sys.exit(f"{log.stem} ended with {process.returncode} during the run:\n{tail(log)}")
    finally:
        stop(process)


def wait_for_address(process, log, seconds=30):
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if found := re.search(r"started.*(http://127\.0\.0\.1:\d+)", log.read_text(errors="replace")):
            return found.group(1)
        time.sleep(0.02)
    sys.exit(f"{log.stem} did not start:\n{tail(log)}")


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


# The suite


def run_suite(wstest, addresses, cases, reports):
    """All cases, one after the other. The suite ends with 0 whatever it found: only its report counts."""
    specification = reports / "fuzzingclient.json"
    specification.write_text(json.dumps({
        "outdir": str(reports),
        "servers": [
            {"agent": way, "url": address.replace("http:", "ws:") + "/channels/echo/"}
            for way, address in addresses.items()],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {
            way: [f"{section}.*" for section in STRAIGHT_ONLY] for way in addresses if way != "straight"},
    }))
    log = reports / "wstest.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [wstest, "-m", "fuzzingclient", "-s", specification], cwd=reports, stdin=subprocess.DEVNULL,
            stdout=output, stderr=output)
    try:
        status = child.wait()
    finally:
        if child.poll() is None:
            stop(child)
    if status != 0:
        sys.exit(f"wstest ended with {status}:\n{tail(log)}")


def read_report(reports):
    index = reports / "index.json"
    if not index.exists():
        sys.exit(f"wstest made no report:\n{tail(reports / 'wstest.log')}")
    return json.loads(index.read_text())


# What came out


def print_summary(way, cases, reports):
    """Prints what came out of each section; gives back a line for each case that is not as it should be."""
    sections = collections.defaultdict(collections.Counter)
    faults = []
    for case in sorted(cases, key=lambda case: [int(number) for number in case.split(".")]):
        behaviours = (cases[case]["behavior"], cases[case]["behaviorClose"])
        sections[case.split(".")[0]][behaviours] += 1
        if not ALLOWED.issuperset(behaviours):
            faults.append(fault(way, case, cases[case], reports))
    print(f"{'section':34}{'cases':>6}{'OK':>6}{'informational':>15}{'else':>6}")
    for section in sorted(sections, key=int):
        print_section(f"{section:3} {SECTIONS[section][0]}", sections[section])
    print_section("all", sum(sections.values(), collections.Counter()))
    return faults


def print_section(name, counts):
    """A case is informational when the protocol leaves open what is right, in its messages or in its close."""
    ok = counts["OK", "OK"]
    allowed = sum(count for behaviours, count in counts.items() if ALLOWED.issuperset(behaviours))
    print(f"{name:34}{counts.total():6}{ok:6}{allowed - ok:15}{counts.total() - allowed:6}")


def fault(way, case, result, reports):
    detail = json.loads((reports / result["reportfile"]).read_text())
    description = " ".join(re.sub("<[^>]*>", " ", detail["description"]).split())
    return (
        f"{way}: {case} {result['behavior']}, close {result['behaviorClose']} with {result['remoteCloseCode']}\n"
        f"    {description[:200]}\n    {detail['result'][:300]}")


def missing(way, cases):
    """A line for each section that was not run whole."""
    counts = collections.Counter(case.split(".")[0] for case in cases)
    return [
        f"{way}: of section {section} ({name}) {counts[section]} cases were run, wanted {wanted}"
        for section, (name, wanted) in SECTIONS.items()
        if counts[section] != wanted and (way == "straight" or section not in STRAIGHT_ONLY)]


def tail(log, lines=20):
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    main()
