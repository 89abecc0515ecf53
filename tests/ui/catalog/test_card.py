"""The card: everything of one version, kept in step, and every change in as many steps as it deserves."""

from __future__ import annotations

import json
import re
from typing import Any

import gradio as gr
import pytest

from loravit_web.access.rights import member
from loravit_web.training.files.reliability import Reliability
from loravit_web.ui.catalog.actions import imported_sentence
from registry import NewEvaluation, Thresholds, UnknownAdapter, UsageCount, utc_now
from tests.ui.catalog.catalog_page import CatalogPage, publish, request

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(catalog: CatalogPage) -> CatalogPage:
    """A catalog of `cats`, versions 1 and 2, the first in production."""
    elsewhere: Any = {"base": "elsewhere", "weights_sha256": "e" * 64}  # so nobody looks into the files
    publish(catalog.service, "cats", "first", config={"r": 4, "blocks": 2}, **elsewhere)
    publish(catalog.service, "cats", "second", config={"r": 8, "blocks": 2}, **elsewhere)
    catalog.service.registry.aliases.promote("cats@1", "production", actor="ann")
    return catalog


@pytest.fixture
def toasts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(gr, "Success", lambda text, **_: said.append(text))
    return said


def version_rows(page: CatalogPage) -> list[str]:
    """The rows of the table of versions, newest first."""
    return page.text(page.view.card.versions).partition("<tbody>")[2].split("<tr")[1:]


def chips(row: str) -> list[str]:
    return re.findall('<span class="lv-chip">([^<]*)</span>', row)


def signed_in(page: CatalogPage, monkeypatch: pytest.MonkeyPatch, name: str, role: Any) -> None:
    monkeypatch.setattr(page.service, "visitor", lambda _username: member(name, role))


def test_a_link_opens_the_card_of_exactly_that_version(page: CatalogPage) -> None:
    page.arrive(adapter="cats@1")
    card = page.view.card
    assert page.fields[card.ref] == "cats@1"
    newest, first = version_rows(page)
    assert "v2" in newest
    assert chips(newest) == ["latest"]
    assert chips(first) == ["production"]
    assert ["aria-current" in row for row in (newest, first)] == [False, True]
    assert page.text(card.link) == "http://127.0.0.1:7860/?tab=catalog&adapter=cats@1"
    assert page.text(card.share.link) == "http://127.0.0.1:7860/?tab=use&task=cats@1"
    assert "aria-current" in page.text(page.view.rows)


def test_a_link_to_what_is_not_there_says_so_and_shows_the_list(page: CatalogPage) -> None:
    page.arrive(adapter="cuts@7")
    assert "cuts" in page.text(page.view.card.message)
    assert 'data-slug="cats"' in page.text(page.view.rows)
    page.arrive(adapter="cats@7")
    assert "7" in page.text(page.view.card.message)
    assert "aria-current" not in page.text(page.view.rows)


def test_only_the_settings_that_differ_from_the_version_before_are_shown(page: CatalogPage) -> None:
    page.open("cats@2")
    origin = page.text(page.view.card.origin)
    assert '<th scope="row">adapter.r</th><td>4</td><td>8</td>' in origin
    assert "blocks" not in origin
    page.open("cats@1")
    assert "This is the first version" in page.text(page.view.card.origin)


def test_what_users_typed_is_text_on_the_card(page: CatalogPage) -> None:
    catalog = page.service.registry.catalog
    publish(page.service, "evil", title=EVIL, description=EVIL, class_names=(EVIL, "b"))
    catalog.withdraw("evil", 1, EVIL, actor=EVIL)
    page.open("evil@1")
    drawn = "".join(str(one.get("value")) for part, one in page.shown.items() if isinstance(part, gr.HTML))
    assert drawn.count("&lt;img") >= 4
    assert "<img" not in drawn


def test_a_withdrawn_version_can_be_looked_at_with_its_reason_but_not_tried(page: CatalogPage) -> None:
    page.service.registry.catalog.withdraw("cats", 2, "mislabelled", actor="ann")
    page.open("cats@2")
    card = page.view.card
    assert "Version 2 is withdrawn: mislabelled" in page.text(card.head)
    assert not page.can(card.try_it)
    assert not page.can(card.download)
    page.open("cats")
    assert page.fields[card.ref] == "cats@1"
    assert page.can(card.try_it)


def test_a_version_is_promoted_in_two_clicks_from_its_row(page: CatalogPage, toasts: list[str]) -> None:
    card, change, catalog = page.view.card, page.view.card.change, page.service.registry.catalog
    page.open("cats@1")
    page.press(card.versions, ref="cats@2")
    assert page.fields[change.alias] == "production"
    assert "cats@production moves from version 1 to version 2." in page.text(change.confirm.text)
    assert catalog.resolve("cats@production").version == 1
    page.press(change.confirm.no)
    assert page.shown[change.confirm.box]["visible"] is False
    page.press(card.versions, ref="cats@2")
    page.press(change.confirm.yes)
    assert catalog.resolve("cats@production").version == 2
    assert toasts == ["cats@production now points to version 2."]
    assert page.fields[card.ref] == "cats@1"
    assert [chips(row) for row in version_rows(page)] == [["latest", "production"], []]


def test_a_promotion_to_another_alias_asks_about_that_one(page: CatalogPage, toasts: list[str]) -> None:
    change = page.view.card.change
    page.open("cats@2")
    page.press(change.promote)
    page.type(change.alias, "staging")
    page.press(change.alias, "input")
    assert "cats@staging will point to version 2." in page.text(change.confirm.text)
    page.press(change.confirm.yes)
    assert toasts == ["cats@staging now points to version 2."]
    assert page.service.registry.catalog.resolve("cats@production").version == 1


def test_the_alias_offered_is_the_one_that_names_another_version_or_else_a_new_one(page: CatalogPage) -> None:
    card, change = page.view.card, page.view.card.change
    page.open("cats@2")
    for ref, alias in (("cats@2", "production"), ("cats@1", "staging")):
        page.press(card.versions, ref=ref)
        assert page.fields[change.alias] == alias
    page.service.registry.aliases.promote("cats@1", "beta", actor="ann")
    page.press(card.versions, ref="cats@2")
    assert page.fields[change.alias] == "production"
    assert page.shown[change.alias]["choices"] == ["beta", "production", "staging", "default"]


def test_a_row_of_the_table_has_accuracy_with_interval_age_and_requests(page: CatalogPage) -> None:
    version = page.service.registry.catalog.version("cats@1")
    page.service.registry.usage.add([UsageCount(version.id, utc_now(), 1234, 0, 30.0, 12.0)])
    page.open("cats@2")
    newest, first = version_rows(page)
    assert "75.0% (30–95)" in newest
    assert ">just now</time>" in newest
    assert '<td data-label="Requests">1,234</td>' in first


def test_a_promotion_to_a_less_accurate_version_says_by_how_much(page: CatalogPage) -> None:
    worse = (NewEvaluation("test", 4, 0.25, 0.5, 0.5),)
    publish(page.service, "cats", "third", evaluations=worse)
    page.open("cats@3")
    page.press(page.view.card.change.promote)
    asked = page.text(page.view.card.change.confirm.text)
    assert "Version 3 is 50.0 points less accurate on test images: 25.0% instead of 75.0%." in asked


def test_an_alias_is_rolled_back_from_its_row_in_two_clicks(page: CatalogPage, toasts: list[str]) -> None:
    change, aliases = page.view.card.change, page.service.registry.aliases
    aliases.promote("cats@2", "production", actor="ann")
    page.open("cats@2")
    assert 'data-alias="production"' in page.text(change.aliases)
    page.press(change.aliases, alias="production")
    assert "moves from version 2 back to version 1" in page.text(change.confirm.text)
    page.press(change.confirm.yes)
    assert toasts == ["cats@production points to version 1 again."]
    assert "rolled back by page" in page.text(change.aliases)


def test_two_versions_are_compared_in_place_and_a_third_replaces_the_earliest(page: CatalogPage) -> None:
    card = page.view.card
    publish(page.service, "cats", "third", config={"r": 16, "blocks": 2})
    page.open("cats@3")
    for ref in ("cats@3", "cats@1"):
        page.press(card.versions, "input", ref=ref, on=True)
    compared = page.text(card.compared)
    assert "v1 and v3 compared" in compared
    assert '<th scope="row">adapter.r</th><td>4</td><td>16</td>' in compared
    assert "It is not known whether both were evaluated on the same test images" in compared
    page.press(card.versions, "input", ref="cats@2", on=True)
    assert "v1 and v2 compared" in page.text(card.compared)
    assert page.text(card.versions).count(" checked") == 2
    page.open("cats@2")
    assert "v1 and v2 compared" in page.text(card.compared)
    page.press(card.versions, "input", ref="cats@2", on=False)
    assert page.text(card.compared) == ""
    publish(page.service, "dogs")
    page.open("dogs")
    assert page.fields[card.ticked] == []


def test_a_plan_that_somebody_overtook_is_asked_anew(page: CatalogPage, toasts: list[str]) -> None:
    change, registry = page.view.card.change, page.service.registry
    publish(page.service, "cats", "third")
    page.open("cats@2")
    page.press(change.promote)
    registry.aliases.promote("cats@3", "production", actor="bob")
    page.update(page.view.refreshed(page.fields, request()))
    assert "bob" in page.text(page.view.card.message)
    assert page.shown[change.confirm.box]["visible"]
    page.press(change.confirm.yes)
    assert "Another user changed it" in page.text(change.confirm.text)
    assert "moves from version 3" in page.text(change.confirm.text)
    assert (registry.catalog.resolve("cats@production").version, toasts) == (3, [])
    page.press(change.confirm.yes)
    assert registry.catalog.resolve("cats@production").version == 2


def test_a_withdrawal_needs_a_reason_no_alias_and_two_steps(page: CatalogPage, toasts: list[str]) -> None:
    change = page.view.card.change
    page.open("cats@1")
    page.type(change.reason, "bad data")
    with pytest.raises(gr.Error, match="production names it"):
        page.press(change.withdraw)
    page.open("cats@2")
    page.press(change.withdraw)
    assert page.shown[change.reason_told]["visible"]
    assert "Enter the reason" in page.text(change.reason_told)
    page.type(change.reason, "bad data")
    page.press(change.withdraw)
    assert not page.shown[change.reason_told]["visible"]
    asked = page.text(change.confirm.text)
    assert "No one will be able to use cats@2 again" in asked
    assert "cats without a version then means version 1" in asked
    assert page.service.registry.catalog.resolve("cats@2").version == 2
    page.press(change.confirm.yes)
    assert "Version 2 is withdrawn: bad data" in page.text(page.view.card.head)
    assert 'title="cats@1"' in page.text(page.view.rows)
    page.press(change.confirm.yes)  # a second click before the first one's answer
    assert toasts == ["cats@2 is withdrawn."]


def test_a_bundle_that_was_here_already_is_told_as_it_stands(page: CatalogPage) -> None:
    catalog = page.service.registry.catalog

    def told(ref: str) -> str:
        return imported_sentence(catalog.resolve(ref), catalog.adapter("cats"))

    assert "is in the catalog" in told("cats@2")
    catalog.archive("cats", actor="ann")
    assert told("cats@2") == "cats@2 already exists and is archived. Restore the adapter to use it."
    withdrawn = catalog.withdraw("cats", 2, "bad data", actor="ann")
    assert imported_sentence(withdrawn, catalog.adapter("cats")).endswith("is withdrawn: bad data")


def test_an_adapter_is_archived_in_two_steps_and_restored_in_one(
    page: CatalogPage, toasts: list[str]
) -> None:
    change = page.view.card.change
    page.open("cats")
    page.press(change.archive)
    page.press(change.confirm.yes)
    assert not page.can(page.view.card.try_it)
    assert "Archived" in page.text(page.view.card.head)
    assert "data-slug" not in page.text(page.view.rows)
    assert page.shown[change.restore]["visible"] is True
    page.press(change.restore)
    assert page.can(page.view.card.try_it)
    assert len(toasts) == 2


def test_a_version_without_an_alias_is_deleted_in_two_steps_and_the_newest_is_shown(
    page: CatalogPage, toasts: list[str]
) -> None:
    card, change = page.view.card, page.view.card.change
    page.open("cats@1")
    with pytest.raises(gr.Error, match="because production named it. Withdraw the version"):
        page.press(change.delete)
    page.open("cats@2")
    page.press(change.delete)
    asked = page.text(change.confirm.text)
    for sentence in (
        "Its number is not used again",
        "cats without a version then means version 1.",
        "Links and clients that name cats@2 get an error.",
        "has received 0 requests",
    ):
        assert sentence in asked
    page.press(change.confirm.yes)
    assert toasts == ["cats@2 is deleted."]
    assert page.fields[card.ref] == "cats@1"
    with pytest.raises(gr.Error, match="because production named it"):
        page.press(change.delete)


def test_an_admin_deletes_a_whole_adapter_in_two_steps(page: CatalogPage, toasts: list[str]) -> None:
    card, change = page.view.card, page.view.card.change
    page.open("cats")
    assert page.shown[change.delete_adapter]["visible"]
    page.press(change.delete_adapter)
    assert "is deleted with 2 versions, the alias production and its history." in page.text(
        change.confirm.text
    )
    page.press(change.confirm.yes)
    assert toasts == ["cats is deleted."]
    assert page.fields[card.ref] is None
    assert page.shown[card.body]["visible"] is False
    assert "The catalog is empty" in page.text(page.view.rows)
    with pytest.raises(UnknownAdapter):
        page.service.registry.catalog.adapter("cats")


def test_a_version_that_another_user_deleted_leaves_the_card(page: CatalogPage) -> None:
    page.open("cats@2")
    page.service.registry.deletions.delete_version("cats@2", actor="bob")
    page.update(page.view.refreshed(page.fields, request()))
    assert "cats" in page.text(page.view.card.message)
    assert page.shown[page.view.card.body]["visible"] is False


def test_texts_are_edited_in_place_and_only_what_changed_is_written(
    page: CatalogPage, toasts: list[str]
) -> None:
    change, catalog = page.view.card.change, page.service.registry.catalog
    page.open("cats")
    catalog.describe("cats", description="By somebody else", actor="bob")
    page.type(change.title, "All cats")
    page.type(change.tags, ["fur", "small"])
    page.press(change.save)
    adapter = catalog.adapter("cats")
    assert (adapter.title, adapter.description) == ("All cats", "By somebody else")
    assert adapter.tags == ("fur", "small")
    assert "All cats" in page.text(page.view.rows)


def test_thresholds_are_saved_beside_the_version_and_reset(page: CatalogPage, toasts: list[str]) -> None:
    change, catalog = page.view.card.change, page.service.registry.catalog
    page.open("cats@1")
    assert (page.fields[change.unlike], page.fields[change.unsure]) == (1.0, 0.5)
    assert not page.can(change.reset_thresholds)
    page.type(change.unlike, 1.5)
    page.press(change.set_thresholds)
    # the trained value is no change
    assert catalog.version("cats@1").thresholds == Thresholds(unlike=1.5, unsure=None)
    assert page.fields[change.unlike] == 1.5
    page.press(change.reset_thresholds)
    assert catalog.version("cats@1").thresholds == Thresholds()
    assert page.fields[change.unlike] == 1.0
    assert toasts == ["The thresholds of cats@1 are changed."] * 2


def test_a_threshold_that_cannot_be_used_is_refused(page: CatalogPage) -> None:
    change = page.view.card.change
    page.open("cats@1")
    for value, reason in ((500.0, "the threshold of unlike"), ("x", "“Unlike above” is not a number")):
        page.type(change.unlike, value)
        with pytest.raises(gr.Error, match=reason):
            page.press(change.set_thresholds)
    assert page.service.registry.catalog.version("cats@1").thresholds == Thresholds()


def test_a_threshold_that_is_typed_outlives_a_change_by_others(page: CatalogPage) -> None:
    change, registry = page.view.card.change, page.service.registry
    page.open("cats@1")
    page.type(change.unsure, 0.7)
    registry.thresholds.set("cats@1", Thresholds(unlike=3.0), actor="bob")
    page.update(page.view.refreshed(page.fields, request()))
    assert "bob changed the thresholds of a version" in page.text(page.view.card.message)
    assert page.fields[change.unsure] == 0.7


def test_a_version_without_figures_says_so_and_one_with_them_shows_them(page: CatalogPage) -> None:
    card = page.view.card
    page.open("cats@1")
    for part in (card.results, card.change.told):
        assert "no figures of how well it tells what it does not know" in page.text(part)
    values = Reliability((0.5, 1.5), (0.9, 0.9), (True, False)).as_json()
    task = json.dumps({"training": {"metrics": {"test": {"reliability": values}}}}).encode()
    publish(page.service, "dogs", files={"adapter_model.safetensors": b"dogs", "task.json": task})
    page.open("dogs@1")
    for part in (card.results, card.change.told):
        assert "1 of 2 (50.0 %) called unlike the training images." in page.text(part)


def test_a_text_that_somebody_else_changed_meanwhile_is_not_overwritten(page: CatalogPage) -> None:
    change = page.view.card.change
    page.open("cats")
    page.type(change.title, "My cats")
    page.service.registry.catalog.describe("cats", title="Your cats", actor="bob")
    with pytest.raises(gr.Error, match="to “Your cats”"):
        page.press(change.save)
    assert page.service.registry.catalog.adapter("cats").title == "Your cats"


def test_a_change_by_others_redraws_the_card_names_them_and_keeps_what_is_being_typed(
    page: CatalogPage,
) -> None:
    card = page.view.card
    page.open("cats@1")
    page.type(card.change.title, "Half a ti")
    page.service.registry.catalog.tag("cats", add=["new"], actor="bob")
    page.update(page.view.refreshed(page.fields, request()))
    assert "bob changed the tags" in page.text(card.message)
    assert "#new" in page.text(card.head)
    assert page.fields[card.change.title] == "Half a ti"
    assert page.fields[card.ref] == "cats@1"


def test_what_was_not_typed_into_follows_a_change_by_others_and_can_be_edited_then(page: CatalogPage) -> None:
    card, catalog = page.view.card, page.service.registry.catalog
    page.open("cats@1")
    page.type(card.change.title, "Half a ti")
    catalog.describe("cats", description="Of bob's", actor="bob")
    page.update(page.view.refreshed(page.fields, request()))
    assert (page.fields[card.change.title], page.fields[card.change.description]) == ("Half a ti", "Of bob's")
    page.type(card.change.description, "Of bob's, and mine")
    page.press(card.change.save)
    adapter = catalog.adapter("cats")
    assert (adapter.title, adapter.description) == ("Half a ti", "Of bob's, and mine")


def test_texts_that_are_not_saved_outlive_what_one_does_beside_them(page: CatalogPage) -> None:
    change = page.view.card.change
    page.open("cats@1")
    page.type(change.description, "Not saved yet")
    page.press(change.promote)
    page.type(change.alias, "beta")
    page.press(change.confirm.yes)  # asks about the other alias
    page.press(change.confirm.yes)
    assert page.service.registry.catalog.resolve("cats@beta").version == 1
    assert page.fields[change.description] == "Not saved yet"
    page.open("cats@1")
    assert page.fields[change.description] != "Not saved yet"


def test_a_reason_that_is_corrected_after_the_question_is_asked_about_again(page: CatalogPage) -> None:
    change = page.view.card.change
    publish(page.service, "dogs")
    page.open("dogs@1")
    page.type(change.reason, "bad data")
    page.press(change.withdraw)
    page.type(change.reason, "wrong labels")
    page.press(change.confirm.yes)
    version = page.service.registry.catalog.version("dogs@1")
    assert version.withdrawn_at is None
    assert "wrong labels" in page.text(change.confirm.text)
    page.press(change.confirm.yes)
    assert page.service.registry.catalog.version("dogs@1").withdrawn_reason == "wrong labels"


def test_a_change_of_another_adapter_leaves_the_card_alone(page: CatalogPage) -> None:
    page.open("cats@1")
    publish(page.service, "dogs")
    updates = page.view.refreshed(page.fields, request())
    assert page.view.card.head not in updates
    assert 'title="dogs@1"' in page.update(updates)[page.view.rows]


def test_a_viewer_sees_everything_and_can_press_nothing_that_changes(
    page: CatalogPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(page, monkeypatch, "vera", "viewer")
    page.arrive(adapter="cats")
    change = page.view.card.change
    for button in (change.promote, change.save, change.withdraw, change.archive, change.delete):
        assert not page.can(button)
    assert not page.shown[change.delete_adapter]["visible"]
    for table in (page.view.card.versions, change.aliases):
        assert 'class="lv-small"' not in page.text(table)
    assert not page.can(change.set_thresholds)
    assert not page.can(page.view.upload)
    # the reason is told once
    assert "vera is a viewer" in page.text(page.view.read_only)
    for part in (change.alias_off, change.texts_off, change.retire_off, change.thresholds_off):
        assert page.text(part) == ""
    assert page.can(page.view.card.try_it)
    with pytest.raises(gr.Error, match="vera is a viewer"):
        page.press(change.promote)


def test_what_belongs_to_somebody_else_can_be_curated_but_not_retired(
    page: CatalogPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in(page, monkeypatch, "bob", "editor")
    page.open("cats")
    change = page.view.card.change
    assert page.can(change.promote)
    assert not page.can(change.archive)
    assert "belongs to ann" in page.text(change.retire_off)


def test_opening_a_card_takes_no_more_queries_in_a_larger_catalog(page: CatalogPage) -> None:
    from sqlalchemy import event

    asked: list[str] = []
    engine = page.service.registry._database.engine
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))

    def queries() -> int:
        asked.clear()
        page.open("cats@2")
        return len(asked)

    few = queries()
    for number in range(25):
        publish(page.service, f"adapter-{number}")
    assert queries() == few
