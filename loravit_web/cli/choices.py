"""Choices of options. They repeat those of modules that import torch, so that help is fast."""

from __future__ import annotations

from typing import Literal

PresetName = Literal["instant", "draft", "quick", "balanced", "best"]
AdapterTypeName = Literal["LORA", "PREFIX", "LINEAR", "PROBE"]
PoolingName = Literal["cls", "mean", "cls+mean", "map", "none"]
TargetName = Literal["q", "k", "v", "qkv", "proj", "fc1", "fc2"]
