"""`carillon serve` without any settings: the whole way from a publish to browsers, and the program's other commands."""

import subprocess

import pytest
from websockets.exceptions import InvalidStatus

from servers import KEY, program, run
from sockets import EventStream, WebSocket, ask
from waiting import wait_for


@pytest.fixture(scope="module")
def site(shared):
    return shared.carillon("serve", None, "--set", "gateway.ping_interval=1s")


def group_url(site, group):
    return site.websocket_url(f"/channels/groups/{group}")


def test_a_publication_reaches_both_transports(site, unique):
    with WebSocket(group_url(site, unique)) as browser, \
            EventStream(f"{site.address}/channels/groups/{unique}") as stream:
        assert site.publish(unique, {"type": "job.done", "id": 7}) == {"result": {}}
        assert browser.json() == {"type": "job.done", "id": 7}
        assert stream.json() == {"type": "job.done", "id": 7}


def test_the_text_of_the_data_comes_as_it_was_written(site, unique):
    body = b'{"channel": "%s", "data": {"b": 1.10,  "a": "\\u00e9\xc3\xa9"}}' % unique.encode()
    with WebSocket(group_url(site, unique)) as browser:
        assert ask("POST", site.address + "/api/publish", body=body, headers={"X-API-Key": KEY}).status == 200
        assert browser.read() == '{"b": 1.10,  "a": "\\u00e9é"}'


def test_bytes_are_a_binary_message_and_base64_in_an_event_stream(site, unique):
    with WebSocket(group_url(site, unique)) as browser, \
            EventStream(f"{site.address}/channels/groups/{unique}") as stream:
        site.publish(unique, None, b64data="AAH/")
        assert browser.read() == b"\x00\x01\xff"
        event = stream.read()
        assert (event.type, event.data) == ("binary", "AAH/")


def test_messages_keep_their_order_and_stay_in_their_group(site, unique):
    with WebSocket(group_url(site, unique)) as browser, WebSocket(group_url(site, unique + "-other")) as other:
        for number in range(200):
            site.publish(unique, number)
            if number % 50 == 0:
                site.publish(unique + "-other", f"other {number}")
        assert [browser.json() for _ in range(200)] == list(range(200))
        assert [other.json() for _ in range(4)] == [f"other {number}" for number in (0, 50, 100, 150)]


def test_a_broadcast_reaches_each_group(site, unique):
    with WebSocket(group_url(site, unique + "a")) as one, WebSocket(group_url(site, unique + "b")) as two:
        ask("POST", site.address + "/api/broadcast", headers={"X-API-Key": KEY},
            json={"channels": [unique + "a", unique + "b"], "data": "both"})
        assert (one.json(), two.json()) == ("both", "both")


def test_an_event_stream_tells_when_to_come_back_and_is_kept_alive(site, unique):
    with EventStream(f"{site.address}/channels/groups/{unique}") as stream:
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert stream.response.headers["X-Accel-Buffering"] == "no"
        # Comments come every second here; nothing else makes the next read return.
        line = stream.response.readline()
        assert line == b"retry: 3000\n"
        wait_for(lambda: stream.response.readline().startswith(b":"), "a comment")


def test_whoever_has_no_key_publishes_nothing(site, unique):
    for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "apikey wrong"}):
        answer = ask("POST", site.address + "/api/publish", json={"channel": unique, "data": 1}, headers=headers)
        assert answer.status == 401
    answer = ask("POST", site.address + "/api/publish", json={"channel": unique, "data": 1},
                 headers={"Authorization": f"apikey {KEY}"})
    assert answer.json == {"result": {}}


def test_a_page_of_another_site_is_not_let_in(site, unique):
    with pytest.raises(InvalidStatus) as refused:
        WebSocket(group_url(site, unique), origin="https://elsewhere.example")
    assert refused.value.response.status_code == 403
    with EventStream(f"{site.address}/channels/groups/{unique}",
                     headers={"Origin": "https://elsewhere.example", "Sec-Fetch-Site": "cross-site"}) as stream:
        assert stream.status == 403


def test_the_browser_module_and_the_page_are_served(site):
    module = ask("GET", site.address + "/channels/carillon.js")
    assert module.status == 200 and module.headers["Content-Type"].startswith("text/javascript")
    assert b"export const connect" in module.body
    page = ask("GET", site.address + "/")
    assert page.status == 200 and b"<title>Carillon</title>" in page.body
    assert ask("GET", site.address + "/no-such-page").status == 404


# The commands


def subscribe(site, *words):
    """`carillon subscribe` that is connected by the time this returns."""
    before = site.metric("carillon_gateway_handshakes_total")
    child = subprocess.Popen([program(), "subscribe", "--url", site.address, *words], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: site.metric("carillon_gateway_handshakes_total") > before, "subscribe is connected")
    return child


def publish(site, *words, stdin=None):
    return run("publish", "--url", site.address, *words, stdin=stdin)


def test_what_is_published_is_printed(site, unique):
    child = subscribe(site, unique, "--count", "3", "--timeout", "30s")
    assert publish(site, unique, '{"done":  true}').returncode == 0
    done = publish(site, unique, stdin='"one line"\n\n[2]\n')
    assert (done.returncode, done.stderr) == (0, "")
    out, err = child.communicate(timeout=30)
    assert (child.returncode, err) == (0, "")
    assert out.splitlines() == ['{"done":  true}', '"one line"', "[2]"]


def test_text_and_bytes_are_printed_as_json(site, unique):
    child = subscribe(site, unique, "--count", "2", "--timeout", "30s")
    assert publish(site, unique, 'not "JSON"', "--text").returncode == 0
    site.publish(unique, None, b64data="AAH/")
    assert child.communicate(timeout=30)[0].splitlines() == ['"not \\"JSON\\""', '{"base64":"AAH/"}']


def test_a_bad_line_is_told_and_the_others_are_published(site, unique):
    child = subscribe(site, unique, "--count", "2", "--timeout", "30s")
    done = publish(site, unique, stdin="1\nnot json\n3\n")
    assert done.returncode == 1 and "line 2" in done.stderr
    assert child.communicate(timeout=30)[0].splitlines() == ["1", "3"]


def test_waiting_in_vain_and_no_server_are_told_apart(site, unique):
    late = run("subscribe", "--url", site.address, unique, "--count", "1", "--timeout", "200ms")
    assert late.returncode == 2 and "200ms" in late.stderr
    nobody = run("subscribe", "--url", "http://127.0.0.1:1", unique, "--count", "1", "--timeout", "5s")
    assert nobody.returncode == 1 and nobody.stderr.startswith("carillon:")


def test_a_wrong_key_is_told(site, unique):
    done = publish(site, unique, "1", "--key", "wrong")
    assert done.returncode == 1 and "key" in done.stderr


# Life


def test_a_made_up_key_is_printed_and_works(servers, unique):
    site = servers.carillon("serve", environment={"CARILLON_API_KEY": ""})
    line = next(line for line in site.log_text().splitlines() if "CARILLON_API_KEY=" in line)
    key = line.split("CARILLON_API_KEY=")[1].split()[0]
    child = subscribe(site, unique, "--count", "1", "--timeout", "30s")
    done = run("publish", "--url", site.address, unique, "1", environment={"CARILLON_API_KEY": key})
    assert (done.returncode, done.stderr) == (0, "")
    assert child.communicate(timeout=30)[0] == "1\n"


def test_a_stop_sends_everybody_away_and_ends_with_0(servers, unique):
    site = servers.carillon("serve", None, "--set", "gateway.drain_time=200ms")
    with WebSocket(group_url(site, unique)) as browser, \
            EventStream(f"{site.address}/channels/groups/{unique}") as stream:
        status = site.stop()
        assert browser.close_code()[0] == 1012
        event = stream.read()
        assert event.type == "close" and event.json["code"] == 1012
        with pytest.raises(EOFError):
            stream.read()
    assert status == 0
    assert "Fatal" not in site.log_text()


def test_every_fault_of_a_settings_file_is_told_at_once(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"gateway": {"slise": 1,\n"send_queue_limit": 12},\n"api": {"keys": ["${NOT_SET_ANYWHERE}"]}}')
    done = run("check", path)
    assert done.returncode == 1
    for part in ("slise", "slice", "send_queue_limit = 12", "4096", "settings.json:2", "NOT_SET_ANYWHERE"):
        assert part in done.stderr, done.stderr


def test_the_example_settings_can_be_used():
    import pathlib

    example = pathlib.Path(__file__).parents[2] / "settings.example.json"
    done = run("check", example, environment={"CARILLON_JWT_SECRET": "s" * 64})
    assert done.returncode == 0, done.stderr
