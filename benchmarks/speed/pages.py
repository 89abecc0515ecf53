"""How long each tab takes to open, and a search in the picker, when the registry holds much.

The bound is a page of Gradio with a handful of components and nothing to ask, served in the same way.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gradio as gr
from playwright.sync_api import Browser, Page
from starlette.middleware import Middleware

from benchmarks.support.browser import chromium, running_app
from benchmarks.support.homes import open_registry, with_bases
from benchmarks.support.registry_data import Filler, Scale
from benchmarks.support.report import Figure, at_most, save, show, spread
from loravit_web.ui.patches.assets import GRADIO_ASSETS, KeptAssets

PAGE_MS, SEARCH_MS, PAGE_KB = 1500.0, 500.0, 371.0
VISITS = 3
"""Visitors of whom the last one's first opening is weighed. Before, the page is compressed less."""
REST_MS = 1000.0
"""What follows the first sight of a page is not to disturb the next."""
SLUG = "adapter-77"
Open = Callable[[Page], None]


def run(arguments: list[str]) -> int:
    """``python -m benchmarks pages [--adapters N] [--runs N] [--points N] [--rounds N]``.

    The embedded base is taken from the caller's data folder if it is there. It is loaded before the app says
    that it is ready. The weight of a first opening is counted on an app with the bundled adapters alone.
    """
    options = _options(arguments)
    scale = Scale(options.adapters, options.runs, options.points)
    with tempfile.TemporaryDirectory() as folder:
        home = with_bases(Path(folder))
        with open_registry(home) as registry:
            Filler(registry, scale).fill()
            title = registry.catalog.resolve(SLUG).title
            run_id = registry.runs.list(limit=1)[0].id
        print("Filled; starting the app.", file=sys.stderr)
        with running_app(home) as url, _bare_page() as bare, chromium() as browser:
            figures = _measured(browser, url, bare, options.rounds, title, run_id)
    with tempfile.TemporaryDirectory() as folder:
        home = with_bases(Path(folder))
        with running_app(home, bundled=True) as url, chromium() as browser:
            weight = [_weight(browser, url) for _ in range(VISITS)][-1]
    note = f"over the network, visitor {VISITS} after the start"
    figures.append(at_most("weight of a first opening of Use", weight, PAGE_KB, " kB", note))
    heading = (
        f"pages over {scale.adapters:,} adapters and {scale.runs:,} runs; medians of {options.rounds}, "
        "each in a fresh session, with an empty cache unless it says otherwise"
    )
    save(options.json, heading, figures)
    return show(heading, figures)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks pages")
    parser.add_argument("--adapters", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def _bare_page() -> Iterator[str]:
    """The least that a page of Gradio can be; gives its URL."""
    with gr.Blocks(analytics_enabled=False) as demo, gr.Tabs(), gr.Tab("Tab"):
        gr.Markdown("Text", elem_id="bare")
        gr.Textbox()
        gr.Dropdown()
        gr.Image()
        gr.Gallery()
        gr.Button()
    _, url, _ = demo.launch(
        prevent_thread_lock=True,
        quiet=True,
        run_history=False,
        app_kwargs={"middleware": [Middleware(KeptAssets, folder=GRADIO_ASSETS)]},
    )
    try:
        yield url
    finally:
        demo.close(verbose=False)


def _measured(browser: Browser, url: str, bare: str, rounds: int, title: str, run_id: str) -> list[Figure]:
    opened: dict[str, Open] = {
        "Use, by a link to a task": lambda page: _shows(page, "#use-picker", title),
        "Train": lambda page: _visible(page, "#train-upload"),
        "Catalog": lambda page: _shows(page, "#catalog-found", "adapters"),
        "Runs": lambda page: _visible(page, "#runs-table tr[data-run]"),
        "Runs, by a link to a run": lambda page: _shows(page, "#runs-progress", run_id[:8]),
    }
    links = {
        "Use, by a link to a task": f"?tab=use&task={SLUG}",
        "Train": "?tab=train",
        "Catalog": "?tab=catalog",
        "Runs": "?tab=runs",
        "Runs, by a link to a run": f"?tab=runs&run={run_id}",
    }
    _timed(browser, url, links["Runs"], opened["Runs"])  # the first visit of all warms the server up
    _timed(browser, bare, "", _bare_is_there)
    figures, ratios, bounds, again = [], [], [], []
    for name, there in opened.items():
        visits = []
        for _ in range(rounds):
            visits.append(_timed(browser, url, links[name], there))
            bounds.append(_timed(browser, bare, "", _bare_is_there))
            ratios.append(visits[-1][0] / bounds[-1][0])
        first, second = zip(*visits, strict=True)
        figures.append(_figure(f"open {name}", first, PAGE_MS))
        again.append(_figure(f"open {name}, in a browser that was here before", second, PAGE_MS))
    figures += again
    for what, bound in zip(("", ", again"), zip(*bounds, strict=True), strict=True):
        name = f"open a page of Gradio with six components{what}"
        figures.append(Figure(name, f"{statistics.median(bound):.0f} ms"))
    figures.append(
        Figure("a tab of ours / that page", f"{statistics.median(ratios):.2f}x", note=spread(ratios))
    )
    for name in ("Train", "Catalog", "Runs"):
        times = [_switched(browser, url, name, opened[name]) for _ in range(rounds)]
        figures.append(_figure(f"click on {name}", times, PAGE_MS))
    times = [_searched(browser, url, title) for _ in range(rounds)]
    return [*figures, _figure("search in the picker", times, SEARCH_MS)]


def _bare_is_there(page: Page) -> None:
    _visible(page, "#bare")


def _figure(name: str, times: Sequence[float], target: float) -> Figure:
    return at_most(name, statistics.median(times), target, " ms", f"all {min(times):.0f}..{max(times):.0f}")


def _visible(page: Page, place: str) -> None:
    # looks with every frame; a locator that waits looks every half second after a while
    page.wait_for_function("(place) => document.querySelector(place)?.offsetParent", arg=place)


def _shows(page: Page, place: str, text: str) -> None:
    page.wait_for_function(
        "([place, text]) => { const found = document.querySelector(place); if (!found) return false;"
        " const typed = [...found.querySelectorAll('input')].map(one => one.value).join(' ');"
        " return (found.innerText + ' ' + typed).includes(text); }",
        arg=[place, text],
    )


def _timed(browser: Browser, url: str, link: str, there: Open) -> tuple[float, float]:
    """From the navigation until the tab's content is there; for the first time, and once more."""
    context = browser.new_context()
    first, again = (_opened(context.new_page(), f"{url}{link}", there) for _ in range(2))
    context.close()
    return first, again


def _weight(browser: Browser, url: str) -> float:
    """Return what a browser with an empty cache loads until Use is at rest, in kB over the network."""
    context = browser.new_context()
    page = context.new_page()
    loaded: list[float] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    page.goto(url)
    page.locator("#use-answers article").first.wait_for()
    page.wait_for_timeout(6 * REST_MS)
    context.close()
    return sum(loaded) / 1000


def _opened(page: Page, url: str, there: Open) -> float:
    started = time.perf_counter()
    page.goto(url, wait_until="commit")
    there(page)
    took = (time.perf_counter() - started) * 1000
    page.wait_for_timeout(REST_MS)
    page.close()
    return took


def _switched(browser: Browser, url: str, name: str, there: Open) -> float:
    """From the click on a tab until its content is there, on a page that has come to rest."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    page.locator("#use-tasks").wait_for()
    page.wait_for_timeout(3000)
    started = time.perf_counter()
    page.get_by_role("tab", name=name).click()
    there(page)
    took = (time.perf_counter() - started) * 1000
    context.close()
    return took


def _searched(browser: Browser, url: str, title: str) -> float:
    """From the last letter of a name typed into the picker until its task can be clicked."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(url)
    page.locator("#use-tasks input").click()
    page.wait_for_timeout(3000)
    page.keyboard.type(title[:-1])
    page.wait_for_timeout(1000)
    started = time.perf_counter()
    page.keyboard.type(title[-1])
    page.get_by_role("option", name=title).first.wait_for()
    took = (time.perf_counter() - started) * 1000
    context.close()
    return took
