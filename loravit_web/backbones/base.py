"""A frozen ViT, split where adapters need it: embedding, blocks, final norm and pooling."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import torch
from torch import nn

from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.backbones.first_token import FirstTokenBlock
from loravit_web.backbones.preprocessing import Preprocessing, Triple
from loravit_web.backbones.structure import shallow_copy
from loravit_web.backbones.timm_import import import_timm
from loravit_web.errors import LoraVitError

Pooling = Literal["cls", "mean", "cls+mean", "map"]
POOLINGS: tuple[Pooling, ...] = ("cls", "mean", "cls+mean", "map")
MAX_IMAGE_SIZE = 1022
MOST_KEPT = 8
_TIMMS_POOLING: dict[str, Pooling] = {"token": "cls", "avg": "mean", "map": "map"}
_PARTS = ("patch_embed", "_pos_embed", "norm_pre", "blocks", "norm", "fc_norm", "embed_dim")
_SPLIT_TOLERANCE = 1e-3
_SUPPORTED = "choose a plain ViT such as ViT, DeiT, DINOv2, SigLIP, CLIP or EVA-02"


class UnsupportedBase(LoraVitError):
    """The model is not a plain ViT that adapters can be put on."""


class UnsupportedImageSize(LoraVitError):
    """The base can't take pictures of that side."""


class UnsupportedPooling(LoraVitError):
    """The base has not the tokens or the layer that a pooling needs."""


@dataclass(frozen=True, eq=False)
class Base:
    """A frozen timm ViT with its exact weights, never mutated.

    Attributes:
        name: ``embedded`` or the timm name it was asked for by.
        architecture: the timm architecture, without a weights tag.
        weights_sha256: of the weights in float32, without any classification head.
        model: the timm module, evaluation mode, no gradients, no head.
        mean, std: what its pictures are normalised with.
        first_token_apart: whether `FirstTokenBlock` is right for its last block.
    """

    name: str
    architecture: str
    weights_sha256: str
    model: Any
    mean: Triple
    std: Triple
    first_token_apart: bool = False
    _stems: dict[int, Any] = field(default_factory=dict, repr=False)
    _ropes: dict[int, torch.Tensor] = field(default_factory=dict, repr=False)
    _kept: dict[Hashable, torch.Tensor] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def blocks(self) -> list[nn.Module]:
        """The transformer blocks, in order."""
        return list(self.model.blocks)

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.model.blocks)

    @property
    def embed_dim(self) -> int:
        """Width of a token."""
        return int(self.model.embed_dim)

    @property
    def prefix_token_count(self) -> int:
        """Class and register tokens before the patches."""
        return int(self.model.num_prefix_tokens)

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return int(self.model.patch_embed.patch_size[0])

    @property
    def dtype(self) -> torch.dtype:
        """The precision the weights are kept in."""
        return self._weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self._weight.device

    @property
    def _weight(self) -> torch.Tensor:
        return cast(torch.Tensor, next(self.model.blocks.parameters()))

    @property
    def native_pooling(self) -> Pooling:
        """How the model itself pools where it does so in one of our ways, else what its tokens allow."""
        native = _TIMMS_POOLING.get(self.model.global_pool)
        if native is not None and native in self.poolings:
            return native
        return "mean" if self.model.cls_token is None else "cls"

    @property
    def poolings(self) -> tuple[Pooling, ...]:
        """The poolings for which it has the tokens and layers."""
        poolings: list[Pooling] = ["mean"]
        if self.model.cls_token is not None:
            poolings += ["cls", "cls+mean"]
        if getattr(self.model, "attn_pool", None) is not None:
            poolings += ["map"]
        return tuple(poolings)

    def preprocessing(self, image_size: int) -> Preprocessing:
        """How pictures become input of side ``image_size``.

        Raises:
            UnsupportedImageSize: if the side is no multiple of the patch size, or out of range.
        """
        patch = self.patch_size
        if image_size % patch or not 2 * patch <= image_size <= MAX_IMAGE_SIZE:
            lower = max(2 * patch, min(image_size, MAX_IMAGE_SIZE) // patch * patch)
            raise UnsupportedImageSize(
                f"Image size {image_size} does not fit {self.architecture}: choose a multiple of its patch "
                f"size {patch} between {2 * patch} and {MAX_IMAGE_SIZE}, such as {lower}."
            )
        return Preprocessing(image_size, self.mean, self.std)

    def feature_dim(self, pooling: Pooling | None) -> int:
        """Width of the pooled features; None means `native_pooling`.

        Raises:
            UnsupportedPooling: if the base can't pool so.
        """
        if pooling is not None and pooling not in self.poolings:
            raise UnsupportedPooling(
                f"{self.architecture} can't be pooled by {pooling}: choose {' or '.join(self.poolings)}."
            )
        return self.embed_dim * (2 if pooling == "cls+mean" else 1)

    def token_count(self, image_size: int) -> int:
        """Tokens of one picture of side ``image_size``, prefix tokens included."""
        return int((image_size // self.patch_size) ** 2 + self.prefix_token_count)

    @property
    def takes_any_size(self) -> bool:
        """Whether images of any multiple of the patch size can be embedded."""
        return bool(getattr(self.model, "dynamic_img_size", False))

    @property
    def trial_size(self) -> int:
        """Side of a picture to try the base out with: small, or its own where it takes no other."""
        patches = 4 if self.takes_any_size else self.model.patch_embed.grid_size[0]
        return int(self.patch_size * patches)

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images (B, 3, S, S) to the tokens before block 0, (B, N, D)."""
        stem = self._stem(images.shape[-1])
        tokens = stem._pos_embed(stem.patch_embed(images.to(self.device, self.dtype)))
        if isinstance(tokens, tuple):  # Eva gives its rotary positions beside them
            tokens = tokens[0]
        return cast(torch.Tensor, stem.norm_pre(tokens))

    def advance(self, tokens: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Run blocks ``start`` to ``stop - 1`` on tokens (B, N, D)."""
        return self.through(self.blocks[start:stop], tokens, start)

    def through(self, blocks: Sequence[nn.Module], tokens: torch.Tensor, start: int) -> torch.Tensor:
        """Run blocks that stand from ``start`` on, its own or adapted copies, on tokens (B, N, D)."""
        if not blocks or getattr(self.model, "rope", None) is None:
            for block in blocks:
                tokens = block(tokens)
            return tokens
        rope = self._rope(tokens.shape[1])
        for index, block in enumerate(blocks, start=start):
            tokens = block(tokens, rope=rope[index] if self._rope_by_block else rope)
        return tokens

    def once(self, key: Hashable, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What ``compute`` gives, remembered by its key; for what all adapters share.

        Of many keys the last `MOST_KEPT` are.
        """
        with self._lock:
            found = self._kept.get(key)
        if found is None:
            found = compute()
            with self._lock:
                self._kept[key] = found
                while len(self._kept) > MOST_KEPT:
                    del self._kept[next(iter(self._kept))]
        return found

    def read_by(self, poolings: Iterable[Pooling | None], blocks: Sequence[nn.Module]) -> Sequence[nn.Module]:
        """Blocks up to the last one, in the fastest form that gives `features` all that the poolings read."""
        reads = {pooling or self.native_pooling for pooling in poolings}
        if not blocks or not self.first_token_apart or reads != {"cls"}:
            return blocks
        return [*blocks[:-1], FirstTokenBlock(blocks[-1])]

    def features(self, tokens: torch.Tensor, pooling: Pooling | None) -> torch.Tensor:
        """Tokens after the last block (B, N, D) to pooled float32 features (B, F)."""
        pooling = pooling or self.native_pooling
        tokens = self.model.norm(tokens)
        parts = []
        if pooling in ("cls", "cls+mean"):
            parts.append(tokens[:, 0])
        if pooling in ("mean", "cls+mean"):
            parts.append(tokens[:, self.prefix_token_count :].mean(dim=1))
        if pooling == "map":
            whole = getattr(self.model, "pool_include_prefix", True)
            parts.append(self.model.attn_pool(tokens if whole else tokens[:, self.prefix_token_count :]))
        # timm moves the final norm behind the pooling in models that it pools by average.
        return torch.cat([self.model.fc_norm(part) for part in parts], dim=-1).float()

    def cast(self, dtype: torch.dtype, device: torch.device | str | None = None) -> Base:
        """The same base in another precision, on another device where one is named; itself when nothing
        changes."""
        device = self.device if device is None else torch.device(device)
        if dtype == self.dtype and device == self.device:
            return self
        model = copy.deepcopy(self.model).to(device=device, dtype=dtype)
        if getattr(self.model, "rope", None) is not None:
            model.rope = copy.deepcopy(self.model.rope).to(device=device)  # angles need float32
        return self.with_model(model)

    def with_model(self, model: nn.Module) -> Base:
        """The same with another module of the same kind."""
        return Base(
            self.name,
            self.architecture,
            self.weights_sha256,
            model,
            self.mean,
            self.std,
            self.first_token_apart,
        )

    def finish(self) -> None:
        """Wait for what a GPU still has to do, so that a clock tells the truth."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    @property
    def _rope_by_block(self) -> bool:
        return bool(getattr(self.model, "rope_mixed", False))

    def _rope(self, tokens: int) -> torch.Tensor:
        """Rotary positions for so many tokens, computed once."""
        rope = self._ropes.get(tokens)
        if rope is None:
            side = int((tokens - self.prefix_token_count) ** 0.5)
            with torch.inference_mode(False), torch.no_grad():
                rope = self.model.rope.get_embed(shape=(side, side)).to(self.dtype).clone()
            self._ropes[tokens] = rope
        return rope

    def _stem(self, image_size: int) -> Any:
        """The model with position embeddings resampled once for this size (timm would at every call)."""
        with self._lock:
            stem = self._stems.get(image_size)
            if stem is None:
                stem = self._stems[image_size] = self._resampled(image_size)
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


def wrap_base(model: nn.Module, *, name: str, architecture: str, mean: Triple, std: Triple) -> Base:
    """Freeze a timm ViT and make it a `Base` without its head; the module itself is left as it is.

    Whatever its class is called, it is taken when its parts, run one after the other, give what the whole
    gives.

    Raises:
        UnsupportedBase: if the module is not a plain ViT of timm, with what is missing or different.
    """
    missing = [part for part in _PARTS if not hasattr(model, part)]
    if missing:
        raise UnsupportedBase(
            f"{name} is not a plain Vision Transformer of timm (it has no {', '.join(missing)}): "
            f"{_SUPPORTED}."
        )
    vit: Any = copy.deepcopy(model)
    vit.reset_classifier(0)
    vit.requires_grad_(False).eval()
    base = Base(name, architecture, weights_sha256(vit.state_dict()), vit, mean, std)
    _check_split(base)
    return replace(base, first_token_apart=_first_token_apart(base))


@torch.no_grad()
def _check_split(base: Base) -> None:
    """Refuse a model whose parts, run one after the other, are not the whole."""
    model, side = base.model, base.trial_size
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, 3, side, side, generator=generator).to(base.device, base.dtype)
    try:
        whole = model.forward_features(images)
        split = model.norm(base.advance(base.embed(images), 0, base.depth))
    except (RuntimeError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise UnsupportedBase(
            f"{base.name} can't be run block by block ({type(error).__name__}): {_SUPPORTED}."
        ) from error
    tolerance = _SPLIT_TOLERANCE * float(whole.abs().max())
    same = split.shape == whole.shape and torch.allclose(split, whole, rtol=0, atol=tolerance)
    if not same or whole.shape[1] != base.token_count(side):
        raise UnsupportedBase(
            f"{base.name} computes something else than its embedding and blocks in a row: {_SUPPORTED}."
        )


@torch.no_grad()
def _first_token_apart(base: Base) -> bool:
    """Whether the last block gives the same first token when its MLP runs on that token alone."""
    last = base.blocks[-1]
    if not isinstance(getattr(last, "norm2", None), nn.Module):
        return False
    generator = torch.Generator().manual_seed(0)
    shape = (2, base.token_count(base.trial_size), base.embed_dim)
    tokens = torch.randn(shape, generator=generator).to(base.device, base.dtype)
    whole = base.through([last], tokens, base.depth - 1)[:, :1]
    try:
        apart = base.through([FirstTokenBlock(last)], tokens, base.depth - 1)
    except (RuntimeError, TypeError, ValueError, AttributeError, AssertionError):
        return False
    tolerance = _SPLIT_TOLERANCE * float(whole.abs().max())
    return apart.shape == whole.shape and torch.allclose(apart, whole, rtol=0, atol=tolerance)
