"""What an export says about its base: name, hash, source and license."""

from __future__ import annotations

from loravit_web.backbones import Base
from loravit_web.backbones.embedded import REQUIREMENT
from loravit_web.backbones.loading import EMBEDDED

UNKNOWN = "unknown"


def base_entry(base: Base) -> dict[str, str]:
    """Return what ``export.json`` says about a base."""
    config = getattr(base.model, "pretrained_cfg", None) or {}
    if base.name == EMBEDDED:
        source, license_name = f"the Python package {REQUIREMENT}", "MIT"
    else:
        source = str(config.get("hf_hub_id") or "the store of the app that exported it")
        license_name = str(config.get("license") or UNKNOWN)
    return {
        "name": base.name,
        "architecture": base.architecture,
        "weights_sha256": base.weights_sha256,
        "source": source,
        "license": license_name,
    }
