"""How much of the data folder a demo's visitors may fill, counted before and while they do."""

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
from loravit_web.datasets import DatasetStore, Giver
from loravit_web.datasets.allowances import Allowances, AllowanceUsed
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.modes import DemoRules
from tests.conftest import make_colours

RULES = DemoRules(training=True, datasets=3, mib=0.08, total_mib=0.2)
"""Of the pictures of these tests some 3 kB each."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, mode="demo", demo=RULES)


Import = Callable[..., Any]


@pytest.fixture
def give(service: Service, tmp_path: Path) -> Import:
    """Imports so many pictures as a visitor, other ones for each number of them."""

    def give(name: str, per_class: int, *, source: str | None = None) -> Any:
        visitor = Actions(service, guest(name, training=True, source=source))
        return visitor.import_dataset(make_colours(tmp_path / f"{name}-{per_class}", per_class=per_class))

    return give


def left_over(service: Service) -> list[str]:
    return [path.name for path in service.datasets.root.glob(".*")]


def test_one_visitor_fills_only_so_much_and_others_still_have_room(give: Import, service: Service) -> None:
    give("guest-1", 8)
    with pytest.raises(AllowanceUsed, match=r"keeps 0\.08 MiB of images of each visitor"):
        give("guest-1", 9)
    assert left_over(service) == []
    assert len(service.datasets.list()) == 1
    give("guest-2", 8)


def test_a_new_name_is_no_new_room(give: Import) -> None:
    give("guest-1", 8, source="10.0.0.1")
    with pytest.raises(AllowanceUsed, match="of each visitor"):
        give("guest-2", 9, source="10.0.0.1")


def test_all_visitors_together_fill_only_so_much(give: Import) -> None:
    for number in range(4):
        give(f"guest-{number}", 8)
    with pytest.raises(AllowanceUsed, match="as many images as it can keep"):
        give("guest-9", 8)


def test_a_visitor_keeps_so_many_datasets_corrected_ones_too(give: Import, service: Service) -> None:
    dataset = give("guest-1", 3)
    visitor = Actions(service, guest("guest-1", training=True))
    items = [(item.sha256, item.label) for item in dataset.items]
    for key in items[:2]:
        visitor.correct(dataset.fingerprint, {key: None})
    with pytest.raises(AllowanceUsed, match="keeps 3 datasets of each visitor"):
        visitor.correct(dataset.fingerprint, {items[2]: None})
    with pytest.raises(AllowanceUsed, match="keeps 3 datasets"):
        give("guest-1", 4)


def test_the_app_itself_is_not_counted(service: Service, give: Import, tmp_path: Path) -> None:
    service.datasets.import_source(make_colours(tmp_path / "large", per_class=60))
    give("guest-1", 8)


def test_imports_at_one_moment_count_each_other(tmp_path: Path) -> None:
    allowances = Allowances(DatasetStore(tmp_path), replace(RULES, mib=1.0, total_mib=3.0))
    start = threading.Barrier(8)

    def take(number: int) -> int:
        kept = 0
        try:
            with allowances.importing(Giver(f"guest-{number % 2}", f"{number % 2}")) as spend:
                start.wait()  # nothing lies on the disk here, so all must have begun before one ends
                for _ in range(10):
                    spend(100_000)
                    kept += 100_000
        except AllowanceUsed:
            return 0
        return kept

    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(take, range(8)))
    for visitor in (0, 1):
        assert sum(kept[visitor::2]) <= 1.0 * 1024**2


def test_what_has_just_been_stored_counts_for_who_began_before(tmp_path: Path) -> None:
    allowances = Allowances(DatasetStore(tmp_path), replace(RULES, mib=1.0, total_mib=3.0))
    first, second = Giver("guest-1", "a"), Giver("guest-2", "a")
    with allowances.importing(first) as slow:
        with allowances.importing(second) as fast:
            fast(600_000)
        with pytest.raises(AllowanceUsed):
            slow(600_000)


def test_a_list_of_files_that_are_no_images_fills_nothing(service: Service, tmp_path: Path) -> None:
    """The names of what is skipped are kept, and count."""
    folder = make_colours(tmp_path / "named", per_class=3)
    for number in range(2000):
        (folder / "red" / f"{number:0>200}.txt").touch()
    with pytest.raises(AllowanceUsed, match="of each visitor"):
        Actions(service, guest("guest-1", training=True)).import_dataset(folder)
    assert service.datasets.list() == left_over(service) == []
