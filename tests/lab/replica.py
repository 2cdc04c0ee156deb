#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the scripts about the replica stream need beside the pair's own programs.

  replica.py watch ROOT        follows a gateway's daemon: one line of JSON for each change of the stream's
                               state; at a line on stdin the most that its figures came to
  replica.py wrong ROOT KIND   connects to replica.sock and errs in one way, one of WRONG below; ends when the
                               daemon has closed the stream, and prints after how many milliseconds

The one that errs is clean and of no higher epoch, and applies nothing: it must not change what the real
two believe of each other.
"""
import json
import os
import select
import socket
import struct
import sys
import time

HELLO, BEGIN, END, CONNECTION, SESSION, GONE_CONNECTION, GONE_SESSION, MARKS, COUNTERS, APPLIED, FAILED, \
    BEAT = range(1, 13)
VERSIONS, NODE, ROLE, CLEAN, CUT, SIZE, RECORD, ID, ENTRIES, SEQUENCE = range(1, 11)
STEP_S = 0.01


# --- watch ------------------------------------------------------------------

def ask(path, cmd):
    """None from a daemon that is gone, hangs or starts."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(0.5)
            s.connect(path)
            s.sendall(json.dumps({"v": 1, "id": 1, "cmd": cmd}).encode() + b"\n")
            return json.loads(s.makefile("rb").readline()).get("data")
    except (OSError, ValueError):
        return None


def state_of(r):
    if r.get("state") == "standby":
        return "in-step" if r["in_step"] else "stale" if r["stale"] else "out-of-step"
    return r.get("state", "gone")


def watch(root):
    path = f"{root}/run/pptp-ha/pptpd.sock"
    most = {"lag_ms": 0, "at_risk": 0, "shorts": 0, "marks_asked": 0, "streams": 0}
    before = None
    print(json.dumps({"event": "watching"}), flush=True)
    while not select.select([sys.stdin], [], [], STEP_S)[0]:
        data = ask(path, "replica")
        r = data["replica"] if data else {}
        for name, value in most.items():
            most[name] = max(value, r.get(name, 0))
        if state_of(r) != before:
            before = state_of(r)
            print(json.dumps({"event": "state", "at": time.time(), "state": before,
                              "at_risk": r.get("at_risk")}), flush=True)
    print(json.dumps({"event": "most", **most}), flush=True)


# --- a peer that errs -------------------------------------------------------

def field(tag, value):
    return struct.pack("!HH", tag, len(value)) + value


class Peer:
    """Our end of a stream; the opposite of the daemon's role."""

    def __init__(self, root):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(5)
        self.s.connect(f"{root}/run/pptp-ha/replica.sock")
        self.have = b""
        self.sequence = 0
        kind, self.epoch, fields = self.next()
        assert kind == HELLO, kind
        self.serves = self.value(fields, ROLE)[0] == 0

    @staticmethod
    def value(fields, wanted):
        while fields:
            tag, size = struct.unpack("!HH", fields[:4])
            if tag == wanted:
                return fields[4:4 + size]
            fields = fields[4 + size:]
        raise ValueError(f"no field {wanted}")

    def next(self):
        """(type, epoch, fields), or None at the end."""
        while len(self.have) < 4 or len(self.have) < 4 + struct.unpack("!I", self.have[:4])[0]:
            try:
                more = self.s.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                return None
            self.have += more
        size = 4 + struct.unpack("!I", self.have[:4])[0]
        got, self.have = self.have[:size], self.have[size:]
        kind, _, epoch, _ = struct.unpack("!HHQQ", got[4:24])
        return kind, epoch, got[24:]

    def frame(self, kind, fields=b"", epoch=None, step=1):
        """The next frame; step 1 is right, 0 repeats a number, 2 leaves one out."""
        self.sequence += step
        epoch = self.epoch if epoch is None else epoch
        return struct.pack("!IHHQQ", 20 + len(fields), kind, 0, epoch, self.sequence) + fields

    def say(self, *args, **kinds):
        self.s.sendall(self.frame(*args, **kinds))

    def hello(self, versions=(1, 1), epoch=None, serves=None, node=b"stranger"):
        serves = self.serves if serves is None else serves
        self.say(HELLO, field(VERSIONS, struct.pack("!HH", *versions)) + field(NODE, node) +
                 field(ROLE, struct.pack("!BI", serves, 4711)) +
                 field(CLEAN, struct.pack("!BQ", 1, 2**40)) + field(CUT, struct.pack("!Q", 1)), epoch=epoch)

    def until_end(self):
        """Reads what it says until it hangs up; milliseconds."""
        begin = time.monotonic()
        while self.next() is not None:
            pass
        return round((time.monotonic() - begin) * 1000)


def after_hello(act):
    def do(p):
        p.hello()
        act(p)
    return do


def truncated(p):
    p.s.sendall(p.frame(BEAT)[:-1])
    p.s.shutdown(socket.SHUT_WR)


WRONG = {
    # To either role.
    "noise": lambda p: p.s.sendall(os.urandom(64)),
    "nothing": lambda p: None,
    "version": lambda p: p.hello(versions=(60, 69)),
    "no-hello": lambda p: p.say(BEAT),
    "hello-truncated": lambda p: p.say(HELLO, field(VERSIONS, b"\0\1\0\1") + field(NODE, b"stranger")),
    "node-name": lambda p: p.hello(node=b"a\nb"),
    "hello-twice": after_hello(lambda p: p.hello()),
    "truncated": after_hello(truncated),
    "length": after_hello(lambda p: p.s.sendall(struct.pack("!I", 2**31) + bytes(40))),
    "field-length": after_hello(lambda p: p.say(MARKS, struct.pack("!HH", ENTRIES, 9) + b"x")),
    "replayed": after_hello(lambda p: p.say(BEAT, step=0)),
    "reordered": after_hello(lambda p: p.say(BEAT, step=2)),
    "unknown": after_hello(lambda p: p.say(99)),
    "mute": after_hello(lambda p: None),
    # To the one that serves.
    "epoch-of-another": lambda p: p.hello(serves=True, epoch=0),
    "equal-epoch": lambda p: p.hello(serves=True, node=b"zz"),
    "applied-ahead": after_hello(lambda p: p.say(APPLIED, field(SEQUENCE, struct.pack("!Q", 2**40)))),
    "applied-short": after_hello(lambda p: p.say(APPLIED, field(SEQUENCE, b"\0"))),
    "session-of-standby": after_hello(lambda p: p.say(SESSION, field(RECORD, bytes(200)))),
    # To the one that stands by.
    "hello-below": lambda p: p.hello(epoch=0),
    "beat-below": after_hello(lambda p: p.say(BEAT, epoch=0)),
    "applied-of-active": after_hello(lambda p: p.say(APPLIED, field(SEQUENCE, bytes(8)))),
    "session-none": after_hello(lambda p: p.say(SESSION, field(RECORD, b"no record at all"))),
    "connection-none": after_hello(lambda p: p.say(CONNECTION, field(RECORD, bytes(90)))),
    "marks-cut": after_hello(lambda p: p.say(MARKS, field(ENTRIES, bytes(20)))),
    "counters-cut": after_hello(lambda p: p.say(COUNTERS, field(ENTRIES, bytes(60)))),
    "begin-short": after_hello(lambda p: p.say(BEGIN, field(SIZE, bytes(3)))),
}


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "watch":
        watch(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == "wrong" and sys.argv[3] in WRONG:
        p = Peer(sys.argv[2])
        WRONG[sys.argv[3]](p)
        print(p.until_end())
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
