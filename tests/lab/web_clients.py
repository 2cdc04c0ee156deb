#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""web_clients.py - clients that nobody wants, against the status page's server at 127.0.0.1:9723.

  web_clients.py idle N SECONDS      N connections that say nothing
  web_clients.py dribble N SECONDS   N requests, a byte every half second
  web_clients.py unread N SECONDS    N requests for the page, whose answers nobody reads
  web_clients.py malformed           one after the other; prints what each got
  web_clients.py load N              N requests for /api/status, 50 at a time; prints how many were answered

The first three say "ready" when all have connected, hold on for SECONDS, and print how many connections the
server had ended by then.
"""
import concurrent.futures
import select
import socket
import sys
import time

HOST = ("127.0.0.1", 9723)

MALFORMED = {
    "nothing": b"\r\n\r\n",
    "noise": bytes(range(256)) * 8 + b"\r\n\r\n",
    "no version": b"GET /\r\n\r\n",
    "wrong version": b"GET / HTTP/9.9\r\n\r\n",
    "no such method": b"BREW / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "POST": b"POST /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nabcd",
    "DELETE": b"DELETE /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "large headers": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
    "long line": b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\n\r\n",
    "header without a colon": b"GET / HTTP/1.1\r\nHost 127.0.0.1\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: a\x00b\r\n\r\n",
    "negative length": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
    "huge length": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "odd chunks": b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "absolute": b"GET http://elsewhere.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "dots": b"GET /../../etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "escaped dots": b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "bad escape": b"GET /api/sessions?q=%zz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "foreign host": b"GET /healthz HTTP/1.1\r\nHost: rebound.example\r\n\r\n",
    "two requests": b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 2,
    "TLS": bytes.fromhex("1603010200010001fc0303") + b"\x11" * 508,
}


def connect(timeout=10):
    s = socket.create_connection(HOST, timeout)
    s.settimeout(timeout)
    return s


def answer(s):
    """All that comes, until the server ends the connection."""
    got = b""
    try:
        while chunk := s.recv(65536):
            got += chunk
    except OSError:
        pass
    return got


def ended(sockets):
    """How many the server has ended."""
    n = 0
    for s in sockets:
        waiting = select.poll()
        waiting.register(s, select.POLLIN)
        if waiting.poll(0):
            try:
                n += s.recv(65536) == b""
            except OSError:
                n += 1
    return n


def crowd(n, seconds, greet, step):
    sockets = []
    for _ in range(n):
        try:
            s = connect(2)
            s.sendall(greet)
            sockets.append(s)
        except OSError:
            pass
    print("ready", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.5)
        for s in sockets if step else ():
            try:
                s.send(step)
            except OSError:
                pass
    print(ended(sockets) + n - len(sockets))


def malformed():
    for name, request in MALFORMED.items():
        s = connect(5)
        try:
            s.sendall(request)
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = answer(s)
        s.close()
        status = got.split(b"\r\n")[0].decode("latin-1")
        print(f"{name}: {status or 'closed'}", flush=True)


def one(_):
    s = connect()
    s.sendall(b"GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    got = answer(s)
    s.close()
    return got.startswith(b"HTTP/1.1 200 ") and got.rstrip().endswith(b"}")


def load(n):
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        print(sum(pool.map(one, range(n))))


def main():
    mode, *numbers = sys.argv[1:]
    numbers = [int(n) for n in numbers]
    if mode == "idle":
        crowd(*numbers, b"", b"")
    elif mode == "dribble":
        crowd(*numbers, b"GET / HTTP/1.1\r\nX: ", b"a")
    elif mode == "unread":
        crowd(*numbers, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"")
    elif mode == "malformed":
        malformed()
    elif mode == "load":
        load(*numbers)


if __name__ == "__main__":
    main()
