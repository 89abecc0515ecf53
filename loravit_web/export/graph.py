"""An ONNX graph under construction, and the file that several graphs take their weights from.

The graphs are written node by node. torch's exporter would trace the whole base once per cut, cannot take
low-rank factors as inputs without a wrapper, and needs another package; a plain ViT has eight kinds of nodes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from loravit_web import __version__
from loravit_web.runtime.layout import Precision

OPSET = 17
"""Version of the ONNX operators: the first with LayerNormalization."""
IR_VERSION = 8
"""Version of the file format that belongs to `OPSET`."""
_ALIGNMENT = 64
_STORED = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16}
_STORED |= {np.dtype(np.int8): TensorProto.INT8, np.dtype(np.int64): TensorProto.INT64}

Array = np.ndarray[Any, np.dtype[Any]]


class WeightsFile:
    """Weights that several graphs share, each stored once.

    Args:
        name: Name of the file, which the graphs refer to.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._bytes = bytearray()
        self._places: dict[tuple[str, str], tuple[int, int]] = {}

    def tensor(self, name: str, array: Array) -> TensorProto:
        """Return an initializer that refers to an array in the file; append the array if it is new.

        Args:
            name: Name of the weight. The same name stands for the same array.
            array: Content.
        """
        key = (name, array.dtype.str)
        if key not in self._places:
            self._bytes.extend(bytes(-len(self._bytes) % _ALIGNMENT))
            data = array.tobytes()
            self._places[key] = (len(self._bytes), len(data))
            self._bytes.extend(data)
        offset, length = self._places[key]
        proto = TensorProto(name=name, data_type=_STORED[array.dtype], dims=array.shape)
        proto.data_location = TensorProto.EXTERNAL
        for entry, value in (("location", self.name), ("offset", offset), ("length", length)):
            proto.external_data.add(key=entry, value=str(value))
        return proto

    def content(self) -> bytes:
        """Return the content of the file."""
        return bytes(self._bytes)


@dataclass(eq=False)
class Graph:
    """A graph that is written node by node.

    Attributes:
        name: Name of the graph.
        precision: Precision in which large weights are stored. They are computed with in float32.
        shared: File of the large weights, or None to keep them in the graph itself.
    """

    name: str
    precision: Precision
    shared: WeightsFile | None = None
    _nodes: list[Any] = field(default_factory=list)
    _inputs: list[Any] = field(default_factory=list)
    _outputs: list[Any] = field(default_factory=list)
    _initializers: dict[str, TensorProto] = field(default_factory=dict)

    def add_input(self, name: str, shape: Sequence[int | str]) -> str:
        """Add a float32 input; a text in its shape is a dimension of any size."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))
        return name

    def add_output(self, value: str, name: str, shape: Sequence[int | str]) -> None:
        """Name a value as a float32 output."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)))

    def adapter_inputs(self) -> dict[str, tuple[int | None, int | None]]:
        """Return the shape of each input that an adapter provides; None is a dimension of any size."""
        shapes = {
            value.name: [side.dim_value or None for side in value.type.tensor_type.shape.dim]
            for value in self._inputs
        }
        return {name: (shape[0], shape[1]) for name, shape in shapes.items() if len(shape) == 2}

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the name of its value."""
        return self.nodes(kind, *inputs, count=1, **attributes)[0]

    def nodes(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return the names of their values."""
        number = len(self._nodes)
        outputs = [f"{kind.lower()}_{number}" + (f"_{i}" if count > 1 else "") for i in range(count)]
        self._nodes.append(helper.make_node(kind, list(inputs), outputs, **attributes))
        return outputs

    def integers(self, *values: int) -> str:
        """Return the name of a constant vector of integers."""
        return self._inline(f"integers_{'_'.join(map(str, values))}", np.array(values, dtype=np.int64))

    def integer(self, value: int) -> str:
        """Return the name of a constant integer."""
        return self._inline(f"integer_{value}", np.array(value, dtype=np.int64))

    def scalar(self, value: float) -> str:
        """Return the name of a constant float32 scalar."""
        return self._inline(f"scalar_{value!r}", np.array(value, dtype=np.float32))

    def small(self, name: str, tensor: torch.Tensor) -> str:
        """Return the name of a weight that stays in the graph, in float32: a bias, norm or position."""
        return self._inline(name, _array(tensor))

    def matrix(self, name: str, tensor: torch.Tensor) -> str:
        """Return the value of a matrix (in, out) in float32, stored in the precision of the graph."""
        array = _array(tensor)
        if self.precision == "fp32":
            return self._stored(name, array)
        if self.precision == "fp16":
            return self.node("Cast", self._stored(name, array.astype(np.float16)), to=TensorProto.FLOAT)
        scale = np.maximum(np.abs(array).max(axis=0), np.finfo(np.float32).tiny) / 127
        rounded = self._stored(name, np.rint(array / scale).astype(np.int8))
        scaled = self._inline(f"{name}.scale", scale.astype(np.float32))
        return self.node("Mul", self.node("Cast", rounded, to=TensorProto.FLOAT), scaled)

    def model(self) -> bytes:
        """Return the ONNX file."""
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, list(self._initializers.values())
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="loravit-web",
            producer_version=__version__,
        )
        return bytes(model.SerializeToString())

    def _stored(self, name: str, array: Array) -> str:
        if self.shared is None:
            return self._inline(name, array)
        self._initializers.setdefault(name, self.shared.tensor(name, array))
        return name

    def _inline(self, name: str, array: Array) -> str:
        if name not in self._initializers:
            self._initializers[name] = onnx.numpy_helper.from_array(array, name)
        return name


def sha256(data: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _array(tensor: torch.Tensor) -> Array:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())
