"""The playground in Chromium: frames a second on the page, and steps a second of the engine meanwhile.

    python -m benchmarks.playground

It takes Debian's chromium (another by CHROMIUM=path) and Playwright's Python package. The page is drawn without a
graphics card, as a headless browser does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from typing import Final
from urllib.parse import quote

from benchmarks.machine import describe, in_a_line

SECONDS: Final = 10.0
NETWORKS: Final = {"8-8-8, batches of 10": [8, 8, 8], "16-16-16-16-16-16, batches of 10": [16] * 6}


def main() -> None:
    """Measure each network with its page drawn, and with its page hidden."""
    from playwright.sync_api import sync_playwright

    print(f"{in_a_line(describe())}; {SECONDS:g} s each, spirals of 200 rows, Adam\n")
    print("| network | page | frames a second | steps a second |")
    print("|---|---|---:|---:|")
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for name, nodes in NETWORKS.items():
            set_up = {"data": {"name": "spirals"}, "layers": [{"nodes": each} for each in nodes]}
            for page_is in ("drawn", "a node looked at", "hidden"):
                frames, steps = measure(browser, set_up, page_is)
                print(f"| {name} | {page_is} | {frames:.0f} | {steps:,.0f} |", flush=True)
        browser.close()


def measure(browser, set_up, page_is):
    """Return frames and steps a second of a playground in a process of its own."""
    command = [sys.executable, "-m", "nineline", "playground", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served:
        try:
            address = re.search(r"http://\S+", served.stdout.readline()).group()
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"{address}#{quote(json.dumps(set_up))}")
            page.wait_for_selector("[data-frames]")
            page.select_option('[data-setting="speed"]', "null")
            if page_is == "a node looked at":
                page.click('[data-node="1,2"]')
            page.click('[data-action="run"]')
            page.wait_for_timeout(1000)
            before, began = now(page), time.perf_counter()
            if page_is == "hidden":
                page.evaluate("window.requestAnimationFrame = () => 0")  # as a browser does to what is hidden
            page.wait_for_timeout(1000 * SECONDS)
            if page_is == "hidden":  # what it says itself is old; loaded again it says the newest
                page.reload()
                page.wait_for_selector("[data-frames]")
                before = 0.0, before[1]
            after, took = now(page), time.perf_counter() - began
            page.close()
            return (after[0] - before[0]) / took, (after[1] - before[1]) / took
        finally:
            served.kill()


def now(page):
    """Return how many frames were drawn, and which step they are of."""
    said = page.evaluate("({ ...document.querySelector('[data-frames]').dataset })")
    return float(said["frames"]), float(said["step"])


if __name__ == "__main__":
    main()
