"""Opening the page: what a link asks for is filled first, and the styles come in one piece."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.browser.conftest import AppProcess

SHEETS = "[...document.styleSheets].map((one) => one.href).filter((one) => one?.includes('/assets/'))"


@pytest.fixture
def blank(browser: Browser) -> Iterator[Page]:
    """A page of a new session that has opened nothing yet."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.mark.parametrize(
    ("link", "steps"),
    [
        ("", ["use", "train", "catalog", "runs"]),
        ("?tab=train", ["train", "use", "catalog", "runs"]),
        ("?tab=catalog", ["catalog", "use", "train", "runs"]),
        ("?tab=catalog&adapter=shades@1", ["card", "catalog", "use", "train", "runs"]),
        ("?tab=runs&run=1234", ["run", "runs", "use", "train", "catalog"]),
        ("?tab=nowhere", ["use", "train", "catalog", "runs"]),
    ],
)
def test_what_a_link_asks_for_is_filled_first(
    blank: Page, app: AppProcess, link: str, steps: list[str]
) -> None:
    asked: list[int] = []

    def hear(request: Request) -> None:
        if "predict" in request.url:
            asked.append(json.loads(request.post_data or "")["fn_index"])

    blank.on("request", hear)
    blank.goto(app.url + link)
    selected = link.partition("tab=")[2].partition("&")[0]
    tab = selected.capitalize() if selected in ("train", "catalog", "runs") else "Use"
    expect(blank.locator("#tabs [role=tab][aria-selected=true]").first).to_have_text(tab)
    names: dict[str, str] = blank.evaluate(
        "Object.fromEntries(gradio_config.dependencies.map((one) => [one.id, one.api_name]))"
    )

    def taken() -> list[str]:
        told = [names[str(one)] for one in asked]
        return [one.removeprefix("fill_") for one in told if one.startswith("fill_")]

    for _ in range(150):
        if len(taken()) >= len(steps):
            break
        blank.wait_for_timeout(100)
    assert taken() == steps


def test_the_styles_of_all_components_are_asked_for_together(blank: Page, app: AppProcess) -> None:
    blank.goto(app.url)
    expect(blank.locator("#use-quick input").first).to_be_visible()
    sheets: list[str] = blank.evaluate(SHEETS)
    together = [one for one in sheets if "together.css?" in one]
    assert sum(one.count("&") + 1 for one in together) > 20
    assert len(sheets) < 12


def test_styles_that_do_not_come_together_are_asked_for_one_by_one(blank: Page, app: AppProcess) -> None:
    blank.route("**/together.css?*", lambda route: route.abort())
    blank.goto(app.url)
    expect(blank.locator("#use-quick input").first).to_be_visible()
    sheets: list[str] = blank.evaluate(SHEETS)
    assert len([one for one in sheets if "together" not in one]) > 20
