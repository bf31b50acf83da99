"""An application that decides what Carillon asks it about browsers (docs/event-proxy.md), as plain WSGI.

Each request is one line of JSON in the file that ASKED names: which events, of which users and channels. What it answers
depends on names: who the cookie says, and what the channel is called.
"""

import http.cookies
import json
import os
import time


class Broken(Exception):
    """The whole request is answered like this: status, and a text that is no answer."""


def application(environ, start_response):
    body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    path = environ["PATH_INFO"].strip("/")
    headers = {"Cookie": environ.get("HTTP_COOKIE", "")}
    questions = body["questions"] if path == "batch" else [{"event": path, "headers": headers, "request": body}]
    record([[q["event"], user(q), q["request"].get("channel", "")] for q in questions])
    status, fields = "200 OK", [("Content-Type", "application/json")]
    try:
        answers = [answer(question) for question in questions]
        if path != "batch":
            fields += [("Cache-Control", f"max-age={one['max_age']}") for one in answers if "max_age" in one]
        text = json.dumps({"answers": answers} if path == "batch" else answers[0])
    except Broken as broken:
        status, text = broken.args
    start_response(status, fields)
    return [text.encode()]


def record(questions):
    with open(os.environ["ASKED"], "ab", buffering=0) as asked:
        asked.write(json.dumps(questions).encode() + b"\n")


def user(question):
    cookie = http.cookies.SimpleCookie(question["headers"].get("Cookie", ""))
    return cookie["user"].value if "user" in cookie else question["request"].get("user", "")


def answer(question):
    event, request, name = question["event"], question["request"], user(question)
    channel = request.get("channel", "").partition(":")[2]
    if event == "connect":
        if not name:
            return {"disconnect": {"code": 4501, "reason": "login required"}}
        result = {"user": name, "info": {"name": name.title()},
                  "channels": [one for one in request.get("channels", []) if ":granted-" in one]}
        if name.startswith("brief"):
            result["expire_at"] = int(time.time()) + 1
        return {"result": result}
    if event in ("refresh", "sub_refresh"):
        return {"result": {"expired": True} if "leaver" in name + channel else {"expire_at": int(time.time()) + 3600}}
    if event == "subscribe":
        return subscription(channel)
    if event == "publish":
        return {"result": {"data": {"checked": request["data"]}}}
    return {"result": {"data": {"called": request["method"], "by": request["user"], "with": request.get("data")}}}


def subscription(channel):
    kind = channel.partition("-")[0]
    if kind == "closed":
        return {"error": {"code": 403, "message": "not a member"}}
    if kind == "kicked":
        return {"disconnect": {"code": 4500, "reason": "banned"}}
    if kind == "broken":
        raise Broken("500 Internal Server Error", "oops")
    if kind == "nonsense":
        raise Broken("200 OK", "<html>log in</html>")
    if kind == "redirected":
        raise Broken("302 Found", "")
    if kind == "dead":
        os._exit(1)
    if kind == "brief":
        return {"result": {"expire_at": int(time.time()) + 1}}
    if kind == "known":
        return {"result": {}, "max_age": 600}
    if kind == "work":
        time.sleep(0.02)
    return {"result": {"data": {"welcome": channel}}}
