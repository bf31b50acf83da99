#!/usr/bin/env python3
"""Holds the publish API to docs/openapi.json with schemathesis, and the router's HTTP/2 to RFC 9113 frame by frame.

    http_conformance.py PROGRAM

Run by make conformance-http, in a virtual environment with http-requirements.txt. Ends with 1 when anything is wrong.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import http2

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY = "a-key-for-the-conformance-run"


def main(program):
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        certificate, key = certificate_for_localhost(folder)
        plain, secure = stack.enter_context(site(program, folder, certificate, key))
        faults, known, count = http2.run(secure, certificate)
        print(f"HTTP/2: {count} cases, {count - len(faults) - len(known)} as RFC 9113 has them", flush=True)
        for kind, lines in [("Known", known), ("Wrong", faults)]:
            print(*(f"  {kind}: {line}\n" for line in lines), sep="", end="", flush=True)
        status = schemathesis(plain, folder)
    sys.exit(1 if faults or status else 0)


def certificate_for_localhost(folder):
    certificate, key = folder / "site.pem", folder / "site.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-out", certificate, "-keyout", key],
        check=True, capture_output=True)
    return certificate, key


@contextlib.contextmanager
def site(program, folder, certificate, key):
    """carillon serve with TLS on free ports; gives the plain and the secure one, as its log tells them.

    It keeps histories and presence of all channels without a namespace, so that every method has something to answer.
    """
    settings = folder / "settings.json"
    settings.write_text(json.dumps({
        "router": {"listen": ["http://127.0.0.1:0", "https://127.0.0.1:0"],
                   "tls": {"certificates": [{"certificate": str(certificate), "key": str(key)}]}},
        "api": {"keys": [KEY]},
        "gateway": {"centrifugo": {"allow_anonymous_connect_without_token": True, "without_namespace": {
            "presence": True, "history_size": 10, "history_ttl": "10m"}}}}))
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "serve", "--settings", settings], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 30
        while not (found := re.search(r"http://127\.0\.0\.1:(\d+) https://127\.0\.0\.1:(\d+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > end:
                sys.exit(f"carillon serve did not start:\n{log.read_text()}")
            time.sleep(0.02)
        yield int(found[1]), int(found[2])
        if process.poll() is not None:
            sys.exit(f"carillon serve ended with {process.returncode}:\n{log.read_text()[-4_000:]}")
    finally:
        process.terminate()
        process.wait(60)


def schemathesis(port, folder):
    """Its status; what it did is printed. The seed is fixed, so that two runs are the same."""
    configuration = folder / "schemathesis.toml"
    # QUERY is left out: a method that the router does not know is 501, as RFC 9110 section 15.6.2 has it, and not 405.
    # 416 is what a position of another epoch gets, and no description can tell a tool which epoch a history has.
    configuration.write_text(
        '[phases.coverage]\nunexpected-methods = ["DELETE", "GET", "OPTIONS", "PATCH", "PUT", "TRACE"]\n'
        '[checks.positive_data_acceptance]\nexpected-statuses = ["2xx", "404", "416"]\n'
        # 413: ten thousand of something, each as long as it may be, are longer than a body.
        '[checks.negative_data_rejection]\nexpected-statuses = ["400", "401", "404", "405", "413"]\n')
    return subprocess.run(
        [pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", configuration, "run", ROOT / "docs/openapi.json",
         "--url", f"http://127.0.0.1:{port}", "--header", f"X-API-Key: {KEY}",
         "--header", "X-Centrifugo-Error-Mode: transport", "--checks", "all", "--max-examples",
         os.environ.get("EXAMPLES", "200"), "--seed", "9113", "--no-color"], cwd=folder, check=False).returncode


if __name__ == "__main__":
    main(sys.argv[1])
