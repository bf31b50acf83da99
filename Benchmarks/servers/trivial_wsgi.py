"""What examples/hello answers, for gunicorn."""


def application(environ, start_response):
    body = f"Hello, {environ['PATH_INFO']}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
