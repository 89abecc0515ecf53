"""Many adapters on one base, answering at once."""

from loravit_web.engine.multilora import MultiLoRAViT, UnknownTask
from loravit_web.engine.pool import EnginePool

__all__ = ["EnginePool", "MultiLoRAViT", "UnknownTask"]
