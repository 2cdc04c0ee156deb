#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""crumbs.py ROOT CALL [SECONDS]: kills the engine of the daemon below ROOT, by a SIGABRT to the thread that
has the session of this call id in hand at that moment, as its own breadcrumbs say. Prints the session's
id, how many looks it took, and when. The engine stands still while its crumbs are read.
"""
import ctypes
import json
import os
import re
import signal
import socket
import struct
import sys
import time

SLOT = 64
SLOTS = 17


def session_of(root, call):
    s = socket.socket(socket.AF_UNIX)
    s.connect(f"{root}/run/pptp-ha/pptpd.sock")
    s.sendall(json.dumps({"v": 1, "id": 1, "cmd": "sessions", "after": call - 1, "limit": 1}).encode() + b"\n")
    line = s.makefile().readline()
    found = json.loads(line)["data"]["sessions"]
    if not found or found[0]["call"] != call:
        sys.exit(f"no session has call id {call}")
    return found[0]["id"]


def engine_of(root):
    with open(f"{root}/run/pptp-ha/pptpd.pid") as f:
        monitor = int(f.read())
    with open(f"/proc/{monitor}/task/{monitor}/children") as f:
        return int(f.read().split()[0])


def page_of(pid):
    with open(f"/proc/{pid}/maps") as f:
        for line in f:
            if "memfd:pptpd-crumbs" in line:
                return int(re.match("[0-9a-f]+", line).group(), 16)
    sys.exit("the engine has no breadcrumbs")


def stands(pid):
    """All of its threads."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat") as f:
            if f.read().rsplit(")", 1)[1].split()[0] != "T":
                return False
    return True


def main():
    root, call = sys.argv[1], int(sys.argv[2])
    end = time.monotonic() + (float(sys.argv[3]) if len(sys.argv) > 3 else 20)
    session, pid = session_of(root, call), engine_of(root)
    page, memory = page_of(pid), os.open(f"/proc/{pid}/mem", os.O_RDONLY)

    def in_hand():
        """Session: thread."""
        bytes_ = os.pread(memory, SLOT * SLOTS, page)
        return dict(struct.unpack_from("<Qi", bytes_, i * SLOT) for i in range(SLOTS))

    looks = 0
    while time.monotonic() < end:
        if session not in in_hand():
            continue
        looks += 1
        os.kill(pid, signal.SIGSTOP)
        while not stands(pid):
            pass
        thread = in_hand().get(session)
        if thread is not None:
            ctypes.CDLL(None).tgkill(pid, thread, int(signal.SIGABRT))
            os.kill(pid, signal.SIGCONT)
            print(session, looks, f"{time.time():.3f}")
            return
        os.kill(pid, signal.SIGCONT)
    sys.exit(f"never in hand when looked at, {looks} looks")


main()
