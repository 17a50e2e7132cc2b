"""Debian's Chromium, headless and cut off from every network but 127.0.0.1, driven over its DevTools pipe.

The protocol is JSON with a NUL after each message, to file descriptor 3 and from file descriptor 4 of the browser.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-sandbox",  # tests run as root in containers; only our own page is ever loaded
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-gpu",
    "--disable-sync",
    "--hide-scrollbars",
    "--metrics-recording-only",
    "--no-pings",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--proxy-server=direct://",
)
PHONE, DESKTOP = (375, 812), (1280, 900)


def installed() -> str | None:
    return shutil.which("chromium")


@dataclass
class Tab:
    """One page without JavaScript."""

    process: subprocess.Popen[bytes]
    send: int
    receive: int
    session: str = ""
    _number: int = 0
    _rest: bytes = b""
    _events: list[dict[str, Any]] = field(default_factory=list)

    def open(self, url: str) -> None:
        assert url.startswith("http://127.0.0.1:"), "nothing else is ever loaded"
        self._loads("Page.navigate", url=url)

    def size(self, width: int, height: int, dark: bool = False) -> None:
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=scheme)

    def speaks(self, languages: str) -> None:
        agent = self.call("Browser.getVersion")["userAgent"]
        self.call("Emulation.setUserAgentOverride", userAgent=agent, acceptLanguage=languages)

    def screenshot(self, whole: bool = True) -> bytes:
        made = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(made["data"])

    def width(self) -> tuple[float, float]:
        """Of what is shown, and of what there would be to show."""
        metrics = self.call("Page.getLayoutMetrics")
        return metrics["cssLayoutViewport"]["clientWidth"], metrics["cssContentSize"]["width"]

    def text(self, selector: str) -> str:
        """Its HTML."""
        html = self.call("DOM.getOuterHTML", nodeId=self._node(selector))["outerHTML"]
        return str(html)

    def computed(self, selector: str, name: str) -> str:
        """A property of its style, as the browser applies it."""
        styles = self.call("CSS.getComputedStyleForNode", nodeId=self._node(selector))["computedStyle"]
        return str(next(style["value"] for style in styles if style["name"] == name))

    def scripts(self, allowed: bool) -> None:
        self.call("Emulation.setScriptExecutionDisabled", value=not allowed)

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of it; returns when the page that follows is there."""
        node = self._node(selector)
        self.call("DOM.scrollIntoViewIfNeeded", nodeId=node)
        corners = self.call("DOM.getBoxModel", nodeId=node)["model"]["content"]
        where = {"x": sum(corners[0::2]) / 4, "y": sum(corners[1::2]) / 4, "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **where)
        self._loads("Input.dispatchMouseEvent", type="mouseReleased", **where)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.send, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            self._events.append(answer)
        assert "error" not in answer, answer
        found: dict[str, Any] = answer["result"]
        return found

    def _node(self, selector: str) -> int:
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        found: int = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        assert found, f"the page has no {selector}"
        return found

    def _loads(self, method: str, **params: object) -> None:
        self._events.clear()
        self.call(method, **params)
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            self._events.append(self._read())

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self.receive], [], [], max(0.0, deadline - time.monotonic()))
            chunk = os.read(self.receive, 1 << 16) if ready else b""
            assert chunk, f"the browser says nothing (status {self.process.poll()})"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """A browser with a profile of its own in `folder`, and one tab."""
    program = installed()
    assert program is not None
    inlet, ours = os.pipe()
    theirs, outlet = os.pipe()
    to_browser, from_browser = (fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (inlet, outlet))
    os.close(inlet)
    os.close(outlet)
    # The shell gives it the two ends as 3 and 4, which they may not be here.
    command = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
    words = ["bash", "-c", command, "bash", program, *FLAGS, f"--user-data-dir={folder}"]
    environment = os.environ | {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder)}
    with (folder / "chromium.log").open("w") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            pass_fds=(to_browser, from_browser),
        )
    os.close(to_browser)
    os.close(from_browser)
    tab = Tab(process, ours, theirs)
    try:
        target = tab.call("Target.createTarget", url="about:blank")["targetId"]
        tab.session = tab.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "DOM", "CSS"):
            tab.call(f"{domain}.enable")
        tab.scripts(False)
        yield tab
        tab.session = ""
        tab.call("Browser.close")
        process.wait(timeout=PATIENCE_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(ours)
        os.close(theirs)
