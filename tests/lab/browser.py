# SPDX-License-Identifier: GPL-2.0-or-later
#
# A headless Chromium, driven over a pair of pipes (--remote-debugging-pipe: the DevTools protocol, one JSON
# text after another, each ended by a NUL). No port is opened, and nothing but the standard library is needed.
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time


class Failure(Exception):
    pass


class Browser:
    """One tab. Every wait has a limit, so that a page that hangs is a failure and no hang of the test."""

    def __init__(self, command=("chromium",), limit_s=20):
        self.limit_s = limit_s
        self.folder = tempfile.mkdtemp(prefix="browser-")
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        self.incoming, self.outgoing = ours_in, ours_out
        self.next_id = 0
        self.buffer = b""
        self.events = []
        self.session = None
        # The descriptors must be 3 and 4 in the child; the shell puts them there.
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", 'exec "$@" 3<&%d 4>&%d' % (theirs_in, theirs_out), "sh", *command,
             "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
             "--disable-background-networking", "--no-first-run", "--user-data-dir=" + self.folder,
             "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        target = self.wait_for(self.first_page)
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def first_page(self):
        pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        return pages[0]["targetId"] if pages else None

    def close(self):
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(self.limit_s)
        except (Failure, OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.incoming)
        os.close(self.outgoing)
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- the protocol ----

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            if not select.select([self.incoming], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Failure("the browser does not answer")
            part = os.read(self.incoming, 1 << 20)
            if not part:
                raise Failure("the browser has ended")
            self.buffer += part
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, **params):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.outgoing, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.limit_s
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.next_id:
                if "error" in answer:
                    raise Failure("%s: %s" % (method, answer["error"]["message"]))
                return answer["result"]
            if "method" in answer:
                self.events.append(answer)
                del self.events[:-5000]

    def wait_for(self, question, what="it"):
        """Asks until the answer is true, and returns it."""
        deadline = time.monotonic() + self.limit_s
        while True:
            answer = question()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise Failure("%s did not come true in %d s" % (what, self.limit_s))
            time.sleep(0.05)

    # ---- the page ----

    def run(self, script):
        """The value of an expression in the page; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failure(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    def until(self, script, reload=False):
        """Asks until the expression is true; with reload the page is loaded anew in between."""
        def ask():
            try:
                answer = self.run(script)
            except Failure as e:
                if "navigated" not in str(e):
                    raise
                return None # the question was on its way while the page changed
            if not answer and reload:
                time.sleep(1)
                self.call("Page.reload")
            return answer
        return self.wait_for(ask, script)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.until("document.readyState == 'complete' && location.href != 'about:blank'")

    def size(self, width, height=900, phone=False, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale,
                  mobile=phone)

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def script(self, on):
        self.call("Emulation.setScriptExecutionDisabled", value=not on)

    def click(self, selector):
        """A real click in the middle of the element."""
        spot = self.run("""(() => {
            const e = document.querySelector(%s);
            if (!e) return null;
            e.scrollIntoView({block: "center"});
            const r = e.getBoundingClientRect();
            return [r.x + r.width / 2, r.y + r.height / 2];
        })()""" % json.dumps(selector))
        if not spot:
            raise Failure("there is no " + selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=spot[0], y=spot[1], button="left", clickCount=1)

    def point(self, selector, part):
        """Moves the mouse over the element, so far from its left edge (0..1)."""
        spot = self.run("""(() => {
            const e = document.querySelector(%s);
            e.scrollIntoView({block: "center"});
            const r = e.getBoundingClientRect();
            return [r.x + r.width * %f, r.y + r.height / 2];
        })()""" % (json.dumps(selector), part))
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=spot[0], y=spot[1])

    def type(self, text):
        self.call("Input.insertText", text=text)

    def key(self, name, code):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code,
                      **({"text": "\r"} if name == "Enter" and kind == "keyDown" else {}))

    def shot(self, path, top=0, height=None):
        """The page as PNG, from top on, height or all that follows."""
        shape = self.call("Page.getLayoutMetrics")["cssContentSize"]
        height = min(height or shape["height"], shape["height"] - top)
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                            clip={"x": 0, "y": top, "width": shape["width"], "height": height, "scale": 1})
        with open(path, "wb") as f:
            f.write(base64.b64decode(picture["data"]))

    @property
    def asked(self):
        """The addresses of everything that was fetched since forget()."""
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    def forget(self):
        self.events = []

    def complaints(self):
        """What the page's scripts or the browser complained about so far: errors, refused resources."""
        found = []
        for event in self.events:
            params = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                found.append(params["exceptionDetails"].get("exception", {}).get("description", "an exception"))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                found.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        return found
