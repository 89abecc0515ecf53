"""A person chooses a base that their team stored, and trains on it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import expect

from loravit_web.access.rights import LOCAL
from loravit_web.actions import Actions
from loravit_web.catalog import hub_presence
from tests.backbones.test_weights_file import base_of, random_model
from tests.browser.conftest import Visit
from tests.browser.test_journey import give
from tests.conftest import ColourFolders
from tests.ui.conftest import RunningApp

SMALL = {"image-size": "32", "blocks": "1", "epochs": "1", "min-steps": "0", "batch-size": "8"}


def test_a_stored_base_is_chosen_and_trained_on_while_the_hub_is_out_of_reach(
    empty_app: RunningApp,
    visit: Visit,
    colour_folders: ColourFolders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("loravit_web.visibility.is_cached", lambda _name: False)
    service = empty_app.service
    service.hub = hub_presence.HubPresence(lambda: "The Hub is out of reach.")
    Actions(service, LOCAL).add_base("team-vit", base_of(dict(random_model().state_dict())), license="MIT")
    root, data = colour_folders(), tmp_path / "paints.zip"
    with zipfile.ZipFile(data, "w") as archive:
        for file in root.rglob("*.png"):
            archive.write(file, file.relative_to(root))
    page = visit(empty_app.url)
    give(page, data)
    page.locator("#train-continue").click()
    page.locator("#train-advanced button").first.click()
    expect(page.locator("#train-base")).to_contain_text("The Hub is out of reach. Only bases at hand")
    page.locator("#train-base input").click()
    expect(page.get_by_role("option")).to_have_count(3)
    page.get_by_role("option", name="team-vit").click()
    expect(page.locator("#train-cost")).to_contain_text("This training runs on team-vit.")
    for setting, value in SMALL.items():
        page.locator(f"#train-{setting} input").fill(value)
    page.locator("#train-start").click()
    expect(page.locator("#train-progress")).to_contain_text("Paints")
    (run,) = service.registry.runs.list()
    assert run.base.name == "team-vit"
