"""The live camera, here Chromium's fake one: answers in a second, and requests under way at the same time."""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from playwright.sync_api import Page

from benchmarks.support.browser import FAKE_CAMERA, chromium, running_app
from benchmarks.support.homes import embedded_base, home_of_tasks
from benchmarks.support.report import Figure, at_least, at_most, show, spread
from loravit_web.adapters import ViTAdapterConfig

TASKS, SIDE = 3, 112
LEAST_ANSWERS, MOST_UNDER_WAY = 5.0, 1.0
WARM_UP = 3000
"""Milliseconds before anything is counted: the camera starts, and the first frame is classified."""
WATCH = """() => {
  window.camera = {begun: [], answered: [], shown: 0, underWay: 0, most: 0};
  const watched = window.fetch.bind(window), {camera} = window;
  window.fetch = async (...request) => {
    if (!String(request[0]).includes("/run/answers")) return watched(...request);
    const begun = performance.now();
    camera.most = Math.max(camera.most, ++camera.underWay);
    try {
      return await watched(...request);
    } finally {
      camera.underWay -= 1;
      camera.begun.push(begun);
      camera.answered.push(performance.now());
    }
  };
  new MutationObserver(() => { camera.shown += 1; })
    .observe(document.querySelector("#use-answers"), {childList: true, subtree: true});
}"""
RESET = "() => Object.assign(window.camera, {begun: [], answered: [], shown: 0, most: 0})"


@dataclass(frozen=True)
class Seen:
    """What the page did while the camera was live.

    Attributes:
        answers: Answers in a second.
        shown: Changes of the answers on the page in a second.
        milliseconds: Time from a request to its answer, of each.
        under_way: Most requests that were under way at the same time.
    """

    answers: float
    shown: float
    milliseconds: list[float]
    under_way: int


def run(arguments: list[str]) -> int:
    """``python -m benchmarks camera [--seconds N]``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks camera")
    parser.add_argument("--seconds", type=int, default=20)
    seconds = parser.parse_args(arguments).seconds
    with (
        home_of_tasks(embedded_base(), TASKS, ViTAdapterConfig(), image_size=SIDE) as home,
        running_app(home) as url,
        chromium(*FAKE_CAMERA) as browser,
    ):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["camera"])
        page = context.new_page()
        page.goto(url)
        seen = _live(page, seconds)
    return show(f"live camera with {TASKS} tasks, {SIDE} px, for {seconds} s", _figures(seen))


def _live(page: Page, seconds: int) -> Seen:
    """Select the tasks, start the camera and count."""
    chips = page.locator("#use-quick input")
    chips.first.wait_for()
    for number in range(TASKS):
        chips.nth(number).check()
    page.evaluate(WATCH)
    page.locator("#use-camera [data-part=live]").click()
    page.locator("#use-answers article").first.wait_for()
    page.wait_for_timeout(WARM_UP)
    page.evaluate(RESET)
    page.wait_for_timeout(seconds * 1000)
    camera = page.evaluate("() => window.camera")
    assert page.locator("#use-answers article").count() == TASKS
    took = [end - begin for begin, end in zip(camera["begun"], camera["answered"], strict=True)]
    return Seen(len(took) / seconds, camera["shown"] / seconds, took, camera["most"])


def _figures(seen: Seen) -> list[Figure]:
    took = seen.milliseconds
    return [
        at_least("answers in a second", seen.answers, LEAST_ANSWERS, ""),
        at_least("of them shown in a second", seen.shown, LEAST_ANSWERS, ""),
        at_most("requests under way at the same time", seen.under_way, MOST_UNDER_WAY, ""),
        Figure("from a frame to its answer, median", f"{statistics.median(took):.0f} ms", note=spread(took)),
    ]
