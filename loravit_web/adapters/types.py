"""The types of adapter there are. A new one is a module of its own and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from loravit_web.adapters.config import AdapterConfigError
from loravit_web.adapters.interface import AdapterType
from loravit_web.adapters.linear import Linear
from loravit_web.adapters.lora import LoRA
from loravit_web.adapters.prefix import Prefix

ADAPTER_TYPES: Mapping[str, AdapterType] = MappingProxyType(
    {"LORA": LoRA(), "PREFIX": Prefix(), "LINEAR": Linear()}
)


def adapter_type(name: str) -> AdapterType:
    """The type of that name.

    Raises:
        AdapterConfigError: if there is none.
    """
    try:
        return ADAPTER_TYPES[name]
    except KeyError:
        raise AdapterConfigError(
            f"Adapter type {name} is unknown: choose {', '.join(ADAPTER_TYPES)}."
        ) from None
