"""The available adapter types. A new type is a module and an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from loravit_web.adapters.config import AdapterConfigError
from loravit_web.adapters.frozen import Frozen
from loravit_web.adapters.interface import AdapterType
from loravit_web.adapters.lora import LoRA
from loravit_web.adapters.prefix import Prefix

ADAPTER_TYPES: Mapping[str, AdapterType] = MappingProxyType(
    {"LORA": LoRA(), "PREFIX": Prefix(), "LINEAR": Frozen("LINEAR"), "PROBE": Frozen("PROBE")}
)
"""Adapter types by name."""


def adapter_type(name: str) -> AdapterType:
    """Return the adapter type with the given name.

    Raises:
        AdapterConfigError: If the name is unknown.
    """
    try:
        return ADAPTER_TYPES[name]
    except KeyError:
        raise AdapterConfigError(
            f"Adapter type {name} is unknown. Choose one of {', '.join(ADAPTER_TYPES)}."
        ) from None
