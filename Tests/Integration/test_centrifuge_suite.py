"""The tests of an SDK of the Centrifugo client protocol, centrifuge-python's own, against the built program.

They come from the package's source distribution (scripts/integration keeps it), and are run as they are but for the
address and the secret of the server, which they have as constants; and three of them wait once more (`PATIENT`).
"""

import json
import pathlib
import subprocess
import sys
import tarfile

import pytest

from sites import Site

SECRET = "the secret of a suite that makes its tokens itself"
HERE = pathlib.Path(__file__).parent
SOURCES = pathlib.Path(sys.prefix) / "sources"
ALL = 185

KEPT = {
    "presence": True, "join_leave": True, "force_push_join_leave": True, "history_size": 100, "history_ttl": "300s",
    "force_recovery": True, "allow_publish_for_subscriber": True, "allow_presence_for_subscriber": True,
    "allow_history_for_subscriber": True,
}
# As the suite's own docker-compose.yml has it.
NAMESPACES = {
    "token": {"keys": [{"algorithm": "HS256", "secret": SECRET}]},
    "personal_channel": {},
    "without_namespace": {**KEPT, "allowed_delta_types": ["fossil"], "delta_publish": True},
    "namespaces": [
        {"name": "smallhistory", "history_size": 2, "history_ttl": "300s", "force_recovery": True,
         "allow_publish_for_subscriber": True, "allow_history_for_subscriber": True},
    ],
}


# Three of its tests go on when a subscription is sent, and fail or wait for ever when it is not there before another client's:
# with a broker that answers in some ten milliseconds, or on a busy machine.
HURRIED = "await sub1.subscribe()\n        await client2.connect()\n"
PATIENT = "await sub1.subscribe()\n        await sub1.ready()\n        await client2.connect()\n"


def suite(folder, address):
    """The suite's folder, whose server is at `address`."""
    (archive,) = SOURCES.glob("centrifuge_python-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder)
    (root,) = folder.glob("centrifuge_python-*")
    host = address.removeprefix("http://")
    for path in root.glob("tests/*.py"):
        text = path.read_text()
        text = text.replace("localhost:8000", f"{host}/channels")
        text = text.replace('hmac_secret = "secret"', f"hmac_secret = {SECRET!r}")
        if path.name == "test_client.py":
            assert text.count(HURRIED) == 3
            text = text.replace(HURRIED, PATIENT)
        path.write_text(text)
    return root


def outcomes(folder, address):
    """What became of each test, by its name, and what was said on standard error."""
    root = suite(folder, address)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / "suite_runner.py", root], capture_output=True, text=True, cwd=root,
        timeout=300, check=False)
    return dict(map(json.loads, done.stdout.splitlines())), done.stderr


def layer(name, request, unique):
    """A layer of this kind, on the broker of the run."""
    if name == "redis":
        return {"backend": "redis", "config": {"hosts": [request.getfixturevalue("redis").url], "prefix": unique}}
    if name == "rabbitmq":
        return {"backend": "rabbitmq", "config": {
            "host": request.getfixturevalue("rabbitmq").url, "groups_exchange": unique,
            "history_log": f"{unique}-history"}}
    return {"backend": "memory"}


@pytest.mark.parametrize("name, gateways", [("memory", 1), ("redis", 2), ("rabbitmq", 2)])
def test_the_sdks_own_tests_pass(servers, request, unique, name, gateways):
    """Against one gateway, and against two behind the router, where one client's publication is another gateway's."""
    site = Site(
        servers, gateways=gateways, layer=layer(name, request, unique), more={"gateway": {"centrifugo": NAMESPACES}})
    found, errors = outcomes(servers.new_folder(), site.address)
    assert {name: text for name, text in found.items() if text != "ok"} == {}, errors[-5000:]
    assert len(found) == ALL, errors[-5000:]
