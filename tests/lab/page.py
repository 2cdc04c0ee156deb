#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""page.py PREFIX FOLDER PART... - the status page in a headless Chromium that runs beside gw1.

Used by long-page.sh, which brings the lab up. A check prints `ok - NAME` or `not ok - NAME`; pictures of the
page go to FOLDER. Parts: healthy sessions drill looks words degraded.
"""
import json
import os
import subprocess
import sys
import traceback

from browser import Browser, Failure

URL = "http://127.0.0.1:9723/"
HERE = os.path.dirname(os.path.abspath(__file__))
LAB = os.path.join(HERE, "lab")
CLIENT = os.path.join(HERE, "..", "..", os.environ.get("PHA_BUILD", "build"), "tests/client/pptp-client")
VIP = "198.51.100.10"
ROWS = "[...document.querySelectorAll('.sessions tbody tr')].map(r => r.querySelector('.user').firstChild.data.trim())"
PHONE, DESK = 390, 1280

# The ratio of contrast (WCAG 2.1) of every element that has words of its own and is to be seen.
CONTRAST = """(() => {
    const channels = text => (text.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
    const light = c => {
        const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = e => {
        for (; e; e = e.parentElement) {
            const c = channels(getComputedStyle(e).backgroundColor);
            if (c.length < 4 || c[3] > 0) return c;
        }
        return [255, 255, 255];
    };
    // In a picture the words stand on the last filled shape before them that lies under their middle.
    const shape = e => {
        const spot = e.getBoundingClientRect(), x = spot.x + spot.width / 2, y = spot.y + spot.height / 2;
        let found = null;
        for (const other of e.ownerSVGElement.querySelectorAll("rect, text")) {
            if (other === e) break;
            const r = other.getBoundingClientRect(), fill = getComputedStyle(other).fill;
            if (other.tagName === "rect" && fill !== "none" && channels(fill)[3] !== 0 && x > r.left && x < r.right && y > r.top && y < r.bottom)
                found = channels(fill);
        }
        return found || ground(e.ownerSVGElement.parentElement);
    };
    const bad = [];
    let seen = 0;
    for (const e of document.querySelectorAll("body *")) {
        const words = [...e.childNodes].filter(n => n.nodeType === 3 && n.data.trim()).map(n => n.data.trim()).join(" ");
        if (!words || !e.getClientRects().length || e.closest("title, desc, noscript, .skip")) continue;
        const svg = e.tagName === "text", style = getComputedStyle(e);
        const a = light(channels(svg ? style.fill : style.color)), b = light(svg ? shape(e) : ground(e));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        seen++;
        if (ratio < 4.5) bad.push(ratio.toFixed(2) + " " + words.slice(0, 30));
    }
    return [seen, bad];
})()"""

# What a screen reader would miss: a picture without a name, a field without a label, two things of one id.
NAMELESS = """(() => {
    const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
    return [
        ...[...document.querySelectorAll("svg[role=img]")].filter(e => !e.querySelector("title") && !e.getAttribute("aria-label")).map(e => "svg " + e.className.baseVal),
        ...[...document.querySelectorAll("input:not([type=hidden])")].filter(e => !e.labels.length).map(e => "input " + e.name),
        ...[...document.querySelectorAll("a, button")].filter(e => !e.textContent.trim()).map(e => "nothing in " + e.outerHTML.slice(0, 60)),
        ...ids.filter((id, i) => ids.indexOf(id) !== i).map(id => "twice: " + id),
        ...[...document.querySelectorAll("[aria-labelledby]")].filter(e => !document.getElementById(e.getAttribute("aria-labelledby"))).map(e => "no label for " + e.tagName),
        ...(document.querySelectorAll("h1").length === 1 ? [] : ["headings of the first order: " + document.querySelectorAll("h1").length]),
        ...(document.documentElement.lang ? [] : ["no language"]),
    ];
})()"""

failed = False


def report(name, good, why=""):
    global failed
    print(("ok - " if good else "not ok - ") + name, flush=True)
    if not good:
        failed = True
        for line in str(why).splitlines()[-20:]:
            print("#   " + line, flush=True)


def check(name, question, want=True):
    """Passes if the function gives what is wanted; a Failure fails it."""
    try:
        got = question()
    except Failure as e:
        report(name, False, e)
        return
    good = got == want if want is not True else bool(got)
    report(name, good, "got %r, want %r" % (got, want))


def lab(*arguments, node=None):
    words = [LAB] + (["exec", node] if node else []) + list(arguments)
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=120).stdout


def hagent(node, *arguments):
    root = "%s/%s" % (os.environ.get("PHA_LAB_DIR", "/run/%s-lab" % os.environ.get("PHA_LAB_PREFIX", "pha")), node)
    return lab("hagent", "--node", node, "--root", root, *arguments, node=node)


def api(path):
    return json.loads(lab("curl", "-s", "-m", "10", URL + "api/" + path, node="gw1"))


def text(b, selector):
    return b.run("(document.querySelector(%s) || {textContent: ''}).textContent" % json.dumps(selector))


def fill(b, words):
    """Into the search field, over what stands there, as somebody types it."""
    b.click("#q")
    b.run("document.getElementById('q').select()")
    if words:
        b.type(words)
    else:
        b.key("Backspace", 8)


def pictures(b, folder, name, path=""):
    """On the desk and on a phone, light and dark; nothing may stand out of the window at either width."""
    for width in (DESK, PHONE):
        for dark in (False, True):
            b.size(width, phone=width == PHONE)
            b.dark(dark)
            b.open(URL + path)
            look = "%s, %d wide, %s" % (name, width, "dark" if dark else "light")
            b.shot("%s/%s-%d-%s.png" % (folder, name, width, "dark" if dark else "light"))
            if not dark:
                check(look + ": nothing stands out", lambda: b.run("document.documentElement.scrollWidth"), width)
            seen, bad = b.run(CONTRAST)
            report("%s: %d texts can be read" % (look, seen), seen > 20 and not bad, "\n".join(bad))
    b.size(DESK)
    b.dark(False)


# ---- the parts ----

def healthy(b, folder):
    b.open(URL)
    check("it says Safe", lambda: text(b, "h1"), "Safe")
    check("and what gw1's own screen says", lambda: b.wait_for(lambda: api("status")["safety"]["headline"] in text(b, "#verdict"), "that"))
    words = text(b, "svg.pair")
    for part in ("gw1", "active", "gw2", "standby", "VIP 198.51.100.10", "LAN 192.168.1.1", "WAN ✓", "sync ✓", "LAN ✓",
                 "clients connected", "copy current", "lag ", "198.51.100.12", "tcp 192.168.1.20:443"):
        report("the picture has \"%s\"" % part, part in words, words)
    b.limit_s *= 3 # the agent looks at them every 30 s
    check("the files are in step", lambda: b.until("/files ?in step, as of [0-9]+ (s|min) ago/.test(document.getElementById('facts').textContent)"))
    b.limit_s /= 3
    check("nothing is wrong", lambda: "Nothing is wrong" in text(b, "#problems"))
    b.wait_for(lambda: api("history")["tx_octets"][-1:] not in ([], [None]), "a sample of the traffic")
    check("the hour's traffic is drawn", lambda: b.until("(document.querySelector('.plot .out.line') || {getTotalLength: () => 0}).getTotalLength() > 0"))
    b.point("svg.plot", 0.999)
    check("pointing at it tells the figures of that moment", lambda: b.until("/^0 s ago: to clients [0-9.]+ kbit.s, from clients .*, 130 sessions$/.test(document.getElementById('reading').textContent)"))
    b.point("svg.plot", 0.01)
    check("and of one before the first that they are not known", lambda: b.until("/ min ago: not known$/.test(document.getElementById('reading').textContent)"))
    check("nothing is without a name", lambda: b.run(NAMELESS), [])
    check("nothing comes from elsewhere", lambda: [u for u in b.asked if not u.startswith((URL, "data:", "about:"))], [])
    pictures(b, folder, "healthy")


def sessions(b, folder):
    b.open(URL)
    everybody = api("sessions?limit=1000")["sessions"]
    check("the first page of sessions stands there", lambda: b.run(ROWS),
          [s["user"] for s in api("sessions?sort=user&limit=50")["sessions"]])
    check("it says how many there are", lambda: "of %d sessions" % len(everybody) in text(b, "#summary"))

    fill(b, "u7")
    want = sorted(s["user"] for s in everybody if "u7" in s["user"])
    check("search finds the users that have it", lambda: b.until("location.search.includes('q=u7') && %s.length === %d && %s" % (ROWS, len(want), ROWS)) and sorted(b.run(ROWS)), want)
    check("the field keeps the focus", lambda: b.run("document.activeElement.id"), "q")
    fill(b, everybody[3]["address"])
    check("search finds an address", lambda: b.until(ROWS + ".length === 1") and b.run(ROWS), [everybody[3]["user"]])
    fill(b, "<nobody>&")
    check("a search that finds nothing says so", lambda: b.until("document.getElementById('summary').textContent.startsWith('0 that match')"))
    b.click("#all")
    check("and leads back to all", lambda: b.until(ROWS + ".length === 50") and b.run("document.getElementById('q').value"), "")

    b.click("#by-tx")
    check("a click on a heading sorts", lambda: b.until("document.querySelector('[aria-sort=descending] #by-tx') !== null"))
    sizes = "[...document.querySelectorAll('.sessions td.address')].map(e => e.textContent)"
    b.click("#by-address")
    b.until("document.querySelector('[aria-sort=ascending] #by-address') !== null")
    check("by address as the API has it", lambda: b.run(sizes), [s["address"] for s in api("sessions?sort=address&limit=50")["sessions"]])
    check("the heading keeps the focus", lambda: b.run("document.activeElement.id"), "by-address")
    b.click("#by-address")
    b.until("document.querySelector('[aria-sort=descending] #by-address') !== null")
    check("a second click turns it round", lambda: b.run(sizes), [s["address"] for s in api("sessions?sort=address&order=desc&limit=50")["sessions"]])

    b.click("#next")
    check("the next page", lambda: b.until("document.getElementById('summary').textContent.startsWith('51–')") and b.run(sizes),
          [s["address"] for s in api("sessions?sort=address&order=desc&after=50&limit=50")["sessions"]])
    b.run("history.back()")
    check("the browser's way back goes back", lambda: b.until("document.getElementById('summary').textContent.startsWith('1–')"))
    b.click("#last")
    check("the last page", lambda: b.until("document.getElementById('summary').textContent.includes('–%d of')" % len(everybody)))

    b.open(URL)
    b.run("window.same = true")
    count = "document.getElementById('summary').textContent.includes('of %d sessions')"
    guest = subprocess.Popen([LAB, "exec", "client", CLIENT, "--server", VIP, "--user", "u299", "--password", "p299",
                              "--hold", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    check("who comes appears by itself", lambda: b.until(count % (len(everybody) + 1)))
    hagent("gw1", "kick", "u299")
    check("who is gone disappears by itself", lambda: b.until(count % len(everybody)))
    guest.terminate()
    guest.wait(30)
    check("without loading the page anew", lambda: b.run("window.same"))


def drill(b, folder):
    drills = api("drills")["drills"]
    report("there is a drill", len(drills) > 0, drills)
    if not drills:
        return
    b.open(URL)
    check("the last drill stands first", lambda: b.run("document.querySelector('.drills tbody a').pathname"), "/drills/" + drills[0]["id"])
    check("the trend has a bar for each", lambda: b.run("document.querySelectorAll('svg.trend a').length"), min(len(drills), 24))
    b.click(".drills tbody a")
    check("a click opens its report", lambda: b.until("location.pathname.startsWith('/drills/') && document.readyState === 'complete'"))
    check("with its verdict", lambda: drills[0]["verdict"] in text(b, "h1"))
    check("and its time line", lambda: b.run("document.querySelector('svg.timeline') !== null"))
    check("nothing of the report is without a name", lambda: b.run(NAMELESS), [])
    pictures(b, folder, "drill", "drills/" + drills[0]["id"])
    b.open(URL)
    b.run("setTimeout(() => document.querySelector('.trend a').dispatchEvent(new MouseEvent('click', {bubbles: true, cancelable: true})))")
    check("so does a bar of the trend", lambda: b.until("location.pathname.startsWith('/drills/')"))


def words(b, folder):
    """Without JavaScript: the same, and search and sort by links and a form."""
    b.script(False)
    b.open(URL)
    for part in ("Safe", "gw1", "gw2", "copy current", "Nothing is wrong"):
        check("without scripts: \"%s\"" % part, lambda: part in text(b, "body"))
    check("without scripts: it says of when it is", lambda: text(b, "#fresh").startswith("as of "))
    b.click("#by-address")
    check("without scripts: a heading sorts", lambda: b.until("location.search.includes('sort=address') && document.readyState === 'complete'") and b.until("(document.querySelector('[aria-sort]') || {}).className", reload=True), "address")
    b.click("#q")
    b.type("u11")
    b.key("Enter", 13)
    check("without scripts: the form searches, and the order stays", lambda: b.until("location.search.includes('q=u11')") and b.until(ROWS + ".length > 0 && " + ROWS + ".every(u => u.includes('u11'))", reload=True) and b.run("location.search.includes('sort=address')"))
    b.script(True)


def degraded(b, folder):
    b.open(URL)
    b.run("window.same = true")
    lab("fail", "gw2", "link-sync")
    check("a path that is cut is drawn so, by itself", lambda: b.until("document.querySelector('svg.pair').textContent.includes('sync ✗ down')"))
    check("and said, with what to do", lambda: b.until("document.getElementById('problems').textContent.includes('What to do')"))
    pictures(b, folder, "path-down")
    lab("heal", "gw2")
    b.open(URL)
    check("healed, nothing is wrong", lambda: b.until("document.getElementById('problems').textContent.includes('Nothing is wrong')"))

    b.run("window.same = true")
    lab("fail", "gw2", "power")
    check("a dead peer is seen, by itself", lambda: b.until("document.querySelector('h1').textContent === 'At risk' && document.title.startsWith('At risk')"))
    check("it is drawn as silent", lambda: "silent for" in text(b, "svg.pair"))
    check("still the same page", lambda: b.run("window.same"))
    pictures(b, folder, "peer-dead")
    lab("heal", "gw2")
    b.open(URL)
    check("healed, it says Safe again", lambda: b.until("document.querySelector('h1').textContent === 'Safe'"))

    lab("fail", "gw1", "hang-agent")
    check("an agent that hangs: what was is not shown as what is", lambda: b.until("document.querySelector('h1').textContent === 'Unknown'"))
    check("with what to do", lambda: "restart hagent" in text(b, "#problems"))
    pictures(b, folder, "agent-hangs")
    lab("heal", "gw1")
    b.open(URL)
    check("healed, it knows again", lambda: b.until("document.querySelector('h1').textContent !== 'Unknown'"))


def silent(b, folder):
    """The last part: nobody answers the page any more."""
    b.open(URL)
    b.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    check("a page that nobody answers says that it is old", lambda: b.until("!document.getElementById('lost').hidden"))
    b.shot(folder + "/no-answer.png")
    b.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    check("and recovers by itself", lambda: b.until("document.getElementById('lost').hidden"))


def main():
    prefix, folder = sys.argv[1:3]
    b = Browser(["ip", "netns", "exec", prefix + "-gw1", "chromium"])
    try:
        for name in sys.argv[3:]:
            b.forget()
            globals()[name](b, folder)
            if name != "silent":
                report("%s: the browser has nothing to complain of" % name, not b.complaints(), "\n".join(b.complaints()))
    except (Failure, OSError, subprocess.SubprocessError):
        report("the browser goes on", False, traceback.format_exc())
    finally:
        b.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
