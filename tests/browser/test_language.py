"""The page in another language, and the steps of Train in its address."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import AppProcess, Visit
from tests.browser.test_journey import colour_zip, give, in_step, open_tab

__all__ = ["colour_zip"]  # a fixture


def test_a_link_shows_the_same_tab_in_german_and_links_keep_the_language(
    visit: Visit, app: AppProcess
) -> None:
    page = visit(f"{app.url}?tab=catalog&adapter=shades@1")
    expect(page.locator("#catalog-head h2")).to_have_text("Shades")
    page.get_by_role("link", name="Deutsch").click()
    expect(page.get_by_role("tab", name="Katalog")).to_have_attribute("aria-selected", "true")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator("#catalog-head")).to_contain_text("2 Klassen")
    page.get_by_role("link", name="Eigenen trainieren").click()
    expect(page.locator("#train-step-data")).to_contain_text("Datei hier ablegen")  # a word of Gradio
    named = page.get_by_label(
        "Klicken zum Hochladen, oder Dateien ablegen"
    )  # a name that Gradio has in English
    expect(named.first).to_be_visible()
    expect(page).to_have_url(re.compile(r"tab=train.*lang=de"))


def test_back_and_forward_lead_between_steps_and_a_reload_keeps_the_step(
    visit: Visit, app: AppProcess, colour_zip: Path
) -> None:
    page = visit(app.url)
    give(page, colour_zip)
    page.locator("#train-continue").click()
    in_step(page, "Settings")
    expect(page).to_have_url(re.compile("step=settings"))
    page.go_back()
    in_step(page, "Check")
    page.go_forward()
    in_step(page, "Settings")
    # another tab has an address of its own, and this one its step again
    open_tab(page, "Catalog")
    expect(page).to_have_url(re.compile(r"tab=catalog"))
    expect(page).not_to_have_url(re.compile("step="))
    open_tab(page, "Train")
    expect(page).to_have_url(re.compile("step=settings"))
    page.reload()
    in_step(page, "Settings")
