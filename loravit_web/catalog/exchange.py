"""Export and import of versions as bundles."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict

from loravit_web.access.rights import APP
from loravit_web.adapters.files.bundle import Bundle, read_bundle_file, write_bundle
from loravit_web.adapters.files.fileset import THUMBNAIL_FILE
from loravit_web.adapters.files.format import base_of
from loravit_web.backbones import Base
from loravit_web.backbones.loading import EMBEDDED
from loravit_web.catalog.bundled import bundles
from loravit_web.catalog.naming import slugified
from loravit_web.catalog.publishing import Origin, publish_files, record_base
from loravit_web.settings.environment import Settings
from registry import Registry, Thresholds, UnknownAdapter, Version, validate_slug

_FOLDER_NAME = re.compile(r"\w[\w .-]*")

BaseFor = Callable[[str, str], Base]
"""Returns the base with a name and a SHA-256 of its weights, in float32; loads it if needed."""


def bundle_of(registry: Registry, ref: str) -> tuple[Version, Bundle]:
    """Return a version with its bundle.

    Args:
        registry: Registry as the reader sees it.
        ref: Reference of the version, such as ``slug@3``.

    Raises:
        RegistryError: If there is no such version, or its files are damaged.
    """
    catalog = registry.catalog
    version = catalog.resolve(ref)
    return version, Bundle(
        name=version.slug,
        title=version.title,
        files=catalog.read_files(version),
        description=version.description,
        tags=catalog.adapter(version.slug).tags,
        thresholds={name: value for name, value in asdict(version.thresholds).items() if value is not None},
    )


def exported(registry: Registry, ref: str) -> tuple[str, bytes]:
    """Return the file name and the bytes of a version's bundle.

    Args:
        registry: Registry as the reader sees it.
        ref: Reference of the version, such as ``slug@3``.

    Raises:
        RegistryError: If there is no such version, or its files are damaged.
    """
    version, bundle = bundle_of(registry, ref)
    return f"{version.slug}-v{version.version}.zip", write_bundle(bundle)


def thumbnail_of(registry: Registry, version: Version) -> bytes | None:
    """Return the thumbnail of a version's training images in WEBP, or None."""
    return registry.catalog.read_file(version, THUMBNAIL_FILE)


def publish_bundle(
    registry: Registry, base_for: BaseFor, bundle: Bundle, *, actor: str, name: str | None = None
) -> Version:
    """Publish a bundle after checking that it loads and reproduces its reference logits.

    A version that is already there keeps its thresholds.

    Args:
        registry: Registry to publish to.
        base_for: Returns the base of the adapter.
        bundle: Adapter with its texts.
        actor: Name of the user who publishes it.
        name: Slug to publish under, or None for that of the bundle.

    Returns:
        The published version, or the existing one with the same files.

    Raises:
        LoraVitError: If the bundle is damaged or altered, or its base cannot be loaded.
        RegistryError: If the slug is invalid, or the version cannot be published.
    """
    name = name or _slug_of(bundle.name)
    validate_slug(name)
    base = base_for(*base_of(bundle.files))
    origin = Origin(
        name=name,
        title=bundle.title,
        base_id=record_base(registry, base).id,
        actor=actor,
        description=bundle.description,
        tags=bundle.tags,
    )
    known = _refs(registry, name)
    version = publish_files(registry, bundle.files, base, origin)
    if version.ref in known or not bundle.thresholds:
        return version
    return registry.thresholds.set(version.ref, Thresholds(**bundle.thresholds), actor=actor)


def _refs(registry: Registry, slug: str) -> frozenset[str]:
    """Return the references of all versions of an adapter, or none if there is no such adapter."""
    try:
        return frozenset(version.ref for version in registry.catalog.versions(slug))
    except UnknownAdapter:
        return frozenset()


def _slug_of(name: str) -> str:
    """Return the slug for a bundle's name, which is that of a folder if Python saved it: my_flowers."""
    return slugified(name)[0] if _FOLDER_NAME.fullmatch(name) else name


def add_bundled(
    registry: Registry, base_for: BaseFor, settings: Settings, progress: Callable[[float, str], None]
) -> None:
    """Publish the adapters that come with the app, unless the catalog contains or archived them.

    They need the embedded base. With another base the catalog is not changed.

    Args:
        registry: Registry to publish to.
        base_for: Returns the base of the adapters.
        settings: Settings with the base, and with whether to add the adapters.
        progress: Called with the completed fraction (0 to 1) and a sentence for each adapter that is added.
    """
    if not settings.bundled or settings.base != EMBEDDED:
        return
    # in reverse order, because the page lists the newest adapter first
    for slug, path in reversed(bundles().items()):
        try:
            registry.catalog.adapter(slug)
        except UnknownAdapter:
            progress(1.0, f"Adding the adapter {slug}")
            publish_bundle(registry, base_for, read_bundle_file(path), actor=APP)
