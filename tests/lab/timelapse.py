#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults in a row, as years bring them: each of a random kind, at a random moment, for a random time.

  timelapse.py [--seed N] [--faults N] [--sessions N] [--rate PPS] [--kinds K,K] [--from N] [--log FILE]
               [--figures FILE] [--evidence FOLDER] [--capture FOLDER] [--plan]

The lab must be up. The seed alone decides the plan; --plan prints it and does nothing. Between two faults
everything is healed, and the next comes when both gateways are in their places and in step again. The log
has one line for each fault: the plan's words, and a verdict made of facts that do not depend on the clock, so
two runs of one seed that both went well have the same log. The figures, which differ, are one object
of JSON a line.

What must hold after each fault:
  * both gateways find their places again, one of them serves, and the standby holds a whole copy
  * no session is lost whose gateway had a standby in step when the fault began. Sessions may be lost only in
    faults that take the second gateway too before the first is back; then all must be up again after healing
  * every class of keys of every session is open, so that whatever comes next can be continued
With --capture what both gateways send is decrypted in parts (key-check): no key is used for two frames.

Exit 0: all of it held. Kinds: see KINDS.
"""
import argparse
import contextlib
import json
import os
import random
import select
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True

from gateway import ask_agent, ask_daemon, holds, role_of
from net import BUILD, GATEWAYS, HERE, LabError, ns, root, run

LAB = f"{HERE}/lab"
CLIENT = f"{BUILD}/tests/client/pptp-client"
KEY_CHECK = f"{BUILD}/tests/keycheck/key-check"
VIP, API = "198.51.100.10", "192.168.1.20"
MACS = {"gw1": "02:00:00:00:01:01", "gw2": "02:00:00:00:01:02"}
WHOLE_S = 90  # a node that failed often is held back for a while
PART = 25  # faults in one capture


# --- the plan ---------------------------------------------------------------

# kind: (weight, on whom, shortest and longest time in seconds until it is healed)
KINDS = {
    "power": (3, "either", 0.2, 6),
    "kill-pptpd": (3, "either", 0.1, 4),
    "kill-keepalived": (2, "either", 0.1, 4),
    "hang-pptpd": (2, "either", 0.1, 5),
    "hang-keepalived": (1, "either", 0.1, 5),
    "kill-agent": (2, "either", 0.1, 4),
    "hang-agent": (1, "either", 0.1, 5),
    "kill-conntrackd": (1, "either", 0.1, 3),
    "kill-sshd": (2, "either", 0.1, 4),
    "link-wan": (3, "either", 0.05, 5),
    "link-lan": (2, "either", 0.05, 5),
    "link-sync": (2, "either", 0.05, 5),
    "partition": (2, "both", 0.05, 8),
    "restart-pptpd": (2, "either", 0, 0),
    "restart-agent": (1, "either", 0, 0),
    "restart-keepalived": (1, "either", 0, 0),
    "restart-conntrackd": (1, "either", 0, 0),
    "restart-sshd": (1, "either", 0, 0),
    "switchover": (3, "either", 0, 0),
    "maintenance": (1, "either", 0.2, 4),
    # The standby is away, and then the active goes: its sessions may be lost, not the service.
    "both-power": (1, "both", 0.5, 3),
    "both-pptpd": (1, "both", 0.5, 3),
}
MAY_LOSE = ("both-power", "both-pptpd")


def make_plan(seed, faults, kinds):
    """One fault is {kind, on, moment, length}: seconds after the last one's end, seconds until healed."""
    chance = random.Random(seed)
    plan = []
    for _ in range(faults):
        kind = chance.choices(kinds, [KINDS[k][0] for k in kinds])[0]
        _, where, least, most = KINDS[kind]
        on = chance.choice(("active", "standby")) if where == "either" else where
        moment = chance.uniform(0, 1.5)
        # Short ones as often as long ones: what takes a while is caught at every stage.
        length = least * (most / least) ** chance.random() if least else 0
        plan.append({"kind": kind, "on": on, "moment": round(moment, 3), "length": round(length, 3)})
    return plan


def words(number, fault):
    return (f"#{number} {fault['kind']} on {fault['on']} after {fault['moment']:.3f} s "
            f"for {fault['length']:.3f} s")


# --- the client -------------------------------------------------------------

class Client:
    """pptp-client with --commands: it redials what it loses."""

    def __init__(self, sessions, rate, keylog, errors):
        self.sessions = sessions
        traffic = ["--ping", API, "--rate", str(rate), "--size", "32"]
        self.p = subprocess.Popen(
            [LAB, "exec", "client", "nice", "-n", "-10", CLIENT, "--server", VIP, "--user", "u%d",
             "--password", "p%d", "--sessions", str(sessions), "--source", "198.18.1.1-198.18.60.254",
             "--strict", "--redial", "--commands", "--keylog", keylog, "--hold", "1000000", "--max-loss",
             "1000000000000", "--echo-interval", "10", "--lcp-echo", "10", *traffic],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.have = b""
        if self.answer("ready", 120).get("connected") != sessions:
            raise LabError(f"not all of {sessions} sessions came up")

    def line(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.have:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.p.stdout], [], [], left)[0]:
                raise LabError(f"the client says nothing for {seconds} s")
            more = os.read(self.p.stdout.fileno(), 1 << 20)
            if not more:
                raise LabError("the client has ended")
            self.have += more
        line, self.have = self.have.split(b"\n", 1)
        return json.loads(line)

    def answer(self, event, seconds=30):
        while (said := self.line(seconds)).get("event") != event:
            pass
        return said

    def ask(self, command, event=None):
        self.p.stdin.write(command.encode() + b"\n")
        self.p.stdin.flush()
        return self.answer(event or command.split()[0])

    def up(self):
        return self.ask("status")["up"]

    def end(self):
        """The report."""
        self.p.stdin.write(b"quit\n")
        self.p.stdin.flush()
        report = {}
        try:
            while True:
                report = self.line(30)
        except LabError:
            return report
        finally:
            self.p.wait(10)


# --- the pair ---------------------------------------------------------------

def wait(seconds, ready):
    end = time.monotonic() + seconds
    while not (found := ready()):
        if time.monotonic() > end:
            return None
        time.sleep(0.1)
    return found


def look(node):
    """What a gateway says of itself."""
    agent = ask_agent(node) or {}
    daemon = ask_daemon(node, "status") or {}
    replica = daemon.get("replica", {})
    return {"keepalived": role_of(agent) if agent else None, "agent": agent.get("role"),
            "daemon": daemon.get("role"), "vip": holds(node), "sessions": daemon.get("sessions"),
            "verdict": agent.get("verdict"), "busy": agent.get("transition_running"),
            "move": (agent.get("move") or {}).get("running"),
            "problems": sorted(p["code"] for p in agent.get("problems", [])),
            "replica": replica.get("state"), "in_step": replica.get("in_step"), "epoch": agent.get("epoch")}


def serves(said):
    return (said["keepalived"], said["agent"], said["daemon"], said["vip"]) == \
        ("MASTER", "active", "active", True)


def stands_by(said):
    return (said["keepalived"], said["agent"], said["daemon"], said["vip"], said["verdict"]) == \
        ("BACKUP", "standby", "standby", False, "fit")


def whole():
    """The node that serves, if all is as it should be."""
    said = {node: look(node) for node in GATEWAYS}
    for node, peer in (GATEWAYS, GATEWAYS[::-1]):
        if serves(said[node]) and stands_by(said[peer]) and said[node]["in_step"] and \
                not said[node]["move"]:
            return node
    return None


def server():
    return next((node for node in GATEWAYS if serves(look(node))), None)


def classes(node):
    """Number of sessions by the classes of keys that they may use."""
    count, after = {}, 0
    while after is not None:
        page = ask_daemon(node, "sessions", after=after, limit=500)
        if page is None:
            return None
        for s in page["sessions"]:
            c = s.get("replica", {}).get("classes", "none")
            count[c] = count.get(c, 0) + 1
        after = page.get("next")
    return count


def lab(*words_):
    run(LAB, *words_)


def hagent(node, *words_):
    return run(LAB, "exec", node, "hagent", "--node", node, "--root", root(node), *words_, check=False)


# --- one fault --------------------------------------------------------------

def order(node, *words_):
    p = hagent(node, *words_)
    if p.returncode != 0:
        raise LabError(f"hagent {' '.join(words_)}: exit {p.returncode}: {p.stdout.strip()}")


def strike(fault, active, standby):
    """Does it, waits its time, and heals it."""
    kind, length = fault["kind"], fault["length"]
    node = standby if fault["on"] == "standby" else active
    if kind.startswith("restart-"):
        lab("restart", node, kind.removeprefix("restart-"))
    elif kind == "switchover":
        order(node, "switchover")
    elif kind == "maintenance":
        order(node, "maintenance", "on")
        time.sleep(length)
        order(node, "maintenance", "off")
    elif kind.startswith("both-"):
        method = {"both-power": "power", "both-pptpd": "kill-pptpd"}[kind]
        lab("fail", standby, method)
        time.sleep(length)
        lab("fail", active, method)
        time.sleep(length)
        lab("heal", active)
        lab("heal", standby)
    else:
        lab("fail", node, kind)
        time.sleep(length)
        lab("heal", node)


class Run:
    def __init__(self, o, say):
        self.o, self.say = o, say
        self.client = self.capture = None
        self.errors = open(f"{o.evidence}/client.err", "wb")
        self.parts = self.wrong = self.moves = 0
        self.figures = open(o.figures, "w", encoding="utf-8")

    def begin(self):
        """A client, and a capture of what the gateways send to it."""
        self.parts += 1
        self.keylog = f"{self.o.capture or self.o.evidence}/keys.{self.parts}"
        if self.o.capture:
            self.pcap = f"{self.o.capture}/part.{self.parts}.pcap"
            self.capture = subprocess.Popen(
                [LAB, "exec", "wan", "tcpdump", "-Z", "root", "-i", "any", "-Q", "in", "-U", "-B", "65536",
                 "-w", self.pcap, f"src host {VIP} and (tcp or proto gre)"], stderr=subprocess.PIPE)
            self.capture.stderr.readline()
        self.client = Client(self.o.sessions, self.o.rate, self.keylog, self.errors)

    def end(self):
        report = self.client.end() if self.client else {}
        self.client = None
        if self.capture is None:
            return report
        time.sleep(0.5)
        self.capture.terminate()
        told = self.capture.communicate()[1].decode()
        self.capture = None
        p = run(KEY_CHECK, "--keylog", self.keylog, *[x for n, m in MACS.items() for x in
                                                      ("--gateway", f"{n}={m}")],
                self.pcap, check=False)
        try:
            found = json.loads(p.stdout)
        except ValueError:
            self.fails(f"part {self.parts}: key-check: {p.stdout.strip()}")
            return report
        self.note(event="keys", part=self.parts, dropped=told.splitlines()[-1:], **found)
        # Two that both serve number their frames alike; a key is another matter.
        bad = {k: found["faults"][k] for k in ("key_reused",) if found["faults"][k]}
        if bad:
            self.fails(f"part {self.parts}: used for two frames: {bad}")
        else:
            os.unlink(self.pcap)
        return report

    def note(self, **facts):
        self.figures.write(json.dumps(facts) + "\n")
        self.figures.flush()

    def fails(self, why):
        self.wrong += 1
        self.say(f"not ok: {why}")

    def keep(self, name):
        """What tells why: both nodes' logs, journals and words."""
        folder = f"{self.o.evidence}/{name}"
        for node in GATEWAYS:
            shutil.copytree(f"{root(node)}/var/log", f"{folder}/{node}", dirs_exist_ok=True)
            for cmd in ("status", "journal"):
                with open(f"{folder}/{node}/hagent.{cmd}", "w", encoding="utf-8") as f:
                    f.write(hagent(node, cmd).stdout)

    def one(self, number, fault):
        active = wait(WHOLE_S, whole)
        if active is None:
            return ["the pair was not whole"], {}
        standby = GATEWAYS[1 - GATEWAYS.index(active)]
        if (up := self.client.up()) != self.o.sessions:
            return [f"only {up} sessions were up"], {}
        self.client.ask(f"mark {number}")
        time.sleep(fault["moment"])
        at = time.time()
        strike(fault, active, standby)
        healed = time.time()
        # Whoever serves, and then the whole pair.
        after = wait(30, server)
        served = time.time()
        now = wait(WHOLE_S, whole) if after else None
        settled = time.time()
        time.sleep(1)
        w = self.client.ask("window")
        problems = []
        if after is None:
            problems.append("nobody serves")
        elif now is None:
            problems.append("the pair does not become whole")
        may_lose = fault["kind"] in MAY_LOSE
        if not may_lose and (w["lost"] or w["redials"]):
            problems.append("sessions are lost that must live")
        if now and wait(40 if may_lose else 5, lambda: self.client.up() == self.o.sessions) is None:
            problems.append("not all sessions are up")
        open_ = classes(now) if now else None
        if now and not wait(5, lambda: classes(now) == {"all": self.o.sessions}):
            problems.append("classes of keys are closed")
        facts = {"at": at, "active": active, "served_by": after, "moved": after not in (active, None),
                 "lasted_s": round(healed - at, 3), "served_after_heal_s": round(served - healed, 3),
                 "whole_after_heal_s": round(settled - healed, 3), "classes": open_,
                 "window": {k: w.get(k) for k in ("up", "lost", "losses", "redials", "survivors", "gap_ms",
                                                  "packets_sent", "packets_lost")}}
        if problems:
            facts["said"] = {node: look(node) for node in GATEWAYS}
        return problems, facts

    def again(self):
        """After a failure: a fresh lab, or what went wrong would be told again and again."""
        try:
            if self.client:
                self.client.end()
        except (LabError, OSError, subprocess.TimeoutExpired):
            pass
        self.client = None
        state = json.load(open(f"{os.path.dirname(root('gw1'))}/state.json", encoding="utf-8"))
        options = ["--users", str(state["users"]), "--conf", state["conf"]]
        if state["advert"]:
            options += ["--advert", str(state["advert"])]
        lab("down")
        lab("up", *options)

    def all(self, plan, first):
        self.begin()
        for number, fault in enumerate(plan, 1):
            if number < first:
                continue
            try:
                problems, facts = self.one(number, fault)
            except (LabError, OSError, BrokenPipeError) as e:
                problems, facts = [str(e).replace("\n", " ")], {}
            self.note(event="fault", number=number, **fault, problems=problems, **facts)
            self.say(f"{words(number, fault)}: {'; '.join(problems) or 'kept'}")
            self.moves += facts.get("moved", False)
            if problems:
                self.fails(f"fault {number}: {'; '.join(problems)}; {facts.get('window')}")
                self.keep(f"fault-{number}")
                self.end_quietly()
                self.again()
                self.begin()
            elif number % PART == 0 and number < len(plan):
                self.end()
                wait(20, lambda: (ask_daemon(server() or "gw1", "status") or {}).get("sessions") == 0)
                self.begin()
        self.end()

    def end_quietly(self):
        try:
            self.end()
        except (LabError, OSError, subprocess.TimeoutExpired) as e:
            self.say(f"# {e}")


def summary(path):
    """Of the figures: by kind, how often, how many moves, gaps."""
    by = {}
    with open(path, encoding="utf-8") as f:
        for line in map(json.loads, f):
            if line["event"] == "fault" and line.get("window"):
                by.setdefault(f"{line['kind']} on {line['on']}", []).append(line)
    print(f"# {'fault':<32} {'times':>5} {'moved':>5} {'lost':>5} {'redials':>7} {'missing':>8}  "
          f"worst of median/max gap ms, slowest whole again s")
    for name, lines in sorted(by.items()):
        w = [line["window"] for line in lines]
        print(f"# {name:<32} {len(lines):>5} {sum(x['moved'] for x in lines):>5} {sum(x['lost'] for x in w):>5} "
              f"{sum(x['redials'] for x in w):>7} {sum(x['packets_lost'] for x in w):>8}  "
              f"{max(x['gap_ms']['median'] or 0 for x in w):.0f}/{max(x['gap_ms']['max'] or 0 for x in w):.0f}, "
              f"{max(x['whole_after_heal_s'] for x in lines):.1f}")


def options():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--faults", type=int, default=200)
    p.add_argument("--from", type=int, default=1, dest="first", help="number of the plan's first to do")
    p.add_argument("--sessions", type=int, default=100)
    p.add_argument("--rate", type=int, default=10)
    p.add_argument("--kinds", default=",".join(KINDS))
    p.add_argument("--log", help="not to stdout, but to this file")
    p.add_argument("--figures", default="/dev/null")
    p.add_argument("--evidence", default="/tmp")
    p.add_argument("--capture")
    p.add_argument("--plan", action="store_true")
    return p.parse_args()


def main():
    o = options()
    kinds = o.kinds.split(",")
    for kind in kinds:
        if kind not in KINDS:
            sys.exit(f'timelapse: got "{kind}", want one of {", ".join(KINDS)}')
    plan = make_plan(o.seed, o.faults, kinds)
    with open(o.log, "w", encoding="utf-8") if o.log else contextlib.nullcontext(sys.stdout) as log:
        def say(line):
            print(line, file=log, flush=True)
        if o.plan:
            for number, fault in enumerate(plan, 1):
                say(words(number, fault))
            return 0
        os.makedirs(o.evidence, exist_ok=True)
        r = Run(o, say)
        r.all(plan, o.first)
        r.figures.close()
        if o.figures != "/dev/null":
            summary(o.figures)
        print(f"# {len(plan) - o.first + 1} faults, seed {o.seed}: {r.moves} moves, {r.wrong} wrong")
    return 1 if r.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
