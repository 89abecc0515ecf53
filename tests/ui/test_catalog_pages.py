"""The tab Catalog: pages of the table, and the search over them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from loravit_web.service import Service
from loravit_web.settings import Settings
from loravit_web.ui.catalog import COLUMNS, listed
from registry import NewBase, NewEvaluation, NewVersion
from tests.conftest import tiny_base


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    """A catalog of 60 adapters."""
    opened = Service(settings, load=lambda name, _folder, _progress: tiny_base(name=name))
    base = opened.registry.bases.ensure(NewBase("tiny", "a" * 64, "vit_tiny", 32, 3))
    for number in range(60):
        opened.registry.catalog.publish(
            NewVersion(
                slug=f"adapter-{number:02}",
                title=f"Adapter {number}",
                description="",
                run_id=None,
                base_id=base.id,
                dataset_id=None,
                adapter_type="LORA",
                n_params=10,
                image_size=32,
                class_names=("one", "two"),
                config={},
                files={"adapter_model.safetensors": b"weights"},
                evaluations=(NewEvaluation("test", 4, 0.75, 0.5, 0.5, 0.5),),
            ),
            actor="ann",
        )
    yield opened
    opened.close()


def test_the_table_holds_one_page_and_leads_to_the_next(service: Service) -> None:
    page, frame, found, previous, following = listed(service, "", 1)
    assert (page, len(frame), list(frame.columns)) == (1, 50, COLUMNS)
    assert "60 adapters, page 1 of 2." in found.value
    assert (previous.visible, following.visible) == (False, True)
    page, frame, _found, previous, following = listed(service, "", 2)
    assert (page, list(frame["Task"])[-1]) == (2, "adapter-59")
    assert (previous.visible, following.visible) == (True, False)


def test_a_row_tells_the_accuracy_with_its_split(service: Service) -> None:
    row = listed(service, "", 1)[1].iloc[0]
    assert (row["Accuracy"], row["Linear probe"], row["Base"]) == ("75.0% (test)", "50.0%", "tiny")


def test_a_search_finds_adapters_of_every_page(service: Service) -> None:
    page, frame, found, _previous, following = listed(service, "ADAPTER-57", 1)
    assert (page, list(frame["Task"])) == (1, ["adapter-57"])
    assert "1 adapter." in found.value
    assert following.visible is False


def test_a_page_that_is_no_longer_there_becomes_the_last_one(service: Service) -> None:
    assert listed(service, "", 9)[0] == 2
    page, frame, found, *_ = listed(service, "xyzzy", 2)
    assert (page, len(frame)) == (1, 0)
    assert "0 adapters." in found.value
    assert listed(service, None, 0)[0] == 1
