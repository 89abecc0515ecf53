"""In a browser the page works as well without any patch that makes Gradio faster."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import expect

from loravit_web.settings.environment import Settings
from loravit_web.ui.launch import App
from tests.browser.conftest import Visit
from tests.browser.test_journey import pick
from tests.browser.test_use import drop
from tests.conftest import make_colours, tiny_service


@pytest.fixture
def plain_url(tmp_path: Path, trained_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an app in this process without those patches, with the adapter ``colours@1``."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "gradio"))
    shutil.copytree(trained_home, tmp_path / "home")
    app = App.over(tiny_service(Settings(home=tmp_path / "home", base="tiny", plain_gradio=True)))
    with ThreadPoolExecutor(1) as elsewhere:  # Playwright runs the loop of this thread
        yield elsewhere.submit(app.launch, host="127.0.0.1", block=False).result()
    app.close()


def test_the_plain_page_answers_about_an_image_and_opens_the_tab_of_a_link(
    visit: Visit, plain_url: str, tmp_path: Path
) -> None:
    page = visit(plain_url)
    drop(page, make_colours(tmp_path / "colours", per_class=1) / "red" / "0.png")
    pick(page, "Colours")
    expect(page.locator("#use-answers article ol li").first).to_contain_text("red")
    linked = visit(f"{plain_url}?tab=catalog&adapter=colours@1")
    expect(linked.locator("#catalog-head")).to_contain_text("Colours")
    expect(linked.locator("#tabs [role=tab][aria-selected=true]").first).to_have_text(re.compile("Catalog"))
