"""The same blocks of a base in several engines, each of which is measured alone in its process."""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from benchmarks.support.adapters import random_adapter
from benchmarks.support.homes import embedded_base
from loravit_web.adapters import Adapter, ViTAdapterConfig
from loravit_web.backbones import Base
from loravit_web.backbones.forms import InferenceForm
from loravit_web.backbones.plain_block import Layout

Kind = Literal["trunk", "branch"]
Run = Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]
"""Gives the class token or tokens (B, N, D) of pixels or tokens."""
ADAPTED = 5
"""Adapted blocks, as in the preset Quick."""
_LEAST_SECONDS, _MOST_SECONDS, _LEAST_LAPS = 0.2, 1.0, 2


@dataclass(frozen=True)
class Shape:
    """What is computed.

    Attributes:
        kind: the blocks below an adapter with their embedding, or the adapted blocks.
        batch: images.
        side: of an image, in pixels.
    """

    kind: Kind
    batch: int
    side: int


def torch_run(
    base: Base, adapter: Adapter, shape: Shape, dtype: torch.dtype, layout: Layout = "loaded"
) -> Run:
    """As the app computes: trunk with pooled values, or merged blocks in their fastest form."""
    cast = base.cast(dtype)
    form = InferenceForm(cast, layout)
    running = form.base
    adapted = [form.block(block) for block in adapter.merged_blocks(cast, base)]
    blocks = running.fastest_blocks(["cls"], adapted)

    @torch.inference_mode()
    def run(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        given = torch.from_numpy(x)
        if shape.kind == "trunk":
            out = running.trunk(running.embed(given), 0, adapter.first_block).tokens
        else:
            out = running.run_blocks(blocks, given.to(dtype), adapter.first_block)
        return out.float().numpy()

    return run


def onnx_model(base: Base, adapter: Adapter, shape: Shape) -> bytes:
    """The same blocks as an ONNX graph, the adapter merged into the weights of a branch."""
    from loravit_web.export import vit
    from loravit_web.export.graph import Graph

    graph = Graph("part", "fp32")
    if shape.kind == "trunk":
        pixels = graph.add_input("x", ("batch", 3, shape.side, shape.side))
        tokens = vit.embedded(graph, base, pixels, shape.side)
        blocks, changes = range(adapter.first_block), vit.FROZEN
    else:
        tokens = graph.add_input("x", ("batch", base.token_count(shape.side), base.embed_dim))
        blocks, changes = range(adapter.first_block, base.depth), vit.merged(adapter)
    pooled = []
    for index in blocks:
        tokens = vit.block(graph, base, index, tokens, changes, first_only=index == base.depth - 1)
        if shape.kind == "trunk":
            pooled.append(vit.pooled(graph, base, tokens))
    graph.add_output(tokens, "y", ("batch", "count", base.embed_dim))
    if pooled:
        joined = graph.node("Concat", *pooled, axis=1)
        graph.add_output(joined, "pooled", ("batch", len(pooled), len(base.parts), base.embed_dim))
    return graph.model()


def onnxruntime_run(base: Base, adapter: Adapter, shape: Shape, *, int8: bool = False) -> Run:
    """ONNX Runtime, in float32 or with weights and inputs of linear layers in 8 bits."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    model = onnx_model(base, adapter, shape)
    if int8:
        import tempfile
        from pathlib import Path

        import onnx
        from onnxruntime.quantization import QuantType, quantize_dynamic

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "int8.onnx"
            quantize_dynamic(
                onnx.load_from_string(model),
                path,
                per_channel=True,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=["MatMul"],
                extra_options={"MatMulConstBOnly": True},
            )
            model = path.read_bytes()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"x": x})[0]


def openvino_run(base: Base, adapter: Adapter, shape: Shape, precision: str) -> Run:
    """OpenVINO, which computes in the given precision."""
    openvino: Any = importlib.import_module("openvino")
    core = openvino.Core()
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    model = core.compile_model(core.read_model(onnx_model(base, adapter, shape)), "CPU", settings)
    return lambda x: model([x])[0]


ENGINES: Mapping[str, Callable[[Base, Adapter, Shape], Run]] = {
    "torch float32": partial(torch_run, dtype=torch.float32),
    "torch float32, transposed": partial(torch_run, dtype=torch.float32, layout="transposed"),
    "torch float32, reordered": partial(torch_run, dtype=torch.float32, layout="reordered"),
    "torch bfloat16": partial(torch_run, dtype=torch.bfloat16),
    "torch bfloat16, reordered": partial(torch_run, dtype=torch.bfloat16, layout="reordered"),
    "onnxruntime float32": onnxruntime_run,
    "onnxruntime int8": partial(onnxruntime_run, int8=True),
    "openvino float32": partial(openvino_run, precision="f32"),
    "openvino bfloat16": partial(openvino_run, precision="bf16"),
}


def measured(engine: str, shapes: Sequence[Shape]) -> list[dict[str, Any]]:
    """Fastest milliseconds of each shape, and the lowest cosine of its first tokens to torch in float32."""
    base = embedded_base()
    adapter = random_adapter(base, ViTAdapterConfig(r=8, blocks=ADAPTED), 0, image_size=112)
    found = []
    for shape in shapes:
        x = _input(base, shape)
        run = ENGINES[engine](base, adapter, shape)
        row = {**asdict(shape), "ms": 1000 * _fastest(partial(run, x))}
        if shape.batch == 1:
            exact, first = torch_run(base, adapter, shape, torch.float32)(x)[:, 0], run(x)[:, 0]
            norms = np.linalg.norm(first, axis=1) * np.linalg.norm(exact, axis=1)
            row["cosine"] = float((np.sum(first * exact, axis=1) / norms).min())
        found.append(row)
    return found


def _input(base: Base, shape: Shape) -> np.ndarray[Any, Any]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(shape.batch, 3, shape.side, shape.side, generator=generator)
    if shape.kind == "trunk":
        return images.numpy()
    with torch.inference_mode():
        return base.advance(base.embed(images), 0, base.depth - ADAPTED).numpy()


def _fastest(work: Callable[[], object]) -> float:
    """Others only ever make a lap slower."""
    work()
    laps: list[float] = []
    begun = time.perf_counter()
    while len(laps) < _LEAST_LAPS or time.perf_counter() - begun < _LEAST_SECONDS:
        started = time.perf_counter()
        work()
        laps.append(time.perf_counter() - started)
        if time.perf_counter() - begun > _MOST_SECONDS:
            break
    return min(laps)


if __name__ == "__main__":
    torch.set_num_threads(int(sys.argv[2]))
    print(json.dumps(measured(sys.argv[1], [Shape(**shape) for shape in json.loads(sys.argv[3])])))
