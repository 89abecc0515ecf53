"""From the name of a base to a `Base` in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from loravit_web.backbones.base import Base, UnsupportedBase, wrap_base
from loravit_web.backbones.embedded import ARCHITECTURE, embedded_weights
from loravit_web.backbones.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from loravit_web.backbones.timm_import import import_timm
from loravit_web.errors import LoraVitError

EMBEDDED = "embedded"
LoadBase = Callable[[str, Path, Callable[[float, str], None]], Base]


class BaseUnavailable(LoraVitError):
    """The weights of the base can't be had."""


class BaseTooLarge(LoraVitError):
    """A base with more parameters than may be loaded."""


def load_base(name: str, folder: Path, progress: Callable[[float, str], None]) -> Base:
    """Load a base in float32.

    Args:
        name: ``embedded``, or a timm model name such as ``vit_small_patch14_dinov2.lvd142m``.
        folder: where the embedded base keeps its converted weights; hub models use the hub's cache.
        progress: told a fraction of 0 to 1 and what is being done.

    Raises:
        BaseUnavailable: if timm does not know the name or its weights can't be downloaded. There is
            no fall-back to other weights.
        UnsupportedBase: if the model is not a plain ViT.
    """
    timm = import_timm()
    if name == EMBEDDED:
        weights = embedded_weights(folder, progress)
        with torch.device("meta"):  # nothing random is drawn that the weights then replace
            model = timm.create_model(ARCHITECTURE, num_classes=0, dynamic_img_size=True, weight_init="skip")
        model.load_state_dict(weights, strict=True, assign=True)
        return wrap_base(model, name=name, architecture=ARCHITECTURE, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise BaseUnavailable(
            f"timm has no model named {name}: set LORAVIT_BASE to 'embedded' or to a timm ViT such as "
            "vit_small_patch14_dinov2.lvd142m."
        )
    progress(0.0, f"Loading {name} from the model hub")
    model = _pretrained(name)
    config = timm.data.resolve_model_data_config(model)
    return wrap_base(
        model, name=name, architecture=architecture, mean=tuple(config["mean"]), std=tuple(config["std"])
    )


def check_size(name: str, most_millions: int) -> None:
    """Refuse a timm base with too many parameters before anything of it is fetched.

    Args:
        most_millions: parameters that it may have, in millions.

    Raises:
        BaseTooLarge: if it has more. A name that timm does not know passes: `load_base` says so.
    """
    timm, architecture = import_timm(), name.partition(".")[0]
    if not timm.is_model(architecture):
        return
    with torch.device("meta"):
        model = timm.create_model(architecture, num_classes=0)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    if millions > most_millions:
        raise BaseTooLarge(
            f"The base {name} has {millions:.0f} million parameters and at most {most_millions} million are "
            "loaded here: raise LORAVIT_MAX_BASE_MILLIONS where there is the memory."
        )


def _pretrained(name: str):  # type: ignore[no-untyped-def]
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    timm = import_timm()
    try:
        return timm.create_model(name, pretrained=True, num_classes=0, dynamic_img_size=True)
    except TypeError as error:
        raise UnsupportedBase(
            f"{name} is not a plain Vision Transformer of timm: choose a ViT, DeiT or DINOv2 model."
        ) from error
    except (hub_http_error(), LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise BaseUnavailable(
            f"The weights of {name} could not be downloaded from the model hub: check the network, "
            "or use the embedded base (LORAVIT_BASE=embedded)."
        ) from error
    except RuntimeError as error:
        raise BaseUnavailable(
            f"timm has no weights for {name}: name one of its tagged variants, or use the embedded base."
        ) from error


def hub_http_error() -> type[Exception]:
    """What the installed hub client raises for all that goes wrong with HTTP: httpx's error, or httpx2's."""
    from huggingface_hub.errors import HfHubHTTPError

    return next(cause for cause in HfHubHTTPError.__mro__ if cause.__name__ == "HTTPError")
