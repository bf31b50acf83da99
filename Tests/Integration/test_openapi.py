"""docs/openapi.json says what the publish API does: each of its examples is sent, and answered as it stands there."""

import json

import pytest

from servers import KEY
from shipped import ROOT
from sockets import ask

PAGE = json.loads((ROOT / "docs/openapi.json").read_text())
METHODS = {path: methods["post"] for path, methods in PAGE["paths"].items()}
EXAMPLES = [
    pytest.param(path, example["value"], answers[name]["value"], id=f"{path} {name}")
    for path, method in METHODS.items()
    for content in [method["requestBody"]["content"]["application/json"]]
    for answers in [method["responses"]["200"]["content"]["application/json"].get("examples")]
    for name, example in content.get("examples", {}).items()]


@pytest.fixture(scope="module")
def site(shared):
    return shared.carillon("serve")


def post(site, path, body, **headers):
    return ask("POST", site.address + path, json=body, headers={"X-API-Key": KEY, **headers})


@pytest.mark.parametrize("path, body, answer", EXAMPLES)
def test_each_example_is_answered_as_it_says(site, path, body, answer):
    heard = post(site, path, body)
    assert (heard.status, heard.json) == (200, answer)
    assert heard.headers["Content-Type"] == "application/json"
    told = post(site, path, body, **{"X-Centrifugo-Error-Mode": "transport"})
    wanted = (400, answer["error"]) if "error" in answer else (200, answer)
    assert (told.status, told.json) == wanted


def test_nodes_have_the_fields_it_says(site):
    node = PAGE["components"]["schemas"]["Node"]
    nodes = post(site, "/api/info", {}).json["result"]["nodes"]
    assert [set(found) for found in nodes] == [set(node["required"])] and set(node["properties"]) == set(node["required"])


def test_it_has_every_method_that_is_served(site):
    """What the API knows and does not serve is error 104; what it does not know is 404."""
    other = ["subscribe", "unsubscribe", "disconnect", "refresh", "presence", "presence_stats", "history",
             "history_remove", "channels", "batch", "rpc"]
    for name in other:
        if f"/api/{name}" not in METHODS:
            assert post(site, f"/api/{name}", {}).json == {"error": {"code": 104, "message": "method not found"}}, name
    for path in METHODS:
        assert ask("POST", site.address + path, json={}).status == 401
        assert ask("GET", site.address + path, headers={"X-API-Key": KEY}).status == 405
