#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A bad line between two interfaces of the namespace that it runs in, for kernels without netem.

impair.py A B [--delay MS] [--loss PERCENT] [--seed N]: carries every frame from A to B and back, MS later,
and loses PERCENT of them at random. The ports must have no bridge. Says "ready" when it carries, and at
SIGTERM {"carried":N,"lost":N,"refused":N} (refused = larger than the line takes: offloads are on).
"""
import argparse
import collections
import json
import random
import select
import signal
import socket
import sys
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
SO_RCVBUFFORCE = 33
FRAME_MAX = 65600


def port(name):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)
    s.bind((name, 0))
    s.setblocking(False)
    return s


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ports", nargs=2)
    parser.add_argument("--delay", type=float, default=20, help="ms, each way")
    parser.add_argument("--loss", type=float, default=1, help="percent, each way")
    parser.add_argument("--seed", type=int, default=1)
    o = parser.parse_args()
    chance = random.Random(o.seed)
    ends = [port(name) for name in o.ports]
    late = collections.deque()  # (when, to, frame), in order: every frame waits as long
    count = {"carried": 0, "lost": 0, "refused": 0}
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    print("ready", flush=True)
    while not stopped:
        wait = max(0, late[0][0] - time.monotonic()) if late else 0.1
        for end in select.select(ends, [], [], wait)[0]:
            to = ends[1 - ends.index(end)]
            while True:
                try:
                    frame = end.recv(FRAME_MAX)
                except BlockingIOError:
                    break
                if chance.random() * 100 < o.loss:
                    count["lost"] += 1
                else:
                    late.append((time.monotonic() + o.delay / 1000, to, frame))
        while late and late[0][0] <= time.monotonic():
            _, to, frame = late.popleft()
            try:
                to.send(frame)
                count["carried"] += 1
            except OSError:
                count["refused"] += 1
    print(json.dumps(count))
    return 0


if __name__ == "__main__":
    sys.exit(main())
