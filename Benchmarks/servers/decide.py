"""The application of reconnect.py: says yes to every question of the event proxy, one by one or in batches.

COUNT names a file that grows by a byte with each request and by one more with each question, in two places: `COUNT.requests`
and `COUNT.questions`.
"""

import json
import os

FILES = {name: os.open(f"{os.environ['COUNT']}.{name}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
         for name in ("requests", "questions")}


def application(environ, start_response):
    body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
    if "questions" in body:
        questions = body["questions"]
        answer = {"answers": [decide(one["event"], one["headers"].get("Cookie", "")) for one in questions]}
    else:
        questions = [body]
        answer = decide(environ["PATH_INFO"].strip("/"), environ.get("HTTP_COOKIE", ""))
    os.write(FILES["requests"], b".")
    os.write(FILES["questions"], b"." * len(questions))
    text = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


def decide(event, cookie):
    return {"result": {"user": cookie.partition("=")[2]}} if event == "connect" else {"result": {}}
