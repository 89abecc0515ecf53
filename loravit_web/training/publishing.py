"""From an adapter in memory to a version in the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.format import AdapterFormatError, from_files, to_files
from loravit_web.backbones.base import Base
from registry import NewEvaluation, NewVersion, Registry, Version


@dataclass(frozen=True)
class Origin:
    """Under which name an adapter is published, and where it comes from.

    Attributes:
        name: the slug.
        title: for people.
        base_id, run_id, dataset_id: rows of the registry; an imported adapter has no run and no dataset.
        actor: who publishes it.
        worker: who must still hold the run.
    """

    name: str
    title: str
    base_id: int
    actor: str
    run_id: str | None = None
    dataset_id: int | None = None
    worker: str | None = None


def publish(registry: Registry, adapter: Adapter, base: Base, origin: Origin) -> Version:
    """Write an adapter's files, check that they load and answer as it does, and publish them.

    Raises:
        LoraVitError: if the files would not load; nothing is published then.
        RegistryError: if the registry refuses them.
    """
    files = to_files(adapter, base, name=origin.name, title=origin.title)
    return publish_files(registry, files, from_files(files, base), origin)


def publish_files(
    registry: Registry, files: Mapping[str, bytes], adapter: Adapter, origin: Origin
) -> Version:
    """Publish files that were checked to be those of ``adapter``; the same files stay one version."""
    return registry.catalog.publish(
        NewVersion(
            slug=origin.name,
            title=origin.title,
            description="",
            run_id=origin.run_id,
            base_id=origin.base_id,
            dataset_id=origin.dataset_id,
            adapter_type=adapter.config.adapter_type,
            n_params=adapter.parameter_count,
            image_size=adapter.preprocessing.image_size,
            class_names=adapter.class_names,
            config=adapter.config.as_json(),
            files=dict(files),
            evaluations=_evaluations(adapter.summary.get("metrics") or {}),
        ),
        actor=origin.actor,
        worker=origin.worker,
    )


def reopen(registry: Registry, ref: str, base: Base) -> Adapter:
    """Read a version's files back from the store and check that it loads and gives its stored logits.

    Raises:
        LoraVitError, RegistryError: if it does not.
    """
    slug = ref.partition("@")[0]
    (version,) = (one for one in registry.catalog.versions(slug) if one.ref == ref)  # withdrawn or not
    return from_files(registry.catalog.read_files(version), base)


def _evaluations(metrics: Mapping[str, Mapping[str, Any]]) -> tuple[NewEvaluation, ...]:
    """The evaluations that an adapter brings.

    Raises:
        AdapterFormatError: if they are no such thing, as in a bundle that somebody edited.
    """
    try:
        return _parsed(metrics)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AdapterFormatError(f"The adapter's metrics can't be used ({error!r}).") from error


def _parsed(metrics: Mapping[str, Mapping[str, Any]]) -> tuple[NewEvaluation, ...]:
    return tuple(
        NewEvaluation(
            split,
            int(measured["n"]),
            float(measured["accuracy"]),
            float(measured["loss"]),
            float(measured["macro_f1"]),
            measured.get("linear_probe_accuracy"),
        )
        for split in ("validation", "test")
        if (measured := metrics.get(split)) is not None
    )
