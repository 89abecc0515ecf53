"""Which graphs compute a set of tasks: shared ones up to each cut, and a branch per kind of change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from loravit_web.adapters import Adapter
from loravit_web.adapters.prefix import PrefixChange
from loravit_web.backbones import Base
from loravit_web.errors import LoraVitError
from loravit_web.export import vit
from loravit_web.export.graph import Graph, WeightsFile
from loravit_web.runtime.layout import Graph as GraphEntry
from loravit_web.runtime.layout import Precision


class OtherBase(LoraVitError):
    """Tasks of different bases, which cannot share graphs."""


@dataclass(frozen=True)
class Version:
    """A version to export.

    Attributes:
        ref: Exact version, such as ``flowers@2``.
        title: Title of the task.
        adapter: The adapter.
        files: Its files as the catalog has them, content by name.
        unsure_below: Confidence below which an answer is unsure.
        unlike_above: Novelty above which an image is unlike the training images.
        class_titles: Titles of the classes, or empty for the names of the training.
    """

    ref: str
    title: str
    adapter: Adapter
    files: Mapping[str, bytes]
    unsure_below: float
    unlike_above: float
    class_titles: tuple[str, ...] = ()

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names with which it answers, in the order of the logits."""
        return self.class_titles or self.adapter.class_names

    @property
    def folder_name(self) -> str:
        """Name of its folder, without characters that addresses encode."""
        return self.ref.replace("@", "-v")


@dataclass(frozen=True, order=True)
class Part:
    """Blocks that one graph runs.

    Attributes:
        start: Index of the first block.
        stop: Index after the last block.
        kind: ``frozen``, or ``lora`` or ``prefix`` for a branch.
        image_size: Side of the images that it embeds, or 0 if it starts from tokens.
        first_only: Whether only the first token is needed after the last block.
    """

    start: int
    stop: int
    kind: str
    image_size: int = 0
    first_only: bool = False

    @property
    def file(self) -> str:
        """Name of the ONNX file."""
        if self.kind != "frozen":
            return f"branch-{self.start}-{self.kind}{'-cls' if self.first_only else ''}.onnx"
        if self.image_size:
            return f"trunk-{self.image_size}px-{self.stop}.onnx"
        return f"trunk-{self.start}-{self.stop}.onnx"


def paths(base: Base, adapters: Sequence[Adapter]) -> list[tuple[Part, ...]]:
    """Return the parts that compute each adapter, in order; adapters share as many as they can.

    Args:
        base: Base of the adapters.
        adapters: The adapters.

    Raises:
        OtherBase: If an adapter runs on another base.
    """
    for adapter in adapters:
        if adapter.base_sha256 != base.weights_sha256:
            raise OtherBase(
                f"The tasks run on different bases ({base.name} and {adapter.base_name}). Export the tasks "
                "of each base into a folder of their own."
            )
    # an adapter of all blocks cuts at 0, and the first graph then only embeds
    shared = list(pairwise([0, *sorted({adapter.first_block for adapter in adapters})]))
    return [_path(base, adapter, shared) for adapter in adapters]


def _path(base: Base, adapter: Adapter, shared: Iterable[tuple[int, int]]) -> tuple[Part, ...]:
    size, first = adapter.preprocessing.image_size, adapter.first_block
    parts = [
        Part(start, stop, "frozen", 0 if number else size)
        for number, (start, stop) in enumerate(shared)
        if stop <= first
    ]
    if adapter.change.tensors:
        kind = "prefix" if isinstance(adapter.change, PrefixChange) else "lora"
        first_only = adapter.config.poolings(base) - {"none"} == {"cls"}
        parts.append(Part(first, base.depth, kind, first_only=first_only))
    return tuple(parts)


def written(base: Base, part: Part, precision: Precision, weights: WeightsFile) -> tuple[bytes, GraphEntry]:
    """Return the ONNX file of a part, and its entry in ``export.json``.

    Args:
        base: Base in float32.
        part: Blocks to run.
        precision: Precision in which weights are stored.
        weights: File of the weights; extended.

    Raises:
        NotExportable: If the base has parts that cannot be written.
    """
    graph = Graph(part.file.removesuffix(".onnx"), precision, weights)
    changes = vit.Changes(factors=part.kind == "lora", prefixes=part.kind == "prefix")
    width, count = base.embed_dim, len(base.parts)
    if part.image_size:
        pixels = graph.add_input("pixels", ("batch", 3, part.image_size, part.image_size))
        tokens = vit.embedded(graph, base, pixels, part.image_size)
    else:
        tokens = graph.add_input("tokens", ("batch", "count", width))
    pooled = []
    for index in range(part.start, part.stop):
        first_only = part.first_only and index == base.depth - 1
        tokens = vit.block(graph, base, index, tokens, changes, first_only=first_only)
        pooled.append(vit.pooled(graph, base, tokens, first_only=first_only))
    if pooled:
        joined = pooled[0] if len(pooled) == 1 else graph.node("Concat", *pooled, axis=1)
        graph.add_output(joined, "pooled", ("batch", len(pooled), count, width))
    if part.stop == base.depth:
        read = vit.features(graph, base, tokens, first_only=part.first_only)
        graph.add_output(read, "features", ("batch", count, width))
    else:
        graph.add_output(tokens, "next", ("batch", "count", width))
    return graph.model(), GraphEntry(
        file=part.file,
        start=part.start,
        stop=part.stop,
        branch=part.kind != "frozen",
        image_size=part.image_size or None,
        inputs=graph.adapter_inputs(),
    )


def provided(adapter: Adapter) -> dict[str, Any]:
    """Return the tensor's name and the factor of each input that an adapter provides, by input."""
    inputs: dict[str, Any] = {}
    for f in adapter.change.factors or ():
        name = f"blocks.{f.block}.{f.path}"
        inputs[f"a.{f.block}.{f.path}"] = (f"{name}.lora_A.weight", 1.0)
        inputs[f"b.{f.block}.{f.path}"] = (f"{name}.lora_B.weight", f.scale)
    if isinstance(adapter.change, PrefixChange):
        for row in adapter.change.rows:
            for kind in ("keys", "values"):
                inputs[f"{kind}.{row.block}"] = (f"blocks.{row.block}.attn.prefix_{kind}", 1.0)
    return inputs
