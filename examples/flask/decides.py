"""A Flask application that decides what browsers of channels may do: Carillon asks it (docs/event-proxy.md).

    export CARILLON_SECRET=… SECRET_KEY=…
    carillon serve --settings decides.json
    gunicorn --workers 4 --bind 127.0.0.1:5000 decides:app

There are no tokens: who somebody is says the session's cookie, as everywhere else in the application. Everybody may enter
the lobby and the room of their own name.
"""

import hmac
import os

from flask import Flask, abort, jsonify, redirect, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]


@app.post("/log-in")
def log_in():
    """Whoever says who they are is believed: a real site asks for a password."""
    session["user"] = request.form["user"]
    return redirect("/")


@app.before_request
def only_carillon():
    """Browsers reach this application, too, and must not ask in Carillon's place."""
    if request.path.startswith("/carillon/") and not hmac.compare_digest(
            request.headers.get("X-Carillon-Secret", ""), os.environ["CARILLON_SECRET"]):
        abort(403)


@app.post("/carillon/connect")
def connect():
    if "user" not in session:
        return {"disconnect": {"code": 4501, "reason": "log in first"}}
    return {"result": {"user": session["user"], "info": {"name": session["user"].capitalize()}}}


@app.post("/carillon/subscribe")
def subscribe():
    room = request.get_json()["channel"].removeprefix("rooms:")
    if room not in ("lobby", session.get("user")):
        return {"error": {"code": 403, "message": "not your room"}}
    answer = jsonify(result={})
    answer.cache_control.max_age = 60  # whoever comes back within a minute need not be asked about
    return answer


@app.post("/carillon/batch")
def batch():
    """Many questions in one request. Each is answered by its own view, with its own browser's cookies."""
    return {"answers": [answer(question) for question in request.get_json()["questions"]]}


def answer(question):
    with app.test_request_context(
            f"/carillon/{question['event']}", method="POST", json=question["request"],
            headers={**question["headers"], "X-Carillon-Secret": os.environ["CARILLON_SECRET"]}):
        response = app.full_dispatch_request()
        if response.status_code != 200:
            return {"error": {"code": 100, "message": "internal server error", "temporary": True}}
        return {**response.get_json(), "max_age": response.cache_control.max_age or 0}
