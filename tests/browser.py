"""A headless Chromium that opens files: what is wider than the page, what it complains about, what it would fetch.

It is driven by the DevTools protocol over a pair of pipes (--remote-debugging-pipe), which needs nothing but the browser.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
DEADLINE_S: Final = 60.0

_TAKES_3_AND_4: Final = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, place in zip(ends, (3, 4)):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser takes commands from descriptor 3 and answers on 4; dash cannot redirect from a number above 9."""

WIDER: Final = """(() => {
  const page = document.documentElement, wide = [];
  const scrolls = e => e && (['auto', 'scroll'].includes(getComputedStyle(e).overflowX) || scrolls(e.parentElement));
  for (const e of document.querySelectorAll('body *'))
    if (e.getBoundingClientRect().right > page.clientWidth + 1 && !scrolls(e)) wide.push(e.tagName + '.' + e.className);
  return JSON.stringify({scroll: page.scrollWidth, client: page.clientWidth, wide: wide.slice(0, 5)});
})()"""
"""Elements beyond the right edge that are not inside something that scrolls by itself."""


def chromium() -> str | None:
    """Where a browser is; None: there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Seen:
    """What one page did. ``requests``: addresses but for the file itself and data in it. ``wider``: see `WIDER`."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    scroll_width: int = 0
    client_width: int = 0
    wider: list[str] = field(default_factory=list)


class Browser:
    """One browser and one tab."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._read_fd, self._write_fd = read_fd, write_fd
        self._number, self._rest = 0, b""
        self._events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank", session="")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True, session="")
        self._session = str(attached["sessionId"])
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    _session = ""

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """One command and its answer. Raises RuntimeError where the browser refuses, TimeoutError where it is silent."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if session is None:
            message["sessionId"] = self._session
        os.write(self._write_fd, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") != self._number:
                self._events.append(found)
            elif "error" in found:
                raise RuntimeError(f"{method}: {found['error']}")
            else:
                result: dict[str, Any] = found["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            if not select.select([self._read_fd], [], [], DEADLINE_S)[0]:
                raise TimeoutError("the browser does not answer")
            more = os.read(self._read_fd, 1 << 16)
            if not more:
                raise RuntimeError("the browser has ended")
            self._rest += more
        text, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(text)
        return message

    def open(self, path: Path, *, width: int = 1280, is_dark: bool = False, medium: str = "screen") -> Seen:
        """Load a file in a window of that width (CSS pixels) and watch it."""
        self._events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=medium, features=[scheme])
        self.call("Page.navigate", url=path.resolve().as_uri())
        limit_s = time.monotonic() + DEADLINE_S
        while not any(event.get("method") == "Page.loadEventFired" for event in self._events):
            if time.monotonic() > limit_s:
                raise TimeoutError(f"{path} does not load")
            self._events.append(self._next())
            if self._events[-1].get("method") == "Page.javascriptDialogOpening":  # it holds up the page
                self.call("Page.handleJavaScriptDialog", accept=False)
        sizes = json.loads(self.evaluate(WIDER))
        seen = Seen(scroll_width=sizes["scroll"], client_width=sizes["client"], wider=sizes["wide"])
        for event in self._events:
            _note(seen, event, path)
        return seen

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, out: Path) -> None:
        """The whole page, from top to bottom."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 16000), "scale": 1}
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        out.write_bytes(base64.b64decode(found["data"]))

    def pdf(self, out: Path) -> None:
        """As printed, on A4."""
        self.call("Emulation.clearDeviceMetricsOverride")
        self.call("Emulation.setEmulatedMedia", media="", features=[])
        found = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)
        out.write_bytes(base64.b64decode(found["data"]))


def _note(seen: Seen, event: dict[str, Any], path: Path) -> None:
    method, params = event.get("method"), event.get("params", {})
    if method == "Log.entryAdded":
        seen.complaints.append(str(params["entry"]["text"]))
    elif method == "Runtime.consoleAPICalled" or method == "Runtime.exceptionThrown":
        seen.complaints.append(json.dumps(params)[:300])
    elif method == "Page.javascriptDialogOpening":
        seen.dialogs.append(str(params.get("message")))
    elif method == "Network.requestWillBeSent":
        url = str(params["request"]["url"])
        if url != path.resolve().as_uri() and not url.startswith("data:"):
            seen.requests.append(url)


@contextlib.contextmanager
def browser(profile: Path, options: Sequence[str] = ()) -> Iterator[Browser]:
    """A browser with an empty profile in ``profile``; it ends with the block.

    Raises:
        FileNotFoundError: there is none on this machine.
    """
    program = chromium()
    if program is None:
        raise FileNotFoundError(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    command = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
    command += [
        "--no-first-run",
        "--disable-extensions",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKES_3_AND_4, str(to_read), str(from_write), *command, *options],
        pass_fds=(to_read, from_write),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(from_write)
    try:
        found = Browser(from_read, to_write)
        yield found
        with contextlib.suppress(OSError, RuntimeError):
            found.call("Browser.close", session="")
    finally:
        os.close(to_write)
        os.close(from_read)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
