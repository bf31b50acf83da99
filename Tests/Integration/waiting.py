"""Waiting for something to become true. Nothing in these tests sleeps for a fixed time and hopes."""

import time

# Seconds. Long, because a busy machine is no fault; what goes well does not take it.
LIMIT = 60.0


class TookTooLong(AssertionError):
    """What was waited for did not come."""


def wait_for(condition, what, *, limit=LIMIT, pause=0.01):
    """Asks `condition` until its answer is true, and gives that answer back.

    An OSError counts as "not yet": who asks a server that is just starting gets one.
    """
    end = time.monotonic() + limit
    last = None
    while True:
        try:
            answer = condition()
            if answer:
                return answer
            last = answer
        except OSError as error:
            last = error
        if time.monotonic() > end:
            raise TookTooLong(f"{what}: not within {limit:g} s; the last answer was {last!r}")
        time.sleep(pause)
