#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Broken PPTP servers for test-probe.sh, one on each loopback address, in one process.

  broken.py [FIRST]     listens on 127.0.1.FIRST and following, says a line KIND ADDRESS for each, runs
                        until it is killed

Every server is a kind of what can be wrong; all but the last know the user alice, password secret.
"""
import hashlib
import os
import socket
import struct
import sys
import threading

MAGIC = 0x1A2B3C4D
SCCRQ, SCCRP, STOP_RQ, STOP_RP, OCRQ, OCRP, CCRQ = 1, 2, 3, 4, 7, 8, 12
LCP, CHAP, CCP, IPCP = 0xC021, 0xC223, 0x80FD, 0x8021
REQ, ACK, NAK, REJ, TERM, TERM_ACK, PROTO_REJ = 1, 2, 3, 4, 5, 6, 8
PASSWORD = "secret"


# --- what a server that is broken late must know: RFC 2759 ------------------

def md4(data):
    def left(x, n):
        x &= 0xFFFFFFFF
        return (x << n | x >> (32 - n)) & 0xFFFFFFFF

    rounds = (
        (lambda x, y, z: x & y | ~x & z, 0, range(16), (3, 7, 11, 19)),
        (lambda x, y, z: x & y | x & z | y & z, 0x5A827999,
         [i // 4 + i % 4 * 4 for i in range(16)], (3, 5, 9, 13)),
        (lambda x, y, z: x ^ y ^ z, 0x6ED9EBA1,
         [int(f"{i:04b}"[::-1], 2) for i in range(16)], (3, 9, 11, 15)),
    )
    data += b"\x80" + bytes((55 - len(data)) % 64) + struct.pack("<Q", len(data) * 8)
    h = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    for at in range(0, len(data), 64):
        words = struct.unpack("<16I", data[at:at + 64])
        a, b, c, d = h
        for function, constant, order, shifts in rounds:
            for i, word in enumerate(order):
                a, b, c, d = d, left(a + function(b, c, d) + words[word] + constant, shifts[i % 4]), b, c
        h = [(x + y) & 0xFFFFFFFF for x, y in zip(h, (a, b, c, d))]
    return struct.pack("<4I", *h)


def authenticator(challenge, response, name):
    """What proves that the server knows the password too."""
    peer, nt = response[:16], response[24:48]
    twice = md4(md4(PASSWORD.encode("utf-16-le")))
    first = hashlib.sha1(twice + nt + b"Magic server to client signing constant").digest()
    hashed = hashlib.sha1(peer + challenge + name).digest()[:8]
    last = hashlib.sha1(first + hashed + b"Pad to make it do more than one iteration").digest()
    return b"S=" + last.hex().upper().encode()


# --- a server; the kinds change single steps of it --------------------------

class Server:
    """One call of one client, at an address of its own. Raises OSError when the client is gone."""
    auth = struct.pack("!HB", CHAP, 0x81)
    gre = True

    def __init__(self, address):
        self.address = address
        self.lock = threading.Lock()
        self.listener = socket.create_server((address, 1723))
        self.raw = self.call = None
        if self.gre:
            self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
            self.raw.bind((address, 0))

    def run(self):
        if self.raw:
            threading.Thread(target=self.listen_gre, daemon=True).start()
        while True:
            self.control, (self.peer, _port) = self.listener.accept()
            self.control.settimeout(20)
            self.seq, self.call, self.challenge = 0, None, os.urandom(16)
            try:
                self.greet()
                self.serve()
            except OSError:
                pass
            self.control.close()

    def greet(self):
        pass

    def serve(self):
        while True:
            head = self.read(12)
            length, _one, _magic, kind = struct.unpack("!HHIH", head[:10])
            self.on_control(kind, self.read(length - 12))

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.control.recv(n - len(data))
            if not more:
                raise OSError("closed")
            data += more
        return data

    def tell(self, kind, body):
        self.control.sendall(struct.pack("!HHIHH", 12 + len(body), 1, MAGIC, kind, 0) + body)

    def on_control(self, kind, body):
        if kind == SCCRQ:
            self.on_start()
        elif kind == OCRQ:
            self.call = struct.unpack("!H", body[:2])[0]
            self.on_call()
        elif kind == STOP_RQ:
            self.tell(STOP_RP, struct.pack("!BBH", 1, 0, 0))

    def on_start(self, result=1):
        self.tell(SCCRP, struct.pack("!HBBIIHH", 0x0100, result, 0, 3, 3, 1, 1) + b"broken".ljust(64, b"\0") +
                  type(self).__name__.encode().ljust(64, b"\0"))

    def on_call(self, result=1):
        self.tell(OCRP, struct.pack("!HHBBHIHHI", 9, self.call, result, 0, 0, 10 ** 8, 64, 0, 0))
        if result == 1:
            self.begin_link()

    def begin_link(self):
        self.ppp(LCP, REQ, 1, b"\x05\x06" + os.urandom(4) +
                 (struct.pack("!BB", 3, 2 + len(self.auth)) + self.auth if self.auth else b""))

    def listen_gre(self):
        while True:
            packet = self.raw.recv(2048)[20:]
            if self.call is None or len(packet) < 8 or not packet[0] & 0x10 or packet[6:8] != b"\0\x09":
                continue
            at = 12 + (4 if packet[1] & 0x80 else 0)
            frame = packet[at:]
            if frame[:2] == b"\xff\x03":
                frame = frame[2:]
            if len(frame) >= 6:
                protocol, code, ident, length = struct.unpack("!HBBH", frame[:6])
                try:
                    self.on_ppp(protocol, code, ident, frame[6:2 + length])
                except OSError:
                    pass

    def ppp(self, protocol, code, ident, body=b""):
        frame = struct.pack("!HHBBH", 0xFF03, protocol, code, ident, 4 + len(body)) + body
        with self.lock:
            self.raw.sendto(struct.pack("!HHHHI", 0x3001, 0x880B, len(frame), self.call, self.seq) + frame,
                            (self.peer, 0))
            self.seq += 1

    def on_ppp(self, protocol, code, ident, body):
        if protocol == LCP and code == REQ:
            self.ppp(LCP, ACK, ident, body)
        elif protocol == LCP and code == ACK:
            self.on_link()
        elif protocol == LCP and code == TERM:
            self.ppp(LCP, TERM_ACK, ident)
        elif protocol == CHAP and code == 2:
            self.on_response(ident, body[1:50], body[50:])
        elif protocol == CCP:
            self.on_ccp(code, ident, body)
        elif protocol == IPCP:
            self.on_ipcp(code, ident, body)

    def on_link(self):
        self.ppp(CHAP, 1, 1, b"\x10" + self.challenge + b"broken")

    def on_response(self, ident, response, name):
        self.ppp(CHAP, 3, ident, authenticator(self.challenge, response, name) + b" M=welcome")
        self.after_auth()

    def after_auth(self):
        self.ppp(CCP, REQ, 1, struct.pack("!BBI", 18, 6, 0x01000040))

    def on_ccp(self, code, ident, body):
        if code == REQ:
            self.ppp(CCP, ACK, ident, body)

    def on_ipcp(self, code, ident, body):
        pass


# --- the kinds ---------------------------------------------------------------

class Ssh(Server):
    gre = False

    def greet(self):
        self.control.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")


class Http(Server):
    """Says nothing until it is spoken to, and then what it thinks of that."""
    gre = False

    def serve(self):
        self.control.recv(200)
        self.control.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


class Mute(Server):
    gre = False

    def on_control(self, kind, body):
        pass


class Closes(Server):
    gre = False

    def on_start(self, result=1):
        raise OSError("enough")


class Resets(Server):
    """In the middle: after the Start-Request, with RST."""
    gre = False

    def on_start(self, result=1):
        self.control.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise OSError("enough")


class RefusesStart(Server):
    gre = False

    def on_start(self, result=1):
        super().on_start(4)


class RefusesCall(Server):
    gre = False

    def on_call(self, result=1):
        super().on_call(4)


class CallMute(Server):
    gre = False

    def on_call(self, result=1):
        pass


class NoGreSocket(Server):
    """The kernel answers our GRE: protocol unreachable."""
    gre = False

    def begin_link(self):
        pass


class NoPpp(Server):
    def begin_link(self):
        raise OSError("no PPP")


class GreFiltered(Server):
    def begin_link(self):
        pass

    def on_ppp(self, protocol, code, ident, body):
        pass


class GreOneWay(Server):
    def on_ppp(self, protocol, code, ident, body):
        pass


class Elsewhere(Server):
    """Answers with another address of its host."""

    def begin_link(self):
        own, self.raw = self.raw, socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
        self.raw.bind(("127.0.3.1", 0))
        super().begin_link()
        self.raw = own

    def on_ppp(self, protocol, code, ident, body):
        pass


class WrongCall(Server):
    def begin_link(self):
        self.call ^= 1
        super().begin_link()

    def on_ppp(self, protocol, code, ident, body):
        pass


class Pap(Server):
    auth = struct.pack("!H", 0xC023)


class Eap(Server):
    auth = struct.pack("!H", 0xC227)


class NoAuth(Server):
    auth = b""


class NoChallenge(Server):
    def on_link(self):
        pass


class NoVerdict(Server):
    def on_response(self, ident, response, name):
        pass


class WrongPassword(Server):
    def on_response(self, ident, response, name):
        self.ppp(CHAP, 4, ident, b"E=691 R=0 C=" + b"0" * 32 + b" V=3 M=no")


class Disabled(Server):
    def on_response(self, ident, response, name):
        self.ppp(CHAP, 4, ident, b"E=647 R=0 C=" + b"0" * 32 + b" V=3 M=disabled")


class FalseServer(Server):
    def on_response(self, ident, response, name):
        self.ppp(CHAP, 3, ident, b"S=" + b"0123456789" * 4 + b" M=welcome")


class RejectsMppe(Server):
    def after_auth(self):
        pass

    def on_ccp(self, code, ident, body):
        if code == REQ:
            self.ppp(LCP, PROTO_REJ, 7, struct.pack("!HBBH", CCP, code, ident, 4 + len(body)) + body)


class FortyBits(Server):
    def after_auth(self):
        self.ppp(CCP, REQ, 1, struct.pack("!BBI", 18, 6, 0x01000020))

    def on_ccp(self, code, ident, body):
        if code == REQ:
            self.ppp(CCP, NAK, ident, struct.pack("!BBI", 18, 6, 0x01000020))
        elif code == NAK:
            self.after_auth()


class CcpMute(Server):
    def after_auth(self):
        pass

    def on_ccp(self, code, ident, body):
        pass


class PoolEmpty(Server):
    def on_ipcp(self, code, ident, body):
        self.ppp(LCP, TERM, 9, b"no-address")


class IpcpMute(Server):
    pass


KINDS = (Ssh, Http, Mute, Closes, Resets, RefusesStart, RefusesCall, CallMute, NoGreSocket, NoPpp,
         GreFiltered, GreOneWay, Elsewhere, WrongCall, Pap, Eap, NoAuth, NoChallenge, NoVerdict,
         WrongPassword, Disabled, FalseServer, RejectsMppe, FortyBits, CcpMute, PoolEmpty, IpcpMute)


def main():
    first = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for i, kind in enumerate(KINDS):
        server = kind(f"127.0.1.{first + i}")
        threading.Thread(target=server.run, daemon=True).start()
        print(kind.__name__, server.address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
