"""Another task on an image already shown: from the click in Chromium to the new bars.

What the chips offer is answered ahead while no request waits, so it matters when the click comes: after the
visitor has looked at the first answer, or at once.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from benchmarks.support.browser import chromium, drop, running_app
from benchmarks.support.homes import embedded_base, home_of_tasks
from benchmarks.support.report import Figure, at_most, show, spread
from loravit_web.adapters import ViTAdapterConfig

TASKS, SIDE, ROUNDS = 8, 224, 4
LOOK = 2000
"""Milliseconds for which the visitor looks at the first answer."""
CLICK = """([number, cards]) => new Promise((done) => {
  const answers = document.querySelector("#use-answers");
  const box = document.querySelectorAll("#use-quick input[type=checkbox]")[number];
  const started = performance.now();
  const watcher = new MutationObserver(() => {
    if (answers.querySelectorAll("article").length !== cards) return;
    watcher.disconnect();
    done(performance.now() - started);
  });
  watcher.observe(answers, { childList: true, subtree: true });
  box.click();
})"""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks switch``."""
    argparse.ArgumentParser(prog="python -m benchmarks switch", description=__doc__).parse_args(arguments)
    with home_of_tasks(embedded_base(), TASKS, ViTAdapterConfig(), image_size=SIDE) as home:
        images = [_image(home.parent, number) for number in range(ROUNDS)]
        with running_app(home) as url, chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url)
            page.locator("#use-quick input").first.wait_for()
            looked, hurried, known = _switches(page, images)
    figures = [
        _figure(f"to a task not yet asked, {LOOK / 1000:g} s after the first answer", looked),
        _figure("to a task not yet asked, at once and one after the other", hurried),
        _figure("to a task that was asked", known),
    ]
    return show(f"from the click to the new bars of an image already shown, {SIDE} px", figures)


def _image(folder: Path, seed: int) -> Path:
    path = folder / f"{seed}.png"
    pixels = np.random.default_rng(seed).integers(0, 256, (15, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((640, 480)).save(path)
    return path


def _figure(name: str, took: Sequence[float]) -> Figure:
    return at_most(f"{name}, median", statistics.median(took), 120, " ms", spread(took))


def _switches(page: Page, images: Sequence[Path]) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds from each click to its bars: of tasks not yet asked about the image, where somebody
    looked at the first answer and where nobody did, and of known ones.

    One task is always picked, then another one beside it, then that one alone.
    """
    looked: list[float] = []
    hurried: list[float] = []
    known: list[float] = []
    page.locator("#use-quick input").first.click()
    for number, image in enumerate(images):
        if number:
            page.locator("#use-image button[aria-label='Remove Image']").click()
            page.locator("#use-answers article").wait_for(state="detached")
        drop(page, image)
        patient = number % 2 == 0
        if patient:
            page.wait_for_timeout(LOOK)
        for step in range(2 * TASKS):
            picked, other = step % TASKS, (step + 1) % TASKS
            took = page.evaluate(CLICK, [other, 2])
            (known if step >= TASKS - 1 else looked if patient else hurried).append(took)
            known.append(page.evaluate(CLICK, [picked, 1]))
    return looked, hurried, known
