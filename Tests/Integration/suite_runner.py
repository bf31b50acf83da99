"""Runs the tests of a folder by unittest, in a process of its own: python suite_runner.py FOLDER

Writes one line of JSON per test to the standard output: its name, and "ok" or what failed.
"""

import faulthandler
import json
import sys
import unittest


class Lines(unittest.TestResult):
    """Tells each outcome as it comes."""

    def __init__(self):
        super().__init__()
        self.bad = None

    def startTest(self, test):
        super().startTest(test)
        self.bad = None
        # A test that waits for ever tells where; the others have their own time each, however slow the machine is.
        faulthandler.dump_traceback_later(100, exit=True)

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, self.errors[-1][1])

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, self.failures[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error:
            self.note(test, str(error[1]))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note(test, f"skipped: {reason}")

    def note(self, test, what):
        self.bad = f"{self.bad}\n{what}" if self.bad else what
        if not isinstance(test, unittest.TestCase):
            # What a module's set-up could not do, for all of its tests.
            print(json.dumps([str(test), what]), flush=True)

    def stopTest(self, test):
        super().stopTest(test)
        print(json.dumps([test.id(), self.bad or "ok"]), flush=True)


def tests_of(suite):
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from tests_of(each)
        else:
            yield each


def main(folder):
    sys.path.insert(0, folder)
    found = tests_of(unittest.TestLoader().discover(folder + "/tests", top_level_dir=folder))
    # A suite of its own, which sets modules up.
    unittest.TestSuite(found).run(Lines())


if __name__ == "__main__":
    main(*sys.argv[1:])
