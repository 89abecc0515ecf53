"""The list: filters, pages, and rows that say why an adapter can't be used."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import gradio as gr
import pytest

from loravit_web.access.rights import member
from loravit_web.adapters.files.fileset import THUMBNAIL_FILE
from loravit_web.ui.catalog.filters import DEFAULTS, narrowed, query_of
from registry import Registry
from tests.ui.catalog.catalog_page import CatalogPage, publish, request

EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(catalog: CatalogPage) -> CatalogPage:
    return catalog


def rows(page: CatalogPage) -> list[str]:
    return page.text(page.view.rows).split("<li>")[1:]


def test_an_empty_catalog_says_what_it_is_and_leads_to_the_first_training(page: CatalogPage) -> None:
    page.arrive()
    assert "The catalog is empty" in page.text(page.view.rows)
    assert page.shown[page.view.train]["visible"] is True
    assert page.shown[page.view.filters.clear]["visible"] is False


def test_a_search_that_finds_nothing_offers_to_clear_the_filters(page: CatalogPage) -> None:
    publish(page.service, "cats")
    page.find(text="xyzzy")
    assert "No matching adapters" in page.text(page.view.rows)
    assert page.shown[page.view.train]["visible"] is False
    assert page.shown[page.view.filters.clear]["visible"] is True
    page.press(page.view.filters.clear)
    assert page.fields[page.view.filters.fields["text"]] == ""
    assert len(rows(page)) == 1


def test_pages_lead_on_and_back_and_one_that_is_gone_becomes_the_last(page: CatalogPage) -> None:
    for number in range(23):
        publish(page.service, f"adapter-{number:02}")
    view = page.view
    page.find()
    assert len(rows(page)) == 20
    assert "23 adapters, page 1 of 2." in page.text(view.found)
    page.press(view.following)
    assert 'data-slug="adapter-00"' in rows(page)[-1]
    assert (page.shown[view.previous]["visible"], page.shown[view.following]["visible"]) == (True, False)
    page.fields[view.filters.page] = 9
    page.update(view.listed(page.seen, page.fields))
    assert page.fields[view.filters.page] == 2
    page.press(view.previous)
    assert 'data-slug="adapter-22"' in rows(page)[0]


def test_filters_join_and_offer_what_there_is_with_its_count(page: CatalogPage) -> None:
    for slug, tags in (("cats", ("fur", "small")), ("dogs", ("fur",)), ("cars", ())):
        publish(page.service, slug, tags=tags)
    page.service.registry.aliases.promote("dogs@1", "production", actor="ann")
    page.update(page.view.filters.offered(page.seen, page.fields))
    fields = page.view.filters.fields
    assert page.shown[fields["tags"]]["choices"] == [("fur (2)", "fur"), ("small (1)", "small")]
    assert page.shown[fields["owner"]]["choices"] == [("Any owner", ""), ("ann (3)", "ann")]
    page.find(tags=["fur"])
    assert len(rows(page)) == 2
    page.find(alias="production", accuracy="75")
    assert ['title="dogs@1"' in row for row in rows(page)] == [True]
    page.find(accuracy="90")
    assert rows(page) == []


def test_a_chosen_filter_stays_offered_when_nothing_has_it_any_more(page: CatalogPage) -> None:
    publish(page.service, "cats")
    page.fields[page.view.filters.fields["owner"]] = "gone"
    offered = page.view.filters.offered(page.seen, page.fields)
    assert ("gone (0)", "gone") in page.update(offered)[page.view.filters.fields["owner"]].choices


def test_only_what_leaves_something_out_counts_as_a_filter() -> None:
    assert not narrowed(query_of({**DEFAULTS, "sort": "accuracy"}, 3))
    assert not narrowed(query_of({**DEFAULTS, "text": "  "}, 1))
    for name, value in (("text", "x"), ("status", ""), ("owner", "ann"), ("tags", ["a"]), ("accuracy", "50")):
        assert narrowed(query_of({**DEFAULTS, name: value}, 1)), name
    assert narrowed(query_of({**DEFAULTS, "mine": True}, 1, ("ann",)))


def test_a_row_has_accuracy_age_owner_and_the_description_or_else_the_classes(page: CatalogPage) -> None:
    publish(page.service, "cats")
    publish(page.service, "dogs", description="Tells dogs\napart.")
    page.service.registry.aliases.promote("dogs@1", "production", actor="ann")
    page.find()
    dogs, cats = rows(page)
    assert '<b title="Test accuracy">75.0%</b>' in cats
    assert '<span class="lv-row-about">one, two</span>' in cats
    assert "just now · ann" in cats
    assert '<span class="lv-row-about">Tells dogs apart.</span>' in dogs
    assert '<span class="lv-chip">production</span>' in dogs


def test_mine_shows_what_the_visitor_made_on_the_page_and_in_the_shell(page: CatalogPage) -> None:
    for slug, owner in (("cats", "page"), ("dogs", "shell"), ("cars", "ann")):
        publish(page.service, slug, actor=owner)
    page.find(mine=True)
    assert [re.findall('title="([a-z]+)@1"', row) for row in rows(page)] == [["dogs"], ["cats"]]
    assert "just now<" in rows(page)[0]


def test_several_adapters_are_tagged_and_archived_together(
    page: CatalogPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(gr, "Success", lambda text, **_: said.append(text))
    bulk, catalog = page.view.bulk, page.service.registry.catalog
    for slug in ("cats", "dogs", "cars"):
        publish(page.service, slug)
    for slug, on in (("cats", True), ("cars", True), ("dogs", True), ("cars", False)):
        page.press(page.view.rows, "input", slug=slug, on=on)
    assert page.shown[bulk.bar]["visible"]
    assert "2 adapters selected" in page.text(bulk.count)
    page.find()
    assert page.text(page.view.rows).count(" checked") == 2
    page.type(bulk.tags, ["#Pets"])
    page.press(bulk.tag)
    assert [catalog.adapter(slug).tags for slug in ("cats", "dogs", "cars")] == [("pets",), ("pets",), ()]
    assert page.fields[bulk.picked] == []
    for slug in ("cats", "dogs"):
        page.press(page.view.rows, "input", slug=slug, on=True)
    page.press(bulk.archive)
    assert "Cats and Dogs disappear from the list of tasks" in page.text(bulk.confirm.text)
    assert catalog.adapter("cats").archived_at is None
    page.press(bulk.confirm.yes)
    assert len(rows(page)) == 1
    assert page.shown[bulk.bar]["visible"] is False
    assert said == [
        "2 adapters now have #pets.",
        "2 adapters archived. Set the status to Archived to find and restore them.",
    ]


def test_of_several_adapters_none_is_archived_if_one_belongs_to_another_user(
    page: CatalogPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page.service, "visitor", lambda _username: member("bob", "editor"))
    bulk, catalog = page.view.bulk, page.service.registry.catalog
    publish(page.service, "cats", actor="bob")
    publish(page.service, "dogs")
    for slug in ("cats", "dogs"):
        page.press(page.view.rows, "input", slug=slug, on=True)
    page.press(bulk.archive)
    with pytest.raises(gr.Error, match="Dogs belongs to ann"):
        page.press(bulk.confirm.yes)
    assert catalog.adapter("cats").archived_at is None


def test_what_users_typed_is_text_in_a_row(page: CatalogPage) -> None:
    publish(page.service, "cats", title=EVIL)
    page.find()
    assert "<img" not in page.text(page.view.rows)


def archived(registry: Registry) -> None:
    registry.catalog.archive("cats", actor="ann")


def withdrawn(registry: Registry) -> None:
    registry.catalog.withdraw("cats", 1, "mislabelled", actor="ann")


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [(archived, "archived", "Archived. Restore it"), (withdrawn, "withdrawn", "All versions are withdrawn")],
)
def test_a_row_that_can_not_be_used_is_grey_and_says_why(
    page: CatalogPage, change: object, status: str, reason: str
) -> None:
    publish(page.service, "cats")
    change(page.service.registry)  # type: ignore[operator]  # a function of the parameters above
    page.find()
    assert rows(page) == []
    page.find(status=status)
    assert "lv-off" in rows(page)[0]
    assert reason in rows(page)[0]


def test_other_weights_under_the_name_of_the_loaded_base_are_told_before_anybody_asks(
    page: CatalogPage,
) -> None:
    publish(page.service, "cats", weights_sha256="c" * 64)
    publish(page.service, "dogs", base="elsewhere", weights_sha256="d" * 64)
    page.find()
    dogs, cats = rows(page)
    assert "lv-off" in cats
    assert "has other weights here" in cats
    assert "lv-off" not in dogs
    assert "Its base elsewhere is loaded at the first request" in dogs


def test_the_chosen_row_stays_marked_on_every_redrawing(page: CatalogPage) -> None:
    for slug in ("cats", "dogs"):
        publish(page.service, slug)
    page.open("dogs")
    for _ in range(2):
        assert ["aria-current" in row for row in rows(page)] == [True, False]
        page.update(page.view.refreshed(page.fields, request()))


def test_a_row_shows_the_thumbnail_of_the_newest_version_where_there_is_one_that_can_be_read(
    page: CatalogPage, tmp_path: Path
) -> None:
    first, second = b"red", b"green"
    for slug, thumbnail in (("cats", first), ("cats", second), ("dogs", second), ("cars", None)):
        files = {"adapter_model.safetensors": f"{slug} {thumbnail!r}".encode()}
        publish(
            page.service, slug, files=files if thumbnail is None else {**files, THUMBNAIL_FILE: thumbnail}
        )
    page.find()
    thumbnails = [row.count('<img class="lv-row-thumbnail"') for row in rows(page)]
    assert thumbnails == [0, 1, 1]  # cars, dogs, cats
    found = re.search('src="gradio_api/file=([^"]+)"', rows(page)[1])
    assert found is not None
    assert Path(found[1]).read_bytes() == second

    Path(found[1]).unlink()
    (stored,) = tmp_path.rglob(hashlib.sha256(second).hexdigest())
    stored.chmod(0o600)
    stored.write_bytes(b"damaged")
    page.find()
    assert [row.count("<img") for row in rows(page)] == [0, 0, 0]
