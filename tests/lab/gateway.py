# SPDX-License-Identifier: GPL-2.0-or-later
"""The gateways of the lab: their files, keys and programs.

A gateway runs what a real one runs, each program below the node's root folder and in its namespace:
pptpd, the pair's sshd (as the pair's own user), conntrackd, `hagent run`, keepalived. keepalived alone
decides who is MASTER, and the agent moves the rest; with `lab up --single` neither runs, and the lab
makes gw1 serve by hand.
"""
import json
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import time

from net import (BUILD, GATEWAYS, HERE, PROGRAMS, RUN, TOP, VIP, LabError, alive, end_processes, family,
                 in_ns, ip, note, ns, open_to_all, proc_stat, root, run, signal_all, start,
                 strays)

# In the order of starting.
AHEAD = ("nice", "-n", "-10")  # as their units say: clients and servers share this machine
SERVICES = ("pptpd", "sshd", "conntrackd", "agent", "keepalived", "web")
USER = "pptp-ha"

OPTIONS = """name pptpd
refuse-pap
refuse-chap
refuse-mschap
require-mschap-v2
require-mppe-128
ms-dns 8.8.8.8
ms-dns 8.8.4.4
mtu 1400
mru 1400
lock
nobsdcomp
nodeflate
novj
novjccomp
nologfd
lcp-echo-interval 30
lcp-echo-failure 4
"""
# Dozens of faults within minutes are no flapping here.
PATIENT = """
health {
	moves-per-10-minutes = 100
	hold-down-s = 0
}
"""


# --- configuration ----------------------------------------------------------

def pool_ranges(users):
    """remoteip for so many accounts: one /24's worth at a time, as poptop writes lists."""
    ranges = ["10.8.0.2-254"]
    block = 1
    while 253 + 256 * (block - 1) < users + 100:
        ranges.append(f"10.8.{block}.0-255")
        block += 1
    return ",".join(ranges), 253 + 256 * (block - 1)


def write_config(node, users, advert, more):
    """The operator's files, as they would stand on a poptop server, and the pair's cluster.conf."""
    etc = f"{root(node)}/etc"
    remote, size = pool_ranges(users)
    if users > 60000:
        raise LabError("--users: at most 60000")
    with open(f"{etc}/pptpd.conf", "w", encoding="utf-8") as f:
        f.write("option /etc/ppp/options.pptpd\nlogwtmp\nlocalip 10.8.0.1\n"
                f"remoteip {remote}\nconnections {size}\nlisten 198.51.100.10\n")
    with open(f"{etc}/ppp/options.pptpd", "w", encoding="utf-8") as f:
        f.write(OPTIONS)
    with open(f"{etc}/ppp/chap-secrets", "w", encoding="utf-8", opener=private) as f:
        f.write("# client\tserver\tsecret\tIP addresses\n"
                "api-client\tpptpd\tVery$trongP@ss\t10.8.0.10\n")
        f.writelines(f"u{i}\tpptpd\tp{i}\t*\n" for i in range(users))
    with open(f"{HERE}/cluster.conf", encoding="utf-8") as f:
        text = f.read()
    if size > 253:
        text = text.replace("10.8.0.0/24", "10.8.0.0/16")
    if advert is not None:
        text = re.sub(r"(\badvert-interval-ms\s*=\s*)\d+", rf"\g<1>{round(advert * 1000)}", text)
    with open(f"{etc}/pptp-ha/cluster.conf", "w", encoding="utf-8", opener=private) as f:
        f.write(f"{text}\n{more}\n" if more else text)


def private(path, flags):
    return os.open(path, flags, 0o600)


# --- programs on the gateways -----------------------------------------------

def programs(node):
    """The folder that this node's programs come from: another build's, or ours."""
    try:
        with open(f"{RUN}/{node}.programs", encoding="utf-8") as f:
            return f.read()
    except FileNotFoundError:
        return PROGRAMS


def use_programs(node, folder):
    """From now on this node's programs are those of another build folder."""
    folder = os.path.realpath(folder)
    if not all(os.access(f"{folder}/{name}/{name}", os.X_OK) for name in ("hagent", "pptpd")):
        raise LabError(f"{folder}: no build folder with hagent and pptpd")
    if not open_to_all(folder):
        raise LabError(f"{folder}: the pair's user cannot reach it")
    with open(f"{RUN}/{node}.programs", "w", encoding="utf-8") as f:
        f.write(folder)


def program(node, name):
    return f"{programs(node)}/{name}/{name}"


def build():
    """Configure with the preset that goes with the folder, once; then let ninja see what is stale."""
    preset = {"build-dev": "dev", "build-fuzz": "fuzz"}.get(os.path.basename(BUILD), "release")
    if not os.path.exists(f"{BUILD}/build.ninja"):
        note(f"configuring {BUILD} (preset {preset})")
        run("cmake", "-S", TOP, "--preset", preset, "-B", BUILD)
    run("cmake", "--build", BUILD, "--target", "pptpd", "hagent")


def place_programs():
    os.mkdir(PROGRAMS)
    os.chmod(PROGRAMS, 0o755)
    for name in ("hagent", "pptpd"):
        os.mkdir(f"{PROGRAMS}/{name}")
        os.chmod(f"{PROGRAMS}/{name}", 0o755)
        shutil.copy(f"{BUILD}/{name}/{name}", f"{PROGRAMS}/{name}/{name}")
        os.chmod(f"{PROGRAMS}/{name}/{name}", 0o755)


def remove_programs():
    shutil.rmtree(PROGRAMS, ignore_errors=True)


def hagent(node, *args, check=True):
    return in_ns(node, program(node, "hagent"), "--node", node, "--root", root(node), *args, check=check)


def ask(path, cmd, timeout=1.0, **args):
    """One request to a control socket: its data, or None if it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(path)
            s.sendall(json.dumps({"v": 1, "id": 1, "cmd": cmd, **args}).encode() + b"\n")
            answer = json.loads(s.makefile("rb").readline())
    except (OSError, ValueError):
        return None
    return answer.get("data") if answer.get("ok") else None


def ask_daemon(node, cmd, timeout=1.0, **args):
    return ask(f"{root(node)}/run/pptp-ha/pptpd.sock", cmd, timeout, **args)


def ask_agent(node, cmd="status", timeout=1.0, **args):
    return ask(f"{root(node)}/run/pptp-ha/agent.sock", cmd, timeout, **args)


def argv_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().split(b"\0")
    except OSError:
        return []


def engine_of(state, node):
    """Pid of the daemon's engine: the descendant of the recorded monitor that calls itself so."""
    monitor = state["procs"].get(f"{node}/pptpd")
    if not alive(monitor):
        return None
    for pid in family([monitor]):
        if argv_of(pid)[1:3] == [b"engine", node.encode()]:
            return pid
    return None


def vrrp_child_of(state, node):
    """Pid of keepalived's child that speaks VRRP."""
    parent = state["procs"].get(f"{node}/keepalived")
    if not alive(parent):
        return None
    return next((pid for pid in family([parent]) if proc_stat(pid)
                 and proc_stat(pid)[1] == parent["pid"] and b"-s" in argv_of(pid)), None)


def log_tail(node, name, lines=20):
    try:
        with open(f"{root(node)}/var/log/{name}.log", encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError:
        return ""


def wait_until(node, name, ready, seconds=10, process=None):
    """Until ready() is true; the program's log explains why it never became so."""
    end = time.monotonic() + seconds
    while not ready():
        if process is not None and process.poll() is not None:
            raise LabError(f"{node}: {name} ended with {process.returncode}\n{log_tail(node, name)}")
        if time.monotonic() > end:
            raise LabError(f"{node}: {name} is not ready after {seconds} s\n{log_tail(node, name)}")
        time.sleep(0.02)


def run_folder(node):
    return f"{root(node)}/run/pptp-ha"


def forget(*paths):
    """Removes what a killed program left; its process is gone, or it would still hold it."""
    for path in paths:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass


def start_pptpd(state, node):
    p = start(state, node, "pptpd", *AHEAD, program(node, "pptpd"), "--node", node, "--root", root(node),
              "--role", "standby", "--user", "nobody")
    wait_until(node, "pptpd", lambda: ask_daemon(node, "status") is not None, process=p)


def start_sshd(state, node):
    """As the pair's user, so that it can become nobody else."""
    user = pwd.getpwnam(USER)
    pid_file = f"{run_folder(node)}/sshd.pid"
    with open(pid_file, "w", encoding="utf-8"):
        pass
    os.chown(pid_file, user.pw_uid, user.pw_gid)
    p = start(state, node, "sshd", *AHEAD, "setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups",
              "--inh-caps=-all", "/usr/sbin/sshd", "-D", "-e", "-f",
              f"{root(node)}/etc/pptp-ha/sshd_config")
    wait_until(node, "sshd", lambda: os.path.getsize(pid_file) > 0, process=p)


def start_conntrackd(state, node):
    # It refuses to start over the lock of one that was killed.
    forget(f"{run_folder(node)}/conntrackd.lock", f"{run_folder(node)}/conntrackd.sock")
    p = start(state, node, "conntrackd", "conntrackd", "-C",
              f"{root(node)}/etc/pptp-ha/conntrackd.conf")
    wait_until(node, "conntrackd", lambda: os.path.exists(f"{run_folder(node)}/conntrackd.sock"),
               process=p)


def start_agent(state, node):
    p = start(state, node, "agent", *AHEAD, program(node, "hagent"), "--node", node, "--root", root(node),
              "run")
    wait_until(node, "agent", lambda: ask_agent(node) is not None, process=p)


def start_web(state, node):
    """Nobody waits for it; a build from before it has none."""
    if "\n  web " in in_ns(node, program(node, "hagent"), "--help").stdout:
        start(state, node, "web", program(node, "hagent"), "--node", node, "--root", root(node), "web")


def start_keepalived(state, node):
    """In our own namespaces: it enters the node's itself, or track_process would not work.

    Where nobody listens to syslog each of its lines goes to the console instead, which takes 2 ms and
    more: twelve of them lie between its decision to be MASTER and its word to the agent.
    """
    pids = f"{run_folder(node)}/keepalived"
    os.makedirs(pids, exist_ok=True)
    # One that was killed leaves these, and the numbers in them may be others' by now.
    forget(f"{pids}/keepalived.pid", f"{pids}/vrrp.pid")
    p = start(state, node, "keepalived", "chrt", "--rr", "10", "keepalived", "-n", "-P", "-l", "-G", "-D",
              "-s", ns(node), "-f", f"{root(node)}/etc/pptp-ha/keepalived.conf",
              "-p", f"{pids}/keepalived.pid", "-r", f"{pids}/vrrp.pid", inside=False)
    wait_until(node, "keepalived", lambda: vrrp_child_of(state, node) is not None, process=p)


def make_keys():
    """Each gateway's own keys, and the public halves of the other's; then all files once more."""
    for node in GATEWAYS:
        hagent(node, "keys", "init")
    for node, peer in (GATEWAYS, GATEWAYS[::-1]):
        ssh = f"{root(peer)}/etc/pptp-ha/ssh"
        hagent(node, "keys", "import", f"{ssh}/id_ed25519.pub", f"{ssh}/host_ed25519.pub")


def prepare(node):
    """What stands on a gateway before its programs: the kernel's settings, guard, rules, fifo."""
    hagent(node, "render")
    # Keys that a namespace does not have are left out.
    in_ns(node, "sysctl", "-q", "-e", "-p", f"{root(node)}/etc/pptp-ha/sysctl.conf", check=False)
    hagent(node, "guard", "load")
    hagent(node, "firewall", "apply")
    fifo, health = f"{run_folder(node)}/keepalived.fifo", f"{run_folder(node)}/health"
    if not os.path.exists(fifo):
        os.mkfifo(fifo, 0o600)
    with open(health, "w", encoding="utf-8", opener=private) as f:
        f.write("0\n")


def revive(state, node):
    """Starts what does not run, in order, as the service manager of a gateway would."""
    for name in ("pptpd",) if state["single"] else SERVICES:
        record = state["procs"].get(f"{node}/{name}")
        if alive(record):
            continue
        if record:
            end_processes([record])
        STARTERS[name](state, node)
    if state["single"] and node == state["master"]:
        serve(node)


STARTERS = {"pptpd": start_pptpd, "sshd": start_sshd, "conntrackd": start_conntrackd,
            "agent": start_agent, "keepalived": start_keepalived, "web": start_web}


def start_gateway(state, node):
    prepare(node)
    revive(state, node)


# --- stopping, as a service manager does --------------------------------------

UNITS = {"pptpd": "pptpd.service.in", "sshd": "pptp-ha-sshd.service",
         "conntrackd": "conntrackd.service.d/pptp-ha.conf", "agent": "hagent.service.in",
         "keepalived": "keepalived.service.d/pptp-ha.conf", "web": "hagent-web.service.in"}


def stop_hooks(node, name):
    """The unit's ExecStop commands that are ours, as they run on this node."""
    hooks = []
    with open(f"{TOP}/deploy/systemd/{UNITS[name]}", encoding="utf-8") as f:
        for line in f.read().replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("ExecStop=")) if line.startswith("ExecStop=") else []
            if words and words[0].lstrip("-+!:@").endswith("/hagent"):
                hooks.append([program(node, "hagent"), "--root", root(node)]
                             + [w.replace("%l", node) for w in words[1:]])
    return hooks


def stop_service(state, node, name, hooks=True):
    """In order, after the unit's own commands. The agent's children outlive it (KillMode=process)."""
    record = state["procs"].get(f"{node}/{name}")
    if not alive(record):
        return
    for hook in stop_hooks(node, name) if hooks else []:
        p = in_ns(node, *hook, check=False)
        if p.returncode != 0:
            note(f"{node}: {name}: {' '.join(hook[1:])}: exit {p.returncode} {p.stdout.strip()}")
    if name != "agent":
        end_processes([record])
        return
    signal_all([record["pid"]], signal.SIGTERM)
    end = time.monotonic() + 3
    while alive(record):
        if time.monotonic() > end:
            signal_all([record["pid"]], signal.SIGKILL)
        time.sleep(0.01)


def restart_service(state, node, name, hooks=True):
    stop_service(state, node, name, hooks)
    STARTERS[name](state, node)


def upgrade(state, node, folder):
    """As a package does: all of it stops, the files change, all of it starts."""
    for name in reversed(SERVICES):
        stop_service(state, node, name)
    # The old link must not outlive the old agent here: it is the old version.
    end_processes(strays(node))
    use_programs(node, folder)
    start_gateway(state, node)


def serve(node):
    """Make a gateway the one that serves, without an agent: addresses, role, gate."""
    for switch, address in VIP.items():
        if not holds(node, switch):
            ip(node, f"addr add {address} dev {switch}")
    hagent(node, "pptpd", "promote")
    hagent(node, "firewall", "gate", "open")


def holds(node, switch="wan"):
    return f" {VIP[switch]} " in in_ns(node, "ip", "-o", "-4", "addr", check=False).stdout


def role_of(agent):
    """keepalived's word, as the agent heard it: MASTER, BACKUP, else FAULT; None = no agent.

    An agent that was started again has heard nothing yet: then the address tells.
    """
    if agent is None:
        return None
    if agent.get("keepalived") != "running":
        return "FAULT"
    said = agent.get("keepalived_said") or ("MASTER" if agent["vip"]["wan_here"] else "BACKUP")
    return said if said in ("MASTER", "BACKUP") else "FAULT"


def verdict_of(agent):
    """What the agent says of itself and of what is wrong."""
    return {"role": agent.get("role"), "verdict": agent.get("verdict"),
            "problems": [p["code"] for p in agent.get("problems", [])]} if agent else None


def wait_role(node, role, seconds=15):
    """Until keepalived, agent, daemon and address say the same: MASTER or BACKUP."""
    want = {"MASTER": "active", "BACKUP": "standby"}[role]

    def there():
        agent = ask_agent(node)
        return (role_of(agent) == role and agent.get("role") == want
                and holds(node) == (role == "MASTER")
                and (ask_daemon(node, "status") or {}).get("role") == want)
    wait_until(node, "agent", there, seconds)
