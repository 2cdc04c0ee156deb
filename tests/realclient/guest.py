# SPDX-License-Identifier: GPL-2.0-or-later
"""Where a real client runs: three back ends with one interface.

  direct  a mount namespace of its own inside the network namespace, on a host whose kernel has PPP
  uml     a User-Mode Linux guest, native speed
  qemu    an emulated guest, slower, for hosts that cannot run the former

Each offers run(script, timeout) -> (exit status, output) and stop(). What runs is described by
RUN/NAME/meta.json, so that every call of the program finds it again. Processes are recorded with their
start time and ended only if that still fits.
"""
import fcntl
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import time

HERE = os.path.dirname(os.path.realpath(__file__))
CACHE = os.path.join(HERE, "cache")
PREFIX = os.environ.get("PHA_LAB_PREFIX", "pha")
RUN = os.environ.get("PHA_LAB_DIR", f"/run/{PREFIX}-lab") + "/realclient"
MODULES = "ppp_generic,ppp_async,ppp_mppe"
SCRIPT_SIZE = 3500  # as in image/agent.c
IMAGE_SOURCES = ("mkimage.sh", "agent.c", "init", "umlfix.c", "extract-vmlinux.py")


class GuestError(Exception):
    pass


# --- processes --------------------------------------------------------------

def start_time(pid):
    """A process's start time, or None if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            rest = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if rest[0] in "ZX" else int(rest[19])


def record(pid):
    return {"pid": pid, "start": start_time(pid)}


def alive(proc):
    return proc is not None and proc["start"] is not None and \
        start_time(proc["pid"]) == proc["start"]


def end_group(proc, sig=signal.SIGTERM, seconds=3):
    """End a recorded process that leads its own process group."""
    for signum in (sig, signal.SIGKILL):
        if not alive(proc):
            return
        try:
            os.killpg(proc["pid"], signum)
        except ProcessLookupError:
            return
        end = time.monotonic() + seconds
        while alive(proc) and time.monotonic() < end:
            time.sleep(0.02)


# --- choosing and building --------------------------------------------------

def kernel_has_ppp():
    """Whether pppd can run here: the kernel opens /dev/ppp and knows MPPE."""
    for module in MODULES.split(","):
        subprocess.run(["modprobe", "-q", module], check=False, stderr=subprocess.DEVNULL)
    try:
        os.close(os.open("/dev/ppp", os.O_RDWR))
    except OSError:
        return False
    return os.path.exists("/sys/module/ppp_mppe")


def candidates(wanted):
    """Back ends to try, best first."""
    if wanted != "auto":
        return [wanted]
    if kernel_has_ppp():
        return ["direct"]
    return ["uml", "qemu"] if shutil.which("qemu-system-x86_64") else ["uml"]


def image(backend):
    """Folder of the guest's image; built when it is missing or older than what it is made of."""
    os.makedirs(CACHE, exist_ok=True)
    folder = f"{CACHE}/{backend}"
    with open(f"{CACHE}/.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = f"{folder}/initrd.cpio"
        newest = max(os.path.getmtime(f"{HERE}/image/{name}") for name in IMAGE_SOURCES)
        if not os.path.exists(made) or os.path.getmtime(made) < newest:
            p = subprocess.run([f"{HERE}/image/mkimage.sh", CACHE, backend], text=True, check=False,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if p.returncode != 0:
                raise GuestError(f"mkimage.sh {backend}: exit {p.returncode}\n{p.stdout[-2000:]}")
    return folder


# --- life -------------------------------------------------------------------

def folder_of(name):
    return f"{RUN}/{name}"


def load(name):
    try:
        with open(f"{folder_of(name)}/meta.json", encoding="utf-8") as f:
            return BACKENDS[(meta := json.load(f))["backend"]](meta)
    except FileNotFoundError:
        return None


def names():
    return sorted(n for n in os.listdir(RUN) if os.path.exists(f"{RUN}/{n}/meta.json")) \
        if os.path.isdir(RUN) else []


def start(name, ns, backend, memory_mb):
    kinds = candidates(backend)
    for kind in kinds:
        try:
            return start_kind(name, ns, BACKENDS[kind], memory_mb)
        except GuestError:
            if kind == kinds[-1]:
                raise


def start_kind(name, ns, kind, memory_mb):
    os.makedirs(RUN, exist_ok=True)
    with open(f"{RUN}/.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        used = {load(n).meta["slot"] for n in names()}
        slot = next(i for i in range(64) if i not in used)
        folder = folder_of(name)
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        guest = kind({"name": name, "ns": ns, "slot": slot, "backend": kind.name, "procs": {},
                      "memory_mb": memory_mb})
        guest.save()
    begin = time.monotonic()
    try:
        guest.boot()
        status, output = guest.run("true", 10)
        if status != 0:
            raise GuestError(f"{name}: no shell: {output}")
    except BaseException:
        guest.stop()
        raise
    guest.meta["boot_s"] = round(time.monotonic() - begin, 3)
    guest.save()
    return guest


class Guest:
    """What the back ends share: where things are and what is recorded."""
    name = ""

    def __init__(self, meta):
        self.meta = meta
        self.folder = folder_of(meta["name"])

    def save(self):
        path = f"{self.folder}/meta.json"
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.meta, f)
        os.rename(path + ".new", path)

    def record(self, what, pid):
        self.meta["procs"][what] = record(pid)
        self.save()

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def in_ns(self, *cmd):
        return ["ip", "netns", "exec", self.meta["ns"], *cmd] if self.meta["ns"] else list(cmd)


class Direct(Guest):
    """A holder process keeps a mount namespace in which /etc/ppp and /run/pptp are ours."""
    name = "direct"
    HOLD = ("mount --make-rprivate / && mkdir -p /etc/ppp /run/pptp /run/rc && "
            "mount -t tmpfs tmpfs /etc/ppp && mount -t tmpfs tmpfs /run/pptp && "
            "mount -t tmpfs tmpfs /run/rc && mkdir /etc/ppp/peers && "
            "touch /etc/ppp/options /etc/ppp/chap-secrets /etc/ppp/pap-secrets /run/rc/ready && "
            "exec sleep infinity")

    def boot(self):
        with open(f"{self.folder}/console.log", "wb") as log:
            p = subprocess.Popen(self.in_ns("unshare", "--mount", "sh", "-c", self.HOLD),
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
        self.record("holder", p.pid)
        end = time.monotonic() + 10
        while not os.path.exists(f"/proc/{p.pid}/root/run/rc/ready"):
            if p.poll() is not None or time.monotonic() > end:
                raise GuestError(f"{self.meta['name']}: no mount namespace")
            time.sleep(0.01)

    def run(self, script, timeout):
        if not alive(self.meta["procs"].get("holder")):
            raise GuestError(f"{self.meta['name']}: ended")
        # Output goes to a file: a daemon that the script leaves behind must not hold a pipe open.
        with open(f"{self.folder}/output", "w+b") as out:
            p = subprocess.Popen(["nsenter", "--target", str(self.meta["procs"]["holder"]["pid"]),
                                  "--mount", "--net", "sh", "-c", script],
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                 start_new_session=True)
            try:
                status = p.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(p.pid, signal.SIGKILL)
                p.wait()
                status = 124
            out.seek(0)
            return status if status >= 0 else 128 - status, out.read().decode(errors="replace")

    def stop(self):
        if alive(self.meta["procs"].get("holder")):
            self.run("[ ! -e /run/rc/pppd.pid ] || kill $(cat /run/rc/pppd.pid); sleep 0.5", 5)
            end_group(self.meta["procs"]["holder"])
        self.remove()


class Machine(Guest):
    """A guest kernel. Its NIC is a TAP in the network namespace, with a network of its own."""

    def addresses(self):
        base = f"198.18.255.{4 * self.meta['slot']}".rsplit(".", 1)
        return [f"{base[0]}.{int(base[1]) + i}" for i in (1, 2)]

    def tap(self):
        return f"rc{self.meta['slot']}"

    def make_tap(self):
        host, _ = self.addresses()
        for line in (f"tuntap add dev {self.tap()} mode tap", f"addr add {host}/30 dev {self.tap()}",
                     f"link set {self.tap()} up txqueuelen 10000"):
            subprocess.run(self.in_ns("ip", *line.split()), check=True, stdout=subprocess.DEVNULL)

    def command_line(self, port):
        host, guest = self.addresses()
        return [f"pha.port={port}", f"pha.mods={MODULES}", f"pha.if={guest}/30",
                f"pha.route=198.51.100.0/24,{host}"]

    def mac(self):
        return f"02:00:00:00:ff:{self.meta['slot']:02x}"

    def socket_path(self):
        return f"{self.folder}/ctl"

    def wait_ready(self, process, seconds):
        """The agent says READY once; nothing may be sent before, it would be lost."""
        end = time.monotonic() + seconds
        said, link = b"", None
        while b"READY\n" not in said:
            if process.poll() is not None or time.monotonic() > end:
                with open(f"{self.folder}/console.log", encoding="utf-8", errors="replace") as f:
                    console = f.read()[-2000:]
                raise GuestError(f"{self.meta['name']}: the guest did not boot\n{console}")
            try:
                if link is None:
                    link = socket.socket(socket.AF_UNIX)
                    link.settimeout(0.25)
                    link.connect(self.socket_path())
                piece = link.recv(4096)
                said += piece
                if not piece:
                    link = None
            except TimeoutError:
                pass
            except OSError:
                link = None
                time.sleep(0.02)
        link.close()

    def run(self, script, timeout):
        """Ask the agent; one request at a time."""
        with open(f"{self.folder}/lock", "w", encoding="utf-8") as lock, \
                socket.socket(socket.AF_UNIX) as link:
            fcntl.flock(lock, fcntl.LOCK_EX)
            ident = random.randrange(1 << 31)
            data = script.encode()
            if len(data) > SCRIPT_SIZE:
                raise GuestError(f"script of {len(data)} bytes, at most {SCRIPT_SIZE}")
            link.settimeout(timeout + 10)
            try:
                link.connect(self.socket_path())
                link.sendall(b"X %d %.3f %d\n" % (ident, timeout, len(data)) + data)
                stream = link.makefile("rb")
                while line := stream.readline():
                    if not line.startswith(b"R "):
                        continue
                    _, who, status, length = line.split()
                    output = stream.read(int(length))
                    if int(who) == ident:
                        return int(status), output.decode(errors="replace")
            except OSError as e:
                raise GuestError(f"{self.meta['name']}: {e}") from e
        raise GuestError(f"{self.meta['name']}: the guest is gone")

    def stop(self):
        self.halt()
        relay = self.meta["procs"].get("relay")
        if alive(relay):
            os.kill(relay["pid"], signal.SIGTERM)
        if os.path.exists(f"/run/netns/{self.meta['ns']}"):
            subprocess.run(self.in_ns("ip", "link", "del", self.tap()), check=False,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.remove()


class Uml(Machine):
    name = "uml"

    def boot(self):
        img = image("uml")
        self.make_tap()
        ours, theirs = socket.socketpair()
        cmd = [f"{img}/kernel", f"mem={self.meta['memory_mb']}M", f"initrd={img}/initrd.cpio",
               "root=/dev/ram0", "con=null", "con0=null,fd:1", "ssl=null",
               f"ssl0=fd:{theirs.fileno()}", "quiet", f"umid={self.meta['name']}",
               f"uml_dir={self.folder}/uml", *self.command_line("/dev/ttyS0"),
               f"vec0:transport=tap,ifname={self.tap()},depth=128,gro=0,mac={self.mac()}"]
        os.makedirs(f"{self.folder}/uml", exist_ok=True)
        env = dict(os.environ, TMPDIR="/dev/shm")
        with open(f"{self.folder}/console.log", "wb") as log:
            p = subprocess.Popen(self.in_ns("env", f"LD_PRELOAD={img}/umlfix.so", *cmd),
                                 stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                                 start_new_session=True, pass_fds=[theirs.fileno()])
        self.record("guest", p.pid)
        theirs.close()
        relay = os.fork()
        if relay == 0:
            self.relay(ours)
        self.record("relay", relay)
        ours.close()
        self.wait_ready(p, 60)

    def relay(self, guest):
        """In a process of its own: hands the guest's serial line to whoever connects last."""
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.socket_path())
        listener.listen(8)
        current = None
        while True:
            ready, _, _ = select.select([guest, listener] + ([current] if current else []), [], [])
            if listener in ready:
                newer, _ = listener.accept()
                if current:
                    current.close()
                current = newer
            if guest in ready:
                try:
                    data = guest.recv(65536)
                except OSError:
                    data = b""
                if not data:
                    os._exit(0)
                try:
                    if current:
                        current.sendall(data)
                except OSError:
                    current.close()
                    current = None
            if current in ready:
                try:
                    data = current.recv(65536)
                except OSError:
                    data = b""
                if data:
                    guest.sendall(data)
                else:
                    current.close()
                    current = None

    def halt(self):
        """A guest is several host processes; its own power-off ends them all."""
        guest = self.meta["procs"].get("guest")
        if not alive(guest):
            return
        try:
            self.run("(sleep 0.05; poweroff -f) >/dev/null 2>&1 &", 2)
        except GuestError:
            pass
        end = time.monotonic() + 2
        while alive(guest) and time.monotonic() < end:
            time.sleep(0.02)
        end_group(guest, signal.SIGKILL)


class Qemu(Machine):
    name = "qemu"
    # One packet stays one packet: no offloads.
    OFF = "".join(f",{o}=off" for o in (
        "csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo",
        "host_tso4", "host_tso6", "host_ecn", "host_ufo"))

    def boot(self):
        if shutil.which("qemu-system-x86_64") is None:
            raise GuestError("qemu-system-x86_64 is not installed (package qemu-system-x86)")
        img = image("qemu")
        self.make_tap()
        kernel_args = ["console=ttyS0", "quiet", "nokaslr", "panic=-1", "tsc=reliable",
                       "no_timer_check", "mitigations=off", "random.trust_cpu=on",
                       *self.command_line("/dev/ttyS1")]
        kernel_args = " ".join(kernel_args).replace(MODULES, "virtio_pci,virtio_net,virtio_rng," + MODULES)
        cmd = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-cpu", "max", "-smp", "1",
               "-m", str(max(self.meta["memory_mb"], 192)), "-nodefaults", "-no-user-config",
               "-display", "none", "-no-reboot", "-kernel", f"{img}/kernel",
               "-initrd", f"{img}/initrd.cpio", "-append", kernel_args,
               "-chardev", f"file,id=con,path={self.folder}/console.log", "-serial", "chardev:con",
               "-chardev", f"socket,id=ctl,path={self.socket_path()},server=on,wait=off",
               "-serial", "chardev:ctl",
               "-object", "rng-random,id=r0,filename=/dev/urandom",
               "-device", "virtio-rng-pci,rng=r0",
               "-netdev", f"tap,id=n0,ifname={self.tap()},script=no,downscript=no,vhost=off",
               "-device", f"virtio-net-pci,netdev=n0,mac={self.mac()},rx_queue_size=1024,romfile="
               + self.OFF]
        with open(f"{self.folder}/host.log", "wb") as log:
            p = subprocess.Popen(self.in_ns(*cmd), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                 start_new_session=True)
        self.record("guest", p.pid)
        self.wait_ready(p, 90)

    def halt(self):
        guest = self.meta["procs"].get("guest")
        if guest:
            end_group(guest)


BACKENDS = {kind.name: kind for kind in (Direct, Uml, Qemu)}
