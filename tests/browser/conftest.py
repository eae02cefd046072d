"""A real browser for the tests: Debian's chromium, driven by Playwright; nothing is downloaded."""

from __future__ import annotations

import shutil

import pytest

from tests.interactive.serving import served


def found():
    """Return where a Chromium is, or None."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium():
    """Return a browser; skip where there is none."""
    if found() is None:
        pytest.skip("there is no Chromium (Debian's package chromium)")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra playground)")
    with driver.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tabs(chromium):
    """Return what opens a page of a playground; where one has said an error, the test fails."""
    held, errors = [], []

    def open_tab(playground, fragment="", **options):
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        held.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(playground.address + fragment)
        page.wait_for_selector(".nineline-playground[data-frames]")
        return page

    open_tab.errors = errors
    yield open_tab
    for context in held:
        context.close()
    assert not errors


@pytest.fixture(scope="module")
def playground():
    """Return a playground of the exclusive or."""
    pytest.importorskip("uvicorn", reason="uvicorn is not installed (extra playground)")
    with served() as playground:
        yield playground


@pytest.fixture
def page(tabs, playground):
    """Return its page."""
    return tabs(playground)
