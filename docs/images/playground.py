"""Take the picture of the playground that README and guide show: ``python docs/images/playground.py``.

It takes the extra "playground", Playwright's Python package, and Debian's chromium.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import sync_playwright

SET_UP = {"data": {"name": "spirals"}, "layers": [{"nodes": 6}, {"nodes": 6}], "seed": 1}
STEP = 20_000


def main() -> None:
    """Run a training to a step, and take the picture."""
    command = [sys.executable, "-m", "nineline", "playground", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as served, sync_playwright() as playwright:
        address = re.search(r"http://\S+", served.stdout.readline()).group()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 850}, color_scheme="light")
        page.goto(f"{address}#{quote(json.dumps(SET_UP))}")
        page.wait_for_selector("[data-frames]")
        page.select_option('[data-setting="speed"]', "null")
        page.click('[data-action="run"]')
        page.wait_for_function(f"() => document.querySelector('[data-step]').dataset.step > {STEP}")
        page.click('[data-action="run"]')
        page.locator('[data-action="time-line"]').evaluate(
            "(e, step) => { e.value = step; e.dispatchEvent(new Event('input')); }", STEP
        )
        page.wait_for_function(f"() => document.querySelector('[data-step]').dataset.step === '{STEP}'")
        page.wait_for_timeout(500)
        page.screenshot(path=Path(__file__).with_suffix(".png"))
        browser.close()


if __name__ == "__main__":
    main()
