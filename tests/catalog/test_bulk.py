"""Changes of several adapters are said before they are made, and made for all of them or none."""

from __future__ import annotations

import pytest

from loravit_web.access.rights import LOCAL, NotAllowed, member
from loravit_web.actions import Actions
from loravit_web.catalog.bulk import BulkChange, NothingSelected, archiving, carry_out_bulk
from loravit_web.service import Service
from tests.ui.catalog.catalog_page import publish


@pytest.fixture
def pets(service: Service) -> Service:
    publish(service, "cats", actor="bob")
    publish(service, "dogs")
    return service


def test_archiving_names_the_adapters_and_counts_them(pets: Service) -> None:
    plan = archiving(pets.registry, ("cats", "dogs"))
    assert plan.consequences[0].startswith("Cats and Dogs disappear from the list of tasks")
    assert (plan.confirm, plan.note) == (
        "Archive 2 adapters",
        "Together they have received 0 requests so far.",
    )
    with pytest.raises(NothingSelected):
        archiving(pets.registry, ())


def test_tags_are_added_to_all_and_an_invalid_one_to_none(pets: Service) -> None:
    actions = Actions(pets, LOCAL)
    said = carry_out_bulk(actions, pets.registry, BulkChange("tag", ("cats", "dogs"), ("fur", "small")))
    assert said == "2 adapters now have #fur and #small."
    assert pets.registry.catalog.adapter("dogs").tags == ("fur", "small")
    with pytest.raises(NothingSelected, match="enter a tag"):
        carry_out_bulk(actions, pets.registry, BulkChange("tag", ("cats",)))


def test_an_editor_archives_none_if_one_belongs_to_another_user(pets: Service) -> None:
    with pytest.raises(NotAllowed, match="Dogs belongs to ann"):
        carry_out_bulk(
            Actions(pets, member("bob", "editor")), pets.registry, BulkChange("archive", ("cats", "dogs"))
        )
    assert pets.registry.catalog.adapter("cats").archived_at is None
