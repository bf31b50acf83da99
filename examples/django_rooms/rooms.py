"""A Django application with rooms, which Carillon asks who somebody is, who may come in, and what may be said.

    export CARILLON_API_KEY=… SECRET_KEY=…
    carillon serve --settings settings.json
    gunicorn --bind 127.0.0.1:5000 --threads 8 rooms:application

No token is made and none is needed: the questions come with the browser's cookies, so the session says who asks. Nothing in
a question is believed that the session knows better, because a browser can reach these paths, too.
"""

import json
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],  # the gateway asks by the upstream's address, browsers by whatever host the site has
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",  # so that this site needs no database
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)

MEMBERS = {"rooms:garden": {"ann", "ben"}, "rooms:attic": {"ann"}}

PAGE = """<!doctype html><title>Carillon and Django</title>
<form method="post" action="/log-in">{% csrf_token %}You are <b>{{ user|default:"nobody" }}</b>.
  <input name="user" required> <button>be somebody</button></form>
<p id="state"></p>
<form id="say"><select name="room"></select> <input name="text" required> <button>say</button></form>
<ol id="said"></ol>
<script type="module">
  import { channels } from "/channels/carillon.js";

  const show = ({ channel, data }) => {
    const line = document.createElement("li");
    line.textContent = `${channel} ${data.name}: ${data.text}`;
    document.getElementById("said").append(line);
  };
  const tell = (text) => { document.getElementById("state").textContent = text; };

  const hub = channels();
  hub.on("close", ({ reason, willReconnect }) => tell(willReconnect ? "one moment" : reason));
  hub.on("open", ({ data }) => tell(data.greeting));
  hub.on("publication", show);

  const rooms = await hub.rpc("rooms").catch(() => []);
  const select = document.querySelector("#say select");
  for (const room of rooms) {
    hub.subscribe(room, { history: 100 });
    select.add(new Option(room));
  }
  document.getElementById("say").addEventListener("submit", (event) => {
    event.preventDefault();
    const { room, text } = event.target;
    hub.publish(room.value, { text: text.value }).then(() => text.value = "", ({ message }) => tell(message));
  });
</script>
"""


def home(request):
    page = engines["django"].from_string(PAGE)
    return HttpResponse(page.render({"user": request.session.get("user")}, request))


@require_POST
def log_in(request):
    """Whoever says who they are is believed: a real site asks for a password."""
    request.session["user"] = request.POST["user"]
    return redirect("/")


def answers(question):
    """Makes a view of a function that answers a question of the gateway's: always 200, and never a page to log in."""
    @csrf_exempt
    @require_POST
    def view(request):
        user = request.session.get("user")
        if not user:
            # From 4500 on a browser does not come back by itself.
            return JsonResponse({"disconnect": {"code": 4501, "reason": "log in first"}})
        return JsonResponse(question(user, json.loads(request.body)))
    return view


def refusal(code, message):
    return {"error": {"code": code, "message": message}}


@answers
def connect(user, asked):
    return {"result": {"user": user, "info": {"name": user.capitalize()}, "data": {"greeting": f"Welcome, {user}."}}}


@answers
def subscribe(user, asked):
    if user not in MEMBERS.get(asked["channel"], ()):
        return refusal(403, "not a member")
    return {"result": {}}


@answers
def publish(user, asked):
    """What is published is what this answers, not what the browser said."""
    text = str(asked["data"].get("text", "")).strip()
    if user not in MEMBERS.get(asked["channel"], ()):
        return refusal(403, "not a member")
    if not 0 < len(text) <= 500:
        return refusal(422, "say something, and not too much")
    return {"result": {"data": {"name": user.capitalize(), "text": text}}}


@answers
def rpc(user, asked):
    if asked["method"] != "rooms":
        return refusal(404, "no such method")
    return {"result": {"data": [room for room, members in MEMBERS.items() if user in members]}}


urlpatterns = [
    path("", home),
    path("log-in", log_in),
    path("centrifugo/connect", connect),
    path("centrifugo/subscribe", subscribe),
    path("centrifugo/publish", publish),
    path("centrifugo/rpc", rpc),
]
application = get_wsgi_application()
