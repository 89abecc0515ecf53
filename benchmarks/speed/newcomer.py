"""Somebody new: from the first page to answers of a task of their own, beside those of others."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize

from benchmarks.support.browser import chromium, ended_in_page, running_app
from benchmarks.support.homes import with_bases
from benchmarks.support.report import Figure, at_most, show

TARGET, PROGRESS, SCROLLED = 90.0, 0.3, 0.0
LOOK = 10
"""Seconds that a reader looks around before each click."""
WINDOWS: Sequence[ViewportSize] = ({"width": 1280, "height": 900}, {"width": 390, "height": 844})
ANSWERS = "#use-answers article"
BELOW = """place => {
  const box = document.querySelector(place).getBoundingClientRect();
  const {scrollY, innerHeight} = window;
  return Math.max(0, scrollY + Math.min(box.bottom, box.top + innerHeight) - innerHeight);
}"""
"""How far a reader has to scroll from the top of the page to see something."""
WATCH = """() => {
  const start = document.querySelector("#train-start");
  window.seen = new Promise((done) => start.addEventListener("click", () => {
    const clicked = performance.now();
    const look = () => {
      const box = document.querySelector("#train-progress").getBoundingClientRect();
      const text = document.querySelector("#train-progress").innerText.trim();
      if (text && box.height && box.top >= 0 && box.top < window.innerHeight) {
        done(performance.now() - clicked);
      } else {
        requestAnimationFrame(look);
      }
    };
    requestAnimationFrame(look);
  }, {capture: true, once: true}));
}"""


@dataclass
class Walk:
    """What a newcomer did, in one window.

    Attributes:
        seconds: Time of each step on the page and the machine, by its name.
        progress: Seconds from the click on Start until its progress was in view.
        scrolled: Pixels that had to be scrolled from the dropped zip to the result.
        titles: Titles of the answers at the end.
    """

    seconds: dict[str, float]
    progress: float = 0.0
    scrolled: float = 0.0
    titles: Sequence[str] = ()

    def step(self, name: str, act: Callable[[], object]) -> None:
        """Do a step and time it."""
        started = time.perf_counter()
        act()
        self.seconds[name] = time.perf_counter() - started
        print(f"{self.seconds[name]:6.1f} s  {name}", file=sys.stderr)

    def needs(self, page: Page, place: str) -> None:
        """Add what had to be scrolled to see something."""
        below = float(page.evaluate(BELOW, place))
        self.scrolled += below
        if below:
            print(f"{below:6.0f} px below: {place}", file=sys.stderr)


def run(arguments: list[str]) -> int:
    """``python -m benchmarks newcomer ZIP [--images N]``: an empty data folder but for the base."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks newcomer")
    parser.add_argument("data", type=Path, help="zip of class folders with photographs")
    parser.add_argument("--images", type=int, default=40, help="images of each class that are dropped")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        zips = [_zip(options, Path(folder), window["width"]) for window in WINDOWS]
        with (
            running_app(with_bases(Path(folder) / "home"), bundled=True) as url,
            chromium() as browser,
        ):
            for window, own in zip(WINDOWS, zips, strict=True):
                figures += _figures(_walk(browser, url, window, own), window)
    return show("a newcomer, from the first page to an answer beside others", figures)


def _zip(options: argparse.Namespace, folder: Path, offset: int) -> Path:
    """Write a zip of a few images of each class, different for each offset."""
    path = folder / f"own-{offset}.zip"
    with zipfile.ZipFile(options.data) as data, zipfile.ZipFile(path, "w") as own:
        classes: dict[str, list[str]] = {}
        for name in sorted(data.namelist()):
            *_above, label, file = ["", *name.split("/")]
            if file and "test/" not in name:
                classes.setdefault(label, []).append(name)
        for label, names in classes.items():
            start = offset % max(1, len(names) - options.images)
            for name in names[start : start + options.images]:
                own.writestr(f"{label}/{Path(name).name}", data.read(name))
    return path


def _walk(browser: Browser, url: str, window: ViewportSize, own: Path) -> Walk:
    page, walk = browser.new_page(viewport=window), Walk({})
    answers = page.locator(ANSWERS)

    def first_page() -> None:
        page.goto(url)
        answers.nth(1).wait_for()

    def drop() -> None:
        page.locator("#train-upload input[type=file]").set_input_files(own)
        page.locator("#train-found .lv-table").wait_for(timeout=120_000)

    def start() -> None:
        page.locator("#train-start").click()
        page.locator("#train-try-ended").wait_for(timeout=300_000)

    def try_it() -> None:
        page.locator("#train-try-ended").click()
        page.locator(ANSWERS, has_text="first answer").wait_for(timeout=60_000)

    walk.step("the first page, with answers", first_page)
    walk.step("the tab Train", page.get_by_role("tab", name="Train").click)
    walk.step("a zip of photographs", drop)
    walk.needs(page, "#train-continue")
    walk.step("Continue", page.locator("#train-continue").click)
    page.locator("#train-start:enabled").wait_for()
    walk.needs(page, "#train-start")
    page.evaluate(WATCH)
    walk.step("Start training, until it has a first answer", start)
    walk.progress = page.evaluate("() => window.seen") / 1000
    walk.needs(page, "#train-progress")
    walk.needs(page, "#train-try-ended")
    walk.step("Try it now", try_it)
    walk.titles = page.locator(f"{ANSWERS} h2").all_inner_texts()
    page.get_by_role("tab", name="Train").click()
    print(ended_in_page(page, seconds=1200), file=sys.stderr)
    page.locator("#train-result .lv-accuracy").first.wait_for()
    walk.needs(page, "#train-result .lv-accuracy")
    page.close()
    return walk


def _figures(walk: Walk, window: ViewportSize) -> list[Figure]:
    where = f"{window['width']}x{window['height']}"
    alone = sum(walk.seconds.values())
    beside = ", ".join(walk.titles)
    return [
        Figure(f"{where}: answers side by side", beside, "two or more", len(walk.titles) > 1),
        Figure(f"{where}: the page and the machine alone", f"{alone:.0f} s"),
        at_most(
            f"{where}: with {LOOK} s to look around before each click",
            alone + LOOK * len(walk.seconds),
            TARGET,
            " s",
        ),
        at_most(f"{where}: from Start to its progress in view", walk.progress, PROGRESS, " s"),
        at_most(f"{where}: scrolled from the zip to the result", walk.scrolled, SCROLLED, " px"),
    ]
