"""The tests of an SDK of the Centrifugo client protocol, centrifuge-python's own, against the built program.

They come from the package's source distribution (scripts/integration keeps it), and are run as they are but for the
address and the secret of the server, which they have as constants.
"""

import json
import pathlib
import subprocess
import sys
import tarfile

from sites import Site

SECRET = "the secret of a suite that makes its tokens itself"
HERE = pathlib.Path(__file__).parent
SOURCES = pathlib.Path(sys.prefix) / "sources"
ALL = 185

NAMESPACES = {
    "token": {"keys": [{"algorithm": "HS256", "secret": SECRET}]},
    "without_namespace": {"allow_publish_for_subscriber": True},
    "namespaces": [{"name": "smallhistory", "allow_publish_for_subscriber": True}],
}

# What needs something that Carillon has not yet: subscription tokens, and behind them history, presence, recovery and the
# personal channel.
MISSING = [f"tests.test_client.{name}" for name in (
    "TestAutoRecovery.test_auto_recovery",
    "TestClientLevelOperations.test_client_publish_history_presence",
    "TestGetState.test_get_state_called_again_on_unrecoverable_position",
    "TestGetState.test_get_state_called_on_initial_subscribe",
    "TestGetState.test_get_state_error_retried",
    "TestGetState.test_get_state_not_called_when_recovery_succeeds",
    "TestHistoryPagination.test_history_since_and_reverse",
    "TestJoinLeave.test_join_leave",
    "TestMultipleSubscriptions.test_multiple_subscriptions",
    "TestPresenceTwoClients.test_presence_two_clients",
    "TestPubSub.test_pub_sub",
    "TestRecoveryAfterUnsubscribeResubscribe.test_recovery_after_unsub_resub",
    "TestServerSideSubscriptions.test_server_side_subs",
    "TestSubscribeUnsubscribeLoop.test_subscribe_unsubscribe_loop",
    "TestSubscribingSubscribedCallbacks.test_subscribing_and_subscribed_callbacks",
    "TestSubscription.test_client_subscribe_unsubscribes",
    "TestSubscriptionManagement.test_remove_subscribed_subscription_raises",
    "TestSubscriptionOperations.test_subscription_operations",
)]


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
        path.write_text(text)
    return root


def outcomes(folder, address):
    """What became of each test, by its name."""
    root = suite(folder, address)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / "suite_runner.py", root, *MISSING], capture_output=True, text=True,
        cwd=root, timeout=300, check=False)
    found = dict(map(json.loads, done.stdout.splitlines()))
    return found, done.stderr


def test_the_sdks_own_tests_pass_against_one_gateway(shared):
    site = Site(shared, more={"gateway": {"centrifugo": NAMESPACES}})
    found, errors = outcomes(shared.new_folder(), site.address)
    assert {name: text for name, text in found.items() if text != "ok"} == {}, errors[-5000:]
    assert len(found) == ALL - len(MISSING), errors[-5000:]
