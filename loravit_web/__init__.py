"""Many small image classifiers, grown as low-rank adapters on one frozen Vision Transformer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from loravit_web.adapters import ViTAdapterConfig
    from loravit_web.extractor import ViTFeatureExtractor

__all__ = ["ViTAdapterConfig", "ViTFeatureExtractor"]
__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Load torch and timm only for a name that needs them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from loravit_web.adapters import ViTAdapterConfig
    from loravit_web.extractor import ViTFeatureExtractor

    return {"ViTAdapterConfig": ViTAdapterConfig, "ViTFeatureExtractor": ViTFeatureExtractor}[name]
