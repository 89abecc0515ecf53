"""The Catalog tab by keyboard, by link, and while another person changes it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import AppProcess, Visit, publish_copy, registry_of
from tests.browser.test_journey import open_tab


def test_a_row_is_chosen_by_keyboard_and_a_reload_shows_it_again(page: Page) -> None:
    open_tab(page, "Catalog")
    row = page.locator("#catalog-list button[data-slug=shades]")
    expect(page.locator("#catalog-card")).to_be_visible()  # the first row opens by itself
    expect(page.locator("#catalog-list")).to_have_css("overflow-y", "auto")  # or the last are out of reach
    row.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#catalog-head")).to_contain_text("shades@1")
    expect(row).to_have_attribute("aria-current", "true")
    expect(page).to_have_url(re.compile("adapter=shades%401"))
    page.reload()
    open_tab(page, "Catalog")
    expect(page.locator("#catalog-head")).to_contain_text("shades@1")


def test_the_list_follows_what_is_pasted_into_the_search_and_deleted_from_it(page: Page) -> None:
    open_tab(page, "Catalog")
    listed = page.locator("#catalog-list")
    page.locator("#catalog-search input, #catalog-search textarea").click()
    page.keyboard.insert_text("xyzzy")
    expect(listed).to_contain_text("No matching adapters")
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    expect(listed.locator("button[data-slug=shades]")).to_be_visible()


def test_words_that_were_typed_before_the_list_came_are_searched_once_it_is_there(
    visit: Visit, app: AppProcess
) -> None:
    page = visit(f"{app.url}?tab=catalog")
    listed = page.locator("#catalog-list")
    held: list[Route] = []
    step = page.evaluate("gradio_config.dependencies.find((one) => one.api_name === 'fill_catalog').id")

    def hold(route: Route) -> None:
        if f'"fn_index":{step},' in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route(re.compile("/run/predict"), hold)
    page.reload()
    page.locator("#catalog-search input, #catalog-search textarea").fill("xyzzy")
    expect(listed).to_contain_text("No matching adapters")
    for _ in range(100):  # the step of the list comes after that of the card
        if held:
            break
        page.wait_for_timeout(100)
    (arrived,) = held
    with page.expect_response(lambda response: "No matching adapters" in response.text()):
        arrived.continue_()
    expect(listed).to_contain_text("No matching adapters")


def test_a_change_by_somebody_else_redraws_the_card_that_a_link_opened(visit: Visit, app: AppProcess) -> None:
    publish_copy("shades@1", app.home, app.home, "doomed")
    page = visit(f"{app.url}?tab=catalog&adapter=doomed@1", width=390)
    expect(page.locator("#catalog-try")).to_be_enabled()
    expect(page.locator("#catalog-head")).to_be_in_viewport()
    with registry_of(app.home) as registry:
        registry.catalog.withdraw("doomed", 1, "<b>mixed up</b>", actor="bob")
    expect(page.locator("#catalog-message")).to_contain_text("bob withdrew a version")
    expect(page.locator("#catalog-head")).to_contain_text("Version 1 is withdrawn: <b>mixed up</b>")
    expect(page.locator("#catalog-try")).to_be_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_versions_are_downloaded_compared_promoted_and_withdrawn_in_view(page: Page, app: AppProcess) -> None:
    for _ in range(2):
        publish_copy("shades@1", app.home, app.home, "blurred", differing=True)
    page.reload()  # or its news may redraw the card over what is typed at that moment
    open_tab(page, "Catalog")
    page.locator("#catalog-list button[data-slug=blurred]").click()
    versions = page.locator("#catalog-versions")
    versions.get_by_label("Compare version 1").check()
    expect(versions).to_contain_text("Select another version")
    versions.get_by_label("Compare version 2").check()
    expect(page.locator("#catalog-compared")).to_contain_text("v1 and v2 compared")
    versions.get_by_label("Promote version 1").click()
    asked = page.locator("#catalog-ask")
    expect(asked).to_contain_text("blurred@production will point to version 1")
    expect(asked).to_be_in_viewport(ratio=1)
    expect(page.locator("#catalog-no")).to_be_focused()
    page.locator("#catalog-yes").click()
    expect(versions.locator("tr", has_text="v1")).to_contain_text("production")
    expect(versions.get_by_label("Promote version 1")).to_be_focused()
    with page.expect_download() as download:
        page.locator("#catalog-download").click()
    assert download.value.suggested_filename == "blurred-v2.zip"
    page.locator("#catalog-parts").get_by_role("tab", name="Withdraw or delete").click()
    page.locator("#catalog-withdraw").click()
    expect(page.locator("#catalog-reason-told")).to_contain_text("Enter the reason")
    page.locator("#catalog-reason input, #catalog-reason textarea").first.fill("out of focus")
    page.locator("#catalog-withdraw").click()
    expect(asked).to_contain_text("This cannot be undone")
    expect(asked).to_be_in_viewport(ratio=1)
    page.locator("#catalog-yes").click()
    expect(page.locator("#catalog-head")).to_contain_text("withdrawn: out of focus")
    expect(page.locator("#catalog-download")).to_be_disabled()


def test_a_card_that_comes_after_back_is_closed_again(visit: Visit, app: AppProcess) -> None:
    page = visit(app.url, width=390)
    open_tab(page, "Catalog")
    row = page.locator("#catalog-list button[data-slug=shades]")
    expect(row).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route(re.compile("/run/predict"), hold)
    row.click()
    expect(page).to_have_url(re.compile("adapter=shades"))
    page.go_back()
    expect(page).not_to_have_url(re.compile("adapter="))
    page.wait_for_timeout(300)
    held[0].continue_()
    page.wait_for_timeout(500)
    expect(page.locator("#catalog-card")).to_be_hidden()
    expect(row).to_be_visible()
    expect(page).not_to_have_url(re.compile("adapter="))


def test_back_leads_from_the_card_to_the_list_on_a_phone_and_through_tabs(
    visit: Visit, app: AppProcess
) -> None:
    page = visit(app.url, width=390)
    open_tab(page, "Catalog")
    row = page.locator("#catalog-list button[data-slug=shades]")
    row.click()
    expect(page.locator("#catalog-head")).to_contain_text("shades@1")
    expect(row).to_be_hidden()
    page.go_back()
    expect(row).to_be_visible()
    expect(page.locator("#catalog-card")).to_be_hidden()
    page.go_forward()
    expect(page.locator("#catalog-head")).to_contain_text("shades@1")
    page.go_back()
    expect(row).to_be_visible()
    page.go_back()
    expect(page.locator("#tabs [role=tab][aria-selected=true]").first).to_have_text("Use")
    assert page.url.rstrip("/") == app.url.rstrip("/")
