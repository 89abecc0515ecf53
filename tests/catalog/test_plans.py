"""The effect of a change is told before the change, and so is what cannot be done."""

from __future__ import annotations

import pytest

from loravit_web.access.rights import LOCAL, NotAllowed, member
from loravit_web.actions import Actions
from loravit_web.catalog.plans import CatalogChange, ReasonMissing, carry_out, plan_of
from loravit_web.service import Service
from registry import (
    InvalidAlias,
    NothingToRollBack,
    UsageCount,
    VersionInUse,
    VersionWasNamed,
    VersionWithdrawn,
    utc_now,
)
from tests.ui.catalog.catalog_page import publish


@pytest.fixture
def cats(service: Service) -> Service:
    """`cats`, versions 1 and 2, the first in production."""
    publish(service, "cats", "first")
    publish(service, "cats", "second")
    service.registry.aliases.promote("cats@1", "production", actor="ann")
    return service


def test_only_what_others_would_notice_is_asked_twice(cats: Service) -> None:
    harmless = {
        ("promote", "staging"): True,
        ("promote", "production"): False,
        ("archive", ""): False,
        ("restore", ""): True,
    }
    for (kind, alias), expected in harmless.items():
        change = CatalogChange(kind, "cats@2", alias, "")  # type: ignore[arg-type]  # the kinds above
        assert plan_of(cats.registry, change).harmless is expected, kind


def test_the_same_change_gives_another_plan_once_something_came_between(cats: Service) -> None:
    change = CatalogChange("promote", "cats@2", "production")
    before = plan_of(cats.registry, change)
    assert plan_of(cats.registry, change) == before
    publish(cats, "cats", "third")
    assert plan_of(cats.registry, change) == before
    cats.registry.aliases.promote("cats@3", "production", actor="bob")
    assert plan_of(cats.registry, change) != before


def test_being_asked_meanwhile_is_told_but_changes_no_plan(cats: Service) -> None:
    change = CatalogChange("archive", "cats@2")
    before = plan_of(cats.registry, change)
    asked = cats.registry.catalog.resolve("cats@2")
    cats.registry.usage.add([UsageCount(asked.id, utc_now(), 3, 0, 30.0, 12.0)])
    after = plan_of(cats.registry, change)
    assert (before.note, after.note) == (
        "The adapter has received 0 requests so far.",
        "The adapter has received 3 requests so far.",
    )
    assert before == after


def test_the_last_version_leaves_every_list_when_it_is_withdrawn(cats: Service) -> None:
    cats.registry.aliases.remove("cats", "production", actor="ann")
    plan = plan_of(cats.registry, CatalogChange("withdraw", "cats@2", reason="bad"))
    assert "cats without a version then means version 1." in plan.consequences
    carry_out(Actions(cats, LOCAL), plan.change)
    assert "No other version is left" in " ".join(
        plan_of(cats.registry, CatalogChange("withdraw", "cats@1", reason="bad")).consequences
    )


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (CatalogChange("promote", "cats@2", "Not Good"), InvalidAlias),
        (CatalogChange("rollback", "cats@2", "production"), NothingToRollBack),
        (CatalogChange("withdraw", "cats@1", reason="bad"), VersionInUse),
        (CatalogChange("withdraw", "cats@2", reason="  "), ReasonMissing),
        (CatalogChange("delete", "cats@1"), VersionWasNamed),
    ],
)
def test_what_can_not_be_done_is_refused_before_anybody_is_asked(
    cats: Service, change: CatalogChange, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        plan_of(cats.registry, change)


def test_a_plan_gives_nobody_a_right(cats: Service) -> None:
    plan = plan_of(cats.registry, CatalogChange("archive", "cats@2"))
    with pytest.raises(NotAllowed, match="belongs to ann"):
        carry_out(Actions(cats, member("bob", "editor")), plan.change)
    assert cats.registry.catalog.adapter("cats").archived_at is None


def test_the_deletion_of_a_version_says_what_refers_to_it(cats: Service) -> None:
    asked = cats.registry.catalog.resolve("cats@2")
    cats.registry.usage.add([UsageCount(asked.id, utc_now(), 3, 0, 30.0, 12.0)])
    plan = plan_of(cats.registry, CatalogChange("delete", "cats@2"))
    assert not plan.harmless
    assert plan.consequences == (
        "cats@2 and its files are deleted. Its number is not used again.",
        "cats without a version then means version 1.",
        "Links and clients that name cats@2 get an error.",
        "This cannot be undone.",
    )
    assert plan.note == "Version 2 has received 3 requests so far."
    assert carry_out(Actions(cats, LOCAL), plan.change) == "cats@2 is deleted."


def test_only_an_admin_deletes_an_adapter(cats: Service) -> None:
    change = CatalogChange("delete_adapter", "cats@2")
    assert "Another adapter can then be published as cats." in plan_of(cats.registry, change).consequences
    with pytest.raises(NotAllowed, match="needs an admin"):
        carry_out(Actions(cats, member("ann", "editor")), change)
    assert carry_out(Actions(cats, LOCAL), change) == "cats is deleted."


def test_a_withdrawn_version_can_not_be_promoted(cats: Service) -> None:
    cats.registry.catalog.withdraw("cats", 2, "bad", actor="ann")
    with pytest.raises(VersionWithdrawn):
        carry_out(Actions(cats, LOCAL), CatalogChange("promote", "cats@2", "staging"))
