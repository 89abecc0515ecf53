"""The first sight of Use: an image with its answers, examples, the live camera, what an answer leads to."""

from __future__ import annotations

import re

import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Request, expect

from tests.browser.conftest import Visit
from tests.ui.conftest import RunningApp

PHONE = 390


@pytest.fixture
def page(visit: Visit, fitting_app: RunningApp) -> Page:
    return visit(fitting_app.url)


def answers(page: Page) -> Locator:
    return page.locator("#use-answers article")


@pytest.mark.parametrize(("width", "height"), [(1280, 900), (PHONE, 844)])
def test_the_page_opens_with_an_image_and_answers_in_view(
    visit: Visit, fitting_app: RunningApp, width: int, height: int
) -> None:
    page = visit(fitting_app.url, width=width)
    page.set_viewport_size({"width": width, "height": height})
    expect(answers(page)).to_have_count(2)
    expect(page.locator("#use-image img")).to_be_visible()
    expect(page.locator("#use-quick label:has(:checked)")).to_have_count(2)
    for box in (page.locator("#use-image").bounding_box(), answers(page).last.bounding_box()):
        assert box is not None
        assert box["y"] + box["height"] <= height
    settings, last = page.locator("#use-settings").bounding_box(), answers(page).last.bounding_box()
    assert settings is not None
    assert last is not None
    assert settings["y"] >= last["y"] + last["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_example_brings_its_tasks_and_a_reload_keeps_both(page: Page) -> None:
    expect(answers(page)).to_have_count(2)
    page.locator("#use-examples button", has_text="Digit").click()
    expect(answers(page)).to_have_count(1)
    expect(answers(page).locator("h2")).to_have_text("Handwritten-Digits")
    expect(page).to_have_url(re.compile(r"task=handwritten-digits$"))
    shown = page.locator("#use-image img").get_attribute("src")
    page.reload()
    expect(answers(page).locator("h2")).to_have_text("Handwritten-Digits")
    expect(page.locator("#use-image img")).to_have_attribute("src", shown or "")


def test_a_link_to_a_task_opens_with_an_example_that_fits_it(visit: Visit, fitting_app: RunningApp) -> None:
    page = visit(f"{fitting_app.url}?task=handwritten-digits@1")
    expect(answers(page).locator("h2")).to_have_text("Handwritten-Digits")
    expect(page.locator("#use-image img")).to_be_visible()


def test_an_image_that_was_given_is_never_replaced_by_the_first_example(
    page: Page, fitting_app: RunningApp
) -> None:
    expect(answers(page)).to_have_count(2)
    given = fitting_app.images / "one.png"
    Image.new("RGB", (80, 60), "red").save(given)
    page.locator("#use-image input[type=file]").first.set_input_files(given)
    expect(page.locator("#use-image img")).to_have_attribute("src", re.compile("one.png"))
    page.reload()
    expect(answers(page)).to_have_count(2)
    expect(page.locator("#use-image img")).to_have_attribute("src", re.compile("one.png"))
    page.goto(f"{fitting_app.url}?tab=use")  # a link without tasks leaves those of the image
    expect(answers(page)).to_have_count(2)
    expect(page.locator("#use-image img")).to_have_attribute("src", re.compile("one.png"))


def test_the_live_camera_is_answered_one_frame_at_a_time_until_it_is_frozen(page: Page) -> None:
    expect(answers(page)).to_have_count(2)
    underway, most, frames = set[Request](), 0, 0

    def begin(request: Request) -> None:
        nonlocal most, frames
        if "/run/answers" in request.url:
            underway.add(request)
            most = max(most, len(underway))
            frames += '\\"frame\\"' in (request.post_data or "")

    page.on("request", begin)
    page.on("requestfinished", lambda request: underway.discard(request))
    page.get_by_role("button", name="Live camera").click()
    expect(page.locator("#use-camera video")).to_be_visible()
    page.wait_for_function("document.querySelector('#use-camera video').currentTime > 1")
    for _ in range(100):
        if frames >= 5:
            break
        page.wait_for_timeout(100)
    assert frames >= 5
    assert most == 1
    expect(answers(page)).to_have_count(2)
    page.keyboard.press("3")
    expect(answers(page)).to_have_count(3)
    page.get_by_role("button", name="Freeze").click()
    expect(page.locator("#use-camera video")).to_be_hidden()
    expect(page.locator("#use-image img")).to_have_attribute("src", re.compile("camera.jpg"))
    expect(page.get_by_role("button", name="Live camera")).to_be_focused()
    page.wait_for_timeout(500)
    before = frames
    page.wait_for_timeout(1000)
    assert frames == before
    expect(answers(page)).to_have_count(3)


def test_a_camera_that_the_browser_blocks_is_told_and_what_is_there_stays(page: Page) -> None:
    expect(answers(page)).to_have_count(2)
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia ="
        " () => Promise.reject(new DOMException('', 'NotAllowedError')); }"
    )
    page.get_by_role("button", name="Live camera").click()
    expect(page.locator("#use-camera [role=alert]")).to_contain_text("The browser blocks the camera")
    expect(answers(page)).to_have_count(2)
    expect(page.locator("#use-camera video")).to_be_hidden()


def test_the_camera_asks_for_the_rear_lens(page: Page) -> None:
    expect(answers(page)).to_have_count(2)
    page.evaluate(
        "() => { window.wanted = []; const devices = navigator.mediaDevices;"
        " const ask = devices.getUserMedia.bind(devices);"
        " devices.getUserMedia = (one) => { wanted.push(one.video.facingMode); return ask(one); }; }"
    )
    page.get_by_role("button", name="Live camera").click()
    page.get_by_role("button", name="Switch camera").click()
    page.wait_for_function("wanted.length === 2")
    assert page.evaluate("wanted") == ["environment", "user"]


def test_the_menu_of_an_answer_opens_the_card_of_its_version_without_a_reload(page: Page) -> None:
    expect(answers(page)).to_have_count(2)
    expect(page.locator("#use-announced")).to_contain_text("Everyday-Objects:")  # the answers have settled
    page.evaluate("window.isSame = true")
    page.get_by_label("Actions for Everyday-Objects").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Open in Catalog")).to_have_count(0)
    page.get_by_label("Actions for Everyday-Objects").click()
    page.get_by_role("link", name="Open in Catalog").click()
    expect(page.get_by_role("tab", name="Catalog")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#catalog-head")).to_contain_text("everyday-objects@1")
    assert page.evaluate("window.isSame")


def test_the_tasks_that_fit_an_image_are_found_and_said(page: Page) -> None:
    expect(answers(page)).to_have_count(2)
    page.get_by_role("button", name="Which tasks fit this image?").click()
    expect(page.locator("#use-fits")).to_contain_text(re.compile("of 3 tasks"))


def test_answers_are_announced_in_an_element_that_stays(page: Page) -> None:
    expect(answers(page)).to_have_count(2)
    announced = page.locator("#use-announced")
    expect(announced).to_contain_text("Everyday-Objects:")
    announced.evaluate("element => { element.isSame = true }")
    page.locator("#use-examples button", has_text="Digit").click()
    expect(announced).to_contain_text("Handwritten-Digits:")
    expect(announced).not_to_contain_text("Everyday-Objects:")
    assert announced.evaluate("element => element.isSame")


def test_on_a_phone_an_answer_is_one_line_until_it_is_tapped_and_the_tabs_are_below(
    visit: Visit, fitting_app: RunningApp
) -> None:
    page = visit(fitting_app.url, width=PHONE)
    card = answers(page).first
    card.wait_for()
    box = card.bounding_box()
    assert box is not None
    assert box["height"] < 64
    expect(card.locator("ol li").last).to_be_hidden()
    card.locator(".lv-more-labels").click()
    expect(card.locator("ol li").last).to_be_visible()
    for name in ("Use", "Train", "Catalog", "Runs"):
        tab = page.get_by_role("tab", name=name, exact=True).first
        place = tab.bounding_box()
        assert place is not None
        assert place["y"] > 800
        assert place["height"] >= 44
        tab.click()
        expect(tab).to_have_attribute("aria-selected", "true")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_an_image_that_the_browser_cannot_show_is_told_in_its_place(
    page: Page, fitting_app: RunningApp
) -> None:
    expect(answers(page)).to_have_count(2)
    hidden = fitting_app.images / "scan.tiff"
    Image.new("RGB", (80, 60), "red").save(hidden)
    page.locator("#use-image input[type=file]").first.set_input_files(hidden)
    box = page.locator("#use-image")
    expect(box).to_have_attribute("data-hidden", "This browser cannot show the image.")
    expect(box.locator("img")).to_have_css("visibility", "hidden")
    expect(answers(page)).to_have_count(2)  # the app can read it
    page.locator("#use-examples button", has_text="Cat").click()
    expect(box).not_to_have_attribute("data-hidden", re.compile("."))
