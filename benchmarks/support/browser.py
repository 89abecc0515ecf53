"""Driving the real app in Chromium."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium-headless-shell", "chromium", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking")
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
"""Flags for a camera that shows a moving picture, and needs no permission."""


@contextlib.contextmanager
def running_app(home: Path, *, bundled: bool = False) -> Iterator[str]:
    """``python app.py`` on a data folder; gives its URL.

    Args:
        bundled: whether the adapters that come with the app are in its catalog.
    """
    app = subprocess.Popen(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={
            **os.environ,
            "LORAVIT_HOME": str(home),
            "LORAVIT_BUNDLED": "yes" if bundled else "no",
            "LORAVIT_MODE": "local",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert app.stdout is not None
        yield app.stdout.readline().split()[-1]
    finally:
        app.terminate()
        app.wait()


@contextlib.contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """The system's Chromium, headless.

    Its headless shell comes first: the full browser also draws windows that nobody sees, half a second of two
    cores for each, while the page that is measured loads.

    Args:
        flags: more flags of the command line.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        sys.exit(
            "error: no Chromium here: install it, for example with apt-get install chromium-headless-shell."
        )
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield browser
        browser.close()


def train_in_page(page: Page, data: Path, name: str, *, seconds: float) -> str:
    """Upload a zip, start the preset Quick, wait for its end; returns what the page says then."""
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-upload input[type=file]").set_input_files(data)
    page.locator("#train-found .lv-table").wait_for(timeout=120_000)
    page.locator("#train-continue").click()
    page.locator("#train-name textarea, #train-name input").fill(name)
    page.locator("#train-preset label", has_text="Quick").click()
    page.locator("#train-start").click()
    return ended_in_page(page, seconds=seconds)


def ended_in_page(page: Page, *, seconds: float) -> str:
    """Wait for the end of the training that was started; returns what the page says then."""
    ended = page.locator("#train-progress .lv-tag", has_text=re.compile("completed|failed|interrupted"))
    ended.wait_for(timeout=seconds * 1000, state="attached")  # the result has taken its place
    return str(page.locator("#train-progress").text_content())


def pick(page: Page, *titles: str) -> None:
    """Choose tasks in the tab Use."""
    page.get_by_role("tab", name="Use").click()
    for title in titles:
        page.locator("#use-tasks input").click()
        page.get_by_role("option", name=re.compile(re.escape(title))).first.click()
    page.keyboard.press("Escape")
    page.locator("h1").click()


def drop(page: Page, image: Path) -> list[str]:
    """Give the page an image and wait for new answers; returns the text of each column."""
    columns = page.locator("#use-answers article")
    before = columns.all_inner_texts()
    page.locator("#use-image input[type=file]").first.set_input_files(image)
    page.wait_for_function(
        "before => { const texts = [...document.querySelectorAll('#use-answers article')]"
        ".map(e => e.innerText); return texts.length > 0 && texts.join() !== before.join(); }",
        arg=before,
    )
    return columns.all_inner_texts()
