"""From a cell of the confusion matrix to its images, and from those to the next version."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.test_journey import TRAINED, colour_zip, start_training

__all__ = ["colour_zip"]


@pytest.fixture
def mislabelled_zip(colour_zip: Path, tmp_path: Path) -> Path:
    """The zip of three classes, with a red image among the blue ones that are tested."""
    Image.new("RGB", (32, 32), (230, 20, 20)).save(tmp_path / "red.png")
    with zipfile.ZipFile(colour_zip, "a") as archive:
        archive.write(tmp_path / "red.png", "test/blue/red.png")
    return colour_zip


def test_from_a_cell_to_its_images_to_a_corrected_version(page: Page, mislabelled_zip: Path) -> None:
    start_training(page, mislabelled_zip, "Hues")
    result = page.locator("#train-result")
    expect(result).to_contain_text("hues@1", timeout=TRAINED)
    expect(result).to_contain_text("Probe")

    cells, title = page.locator("#train-confusion button"), page.locator("#train-behind-title")
    position = page.locator("#train-behind-position")
    expect(cells).to_have_text(["4", "1", "4", "4"])
    cells.first.click()
    expect(title).to_contain_text("Correct: “blue”")
    expect(position).to_contain_text("1–4 of 4")
    # arrows go past what is empty, and stay where there is nothing more
    for key, cell in (("ArrowRight", 1), ("ArrowRight", 1), ("ArrowDown", 3), ("ArrowUp", 1)):
        page.keyboard.press(key)
        expect(cells.nth(cell)).to_be_focused()
        expect(cells.nth(cell)).to_have_attribute("tabindex", "0")
    page.keyboard.press("Enter")
    expect(cells.nth(1)).to_have_attribute("aria-current", "true")
    expect(title).to_contain_text("“blue” predicted as “red”")
    expect(position).to_contain_text("1–1 of 1")
    page.locator("#train-behind-gallery button").first.click()
    expect(position).to_contain_text("1 selected")
    page.locator("#train-behind-leave").click()
    expect(position).to_contain_text("1 excluded")
    page.reload()
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#train-behind-title")).to_contain_text("Your changes")
    expect(page.locator("#train-behind-position")).to_contain_text("1–1 of 1")
    page.locator("#train-again").click()
    expect(page.locator("#train-progress")).to_contain_text(re.compile("queued|running"))
    expect(result).to_contain_text("hues@2", timeout=TRAINED)
    expect(result).to_contain_text("1 changed from")

    page.locator("#train-try-ended").click()
    expect(page.get_by_role("tab", name="Use")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#use-tasks")).to_contain_text("Hues")


def test_a_suspicious_label_is_shown_first_and_corrected(
    page: Page, colour_zip: Path, tmp_path: Path
) -> None:
    pixels = np.random.default_rng(1).integers(0, 90, (32, 32, 3), dtype=np.uint8)
    pixels[:, :, 0] += 150  # as in the images of “red”
    Image.fromarray(pixels).save(tmp_path / "wrong.png")
    with zipfile.ZipFile(colour_zip, "a") as archive:
        archive.write(tmp_path / "wrong.png", "train/blue/wrong.png")
    start_training(page, colour_zip, "Tints")
    caption = "“blue”? Probably “red”"
    expect(page.locator("#train-suspects")).to_contain_text("1 label looks wrong.", timeout=TRAINED)
    images = page.locator("#train-behind-gallery button")
    expect(page.locator("#train-behind-title")).to_contain_text("most suspicious first")
    expect(page.locator("#train-behind-gallery")).to_contain_text(caption)
    expect(page.locator("#train-behind-position")).to_contain_text("No changes")
    page.locator("#train-confusion button").first.click()
    expect(page.locator("#train-behind-title")).to_contain_text("Correct: “blue”")
    page.locator("#train-suspicious").click()
    expect(page.locator("#train-behind-position")).to_contain_text("1–1 of 1")

    page.reload()  # the same images are given again before the next training
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-upload input[type=file]").set_input_files(colour_zip)
    expect(page.locator("#train-found")).to_contain_text("1 label looks wrong. The last training")
    page.locator("#train-look button").first.click()
    expect(page.locator("#train-view input")).to_have_value("Suspicious labels first (1)")
    expect(page.locator("#train-check-gallery button").first).to_contain_text(caption)
    expect(page.locator("#train-check-position")).to_contain_text("1–24 of 73")

    images.first.click()
    page.locator("#train-behind-class input").click()
    page.get_by_role("option", name="red").click()
    page.locator("#train-behind-give").click()
    expect(page.locator("#train-behind-position")).to_contain_text("1 moved to “red”")
    page.locator("#train-again").click()
    expect(page.locator("#train-result")).to_contain_text("tints@2", timeout=TRAINED)
    expect(page.locator("#train-suspects")).to_contain_text("No label looks wrong.")


def test_fast_hands_mark_all_that_they_click(page: Page, colour_zip: Path) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-upload input[type=file]").set_input_files(colour_zip)
    expect(page.locator("#train-found")).to_contain_text("72 images in 3 classes")
    page.locator("#train-look button").first.click()
    images, position = page.locator("#train-check-gallery button"), page.locator("#train-check-position")
    expect(images).to_have_count(24)
    images.evaluate_all("all => all.slice(0, 6).forEach((one) => one.click())")
    expect(position).to_contain_text("6 selected")
    page.locator("#train-check-next").evaluate("next => { next.click(); next.click(); }")
    expect(position).to_contain_text("49–72 of 72")


def test_labels_are_corrected_before_training(page: Page, colour_zip: Path) -> None:
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-upload input[type=file]").set_input_files(colour_zip)
    expect(page.locator("#train-found")).to_contain_text("72 images in 3 classes")
    expect(page.locator("#train-near")).to_contain_text("among 72 images")
    page.locator("#train-look button").first.click()
    page.locator("#train-check-gallery button").first.click()
    expect(page.locator("#train-check-position")).to_contain_text("1 selected")
    page.locator("#train-check-leave").click()
    expect(page.locator("#train-check-position")).to_contain_text("1 excluded")
    page.reload()
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-start").click()
    refused = page.locator(".toast-wrap")
    expect(refused).to_contain_text("You have 1 unapplied change.")
    page.reload()  # what was refused is not lost
    page.get_by_role("tab", name="Train").click()
    expect(page.locator("#train-check-position")).to_contain_text("1 excluded")
    page.locator("#train-fix").click()
    expect(page.locator("#train-found")).to_contain_text("71 images in 3 classes")
    expect(page.locator("#train-found")).to_contain_text("1 changed from")
