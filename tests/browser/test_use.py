"""The Use tab: keys, heat-maps, links, and many images at once."""

from __future__ import annotations

import csv
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from loravit_web.ui.page.pulse import LOOK_MILLISECONDS
from tests.browser.conftest import AppProcess, Visit
from tests.browser.test_journey import open_tab, pick
from tests.conftest import make_colours


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with red and green images."""
    return make_colours(tmp_path_factory.mktemp("images") / "colours", per_class=2)


def drop(page: Page, image: Path) -> None:
    page.locator("#use-image input[type=file]").first.set_input_files(image)


def open_settings(page: Page) -> None:
    page.locator("#use-settings button").first.click()


def test_keys_toggle_tasks_and_heat_maps(page: Page, images: Path) -> None:
    drop(page, images / "red" / "0.png")
    page.locator("#use-quick input[type=checkbox]").first.wait_for()
    page.keyboard.press("1")
    expect(page.locator("#use-answers article")).to_have_count(1)
    expect(page.locator("#use-answers img")).to_have_count(0)
    page.keyboard.press("t")
    expect(page.locator("#use-answers img").first).to_have_attribute("alt", re.compile(".+"))
    open_settings(page)
    looks = page.locator("#use-heat input[type=checkbox]")
    looks.focus()
    for images_shown, key in ((False, "Enter"), (True, "Space")):
        page.keyboard.press(key)
        expect(looks).to_be_checked(checked=images_shown)
        expect(page.locator("#use-answers article img")).to_have_count(int(images_shown))
    page.keyboard.press("1")
    expect(page.locator("#use-answers article")).to_have_count(0)
    page.keyboard.press("/")
    expect(page.locator("#use-tasks input")).to_be_focused()
    page.keyboard.press("Escape")


def test_shortcuts_are_listed_and_can_be_switched_off(page: Page, images: Path) -> None:
    drop(page, images / "red" / "0.png")
    page.locator("#use-quick input[type=checkbox]").first.wait_for()
    page.keyboard.press("?")
    shown = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(shown).to_contain_text("Find a task")
    shown.get_by_role("checkbox").uncheck()
    page.keyboard.press("Escape")
    expect(shown).to_be_hidden()
    page.keyboard.press("1")
    page.keyboard.press("?")
    expect(shown).to_be_hidden()
    expect(page.locator("#use-answers article")).to_have_count(0)
    page.get_by_role("button", name="Keyboard shortcuts").click()
    shown.get_by_role("checkbox").check()
    shown.get_by_role("button", name="Close").click()
    page.keyboard.press("1")
    expect(page.locator("#use-answers article")).to_have_count(1)


def test_a_map_opens_large_and_shows_the_evidence_for_another_class(page: Page, images: Path) -> None:
    drop(page, images / "red" / "0.png")
    pick(page, "Shades")
    open_settings(page)
    page.locator("#use-heat input").check()
    page.locator("#use-answers [data-evidence]").click()
    dialog = page.locator("#use-evidence dialog")
    classes = dialog.locator("select")
    expect(classes).to_have_value("red")
    classes.focus()
    classes.select_option("green")
    expect(dialog.locator("img").first).to_have_attribute("alt", re.compile("“green”"))
    expect(classes).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_reload_shows_the_same_answers_about_the_same_image(page: Page, visit: Visit, images: Path) -> None:
    answers = page.locator("#use-answers article")
    drop(page, images / "red" / "0.png")
    pick(page, "Shades")
    open_settings(page)
    page.locator("#use-heat input").check()
    expect(answers.locator("img")).to_have_count(1)
    page.reload()
    expect(answers.locator("ol li").first).to_contain_text("red")
    expect(answers.locator("img")).to_have_count(1)
    expect(page.locator("#use-heat input")).to_be_checked()
    expect(page.locator("#use-image img")).to_be_visible()
    page.locator("#use-image").get_by_role("button", name="Remove Image").click()
    expect(answers).to_have_count(0)
    page.reload()
    expect(page.locator("#use-heat input")).to_be_checked()
    expect(page.locator("#use-image img")).to_have_count(0)
    expect(page).to_have_url(re.compile("task=shades"))
    other = visit(page.url)
    expect(other.locator("#use-tasks .token")).to_contain_text("Shades")
    expect(other.locator("#use-heat input")).not_to_be_checked()


def test_an_image_that_the_server_deleted_is_not_asked_about_after_a_reload(
    page: Page, app: AppProcess, images: Path
) -> None:
    drop(page, images / "green" / "1.png")
    pick(page, "Shades")
    expect(page.locator("#use-answers article")).to_have_count(1)
    (uploaded,) = app.home.with_name("gradio").rglob("1.png")
    uploaded.unlink()
    page.reload()
    expect(page.locator("#use-tasks .token")).to_contain_text("Shades")
    expect(page.locator("#use-answers")).to_contain_text("Drop an image")
    expect(page.locator("#use-image img")).to_have_count(0)
    expect(page.locator(".toast-body")).to_have_count(0)


def test_a_page_that_loses_its_network_for_a_while_keeps_what_is_on_it(page: Page, images: Path) -> None:
    drop(page, images / "red" / "0.png")
    pick(page, "Shades")
    expect(page.locator("#use-answers article")).to_have_count(1)
    page.context.set_offline(True)
    page.wait_for_timeout(1.5 * LOOK_MILLISECONDS)
    with page.expect_request(lambda one: "/gradio_api/run/predict" in one.url):  # the next look
        page.context.set_offline(False)
    page.wait_for_timeout(1.5 * LOOK_MILLISECONDS)
    expect(page.locator("#use-answers article")).to_have_count(1)
    expect(page.locator(".toast-wrap")).not_to_contain_text("Connection")


def test_what_is_pinned_keeps_its_place_whichever_tab_a_link_opens(page: Page, app: AppProcess) -> None:
    chips = page.locator("#use-quick label")
    chips.first.wait_for()
    names = [name.strip() for name in chips.all_text_contents()]
    chips.last.click()
    open_settings(page)
    page.locator("#use-pin").click()
    expect(chips.last).to_have_text(f"{names[-1]} ★")
    page.goto(f"{app.url}?tab=catalog")
    open_tab(page, "Use")
    expect(chips).to_have_text([*names[:-1], f"{names[-1]} ★"])


def test_the_description_of_the_page_is_not_watched_for_changes(page: Page) -> None:
    lists = "[gradio_config.dependencies, gradio_config.components]"
    assert page.evaluate(f"{lists}.every(one => one.length > 100 && one.constructor === Array)")
    assert page.evaluate(f"{lists}.every(one => Object.getPrototypeOf(one) !== Array.prototype)")


def test_what_the_keyboard_picks_and_lets_go_is_answered_at_once(page: Page, images: Path) -> None:
    answers, tasks = page.locator("#use-answers article"), page.locator("#use-tasks")
    chips = page.locator("#use-quick input:checked")
    drop(page, images / "red" / "0.png")
    expect(page.locator("#use-answers")).to_contain_text("Select a task")
    search = tasks.locator("input")
    for typed, found in (("shade", "shades@1"), ("green", "green"), ("shades@1", "shades@1")):
        search.click()
        page.keyboard.type(typed, delay=50)
        expect(tasks.locator("li.active")).to_contain_text(typed, ignore_case=True)
        page.keyboard.press("Enter")
        expect(answers).to_have_count(1)
        expect(answers.first).to_contain_text(found)
        expect(chips).to_have_count(1)
        page.keyboard.press("Backspace")
        expect(answers).to_have_count(0)
        expect(chips).to_have_count(0)
    page.keyboard.type("nothing like it")
    page.keyboard.press("Enter")
    expect(search).to_have_value("nothing like it")
    page.locator("h1").click()
    expect(search).to_have_value("")
    expect(tasks.locator(".token")).to_have_count(0)
    pick(page, "Shades")
    expect(answers).to_have_count(1)
    tasks.get_by_role("button", name="Clear").click()
    expect(answers).to_have_count(0)


def test_picks_as_fast_as_a_page_hears_them_are_all_kept_and_answered(page: Page, images: Path) -> None:
    chip = page.locator("#use-quick label", has_text="Shades").locator("input")
    tokens, answers = page.locator("#use-tasks .token"), page.locator("#use-answers article")
    drop(page, images / "red" / "0.png")
    expect(page.locator("#use-answers")).to_contain_text("Select a task")
    for picked in (1, 0, 1):
        for _ in range(5):
            chip.evaluate("chip => chip.click()")
        expect(tokens).to_have_count(picked)
        expect(answers).to_have_count(picked)
        drop(page, images / "green" / f"{picked}.png")
    expect(answers.first.locator("ol li").first).to_contain_text("green")


def test_a_question_that_is_lost_or_refused_is_told_and_the_next_one_answered(
    page: Page, images: Path
) -> None:
    chip = page.locator("#use-quick label", has_text="Shades").locator("input")
    answers, asked = page.locator("#use-answers"), re.compile("/run/answers")
    drop(page, images / "red" / "0.png")
    expect(answers).to_contain_text("Select a task")
    page.route(asked, lambda route: route.abort())
    chip.check()
    expect(answers.get_by_role("alert")).to_contain_text("Cannot reach the server")
    page.unroute(asked)
    for status, told in ((401, "signed out"), (500, "Something went wrong")):
        page.route(asked, lambda route, _request, status=status: route.fulfill(status=status))
        chip.set_checked(status == 500)
        expect(answers.get_by_role("alert")).to_contain_text(told)
        page.unroute(asked)
    open_settings(page)
    page.locator("#use-top-k input[type=number]").fill("1")
    expect(answers.locator("article ol li")).to_contain_text(["red"])
    expect(answers).not_to_have_attribute("aria-busy", "true")


def test_a_link_to_a_task_that_never_was_says_so(visit: Visit, app: AppProcess, images: Path) -> None:
    page = visit(f"{app.url}?task=shade,shades@1")
    expect(page.locator("#use-tasks .token")).to_have_text(["shade", "Shades · v1"])
    drop(page, images / "red" / "0.png")
    answers = page.locator("#use-answers article")
    expect(answers.nth(0)).to_contain_text("no adapter")
    expect(answers.nth(1).locator("ol li").first).to_contain_text("red")


def test_a_link_to_an_answer_names_its_version_and_opens_with_it(
    page: Page, visit: Visit, images: Path
) -> None:
    drop(page, images / "green" / "0.png")
    pick(page, "Shades")
    expect(page.locator("#use-answers ol li").first).to_contain_text("green")
    page.locator("#use-share button").first.click()
    link = page.locator("#use-link input, #use-link textarea").first
    expect(link).to_have_value(re.compile("task=shades@1"))
    other = visit(link.input_value())
    expect(other.locator("#use-tasks .token")).to_have_text("Shades · v1")
    chip = other.locator("#use-quick label", has_text="Shades").locator("input")
    expect(chip).to_be_checked()
    drop(other, images / "red" / "0.png")
    expect(other.locator("#use-answers article")).to_contain_text("shades@1")
    chip.uncheck()
    expect(other.locator("#use-answers article")).to_have_count(0)


def test_many_images_become_a_table_and_a_csv(page: Page, images: Path, tmp_path: Path) -> None:
    archive = tmp_path / "many.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in sorted(images.rglob("*.png")):
            packed.write(file, f"{file.parent.name}-{file.name}")
        packed.writestr("broken.png", b"no image")
    pick(page, "Shades")
    page.locator("#use-many button").first.click()
    page.locator("#use-many-files input[type=file]").set_input_files(archive)
    page.locator("#use-many-go").click()
    expect(page.locator("#use-many-table")).to_contain_text("red-0.png")
    with page.expect_download() as download:
        page.locator("#use-many-csv").click()
    rows = list(csv.DictReader(download.value.path().read_text(encoding="utf-8").splitlines()))
    best = {row["image"].rpartition("/")[2]: row["label"] for row in rows if row["rank"] == "1"}
    assert (best["red-0.png"], best["green-1.png"]) == ("red", "green")
    assert any("broken.png" in row["image"] for row in rows)


def test_labels_follow_the_keyboard_and_any_number(page: Page, images: Path) -> None:
    drop(page, images / "red" / "0.png")
    pick(page, "Shades")
    labels, number = page.locator("#use-answers ol li"), page.locator("#use-top-k input[type=number]")
    open_settings(page)
    expect(labels).to_have_count(2)
    slider = page.locator("#use-top-k input[type=range]")
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    expect(labels).to_have_count(1)
    for typed, shown in (("99", 2), ("-3", 1), ("", 1)):
        number.fill(typed)
        number.blur()
        expect(labels).to_have_count(shown)
        expect(page.locator("#use-answers")).not_to_contain_text("cannot be read")


def test_words_that_are_pasted_find_tasks(page: Page) -> None:
    page.locator("#use-tasks input").click()
    page.keyboard.insert_text("green")
    expect(page.get_by_role("option", name=re.compile("Shades.*green"))).to_be_visible()


def test_a_run_leads_to_its_result_and_to_its_version(app: AppProcess, page: Page, visit: Visit) -> None:
    open_tab(page, "Runs")
    page.locator("#runs-table").get_by_role("link", name="Shades").click()
    expect(page.locator("#runs-plot .hover_marks path")).not_to_have_count(0)
    expect(page).to_have_url(re.compile("run=[0-9a-f]{32}"))
    page.reload()
    open_tab(page, "Runs")
    expect(page.locator("#runs-progress")).to_contain_text("Shades")
    page.locator("#runs-result").click()
    expect(page.locator("#train-result")).to_contain_text("shades@1")
    open_tab(page, "Runs")
    page.locator("#runs-catalog").click()
    expect(page.locator("#catalog-head")).to_contain_text("shades@1")
    expect(page).to_have_url(re.compile("adapter=shades"))
    page.locator("#catalog-parts").get_by_role("tab", name="Details").click()
    made = page.get_by_role("link", name="Training run").get_attribute("href")
    expect(visit(f"{app.url}{made}").locator("#runs-progress")).to_contain_text("Shades")
