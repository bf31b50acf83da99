"""Fixtures of the tests of the built program. See servers.py for what can be started, sockets.py for who talks to it.

Start what a test needs with `servers`, which stops it after the test; share what is slow to start through the session's
`redis` and `rabbitmq`, each test with names of its own in them (`unique`).
"""

import itertools
import os
import signal

import pytest

import processes
from browser import Chromium
from servers import Servers, logs, program

_names = itertools.count(1)


def pytest_configure(config):
    program()
    processes.adopt_orphans()
    # The default of SIGTERM would leave all servers running.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("stopped by SIGTERM"))


@pytest.fixture
def servers():
    """Starts servers for one test."""
    with Servers() as made:
        yield made


@pytest.fixture(scope="module")
def shared():
    """Starts servers for all tests of a file."""
    with Servers() as made:
        yield made


@pytest.fixture(scope="session")
def _session():
    with Servers() as made:
        yield made
    left = processes.kill_leftovers()
    assert not left, f"processes were left behind: {left}"


@pytest.fixture(scope="session")
def redis(_session):
    """A redis-server for the whole run. Stop or flush one of your own: `servers.redis()`."""
    return _session.redis()


@pytest.fixture(scope="session")
def rabbitmq(_session):
    """A RabbitMQ node for the whole run. Stop or block one of your own: `servers.rabbitmq()`."""
    return _session.rabbitmq()


@pytest.fixture
def unique():
    """A name nobody else uses, for groups, exchanges and prefixes in shared brokers."""
    return f"t{os.getpid()}-{next(_names)}"


@pytest.fixture(scope="session")
def chromium(_session):
    """Headless Chromium for the whole run."""
    return _session.start(Chromium)


@pytest.fixture
def tabs(chromium):
    """Opens pages: `tabs(url)`. Closed after the test; each leaves a screenshot when the test fails."""
    opened = []

    def open_tab(url):
        opened.append(chromium.open(url))
        return opened[-1]

    open_tab.opened = opened
    yield open_tab
    for tab in opened:
        tab.close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    item.logs_before = {path: path.stat().st_size for path in logs()}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows, with a failure, what the servers said during the test, and keeps pictures of the pages."""
    report = yield
    if report.failed:
        for path in logs():
            said = path.read_bytes()[item.logs_before.get(path, 0):].decode(errors="replace").splitlines()
            if said:
                report.sections.append((str(path), "\n".join(said[-25:])))
        for number, tab in enumerate(getattr(item.funcargs.get("tabs"), "opened", [])):
            report.sections.append(("screenshot", str(tab.keep_screenshot(f"{item.name}-{number}"))))
    return report
