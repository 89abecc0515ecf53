"""From a cell of the confusion matrix to its images, and from those to the next version."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.test_journey import TRAINED, colour_zip, start_training

__all__ = ["colour_zip"]


def test_from_a_cell_to_its_images_to_a_corrected_version(page: Page, colour_zip: Path) -> None:
    start_training(page, colour_zip, "Hues")
    result = page.locator("#train-result")
    expect(result).to_contain_text("hues@1", timeout=TRAINED)
    expect(result).to_contain_text("linear probe")

    # four test images of each class, rightly named: a row's only number is on the diagonal
    table = page.locator("#train-confusion")
    table.get_by_text("4", exact=True).locator("visible=true").first.click()
    expect(page.locator("#train-behind-title")).to_contain_text("taken for")
    expect(page.locator("#train-behind-position")).to_contain_text("Images 1 to 4 of 4")
    page.locator("#train-behind-gallery button").first.click()
    expect(page.locator("#train-behind-position")).to_contain_text("1 marked")
    page.locator("#train-behind-leave").click()
    expect(page.locator("#train-behind-position")).to_contain_text("1 left out")
    page.reload()
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#train-behind-title")).to_contain_text("What you changed so far")
    expect(page.locator("#train-behind-position")).to_contain_text("Images 1 to 1 of 1")
    page.locator("#train-again").click()
    expect(page.locator("#train-progress")).to_contain_text(re.compile("queued|running"))
    expect(result).to_contain_text("hues@2", timeout=TRAINED)
    expect(result).to_contain_text("1 changed from")

    page.locator("#train-try-ended").click()
    expect(page.get_by_role("tab", name="Use")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#use-tasks")).to_contain_text("Hues")


def test_fast_hands_mark_all_that_they_click(page: Page, colour_zip: Path) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-upload input[type=file]").set_input_files(colour_zip)
    expect(page.locator("#train-found")).to_contain_text("72 images in 3 classes")
    page.locator("#train-look button").first.click()
    images, position = page.locator("#train-check-gallery button"), page.locator("#train-check-position")
    expect(images).to_have_count(24)
    images.evaluate_all("all => all.slice(0, 6).forEach((one) => one.click())")
    expect(position).to_contain_text("6 marked")
    page.locator("#train-check-next").evaluate("next => { next.click(); next.click(); }")
    expect(position).to_contain_text("Images 49 to 72 of 72")


def test_labels_are_corrected_before_training(page: Page, colour_zip: Path) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-upload input[type=file]").set_input_files(colour_zip)
    expect(page.locator("#train-found")).to_contain_text("72 images in 3 classes")
    expect(page.locator("#train-near")).to_contain_text("72 images were compared")
    page.locator("#train-look button").first.click()
    page.locator("#train-check-gallery button").first.click()
    expect(page.locator("#train-check-position")).to_contain_text("1 marked")
    page.locator("#train-check-leave").click()
    expect(page.locator("#train-check-position")).to_contain_text("1 left out")
    page.reload()
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-start").click()
    refused = page.locator(".toast-wrap")
    expect(refused).to_contain_text("The data does not have your 1 correction yet")
    page.reload()  # what was refused is not lost
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#train-check-position")).to_contain_text("1 left out")
    page.locator("#train-fix").click()
    expect(page.locator("#train-found")).to_contain_text("71 images in 3 classes")
    expect(page.locator("#train-found")).to_contain_text("1 changed from")
