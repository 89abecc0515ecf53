"""Images of the real app, with the adapters that come with it: for the README and for link previews."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from benchmarks.recording import record
from benchmarks.support.browser import chromium, running_app
from benchmarks.support.homes import with_bases
from loravit_web.ui.page.preview import IMAGE

FOLDER = Path(__file__).with_name("screenshots")
SLUG, TITLE = "how-many-shapes", "How many shapes"
TRAININGS = (("--blocks", "1", "--rank", "2"), ("--blocks", "4", "--rank", "8"))
"""What differs between the two runs that are compared; the second is the better one."""
LOADED = """() => [...document.querySelectorAll("#train-judged img")]
  .filter((image) => image.getBoundingClientRect().top < window.innerHeight)
  .every((image) => image.complete && image.naturalWidth)"""
"""Whether all images in view are loaded."""
SCENE = "2 crosses"
"""Caption of the drawn scene among the examples."""


def run(arguments: list[str]) -> int:
    """``python -m benchmarks screenshots``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks screenshots", description=__doc__)
    parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = with_bases(Path(folder) / "home")
        for options in TRAININGS:
            _train(home, *options)
        with running_app(home, bundled=True) as url, chromium() as browser:
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": 1280, "height": 1000})
                page.goto(f"{url}?__theme={scheme}")
                page.locator("#use-quick input").first.wait_for()
                for name, show in TABS.items():
                    page.get_by_role("tab", name=name, exact=True).first.click()
                    show(page)
                    page.mouse.move(0, 0)
                    page.wait_for_timeout(1500)
                    whole = name != "Train"  # whose buttons stay at the lower edge of the window
                    page.screenshot(path=FOLDER / f"{name.lower()}-{scheme}.png", full_page=whole)
                page.close()
            _preview(browser, url)
            record(browser, url, FOLDER / "use.webp")
    print(f"in {FOLDER.name}/: {', '.join(sorted(p.name for p in FOLDER.iterdir()))}")
    return 0


def _preview(browser: Browser, url: str) -> None:
    """Take the image of link previews: the page as it opens, in their usual size."""
    page = browser.new_page(viewport={"width": 1200, "height": 630})
    page.goto(f"{url}?__theme=light")
    page.locator("#use-answers article").nth(2).wait_for()
    page.wait_for_timeout(1500)
    page.screenshot(path=IMAGE, type="jpeg", quality=85)
    page.close()


def _train(home: Path, *options: str) -> None:
    words = ["train", "sample:counts", "--name", TITLE, "--preset", "draft", *options]
    environment = {**os.environ, "LORAVIT_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "loravit_web", *words], env=environment, check=True)


def _use(page: Page) -> None:
    """Three tasks that read different things from one drawn scene, and where they looked."""
    page.locator("#use-examples button", has_text=SCENE).click()
    page.locator("#use-answers article", has_text="Scene shape").wait_for()
    page.keyboard.press("t")
    page.locator("#use-answers article img").nth(2).wait_for()


def _train_tab(page: Page) -> None:
    """The result of a training, beside the version before it."""
    _choose_run(page)
    page.locator("#runs-result").click()
    page.locator("#train-judged img").first.wait_for()
    page.wait_for_function(LOADED)


def _catalog(page: Page) -> None:
    page.locator(f"#catalog-list button[data-slug={SLUG}]").click()
    page.locator("#catalog-head", has_text=TITLE).wait_for()
    page.locator("#catalog-results table").first.wait_for()


def _runs(page: Page) -> None:
    for number in range(len(TRAININGS)):
        page.locator("#runs-table input[type=checkbox]").nth(number).click()
    page.locator("#runs-compare-title", has_text="2 runs compared").wait_for()
    _choose_run(page)


def _choose_run(page: Page) -> None:
    page.get_by_role("tab", name="Runs", exact=True).click()
    page.locator("#runs-table a").first.click()
    page.locator("#runs-result").wait_for()


TABS = {"Use": _use, "Train": _train_tab, "Catalog": _catalog, "Runs": _runs}
