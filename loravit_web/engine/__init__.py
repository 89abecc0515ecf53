"""Many adapters on one base, answering at once."""

from loravit_web.engine.multilora import MultiLoRAViT, UnknownTask

__all__ = ["MultiLoRAViT", "UnknownTask"]
