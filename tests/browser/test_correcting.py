"""From a cell of the confusion matrix to its images, and from those to the next version."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import AppProcess, registry_of
from tests.browser.test_journey import TRAINED, colour_zip, give, go_to, in_step, start_training

__all__ = ["colour_zip"]


@pytest.fixture
def mislabelled_zip(colour_zip: Path, tmp_path: Path) -> Path:
    """The zip of three classes, with a red image among the blue ones that are tested."""
    Image.new("RGB", (32, 32), (230, 20, 20)).save(tmp_path / "red.png")
    with zipfile.ZipFile(colour_zip, "a") as archive:
        archive.write(tmp_path / "red.png", "test/blue/red.png")
    return colour_zip


def test_from_a_cell_to_its_images_to_a_corrected_version(
    page: Page, app: AppProcess, mislabelled_zip: Path
) -> None:
    start_training(page, mislabelled_zip, "Hues")
    result = page.locator("#train-result")
    expect(result).to_contain_text("hues@1", timeout=TRAINED)
    expect(result).to_contain_text("Probe")
    in_step(page, "Result")

    # the mistake is first, and can be shown alone
    judged = page.locator("#train-judged")
    expect(judged.locator("li").first).to_have_text(re.compile("blue → red"))
    judged.get_by_label("Only mistakes").check()
    expect(judged.locator("li:visible")).to_have_count(1)

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
    with registry_of(app.home) as registry:  # another user decided that version 1 stays
        registry.aliases.promote("hues@1", "default", actor="ann")
        registry.aliases.protect("hues", "default", actor="ann")
    page.locator("#train-again").click()
    expect(result).to_contain_text("hues@2", timeout=TRAINED)
    in_step(page, "Result")
    expect(result).to_contain_text(re.compile(r"revision \d"))
    expect(result).to_contain_text("Version 1")
    expect(result).to_contain_text("other images")

    question = page.locator("#train-default")
    expect(question).to_contain_text("People do not get version 2 yet.")
    expect(page.locator("#train-default-keep")).to_have_text("Keep version 1 as what people get")
    page.locator("#train-default-use").click()
    expect(question).to_contain_text("People get version 2.")

    page.locator("#train-try").click()
    expect(page.get_by_role("tab", name="Use")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#use-tasks")).to_contain_text("Hues")

    # the image that is answered there joins the training data of the next version
    page.get_by_label("Actions for Hues").click()
    page.get_by_role("button", name="Add this image to the training data as …").click()
    page.locator("#use-teach-class input").click()
    page.get_by_role("option", name="red").click()
    page.locator("#use-teach-add").click()
    in_step(page, "Check")
    expect(page.locator("#train-found")).to_contain_text("73 images in 3 classes")
    expect(page.locator("#train-found")).to_contain_text("1 image added")
    expect(page.locator("#train-name input")).to_have_value("Hues")


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
    go_to(page, "Data")
    give(page, colour_zip)
    expect(page.locator("#train-found")).to_contain_text("1 label looks wrong. The last training")
    page.locator("#train-look button").first.click()
    expect(page.locator("#train-view input")).to_have_value("Suspicious labels first (1)")
    expect(page.locator("#train-check-gallery button").first).to_contain_text(caption)
    expect(page.locator("#train-check-position")).to_contain_text("1–24 of 73")

    go_to(page, "Result")
    images.first.click()
    page.locator("#train-behind-class input").click()
    page.get_by_role("option", name="red").click()
    page.locator("#train-behind-give").click()
    expect(page.locator("#train-behind-position")).to_contain_text("1 moved to “red”")
    page.locator("#train-again").click()
    expect(page.locator("#train-result")).to_contain_text("tints@2", timeout=TRAINED)
    expect(page.locator("#train-suspects")).to_contain_text("No label looks wrong.")


def test_fast_hands_mark_all_that_they_click(page: Page, colour_zip: Path) -> None:
    give(page, colour_zip)
    expect(page.locator("#train-found")).to_contain_text("72 images in 3 classes")
    page.locator("#train-look button").first.click()
    images, position = page.locator("#train-check-gallery button"), page.locator("#train-check-position")
    expect(images).to_have_count(24)
    images.evaluate_all("all => all.slice(0, 6).forEach((one) => one.click())")
    expect(position).to_contain_text("6 selected")
    page.locator("#train-check-next").evaluate("next => { next.click(); next.click(); }")
    expect(position).to_contain_text("49–72 of 72")


PLACES = """
(selectors) => {
  const places = (window.places = selectors.map(() => new Set()));
  const note = () => {
    const boxes = selectors.map((one) => document.querySelector(one)?.getBoundingClientRect());
    boxes.forEach((box, i) => { if (box?.height) places[i].add(box.y); });
    requestAnimationFrame(note);
  };
  note();
}
"""


def test_labels_are_corrected_before_training(page: Page, colour_zip: Path) -> None:
    page.evaluate(PLACES, ["#train-look", "#train-continue"])
    give(page, colour_zip)
    expect(page.locator("#train-found")).to_contain_text("72 images in 3 classes")
    expect(page.locator("#train-near")).to_contain_text("among 72 images")
    expect(page.locator("#train-found img").first).to_be_visible()
    # neither images nor the near-duplicates moved a button under the pointer
    assert [len(places) for places in page.evaluate("places.map((one) => [...one])")] == [1, 1]
    page.locator("#train-look button").first.click()
    page.locator("#train-check-gallery button").first.click()
    expect(page.locator("#train-check-position")).to_contain_text("1 selected")
    page.locator("#train-check-leave").click()
    expect(page.locator("#train-check-position")).to_contain_text("1 excluded")
    page.reload()
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-continue").click()
    page.locator("#train-start").click()
    # the refusal stands at its button
    expect(page.locator("#train-start-problem")).to_contain_text("You have 1 unapplied change.")
    in_step(page, "Settings")
    page.reload()  # what was refused is not lost
    page.get_by_role("tab", name="Train").click()
    page.locator("#train-back-to-check").click()
    expect(page.locator("#train-check-position")).to_contain_text("1 excluded")
    page.locator("#train-fix").click()
    expect(page.locator("#train-found")).to_contain_text("71 images in 3 classes")
    expect(page.locator("#train-found")).to_contain_text(re.compile(r"Revision \d+: 1 image left out\."))
