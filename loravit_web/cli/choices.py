"""Values that options choose from and that the core defines beside torch, written out to parse without it."""

from __future__ import annotations

from typing import Literal

PresetName = Literal["instant", "draft", "quick", "balanced", "best"]
AdapterTypeName = Literal["LORA", "PREFIX", "LINEAR", "PROBE"]
PoolingName = Literal["cls", "mean", "cls+mean", "map", "none"]
TargetName = Literal["q", "k", "v", "qkv", "proj", "fc1", "fc2"]
