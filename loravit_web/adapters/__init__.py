"""Adapters: configuration, layers, adapter types and file format."""

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.config import AdapterConfigError, ViTAdapterConfig
from loravit_web.adapters.layers import LoRALayer
from loravit_web.adapters.types import ADAPTER_TYPES, adapter_type

__all__ = [
    "ADAPTER_TYPES",
    "Adapter",
    "AdapterConfigError",
    "LoRALayer",
    "ViTAdapterConfig",
    "adapter_type",
]
