import hashlib
import json
import os
import time
import urllib.request

from django.contrib.auth.decorators import login_required
from django.core.signing import TimestampSigner
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt


def home(request):
    return HttpResponse(f"hello {request.user.get_username() or 'stranger'}\n", content_type="text/plain")


def whoami(request):
    """Who is on a browser's connection, for the gateway: the view that a site has to write."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "nobody is logged in"}, status=403)
    groups = [f"team-{group.name}" for group in request.user.groups.all()]
    return JsonResponse({"user": request.user.pk, "groups": groups, "claims": {"name": request.user.username}})


def catmaid_login(request):
    """What CATMAID tells of the session there: a stand-in user with a number of its own when nobody is logged in."""
    user = request.user
    if not user.is_authenticated:
        return JsonResponse({"userid": 99, "username": "AnonymousUser", "is_authenticated": False})
    return JsonResponse({"userid": user.pk, "username": user.username, "is_authenticated": True, "longname": ""})


@login_required
def ticket(request):
    """A value for the address of a WebSocket, for pages whose cookies do not reach the gateway."""
    return JsonResponse({"ticket": TimestampSigner(salt="carillon").sign(request.user.pk)})


@csrf_exempt
def echo(request):
    """What arrived here, told back."""
    # Django itself passes over a body that comes in chunks.
    chunked = request.headers.get("Transfer-Encoding") == "chunked"
    body = request.META["wsgi.input"].read() if chunked else request.body
    answer = JsonResponse({
        "method": request.method, "path": request.get_full_path(), "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(), "cookies": request.COOKIES,
        "headers": dict(request.headers), "secure": request.is_secure(), "address": request.META["REMOTE_ADDR"]})
    answer.set_cookie("first", "1")
    answer.set_cookie("second", "2", path="/sub", httponly=True)
    return answer


def stream(request):
    """A first line at once, the second one when the file the test names is there."""
    def lines():
        yield b"first\n"
        while not os.path.exists(request.GET["gate"]):
            time.sleep(0.01)
        yield b"second\n"

    return StreamingHttpResponse(lines(), content_type="text/plain")


@login_required
def notify(request):
    """Tells the user's open pages something, as a view of a real site would: over the publish API."""
    publication = {"channel": f"updates-{request.user.pk}", "data": {"type": "note", "text": request.POST["text"]}}
    asked = urllib.request.Request(
        os.environ["SITE_PUBLISH"], json.dumps(publication).encode(),
        {"Content-Type": "application/json", "X-API-Key": os.environ["SITE_KEY"]})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return HttpResponse(answer.read(), content_type="application/json")
