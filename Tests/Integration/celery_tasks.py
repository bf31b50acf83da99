"""A Celery application as CATMAID has one: its tasks write to groups with kombu, past the channel layer."""

import os

import kombu
import msgpack
from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"])
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True
app.conf.task_default_queue = os.environ["QUEUE"]

# What CATMAID's development branch does at the start of Celery: other programs may not have made the exchange yet.
GROUPS = kombu.Exchange("groups", type="direct", durable=False)


@app.task
def notify(group, text):
    body = msgpack.packb({"__asgi_group__": group, "type": "user.message", "data": text})
    with app.producer_or_acquire() as producer:
        GROUPS(producer.channel).declare()
        producer.publish(body, exchange="groups", content_encoding="binary", routing_key=group, retry=False)
