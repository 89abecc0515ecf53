"""Use can be read and operated by everyone: contrast, headings, and names of all controls, light and dark."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
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


def shown(visit: Visit, fitting_app: RunningApp, **options: Any) -> Page:
    scheme = options.pop("scheme", "light")
    page = visit(f"{fitting_app.url}?__theme={scheme}", **options)
    expect(page.locator("#use-answers article")).to_have_count(2)
    page.wait_for_timeout(500)  # colors change gradually
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_text_of_use_has_enough_contrast(
    visit: Visit, fitting_app: RunningApp, scheme: str, width: int
) -> None:
    page = shown(visit, fitting_app, scheme=scheme, width=width)
    assert page.evaluate(CONTRASTS) == []


def test_every_control_of_use_has_a_name(visit: Visit, fitting_app: RunningApp) -> None:
    page = shown(visit, fitting_app)
    page.locator("#use-settings button").first.click()
    page.get_by_label("Actions for Everyday-Objects").click()
    assert page.evaluate(NAMELESS) == []


def test_the_headings_of_use_are_in_order(visit: Visit, fitting_app: RunningApp) -> None:
    levels = shown(visit, fitting_app).evaluate(HEADINGS)
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert levels.count(2) == 2
