"""A name leads to a base, or to a clear error."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

from loravit_web.backbones import BaseUnavailable, UnsupportedBase, load_base
from loravit_web.backbones.loading import BaseTooLarge, check_size, hub_http_error
from loravit_web.backbones.timm_import import import_timm

HUB_MODEL = "vit_small_patch14_dinov2.lvd142m"


def silent(_fraction: float, _stage: str) -> None:
    pass


def test_a_name_that_timm_does_not_know_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(BaseUnavailable, match="timm has no model named resnet-of-dreams"):
        load_base("resnet-of-dreams", tmp_path, silent)


@pytest.mark.parametrize(
    "failure",
    [
        LocalEntryNotFoundError("nothing cached"),
        OfflineModeIsEnabled("offline"),
        hub_http_error()("no route"),
        OSError("no space left"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_an_unreachable_hub_is_an_error_without_fallback(
    failure: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[str] = []

    def unreachable(name: str, **_: object) -> None:
        requested.append(name)
        raise failure

    monkeypatch.setattr(import_timm(), "create_model", unreachable)
    with pytest.raises(BaseUnavailable, match="could not be downloaded from the model hub") as caught:
        load_base(HUB_MODEL, tmp_path, silent)
    assert HUB_MODEL in str(caught.value)
    assert requested == [HUB_MODEL]
    assert not list(tmp_path.iterdir())


def test_a_hub_model_that_is_not_a_vit_is_rejected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create = import_timm().create_model
    monkeypatch.setattr(
        import_timm(), "create_model", lambda name, pretrained, **options: create(name, **options)
    )
    with pytest.raises(UnsupportedBase, match="resnet18 is not a plain timm Vision Transformer"):
        load_base("resnet18", tmp_path, silent)


def test_a_base_with_too_many_parameters_is_rejected_before_the_download() -> None:
    with pytest.raises(
        BaseTooLarge, match="patch16_224.x has 303 million parameters, and the limit is 300 million"
    ):
        check_size("vit_large_patch16_224.x", 300)
    check_size("vit_large_patch16_224.x", 304)
    check_size("nothing-that-timm-knows", 1)
