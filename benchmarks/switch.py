"""Another task on a picture already shown: from the click in Chromium to the new bars."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from benchmarks.adapters import publish_random
from benchmarks.browser import chromium, drop, running_app
from benchmarks.report import at_most, show, spread
from loravit_web.adapters import ViTAdapterConfig
from loravit_web.backbones import load_base
from loravit_web.settings import read_settings
from registry import Registry

TASKS, SIDE, ROUNDS = 8, 224, 4
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


def run(_arguments: list[str]) -> int:
    """``python -m benchmarks switch``."""
    settings = read_settings(os.environ)
    base = load_base("embedded", settings.bases, lambda _fraction, stage: print(stage, file=sys.stderr))
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "bases").symlink_to(settings.bases, target_is_directory=True)
        with Registry.open(f"sqlite:///{home / 'registry.db'}", home / "artifacts") as registry:
            for number in range(TASKS):
                publish_random(registry, base, f"task-{number}", number, ViTAdapterConfig(), image_size=SIDE)
        picture = Path(folder) / "picture.png"
        pixels = np.random.default_rng(0).integers(0, 256, (15, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(picture)
        with running_app(home) as url, chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url)
            page.locator("#use-quick input").first.wait_for()
            milliseconds = _switches(page, picture)
    figure = at_most(
        "click to new bars, median", statistics.median(milliseconds), 120, " ms", note=spread(milliseconds)
    )
    return show(f"another task on a picture already shown, {SIDE} px", [figure])


def _switches(page: Page, picture: Path) -> list[float]:
    """Milliseconds of each switch: one task is always picked, then another one beside it, then it alone."""
    page.locator("#use-quick input").first.click()
    drop(page, picture)
    taken = []
    for lap in range(ROUNDS * TASKS):
        picked, other = lap % TASKS, (lap + 1) % TASKS
        taken.append(page.evaluate(CLICK, [other, 2]))
        page.evaluate(CLICK, [picked, 1])
    return taken[TASKS:]
