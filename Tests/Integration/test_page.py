"""The demonstration page in Chromium: two tabs, one over a WebSocket and one over an event stream."""

import json

from sites import Site
from waiting import wait_for

# What `carillon serve` has without settings, and browsers may speak: it stands in for a layer between processes.
GROUPS = {"path": "/channels/groups/{name}", "authenticate": "anonymous", "groups": ["{name}"], "otherwise": "json",
          "receive": {"group": "{name}"}}


def open_both(tabs, address):
    """A tab for each transport, both live."""
    both = [tabs(f"{address}/?transport={transport}") for transport in ("websocket", "eventstream")]
    for tab, transport in zip(both, ("websocket", "eventstream")):
        wait_until_live(tab, transport)
    return both


def wait_until_live(tab, transport):
    tab.wait_for(f"document.querySelector('#connection[data-state=open][data-transport={transport}]') !== null")
    tab.wait_for("document.querySelector('#state').innerText.startsWith('Live')")


def bar(tab, job):
    """How far a job is, as the page shows it; None when it does not."""
    return tab.evaluate(f"document.querySelector('#jobs li[data-job={json.dumps(job)}] progress')?.value")


def watch_a_job(both):
    """Starts one in the first tab; gives back the steps in between that each tab showed."""
    before = both[0].evaluate("document.querySelectorAll('#jobs li').length")
    both[0].click("#start")
    job = both[0].wait_for(f"document.querySelectorAll('#jobs li').length > {before}"
                           " && document.querySelector('#jobs li').dataset.job")
    seen = [set(), set()]

    def is_done(number):
        seen[number].add(bar(both[number], job))
        return both[number].evaluate(
            f"document.querySelector('#jobs li[data-job=\"{job}\"]')?.dataset.state") == "done"

    wait_for(lambda: all([is_done(0), is_done(1)]), "both tabs show the end")
    return [steps - {None, 0, 12} for steps in seen]


def test_a_job_started_in_one_tab_is_seen_live_in_both(servers, tabs):
    site = servers.carillon("serve")
    both = open_both(tabs, site.address)
    assert "No job yet" in both[0].text("main")
    # Step by step, and not all at the end. Who stood still for seconds has not seen it, and looks at another one.
    jobs = (watch_a_job(both) for _ in range(3))
    assert any(min(map(len, steps)) >= 3 for steps in jobs)
    for tab in both:
        assert tab.evaluate("document.querySelectorAll('#log li').length") >= 14
        assert "done in" in tab.text("#jobs")
    # The plain HTTP answer told the same story to the tab that asked, and to no other.
    wait_for(lambda: "end of the answer" in both[0].text("#answer"), "the job's own answer ends")
    assert "job.done" in both[0].text("#answer")
    assert both[1].text("#answer") == ""
    assert both[0].console == both[1].console == []


def test_the_page_recovers_by_itself_from_a_killed_gateway(servers, tabs, unique):
    site = Site(servers, routes=[GROUPS], demo=True)
    both = open_both(tabs, site.address)

    def tell(event):
        with site.browser("/channels/groups/demo") as speaker:
            speaker.send(json.dumps(event))
            speaker.read()

    tell({"type": "job.progress", "job": unique, "step": 3, "of": 12, "text": "moulding"})
    for tab in both:
        tab.wait_for(f"document.querySelector('#jobs li[data-job=\"{unique}\"] progress')?.value === 3")
    site.gateway.kill()
    for tab in both:
        tab.wait_for("document.querySelector('#connection').dataset.state !== 'open'")
        tab.wait_for("document.querySelector('#state').innerText === 'Reconnecting'")
        assert "connection was lost" in tab.text("#detail")
    # The application goes on answering meanwhile.
    assert both[0].evaluate("fetch('./').then(answer => answer.status)") == 200
    site.gateway.start()
    for tab, transport in zip(both, ("websocket", "eventstream")):
        wait_until_live(tab, transport)
        assert "connected again" in tab.text("#log")
    tell({"type": "job.done", "job": unique, "of": 12, "milliseconds": 4200})
    for tab in both:
        tab.wait_for(f"document.querySelector('#jobs li[data-job=\"{unique}\"][data-state=done]') !== null")
    assert (site.router.is_running, site.worker.is_running) == (True, True)


def test_a_job_goes_on_while_its_gateway_is_killed(servers, tabs, redis, unique):
    layer = {"backend": "redis", "config": {"hosts": [redis.url], "prefix": unique}}
    site = Site(servers, routes=[GROUPS], demo=True, layer=layer)
    both = open_both(tabs, site.address)
    both[0].click("#start")
    job = both[0].wait_for("document.querySelector('#jobs li')?.dataset.job")
    for tab in both:
        wait_for(lambda: (bar(tab, job) or 0) >= 2, "a tab shows the second step")
    site.gateway.kill()
    site.gateway.start()
    for tab, transport in zip(both, ("websocket", "eventstream")):
        wait_until_live(tab, transport)
    # The worker was not held up: its answer, which needs no gateway, is whole.
    wait_for(lambda: "end of the answer" in both[0].text("#answer"), "the job's own answer ends")
    assert "job.done" in both[0].text("#answer")
    # And the next job is live again in both.
    both[1].click("#start")
    for tab in both:
        tab.wait_for("Array.from(document.querySelectorAll('#jobs li')).some(job =>"
                     f" job.dataset.job !== {json.dumps(job)} && job.dataset.state === 'done')")
    assert (site.router.is_running, site.worker.is_running) == (True, True)
