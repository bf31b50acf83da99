"""A Flask application with rooms, where tokens say who is who and who may come in.

    export CARILLON_JWT_SECRET=… CARILLON_API_KEY=… SECRET_KEY=…
    carillon serve --settings settings.json
    gunicorn --bind 127.0.0.1:5000 rooms:app

The pages talk to Carillon and not to this application, which is asked for tokens only, and publishes when it likes. The
lobby is open to everybody who is logged in, a private room (`$rooms:staff`) to those with a token for it.
"""

import os
import time

import jwt
from cent import Client, PublishRequest
from flask import Flask, abort, redirect, render_template_string, request, session

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
carillon = Client(os.environ.get("CARILLON_API", "http://127.0.0.1:8002/api"), os.environ["CARILLON_API_KEY"])
STAFF = {"ann"}

PAGE = """<!doctype html><title>Carillon and Flask</title>
<form method="post" action="/log-in">You are <b>{{ user or "nobody" }}</b>.
  <input name="user" required> <button>be somebody</button></form>
{% if user %}
<form id="say"><input name="text" required> <button>say</button></form>
<form method="post" action="/announce"><button>have the server announce something</button></form>
<p>Here: <span id="here"></span></p>
<ol id="lobby"></ol>
<ol id="staff"></ol>
<script type="module">
  import { channels } from "/channels/carillon.js";

  const fetchToken = async (path) => {
    const answer = await fetch(path);
    if (answer.status === 403) return null;                   // no, and no use to ask again
    if (!answer.ok) throw new Error(answer.statusText);       // perhaps later
    return answer.text();
  };
  const hub = channels(undefined, { getToken: () => fetchToken("/token") });

  const show = (list) => ({ data, info }) => {
    const line = document.createElement("li");
    line.textContent = `${info?.connInfo.name ?? "the server"}: ${data.text}`;
    document.getElementById(list).append(line);
  };

  // What was said before comes first. After a loss what was missed comes, or, when that is too much, all of it again.
  const lobby = hub.subscribe("rooms:lobby", { history: 100, joinLeave: true });
  lobby.on("subscribed", ({ recovered }) => { if (!recovered) document.getElementById("lobby").replaceChildren(); });
  lobby.on("publication", show("lobby"));

  const count = async () => {
    const here = [...(await lobby.presence()).values()].map(({ connInfo }) => connInfo.name);
    document.getElementById("here").textContent = [...new Set(here)].sort().join(", ");
  };
  for (const event of ["subscribed", "join", "leave"]) lobby.on(event, count);

  const staff = hub.subscribe("$rooms:staff", { getToken: (channel) => fetchToken(`/token/${channel}`) });
  staff.on("publication", show("staff"));

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


def token(**claims):
    claims |= {"sub": user(), "exp": int(time.time()) + 600}
    return jwt.encode(claims, os.environ["CARILLON_JWT_SECRET"], algorithm="HS256"), {"Content-Type": "text/plain"}


def user():
    return session.get("user") or abort(403)


@app.get("/token")
def connection_token():
    """Who this is; `info` is what others see of them."""
    return token(info={"name": user().capitalize()})


@app.get("/token/<channel>")
def subscription_token(channel):
    """The right to follow one private channel."""
    if user() not in STAFF:
        abort(403)
    return token(channel=channel)


@app.post("/announce")
def announce():
    carillon.publish(PublishRequest(channel="rooms:lobby", data={"text": f"{user()} rang the bell"}))
    carillon.publish(PublishRequest(channel="$rooms:staff", data={"text": "psst"}))
    return redirect("/")
