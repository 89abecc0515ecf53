"""Limits on what visitors of a demo store are checked before and during imports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loravit_web.access.rights import guest
from loravit_web.actions import Actions
from loravit_web.datasets import DatasetStore, Uploader
from loravit_web.datasets.allowances import AllowanceExceeded, Allowances
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.modes import DemoRules
from tests.conftest import make_colours

RULES = DemoRules(training=True, datasets=3, mib=0.08, total_mib=0.2)
"""Limits for the images of these tests, about 3 kB each."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, mode="demo", demo=RULES)


Import = Callable[..., Any]


@pytest.fixture
def upload(service: Service, tmp_path: Path) -> Import:
    """Return a function that imports a number of images as a visitor, with other images for each number."""

    def upload(name: str, per_class: int, *, source: str | None = None) -> Any:
        visitor = Actions(service, guest(name, training=True, source=source))
        return visitor.import_dataset(make_colours(tmp_path / f"{name}-{per_class}", per_class=per_class))

    return upload


def remains(service: Service) -> list[str]:
    return [path.name for path in service.datasets.root.glob(".*")]


def test_a_visitor_at_the_limit_does_not_affect_others(upload: Import, service: Service) -> None:
    upload("guest-1", 8)
    with pytest.raises(
        AllowanceExceeded, match="These images exceed the 0.08 MiB that this demo stores per visitor"
    ):
        upload("guest-1", 9)
    assert remains(service) == []
    assert len(service.datasets.list()) == 1
    upload("guest-2", 8)


def test_a_new_name_does_not_reset_the_limit(upload: Import) -> None:
    upload("guest-1", 8, source="10.0.0.1")
    with pytest.raises(
        AllowanceExceeded, match="These images exceed the 0.08 MiB that this demo stores per visitor"
    ):
        upload("guest-2", 9, source="10.0.0.1")


def test_all_visitors_together_have_a_limit(upload: Import) -> None:
    for number in range(4):
        upload(f"guest-{number}", 8)
    with pytest.raises(AllowanceExceeded, match="The storage of this demo is full"):
        upload("guest-9", 8)


def test_the_number_of_datasets_is_limited_including_corrected_ones(upload: Import, service: Service) -> None:
    dataset = upload("guest-1", 3)
    visitor = Actions(service, guest("guest-1", training=True))
    items = [(item.sha256, item.label) for item in dataset.items]
    for key in items[:2]:
        visitor.correct(dataset.fingerprint, {key: None})
    with pytest.raises(AllowanceExceeded, match="You have the maximum of 3 datasets of this demo"):
        visitor.correct(dataset.fingerprint, {items[2]: None})
    with pytest.raises(AllowanceExceeded, match="maximum of 3 datasets"):
        upload("guest-1", 4)


def test_the_app_itself_is_not_counted(service: Service, upload: Import, tmp_path: Path) -> None:
    service.datasets.import_source(make_colours(tmp_path / "large", per_class=60))
    upload("guest-1", 8)


def test_concurrent_imports_are_counted_together(tmp_path: Path) -> None:
    allowances = Allowances(DatasetStore(tmp_path), replace(RULES, mib=1.0, total_mib=3.0))
    start = threading.Barrier(8)

    def import_images(number: int) -> int:
        kept = 0
        try:
            with allowances.importing(Uploader(f"guest-{number % 2}", f"{number % 2}")) as count:
                start.wait()  # nothing is stored here, so all must begin before one ends
                for _ in range(10):
                    count(100_000)
                    kept += 100_000
        except AllowanceExceeded:
            return 0
        return kept

    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(import_images, range(8)))
    for visitor in (0, 1):
        assert sum(kept[visitor::2]) <= 1.0 * 1024**2


def test_an_import_that_just_ended_counts_for_earlier_ones(tmp_path: Path) -> None:
    allowances = Allowances(DatasetStore(tmp_path), replace(RULES, mib=1.0, total_mib=3.0))
    first, second = Uploader("guest-1", "a"), Uploader("guest-2", "a")
    with allowances.importing(first) as slow:
        with allowances.importing(second) as fast:
            fast(600_000)
        with pytest.raises(AllowanceExceeded):
            slow(600_000)


def test_a_long_list_of_skipped_files_counts_against_the_limit(service: Service, tmp_path: Path) -> None:
    """The names of skipped files are stored, and count."""
    folder = make_colours(tmp_path / "named", per_class=3)
    for number in range(2000):
        (folder / "red" / f"{number:0>200}.txt").touch()
    with pytest.raises(
        AllowanceExceeded, match="These images exceed the 0.08 MiB that this demo stores per visitor"
    ):
        Actions(service, guest("guest-1", training=True)).import_dataset(folder)
    assert service.datasets.list() == remains(service) == []
