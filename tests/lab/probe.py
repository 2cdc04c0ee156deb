#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""When does a gateway serve? Runs in the client's namespace: probe.py ROOT MAC SECONDS

Dials the virtual address every 10 ms until the gateway with that MAC address answers a
Start-Control-Connection-Request, and asks the daemon below ROOT until it has a session. Prints
"ready", then a line of JSON with both times in seconds since 1970, null where SECONDS were not enough.
"""
import errno
import json
import re
import selectors
import socket
import struct
import sys
import time

VIP = ("198.51.100.10", 1723)
SCCRQ = struct.pack(">HHIHHHHIIHH64s64s", 156, 1, 0x1A2B3C4D, 1, 0, 0x100, 0, 3, 3, 0, 1, b"probe",
                    b"lab")
GIVE_UP = 1.0


def mac_of_vip():
    with open("/proc/self/net/arp", encoding="utf-8") as f:
        found = re.search(rf"^{re.escape(VIP[0])} .* (([0-9a-f]{{2}}:){{5}}[0-9a-f]{{2}}) ", f.read(), re.M)
    return found.group(1) if found else None


class Attempts:
    """Dials that are under way, oldest first."""

    def __init__(self, mac):
        self.mac, self.begun = mac, {}
        self.selector = selectors.DefaultSelector()

    def dial(self):
        s = socket.socket()
        s.setblocking(False)
        if s.connect_ex(VIP) not in (0, errno.EINPROGRESS):
            s.close()
            return
        self.begun[s] = time.time()
        self.selector.register(s, selectors.EVENT_WRITE)

    def drop(self, s):
        self.selector.unregister(s)
        del self.begun[s]
        s.close()

    def work(self, seconds):
        """True as soon as the right gateway has answered."""
        for key, events in self.selector.select(seconds):
            s = key.fileobj
            try:
                if events & selectors.EVENT_WRITE:
                    s.send(SCCRQ)
                    self.selector.modify(s, selectors.EVENT_READ)
                    continue
                answer = s.recv(156)
            except OSError:
                self.drop(s)
                continue
            self.drop(s)
            if answer[8:10] == b"\0\2" and mac_of_vip() == self.mac:
                return True
        for s in [s for s, begun in self.begun.items() if time.time() - begun > GIVE_UP]:
            self.drop(s)
        return False


def has_session(path):
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(0.5)
            s.connect(path)
            s.sendall(b'{"v":1,"id":1,"cmd":"status"}\n')
            data = json.loads(s.makefile("rb").readline())["data"]
    except (OSError, ValueError, KeyError):
        return False
    return data["role"] == "active" and data["sessions"] > 0


def main():
    path, mac, seconds = f"{sys.argv[1]}/run/pptp-ha/pptpd.sock", sys.argv[2], float(sys.argv[3])
    attempts = Attempts(mac)
    answers = session = None
    end = time.time() + seconds
    print("ready", flush=True)
    while time.time() < end and not (answers and session):
        tick = time.time() + 0.01
        if not answers:
            attempts.dial()
            while not answers and (left := tick - time.time()) > 0:
                if attempts.work(left):
                    answers = time.time()
        if not session and has_session(path):
            session = time.time()
        time.sleep(max(0, tick - time.time()))
    print(json.dumps({"answers": answers, "session": session}))


main()
