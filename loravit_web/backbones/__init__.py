"""The frozen Vision Transformer: loading, identity, preprocessing and execution."""

from loravit_web.backbones.base import Base, UnsupportedBase
from loravit_web.backbones.loading import BaseUnavailable, LoadBase, load_base
from loravit_web.backbones.precision import fastest_dtype
from loravit_web.backbones.preprocessing import Preprocessing
from loravit_web.backbones.wrapping import wrap_base

__all__ = [
    "Base",
    "BaseUnavailable",
    "LoadBase",
    "Preprocessing",
    "UnsupportedBase",
    "fastest_dtype",
    "load_base",
    "wrap_base",
]
