#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Hand-made packets for test-firewall.sh.

  packets.py send IFACE MAC PACKET ...    sends Ethernet frames to MAC, then prints what arrives on
                                          any interface within WAIT seconds (environment, 0.3)
  packets.py listen ADDRESS               PPTP listener that marks sockets as the daemon does; reads
                                          commands on stdin: close (mark closing first), quit
  packets.py icmp SRC DST CODE            destination-unreachable from a raw socket
  packets.py dial SRC DST                 connects to DST:1723, prints what happens until stdin ends

PACKET is KEY=VALUE words joined by commas, for example
  tcp,src=198.51.100.100,dst=198.51.100.10,dport=1723,flags=S,n=20
  gre,src=...,dst=...,call=0x1234,word=0x3001880b,len=12
  udp|icmp|vrrp,src=...,dst=...
"""
import os
import select
import socket
import struct
import sys
import time

MARK_LISTENER, MARK_CALL, MARK_CLOSING = 0x70701723, 0x70701724, 0x70701725
PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "gre": 47, "vrrp": 112}
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}
NAMES = {number: name for name, number in PROTOCOLS.items()}


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def transport(kind, v):
    """Header and payload; the checksum field's offset, or None; whether it needs a pseudo-header."""
    sport, dport = int(v.get("sport", 40000)), int(v.get("dport", 0))
    if kind == "tcp":
        flags = sum(FLAGS[f] for f in v.get("flags", "S"))
        options = struct.pack("!BBH", 2, 4, 1460) if flags & FLAGS["S"] else b""
        return struct.pack("!HHIIBBHHH", sport, dport, 1000, 2000 if flags & 16 else 0,
                           (20 + len(options)) << 2, flags, 8192, 0, 0) + options, 16, True
    if kind == "udp":
        return struct.pack("!HHHH", sport, dport, 12, 0) + b"ping", 6, True
    if kind == "icmp":
        return struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"ping", 2, False
    if kind == "gre":
        body = struct.pack("!IHHII", int(v.get("word", "0x3001880b"), 0), 0,
                           int(v.get("call", "0"), 0), 1, 1)
        return body[:int(v.get("len", 12))], None, False
    return b"\x31\x33\xfa\x00" + b"\0" * 8, None, False


def frames(text):
    words = text.split(",")
    v = dict(word.split("=") for word in words[1:])
    for i in range(int(v.get("n", 1))):
        v["sport"] = int(v.get("sport", 40000)) + (1 if i else 0)
        body, at, pseudo = transport(words[0], v)
        src, dst = socket.inet_aton(v["src"]), socket.inet_aton(v["dst"])
        number = PROTOCOLS[words[0]]
        if at is not None:
            head = src + dst + struct.pack("!BBH", 0, number, len(body)) if pseudo else b""
            body = body[:at] + struct.pack("!H", checksum(head + body)) + body[at + 2:]
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), i, 0, 64, number, 0, src, dst)
        yield ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + body


def describe(interface, ip):
    body = ip[(ip[0] & 15) * 4:]
    kind = NAMES.get(ip[9], str(ip[9]))
    text = "%s %s %s>%s ttl=%d" % (interface, kind, socket.inet_ntoa(ip[12:16]),
                                   socket.inet_ntoa(ip[16:20]), ip[8])
    if kind in ("tcp", "udp"):
        text += " sport=%d dport=%d" % struct.unpack("!HH", body[:4])
    if kind == "tcp":
        text += " flags=" + "".join(f for f in FLAGS if body[13] & FLAGS[f])
        if body[12] >> 4 > 5 and body[20] == 2:
            text += " mss=%d" % struct.unpack("!H", body[22:24])
    if kind == "icmp":
        text += " type=%d code=%d" % (body[0], body[1])
    return text


def send(interface, mac, *packets):
    s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    address = (interface, 0x0800, 0, 0, bytes.fromhex(mac.replace(":", "")))
    for text in packets:
        for frame in frames(text):
            s.sendto(frame, address)
    end = time.monotonic() + float(os.environ.get("WAIT", "0.3"))
    while select.select([s], [], [], max(0, end - time.monotonic()))[0]:
        data, where = s.recvfrom(65535)
        if where[2] != 4:  # PACKET_OUTGOING
            print(describe(where[0], data), flush=True)


def listen(address):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK_LISTENER)
    listener.bind((address, 1723))
    listener.listen(16)
    print("listening", flush=True)
    calls = []
    while True:
        for ready in select.select([listener, sys.stdin], [], [])[0]:
            if ready is listener:
                call = listener.accept()[0]
                call.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK_CALL)
                calls.append(call)
                print("accepted", flush=True)
            elif sys.stdin.readline().strip() != "close":
                return
            else:
                for call in calls:
                    call.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK_CLOSING)
                    call.close()
                calls = []


def dial(src, dst):
    s = socket.socket()
    s.bind((src, 0))
    s.settimeout(3)
    try:
        s.connect((dst, 1723))
        print("connected", flush=True)
        while select.select([s, sys.stdin], [], [])[0] == [s]:
            if not s.recv(100):
                print("end", flush=True)
                return
    except OSError as e:
        print(type(e).__name__, flush=True)


def icmp(src, dst, code):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    s.bind((src, 0))
    body = struct.pack("!BBHHH", 3, int(code), 0, 0, 1300) + b"\x45" + b"\0" * 27
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    try:
        s.sendto(body, (dst, 0))
    except PermissionError:  # what a dropping output chain says
        print("refused")


if __name__ == "__main__":
    {"send": send, "listen": listen, "dial": dial, "icmp": icmp}[sys.argv[1]](*sys.argv[2:])
