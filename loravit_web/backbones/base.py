"""A frozen ViT, split into embedding, blocks, final norm and pooling."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar, cast

import torch
from torch import nn

from loravit_web.backbones.first_token import FirstTokenBlock
from loravit_web.backbones.plain_block import PlainBlock
from loravit_web.backbones.preprocessing import Preprocessing, Triple
from loravit_web.backbones.structure import shallow_copy
from loravit_web.backbones.timm_import import import_timm
from loravit_web.errors import LoraVitError
from loravit_web.util.lru import LRU

T = TypeVar("T")
Pooling = Literal["cls", "mean", "cls+mean", "map", "none"]
POOLINGS: tuple[Pooling, ...] = ("cls", "mean", "cls+mean", "map", "none")
"""Names of the poolings; see `ViTAdapterConfig.pooling`."""
Part = Literal["cls", "mean"]
"""Tokens of a block that a readout may read: the class token, or the mean of the patch tokens."""
MAX_IMAGE_SIZE = 1022
"""Maximum side of an image in pixels."""
MAX_CACHED = 8
"""Number of results that `Base.cached` keeps."""
MAX_SIZES = 8
"""Number of image sizes for which a base keeps position embeddings."""
_TIMM_POOLING: dict[str, Pooling] = {"token": "cls", "avg": "mean", "map": "map"}


class TrunkOutput(NamedTuple):
    """What the trunk computes for B images.

    Attributes:
        tokens: Prefix tokens (B, N, D), in the precision of the base.
        pooled: Float32 `Base.parts` (B, L, P, D) of the tokens after each of the L blocks that were run.
    """

    tokens: torch.Tensor
    pooled: torch.Tensor

    @property
    def nbytes(self) -> int:
        """Size of both tensors in bytes."""
        return self.tokens.nbytes + self.pooled.nbytes


class UnsupportedBase(LoraVitError):
    """A model that is not a plain ViT."""


class UnsupportedImageSize(LoraVitError):
    """An image size that the base does not support."""


class UnsupportedPooling(LoraVitError):
    """A pooling that needs tokens or a layer that the base does not have."""


@dataclass(frozen=True, eq=False)
class Base:
    """A frozen timm ViT with exact weights; never changed.

    Attributes:
        name: ``embedded``, or the timm name that was requested.
        architecture: Name of the timm architecture, without the tag of the weights.
        weights_sha256: Hash of the float32 weights without a classification head.
        model: The timm module in evaluation mode, without gradients and without a head.
        mean: Mean of each channel for the normalization, on a scale of 0 to 1.
        std: Standard deviation of each channel for the normalization, on a scale of 0 to 1.
        supports_first_token_block: Whether `FirstTokenBlock` gives the correct result for the last block.
    """

    name: str
    architecture: str
    weights_sha256: str
    model: Any
    mean: Triple
    std: Triple
    supports_first_token_block: bool = False
    _stems: LRU[int, Any] = field(default_factory=lambda: _last(MAX_SIZES), repr=False)
    _ropes: LRU[int, torch.Tensor] = field(default_factory=lambda: _last(MAX_SIZES), repr=False)
    _cache: LRU[Hashable, Any] = field(default_factory=lambda: _last(MAX_CACHED), repr=False)

    @property
    def blocks(self) -> list[nn.Module]:
        """The transformer blocks in order."""
        return list(self.model.blocks)

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.model.blocks)

    @property
    def embed_dim(self) -> int:
        """Width D of a token."""
        return int(self.model.embed_dim)

    @property
    def prefix_token_count(self) -> int:
        """Number of class and register tokens before the patch tokens."""
        return int(self.model.num_prefix_tokens)

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return int(self.model.patch_embed.patch_size[0])

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights."""
        return self._weight.dtype

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self._weight.device

    @property
    def _weight(self) -> torch.Tensor:
        return cast(torch.Tensor, next(self.model.blocks.parameters()))

    @property
    def native_pooling(self) -> Pooling:
        """The model's own pooling if supported, otherwise ``cls`` with a class token and ``mean`` without."""
        native = _TIMM_POOLING.get(self.model.global_pool)
        if native is not None and native in self.poolings:
            return native
        return "mean" if self.model.cls_token is None else "cls"

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """The poolings for which the model has the tokens and layers."""
        poolings: list[Pooling] = ["mean"]
        if self.model.cls_token is not None:
            poolings += ["cls", "cls+mean"]
        if getattr(self.model, "attn_pool", None) is not None:
            poolings += ["map"]
        return tuple(poolings)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The P parts of a block's tokens that readouts may read."""
        return ("mean",) if self.model.cls_token is None else ("cls", "mean")

    def preprocessing(self, image_size: int) -> Preprocessing:
        """Return the preprocessing for input images of side ``image_size`` pixels.

        Raises:
            UnsupportedImageSize: If the side is not a multiple of the patch size, or is out of range.
        """
        patch = self.patch_size
        if image_size % patch or not 2 * patch <= image_size <= MAX_IMAGE_SIZE:
            lower = max(2 * patch, min(image_size, MAX_IMAGE_SIZE) // patch * patch)
            raise UnsupportedImageSize(
                f"Image size {image_size} does not fit {self.architecture}. Choose a multiple of its patch "
                "size "
                f"{patch} from {2 * patch} to {MAX_IMAGE_SIZE}, such as {lower}."
            )
        return Preprocessing(image_size, self.mean, self.std)

    def feature_dim(self, pooling: Pooling | None) -> int:
        """Return the width F of the pooled features.

        Args:
            pooling: Pooling, or None for `native_pooling`.

        Raises:
            UnsupportedPooling: If the base does not support the pooling.
        """
        if pooling not in (None, "none", *self.poolings):
            raise UnsupportedPooling(
                f"{self.architecture} does not support pooling {pooling}. Choose "
                f"{' or '.join(self.poolings)}."
            )
        return self.embed_dim * {"none": 0, "cls+mean": 2}.get(pooling or self.native_pooling, 1)

    def token_count(self, image_size: int) -> int:
        """Return the number of tokens of an image of side ``image_size`` pixels, including prefix tokens."""
        return int((image_size // self.patch_size) ** 2 + self.prefix_token_count)

    @property
    def takes_any_size(self) -> bool:
        """Whether the model supports images of any multiple of the patch size."""
        return bool(getattr(self.model, "dynamic_img_size", False))

    @property
    def trial_size(self) -> int:
        """Side in pixels of an image for trial runs: small, or the model's fixed size."""
        patches = 4 if self.takes_any_size else self.model.patch_embed.grid_size[0]
        return int(self.patch_size * patches)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Return the tokens (B, N, D) before block 0 of normalized images (B, 3, S, S)."""
        stem = self._stem(images.shape[-1])
        tokens = stem._pos_embed(stem.patch_embed(images.to(self.device, self.dtype)))
        if isinstance(tokens, tuple):  # Eva also returns its rotary positions
            tokens = tokens[0]
        return cast(torch.Tensor, stem.norm_pre(tokens))

    def position_embedding(self, image_size: int) -> torch.Tensor | None:
        """Return the position embedding (1, P, D) for an image size, or None if the model has none."""
        return cast("torch.Tensor | None", self._stem(image_size).pos_embed)

    def advance(self, tokens: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Return the tokens (B, N, D) after running blocks ``start`` to ``stop - 1``."""
        return self.run_blocks(self.blocks[start:stop], tokens, start)

    def trunk(self, tokens: torch.Tensor, start: int, stop: int) -> TrunkOutput:
        """Run blocks ``start`` to ``stop - 1`` on tokens (B, N, D), and pool the tokens after each."""
        pooled: list[torch.Tensor] = []
        tokens = self.run_blocks(self.blocks[start:stop], tokens, start, pooled=pooled)
        empty = tokens.new_empty(len(tokens), 0, len(self.parts), self.embed_dim, dtype=torch.float32)
        return TrunkOutput(tokens, torch.stack(pooled, dim=1) if pooled else empty)

    def run_blocks(
        self,
        blocks: Sequence[nn.Module],
        tokens: torch.Tensor,
        start: int,
        *,
        pooled: list[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Return the tokens (B, N, D) after running blocks from index ``start`` on.

        Args:
            blocks: Blocks of the base, or adapted copies of them.
            tokens: Tokens (B, N, D) before the first of the blocks.
            start: Index of the first block, which selects its rotary positions.
            pooled: Extended by the result of `pool` after each block.
        """
        rope = None if getattr(self.model, "rope", None) is None else self._rope(tokens.shape[1])
        for index, block in enumerate(blocks, start=start):
            if rope is None:
                tokens = block(tokens)
            else:
                tokens = block(tokens, rope=rope[index] if self._rope_by_block else rope)
            if pooled is not None:
                pooled.append(self.pool(tokens))
        return tokens

    def pool(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return the float32 `parts` (B, P, D) of tokens (B, N, D): class token, and mean of the patches.

        The final norm is not applied.
        """
        mean = tokens[:, self.prefix_token_count :].mean(dim=1, dtype=torch.float32)
        parts = {"cls": tokens[:, 0].float(), "mean": mean}
        return torch.stack([parts[part] for part in self.parts], dim=1)

    def cached(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the cached result for a key, or compute it. For results that adapters share.

        Only the `MAX_CACHED` results that were used last are kept.

        Args:
            key: Key of the result.
            compute: Returns the result.
        """
        found = self._cache.get(key)
        if found is None:
            found = compute()
            self._cache.put(key, found)
        return cast(T, found)

    def fastest_blocks(
        self, poolings: Iterable[Pooling | None], blocks: Sequence[nn.Module]
    ) -> Sequence[nn.Module]:
        """Return blocks in the fastest form that computes all tokens that the poolings read.

        Args:
            poolings: Poolings that will be applied; None for `native_pooling`.
            blocks: Blocks that end with the last block of the model.
        """
        reads = {pooling or self.native_pooling for pooling in poolings}
        reads -= {"none"}
        if not blocks or not self.supports_first_token_block or reads != {"cls"}:
            return blocks
        last = blocks[-1]
        return [*blocks[:-1], last.first_token() if isinstance(last, PlainBlock) else FirstTokenBlock(last)]

    def features(self, tokens: torch.Tensor, pooling: Pooling | None) -> torch.Tensor:
        """Return pooled float32 features (B, F) of the tokens (B, N, D) after the last block.

        Args:
            tokens: Tokens (B, N, D).
            pooling: Pooling, or None for `native_pooling`.
        """
        pooling = pooling or self.native_pooling
        if pooling == "none":
            return tokens.new_empty(len(tokens), 0, dtype=torch.float32)
        tokens = self.model.norm(tokens)
        parts = []
        if pooling in ("cls", "cls+mean"):
            parts.append(tokens[:, 0])
        if pooling in ("mean", "cls+mean"):
            parts.append(tokens[:, self.prefix_token_count :].mean(dim=1))
        if pooling == "map":
            whole = getattr(self.model, "pool_include_prefix", True)
            parts.append(self.model.attn_pool(tokens if whole else tokens[:, self.prefix_token_count :]))
        # In models with average pooling timm applies the final norm after the pooling.
        return torch.cat([self.model.fc_norm(part) for part in parts], dim=-1).float()

    def cast(self, dtype: torch.dtype, device: torch.device | str | None = None) -> Base:
        """Return the base in another precision, and on another device if one is given.

        Args:
            dtype: Precision of the weights.
            device: Device of the weights, or None to keep it.

        Returns:
            A copy, or the base itself if nothing changes.
        """
        device = self.device if device is None else torch.device(device)
        if dtype == self.dtype and device == self.device:
            return self
        model = copy.deepcopy(self.model).to(device=device, dtype=dtype)
        if getattr(self.model, "rope", None) is not None:
            model.rope = copy.deepcopy(self.model.rope).to(device=device)  # rotary angles need float32
        return self.with_model(model)

    def with_model(self, model: nn.Module) -> Base:
        """Return the same base with another module of the same kind."""
        return Base(
            self.name,
            self.architecture,
            self.weights_sha256,
            model,
            self.mean,
            self.std,
            self.supports_first_token_block,
        )

    def synchronize(self) -> None:
        """Wait until a GPU has finished its work, so that measured times are correct."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @property
    def _rope_by_block(self) -> bool:
        return bool(getattr(self.model, "rope_mixed", False))

    def _rope(self, tokens: int) -> torch.Tensor:
        """Return the rotary positions for a number of tokens."""
        rope = self._ropes.get(tokens)
        if rope is None:
            side = int((tokens - self.prefix_token_count) ** 0.5)
            with torch.inference_mode(False), torch.no_grad():
                rope = self.model.rope.get_embed(shape=(side, side)).to(self.dtype).clone()
            self._ropes.put(tokens, rope)
        return rope

    def _stem(self, image_size: int) -> Any:
        """Return the model with position embeddings resampled for an image size."""
        stem = self._stems.get(image_size)
        if stem is None:
            stem = self._resampled(image_size)
            self._stems.put(image_size, stem)
        return stem

    def _resampled(self, image_size: int) -> Any:
        stem = shallow_copy(self.model)
        stem.patch_embed = shallow_copy(self.model.patch_embed)
        stem.patch_embed.strict_img_size = False
        stem.patch_embed.grid_size = (image_size // self.patch_size,) * 2
        if self.model.pos_embed is not None:
            import_timm()
            from timm.layers.pos_embed import resample_abs_pos_embed

            position = resample_abs_pos_embed(
                self.model.pos_embed,
                new_size=stem.patch_embed.grid_size,
                old_size=self.model.patch_embed.grid_size,
                num_prefix_tokens=0 if self.model.no_embed_class else self.prefix_token_count,
            )
            stem.pos_embed = nn.Parameter(position.detach().clone(), requires_grad=False)
        return stem


def _last(count: int) -> LRU[Any, Any]:
    """Return a cache of the values that were used last."""
    return LRU(count, lambda _value: 1)
