"""Choices of options. They repeat those of modules that import torch, so that help is fast."""

from __future__ import annotations

from typing import Literal

PresetName = Literal["draft", "quick", "balanced", "best"]
AdapterTypeName = Literal["LORA", "PREFIX", "LINEAR"]
PoolingName = Literal["cls", "mean", "cls+mean", "map"]
TargetName = Literal["q", "k", "v", "qkv", "proj", "fc1", "fc2"]
