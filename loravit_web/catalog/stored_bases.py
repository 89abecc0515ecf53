"""Bases that the artifact store holds: putting one in, and loading one without a model hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loravit_web.backbones.base import Base
from loravit_web.backbones.loading import EMBEDDED, BaseUnavailable, LoadBase
from loravit_web.backbones.weights_file import WeightsFileError, base_of_weights, weights_bytes, weights_of
from loravit_web.errors import LoraVitError
from registry import (
    BlobDamaged,
    BlobMissing,
    BlobStoreUnreachable,
    NewBase,
    NewStoredBase,
    Registry,
    StoredBase,
)


class NameReserved(LoraVitError):
    """A name that cannot be given to a stored base, because it means the embedded one."""


class StoredBaseUnusable(BaseUnavailable):
    """A stored base whose file is missing, damaged, or read differently than when it was stored."""


class StoreUnreachable(BaseUnavailable):
    """A stored base in a store that does not answer."""

    def __init__(self, error: BlobStoreUnreachable) -> None:
        super().__init__(str(error))
        self._in_public = error.in_public

    @property
    def in_public(self) -> str:
        """The text for visitors, without the address of the store."""
        return self._in_public


def new_stored_base(base: Base, name: str, *, license: str, card: str) -> NewStoredBase:
    """Return what the registry stores of a base.

    Args:
        base: The base, in float32.
        name: Name to store it under.
        license: Name of the license of its weights; empty if it is not known.
        card: Markdown for people; empty for none.

    Raises:
        NameReserved: If the name is that of the embedded base.
    """
    if name == EMBEDDED:
        raise NameReserved(f"The name {EMBEDDED} means the embedded base. Choose another name.")
    return NewStoredBase(
        NewBase(name, base.weights_sha256, base.architecture, base.embed_dim, base.depth),
        weights_bytes(base),
        mean=base.mean,
        std=base.std,
        patch_size=base.patch_size,
        parameters=sum(parameter.numel() for parameter in base.model.parameters()),
        license=license,
        card=card,
    )


def find_base(
    registry: Registry, load: LoadBase, name: str, folder: Path, progress: Callable[[float, str], None]
) -> Base:
    """Return a base in float32: from the artifact store if it has one of this name, else from elsewhere.

    Args:
        registry: Registry over the store.
        load: Loads a base that is not in the store; see `load_base`.
        name: Name of the base.
        folder: Folder of the converted embedded base.
        progress: Called with a fraction from 0 to 1 and the current step.

    Raises:
        BaseUnavailable: If the stored file is missing or damaged, or the store does not answer. There is no
            fallback to other weights.
        LoraVitError: As raised by ``load``.
    """
    stored = registry.base_files.find(name)
    if stored is None:
        return load(name, folder, progress)
    progress(0.0, f"Loading {name} from the artifact store")
    return _loaded(registry, stored)


def architecture_of(registry: Registry, name: str) -> str:
    """Return the timm name of a base: the architecture of a stored one, the name of any other."""
    stored = registry.base_files.find(name)
    return name if stored is None else stored.base.architecture


def _loaded(registry: Registry, stored: StoredBase) -> Base:
    name, architecture = stored.base.name, stored.base.architecture
    again = f"Add it again with loravit bases add {name}."
    try:
        weights = weights_of(registry.base_files.weights(stored), f"The file of the base {name}")
    except BlobMissing as error:
        raise StoredBaseUnusable(
            f"The file of the base {name} is missing in the artifact store. {again}"
        ) from error
    except (BlobDamaged, WeightsFileError) as error:
        raise StoredBaseUnusable(
            f"The file of the base {name} in the artifact store is damaged. {again}"
        ) from error
    except BlobStoreUnreachable as error:
        raise StoreUnreachable(error) from error
    base = base_of_weights(weights, architecture, name=name, mean=stored.mean, std=stored.std)
    if base.weights_sha256 != stored.base.weights_sha256:
        raise StoredBaseUnusable(
            f"The base {name} has other weights here ({base.weights_sha256[:12]}) than when it was stored "
            f"({stored.base.weights_sha256[:12]}). Install the version of timm that it was stored with."
        )
    return base
