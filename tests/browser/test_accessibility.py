"""The page can be read and operated by everyone: contrast, headings, names of controls, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from registry import DatasetClass, NewDataset, NewRun
from tests.browser.conftest import Visit, publish_copy
from tests.ui.conftest import RunningApp

CONTRASTS = """() => {
  const channels = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (rgb) => {
    const [red, green, blue] = rgb.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const over = (top, below) => {
    const alpha = top[3] ?? 1;
    return below.map((value, index) => alpha * top[index] + (1 - alpha) * value);
  };
  const background = (element) => {
    if (!element) return [255, 255, 255];
    const color = channels(getComputedStyle(element).backgroundColor);
    return (color[3] ?? 1) === 1 && color.length ? color : over(color, background(element.parentElement));
  };
  const isShown = (element) => element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && element.getBoundingClientRect().width > 1;
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || ["SCRIPT", "STYLE"].includes(element.tagName) || !isShown(element)) continue;
    const style = getComputedStyle(element), below = background(element);
    const pair = [luminance(over(channels(style.color), below)), luminance(below)];
    const size = parseFloat(style.fontSize), isBold = style.fontWeight >= 700;
    const isLarge = size >= 24 || (size >= 18.66 && isBold);
    const ratio = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
    if (ratio < (isLarge ? 3 : 4.5)) found.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""
"""Texts with less contrast than WCAG AA asks for."""

NAMELESS = """() => [...document.querySelectorAll("button, a[href], input, select, textarea, summary, video")]
  .filter((element) => element.checkVisibility() && element.type !== "file")
  .filter((element) => {
    const labels = [...(element.labels ?? [])].map((label) => label.textContent).join("");
    const by = element.getAttribute("aria-labelledby");
    const image = element.querySelector("img[alt]:not([alt=''])");
    return ![element.ariaLabel, element.title, element.textContent, labels, element.placeholder, image?.alt,
      by && document.getElementById(by)?.textContent].some((name) => name?.trim());
  })
  .map((element) => element.outerHTML.slice(0, 120))"""
"""Controls without an accessible name."""

HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter((element) => element.checkVisibility()).map((element) => Number(element.tagName[1]))"""


@pytest.fixture
def app(empty_app: RunningApp, trained_home: Path) -> Iterator[RunningApp]:
    """An app whose first example is answered, with two versions of ``paints`` and a run that failed."""
    home, registry = empty_app.service.settings.home, empty_app.service.registry
    for slug in ("everyday-objects", "animal-or-vehicle", "paints", "paints"):
        publish_copy("colours@1", trained_home, home, slug, differing=True)
    classes = (DatasetClass("red", 4, 2, 0), DatasetClass("green", 4, 2, 0))
    data = registry.datasets.ensure(NewDataset("f" * 64, "paints.zip", "zip", classes))
    base = registry.catalog.version("paints").base
    run = registry.runs.create(NewRun("paints", "Paints", base.id, data.id, 0, {}, {}), worker="w")
    registry.runs.finish(run.id, "w", "failed", error="The disk is full.", error_kind="disk")
    yield empty_app


def shown(visit: Visit, app: RunningApp, **options: Any) -> Page:
    scheme = options.pop("scheme", "light")
    page = visit(f"{app.url}?__theme={scheme}", **options)
    expect(page.locator("#use-answers article")).to_have_count(2)
    page.wait_for_timeout(500)  # colors change gradually
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_text_of_use_catalog_and_runs_has_enough_contrast(
    visit: Visit, app: RunningApp, scheme: str, width: int
) -> None:
    page = shown(visit, app, scheme=scheme, width=width)
    assert page.evaluate(CONTRASTS) == []
    with_card_and_run(page)
    assert page.evaluate(CONTRASTS) == []
    page.get_by_role("tab", name="Catalog").click()
    page.wait_for_timeout(500)
    assert page.evaluate(CONTRASTS) == []


def with_card_and_run(page: Page) -> None:
    """Open a card with its versions, its results and a question, then a run."""
    page.get_by_role("tab", name="Catalog").click()
    page.locator("#catalog-list button[data-slug=paints]").click()
    page.get_by_label("Compare version 1").check()
    expect(page.locator("#catalog-versions")).to_contain_text("Select another version")
    page.get_by_label("Compare version 2").check()
    page.get_by_label("Promote version 1").click()
    page.locator("#catalog-ask").wait_for()
    page.get_by_role("tab", name="Runs").click()
    page.locator("#runs-table a").first.click()
    page.locator("#runs-detail").wait_for()
    page.wait_for_timeout(500)


def test_every_control_of_use_catalog_and_runs_has_a_name(visit: Visit, app: RunningApp) -> None:
    page = shown(visit, app)
    page.locator("#use-settings button").first.click()
    page.get_by_label("Actions for Everyday-Objects").click()
    assert page.evaluate(NAMELESS) == []
    page.keyboard.press("Escape")
    with_card_and_run(page)
    assert page.evaluate(NAMELESS) == []
    page.get_by_role("tab", name="Catalog").click()
    assert page.evaluate(NAMELESS) == []


def test_the_headings_of_use_are_in_order(visit: Visit, app: RunningApp) -> None:
    levels = shown(visit, app).evaluate(HEADINGS)
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert levels.count(2) == 2
