"""The hash that identifies a base."""

from __future__ import annotations

import pytest
import torch

from loravit_web.backbones.fingerprint import weights_sha256


def weights() -> dict[str, torch.Tensor]:
    return {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2], dtype=torch.int64)}


def test_the_hash_does_not_depend_on_order_or_memory_layout() -> None:
    reordered = dict(reversed(weights().items()))
    reordered["a"] = reordered["a"].T.contiguous().T
    assert not reordered["a"].is_contiguous()
    assert weights_sha256(reordered) == weights_sha256(weights())


@pytest.mark.parametrize(
    "changed",
    [
        {"a": torch.arange(6.0).view(2, 3).nextafter(torch.tensor(9.0))},
        {"a": torch.arange(6.0).view(3, 2)},
        {"a": torch.arange(6.0).view(2, 3).view(torch.int32)},
        {"a": torch.arange(6.0, dtype=torch.float64).view(2, 3)},
        {"c": torch.zeros(0)},
    ],
    ids=["values", "shape", "dtype of the same bytes", "precision", "one more tensor"],
)
def test_any_change_of_the_weights_changes_the_hash(changed: dict[str, torch.Tensor]) -> None:
    assert weights_sha256({**weights(), **changed}) != weights_sha256(weights())


def test_a_renamed_tensor_changes_the_hash() -> None:
    renamed = {"z": weights()["a"], "b": weights()["b"]}
    assert weights_sha256(renamed) != weights_sha256(weights())


def test_bfloat16_and_scalars_can_be_hashed() -> None:
    one = {"s": torch.tensor(1.0), "h": torch.ones(2, dtype=torch.bfloat16)}
    other = {"s": torch.tensor(1.0), "h": torch.ones(2, dtype=torch.float16)}
    assert weights_sha256(one) != weights_sha256(other)
