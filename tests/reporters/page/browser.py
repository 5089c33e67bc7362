"""A headless Chromium that opens pages, and tells what they did."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
PROGRAMS = ("chromium", "chromedriver")
PACKAGES = ("selenium", "axe_core_python")

# One step: a click, and until what it changes is painted.
_ZOOM_STEPS = """
const plus = document.querySelector('[aria-label="Zoom in"]');
const painted = () => new Promise((then) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = then;
  channel.port2.postMessage(0);
}));
(async () => {
  const times = [];
  for (let step = 0; step < 12; step++) {
    const start = performance.now();
    plus.click();
    await painted();
    times.push(performance.now() - start);
  }
  done(times);
})();
"""


@cache
def absent() -> tuple[str, ...]:
    """What is missing of what the browser takes."""
    import importlib.util

    programs = [name for name in PROGRAMS if shutil.which(name) is None]
    return (*programs, *(name for name in PACKAGES if importlib.util.find_spec(name) is None))


class Browser:
    """Chromium with one page at a time.

    Attributes:
        driver: selenium's.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, file: Path, width: int = 1400, height: int = 900, *, dark: bool = False) -> None:
        """Open a page, and wait until its script is through."""
        self._chrome(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._chrome("Emulation.setEmulatedMedia", features=[scheme])
        self.told()
        self.driver.get(file.as_uri())
        self.wait("document.documentElement.dataset.ready === 'yes'")

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Wait until an expression of JavaScript holds."""
        end = time.monotonic() + seconds
        while not self.script(f"return Boolean({condition})"):
            assert time.monotonic() < end, f"{condition} does not become true"
            time.sleep(0.05)

    def script(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def later(self, code: str) -> Any:
        """What an asynchronous script gives, by calling `done`."""
        return self.driver.execute_async_script(f"const done = arguments[0]; {code}")

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def press(self, *keys: str) -> None:
        """Press keys, whatever has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def told(self) -> tuple[list[str], list[str]]:
        """What the console says, and what was asked of any network, since the last call."""
        console = [entry["message"] for entry in self.driver.get_log("browser")]
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return console, asked

    def violations(self) -> list[str]:
        """What axe-core objects to."""
        import axe_core_python

        axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
        self.script(axe)
        found = self.later("axe.run().then((result) => done(result.violations))")
        return [
            f"{rule['id']}: {node['html'][:160]}: {node['failureSummary']}" for rule in found for node in rule["nodes"]
        ]

    def first_paint(self) -> float:
        """Milliseconds from the start of loading to the first text or picture."""
        return self.script("return performance.getEntriesByName('first-contentful-paint')[0].startTime")

    def zoom_steps(self) -> list[float]:
        """Milliseconds of each of some steps of zoom, from the whole graph on, by the clock."""
        self.find('[title="Show the whole graph"]').click()
        return self.later(_ZOOM_STEPS)

    def cpu_seconds(self) -> float:
        """What all processes of the browser have computed so far: the same on a machine that does other things, too."""
        parents, spent = {}, {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                fields = stat.read_text().rpartition(")")[2].split()
                process = int(stat.parent.name)
                parents[process], spent[process] = int(fields[1]), int(fields[11]) + int(fields[12])
        family = {self.driver.service.process.pid}
        while more := {process for process, parent in parents.items() if parent in family} - family:
            family |= more
        return sum(spent.get(process, 0) for process in family) / os.sysconf("SC_CLK_TCK")

    def picture(self, *, whole: bool = False) -> bytes:
        """A screenshot as PNG; of the whole page, or of what is seen."""
        return base64.b64decode(self._chrome("Page.captureScreenshot", captureBeyondViewport=whole)["data"])

    def _chrome(self, command: str, **values: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, values)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own, with an empty profile."""
    from selenium import webdriver

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.binary_location = shutil.which("chromium") or ""
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        driver.set_script_timeout(120)
        try:
            yield Browser(driver)
        finally:
            driver.quit()
