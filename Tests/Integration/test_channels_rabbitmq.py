"""Unmodified Python on the other side of RabbitMQ: channels_rabbitmq, kombu, and a Celery worker."""

import asyncio
import json
import logging
import pathlib
import sys
import time

import kombu
import msgpack
import pytest
from celery import Celery
from channels_rabbitmq.core import RabbitmqChannelLayer

from crowd import Crowd
from processes import Process
from sockets import WebSocket
from waiting import wait_for

# channels_rabbitmq 4.0.1 checks names in a way that channels 4.3 calls deprecated, once per call.
pytestmark = pytest.mark.filterwarnings("ignore:valid_.*:DeprecationWarning")

NAMED = {"path": "/channels/updates/{name}", "authenticate": "anonymous", "groups": ["{name}"],
         "rules": [{"type": "user.message", "text": "data"}]}


def layer_settings(broker, exchange="groups", **more):
    """What stands in Django's CHANNEL_LAYERS, as it is."""
    return {"backend": "channels_rabbitmq.core.RabbitmqChannelLayer",
            "config": {"host": broker.url, "groups_exchange": exchange, **more}}


def site_settings(broker, exchange="groups", **more):
    return {"channel_layers": {"default": layer_settings(broker, exchange, **more)},
            # A crowd answers no pings.
            "gateway": {"routes": [NAMED], "drain_time": "200ms", "ping_interval": "10m", "pong_timeout": "10m"},
            "api": {"keys": ["${CARILLON_API_KEY}"]}}


def in_python(broker, exchange, work):
    """Runs `work(layer)` with a layer of channels_rabbitmq."""
    async def run():
        layer = RabbitmqChannelLayer(host=broker.url, groups_exchange=exchange)
        try:
            return await asyncio.wait_for(work(layer), 180)
        finally:
            await layer.close()

    return asyncio.run(run())


def test_what_django_sends_reaches_the_browsers_of_every_gateway(servers, rabbitmq, unique):
    settings = site_settings(rabbitmq, unique)
    gateways = [servers.carillon("gateway", settings) for _ in range(2)]

    async def work(layer):
        for number in range(100):
            await layer.group_send("room", {"type": "user.message", "data": f"message {number} \u00e9"})

    with WebSocket(gateways[0].websocket_url("/channels/updates/room")) as one, \
            WebSocket(gateways[1].websocket_url("/channels/updates/room")) as two, \
            WebSocket(gateways[1].websocket_url("/channels/updates/other")) as other:
        in_python(rabbitmq, unique, work)
        wanted = [f"message {number} \u00e9" for number in range(100)]
        assert [one.read() for _ in wanted] == wanted
        assert [two.read() for _ in wanted] == wanted
        in_python(rabbitmq, unique, lambda layer: layer.group_send("other", {"type": "user.message", "data": "x"}))
        assert other.read() == "x"


def test_what_is_published_here_reaches_django(servers, rabbitmq, unique):
    worker = servers.carillon("worker", site_settings(rabbitmq, unique))

    async def work(layer):
        channel = await layer.new_channel()
        await layer.group_add("room", channel)
        for number in range(20):
            await asyncio.to_thread(worker.publish, "room", {"number": number, "text": "\u00e9", "list": [1.5, None]})
        return [await layer.receive(channel) for _ in range(20)]

    messages = in_python(rabbitmq, unique, work)
    assert [message["type"] for message in messages] == ["carillon.publication"] * 20
    assert [message["data"] for message in messages] == [
        {"number": number, "text": "\u00e9", "list": [1.5, None]} for number in range(20)]


def test_what_is_published_here_reaches_the_browsers_of_another_process(servers, rabbitmq, unique):
    settings = site_settings(rabbitmq, unique)
    gateway = servers.carillon("gateway", settings)
    worker = servers.carillon("worker", settings)
    with WebSocket(gateway.websocket_url("/channels/updates/room")) as browser:
        for number in range(50):
            worker.publish("room", {"number": number})
        assert [browser.json()["number"] for _ in range(50)] == list(range(50))


def test_json_text_of_any_amqp_client_reaches_the_browsers_and_nobody_else(servers, rabbitmq, unique):
    gateway = servers.carillon("gateway", site_settings(rabbitmq, unique, publish_exchange=f"{unique}-plain"))

    async def work(layer):
        channel = await layer.new_channel()
        await layer.group_add("room", channel)
        with kombu.Connection(rabbitmq.url) as connection:
            producer = connection.Producer()
            for body in ['{"n": 1}', "no JSON", '{"n":  2}']:
                producer.publish(body, exchange=f"{unique}-plain", routing_key="room", content_type="application/json",
                                 content_encoding="utf-8")
        # The Python layer would be dead of a body that it cannot read.
        await layer.group_send("room", {"type": "user.message", "data": "alive"})
        return await layer.receive(channel)

    with WebSocket(gateway.websocket_url("/channels/updates/room")) as browser:
        assert in_python(rabbitmq, unique, work)["data"] == "alive"
        assert [browser.read(), browser.read(), browser.read()] == ['{"n": 1}', '{"n":  2}', "alive"]
    assert gateway.metric('carillon_layer_dropped_messages_total{reason="undecodable"}') == 1


def test_what_a_celery_task_writes_with_kombu_reaches_the_browser(servers, rabbitmq, unique):
    # The form that the CATMAID container has: a second slash.
    url = rabbitmq.url.replace("/%2F", "//")
    settings = site_settings(rabbitmq)
    settings["channel_layers"]["default"]["config"] = {"host": url}
    gateway = servers.carillon("gateway", settings)
    place = pathlib.Path(__file__).parent
    environment = {"BROKER": url, "QUEUE": unique, "PYTHONPATH": str(place), "PYTHONDONTWRITEBYTECODE": "1"}
    worker = servers.start(
        Process, [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "--pool", "solo", "--concurrency", "1",
                  "--loglevel", "INFO"], environment=environment, name="celery")
    wait_for(lambda: " ready." in worker.log_text(), "the Celery worker is ready", limit=60)
    text = json.dumps({"event": "new-message", "payload": {"message_id": 1, "message_title": "Microstack finished"}})
    with WebSocket(gateway.websocket_url(f"/channels/updates/{unique}")) as browser:
        with kombu.Connection(url) as connection:
            # What `notify.delay(unique, text)` sends.
            sender = Celery(broker=url)
            sender.conf.task_default_queue = unique
            for _ in range(3):
                sender.send_task("celery_tasks.notify", [unique, text], connection=connection)
        assert [browser.read() for _ in range(3)] == [text] * 3


def test_old_raw_strings_of_kombu_are_read(servers, rabbitmq, unique):
    gateway = servers.carillon("gateway", site_settings(rabbitmq, unique))
    with WebSocket(gateway.websocket_url("/channels/updates/room")) as browser, \
            kombu.Connection(rabbitmq.url) as connection:
        body = msgpack.packb({"type": "user.message", "data": "old", "__asgi_group__": "room"}, use_bin_type=False)
        exchange = kombu.Exchange(unique, type="direct", durable=False)
        connection.Producer(exchange=exchange).publish(
            body, routing_key="room", content_encoding="binary", content_type="application/data")
        assert browser.read() == "old"


def test_a_burst_that_the_queue_has_room_for_gets_no_nack(servers, rabbitmq, unique, caplog):
    """Although more would be refused: with the defaults nothing is (test_scale.py)."""
    room = {"local_capacity": 100, "remote_capacity": 10_000, "overflow": "refuse"}
    gateway = servers.carillon("gateway", site_settings(rabbitmq, unique, **room))
    count, sockets = 10_000, 100
    caplog.set_level(logging.WARNING)

    async def work(layer):
        for start in range(0, count, 1_000):
            await asyncio.gather(*(
                layer.group_send("room", {"type": "user.message", "data": str(number)})
                for number in range(start, start + 1_000)))

    with Crowd(gateway.port, "/channels/updates/room") as crowd:
        crowd.connect(sockets)
        in_python(rabbitmq, unique, work)
        answer = crowd.ask(f"hear {count}")
        assert (answer["heard"], answer["ends"]) == (sockets, {})
    assert not [record for record in caplog.records if "channels_rabbitmq" in record.name], caplog.text
    assert gateway.metric("carillon_layer_dropped_messages_total") == 0


def test_an_idle_process_costs_nothing(servers, rabbitmq, unique):
    gateway = servers.carillon("gateway", site_settings(rabbitmq, unique))

    def used():
        fields = pathlib.Path(f"/proc/{gateway.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    with WebSocket(gateway.websocket_url("/channels/updates/room")):
        before, start = used(), time.monotonic()
        wait_for(lambda: time.monotonic() - start > 5, "five idle seconds", pause=0.5)
        assert used() - before <= 0.1


def test_a_broker_that_restarts_is_a_gap_that_is_told_and_nothing_more(servers, unique):
    broker = servers.rabbitmq()
    settings = site_settings(broker, unique, timeout="5s")
    gateway = servers.carillon("gateway", settings)
    worker = servers.carillon("worker", settings)
    with WebSocket(gateway.websocket_url("/channels/updates/room")) as browser:
        worker.publish("room", 1)
        assert browser.json() == 1
        broker.restart()
        wait_for(lambda: gateway.metric("carillon_gateway_feed_interruptions_total") == 1, "the gap is told")

        def heard():
            # What is sent before the gateway is back is a part of the gap.
            try:
                worker.publish("room", 2)
            except AssertionError:
                return None
            return browser.json(limit=2)

        assert wait_for(heard, "messages arrive again", limit=60) == 2


def test_a_wrong_password_is_an_error_that_names_the_setting(servers, rabbitmq, unique):
    settings = site_settings(rabbitmq, unique)
    settings["channel_layers"]["default"]["config"]["host"] = rabbitmq.url.replace("guest:guest", "guest:hush")
    gateway = servers.carillon("gateway", settings)
    wait_for(lambda: "channel_layers.default.config.host" in gateway.log_text(), "the error is in the log")
    assert 'does not take the user "guest"' in gateway.log_text().replace('\\"', '"')
    assert "hush" not in gateway.log_text()
