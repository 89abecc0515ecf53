"""The card of a version on the page."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import httpx

from loravit_web.adapters.bundles import read_bundle_file
from loravit_web.ui.catalog import _shown
from loravit_web.ui.markup import version_card
from loravit_web.ui.served import bundle_file, picture_link
from tests.ui.conftest import RunningApp


def test_the_thumbnail_is_a_picture_that_the_app_serves(running_app: RunningApp) -> None:
    service = running_app.service
    version = service.registry.catalog.resolve("colours")
    html = _shown(service, version)[1]
    found = re.search('<img class="lv-thumbnail" src="([^"]+)" alt="([^"]+)">', html)
    assert found is not None
    assert found[2] == "One training image each of green, red"
    answer = httpx.get(f"{running_app.url}{unescape(found[1])}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.content == service.thumbnail(version)
    bundle = read_bundle_file(Path(bundle_file(service, version)))
    assert bundle.files == service.registry.catalog.read_files(version)


def test_a_version_without_a_thumbnail_has_a_card_without_a_picture(running_app: RunningApp) -> None:
    service = running_app.service
    version = service.registry.catalog.resolve("colours")
    bare = replace(version, files=tuple(file for file in version.files if "thumbnail" not in file.path))
    assert picture_link(service, bare) is None
    assert "<img" not in version_card(bare, [bare])


def test_class_names_can_not_leave_the_text_of_the_picture(running_app: RunningApp) -> None:
    version = running_app.service.registry.catalog.resolve("colours")
    hostile = replace(version, class_names=('"><script>alert(1)</script>', "red"))
    html = version_card(hostile, [hostile], 'x" onerror="alert(1)')
    assert "<script>" not in html
    assert 'onerror="' not in html
