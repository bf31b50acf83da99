"""A Flask application that is told of its browsers (docs/lifecycle.md), and tells a test what it was told."""

import hashlib
import hmac
import os
import threading
import time

from flask import Flask, abort, jsonify, request

app = Flask(__name__)
SECRET = os.environ["CARILLON_LIFECYCLE_SECRET"].encode()
lock = threading.Lock()
batches = []
state = {"refuses": False, "refused": 0}


def check_signature(field, body):
    """403 for a request that somebody else made, or made long ago."""
    parts = dict(part.split("=", 1) for part in field.split(","))
    wanted = hmac.new(SECRET, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, parts["v1"]) or abs(time.time() - int(parts["t"])) > 300:
        abort(403)


@app.post("/carillon/events")
def events():
    check_signature(request.headers["Carillon-Signature"], request.get_data())
    with lock:
        if state["refuses"]:
            state["refused"] += 1
            abort(503)
        batches.append(request.get_json())
    return "", 204


@app.get("/told")
def told():
    with lock:
        return jsonify({"batches": batches, **state})


@app.post("/refuse/<int:refuses>")
def refuse(refuses):
    with lock:
        state["refuses"] = bool(refuses)
    return "", 204
