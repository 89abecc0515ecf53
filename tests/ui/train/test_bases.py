"""The field for the base lists what can be loaded now, and says once if the Hub cannot be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from loravit_web.access.rights import LOCAL
from loravit_web.actions import Actions
from loravit_web.catalog.hub_presence import HubPresence
from loravit_web.catalog.offered_bases import RECOMMENDED
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.ui.train.bases import INFO, build_base, notice_of_other, offers
from loravit_web.visibility import Seen
from tests.backbones.test_weights_file import base_of, random_model
from tests.conftest import RECIPE, tiny_service

DINOV2, _, DINOV3 = (base.name for base in RECOMMENDED)


@pytest.fixture
def seen(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    """What the person at the page sees of a service with a stored base."""
    monkeypatch.setattr("loravit_web.visibility.is_cached", lambda _name: False)
    service: Service = tiny_service(settings)
    team_vit = base_of(dict(random_model().state_dict()))
    Actions(service, LOCAL).add_base("team-vit", team_vit, license="MIT")
    yield replace(service.seen_by(LOCAL), hub=HubPresence(lambda: None))
    service.close()


def without_hub(seen: Seen) -> Seen:
    return replace(seen, hub=HubPresence(lambda: "The Hub cannot be reached."))


def test_the_field_begins_with_the_configured_base() -> None:
    field = build_base("tiny", visible=True)
    assert (field.value, field.choices) == ("tiny", [("tiny", "tiny")])


def test_bases_at_hand_come_first_each_with_license_size_and_a_figure(seen: Seen) -> None:
    field = offers(seen, None)
    names = [name for _, name in field.choices]
    assert names == ["tiny", "embedded", "team-vit", *(base.name for base in RECOMMENDED)]
    labels = {name: label for label, name in field.choices}
    assert labels["tiny"] == "tiny: The base that this app preloads (LORAVIT_BASE)."
    assert labels["team-vit"].startswith("team-vit (MIT, 1 MB): 0.3 million parameters.")
    assert labels[DINOV2].startswith(f"{DINOV2} (Apache-2.0, 88 MB, download): 81.1 % on ImageNet-1k")
    assert (field.value, field.info) == ("tiny", INFO)


def test_without_the_hub_only_bases_at_hand_are_listed_and_the_reason_is_given_once(seen: Seen) -> None:
    field = offers(without_hub(seen), None)
    assert [name for _, name in field.choices] == ["tiny", "embedded", "team-vit"]
    assert field.info == f"{INFO} The Hub cannot be reached. Only bases at hand are listed."


def test_a_chosen_base_stays_chosen_while_it_can_be_loaded(seen: Seen) -> None:
    assert offers(seen, DINOV3).value == DINOV3
    assert offers(without_hub(seen), DINOV3).value == "tiny"
    assert offers(without_hub(seen), "team-vit").value == "team-vit"


def test_the_hub_is_not_asked_if_nothing_depends_on_it(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> str:
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr("loravit_web.visibility.is_cached", lambda _name: True)
    assert DINOV2 in [name for _, name in offers(replace(seen, hub=HubPresence(asked)), None).choices]


def test_another_base_says_what_it_changes(seen: Seen) -> None:
    recipe = replace(RECIPE, image_size=84)
    stored = notice_of_other(seen, "team-vit", recipe)
    assert "This training runs on team-vit. Images have 80 px, a multiple of its patch size 16." in stored
    assert "download" not in stored
    assert "The app downloads it first (88 MB)." in notice_of_other(seen, DINOV2, recipe)
    assert "&lt;b&gt;" in notice_of_other(seen, "<b>", recipe)
