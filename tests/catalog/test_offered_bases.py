"""The bases to choose from, the ones at hand first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from loravit_web.backbones import embedded, loading
from loravit_web.backbones.timm_import import import_timm
from loravit_web.catalog.offered_bases import (
    EMBEDDED,
    RECOMMENDED,
    BaseNotOffered,
    OfferedBase,
    check_offered,
    offered_bases,
)
from registry import NewBase, NewStoredBase, Registry

DINOV2 = RECOMMENDED[0].name


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with Registry.open(f"sqlite:///{tmp_path / 'registry.db'}", tmp_path / "artifacts") as opened:
        yield opened


def store(registry: Registry, name: str) -> None:
    base, channels = NewBase(name, "a" * 64, "vit_small", 384, 12), (0.5, 0.5, 0.5)
    new = NewStoredBase(base, b"weights", channels, channels, 14, 22_100_000, license="MIT")
    registry.base_files.add(new, actor="ann")


def offered(registry: Registry, configured: str = "embedded", cached: str = "") -> list[tuple[str, str]]:
    bases = offered_bases(registry, configured, lambda name: name == cached)
    return [(base.name, base.source) for base in bases]


RECOMMENDED_NAMES = [(base.name, "hub") for base in RECOMMENDED]


def test_a_new_app_offers_its_own_base_and_recommended_ones(registry: Registry) -> None:
    assert offered(registry) == [("embedded", "app"), *RECOMMENDED_NAMES]


def test_the_configured_base_is_first_and_those_at_hand_come_before_the_recommended_ones(
    registry: Registry,
) -> None:
    store(registry, "team-vit")
    assert offered(registry, "vit_tiny", cached=RECOMMENDED[1].name) == [
        ("vit_tiny", "app"),
        ("embedded", "app"),
        ("team-vit", "store"),
        (RECOMMENDED[1].name, "cache"),
        RECOMMENDED_NAMES[0],
        *RECOMMENDED_NAMES[2:],
    ]
    assert offered(registry, "team-vit")[:2] == [("team-vit", "store"), ("embedded", "app")]


def test_a_recommended_base_that_is_stored_is_offered_once(registry: Registry) -> None:
    store(registry, DINOV2)
    assert offered(registry, cached=DINOV2) == [
        ("embedded", "app"),
        (DINOV2, "store"),
        *RECOMMENDED_NAMES[1:],
    ]


def test_a_stored_base_is_described_by_its_size_and_who_added_it(registry: Registry) -> None:
    store(registry, "team-vit")
    _, base, *_ = offered_bases(registry, "embedded", lambda _name: False)
    assert base.summary == "22.1 million parameters. Added to the store by ann."
    assert (base.license, base.patch_size, base.is_at_hand) == ("MIT", 14, True)


def test_a_base_that_is_not_offered_is_refused_with_those_that_are() -> None:
    check_offered([EMBEDDED], "embedded")
    with pytest.raises(BaseNotOffered, match="The base other cannot be chosen here. Choose embedded"):
        check_offered([EMBEDDED], "other")


def test_what_is_written_down_of_the_embedded_base_is_true() -> None:
    assert (EMBEDDED.name, EMBEDDED.architecture) == (loading.EMBEDDED, embedded.ARCHITECTURE)


@pytest.mark.parametrize("base", RECOMMENDED, ids=lambda base: base.name)
def test_what_is_written_down_of_a_recommended_base_is_what_timm_has(base: OfferedBase) -> None:
    timm = import_timm()
    config = timm.models.get_pretrained_cfg(base.name)
    assert base.license.lower().replace(" ", "-") == config.license
    assert config.hf_hub_id == f"timm/{base.name}"
    with torch.device("meta"):
        model = timm.create_model(base.architecture, num_classes=0, dynamic_img_size=True)
    assert model.patch_embed.patch_size == (base.patch_size, base.patch_size)
    assert round(sum(one.numel() for one in model.parameters()) * 4 / 1e6) == base.megabytes
