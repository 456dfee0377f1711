"""What tests of every floor share: a real browser for the pages that are made, and a terminal's Ctrl-C."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

# What `make test ARGS=...` itself was called with is not for the `make` that tests call.
for variable in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS"):
    os.environ.pop(variable, None)

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
Look = Callable[..., Page]


# Not of the session: as long as it lives, nothing else in this process can run an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The machine's headless Chromium; without one a test fails where CI=true, and is left out elsewhere."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        reason = "no Chromium on this machine to look at pages with: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Open a file, or an address, as a visitor does; it may complain of nothing, and ask nobody outside for anything.

    Arguments of the function it gives: where, the window's width in pixels, and whether the visitor likes it dark.
    """
    said: list[str] = []
    asked: list[str] = []
    contexts = []

    def dismiss(dialog: Dialog) -> None:
        said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open_page(where: Path | str, width: int = 1200, dark: bool = False) -> Page:
        address = where if isinstance(where, str) else where.absolute().as_uri()
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", dismiss)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1"))] == []


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C as in a terminal: where the tests run in the background, a shell has it ignored."""
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, outside)
