#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command on a terminal of its own: terminal.py COLUMNS ROWS SECONDS COMMAND...

What the command writes to the terminal goes to standard output as it is. If it still runs after SECONDS, or
when this program gets a SIGTERM, it gets a Ctrl-C, as from the keyboard. Exits as the command does.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

columns, rows, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
pid, master = pty.fork()
if pid == 0:
    # The size is set before the command looks.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    os.execvp(sys.argv[4], sys.argv[4:])
interrupt = time.monotonic() + seconds
interrupted = False


def hurry(_signal, _frame):
    global interrupt
    interrupt = time.monotonic()


signal.signal(signal.SIGTERM, hurry)
while True:
    now = time.monotonic()
    if now >= interrupt and not interrupted:
        os.write(master, b"\x03")
        interrupted = True
    if now >= interrupt + 10:
        os.kill(pid, 9)
    readable, _, _ = select.select([master], [], [], 0.1)
    if readable:
        try:
            data = os.read(master, 65536)
        except OSError:  # the other side is gone
            break
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
_, status = os.waitpid(pid, 0)
sys.exit(os.waitstatus_to_exitcode(status) % 256)
