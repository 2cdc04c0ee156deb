#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""stop-thread.py PID NAME: stops that one thread of a process, as a tracer does, and holds it.

The rest of the process runs on, which no signal can do: a thread of the data plane that hangs. NAME is the
thread's (`data0`). Prints when it stands, in seconds since 1970, and waits to be ended; then it runs on.
"""
import ctypes
import glob
import os
import sys
import time

SEIZE, INTERRUPT = 0x4206, 0x4207
libc = ctypes.CDLL(None, use_errno=True)


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) < 0:
        error = ctypes.get_errno()
        sys.exit(f"ptrace {request:#x} of {tid}: {os.strerror(error)}")


def thread(pid, name):
    for task in glob.glob(f"/proc/{pid}/task/*"):
        with open(f"{task}/comm", encoding="ascii") as f:
            if f.read().strip() == name:
                return int(os.path.basename(task))
    sys.exit(f"process {pid} has no thread {name}")


def main():
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    tid = thread(sys.argv[1], sys.argv[2])
    ptrace(SEIZE, tid)
    ptrace(INTERRUPT, tid)
    os.waitpid(tid, 0x40000000)  # __WALL
    print(f"{time.time():.3f}", flush=True)
    try:
        # The tracee's end is told to us; until then it stands.
        os.waitpid(tid, 0x40000000)
    except (ChildProcessError, KeyboardInterrupt):
        pass


if __name__ == "__main__":
    main()
