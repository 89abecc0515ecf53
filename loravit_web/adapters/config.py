"""Configuration of an adapter: what is adapted, and how strongly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, TypeVar

from loravit_web.adapters.files.numbers import ANY, InvalidValue, integer, number
from loravit_web.adapters.readout import Readout, Tap, fitting, last_block, parse_readout
from loravit_web.backbones.base import POOLINGS, Base, Pooling
from loravit_web.errors import LoraVitError
from loravit_web.util.labels import LABELS, Labels

TARGETS = ("q", "k", "v", "qkv", "proj", "fc1", "fc2")
"""Names of the linear layers that can be adapted."""
FROZEN_TYPES = ("LINEAR", "PROBE")
"""Adapter types that leave the base unchanged."""
MAX_RANK = 256
"""Maximum rank of the low-rank factors."""
MAX_PREFIX = 64
"""Maximum number of learned keys and values per block."""
V = TypeVar("V")
Pairs = tuple[tuple[str, V], ...]
"""Sorted pairs of target and value: a mapping that can be hashed."""


class AdapterConfigError(LoraVitError):
    """A field of an adapter's configuration has an invalid value."""


@dataclass(frozen=True)
class ViTAdapterConfig:
    """Configuration of an adapter, with the field names of PEFT where PEFT has the field.

    Attributes:
        adapter_type: Key of `ADAPTER_TYPES`: ``LORA`` for low-rank factors, ``PREFIX`` for learned keys and
            values, ``LINEAR`` for a trained head on the frozen base, or ``PROBE`` for a head on the frozen
            base that is computed in closed form.
        r: Rank of the low-rank factors, 1 to `MAX_RANK`.
        alpha: Numerator of the scale: alpha / r, or alpha / sqrt(r) with ``use_rslora``.
        dropout: Fraction of the factors' inputs dropped during training, at least 0 and below 1.
        target_modules: Linear layers to adapt in each block; ``q``, ``k`` and ``v`` are slices of ``qkv``.
        blocks: Number of blocks to adapt, counted from the last. All tasks share the blocks below.
        use_rslora: Whether to use rank-stabilized scaling, rsLoRA (Kalajdzievski 2023, arXiv 2312.03732).
        pooling: Features of the last block that the head reads after the final norm: the class token
            (``cls``), the mean of the patch tokens (``mean``), both, the base's attention pooling (``map``),
            or nothing (``none``). None for the base's own pooling.
        rank_pattern: Rank of targets that differ from ``r``, as in PEFT. Given as a mapping, kept as sorted
            pairs.
        alpha_pattern: Alpha of targets that differ from ``alpha``, as in PEFT. Given as a mapping, kept as
            sorted pairs.
        prefix_length: Number of learned keys and values per block for ``PREFIX``, 1 to `MAX_PREFIX`.
        readout: What the head reads beside the pooled features: parts of the tokens after some blocks. None
            lets the training choose; a trained adapter names its taps.
        labels: How many labels an image can have. The training takes it from the data.
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
    readout: Readout | None = ()
    labels: Labels = "one"

    def __post_init__(self) -> None:
        for name in ("rank_pattern", "alpha_pattern"):
            object.__setattr__(self, name, tuple(sorted(dict(getattr(self, name)).items())))
        object.__setattr__(self, "target_modules", tuple(self.target_modules))
        for r in (self.r, *dict(self.rank_pattern).values()):
            if not 1 <= r <= MAX_RANK:
                raise AdapterConfigError(f"Rank {r} is out of range. Choose 1 to {MAX_RANK}.")
        for alpha in (self.alpha, *dict(self.alpha_pattern).values()):
            if not 0 < alpha <= 1024:
                raise AdapterConfigError(
                    f"Alpha {alpha:g} is out of range. Choose a number above 0, up to 1024."
                )
        if not 1 <= self.prefix_length <= MAX_PREFIX:
            raise AdapterConfigError(
                f"Prefix length {self.prefix_length} is out of range. Choose 1 to {MAX_PREFIX}."
            )
        if not 0 <= self.dropout < 1:
            raise AdapterConfigError(
                f"Dropout {self.dropout:g} is out of range. Choose at least 0 and below 1."
            )
        if self.blocks < 1:
            raise AdapterConfigError(f"Number of blocks {self.blocks} is out of range. Choose at least 1.")
        if self.pooling is not None and self.pooling not in POOLINGS:
            raise AdapterConfigError(
                f"Pooling {self.pooling} is unknown. Choose one of {', '.join(POOLINGS)}."
            )
        if self.pooling == "none" and self.readout == ():
            raise AdapterConfigError("The head reads nothing. Choose a pooling or a readout.")
        if self.labels not in LABELS:
            raise AdapterConfigError(f"Labels {self.labels} is unknown. Choose one of {', '.join(LABELS)}.")
        self._check_targets()

    def _check_targets(self) -> None:
        unknown = [target for target in self.target_modules if target not in TARGETS]
        if unknown or not self.target_modules:
            problem = f"Target {unknown[0]} is unknown" if unknown else "No target module is chosen"
            raise AdapterConfigError(f"{problem}. Choose from {', '.join(TARGETS)}.")
        if len(set(self.target_modules)) < len(self.target_modules):
            raise AdapterConfigError("A target module is named twice. Name each of them once.")
        if "qkv" in self.target_modules and {"q", "k", "v"} & set(self.target_modules):
            raise AdapterConfigError(
                "Target qkv already includes q, k and v. Choose either qkv or its slices."
            )
        for target, _value in (*self.rank_pattern, *self.alpha_pattern):
            if target not in self.target_modules:
                raise AdapterConfigError(
                    f"A pattern names {target}, which is not a target module. Add it to the target modules."
                )

    def rank(self, target: str) -> int:
        """Return the rank of a target."""
        return dict(self.rank_pattern).get(target, self.r)

    def scale(self, target: str) -> float:
        """Return the factor s of a target in W + s·BA."""
        alpha, r = dict(self.alpha_pattern).get(target, self.alpha), self.rank(target)
        return float(alpha / (r**0.5 if self.use_rslora else r))

    def resolved(self, base: Base) -> ViTAdapterConfig:
        """Return the configuration with its pooling and its readout resolved for a base.

        Raises:
            UnsupportedPooling: If the base does not support the pooling.
            ReadoutError: If the base does not have the blocks of the readout.
        """
        base.feature_dim(self.pooling)
        readout = None if self.readout is None else fitting(self.readout, base)
        return replace(self, pooling=self.pooling or base.native_pooling, readout=readout)

    @property
    def taps(self) -> Readout:
        """The readout, which is known.

        Raises:
            ValueError: If the training has not chosen it yet.
        """
        if self.readout is None:
            raise ValueError("the readout has not been chosen")
        return self.readout

    def head_width(self, base: Base) -> int:
        """Return the number of features F that the head reads."""
        return base.feature_dim(self.pooling) + len(self.taps) * base.embed_dim

    def last_block(self, base: Base) -> int:
        """Return the number of blocks that have to be run for the head."""
        frozen = self.adapter_type in FROZEN_TYPES and self.pooling == "none" and self.readout
        return last_block(self.taps) if frozen else base.depth

    def poolings(self, base: Base) -> set[Pooling]:
        """Return poolings that together read what the head reads of the last block."""
        reads: set[Pooling] = {self.pooling or base.native_pooling}
        return reads | ({"mean"} if Tap(base.depth, "mean") in (self.readout or ()) else set())

    def adapted_blocks(self, depth: int) -> int:
        """Return the number of adapted blocks in a base of ``depth`` blocks.

        Raises:
            AdapterConfigError: If the base has fewer blocks than are to be adapted.
        """
        return 0 if self.adapter_type in FROZEN_TYPES else depth - self.first_block(depth)

    def first_block(self, depth: int) -> int:
        """Return the index of the first adapted block in a base of ``depth`` blocks.

        Raises:
            AdapterConfigError: If the base has fewer blocks than are to be adapted.
        """
        if self.blocks > depth:
            raise AdapterConfigError(
                f"The base has {depth} blocks, so {self.blocks} cannot be adapted. Choose 1 to {depth}."
            )
        return depth - self.blocks

    def as_json(self) -> dict[str, Any]:
        """Return all fields, with lists and mappings instead of tuples."""
        document = {
            **asdict(self),
            "target_modules": list(self.target_modules),
            "rank_pattern": dict(self.rank_pattern),
            "alpha_pattern": dict(self.alpha_pattern),
            "readout": None if self.readout is None else [str(tap) for tap in self.readout],
        }
        if self.labels == "one":
            del document["labels"]  # earlier versions of the app do not know the field
        return document

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ViTAdapterConfig:
        """Return the configuration that `as_json` wrote.

        Raises:
            AdapterConfigError: If a field is unknown or out of range.
            InvalidValue: If a value has a wrong type.
        """
        unknown = set(data) - {f.name for f in fields(cls)}
        if unknown:
            raise AdapterConfigError(
                f"The adapter's configuration has the unknown field {min(unknown)}. Remove the field."
            )
        _check_types(data)
        readout = data.get("readout", ())
        return cls(
            **{
                **data,
                "target_modules": tuple(data.get("target_modules", cls.target_modules)),
                "readout": None if readout is None else parse_readout(readout),
            }
        )


def _check_types(data: Mapping[str, Any]) -> None:
    """Check the types of numbers; `ViTAdapterConfig` checks their ranges.

    Raises:
        InvalidValue: If a value has a wrong type.
    """
    integers = {name: data[name] for name in ("r", "blocks", "prefix_length") if name in data}
    numbers = {name: data[name] for name in ("alpha", "dropout") if name in data}
    integers |= {f"rank_pattern.{name}": r for name, r in dict(data.get("rank_pattern") or {}).items()}
    numbers |= {f"alpha_pattern.{name}": a for name, a in dict(data.get("alpha_pattern") or {}).items()}
    for name, value in integers.items():
        integer(name, value, -ANY, ANY)
    for name, value in numbers.items():
        number(name, value, -ANY, ANY)
    readout = data.get("readout")
    if readout is not None and not (
        isinstance(readout, list) and all(isinstance(entry, str) for entry in readout)
    ):
        raise InvalidValue("readout", readout, "a list of texts")
    if not isinstance(data.get("use_rslora", False), bool):
        raise InvalidValue("use_rslora", data["use_rslora"], "true or false")
