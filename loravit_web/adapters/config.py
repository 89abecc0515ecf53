"""What is adapted, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from loravit_web.adapters.files.numbers import ANY, UnusableNumber, number, whole
from loravit_web.backbones.base import POOLINGS, Base, Pooling
from loravit_web.errors import LoraVitError

TARGETS = ("q", "k", "v", "qkv", "proj", "fc1", "fc2")
MAX_RANK = 256
MAX_PREFIX = 64
V = TypeVar("V")
Pairs = tuple[tuple[str, V], ...]


class AdapterConfigError(LoraVitError):
    """A field of the adapter's configuration has a value that can't work."""


@dataclass(frozen=True)
class ViTAdapterConfig:
    """The configuration of an adapter, under PEFT's names where PEFT has one.

    Attributes:
        adapter_type: a key of `ADAPTER_TYPES`: ``LORA``, ``PREFIX`` for learned keys and
            values, or ``LINEAR`` for a head on the frozen base.
        r: rank of the low-rank factors.
        alpha: the change is scaled by alpha / r, or alpha / sqrt(r) with ``use_rslora``.
        dropout: probability with which an input of a factor is dropped while training.
        target_modules: linear layers to adapt in each block; ``q``, ``k``, ``v`` are slices of ``qkv``.
        blocks: how many blocks to adapt, counted from the last; all blocks below are shared by every task.
        use_rslora: rank-stabilised scaling (Kalajdzievski 2023, arXiv 2312.03732).
        pooling: what the head reads: the class token, the mean of the patches, both, or the base's own
            attention pooling (``map``); what the base is made for when None.
        rank_pattern, alpha_pattern: another rank or alpha for some targets, as PEFT's patterns; given as
            mappings, kept as sorted pairs.
        prefix_length: learned keys and values per block, for ``PREFIX``.
    """

    adapter_type: str = "LORA"
    r: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    target_modules: tuple[str, ...] = ("qkv", "proj", "fc1", "fc2")
    blocks: int = 5
    use_rslora: bool = False
    pooling: Pooling | None = None
    rank_pattern: Pairs[int] = ()
    alpha_pattern: Pairs[float] = ()
    prefix_length: int = 8

    def __post_init__(self) -> None:
        for name in ("rank_pattern", "alpha_pattern"):
            object.__setattr__(self, name, tuple(sorted(dict(getattr(self, name)).items())))
        object.__setattr__(self, "target_modules", tuple(self.target_modules))
        for r in (self.r, *dict(self.rank_pattern).values()):
            if not 1 <= r <= MAX_RANK:
                raise AdapterConfigError(f"Rank {r} is out of range: choose 1 to {MAX_RANK}.")
        for alpha in (self.alpha, *dict(self.alpha_pattern).values()):
            if not 0 < alpha <= 1024:
                raise AdapterConfigError(f"Alpha {alpha:g} is out of range: choose a number up to 1024.")
        if not 1 <= self.prefix_length <= MAX_PREFIX:
            raise AdapterConfigError(
                f"Prefix length {self.prefix_length} is out of range: choose 1 to {MAX_PREFIX}."
            )
        if not 0 <= self.dropout < 1:
            raise AdapterConfigError(f"Dropout {self.dropout:g} is out of range: choose 0 or more, below 1.")
        if self.blocks < 1:
            raise AdapterConfigError(f"{self.blocks} adapted blocks make no adapter: choose at least 1.")
        if self.pooling is not None and self.pooling not in POOLINGS:
            raise AdapterConfigError(f"Pooling {self.pooling} is unknown: choose {', '.join(POOLINGS)}.")
        self._check_targets()

    def _check_targets(self) -> None:
        unknown = [target for target in self.target_modules if target not in TARGETS]
        if unknown or not self.target_modules:
            named = f"Target {unknown[0]} is unknown" if unknown else "No target is named"
            raise AdapterConfigError(f"{named}: choose from {', '.join(TARGETS)}.")
        if len(set(self.target_modules)) < len(self.target_modules):
            raise AdapterConfigError("A target is named twice: name each once.")
        if "qkv" in self.target_modules and {"q", "k", "v"} & set(self.target_modules):
            raise AdapterConfigError("qkv already covers q, k and v: name either qkv or its slices.")
        for target, _value in (*self.rank_pattern, *self.alpha_pattern):
            if target not in self.target_modules:
                raise AdapterConfigError(f"A pattern names {target}, which is no target: add it to them.")

    def rank(self, target: str) -> int:
        """The rank of a target."""
        return dict(self.rank_pattern).get(target, self.r)

    def scale(self, target: str) -> float:
        """The factor s in W + s·BA of a target."""
        alpha, r = dict(self.alpha_pattern).get(target, self.alpha), self.rank(target)
        return float(alpha / (r**0.5 if self.use_rslora else r))

    def on(self, base: Base) -> ViTAdapterConfig:
        """The same with its pooling named.

        Raises:
            UnsupportedPooling: if the base can't pool so.
        """
        base.feature_dim(self.pooling)
        return replace(self, pooling=self.pooling or base.native_pooling)

    def first_block(self, depth: int) -> int:
        """Index of the first adapted block in a base of ``depth`` blocks.

        Raises:
            AdapterConfigError: if more blocks are to be adapted than there are.
        """
        if self.blocks > depth:
            raise AdapterConfigError(
                f"{self.blocks} blocks are to be adapted but the base has {depth}: choose 1 to {depth}."
            )
        return depth - self.blocks

    def as_json(self) -> dict[str, Any]:
        """All fields, lists and mappings instead of tuples."""
        return {
            **asdict(self),
            "target_modules": list(self.target_modules),
            "rank_pattern": dict(self.rank_pattern),
            "alpha_pattern": dict(self.alpha_pattern),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ViTAdapterConfig:
        """The inverse of `as_json`.

        Raises:
            AdapterConfigError: on an unknown field.
            UnusableNumber: for a value of another kind.
        """
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise AdapterConfigError(f"The adapter's configuration has an unknown field {min(unknown)}.")
        _check_kinds(data)
        return cls(**{**data, "target_modules": tuple(data.get("target_modules", cls.target_modules))})


def _check_kinds(data: Mapping[str, Any]) -> None:
    """Check the kinds of numbers; their ranges are the configuration's own business.

    Raises:
        UnusableNumber: if a number is none.
    """
    wholes = {name: data[name] for name in ("r", "blocks", "prefix_length") if name in data}
    reals = {name: data[name] for name in ("alpha", "dropout") if name in data}
    wholes |= {f"rank_pattern.{name}": r for name, r in dict(data.get("rank_pattern") or {}).items()}
    reals |= {f"alpha_pattern.{name}": a for name, a in dict(data.get("alpha_pattern") or {}).items()}
    for name, value in wholes.items():
        whole(name, value, -ANY, ANY)
    for name, value in reals.items():
        number(name, value, -ANY, ANY)
    if not isinstance(data.get("use_rslora", False), bool):
        raise UnusableNumber("use_rslora", data["use_rslora"], "true or false")
