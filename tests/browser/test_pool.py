"""Images without labels: one key decides on each, and the confirmed ones join the data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from loravit_web.access.rights import LOCAL
from loravit_web.actions import Actions
from loravit_web.datasets.pool.source import open_images
from loravit_web.training.recipe import preset_recipe
from tests.browser.conftest import Visit
from tests.conftest import make_colours, train_now
from tests.ui.conftest import RunningApp

pytestmark = pytest.mark.browser


@pytest.fixture
def filled(empty_app: RunningApp, tmp_path: Path) -> RunningApp:
    """An app with the task Colours, and a pool of six images for it."""
    service = empty_app.service
    dataset = service.datasets.import_source(make_colours(tmp_path / "colours", per_class=8))
    recipe = replace(preset_recipe("quick", blocks=1, r=2, image_size=32), epochs=1, min_steps=0)
    run = train_now(service, dataset, "Colours", recipe, service.new_worker())
    assert run.status == "completed", run.error
    unlabeled = make_colours(tmp_path / "pool", per_class=3, names=("skipped", "green", "blue"))
    with open_images([unlabeled / "green", unlabeled / "blue"]) as source:
        Actions(service, LOCAL).add_to_pool("colours", source)
    return empty_app


def open_pool(page: Page) -> None:
    page.get_by_role("tab", name="Train").click()
    more = page.locator("#train-ways .overflow-menu > button")  # on a phone
    if more.is_visible():
        more.click()
        page.locator("#train-ways .overflow-dropdown button", has_text="Unlabeled images").click()
    else:
        page.get_by_role("tab", name="Unlabeled images").click()
    page.locator("#train-pool-task input").click()
    page.get_by_role("option", name="Colours").click()
    expect(page.locator("#train-pool-status")).to_contain_text("6 images: 6 to look at, 0 confirmed")
    page.locator("#train-pool-show").click()
    expect(page.locator("#train-review li[data-sha]:visible")).to_have_count(1)


@pytest.mark.parametrize("width", [1280, 390])
def test_each_image_is_decided_with_one_key(filled: RunningApp, visit: Visit, width: int) -> None:
    page = visit(filled.url, width=width)
    open_pool(page)
    place, status = page.locator("#train-review [data-place]"), page.locator("#train-pool-status")
    expect(place).to_have_text("1 of 6")
    picture = page.locator("#train-review li:visible img")
    expect(picture).to_be_visible()
    box = page.locator("#train-review").bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= width

    page.keyboard.press("Enter")
    expect(place).to_have_text("2 of 6")
    expect(status).to_contain_text("5 to look at, 1 confirmed, 0 skipped")
    page.keyboard.press("2")
    expect(status).to_contain_text("4 to look at, 2 confirmed, 0 skipped")
    page.keyboard.press("s")
    expect(status).to_contain_text("3 to look at, 2 confirmed, 1 skipped")
    page.keyboard.press("u")
    expect(place).to_have_text("3 of 6")
    expect(status).to_contain_text("4 to look at, 2 confirmed, 0 skipped")
    page.locator("#train-review [data-other]").fill("green")
    page.keyboard.press("Enter")
    expect(status).to_contain_text("3 to look at, 3 confirmed, 0 skipped")
    page.locator("#train-pool-join").click()
    expect(page.locator("#train-found")).to_contain_text("image", timeout=30_000)
    assert filled.service.pools.summary("colours").images == 3


def test_stored_data_is_deleted_after_a_question(filled: RunningApp, visit: Visit) -> None:
    page = visit(filled.url)
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("tab", name="Stored data").click()
    page.locator("#train-stored input").click()
    page.get_by_role("option").first.click()
    page.locator("#train-stored-delete").click()
    yes = page.get_by_role("button", name="Delete the images")
    expect(yes).to_be_visible()
    expect(page.locator("#train-stored-ask")).to_contain_text("will be deleted for good")
    yes.click()
    expect(yes).to_be_hidden()
    assert filled.service.datasets.list() == []
