"""Somebody new: from the first page to an adapter of their own, beside one that came with the app."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from benchmarks.support.browser import chromium, ended_in_page, running_app
from benchmarks.support.homes import with_bases
from benchmarks.support.report import Figure, at_most, show

TARGET = 300
LOOK = 10
"""Seconds that a reader looks around before each click."""
WINDOW: ViewportSize = {"width": 1280, "height": 900}

Step = tuple[str, Callable[[Page], None]]


def run(arguments: list[str]) -> int:
    """``python -m benchmarks newcomer``: an empty data folder but for the base, and the sample of digits."""
    argparse.ArgumentParser(prog="python -m benchmarks newcomer").parse_args(arguments)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_app(with_bases(Path(folder)), bundled=True) as url,
        chromium() as browser,
    ):
        page = browser.new_page(viewport=WINDOW)
        seconds = [_timed(step, page) for step in _steps(url)]
        titles = page.locator("#use-answers article h2").all_inner_texts()
    both = titles == ["Handwritten digits", "Scanned digits"]
    looked = sum(seconds) + LOOK * len(seconds)
    figures = [
        Figure("answers side by side", ", ".join(titles), "the two", both),
        Figure("the page and the machine alone", f"{sum(seconds):.0f} s"),
        at_most(f"with {LOOK} s to look around before each click", looked, TARGET, " s"),
    ]
    return show("somebody new, from the first page to two answers side by side", figures)


def _timed(step: Step, page: Page) -> float:
    started = time.perf_counter()
    name, action = step
    action(page)
    seconds = time.perf_counter() - started
    print(f"{seconds:6.1f} s  {name}", file=sys.stderr)
    return seconds


def _steps(url: str) -> Sequence[Step]:
    answers = "#use-answers article"

    def first_page(page: Page) -> None:
        page.goto(url)
        page.locator("#use-quick input").first.wait_for()

    def example(page: Page) -> None:
        page.locator("#use-examples button", has_text="Digit").click()
        page.locator(answers, has_text="Handwritten digits").wait_for()

    def train_tab(page: Page) -> None:
        page.get_by_role("tab", name="Train").click()

    def sample(page: Page) -> None:
        page.locator("#train-sample-digits").click()
        page.locator("#train-found .lv-table").wait_for(timeout=120_000)

    def training(page: Page) -> None:
        page.locator("#train-continue").click()
        page.locator("#train-start:enabled").click()
        print(ended_in_page(page, seconds=1200), file=sys.stderr)

    def try_it(page: Page) -> None:
        page.locator("#train-try").click()
        page.locator(answers).nth(1).wait_for(timeout=60_000)

    return [
        ("the first page", first_page),
        ("an example with its task", example),
        ("the tab Train", train_tab),
        ("a sample", sample),
        ("Start training, to its end", training),
        ("Try it now", try_it),
    ]
