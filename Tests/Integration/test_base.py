"""The helpers themselves: each real server starts, answers, ends, and comes back."""

from sockets import ask


def test_the_program_serves_and_stops(servers):
    site = servers.carillon("serve")
    assert ask("GET", site.address + "/").status == 200
    assert site.stop() == 0
    assert site.start().is_running


def test_redis_starts_again_after_a_kill(servers):
    server = servers.redis()
    server.kill()
    server.start()
    assert server.is_ready()


def test_rabbitmq_answers_its_control(rabbitmq):
    assert "carillon" in rabbitmq.control("status")


def test_a_page_is_shown_and_can_be_asked(servers, tabs):
    site = servers.carillon("serve")
    tab = tabs(site.address + "/")
    assert tab.text("h1") == "Carillon"
    assert tab.screenshot().startswith(b"\x89PNG")
