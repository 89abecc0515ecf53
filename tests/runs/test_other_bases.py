"""A training runs on one of the bases that the app offers, also where there is no model hub."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from loravit_web.access.rights import LOCAL, NotAllowed, guest, member
from loravit_web.actions import Actions
from loravit_web.backbones import Base, BaseUnavailable
from loravit_web.backbones.loading import BaseTooLarge
from loravit_web.catalog.offered_bases import RECOMMENDED, BaseNotOffered
from loravit_web.datasets import ImageDataset
from loravit_web.service import Service
from loravit_web.settings.environment import Settings
from loravit_web.settings.limits import Limits
from loravit_web.settings.quota import Quota, QuotaReached
from tests.backbones.test_weights_file import base_of, random_model
from tests.conftest import RECIPE, ColourFolders, tiny_base


@pytest.fixture
def team_vit() -> Base:
    """A tiny base with patches of 16 px; the configured one has patches of 8 px."""
    return base_of(dict(random_model().state_dict()))


@pytest.fixture
def offline(settings: Settings) -> Service:
    """A service that can only load its own base and stored ones."""

    def load(name: str, _folder: Path, _progress: object) -> Base:
        if name == "tiny":
            return tiny_base()
        raise BaseUnavailable(f"{name} cannot be downloaded.")

    return Service(settings, load=load)


@pytest.fixture
def dataset(offline: Service, colour_folders: ColourFolders) -> ImageDataset:
    return offline.datasets.import_source(colour_folders())


def test_a_training_on_a_stored_base_answers_on_that_base(
    offline: Service, dataset: ImageDataset, team_vit: Base
) -> None:
    actions = Actions(offline, LOCAL)
    stored = actions.add_base("team-vit", team_vit, license="MIT")
    assert (stored.added_by, stored.license) == ("page", "MIT")
    run = actions.queue_training(dataset, "Colours", RECIPE, base="team-vit")
    assert (run.base.name, run.base.weights_sha256) == ("team-vit", team_vit.weights_sha256)
    offline.new_worker().work(idle_exit=0.0)
    assert offline.registry.runs.get(run.id).published == "colours@1"
    (answer,) = offline.predictor.classify(Image.new("RGB", (32, 32)), ["colours"]).results
    assert answer.error is None


def test_the_image_size_is_rounded_to_the_patches_of_another_base(
    offline: Service, dataset: ImageDataset, team_vit: Base
) -> None:
    actions = Actions(offline, LOCAL)
    actions.add_base("team-vit", team_vit)
    recipe = replace(RECIPE, image_size=40)
    assert actions.queue_training(dataset, "a", recipe, base="team-vit").config["image_size"] == 32
    assert actions.queue_training(dataset, "b", recipe, base="tiny").config["image_size"] == 40
    assert actions.queue_training(dataset, "c", recipe).config["image_size"] == 40


def test_only_offered_bases_can_be_chosen(offline: Service, dataset: ImageDataset) -> None:
    actions = Actions(offline, member("ann", "editor"))
    with pytest.raises(BaseNotOffered, match="resnet18 cannot be chosen here. Choose tiny or embedded or"):
        actions.queue_training(dataset, "Colours", RECIPE, base="resnet18")
    with pytest.raises(BaseUnavailable):
        actions.queue_training(dataset, "Colours", RECIPE, base=RECOMMENDED[0].name)
    assert offline.registry.runs.list() == []


def test_a_guest_trains_on_the_configured_base_alone(
    offline: Service, dataset: ImageDataset, team_vit: Base
) -> None:
    Actions(offline, LOCAL).add_base("team-vit", team_vit)
    visitor = guest("guest-1", training=True)
    assert [base.name for base in offline.seen_by(visitor).bases()] == ["tiny"]
    with pytest.raises(BaseNotOffered, match="Choose tiny"):
        Actions(offline, visitor).queue_training(dataset, "Colours", RECIPE, base="team-vit")


def test_a_base_that_is_too_large_is_refused_before_it_is_loaded(
    offline: Service, dataset: ImageDataset, team_vit: Base
) -> None:
    actions = Actions(offline, LOCAL)
    actions.add_base("team-vit", team_vit)
    offline.settings = replace(offline.settings, limits=Limits(base_millions=0))
    with pytest.raises(BaseTooLarge, match="test_vit has 0 million parameters"):
        actions.queue_training(dataset, "Colours", RECIPE, base="team-vit")


def test_a_base_is_stored_by_admins_and_while_there_is_room(offline: Service, team_vit: Base) -> None:
    with pytest.raises(NotAllowed, match="This needs an admin"):
        Actions(offline, member("ann", "editor")).add_base("team-vit", team_vit)
    offline.admission.quota = Quota(offline.settings.home, 1)
    with pytest.raises(QuotaReached):
        Actions(offline, LOCAL).add_base("team-vit", team_vit)


def test_bases_in_the_cache_of_the_hub_are_at_hand(offline: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    name = RECOMMENDED[0].name
    monkeypatch.setattr("loravit_web.visibility.is_cached", lambda found: found == name)
    bases = {base.name: base.is_at_hand for base in offline.seen_by(LOCAL).bases()}
    assert bases["tiny"]
    assert bases[name]
    assert not bases[RECOMMENDED[1].name]
