"""A headless Chromium that tests drive: pages from disk, at a width, light or dark, with or without scripts.

with start(folder, programs) as browser:
    browser.open(path, width=360, dark=True)
    browser.script("return document.title")
    browser.check_quiet()                      # no message in the console, no request but for the page itself
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

from hil.core.lifeline import tie

_BROWSERS = ("chromium", "google-chrome")
_OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"),
    "--remote-debugging-pipe",  # whose end ends the browser
)
HEIGHT = 900
_PATIENCE = 30


def find_programs() -> tuple[str, str] | None:
    """Returns the paths of a browser and its driver; None if one is not installed."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@dataclass
class Browser:
    """A browser with one page; `downloads` is the folder that gets its downloads."""

    driver: Chrome
    downloads: Path
    _page: str = field(default="", init=False)

    def command(self, name: str, **settings: Any) -> Any:
        """Sends a command of the Chrome DevTools protocol."""
        return self.driver.execute_cdp_cmd(name, settings)

    def script(self, text: str, *arguments: Any) -> Any:
        """Runs a script in the page and returns its result."""
        return self.driver.execute_script(text, *arguments)

    def open(self, path: Path, *, width: int = 1200, dark: bool = False, scripts: bool = True) -> float:
        """Opens a page anew, waits until its script is ready, and returns the seconds that this took in the browser."""
        self.command("Emulation.setScriptExecutionDisabled", value=not scripts)
        metrics = {"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.command("Emulation.setEmulatedMedia", features=[scheme])
        self.driver.get("about:blank")
        self.messages(), self.requests()
        self._page = path.as_uri()
        self.driver.get(self._page)
        if scripts:
            self.wait("return document.documentElement.classList.contains('is-ready')")
        return float(self.script("return performance.now()")) / 1000

    def wait(self, text: str) -> Any:
        """Waits until a script returns something true, and returns it."""
        return WebDriverWait(self.driver, _PATIENCE, 0.02).until(lambda _: self.script(text))

    def picture(self, height: int) -> bytes:
        """Returns a PNG of the page from its top."""
        width = self.script("return innerWidth")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.command("Emulation.setDeviceMetricsOverride", **metrics)
        self.wait("return [...document.querySelectorAll('.plot')].some(plot => plot.firstChild)")
        return base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"])

    def download(self, pattern: str) -> str:
        """Waits for a download whose name matches a pattern, and returns its text with the line ends that it has."""
        waiting = WebDriverWait(self.driver, _PATIENCE, 0.02)
        found = waiting.until(lambda _: next(self.downloads.glob(pattern), None))  # it has its name when it is whole
        with found.open(encoding="utf-8", newline="") as file:
            return file.read()

    def messages(self) -> list[str]:
        """Returns the new messages of the console: errors, warnings, breaches of the content policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Returns the addresses of the new requests."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return [params["request"]["url"] for params in sent]

    def check_quiet(self) -> None:
        """Checks that the page wrote nothing to the console, and asked for nothing but itself and its own blobs."""
        assert self.messages() == []
        assert {url.partition("#")[0] for url in self.requests() if not url.startswith("blob:")} <= {self._page}


@contextmanager
def start(folder: Path, programs: tuple[str, str]) -> Iterator[Browser]:
    """Runs a browser (paths of it and of its driver) with its profile and downloads in a folder.

    If this process is killed, the kernel ends the driver, and the end of its pipe the browser.
    """
    options = ChromeOptions()
    options.binary_location, driver_path = programs
    for option in (*_OPTIONS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    downloads = folder / "downloads"
    downloads.mkdir()
    service = Service(driver_path, popen_kw={"preexec_fn": partial(tie, os.getpid())})
    driver = Chrome(options=options, service=service)
    try:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        yield Browser(driver, downloads)
    finally:
        driver.quit()
