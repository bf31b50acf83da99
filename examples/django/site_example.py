"""A Django application in one file, to stand behind Carillon: who is here, and two buttons that tell the open pages.

Nothing in it knows of Carillon but the addresses in the page and `whoami`: it sends with Django Channels' own layer.
"""

import json
import os

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_POST

settings.configure(
    SECRET_KEY=os.environ["SECRET_KEY"],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],  # nginx and the router pass on whatever host the browser asked for
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    # Sessions in a signed cookie: this site needs no database.
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    CHANNEL_LAYERS={"default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")]},
    }},
)

PAGE = """<!doctype html><title>Carillon and Django</title>
<form method="post" action="/log-in">{% csrf_token %}
  You are <b>{{ user|default:"nobody" }}</b>. <input name="user" required> <button>be somebody</button></form>
<form method="post" action="/notify">{% csrf_token %}
  <input name="text" value="hello"> <button name="to" value="me">tell my pages</button>
  <button name="to" value="everybody">tell all pages</button></form>
<ol id="heard"></ol>
<script type="module">
  import { connect } from "/channels/carillon.js";
  const page = connect("/channels/updates/");
  page.on("note", ({ text }) => {
    const line = document.createElement("li");
    line.textContent = text;
    document.querySelector("#heard").append(line);
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


def whoami(request):
    """Who is on a browser's connection: what the gateways ask."""
    user = request.session.get("user")
    if not user:
        return JsonResponse({"error": "nobody is logged in"}, status=403)
    return JsonResponse({"user": user})


@require_POST
def notify(request):
    """Tells open pages something, by the layer that Django Channels has: no request to Carillon is made."""
    group = "everybody" if request.POST["to"] == "everybody" else f"updates-{request.session['user']}"
    text = json.dumps({"type": "note", "text": request.POST["text"]})
    async_to_sync(get_channel_layer().group_send)(group, {"type": "user.message", "data": text})
    return redirect("/")


urlpatterns = [
    path("", home),
    path("log-in", log_in),
    path("accounts/whoami", whoami),
    path("notify", notify),
]
application = get_wsgi_application()
