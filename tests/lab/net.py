# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands below the lab's nodes: its state file, its processes, its namespaces and cables.

Every process that we start leads a session of its own and is recorded with its start time; we end
those processes, their sessions and their descendants, and nothing else.
"""
import json
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TOP, os.environ.get("PHA_BUILD", "build"))
PREFIX = os.environ.get("PHA_LAB_PREFIX", "pha")
RUN = os.environ.get("PHA_LAB_DIR", f"/run/{PREFIX}-lab")
STATE = f"{RUN}/state.json"


def open_to_all(path):
    """Whether every user may go through all folders down to path."""
    while path != "/":
        if not os.path.exists(path) or os.stat(path).st_mode & 0o001 == 0:
            return False
        path = os.path.dirname(path)
    return True


# The gateways' programs run from here, as copies. The pair's own user must reach them, and it cannot when
# the tree lies below /root, say; a second lab's must not bear the same path, for keepalived tells processes by
# their words, whatever namespace they are in; and a build must not disturb a lab. /run may be mounted noexec.
PROGRAMS = f"/var/tmp/{PREFIX}-lab"

SWITCHES = ("wan", "lan", "sync")
GATEWAYS = ("gw1", "gw2")
NODES = GATEWAYS + ("client", "client2", "server")
VIP = {"wan": "198.51.100.10/24", "lan": "192.168.1.1/24"}
# switch, node, MAC address, address; the interface has the switch's name, the port the node's
PORTS = (
    ("wan", "gw1", "02:00:00:00:01:01", "198.51.100.11/24"),
    ("wan", "gw2", "02:00:00:00:01:02", "198.51.100.12/24"),
    ("wan", "client", "02:00:00:00:01:64", "198.51.100.100/24"),
    ("wan", "client2", "02:00:00:00:01:65", "198.51.100.101/24"),
    ("lan", "gw1", "02:00:00:00:02:01", "192.168.1.2/24"),
    ("lan", "gw2", "02:00:00:00:02:02", "192.168.1.3/24"),
    ("lan", "server", "02:00:00:00:02:14", "192.168.1.20/24"),
    ("sync", "gw1", "02:00:00:00:03:01", "10.255.0.1/30"),
    ("sync", "gw2", "02:00:00:00:03:02", "10.255.0.2/30"),
)
GATEWAY_SYSCTLS = (
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.rp_filter=0",
    "net.ipv4.conf.default.rp_filter=0",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.default.send_redirects=0",
    "net.ipv4.conf.all.accept_redirects=0",
    "net.ipv4.conf.all.promote_secondaries=1",
)


class LabError(Exception):
    pass


def note(text):
    print(f"lab: {text}", file=sys.stderr, flush=True)


def run(*cmd, check=True):
    p = subprocess.run(cmd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    if check and p.returncode != 0:
        raise LabError(f"{' '.join(cmd)}: exit {p.returncode}\n{p.stdout.strip()}")
    return p


def ns(node):
    return f"{PREFIX}-{node}"


def ns_exists(node):
    return os.path.exists(f"/run/netns/{ns(node)}")


def in_ns(node, *cmd, **kw):
    return run("ip", "netns", "exec", ns(node), *cmd, **kw)


def ip(node, line):
    return run("ip", "-n", ns(node), *line.split())


def root(node):
    return f"{RUN}/{node}"


# --- state ------------------------------------------------------------------

def load():
    try:
        with open(STATE, encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return None


def save(state):
    with open(STATE + ".new", "w", encoding="utf-8") as f:
        json.dump(state, f, indent=1)
    os.rename(STATE + ".new", STATE)


def need_state():
    state = load()
    if state is None or not state.get("up"):
        raise LabError("the lab is not up")
    return state


# --- processes --------------------------------------------------------------

def proc_stat(pid):
    """(state, parent, session, start time) of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            rest = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return rest[0], int(rest[1]), int(rest[3]), int(rest[19])


def alive(proc):
    """Whether a recorded process still runs: same pid and same start time, no zombie."""
    stat = proc_stat(proc["pid"]) if proc else None
    return stat is not None and stat[3] == proc["start"] and stat[0] not in "ZX"


def family(procs):
    """Pids of the recorded processes, of their sessions and of their descendants.

    A session outlives its leader, and while it does, the kernel gives the leader's number to nobody
    else: a number that now belongs to a process with another start time has no session of ours.
    """
    table = {int(p): s for p in os.listdir("/proc") if p.isdigit() and (s := proc_stat(p))}
    known = {p["pid"]: p["start"] for p in procs}
    for pid in list(known):
        if pid in table and table[pid][3] != known[pid]:
            del known[pid]
    found = {pid for pid, s in table.items() if pid in known or s[2] in known}
    grew = True
    while grew:
        more = {pid for pid, s in table.items() if s[1] in found} - found
        found |= more
        grew = bool(more)
    return sorted(pid for pid in found if table[pid][0] not in "ZX")


def signal_all(pids, sig):
    for pid in pids:
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass


def wait_gone(procs, seconds):
    end = time.monotonic() + seconds
    while (left := family(procs)) and time.monotonic() < end:
        time.sleep(0.02)
    return left


def end_processes(procs):
    """SIGTERM for the recorded ones, which end their own children in order; SIGKILL for what stays."""
    procs = [p for p in procs if family([p])]
    if not procs:
        return
    # Who is there now: a child that leads a session of its own is nobody's when its parent is gone.
    everyone = [{"pid": pid, "start": stat[3]} for pid in family(procs) if (stat := proc_stat(pid))]
    signal_all([p["pid"] for p in everyone], signal.SIGCONT)
    signal_all([p["pid"] for p in procs if alive(p)], signal.SIGTERM)
    end = time.monotonic() + 3
    while any(alive(p) for p in procs) and time.monotonic() < end:
        time.sleep(0.02)
    everyone += procs
    signal_all(wait_gone(everyone, 0.3), signal.SIGKILL)
    left = wait_gone(everyone, 2)
    if left:
        note(f"still there after SIGKILL: {left}")


def start(state, node, name, *cmd, inside=True):
    """Start a program inside a node and record it. Its output goes to the node's log folder."""
    log = f"{root(node)}/var/log/{name}.log"
    prefix = ["ip", "netns", "exec", ns(node)] if inside else []
    with open(log, "ab") as out:
        p = subprocess.Popen([*prefix, *cmd], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                             start_new_session=True, cwd=root(node))
    stat = proc_stat(p.pid)
    state["procs"][f"{node}/{name}"] = {"pid": p.pid, "start": stat[3] if stat else 0}
    save(state)
    return p


def node_procs(state, node):
    return [p for key, p in state["procs"].items() if key.split("/")[0] == node] + strays(node)


def strays(node):
    """Programs of a node whose parent is gone: in its namespace, and started with its root folder."""
    found = []
    for pid in run("ip", "netns", "pids", ns(node), check=False).stdout.split():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                ours = root(node).encode() in f.read().split(b"\0")
        except OSError:
            continue
        stat = proc_stat(pid)
        if ours and stat:
            found.append({"pid": int(pid), "start": stat[3]})
    return found


def exec_records():
    """What `lab exec` recorded and still runs: one empty file PID-START each."""
    records = []
    folder = f"{RUN}/exec"
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        pid, start_time = map(int, name.split("-"))
        record = {"pid": pid, "start": start_time}
        if alive(record):
            records.append(record)
        else:
            try:
                os.unlink(f"{folder}/{name}")
            except FileNotFoundError:
                pass
    return records


# --- namespaces -------------------------------------------------------------

def make_namespace(name):
    run("ip", "netns", "add", ns(name))
    in_ns(name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1",
          "net.ipv6.conf.default.disable_ipv6=1")
    ip(name, "link set lo up")


def make_switch(name):
    make_namespace(name)
    ip(name, "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
    for table in ("iptables", "arptables"):
        in_ns(name, "sysctl", "-qw", f"net.bridge.bridge-nf-call-{table}=0", check=False)
    ip(name, "link set br0 up")
    if name == "wan":  # its other half, when it falls in two
        ip(name, "link add br1 type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        ip(name, "link set br1 up")


def make_node(node):
    """The node's namespace and cables, every switch port up. Gateways get forwarding."""
    make_namespace(node)
    if node in GATEWAYS:
        in_ns(node, "sysctl", "-qw", *GATEWAY_SYSCTLS)
    for switch, owner, mac, address in PORTS:
        if owner != node:
            continue
        run("ip", "-n", ns(switch), "link", "add", node, "type", "veth", "peer", "name", switch,
            "netns", ns(node), "address", mac)
        ip(switch, f"link set {node} master br0 up")
        ip(node, f"addr add {address} dev {switch}")
        ip(node, f"link set {switch} up")
    if node in GATEWAYS:
        ip(node, "route add default via 198.51.100.100")
    elif node == "server":
        ip(node, "route add default via 192.168.1.1")
    elif node == "client":
        in_ns(node, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0",
              "net.ipv4.conf.default.rp_filter=0", "net.ipv4.conf.all.send_redirects=0",
              "net.ipv4.conf.wan.send_redirects=0")
        ip(node, "route add local 198.18.0.0/15 dev lo")
        # Guests have their networks here: look these up in the main table, not above.
        ip(node, "route add throw 198.18.255.0/24 table local")
    for folder in ("var/log", "var/lib/pptp-ha", "run/pptp-ha", "etc/ppp", "etc/pptp-ha"):
        os.makedirs(f"{root(node)}/{folder}", exist_ok=True)


def remove_node(node):
    """Namespace and switch ports. The kernel takes a deleted namespace apart later, ports at once."""
    if ns_exists(node):
        run("ip", "netns", "del", ns(node))
    for switch, owner, _, _ in PORTS:
        if owner == node:
            run("ip", "-n", ns(switch), "link", "del", node, check=False)


