"""Bases to choose from: those at hand, and recommended ones from the Hugging Face Hub. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from loravit_web.errors import LoraVitError
from registry import Registry, StoredBase

Source = Literal["app", "store", "cache", "hub"]
"""Where the weights come from: the app itself, the artifact store, the local cache of the Hub, or the Hub."""
AT_HAND: frozenset[Source] = frozenset({"app", "store", "cache"})


class BaseNotOffered(LoraVitError):
    """A base that a visitor cannot choose for a training."""


@dataclass(frozen=True)
class OfferedBase:
    """A base that a training can use.

    Attributes:
        name: Name by which `find_base` finds it.
        source: Where its weights come from.
        architecture: Name of the timm architecture.
        license: Name of the license of the weights; empty if it is not known.
        patch_size: Side of a patch in pixels; None if it is not known.
        megabytes: Size of the weights in float32; None if it is not known.
        summary: A figure and a sentence for people.
    """

    name: str
    source: Source
    architecture: str
    license: str
    patch_size: int | None
    megabytes: int | None
    summary: str

    @property
    def is_at_hand(self) -> bool:
        """Whether no model hub is needed to load it."""
        return self.source in AT_HAND


EMBEDDED = OfferedBase(
    "embedded",
    "app",
    "vit_small_patch14_dinov2",
    "MIT",
    14,
    86,
    "70.3 % on CIFAR-10 with a linear probe (benchmarks/README.md). The bundled adapters run on it.",
)
RECOMMENDED: tuple[OfferedBase, ...] = (
    OfferedBase(
        "vit_small_patch14_dinov2.lvd142m",
        "hub",
        "vit_small_patch14_dinov2",
        "Apache-2.0",
        14,
        88,
        "81.1 % on ImageNet-1k with a linear probe (README of DINOv2). As fast as the embedded base.",
    ),
    OfferedBase(
        "vit_base_patch14_dinov2.lvd142m",
        "hub",
        "vit_base_patch14_dinov2",
        "Apache-2.0",
        14,
        346,
        "84.5 % on ImageNet-1k with a linear probe (README of DINOv2). Four times as many parameters.",
    ),
    OfferedBase(
        "vit_small_patch16_dinov3.lvd1689m",
        "hub",
        "vit_small_patch16_dinov3",
        "DINOv3 License",
        16,
        86,
        "81.4 % on ImageNet-1k with a linear probe (yberreby/dinov3-in1k-probes). Read its license "
        "before you use it at work.",
    ),
)
"""Bases from the Hub that are worth a try, the first one first. The figures are published ones."""


def offered_bases(
    registry: Registry, configured: str, is_cached: Callable[[str], bool]
) -> tuple[OfferedBase, ...]:
    """Return the bases to choose from: the configured one, the others at hand, then the recommended ones.

    Args:
        registry: Registry over the artifact store.
        configured: Name of the base that the app preloads.
        is_cached: Returns whether the local cache of the Hub has the weights of a timm model.
    """
    stored = [_of_stored(base) for base in registry.base_files.list()]
    taken = {base.name for base in stored}
    others = [base for base in RECOMMENDED if base.name not in taken]
    cached = [replace(base, source="cache") for base in others if is_cached(base.name)]
    names = {base.name for base in cached}
    missing = [base for base in others if base.name not in names]
    found = {base.name: base for base in (EMBEDDED, *stored, *cached, *missing)}
    first = found.pop(configured, None) or _configured(configured)
    return first, *found.values()


def check_offered(bases: Iterable[OfferedBase], name: str) -> None:
    """Raise BaseNotOffered unless one of the bases has the name."""
    names = [base.name for base in bases]
    if name not in names:
        raise BaseNotOffered(f"The base {name} cannot be chosen here. Choose {' or '.join(names)}.")


def _of_stored(base: StoredBase) -> OfferedBase:
    return OfferedBase(
        base.base.name,
        "store",
        base.base.architecture,
        base.license,
        base.patch_size,
        round(base.weights.size / 1e6),
        f"{base.parameters / 1e6:.1f} million parameters. Added to the store by {base.added_by}.",
    )


def _configured(name: str) -> OfferedBase:
    summary = "The base that this app preloads (LORAVIT_BASE)."
    return OfferedBase(name, "app", name.partition(".")[0], "", None, None, summary)
