# SPDX-License-Identifier: GPL-2.0-or-later
"""What breaks a gateway of the lab, and how it is mended.

A fault leaves in state["moment"] the time (seconds since 1970) at which it began to act, so that a
test can measure from there. Healing undoes the fault and starts what died, as a service manager would.
"""
import os
import shutil
import signal
import subprocess
import time

from gateway import ask_daemon, engine_of, start_gateway, vrrp_child_of
from net import (GATEWAYS, PORTS, SWITCHES, LabError, alive, exec_records, family, ip,
                 make_node, node_procs, ns, ns_exists, remove_node, root, signal_all, wait_gone)


def acts(state):
    state["moment"] = time.time()


def exec_on(node):
    """Records of `lab exec` whose process is in this node's namespace."""
    try:
        inode = os.stat(f"/run/netns/{ns(node)}").st_ino
    except OSError:
        return []
    found = []
    for record in exec_records():
        try:
            if os.stat(f"/proc/{record['pid']}/ns/net").st_ino == inode:
                found.append(record)
        except OSError:
            pass
    return found


def fail_power(state, node):
    procs = node_procs(state, node) + exec_on(node)
    pids = family(procs)
    acts(state)
    signal_all(pids, signal.SIGSTOP)
    # The ports sit in several namespaces: all at once, not one after the other.
    cuts = [subprocess.Popen(["ip", "-n", ns(switch), "link", "set", node, "down"])
            for switch, owner, _, _ in PORTS if owner == node]
    if any([cut.wait() for cut in cuts]):
        raise LabError(f"{node}: a switch port stayed up")
    signal_all(pids, signal.SIGKILL)
    left = wait_gone(procs, 3)
    if left:
        raise LabError(f"{node}: still there after SIGKILL: {left}")
    remove_node(node)
    for key in [k for k in state["procs"] if k.startswith(node + "/")]:
        del state["procs"][key]
    shutil.rmtree(f"{root(node)}/run", ignore_errors=True)


def heal_power(state, node):
    remove_node(node)
    make_node(node)
    if not state["bare"]:
        start_gateway(state, node)


def need(state, node, name):
    record = state["procs"].get(f"{node}/{name}")
    if not alive(record):
        raise LabError(f"{node}: {name} does not run")
    return record


def fail_kill_pptpd(state, node):
    monitor = need(state, node, "pptpd")
    # Both stop first, so that neither sees the other's end and cleans up.
    pids = family([monitor])
    signal_all(pids, signal.SIGSTOP)
    acts(state)
    signal_all(pids, signal.SIGKILL)
    if wait_gone([monitor], 3):
        raise LabError(f"{node}: pptpd is still there after SIGKILL")


def fail_kill_keepalived(state, node):
    """The child that speaks VRRP first, and so fast that the parent starts no other."""
    parent = need(state, node, "keepalived")
    child = vrrp_child_of(state, node)
    if child is None:
        raise LabError(f"{node}: keepalived has no child")
    os.kill(parent["pid"], signal.SIGSTOP)
    acts(state)
    os.kill(child, signal.SIGKILL)
    os.kill(parent["pid"], signal.SIGKILL)
    if wait_gone([parent], 3):
        raise LabError(f"{node}: keepalived is still there after SIGKILL")


def fail_hang_pptpd(state, node):
    need(state, node, "pptpd")
    engine = engine_of(state, node)
    if engine is None:
        raise LabError(f"{node}: pptpd has no engine")
    acts(state)
    os.kill(engine, signal.SIGSTOP)


def heal_hang_pptpd(state, node):
    """The monitor may be killing it in this moment: then its end is waited for, so that it is started."""
    engine = engine_of(state, node)
    if engine is not None:
        os.kill(engine, signal.SIGCONT)
    end = time.monotonic() + 3
    while (alive(state["procs"].get(f"{node}/pptpd")) and not ask_daemon(node, "status")
           and time.monotonic() < end):
        time.sleep(0.02)


def link_fault(switch):
    def fail(state, node):
        acts(state)
        ip(switch, f"link set {node} down")

    return fail, lambda state, node: ip(switch, f"link set {node} up")


class Switch:
    """A `bridge` that runs already, so that what it is told holds at once: all switches act together."""

    def __init__(self, name):
        self.name = name
        self.p = subprocess.Popen(["ip", "netns", "exec", ns(name), "bridge", "-batch", "-"], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.say("link show\n")
        self.p.stdout.readline()

    def say(self, lines):
        self.p.stdin.write(lines)
        self.p.stdin.flush()

    def end(self):
        said, _ = self.p.communicate()
        if self.p.returncode != 0:
            raise LabError(f"switch {self.name}: {said.strip()}")


def isolate(state, _node=None):
    """Isolated bridge ports reach every port but each other: gw1 and gw2 lose sight of each other.

    With `split` the WAN switch falls in two besides: gw2 and client2 are on the other half.
    """
    cut = {method for faults in state["faults"].values() for method in faults}
    on = "on" if cut & {"partition", "split"} else "off"
    switches = [Switch(name) for name in SWITCHES]
    acts(state)
    for node in ("gw2", "client2"):
        if ns_exists(node):
            ip("wan", f"link set {node} master {'br1' if 'split' in cut else 'br0'}")
    for switch in switches:
        switch.say("".join(f"link set dev {node} isolated {on}\n" for node in GATEWAYS if ns_exists(node)))
    for switch in switches:
        switch.end()


def kill_one(name):
    """One program, and nothing of what it started."""
    def fail(state, node):
        record = need(state, node, name)
        acts(state)
        os.kill(record["pid"], signal.SIGKILL)
        while alive(record):
            time.sleep(0.01)

    return fail, nothing


def hang_one(name):
    def fail(state, node):
        pids = family([need(state, node, name)]) if name == "keepalived" else [need(state, node, name)["pid"]]
        acts(state)
        signal_all(pids, signal.SIGSTOP)

    def heal(state, node):
        record = state["procs"].get(f"{node}/{name}")
        if alive(record):
            signal_all(family([record]), signal.SIGCONT)

    return fail, heal


def nothing(_state, _node):
    """Whatever is healed, what died is started then."""


# method: (fail, heal)
FAULTS = {
    "kill-pptpd": (fail_kill_pptpd, nothing),
    "kill-keepalived": (fail_kill_keepalived, nothing),
    "hang-pptpd": (fail_hang_pptpd, heal_hang_pptpd),
    "link-wan": link_fault("wan"),
    "link-lan": link_fault("lan"),
    "link-sync": link_fault("sync"),
    "power": (fail_power, heal_power),
    "partition": (isolate, isolate),
    "split": (isolate, isolate),
    "kill-agent": kill_one("agent"),
    "kill-conntrackd": kill_one("conntrackd"),
    "kill-sshd": kill_one("sshd"),
    "hang-agent": hang_one("agent"),
    "hang-keepalived": hang_one("keepalived"),
}
