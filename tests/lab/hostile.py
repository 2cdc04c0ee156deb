#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile PPTP peers for test-attack.sh, which runs them in the client's namespace.

  hostile.py ATTACK [ARGUMENT]    prints one line of JSON; the attacks are the functions below
"""
import json
import os
import select
import socket
import struct
import sys
import time

VIP = "198.51.100.10"
MAGIC = 0x1A2B3C4D
SCCRQ, SCCRP, ECHO_RQ, OCRQ, OCRP, CCRQ = 1, 2, 5, 7, 8, 12
LCP, CCP = 0xC021, 0x80FD


def message(kind, body):
    return struct.pack("!HHIHH", 12 + len(body), 1, MAGIC, kind, 0) + body


def sccrq():
    return message(SCCRQ, struct.pack("!HHIIHH", 0x0100, 0, 3, 3, 0, 0) + bytes(128))


def echo(n):
    return message(ECHO_RQ, struct.pack("!I", n))


def ocrq(call):
    return message(OCRQ, struct.pack("!HHIIIIHH", call, 1, 2400, 10**8, 3, 3, 64, 0) + bytes(132))


def ccrq(call):
    return message(CCRQ, struct.pack("!HH", call, 0))


class Control:
    """One control connection; source None = the client's own address."""

    def __init__(self, source=None, receive_buffer=None, start=True):
        self.s = socket.socket()
        if receive_buffer:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.s.bind((source, 0))
        self.s.settimeout(5)
        self.s.connect((VIP, 1723))
        self.have = b""
        if start:
            self.s.sendall(sccrq())
            self.expect(SCCRP)

    def next(self):
        """(type, message) or None at the end of the stream."""
        while len(self.have) < 2 or len(self.have) < struct.unpack("!H", self.have[:2])[0]:
            try:
                more = self.s.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                return None
            self.have += more
        size = struct.unpack("!H", self.have[:2])[0]
        got, self.have = self.have[:size], self.have[size:]
        return struct.unpack("!H", got[8:10])[0], got

    def expect(self, kind):
        while (got := self.next()) is not None:
            if got[0] == kind:
                return got[1]
        raise ConnectionError("closed by the gateway")

    def call(self, number=1):
        """The gateway's call id, 0 = refused."""
        self.s.sendall(ocrq(number))
        reply = self.expect(OCRP)
        return struct.unpack("!H", reply[12:14])[0] if reply[16] == 1 else 0


class Gre:
    def __init__(self, source="198.51.100.100"):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 47)
        self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.s.bind((source, 0))
        self.s.connect((VIP, 0))

    def send(self, call, seq, payload):
        self.s.send(struct.pack("!HHHHI", 0x3001, 0x880B, len(payload), call, seq) + payload)

    def ppp(self, call, seq, protocol, payload):
        self.send(call, seq, struct.pack("!HH", 0xFF03, protocol) + payload)

    def drain(self, seconds):
        """(packets, bytes with IP header) that arrive."""
        packets = octets = 0
        end = time.monotonic() + seconds
        while select.select([self.s], [], [], max(0, end - time.monotonic()))[0]:
            octets += len(self.s.recv(65535))
            packets += 1
        return packets, octets


def cp(code, ident, body=b""):
    return struct.pack("!BBH", code, ident, 4 + len(body)) + body


def alive(patience=3):
    """Milliseconds that a newcomer's set-up of a call takes, None if it fails."""
    begin = time.monotonic()
    try:
        c = Control()
        c.s.settimeout(patience)
        ok = c.call() != 0
        c.s.close()
    except OSError:
        return None
    return round((time.monotonic() - begin) * 1000, 1) if ok else None


def echoes(c, most):
    """Sends Echo-Requests and reads no reply; how many until the gateway hangs up."""
    for n in range(0, most, 50):
        try:
            c.s.sendall(b"".join(echo(n + i) for i in range(50)))
        except OSError:
            return n
        time.sleep(0.001)
    return most


def deaf_client(calls=64):
    """Reads nothing, and has its calls end by themselves, until a Disconnect-Notify does not fit."""
    gre = Gre()
    c = Control(receive_buffer=2048)
    ids = [c.call(n) for n in range(1, calls + 1)]
    limit = echoes(c, 400000)  # as much as the gateway keeps for us
    for back in range(50, 450, 100):
        c = Control(receive_buffer=2048)
        ids = [c.call(n) for n in range(1, calls + 1)]
        echoes(c, limit - back)
        time.sleep(0.05)
        for call in filter(None, ids):
            gre.ppp(call, 0, LCP, cp(7, 1, cp(1, 1)))  # Code-Reject of Configure-Request
            time.sleep(0.001)
        took = alive()
        if took is None:
            break
    return {"calls": sum(map(bool, ids)), "limit": limit, "newcomer_ms": took}


def watch(seconds):
    """Newcomers while an attack goes on: how many fail, and the median and worst set-up, in ms."""
    times = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        times.append(alive())
        time.sleep(0.05)
    good = sorted(t for t in times if t is not None)
    return {"newcomers": len(times), "failed": len(times) - len(good),
            "median_ms": good[len(good) // 2] if good else None, "worst_ms": good[-1] if good else None}


def while_running(attack, seconds):
    """Runs attack(end) in a child of ours; what newcomers see, and what the child returns."""
    end = time.monotonic() + seconds
    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.write(theirs, json.dumps(attack(end)).encode())
        os._exit(0)
    time.sleep(0.2)
    seen = watch(seconds - 0.4)
    os.wait()
    return {**seen, "attack": json.loads(os.read(ours, 65536))}


def churn(seconds=3):
    """Opens and clears calls as fast as one connection takes them."""
    def attack(end):
        c = Control()
        c.s.settimeout(0.5)
        n = octets = 0
        while time.monotonic() < end:
            try:
                c.s.sendall(b"".join(ocrq(n + i & 0xFFFF) + ccrq(n + i & 0xFFFF) for i in range(50)))
                n += 50
                while select.select([c.s], [], [], 0)[0]:
                    octets += len(c.s.recv(1 << 20)) or 1 / 0
            except (OSError, ZeroDivisionError):
                c = Control()
        return {"calls": n, "reply_octets": octets}
    return while_running(attack, seconds)


def frames(seconds=3, size=1400, calls=1):
    """Floods calls with LCP frames of an unknown code, each of which asks for an answer."""
    def attack(end):
        c, gre = Control(), Gre()
        ids = [c.call(n) for n in range(1, calls + 1)]
        n = 0
        while time.monotonic() < end:
            for call in ids:
                gre.ppp(call, n, LCP, cp(99, n & 255, bytes(size)))
            n += 1
        return {"frames": n * calls, "answers": gre.drain(0.1)}
    return while_running(attack, seconds)


def readable(s):
    p = select.poll()
    p.register(s, select.POLLIN)
    return bool(p.poll(0))


def hold(count, start=0, seconds=3):
    """Opens connections and keeps them, started or silent; what a newcomer sees meanwhile."""
    import resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held, refused = [], 0
    begin = time.monotonic()
    for n in range(count):
        try:
            held.append(Control(f"198.18.{n // 250 % 250}.{n % 250 + 1}", start=bool(start)))
        except OSError:
            refused += 1
    took = time.monotonic() - begin
    seen = watch(seconds)
    ended = sum(readable(c.s) for c in held)
    return {"held": len(held), "refused": refused, "seconds": round(took, 2), "ended": ended, **seen}


def storm(seconds=3):
    """Connections that are reset or closed at once, at every step of their life."""
    def attack(end):
        n = errors = 0
        while time.monotonic() < end:
            try:
                c = Control(f"198.18.0.{n % 250 + 1}", start=n % 5 > 0)
                if n % 5 == 2:
                    c.s.sendall(ocrq(1) + ccrq(1) + ocrq(2))
                elif n % 5 == 3:
                    c.call()
                elif n % 5 == 4:
                    c.s.sendall(ocrq(1) + echo(1)[:7])
                if n % 2:
                    c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.s.close()
            except OSError:
                errors += 1
            n += 1
        return {"connections": n, "errors": errors}
    return while_running(attack, seconds)


def slow(count=200, seconds=14):
    """Clients that send their first message byte by byte: none may outlive the time for it."""
    held = [Control(f"198.18.0.{n % 250 + 1}", start=False) for n in range(count)]
    begin, ended, at = time.monotonic(), 0, None
    for n in range(seconds * 2):
        for c in held:
            try:
                c.s.send(sccrq()[n:n + 1])
            except OSError:
                pass
        time.sleep(0.5)
        ended = sum(map(lambda c: readable(c.s), held))
        if ended == count and at is None:
            at = round(time.monotonic() - begin, 1)
    return {"held": count, "ended": ended, "seconds": at}


def amplify():
    """One GRE packet at a time, as anybody might forge it: the most that one of them elicits."""
    def option(kind, data=b""):
        return bytes([kind, len(data) + 2]) + data

    gre, c = Gre(), Control()
    packets = [(LCP, cp(9, 1, bytes(1400))), (LCP, cp(99, 1)), (LCP, cp(99, 1, bytes(8))),
               (LCP, cp(1, 1)), (LCP, cp(1, 1, option(5, bytes(4)))),
               (LCP, cp(1, 1, option(99) * 600)), (LCP, cp(1, 1, option(1, b"\0\1") * 300)),
               (LCP, cp(5, 1)), (CCP, cp(1, 1, option(18) * 700)), (0x4001, b"x")]
    worst = {"packets": 0, "ratio": 0}
    for n, (protocol, payload) in enumerate(packets):
        call = c.call(n + 1)
        gre.drain(0.05)
        gre.ppp(call, 0, protocol, payload)
        got, octets = gre.drain(0.25)
        worst["packets"] = max(worst["packets"], got)
        worst["ratio"] = max(worst["ratio"], round(octets / (36 + len(payload)), 2))
        c.s.sendall(ccrq(n + 1))
    return worst


def main():
    name = sys.argv[1]
    print(json.dumps(globals()[name.replace("-", "_")](*map(int, sys.argv[2:]))))


if __name__ == "__main__":
    main()
