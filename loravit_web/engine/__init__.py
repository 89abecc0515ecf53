"""Inference with many adapters on one frozen base."""

from loravit_web.engine.measure import ComputeMode, fastest_engine, fastest_layout, fastest_mode
from loravit_web.engine.multilora import MultiLoRAViT
from loravit_web.engine.pool import EnginePool
from loravit_web.engine.residency import UnknownTask
from loravit_web.engine.routing import MultiLoRALayer, Segment, routed

__all__ = [
    "ComputeMode",
    "EnginePool",
    "MultiLoRALayer",
    "MultiLoRAViT",
    "Segment",
    "UnknownTask",
    "fastest_engine",
    "fastest_layout",
    "fastest_mode",
    "routed",
]
