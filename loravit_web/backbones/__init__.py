"""The frozen Vision Transformer: loading, identity, preprocessing and execution."""

from loravit_web.backbones.base import Base, UnsupportedBase
from loravit_web.backbones.loading import BaseUnavailable, LoadBase, load_base
from loravit_web.backbones.measured import NothingRemembered, RememberedChoices, Remembers
from loravit_web.backbones.precision import fastest_dtype, remembered_dtype
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.backbones.wrapping import wrap_base

__all__ = [
    "Base",
    "BaseUnavailable",
    "LoadBase",
    "NothingRemembered",
    "Preprocessing",
    "RememberedChoices",
    "Remembers",
    "UnsupportedBase",
    "fastest_dtype",
    "load_base",
    "remembered_dtype",
    "wrap_base",
]
