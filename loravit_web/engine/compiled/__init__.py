"""Blocks compiled by OpenVINO, which answer few images faster than PyTorch on many CPUs."""

from loravit_web.engine.compiled.choice import (
    Engine,
    EngineUnusable,
    OpenVino,
    installed_version,
    openvino_for,
)
from loravit_web.engine.compiled.parts import COMPILED_BUDGET, CompiledParts, PartRun, TrunkRun

__all__ = [
    "COMPILED_BUDGET",
    "CompiledParts",
    "Engine",
    "EngineUnusable",
    "OpenVino",
    "PartRun",
    "TrunkRun",
    "installed_version",
    "openvino_for",
]
