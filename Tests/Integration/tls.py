"""TLS that two threads may use at once.

websockets' synchronous client reads in one thread and writes in another. Python before 3.13 lets both into OpenSSL's state of
one connection, which it is not made for: messages vanish, or "[SSL] internal error" comes, once in some hundred connections.
"""

import select
import socket
import ssl
import threading


# Seconds until a write that makes no way fails.
LIMIT = 60


def open_tls(host, port, context, source_address=None):
    """A connected socket with plain bytes on this side and TLS on the server's. One thread does all that TLS needs."""
    outer = context.wrap_socket(
        socket.create_connection((host, port), timeout=LIMIT, source_address=source_address), server_hostname=host)
    inner, ours = socket.socketpair()
    threading.Thread(target=_carry, args=(inner, outer), daemon=True).start()
    return ours


def _carry(inner, outer):
    """Until one side ends; then the other one is told."""
    with inner, outer:
        try:
            while True:
                ready = [outer] if outer.pending() else select.select([inner, outer], [], [])[0]
                for source, target in ((inner, outer), (outer, inner)):
                    if source in ready and not _pass_on(source, target):
                        return
        except OSError:
            return


def _pass_on(source, target):
    """Whether there may be more."""
    source.settimeout(0)
    try:
        data = source.recv(65_536)
    except ssl.SSLWantReadError:
        return True  # a session ticket, say
    target.settimeout(LIMIT)
    target.sendall(data)
    return bool(data)
