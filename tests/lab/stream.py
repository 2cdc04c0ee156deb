#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A small stream over one TCP connection, and the longest time in which nothing of it came back.

  stream.py PORT [--interval-ms 5]

Runs on the server; whoever connects echoes what it gets (nc with its input and output on one FIFO). A
numbered message goes out every interval, whatever comes back. Commands on stdin, a line of JSON each:

  wait      until a client is connected
  mark      figures count from here
  figures   since the mark: messages, the longest gap between two echoes, when it began
  quit      (or the end of stdin)

"connections" says how many clients have connected since the start, "alive" whether the present one
still is: a stream that goes on is the same connection.
"""
import argparse
import json
import selectors
import socket
import struct
import sys
import time

MESSAGE = struct.Struct("!Q")
ANSWER_MS = 1000  # an echo that is younger than this is no news yet


class Stream:
    def __init__(self, port, interval):
        self.interval = interval
        self.listener = socket.create_server(("0.0.0.0", port))
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.selector.register(sys.stdin, selectors.EVENT_READ)
        self.peer, self.connections, self.broken = None, 0, 0
        self.sent = self.echoed = 0
        self.waiting = False
        self.reset()

    def reset(self):
        """A mark: counts begin again, the gap counts from the last echo."""
        self.since = getattr(self, "since", None) or time.time()
        self.opened = time.time()
        self.gap, self.gap_from = 0.0, self.since
        self.sent_at_mark, self.echoed_at_mark = self.sent, self.echoed
        self.rtts = []

    def say(self, **facts):
        print(json.dumps(facts), flush=True)

    def accept(self):
        peer, _ = self.listener.accept()
        if self.peer is not None:
            self.drop()
        self.connections += 1
        self.peer, self.input, self.output = peer, b"", b""
        self.times = {}
        self.sent = self.echoed = self.sent_at_mark = self.echoed_at_mark = 0
        self.since = self.next = time.time()
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(peer, selectors.EVENT_READ)
        if self.waiting:
            self.waiting = False
            self.say(event="connected", connections=self.connections)

    def drop(self):
        self.selector.unregister(self.peer)
        self.peer.close()
        self.peer = None
        self.broken += 1

    def send(self, now):
        """What is due; what the socket does not take waits here."""
        while self.next <= now:
            self.times[self.sent] = now
            self.output += MESSAGE.pack(self.sent)
            self.sent += 1
            self.next += self.interval
        try:
            if self.output:
                self.output = self.output[self.peer.send(self.output):]
        except BlockingIOError:
            pass
        except OSError:
            self.drop()

    def end_gap(self, now):
        if now - self.since > self.gap:
            self.gap, self.gap_from = now - self.since, self.since

    def receive(self):
        try:
            data = self.peer.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        now = time.time()
        if not data:
            self.drop()
            return
        self.input += data
        whole = len(self.input) // MESSAGE.size * MESSAGE.size
        for number, in MESSAGE.iter_unpack(self.input[:whole]):
            if number != self.echoed:
                self.say(event="damaged", want=self.echoed, got=number)
            self.rtts.append(now - self.times.pop(self.echoed, now))
            self.echoed += 1
        self.input = self.input[whole:]
        if whole:
            self.end_gap(now)
            self.since = now

    def figures(self):
        now = time.time()
        if self.peer is None or now - self.since > ANSWER_MS / 1000:
            self.end_gap(now)
        rtts = sorted(self.rtts)
        self.say(event="figures", connections=self.connections, alive=self.peer is not None,
                 answering=now - self.since < ANSWER_MS / 1000, seconds=round(now - self.opened, 3),
                 sent=self.sent - self.sent_at_mark, echoed=self.echoed - self.echoed_at_mark,
                 gap_ms=round(self.gap * 1000, 1), gap_from=round(self.gap_from, 6),
                 rtt_ms={"median": round(rtts[len(rtts) // 2] * 1000, 2),
                         "max": round(rtts[-1] * 1000, 2)} if rtts else None)

    def command(self):
        """False at the end."""
        line = sys.stdin.readline()
        word = line.strip()
        if word == "wait":
            self.waiting = self.peer is None
            if not self.waiting:
                self.say(event="connected", connections=self.connections)
        elif word == "mark":
            self.reset()
            self.say(event="mark", at=self.opened)
        elif word == "figures":
            self.figures()
        elif not line or word == "quit":
            return False
        else:
            self.say(event="refused", line=word)
        return True

    def run(self):
        while True:
            wait = max(0, self.next - time.time()) if self.peer else None
            for key, _ in self.selector.select(wait):
                if key.fileobj is self.listener:
                    self.accept()
                elif key.fileobj is self.peer:
                    self.receive()
                elif key.fileobj is sys.stdin and not self.command():
                    return
            if self.peer is not None:
                self.send(time.time())


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("port", type=int)
    p.add_argument("--interval-ms", type=float, default=5)
    args = p.parse_args()
    Stream(args.port, args.interval_ms / 1000).run()


main()
