"""Many adapters on one base, answering at once."""

from loravit_web.engine.measure import Way, fastest_engine, fastest_way
from loravit_web.engine.multilora import MultiLoRAViT
from loravit_web.engine.pool import EnginePool
from loravit_web.engine.residency import UnknownTask
from loravit_web.engine.routing import MultiLoRALayer, Segment, routed

__all__ = [
    "EnginePool",
    "MultiLoRALayer",
    "MultiLoRAViT",
    "Segment",
    "UnknownTask",
    "Way",
    "fastest_engine",
    "fastest_way",
    "routed",
]
