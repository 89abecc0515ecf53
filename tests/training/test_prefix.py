"""Prefix tokens equal those computed directly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from loravit_web.backbones import Base
from loravit_web.images.loading import ImageError, load_rgb
from loravit_web.training import prefix
from loravit_web.training.prefix import PrefixTokens, compute_prefix_tokens


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    generator = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.png" for i in range(7)]
    for path in paths:
        Image.fromarray(generator.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(path)
    return paths


def tokens_of(base: Base, paths: list[Path], scratch: Path, **changes: object) -> PrefixTokens:
    options = {"first_block": 2, "mirror": True, "progress": lambda _fraction: None, **changes}
    return compute_prefix_tokens(base, paths, base.preprocessing(32), scratch=scratch, **options)  # type: ignore[arg-type]


def test_tokens_equal_a_direct_computation_in_every_view(
    base: Base, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix, "_BATCH", 3)
    told: list[float] = []
    found = tokens_of(base, paths, tmp_path / "t", progress=told.append)
    images = [load_rgb(path) for path in paths]
    with torch.no_grad():
        for view, mirror in enumerate((False, True)):
            batch = base.preprocessing(32)(images, mirror=mirror)
            expected = base.advance(base.embed(batch), 0, 2)
            torch.testing.assert_close(found.tokens[view], expected, rtol=0, atol=1e-5)
    assert (found.views, len(found)) == (2, 7)
    assert told == pytest.approx([3 / 7, 6 / 7, 1.0])
    assert not (tmp_path / "t").exists()


def test_without_mirroring_there_is_one_view(base: Base, paths: list[Path], tmp_path: Path) -> None:
    plain = tokens_of(base, paths, tmp_path / "t", mirror=False)
    assert plain.tokens.shape == (1, 7, 17, 32)
    assert torch.equal(plain.tokens[0], tokens_of(base, paths, tmp_path / "t").tokens[0])


def test_tokens_mapped_from_a_file_equal_those_in_memory(
    base: Base, paths: list[Path], tmp_path: Path
) -> None:
    half = base.cast(torch.bfloat16)
    scratch = tmp_path / "run" / "train.tokens"
    in_memory = tokens_of(half, paths, scratch)
    size = in_memory.tokens.nbytes
    assert not torch.equal(tokens_of(half, paths, scratch, ram_limit=size).tokens, -in_memory.tokens)
    assert not scratch.exists()
    mapped = tokens_of(half, paths, scratch, ram_limit=size - 1)
    assert scratch.stat().st_size == size
    assert mapped.tokens.dtype is torch.bfloat16
    assert torch.equal(mapped.tokens, in_memory.tokens)


def test_the_progress_callback_can_stop_the_computation(
    base: Base, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix, "_BATCH", 2)
    told: list[float] = []

    def stop(fraction: float) -> None:
        told.append(fraction)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tokens_of(base, paths, tmp_path / "t", progress=stop)
    assert len(told) == 1


def test_an_image_that_can_no_longer_be_read_is_named(base: Base, paths: list[Path], tmp_path: Path) -> None:
    paths[4].write_bytes(b"not an image")
    with pytest.raises(ImageError, match=paths[4].name):
        tokens_of(base, paths, tmp_path / "t")


def test_no_images_give_no_tokens(base: Base, tmp_path: Path) -> None:
    assert len(tokens_of(base, [], tmp_path / "t")) == 0
