"""The frozen Vision Transformer: where its weights come from, its identity, how it is run."""

from loravit_web.backbones.base import Base, UnsupportedBase, wrap_base
from loravit_web.backbones.loading import BaseUnavailable, LoadBase, load_base
from loravit_web.backbones.precision import fastest_dtype
from loravit_web.backbones.preprocessing import Preprocessing

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
