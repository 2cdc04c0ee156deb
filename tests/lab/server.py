#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's API server: HTTPS on 443, HTTP on 80, UDP echo on 7000.

  GET /          a line of JSON that tells who asked
  GET /bytes/N   N bytes
  POST ANY       takes whatever comes and tells how much it was

Port 80 is there so that a test sees the firewall refuse it, not a missing listener.
"""
import json
import re
import socket
import socketserver
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOCK = bytes(range(256)) * 256


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "lab-api"
    sys_version = ""
    timeout = 120

    def answer(self, value):
        body = json.dumps(value).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        found = re.fullmatch(r"/bytes/(\d{1,11})", self.path)
        if not found:
            self.answer({"server": "lab-api", "you": self.client_address[0]})
            return
        left = int(found.group(1))
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(left))
        self.end_headers()
        while left > 0:
            piece = BLOCK[:left]
            self.wfile.write(piece)
            left -= len(piece)

    def do_POST(self):
        left = int(self.headers.get("Content-Length", 0))
        received = 0
        while left > 0 and (piece := self.rfile.read(min(left, len(BLOCK)))):
            received += len(piece)
            left -= len(piece)
        self.answer({"received": received})

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024

    def server_bind(self):
        """Without HTTPServer's look-up of the machine's own name: no name server answers in here."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is nothing to report."""


class TlsServer(Server):
    """The handshake happens in the connection's own thread: a silent client delays nobody."""

    def __init__(self, address, context):
        super().__init__(address, Handler)
        self.context = context

    def finish_request(self, request, client_address):
        request.settimeout(30)
        with self.context.wrap_socket(request, server_side=True) as tls:
            self.RequestHandlerClass(tls, client_address, self)


def echo():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.bind(("0.0.0.0", 7000))
    while True:
        data, peer = s.recvfrom(65535)
        try:
            s.sendto(data, peer)
        except OSError:
            pass


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    threading.Thread(target=echo, daemon=True).start()
    threading.Thread(target=Server(("0.0.0.0", 80), Handler).serve_forever, daemon=True).start()
    TlsServer(("0.0.0.0", 443), context).serve_forever()


if __name__ == "__main__":
    main()
