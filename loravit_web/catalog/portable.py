"""Export of the catalog's versions for use without this app."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from loravit_web.adapters.files.format import from_files
from loravit_web.backbones import Base
from loravit_web.catalog.exchange import BaseFor
from loravit_web.errors import LoraVitError
from loravit_web.export.folder import Progress, export_onnx
from loravit_web.export.merged import export_merged
from loravit_web.export.plan import OtherBase
from loravit_web.export.plan import Version as Exported
from loravit_web.export.summary import Format
from loravit_web.export.web import export_web
from loravit_web.runtime.layout import Precision
from loravit_web.serving.answers import unlike_above, unsure_below
from registry import Registry


class WrongNumberOfTasks(LoraVitError):
    """No task, or more than a format can hold."""


def export_versions(
    registry: Registry,
    base_for: BaseFor,
    refs: Sequence[str],
    folder: Path,
    *,
    form: Format,
    precision: Precision,
    packages: Path,
    progress: Progress = lambda _fraction, _stage: None,
) -> None:
    """Write versions of the catalog into a folder, and check that they compute what the engine computes.

    Args:
        registry: Registry as the reader sees it.
        base_for: Returns the base of the versions.
        refs: Versions, such as ``flowers`` or ``flowers@2``; duplicates are exported once.
        folder: New or empty folder.
        form: Format of the export.
        precision: Precision in which the weights of the base are stored.
        packages: Folder of downloaded packages, for web pages.
        progress: Called with a fraction from 0 to 1 and the current step.

    Raises:
        RegistryError: If there is no such version, or its files are damaged.
        WrongNumberOfTasks: If there is no task, or more than the format can hold.
        OtherBase: If the versions run on different bases.
        LoraVitError: If a version cannot be exported, or the export differs from the engine.
    """
    base, versions = exported_versions(registry, base_for, refs)
    if form == "onnx":
        export_onnx(base, versions, folder, precision, progress)
        return
    if form == "web":
        export_web(base, versions, folder, precision, progress, cache=packages)
        return
    if len(versions) > 1:
        raise WrongNumberOfTasks(
            f"The format {form} holds one task, and {len(versions)} are chosen. Export them one by one, or "
            "together as onnx."
        )
    export_merged(base, versions[0], folder, precision, progress)


def export_zip(
    registry: Registry,
    base_for: BaseFor,
    refs: Sequence[str],
    file: Path,
    *,
    form: Format,
    precision: Precision,
    packages: Path,
) -> None:
    """Write an export of versions as a zip; args and errors as of `export_versions`.

    Args:
        registry: Registry as the reader sees it.
        base_for: Returns the base of the versions.
        refs: Versions, such as ``flowers@2``.
        file: File to write, in an existing folder.
        form: Format of the export.
        precision: Precision in which the weights of the base are stored.
        packages: Folder of downloaded packages, for web pages.
    """
    with tempfile.TemporaryDirectory(prefix=".export-", dir=file.parent) as work:
        folder = Path(work) / file.stem
        export_versions(registry, base_for, refs, folder, form=form, precision=precision, packages=packages)
        zipped = Path(work) / file.name
        # stored, because weights hardly shrink and servers compress the rest
        with zipfile.ZipFile(zipped, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(folder.rglob("*")):
                archive.write(path, path.relative_to(folder.parent))
        zipped.replace(file)


def exported_versions(
    registry: Registry, base_for: BaseFor, refs: Sequence[str]
) -> tuple[Base, list[Exported]]:
    """Return versions of the catalog with their base; args and errors as of `export_versions`."""
    found = {version.ref: version for version in map(registry.catalog.resolve, refs)}
    if not found:
        raise WrongNumberOfTasks("No task is chosen. Name at least one.")
    versions = list(found.values())
    first = versions[0].base
    for version in versions:
        if version.base.weights_sha256 != first.weights_sha256:
            raise OtherBase(
                f"{version.ref} runs on the base {version.base.name}, and {versions[0].ref} on {first.name}. "
                "Export the tasks of each base into a folder of their own."
            )
    base = base_for(first.name, first.weights_sha256)
    exported = []
    for version in versions:
        files = registry.catalog.read_files(version)
        exported.append(
            Exported(
                ref=version.ref,
                title=version.title,
                adapter=from_files(files, base),
                files=files,
                unsure_below=unsure_below(version.thresholds),
                unlike_above=unlike_above(version.thresholds),
                class_titles=version.shown_classes,
            )
        )
    return base, exported
