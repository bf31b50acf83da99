"""FastCGI: a real php-fpm, and an application in Python under flup."""

import glob
import json
import pathlib
import socket
import subprocess
import sys
import threading

import pytest

from certificates import Authority
from processes import Process, free_port, listens
from servers import needed
from sockets import ask, open_request
from waiting import wait_for

PHP = {
    "show.php": """<?php
header("Content-Type: application/json");
header("X-Made-By: php", false);
if (isset($_GET["status"])) { http_response_code((int)$_GET["status"]); }
if (isset($_GET["warn"])) { error_log("a warning for the log"); }
echo json_encode(["server" => $_SERVER, "get" => $_GET, "post" => $_POST, "length" => strlen(file_get_contents("php://input"))]);
""",
    "index.php": "<?php echo 'front ' . $_SERVER['REQUEST_URI'];",
    "slow.php": """<?php
header("X-Accel-Buffering: no");
while (ob_get_level()) { ob_end_flush(); }
foreach ([1, 2, 3] as $n) { echo "piece $n\\n"; flush(); while (!file_exists($_GET["go"] . $n)) { usleep(2000); clearstatcache(); } }
""",
    "crash.php": "<?php echo str_repeat('x', 100000); flush(); posix_kill(getmypid(), 9);",
}

FLUP = '''
import json, sys
from flup.server.fcgi import WSGIServer

def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    environ["wsgi.errors"].write("said by the application\\n")
    seen = {name: value for name, value in environ.items() if isinstance(value, str)}
    start_response("201 Made", [("Content-Type", "application/json")])
    return [json.dumps({"environ": seen, "body": body}).encode()]

WSGIServer(application, bindAddress=eval(sys.argv[1])).run()
'''


class PHPFPM(Process):
    name = "php-fpm"

    def __init__(self, folder, port):
        folder = pathlib.Path(folder)
        self.port = port
        self.root = folder / "site"
        self.root.mkdir(parents=True)
        for name, text in PHP.items():
            (self.root / name).write_text(text)
        (folder / "fpm.conf").write_text(f"""
[global]
daemonize = no
error_log = {folder}/fpm.log
[www]
user = root
group = root
listen = 127.0.0.1:{port}
pm = static
pm.max_children = 4
catch_workers_output = yes
""")
        found = sorted(glob.glob("/usr/sbin/php-fpm*"))
        assert found, "php-fpm is missing: install the Debian package php-fpm (make test does)"
        super().__init__(folder, [found[-1], "--nodaemonize", "-R", "--fpm-config", folder / "fpm.conf"])

    def is_ready(self):
        return listens(self.port)


@pytest.fixture(scope="module")
def php(shared):
    fpm = shared.start(PHPFPM, free_port())
    router = shared.carillon("router", {"router": {
        "trusted_proxies": [], "gateways": {"upstreams": []},
        "workers": {"upstreams": [f"fastcgi://127.0.0.1:{fpm.port}"],
                    "fastcgi": {"root": str(fpm.root), "script": "/index.php"}}}})
    router.fpm = fpm
    return router


@pytest.fixture(scope="module", params=["tcp", "unix"])
def flup(shared, request):
    folder = shared.new_folder()
    (folder / "application.py").write_text(FLUP)
    port, path = free_port(), folder / "application.sock"
    place = ("127.0.0.1", port) if request.param == "tcp" else str(path)

    def is_ready():
        if request.param == "tcp":
            return listens(port)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            return True

    shared.start(Process, [sys.executable, folder / "application.py", repr(place)], name="flup", is_ready=is_ready)
    router = shared.carillon("router", {"router": {
        "trusted_proxies": [], "gateways": {"upstreams": []},
        "workers": {"upstreams": [f"fastcgi://127.0.0.1:{port}" if request.param == "tcp" else f"fastcgi+unix://{path}"],
                    "fastcgi": {"prefix": "/app"}}}})
    return router


def test_php_gets_what_it_needs(php):
    answer = ask("POST", f"{php.address}/show.php/more?x=1&y=%20", body="a=b&c=d", headers={
        "Content-Type": "application/x-www-form-urlencoded", "Proxy": "http://evil", "X_Real_IP": "6.6.6.6",
        "X-Odd": "odd", "SSL_CLIENT_VERIFY": "SUCCESS", "Remote-User": "root"})
    seen = answer.json
    server = seen["server"]
    assert answer.status == 200 and answer.headers["X-Made-By"] == "php"
    assert seen["get"] == {"x": "1", "y": " "} and seen["post"] == {"a": "b", "c": "d"}
    assert server["SCRIPT_NAME"] == "/show.php" and server["PATH_INFO"] == "/more"
    assert server["SCRIPT_FILENAME"] == str(php.fpm.root / "show.php")
    assert server["REQUEST_URI"] == "/show.php/more?x=1&y=%20" and server["REMOTE_ADDR"] == "127.0.0.1"
    assert server["HTTP_X_ODD"] == "odd" and server["HTTP_X_REAL_IP"] == "127.0.0.1"
    assert "HTTP_PROXY" not in server and "REMOTE_USER" not in server and "SSL_CLIENT_VERIFY" not in server
    assert server["SERVER_PORT"] == str(php.port) and server["HTTP_HOST"] == f"127.0.0.1:{php.port}"


def test_php_statuses_fronts_and_bodies(php):
    assert ask("GET", f"{php.address}/show.php?status=404").status == 404
    assert ask("GET", f"{php.address}/pretty/url?a").text == "front /pretty/url?a"
    assert ask("GET", f"{php.address}/").text == "front /"
    assert ask("HEAD", f"{php.address}/show.php").text == ""
    assert ask("POST", f"{php.address}/show.php", body=b"x" * 3_000_000).json["length"] == 3_000_000
    # Without a length the router collects the body and says it.
    assert ask("POST", f"{php.address}/show.php", body=iter([b"abc", b"def"])).json["length"] == 6


def test_what_php_says_on_standard_error_is_in_the_log(php):
    assert ask("GET", f"{php.address}/show.php?warn=1").status == 200
    wait_for(lambda: "a warning for the log" in php.log_text(), "the warning is in the router's log")


def test_a_piece_is_at_the_browser_before_php_makes_the_next(php):
    go = php.fpm.folder / "go"
    connection, response = open_request("GET", f"{php.address}/slow.php?go={go}")
    try:
        for number in (1, 2, 3):
            assert response.readline() == f"piece {number}\n".encode()
            pathlib.Path(f"{go}{number}").touch()
    finally:
        connection.close()


def test_a_php_process_that_dies_cuts_the_answer_and_the_next_request_is_answered(php):
    with pytest.raises(Exception):
        ask("GET", f"{php.address}/crash.php")
    assert ask("GET", f"{php.address}/show.php").status == 200


def test_connections_to_php_are_kept(php):
    before = php.fpm.pid
    answers = [ask("GET", f"{php.address}/show.php").status for _ in range(50)]
    assert set(answers) == {200} and php.fpm.pid == before
    connected = subprocess.run(["ss", "-Htn", "state", "established", f"( dport = :{php.fpm.port} )"],
                               capture_output=True, text=True)
    assert len(connected.stdout.splitlines()) <= 4, connected.stdout


def test_php_that_is_away_is_told_and_comes_back(php):
    php.fpm.stop()
    assert ask("GET", f"{php.address}/show.php").status == 502
    php.fpm.start()
    wait_for(lambda: ask("GET", f"{php.address}/show.php").status == 200, "php answers again")


def test_a_python_application_is_asked(flup):
    answer = ask("POST", f"{flup.address}/app/a%20b?c=d", body="hello", headers={"Content-Type": "text/plain"})
    seen = answer.json
    assert answer.status == 201 and seen["body"] == "hello"
    assert seen["environ"]["SCRIPT_NAME"] == "/app" and seen["environ"]["PATH_INFO"] == "/a b"
    assert seen["environ"]["QUERY_STRING"] == "c=d" and seen["environ"]["CONTENT_TYPE"] == "text/plain"
    wait_for(lambda: "said by the application" in flup.log_text(), "its errors are in the log")


def test_many_ask_a_python_application_at_once(flup):
    results = []

    def work():
        for _ in range(20):
            results.append(ask("GET", f"{flup.address}/app/").status)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [201] * 160


def test_a_client_certificate_is_told_to_php(servers, php):
    folder = servers.new_folder()
    authority = Authority(folder)
    certificate, key = authority.issue("example.org", ["example.org"])
    person, person_key = authority.issue("ada")
    secure = free_port()
    servers.carillon("router", {"router": {
        "listen": [f"https://127.0.0.1:{secure}"], "gateways": {"upstreams": []},
        "workers": {"upstreams": [f"fastcgi://127.0.0.1:{php.fpm.port}"], "fastcgi": {"root": str(php.fpm.root)}},
        "tls": {"certificates": [
            {"certificate": str(certificate), "key": str(key), "client_ca": str(authority.file)}]}}})
    done = subprocess.run(
        [needed("curl", "curl"), "--silent", "--http2", "--cacert", authority.file, "--cert", person, "--key",
         person_key, "--resolve", f"example.org:{secure}:127.0.0.1", "-H", "SSL-Client-S-DN-CN: root",
         f"https://example.org:{secure}/show.php"], capture_output=True, text=True, timeout=30)
    server = json.loads(done.stdout)["server"]
    assert server["SSL_CLIENT_VERIFY"] == "SUCCESS" and server["SSL_CLIENT_S_DN_CN"] == "ada"
    assert server["SSL_CLIENT_S_DN"] == "CN=ada" and server["SSL_CLIENT_I_DN"] == "CN=authority"
    assert server["HTTPS"] == "on" and server["SERVER_PROTOCOL"] == "HTTP/2.0"
    assert len(server["SSL_CLIENT_FINGERPRINT"]) == 64 and server["REMOTE_USER"] == "ada"
