"""A probe predicts each image of its data by a head that was fitted without it."""

from __future__ import annotations

import pytest
import torch

from loravit_web.backbones import Base
from loravit_web.training.heads import probe as module
from loravit_web.training.heads.probe import candidate_readouts, fit_probe


def pooled_of(base: Base, images: int) -> torch.Tensor:
    """Return pooled values (N, L, P, D) of noise."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(images, base.depth, len(base.parts), base.embed_dim, generator=generator)


def test_of_a_small_dataset_each_image_is_left_out_once(base: Base) -> None:
    pooled, labels = pooled_of(base, 20), torch.arange(2).repeat(10)
    probe = fit_probe(base, pooled, labels, 2, candidate_readouts(base), seed=0)
    assert probe.rows.tolist() == list(range(20))
    assert torch.equal(probe.left_out(base, pooled[:15], pooled[15:]), probe.head.left_out)


def test_of_a_large_dataset_images_outside_the_subset_are_predicted_by_the_head(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_COMPARED", 10)
    monkeypatch.setattr(module, "MOST_FITTED", 12)
    monkeypatch.setattr(module, "_READ_AT_ONCE", 4)
    pooled, labels = pooled_of(base, 20), torch.arange(2).repeat(10)
    probe = fit_probe(base, pooled, labels, 2, candidate_readouts(base), seed=0)
    assert len(probe.rows) == 12
    logits, inside = probe.left_out(base, pooled[:15], pooled[15:]), set(probe.rows.tolist())
    outside = [index for index in range(20) if index not in inside]
    assert torch.equal(logits[probe.rows], probe.head.left_out)
    assert torch.allclose(logits[outside], probe.logits(base, pooled[outside]), atol=1e-5)
