"""Opening the page: what a link asks for is filled first, and the styles come in one piece."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from loravit_web.ui import scripts
from loravit_web.ui.page.address import HUB, VALUES
from tests.browser.conftest import AppProcess, Visit
from tests.browser.test_journey import open_tab

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


def test_a_reload_opens_the_tab_that_was_open_and_picks_the_tasks_that_were_picked(page: Page) -> None:
    selected = page.locator("#tabs [role=tab][aria-selected=true]").first
    shades = page.locator("#use-quick label", has_text="Shades").locator("input")
    shades.check()
    expect(page).to_have_url(re.compile(r"\?task=shades$"))
    open_tab(page, "Train")
    expect(page).to_have_url(re.compile(r"\?tab=train$"))  # the address names what is shown
    page.reload()
    expect(selected).to_have_text("Train")
    open_tab(page, "Use")
    expect(shades).to_be_checked()
    expect(page).to_have_url(re.compile(r"\?task=shades$"))
    shades.uncheck()
    expect(page).not_to_have_url(re.compile("task="))


def test_a_tab_that_a_button_opens_is_in_the_address_too(visit: Visit, app: AppProcess) -> None:
    page = visit(f"{app.url}?tab=catalog&adapter=shades@1")
    page.locator("#catalog-try").click()
    expect(page.locator("#tabs [role=tab][aria-selected=true]").first).to_have_text("Use")
    expect(page).to_have_url(re.compile(r"\?task=shades(%401)?$"))
    open_tab(page, "Catalog")
    expect(page).to_have_url(re.compile(r"\?adapter=shades%401&tab=catalog$"))
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?task=shades(%401)?$"))


def test_a_space_tells_the_page_of_the_hub_around_it_and_keeps_the_hubs_own_keys_to_itself(
    blank: Page,
) -> None:
    space = "https://somebody-app.hf.space"
    around = f"""<script>window.told = []; onmessage = ({{data}}) => told.push(data.queryString)</script>
    <iframe src="{space}/?__sign=secret&tab=runs"></iframe>"""
    named = """<script>
    const {set} = loravit.address;
    set("tab", "catalog"); set("tab", "catalog"); set("adapter", "a@1"); set("tab", "");
    </script>"""
    inside = scripts.head(["page/address"], {"address": VALUES}) + named
    for site, body in ((HUB, around), (space, inside)):
        blank.route(f"{site}/**", functools.partial(fulfil, body))
    blank.goto(f"{HUB}/spaces/somebody/app")
    blank.wait_for_function("told.length === 3")
    assert blank.evaluate("told") == ["tab=catalog", "tab=catalog&adapter=a%401", ""]
    assert blank.frames[1].url == f"{space}/?__sign=secret"


def fulfil(body: str, route: Route) -> None:
    route.fulfill(body=f"<!doctype html>{body}", content_type="text/html")
