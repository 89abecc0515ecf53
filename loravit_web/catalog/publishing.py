"""Publishing of adapters as versions in the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loravit_web.adapters.adapter import Adapter
from loravit_web.adapters.files.card import model_card
from loravit_web.adapters.files.fileset import CARD_FILE, THUMBNAIL_FILE
from loravit_web.adapters.files.format import AdapterFormatError, from_files, problem_of, to_files
from loravit_web.adapters.files.numbers import InvalidValue, integer, number
from loravit_web.backbones.base import Base
from loravit_web.training.files.reliability import read_reliability
from registry import Base as BaseRecord
from registry import (
    ClassMetric,
    ConfusionCell,
    Lease,
    NewBase,
    NewEvaluation,
    NewVersion,
    Registry,
    Split,
    Version,
)

_MAX_IMAGES = 10**9
_MAX_LOSS = 1e6


@dataclass(frozen=True)
class Origin:
    """Name and origin of an adapter that is published.

    Attributes:
        name: Slug of the adapter.
        title: Title of the adapter.
        base_id: Id of its base in the registry.
        actor: Name of the user who publishes it.
        run_id: Id of its run in the registry, or None for an imported adapter.
        dataset_id: Id of its dataset in the registry, or None for an imported adapter.
        description: Description of the adapter.
        tags: Tags of the adapter.
        lease: Lease under which the run must still be running, or None.
    """

    name: str
    title: str
    base_id: int
    actor: str
    run_id: str | None = None
    dataset_id: int | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    lease: Lease | None = None


def publish(
    registry: Registry,
    adapter: Adapter,
    base: Base,
    origin: Origin,
    *,
    data: str | None = None,
    thumbnail: bytes | None = None,
) -> Version:
    """Publish an adapter with its model card; see `publish_files`.

    Args:
        registry: Registry to publish to.
        adapter: The adapter.
        base: Base of the adapter, in float32.
        origin: Name and origin of the adapter.
        data: Name of the training images for the model card, or None.
        thumbnail: Thumbnail of the training images in WEBP, or None.

    Returns:
        The published version, or the existing one with the same files.

    Raises:
        LoraVitError: If the files do not load.
        RegistryError: If the registry or its store rejects the files.
    """
    files = to_files(adapter, base, name=origin.name, title=origin.title)
    if thumbnail is not None:
        files[THUMBNAIL_FILE] = thumbnail
    files[CARD_FILE] = model_card(
        adapter, base, name=origin.name, title=origin.title, data=data, thumbnail=thumbnail is not None
    )
    return publish_files(registry, files, base, origin)


def publish_files(registry: Registry, files: Mapping[str, bytes], base: Base, origin: Origin) -> Version:
    """Publish the files of an adapter after checking that they reproduce their reference logits.

    The check runs twice: before the files are stored, and on the stored files before the version is listed.

    Args:
        registry: Registry to publish to.
        files: Contents of the files by name.
        base: Base of the adapter, in float32.
        origin: Name and origin of the adapter.

    Returns:
        The published version, or the existing one with the same files.

    Raises:
        LoraVitError: If the files do not load. Nothing is published then.
        RegistryError: If the registry or its store rejects the files, or cannot return them.
    """
    adapter = from_files(files, base)
    return registry.catalog.publish(
        NewVersion(
            slug=origin.name,
            title=origin.title,
            description=origin.description,
            run_id=origin.run_id,
            base_id=origin.base_id,
            dataset_id=origin.dataset_id,
            adapter_type=adapter.config.adapter_type,
            n_params=adapter.parameter_count,
            image_size=adapter.preprocessing.image_size,
            class_names=adapter.class_names,
            config=adapter.config.as_json(),
            files=dict(files),
            tags=origin.tags,
            evaluations=_evaluations(adapter.summary.get("metrics") or {}),
        ),
        actor=origin.actor,
        inspect=lambda stored: from_files(stored, base),
        lease=origin.lease,
    )


def record_base(registry: Registry, base: Base) -> BaseRecord:
    """Record a base unless it is recorded already, and return its record."""
    return registry.bases.ensure(
        NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
    )


def reopen(registry: Registry, ref: str, base: Base) -> Adapter:
    """Load a version from the store and check that it reproduces its reference logits.

    Args:
        registry: Registry with the version.
        ref: Reference of the version, such as ``slug@3``.
        base: Base of the adapter, in float32.

    Raises:
        LoraVitError: If the files do not load.
        RegistryError: If the files are damaged.
    """
    slug = ref.partition("@")[0]
    versions = registry.catalog.versions(slug)  # including withdrawn ones
    (version,) = (version for version in versions if version.ref == ref)
    return from_files(registry.catalog.read_files(version), base)


def _evaluations(metrics: Mapping[str, Mapping[str, Any]]) -> tuple[NewEvaluation, ...]:
    """Return the evaluations in the metrics of an adapter, after checking the rest of the metrics too.

    Raises:
        AdapterFormatError: If the metrics are invalid, as in an edited bundle.
    """
    try:
        return _parsed(metrics)
    except InvalidValue as error:
        raise AdapterFormatError(f"The metrics of the adapter are invalid: {error.problem}.") from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise AdapterFormatError(
            f"The metrics of the adapter are invalid ({problem_of(error)}). Export it again."
        ) from error


def _parsed(metrics: Mapping[str, Mapping[str, Any]]) -> tuple[NewEvaluation, ...]:
    splits: tuple[Split, ...] = ("validation", "test")
    for split in splits:
        if "reliability" in (metrics.get(split) or {}):
            read_reliability(metrics[split]["reliability"])
    return tuple(
        NewEvaluation(
            split=split,
            n=integer(f"{split} n", measured["n"], 1, _MAX_IMAGES),
            accuracy=number(f"{split} accuracy", measured["accuracy"], 0, 1),
            loss=number(f"{split} loss", measured["loss"], 0, _MAX_LOSS),
            macro_f1=number(f"{split} macro_f1", measured["macro_f1"], 0, 1),
            linear_probe_accuracy=_optional(measured, "linear_probe_accuracy"),
            top5_accuracy=_optional(measured, "top5_accuracy"),
            calibration_error=_optional(measured, "calibration_error"),
            classes=_class_metrics(measured.get("classes") or {}),
            confusion=_confusion_cells(measured.get("confusion") or {}),
            mean_average_precision=_optional(measured, "mean_average_precision"),
            micro_f1=_optional(measured, "micro_f1"),
        )
        for split in splits
        if (measured := metrics.get(split)) is not None
    )


def _optional(measured: Mapping[str, Any], name: str) -> float | None:
    """Return a fraction, or None for adapters of earlier versions of the app."""
    value = measured.get(name)
    return None if value is None else number(name, value, 0, 1)


def _class_metrics(columns: Mapping[str, Any]) -> tuple[ClassMetric, ...]:
    if not columns:
        return ()
    names = ["precision", "recall", "f1", "support"]
    averages = columns.get("average_precision") or [None] * len(columns["support"])
    rows = zip(*(columns[name] for name in names), averages, strict=True)
    return tuple(
        ClassMetric(
            number("precision", precision, 0, 1),
            number("recall", recall, 0, 1),
            number("f1", f1, 0, 1),
            integer("support", support, 0, _MAX_IMAGES),
            None if average is None else number("average_precision", average, 0, 1),
        )
        for precision, recall, f1, support, average in rows
    )


def _confusion_cells(rows: Mapping[str, Mapping[str, Any]]) -> tuple[ConfusionCell, ...]:
    return tuple(
        ConfusionCell(int(true), int(predicted), integer("confusion", images, 0, _MAX_IMAGES))
        for true, row in rows.items()
        for predicted, images in row.items()
    )
