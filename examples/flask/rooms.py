"""A Flask application with a room, where tokens say who is who.

    export CARILLON_JWT_SECRET=… CARILLON_API_KEY=… SECRET_KEY=…
    carillon serve --settings settings.json
    gunicorn --bind 127.0.0.1:5000 rooms:app

The pages talk to Carillon and not to this application, which is asked for tokens only, and publishes when it likes.
"""

import os
import time

import jwt
from cent import Client, PublishRequest
from flask import Flask, abort, redirect, render_template_string, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
carillon = Client(os.environ.get("CARILLON_API", "http://127.0.0.1:8002/api"), os.environ["CARILLON_API_KEY"])

PAGE = """<!doctype html><title>Carillon and Flask</title>
<form method="post" action="/log-in">You are <b>{{ user or "nobody" }}</b>.
  <input name="user" required> <button>be somebody</button></form>
{% if user %}
<form id="say"><input name="text" required> <button>say</button></form>
<form method="post" action="/announce"><button>have the server announce something</button></form>
<p id="state"></p>
<ol id="lobby"></ol>
<script type="module">
  import { channels } from "/channels/carillon.js";

  const getToken = async () => {
    const answer = await fetch("/token");
    if (answer.status === 403) return null;                 // nobody is logged in, and asking again helps nobody
    if (!answer.ok) throw new Error(answer.statusText);     // perhaps later
    return answer.text();
  };
  const hub = channels(undefined, { getToken });

  const lobby = hub.subscribe("rooms:lobby");
  lobby.on("subscribed", () => { document.getElementById("state").textContent = "You are in the lobby."; });
  lobby.on("publication", ({ data, info }) => {
    const line = document.createElement("li");
    line.textContent = `${info?.connInfo.name ?? "the server"}: ${data.text}`;
    document.getElementById("lobby").append(line);
  });

  document.getElementById("say").addEventListener("submit", (event) => {
    event.preventDefault();
    lobby.publish({ text: event.target.text.value });
    event.target.reset();
  });
</script>
{% endif %}
"""


@app.get("/")
def home():
    return render_template_string(PAGE, user=session.get("user"))


@app.post("/log-in")
def log_in():
    """Whoever says who they are is believed: a real site asks for a password."""
    session["user"] = request.form["user"]
    return redirect("/")


def user():
    return session.get("user") or abort(403)


@app.get("/token")
def token():
    """Who this is, for ten minutes; `info` is what others see of them."""
    claims = {"sub": user(), "exp": int(time.time()) + 600, "info": {"name": user().capitalize()}}
    return jwt.encode(claims, os.environ["CARILLON_JWT_SECRET"], algorithm="HS256"), {"Content-Type": "text/plain"}


@app.post("/announce")
def announce():
    carillon.publish(PublishRequest(channel="rooms:lobby", data={"text": f"{user()} rang the bell"}))
    return redirect("/")
