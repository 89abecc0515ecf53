"""A file of weights becomes a base, or a clear error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save, save_file

from loravit_web.backbones import UnsupportedBase
from loravit_web.backbones.base import Base
from loravit_web.backbones.timm_import import import_timm
from loravit_web.backbones.weights_file import (
    OtherArchitecture,
    PickleRefused,
    UnknownArchitecture,
    WeightsFileError,
    base_of_weights,
    read_weights,
    weights_bytes,
    weights_of,
)

TINY = "test_vit"
"""timm's own ViT for tests, with 300,000 parameters."""


def random_model(architecture: str = TINY, *, classes: int = 0) -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: torch.nn.Module = import_timm().create_model(architecture, num_classes=classes)
    return model


def base_of(weights: dict[str, torch.Tensor], architecture: str = TINY) -> Base:
    return base_of_weights(weights, architecture, name="team-vit")


def test_a_base_has_the_weights_of_the_file_and_the_normalization_of_timm(tmp_path: Path) -> None:
    model = random_model().eval()
    save_file(model.state_dict(), tmp_path / "vit.safetensors")
    base = base_of(read_weights(tmp_path / "vit.safetensors"))
    assert (base.name, base.architecture, base.depth) == ("team-vit", TINY, 6)
    assert base.mean == base.std == (0.5, 0.5, 0.5)
    images = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        tokens = base.advance(base.embed(images), 0, base.depth)
        expected = model.forward_features(images)  # type: ignore[operator]
        torch.testing.assert_close(base.model.norm(tokens), expected)


def test_the_normalization_can_be_given() -> None:
    channels = (0.1, 0.2, 0.3)
    base = base_of_weights(random_model().state_dict(), f"{TINY}.tag", name="x", mean=channels, std=channels)
    assert base.mean == base.std == channels
    assert base.architecture == TINY


def test_head_and_precision_of_a_file_do_not_matter() -> None:
    weights = random_model(classes=7).state_dict()
    base = base_of(weights)
    assert base.dtype == torch.float32
    halved = base_of({name: tensor.half() for name, tensor in weights.items()})
    assert halved.dtype == torch.float32
    assert halved.weights_sha256 != base.weights_sha256
    del weights["head.weight"], weights["head.bias"]
    assert base_of(weights).weights_sha256 == base.weights_sha256


def test_what_a_base_writes_gives_the_same_base_and_the_same_bytes() -> None:
    base = base_of(random_model().state_dict())
    data = weights_bytes(base)
    again = base_of(weights_of(data, "x"))
    assert again.weights_sha256 == base.weights_sha256
    assert weights_bytes(again) == data


def test_a_missing_file_is_reported_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(WeightsFileError, match=r"vit\.safetensors cannot be read \(No such file"):
        read_weights(tmp_path / "vit.safetensors")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_refused_without_being_read(tmp_path: Path, zipped: bool) -> None:
    torch.save({}, tmp_path / "vit.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(PickleRefused, match=r"vit\.bin is a pickle.*Save the weights as safetensors"):
        read_weights(tmp_path / "vit.bin")


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-1], lambda data: b"<html>not found</html>", lambda data: b""],
    ids=["cut off", "a web page", "empty"],
)
def test_a_damaged_file_is_reported(damage: Callable[[bytes], bytes]) -> None:
    data = save(random_model().state_dict())
    with pytest.raises(WeightsFileError, match="vit is damaged, or is not a safetensors file"):
        weights_of(damage(data), "vit")


def test_numbers_that_are_not_finite_are_refused() -> None:
    with pytest.raises(WeightsFileError, match=r"vit has numbers in norm\.bias that are not finite"):
        weights_of(save({"norm.bias": torch.tensor([float("nan")])}), "vit")


def test_an_architecture_that_timm_does_not_know_is_refused() -> None:
    with pytest.raises(UnknownArchitecture, match="timm has no architecture named vit_of_dreams"):
        base_of({}, "vit_of_dreams")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda w: w.pop("norm.bias"), "norm.bias is missing"),
        (lambda w: w.update(extra=torch.zeros(1)), "extra is not part of it"),
        (lambda w: w.update({"norm.bias": torch.zeros(3)}), r"norm.bias has the shape \(3,\) instead"),
    ],
    ids=["a tensor is missing", "a tensor too many", "another shape"],
)
def test_weights_of_another_architecture_are_refused(
    change: Callable[[dict[str, torch.Tensor]], object], problem: str
) -> None:
    weights = dict(random_model().state_dict())
    change(weights)
    with pytest.raises(OtherArchitecture, match=f"do not belong to {TINY}: {problem}"):
        base_of(weights)


def test_a_model_that_is_not_a_vit_is_refused() -> None:
    with pytest.raises(UnsupportedBase, match="test_resnet is not a plain timm Vision Transformer"):
        base_of(dict(random_model("test_resnet").state_dict()), "test_resnet")
