"""The Catalog tab in a running app: what a browser and a program can fetch of it."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import httpx

from loravit_web.adapters.files.bundle import read_bundle_file
from loravit_web.catalog.facts import read_facts
from loravit_web.ui.catalog.card import head_html, results_html
from loravit_web.ui.kit.served import bundle_file, thumbnail_link
from tests.ui.conftest import RunningApp


def test_the_card_of_a_trained_version_has_its_thumbnail_results_and_curves(running_app: RunningApp) -> None:
    seen = running_app.seen
    facts = read_facts(seen.registry, seen.predictor, "colours")
    html = head_html(facts, thumbnail_link(seen, facts.version))
    found = re.search('<img class="lv-thumbnail" src="([^"]+)" alt="([^"]+)">', html)
    assert found is not None
    assert found[2] == "One training image each of green, red"
    answer = httpx.get(f"{running_app.url}{unescape(found[1])}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/webp")
    assert answer.content == seen.thumbnail(facts.version)

    results = results_html(facts)
    assert "Per-class metrics (test images)" in results
    assert ">Probe<" in results
    assert facts.run is not None
    assert facts.lineage.dataset is not None

    bundle = read_bundle_file(Path(bundle_file(seen, facts.version)))
    assert bundle.files == seen.registry.catalog.read_files(facts.version)
