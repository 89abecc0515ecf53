"""Loading of a base by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from loravit_web.backbones.base import Base, UnsupportedBase
from loravit_web.backbones.embedded import ARCHITECTURE, embedded_weights
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from loravit_web.backbones.wrapping import wrap_base
from loravit_web.errors import LoraVitError

EMBEDDED = "embedded"
"""Name of the embedded base."""
LoadBase = Callable[[str, Path, Callable[[float, str], None]], Base]
"""Loads a base; see `load_base`."""


class BaseUnavailable(LoraVitError):
    """A base whose weights cannot be loaded."""


class BaseTooLarge(LoraVitError):
    """A base with more parameters than the limit."""


def load_base(name: str, folder: Path, progress: Callable[[float, str], None]) -> Base:
    """Return a base in float32.

    Args:
        name: ``embedded``, or the name of a timm model such as ``vit_small_patch14_dinov2.lvd142m``.
        folder: Folder of the converted embedded base. Models from the hub use the hub's cache.
        progress: Called with a fraction from 0 to 1 and the current step.

    Raises:
        BaseUnavailable: If timm does not know the name, or the weights cannot be downloaded. There is no
            fallback to other weights.
        EmbeddedBaseError: If the embedded base cannot be downloaded or is damaged.
        UnsupportedBase: If the model is not a plain ViT.
    """
    timm = import_timm()
    if name == EMBEDDED:
        weights = embedded_weights(folder, progress)
        with torch.device("meta"):  # skips the random initialization
            model = timm.create_model(ARCHITECTURE, num_classes=0, dynamic_img_size=True, weight_init="skip")
        model.load_state_dict(weights, strict=True, assign=True)
        return wrap_base(model, name=name, architecture=ARCHITECTURE, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise BaseUnavailable(
            f"timm has no model named {name}. Choose embedded or a timm ViT such as "
            "vit_small_patch14_dinov2.lvd142m, or see loravit bases list."
        )
    progress(0.0, f"Loading {name} from the model hub")
    model = _pretrained(name)
    config = timm.data.resolve_model_data_config(model)
    return wrap_base(
        model, name=name, architecture=architecture, mean=tuple(config["mean"]), std=tuple(config["std"])
    )


def check_size(name: str, max_millions: int) -> None:
    """Raise an error if a timm base has too many parameters, before anything is downloaded.

    Args:
        name: Name of the base. A name that timm does not know passes; `load_base` reports it.
        max_millions: Maximum number of parameters, in millions.

    Raises:
        BaseTooLarge: If it has more parameters.
    """
    timm, architecture = import_timm(), name.partition(".")[0]
    if not timm.is_model(architecture):
        return
    with torch.device("meta"):
        model = timm.create_model(architecture, num_classes=0)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    if millions > max_millions:
        raise BaseTooLarge(
            f"The base {name} has {millions:.0f} million parameters, and the limit is {max_millions} "
            "million. "
            "Raise LORAVIT_MAX_BASE_MILLIONS if the machine has enough memory."
        )


def _pretrained(name: str):  # type: ignore[no-untyped-def]
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    timm = import_timm()
    try:
        return timm.create_model(name, pretrained=True, num_classes=0, dynamic_img_size=True)
    except TypeError as error:
        raise UnsupportedBase(
            f"{name} is not a plain timm Vision Transformer. Choose a ViT, DeiT or DINOv2 model."
        ) from error
    except (hub_http_error(), LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise BaseUnavailable(
            f"The weights of {name} could not be downloaded from the model hub. Check the network, or use "
            "the "
            "embedded base (LORAVIT_BASE=embedded)."
        ) from error
    except RuntimeError as error:
        raise BaseUnavailable(
            f"timm has no weights for {name}. Choose one of its tagged variants, or the embedded base."
        ) from error


def hub_http_error() -> type[Exception]:
    """Return the base class of the installed hub client's HTTP errors: that of httpx or of httpx2."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(cause for cause in HfHubHTTPError.__mro__ if cause.__name__ == "HTTPError")
