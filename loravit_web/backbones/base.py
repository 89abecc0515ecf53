"""A frozen ViT, split where adapters need it: embedding, blocks, final norm and pooling."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import torch
from torch import nn

from loravit_web.backbones.fingerprint import weights_sha256
from loravit_web.backbones.preprocessing import Preprocessing, Triple
from loravit_web.backbones.structure import shallow_copy
from loravit_web.backbones.timm_import import import_timm
from loravit_web.errors import LoraVitError

Pooling = Literal["cls", "mean", "cls+mean"]
POOLINGS: tuple[Pooling, ...] = ("cls", "mean", "cls+mean")
MAX_IMAGE_SIZE = 1022
_PARTS = ("patch_embed", "_pos_embed", "patch_drop", "norm_pre", "blocks", "norm", "fc_norm", "embed_dim")


class UnsupportedBase(LoraVitError):
    """The model is not a plain ViT that adapters can be put on."""


class UnsupportedImageSize(LoraVitError):
    """The base can't take pictures of that side."""


@dataclass(frozen=True)
class Base:
    """A frozen timm ViT with its exact weights, never mutated.

    Attributes:
        name: ``embedded`` or the timm name it was asked for by.
        architecture: the timm architecture, without a weights tag.
        weights_sha256: of the weights in float32, without any classification head.
        model: the timm module, evaluation mode, no gradients, no head.
        mean, std: what its pictures are normalised with.
    """

    name: str
    architecture: str
    weights_sha256: str
    model: Any
    mean: Triple
    std: Triple
    _stems: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)
    _stems_lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

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
        return cast(torch.dtype, self.model.cls_token.dtype)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return cast(torch.device, self.model.cls_token.device)

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

    def feature_dim(self, pooling: Pooling) -> int:
        """Width of the pooled features."""
        return self.embed_dim * (2 if pooling == "cls+mean" else 1)

    def token_count(self, image_size: int) -> int:
        """Tokens of one picture of side ``image_size``, prefix tokens included."""
        return (image_size // self.patch_size) ** 2 + self.prefix_token_count

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images (B, 3, S, S) to the tokens before block 0, (B, N, D)."""
        stem = self._stem(images.shape[-1])
        tokens = stem._pos_embed(stem.patch_embed(images.to(self.dtype)))
        return cast(torch.Tensor, stem.norm_pre(stem.patch_drop(tokens)))

    def advance(self, tokens: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Run blocks ``start`` to ``stop - 1`` on tokens (B, N, D)."""
        for block in self.blocks[start:stop]:
            tokens = block(tokens)
        return tokens

    def features(self, tokens: torch.Tensor, pooling: Pooling) -> torch.Tensor:
        """Tokens after the last block (B, N, D) to pooled float32 features (B, F)."""
        tokens = self.model.norm(tokens)
        parts = []
        if pooling != "mean":
            parts.append(tokens[:, 0])
        if pooling != "cls":
            parts.append(tokens[:, self.prefix_token_count :].mean(dim=1))
        # timm moves the final norm behind the pooling in models that it pools by average.
        return torch.cat([self.model.fc_norm(part) for part in parts], dim=-1).float()

    def cast(self, dtype: torch.dtype, device: torch.device | str = "cpu") -> Base:
        """The same base in another precision or on another device; itself when nothing changes."""
        device = torch.device(device)
        if dtype == self.dtype and device == self.device:
            return self
        model = copy.deepcopy(self.model).to(device=device, dtype=dtype)
        return Base(self.name, self.architecture, self.weights_sha256, model, self.mean, self.std)

    def _stem(self, image_size: int) -> Any:
        """The model with position embeddings resampled once for this size (timm would at every call)."""
        with self._stems_lock:
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
    """Freeze a timm ViT and make it a `Base` without its head.

    Raises:
        UnsupportedBase: if the module is not a plain timm ``VisionTransformer``.
    """
    missing = [part for part in _PARTS if not hasattr(model, part)]
    if missing:
        raise UnsupportedBase(
            f"{name} is not a plain Vision Transformer of timm (it has no {', '.join(missing)}): "
            "choose a ViT, DeiT or DINOv2 model."
        )
    vit: Any = shallow_copy(model)
    if vit.num_prefix_tokens < 1 or getattr(vit, "attn_pool", None) is not None:
        raise UnsupportedBase(f"{name} has no class token: choose a ViT, DeiT or DINOv2 model.")
    vit.reset_classifier(0)
    vit.requires_grad_(False).eval()
    return Base(name, architecture, weights_sha256(vit.state_dict()), vit, mean, std)
