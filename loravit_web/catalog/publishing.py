"""From an adapter in memory to a version in the catalog."""

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
from registry import Base as BaseRecord
from registry import (
    ClassMetric,
    ConfusionCell,
    NewBase,
    NewEvaluation,
    NewVersion,
    Registry,
    Split,
    Version,
)

_MOST_IMAGES = 10**9
_MOST_LOSS = 1e6


@dataclass(frozen=True)
class Origin:
    """Under which name an adapter is published, and where it comes from.

    Attributes:
        name: the slug.
        title: for people.
        base_id, run_id, dataset_id: rows of the registry; an imported adapter has no run and no dataset.
        actor: who publishes it.
        description, tags: that it brings.
        worker: who must still hold the run.
    """

    name: str
    title: str
    base_id: int
    actor: str
    run_id: str | None = None
    dataset_id: int | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    worker: str | None = None


def publish(
    registry: Registry,
    adapter: Adapter,
    base: Base,
    origin: Origin,
    *,
    data: str | None = None,
    thumbnail: bytes | None = None,
) -> Version:
    """Publish an adapter with its card; see `publish_files`.

    Args:
        data: what the images are called, for the card.
        thumbnail: a picture of them in WEBP.
    """
    files = to_files(adapter, base, name=origin.name, title=origin.title)
    if thumbnail is not None:
        files[THUMBNAIL_FILE] = thumbnail
    files[CARD_FILE] = model_card(
        adapter, base, name=origin.name, title=origin.title, data=data, thumbnail=thumbnail is not None
    )
    return publish_files(registry, files, base, origin)


def publish_files(registry: Registry, files: Mapping[str, bytes], base: Base, origin: Origin) -> Version:
    """Publish an adapter's files once they load and answer as stored with them, twice.

    First as they are, so that nothing else gets into the store; then as the store gives them back, before
    any version is listed. The same files stay one version.

    Args:
        base: in float32; the one that the adapter was trained on.

    Raises:
        LoraVitError: if the files don't load; nothing is published then.
        RegistryError: if the registry or its store refuses them, or the store doesn't give them back.
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
        worker=origin.worker,
    )


def record_base(registry: Registry, base: Base) -> BaseRecord:
    """Record a base, to which runs and versions refer, unless it is on record already."""
    return registry.bases.ensure(
        NewBase(base.name, base.weights_sha256, base.architecture, base.embed_dim, base.depth)
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
    except InvalidValue as error:
        raise AdapterFormatError(f"The adapter's metrics can't be used: {error.problem}.") from error
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise AdapterFormatError(
            f"The adapter's metrics can't be used ({problem_of(error)}): export it again."
        ) from error


def _parsed(metrics: Mapping[str, Mapping[str, Any]]) -> tuple[NewEvaluation, ...]:
    splits: tuple[Split, ...] = ("validation", "test")
    return tuple(
        NewEvaluation(
            split=split,
            n=integer(f"{split} n", measured["n"], 1, _MOST_IMAGES),
            accuracy=number(f"{split} accuracy", measured["accuracy"], 0, 1),
            loss=number(f"{split} loss", measured["loss"], 0, _MOST_LOSS),
            macro_f1=number(f"{split} macro_f1", measured["macro_f1"], 0, 1),
            linear_probe_accuracy=_optional(measured, "linear_probe_accuracy"),
            top5_accuracy=_optional(measured, "top5_accuracy"),
            calibration_error=_optional(measured, "calibration_error"),
            classes=_class_metrics(measured.get("classes") or {}),
            confusion=_confusion_cells(measured.get("confusion") or {}),
        )
        for split in splits
        if (measured := metrics.get(split)) is not None
    )


def _optional(measured: Mapping[str, Any], name: str) -> float | None:
    """A number that adapters of earlier versions of this program lack."""
    value = measured.get(name)
    return None if value is None else number(name, value, 0, 1)


def _class_metrics(columns: Mapping[str, Any]) -> tuple[ClassMetric, ...]:
    if not columns:
        return ()
    rows = zip(*(columns[name] for name in ("precision", "recall", "f1", "support")), strict=True)
    return tuple(
        ClassMetric(
            number("precision", precision, 0, 1),
            number("recall", recall, 0, 1),
            number("f1", f1, 0, 1),
            integer("support", support, 0, _MOST_IMAGES),
        )
        for precision, recall, f1, support in rows
    )


def _confusion_cells(rows: Mapping[str, Mapping[str, Any]]) -> tuple[ConfusionCell, ...]:
    return tuple(
        ConfusionCell(int(true), int(predicted), integer("confusion", images, 0, _MOST_IMAGES))
        for true, row in rows.items()
        for predicted, images in row.items()
    )
