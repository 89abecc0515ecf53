"""Every tab can be read and operated by everyone: axe finds nothing serious in it, light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, app_in, publish_copy
from tests.ui.conftest import RunningApp

SERIOUS = ("serious", "critical")
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter((element) => element.checkVisibility()).map((element) => Number(element.tagName[1]))"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, trained_home: Path) -> Iterator[RunningApp]:
    """An app with a run, its result, and two tasks that fit the first example."""
    folder = tmp_path_factory.mktemp("accessible")
    shutil.copytree(trained_home, folder / "home")
    for slug in ("everyday-objects", "animal-or-vehicle", "animal-or-vehicle"):
        publish_copy("colours@1", trained_home, folder / "home", slug, differing=True)
    with app_in(folder) as app:
        yield app


def serious(page: Page) -> list[str]:
    """Return what axe finds serious, each with a part of the page to look at."""
    page.wait_for_timeout(500)  # colors change gradually
    violations = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]}"
        for one in violations
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious_in_any_tab(visit: Visit, app: RunningApp, scheme: str, width: int) -> None:
    page = visit(f"{app.url}?__theme={scheme}", width=width)
    found = {}
    expect(page.locator("#use-answers article")).to_have_count(2)
    page.locator("#use-settings button").first.click()
    page.get_by_label("Actions for Everyday-Objects").click()
    found["use"] = serious(page)
    (run,) = app.service.registry.runs.list()
    for tab, shown in (
        ("train", "#train-upload"),
        ("catalog&adapter=colours@1", "#catalog-results table"),
        (f"runs&run={run.id}", "#runs-result"),
    ):
        page.goto(f"{app.url}?__theme={scheme}&tab={tab}")
        page.locator(shown).first.wait_for()
        found[tab.partition("&")[0]] = serious(page)
    page.goto(f"{app.url}?__theme={scheme}&tab=catalog&adapter=animal-or-vehicle@2")
    page.get_by_label("Compare version 1").check()
    expect(page.locator("#catalog-versions")).to_contain_text("Select another version")
    page.get_by_label("Compare version 2").check()
    page.get_by_label("Promote version 1").click()
    page.locator("#catalog-ask").wait_for()
    found["versions"] = serious(page)
    page.goto(f"{app.url}?__theme={scheme}&tab=runs&run={run.id}")
    page.locator("#runs-result").click()
    page.locator("#train-result-body").wait_for()
    found["result"] = serious(page)
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_headings_of_use_are_in_order(visit: Visit, app: RunningApp) -> None:
    page = visit(app.url)
    expect(page.locator("#use-answers article")).to_have_count(2)
    levels = page.evaluate(HEADINGS)
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert levels.count(2) == 2
