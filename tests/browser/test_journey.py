from __future__ import annotations

import os
import re
import signal
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import AppProcess, Visit, publish_copy, registry_of
from tests.conftest import ColourFolders
from tests.ui.conftest import RunningApp

TRAINED = 120_000


@pytest.fixture
def colour_zip(colour_folders: ColourFolders, tmp_path: Path) -> Path:
    """A zip of three classes, with the stray files that people's zips have."""
    root = colour_folders(per_class=20, test=4, names=("red", "green", "blue"))
    path = tmp_path / "paints.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(root.rglob("*.png")):
            archive.write(file, file.relative_to(root))
        archive.writestr("__MACOSX/._x.png", b"junk")
        archive.writestr("train/red/notes.txt", b"hello")
    return path


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def pick(page: Page, *titles: str) -> None:
    page.locator("#use-quick input").first.wait_for()  # until then the list is still being filled
    for title in titles:
        page.locator("#use-tasks input").click()
        page.get_by_role("option", name=re.compile(title)).first.click()
    page.keyboard.press("Escape")


SMALL = {"image-size": "56", "blocks": "1", "epochs": "3", "min-steps": "0", "batch-size": "8"}
"""Settings of a training of a few seconds."""
WATCHED = {**SMALL, "epochs": "80", "patience": "80"}
"""Settings of one that lasts until others have seen it."""
LONG = {**SMALL, "epochs": "200", "patience": "200"}
"""Settings of one that is still there when something is done to it."""


def give(page: Page, data: Path) -> None:
    """Add data in Train, which leads to the step Check."""
    open_tab(page, "Train")
    page.locator("#train-upload input[type=file]").set_input_files(data)
    in_step(page, "Check")


def in_step(page: Page, title: str) -> None:
    expect(page.locator("#train-bar [aria-current]")).to_contain_text(title)


def go_to(page: Page, title: str) -> None:
    page.locator("#train-bar .lv-steps button", has_text=title).click()
    in_step(page, title)


def start_training(page: Page, data: Path, name: str, settings: Mapping[str, str] = SMALL) -> None:
    give(page, data)
    expect(page.locator("#train-found")).to_contain_text("images in 3 classes")
    train_given(page, data.stem, name, settings)


def train_given(page: Page, suggested: str, name: str, settings: Mapping[str, str] = SMALL) -> None:
    """Start a training on the data in Check, whose name is suggested for the task."""
    page.locator("#train-continue").click()
    page.locator("#train-advanced button").first.click()
    for setting, value in settings.items():
        page.locator(f"#train-{setting} input").fill(value)
    named = page.locator("#train-name textarea, #train-name input")
    expect(named).to_have_value(suggested)
    named.fill(name)
    page.locator("#train-start").click()
    in_step(page, "Watch")


def test_from_a_zip_to_two_answers_side_by_side(
    page: Page, visit: Visit, app: AppProcess, colour_zip: Path, tmp_path: Path
) -> None:
    bystander = visit(app.url)
    open_tab(bystander, "Runs")
    give(page, colour_zip)
    found = page.locator("#train-found")
    expect(found).to_contain_text("72 images in 3 classes")
    expect(found.locator("tbody tr", has_text="red").locator("img")).to_have_count(8)
    expect(found).to_contain_text("2 files skipped")
    expect(page.locator("#train-continue")).to_have_text("Continue with 72 images")
    expect(page.locator("#train-step-check h2")).to_be_focused()
    expect(page.locator("#train-announced")).to_have_text("Step 2 of 5: Check")
    train_given(page, "paints", "Paints", WATCHED)
    # the app of these tests may know the same images as a revision of other data
    expect(page.locator("#train-bar .lv-done")).to_contain_text(
        re.compile(r"paints(, revision \d+)? · 72 images · 3 classes")
    )
    expect(page.locator("#train-bar .lv-done")).to_contain_text("Draft · Paints")
    expect(page.locator("#train-progress")).to_be_in_viewport()
    bystander.locator("#job-strip button", has_text="Paints").click(timeout=TRAINED)
    expect(bystander.locator("#train-progress")).to_contain_text("Paints")
    open_tab(bystander, "Runs")
    expect(bystander.locator("#runs-table")).to_contain_text("Paints")
    open_tab(bystander, "Train")
    expect(bystander.locator("#train-progress")).to_contain_text("Paints")

    # training goes on and is shown again after a reload, and its data are no longer asked about
    open_tab(page, "Use")
    open_tab(page, "Train")
    expect(page).to_have_url(re.compile("tab=train"))
    page.reload()
    expect(page.locator("#train-progress")).to_contain_text("Paints")
    expect(page.locator("#train-accuracy")).to_be_visible(timeout=TRAINED)
    open_tab(bystander, "Runs")

    # the result takes its place where the training was watched, and is a link elsewhere
    expect(page.locator("#train-bar [aria-current]")).to_contain_text("Result", timeout=TRAINED)
    expect(page.locator("#train-result")).to_contain_text("12 of 12 test images correct (95% CI")
    expect(page.locator("#train-result")).to_be_in_viewport()
    expect(page.locator("#train-judged .lv-right")).to_have_count(12)
    expect(bystander.locator(".toast-wrap")).to_contain_text("“Paints” version 1 is ready")
    bystander.get_by_role("link", name="See the result").click()
    expect(bystander.locator("#train-result")).to_be_in_viewport()

    # a page that was open all along offers the new task, and answers for both at once
    open_tab(bystander, "Use")
    bystander.locator("#use-image input[type=file]").first.set_input_files(
        tmp_path / "colours" / "test" / "red" / "0.png"
    )
    pick(bystander, "Paints", "Shades")
    cards = bystander.locator("#use-answers article")
    expect(cards).to_have_count(2)
    for card in (cards.nth(0), cards.nth(1)):
        expect(card.locator("ol li").first).to_contain_text("red")
        expect(card.locator(".lv-tag")).to_have_attribute("title", re.compile(r"Inference time [\d.]+ ms"))

    # the same image answers again when another one is dropped, without any button
    bystander.locator("#use-image input[type=file]").first.set_input_files(
        tmp_path / "colours" / "test" / "blue" / "0.png"
    )
    expect(cards.nth(0).locator("ol li").first).to_contain_text("blue")

    open_tab(page, "Catalog")
    page.locator("#catalog-list button[data-slug=paints]").click()
    expect(page.locator("#catalog-card")).to_contain_text("paints@1")
    expect(page.locator("#catalog-list [aria-current]")).to_contain_text("Paints")
    expect(page.locator("#catalog-card")).to_contain_text("Probe")
    thumbnail = page.locator("#catalog-card img")
    expect(thumbnail).to_have_attribute("alt", re.compile("One training image each of "))
    expect(thumbnail).to_have_js_property("naturalWidth", 256)
    page.locator("#catalog-try").click()
    expect(page.get_by_role("tab", name="Use")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#use-tasks")).to_contain_text("Paints")

    # from its result it is picked as if by its chip: another task joins it
    page.locator("#use-quick label", has_text="Paints").click()
    expect(page.locator("#use-tasks")).not_to_contain_text("Paints")
    open_tab(page, "Train")
    page.locator("#train-try").click()
    expect(page.locator("#use-quick label", has_text="Paints").locator("input")).to_be_checked()
    expect(page.locator("#use-answers article", has_text="Paints")).to_be_visible()  # of one of its images
    page.locator("#use-quick label", has_text="Shades").click()
    expect(page.locator("#use-tasks")).to_contain_text("Shades")
    expect(page.locator("#use-tasks")).to_contain_text("Paints")

    open_tab(page, "Runs")
    expect(page.locator("#runs-table")).to_contain_text("Paints · v1")

    # the page finds it where it was left
    page.reload()
    open_tab(page, "Train")
    expect(page.locator("#train-result")).to_contain_text("paints@1")
    go_to(page, "Watch")
    expect(page.locator("#train-progress")).to_contain_text("Paints")
    expect(page.locator("#train-accuracy")).to_be_visible()


def process_of(worker: str) -> int:
    """Return the process whose command names a worker."""
    commands = Path("/proc").glob("[0-9]*/cmdline")
    (found,) = [int(path.parent.name) for path in commands if worker.encode() in path.read_bytes()]
    return found


def test_a_killed_worker_leaves_an_interrupted_run_that_goes_on_and_a_serving_app(
    page: Page, app: AppProcess, colour_zip: Path, tmp_path: Path
) -> None:
    start_training(page, colour_zip, "Toppled", LONG)
    expect(page.locator("#train-progress")).to_contain_text("Epoch", timeout=TRAINED)
    with registry_of(app.home) as registry:
        (run,) = registry.runs.list(status=["running"])
        assert run.worker is not None
        os.kill(process_of(run.worker), signal.SIGKILL)
        expect(page.locator("#train-progress")).to_contain_text("interrupted")
        assert registry.runs.get(run.id).status == "interrupted"
        assert "toppled" not in [adapter.slug for adapter in registry.catalog.adapters()]
    page.locator("#train-resume").click()
    expect(page.locator("#train-progress")).to_contain_text(re.compile("queued|running"))

    open_tab(page, "Use")
    page.locator("#use-image input[type=file]").first.set_input_files(
        tmp_path / "colours" / "test" / "green" / "0.png"
    )
    pick(page, "Shades")
    expect(page.locator("#use-answers ol li").first).to_contain_text("green")

    open_tab(page, "Train")
    expect(page.locator("#train-progress")).to_contain_text("Epoch", timeout=TRAINED)
    page.locator("#train-keep").click()
    expect(page.locator("#train-result")).to_contain_text("toppled@1", timeout=TRAINED)
    in_step(page, "Result")


def test_cancelling_publishes_nothing(page: Page, app: AppProcess, colour_zip: Path) -> None:
    start_training(page, colour_zip, "Unwanted", LONG)
    expect(page.locator("#train-progress")).to_contain_text("running", timeout=TRAINED)
    # what trains already is not started again
    page.get_by_label("Change settings").click()
    lock = page.locator("#train-lock")
    expect(lock).to_contain_text("already, with the same data, name and settings", timeout=30_000)
    expect(page.locator("#train-start")).to_be_disabled()
    page.locator("#train-name input").fill("Wanted")
    page.locator("#train-name input").blur()
    expect(page.locator("#train-start")).to_be_enabled(timeout=30_000)
    expect(page.locator("#train-cost")).to_contain_text("trained parameters", timeout=30_000)
    go_to(page, "Watch")
    page.locator("#train-cancel").click()
    page.locator("#train-cancel-yes").click()
    expect(page.locator("#train-progress")).to_contain_text("cancelled")
    open_tab(page, "Catalog")
    expect(page.locator("#catalog-list")).to_contain_text("Shades")
    expect(page.locator("#catalog-list")).not_to_contain_text("Unwanted")
    # this tab was never open before, and is up to date when it opens
    open_tab(page, "Runs")
    expect(page.locator("#runs-table").get_by_role("row", name=re.compile("Unwanted"))).to_contain_text(
        "cancelled"
    )


def test_a_run_answers_with_its_probe_until_it_ends(page: Page, colour_zip: Path, tmp_path: Path) -> None:
    start_training(page, colour_zip, "Early", LONG)
    first = page.locator("#train-first")
    expect(first).to_contain_text(
        re.compile(r"First answer after \d+ s: \d+% of \d+ validation images correct"), timeout=TRAINED
    )
    page.locator("#train-first-more button").first.click()
    expect(page.locator("#train-first-confusion tbody tr")).to_have_count(3)
    page.locator("#train-try-ended").click()
    expect(page.get_by_role("tab", name="Use")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#use-tasks")).to_contain_text("Early (first answer, still training)")
    image = page.locator("#use-image input[type=file]").first
    image.set_input_files(tmp_path / "colours" / "test" / "red" / "0.png")
    card = page.locator("#use-answers article")
    expect(card.locator("h2")).to_have_text("Early (first answer, still training)")
    expect(card.locator("ol li").first).to_contain_text("red")

    page.reload()
    expect(page.locator("#use-tasks")).to_contain_text("Early (first answer, still training)")
    expect(card.locator("ol li").first).to_contain_text("red")

    open_tab(page, "Train")
    expect(first).to_be_visible()
    page.locator("#train-cancel").click()
    page.locator("#train-cancel-yes").click()
    expect(page.locator("#train-progress")).to_contain_text("cancelled")
    expect(first).to_be_hidden()
    expect(page.locator("#train-try-ended")).to_be_hidden()
    open_tab(page, "Use")
    image.set_input_files(tmp_path / "colours" / "test" / "blue" / "0.png")
    expect(card).to_contain_text("has no first answer any more, because its run is cancelled")


def test_bad_files_are_answered_where_they_were_given(page: Page, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"this is no zip")
    open_tab(page, "Train")
    page.locator("#train-upload input[type=file]").set_input_files(broken)
    expect(page.locator("#train-problem [role=alert]")).to_contain_text("zip")
    in_step(page, "Data")
    expect(page.locator("#train-bar button", has_text="Settings")).to_be_disabled()

    image = tmp_path / "image.jpg"
    image.write_bytes(b"this is no image")
    open_tab(page, "Use")
    pick(page, "Shades")
    page.locator("#use-image input[type=file]").first.set_input_files(image)
    expect(page.locator("#use-answers [role=alert]")).to_contain_text("not an image")


def test_a_sample_empties_the_box_of_the_zip_before_it(page: Page, colour_zip: Path) -> None:
    box, found = page.locator("#train-upload"), page.locator("#train-found")
    give(page, colour_zip)
    expect(found).to_contain_text("72 images in 3 classes")
    page.locator("#train-back-to-data").click()
    page.locator("#train-sample-digits").click()
    expect(found).to_contain_text("1797 images in 10 classes")
    in_step(page, "Check")
    page.get_by_label("Change data").or_(page.locator("#train-back-to-data")).first.click()
    expect(box).to_contain_text("Drop File Here")
    expect(found).to_contain_text("1797 images in 10 classes")  # emptying it is no import of nothing


def test_data_that_was_given_outlives_a_reload_with_its_name_until_it_is_trained_on(
    page: Page, colour_zip: Path
) -> None:
    name, mirrored = page.locator("#train-name input"), page.locator("#train-mirror input")
    give(page, colour_zip)
    page.locator("#train-continue").click()
    expect(name).to_have_value("paints")
    mirrored.uncheck()
    name.fill("Paints of mine")
    name.blur()
    expect(page.locator("#train-cost")).to_contain_text("trained parameters", timeout=30_000)
    for _ in range(2):
        page.reload()
        open_tab(page, "Train")
        expect(page.locator("#train-found")).to_contain_text("72 images in 3 classes")
        expect(name).to_have_value("Paints of mine")
        expect(mirrored).not_to_be_checked()
        in_step(page, "Settings")
        expect(page.locator("#train-start")).to_be_enabled()
    expect(page.locator("#train-near")).to_contain_text("among 72 images")
    open_tab(page, "Use")
    page.reload()
    open_tab(page, "Train")
    expect(name).to_have_value("Paints of mine")
    expect(page.locator("#train-cost")).to_contain_text("trained parameters", timeout=30_000)
    expect(page.locator(".toast-body")).to_have_count(0)


def test_start_waits_for_new_data_and_what_is_typed_meanwhile_stays(page: Page, colour_zip: Path) -> None:
    name, mirrored = page.locator("#train-name input"), page.locator("#train-mirror input")
    give(page, colour_zip)
    expect(name).to_have_value("paints")
    expect(page.locator("#train-start")).to_be_enabled()
    page.locator("#train-back-to-data").click()
    page.locator("#train-sample-digits").click()
    expect(page.locator("#train-start")).to_be_disabled()
    go_to(page, "Settings")
    name.fill("Typed meanwhile")
    expect(page.locator("#train-found")).to_contain_text("1797 images", timeout=60_000)
    expect(mirrored).not_to_be_checked()
    expect(page.locator("#train-start")).to_be_enabled()
    expect(name).to_have_value("Typed meanwhile")
    name.fill("")
    page.locator("#train-upload input[type=file]").set_input_files(colour_zip)
    expect(name).to_have_value("paints")
    expect(mirrored).to_be_checked()


def test_a_preset_fills_the_settings_and_what_they_cost_is_measured_anew(
    page: Page, colour_zip: Path
) -> None:
    give(page, colour_zip)
    page.locator("#train-continue").click()
    page.locator("#train-advanced button").first.click()
    cost, size = page.locator("#train-cost"), page.locator("#train-image-size input")
    expect(cost).to_contain_text("trained parameters", timeout=30_000)
    expect(size).to_have_value("98")
    before = cost.inner_text()
    page.locator("#train-preset label", has_text="Quick").click()
    expect(size).to_have_value("112")
    expect(page.locator("#train-blocks input")).to_have_value("5")
    expect(cost).to_contain_text("trained parameters", timeout=30_000)
    assert cost.inner_text() != before


def test_an_empty_catalog_says_so_until_its_first_adapter_appears(
    visit: Visit, empty_app: RunningApp, trained_home: Path
) -> None:
    page = visit(empty_app.url)
    expect(page.locator("#use-answers")).to_contain_text("The catalog is empty")
    publish_copy("colours@1", trained_home, empty_app.service.settings.home, "shades")
    expect(page.locator("#use-answers")).to_contain_text("Drop an image")
    open_tab(page, "Catalog")
    expect(page.locator("#catalog-list")).to_contain_text("Shades")
    expect(page.locator("#catalog-head")).to_contain_text("shades@1")  # the first row opens by itself


def test_nothing_overflows_a_narrow_screen(visit: Visit, app: AppProcess) -> None:
    page = visit(app.url, width=390)
    for tab in ("Use", "Train", "Catalog", "Runs"):
        open_tab(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
