"""Versions on their way out of the catalog and into it, as bundles."""

from __future__ import annotations

from collections.abc import Callable

from loravit_web.access.rights import APP
from loravit_web.adapters.files.bundle import Bundle, read_bundle_file, write_bundle
from loravit_web.adapters.files.fileset import THUMBNAIL_FILE
from loravit_web.adapters.files.format import base_of
from loravit_web.backbones import Base
from loravit_web.backbones.loading import EMBEDDED
from loravit_web.catalog.bundled import bundles
from loravit_web.catalog.publishing import Origin, publish_files, record_base
from loravit_web.settings.environment import Settings
from registry import Registry, UnknownAdapter, Version, validate_slug

BaseFor = Callable[[str, str], Base]
"""Gives the base of a name and the SHA-256 of its weights, in float32; loads it if need be."""


def bundle_of(registry: Registry, ref: str) -> tuple[Version, Bundle]:
    """Return a version, and everything that goes with it.

    Args:
        registry: As the reader sees it.
        ref: The version, such as ``slug@3``.

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
    )


def exported(registry: Registry, ref: str) -> tuple[str, bytes]:
    """Return the file name and the bytes of a version's bundle.

    Args:
        registry: As the reader sees it.
        ref: The version, such as ``slug@3``.

    Raises:
        RegistryError: If there is no such version, or its files are damaged.
    """
    version, bundle = bundle_of(registry, ref)
    return f"{version.slug}-v{version.version}.zip", write_bundle(bundle)


def thumbnail_of(registry: Registry, version: Version) -> bytes | None:
    """Return the WEBP image of what a version was trained on, or None if it has none."""
    return registry.catalog.read_file(version, THUMBNAIL_FILE)


def take_in(
    registry: Registry, base_for: BaseFor, bundle: Bundle, *, actor: str, name: str | None = None
) -> Version:
    """Publish a bundle, once it was seen to load and to answer as it did where it was exported.

    Args:
        registry: Where it is published.
        base_for: Gives the base that the adapter was trained on.
        bundle: The adapter and its texts.
        actor: Who publishes it.
        name: The slug to publish it under. By default the bundle's own.

    Raises:
        LoraVitError, RegistryError: If it is damaged or altered, or its base cannot be loaded.
    """
    name = name or bundle.name
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
    return publish_files(registry, bundle.files, base, origin)


def offer_bundled(
    registry: Registry, base_for: BaseFor, settings: Settings, tell: Callable[[float, str], None]
) -> None:
    """Publish the adapters that come with the app, unless the catalog knows them, archived or not.

    They are made for the embedded base. With another one the catalog is left alone.

    Args:
        registry: Where they are published.
        base_for: Gives the base that they were trained on.
        settings: Whether they are wanted, and for which base.
        tell: Called with a fraction and a sentence for each adapter that is added.
    """
    if not settings.bundled or settings.base != EMBEDDED:
        return
    # the first last, as the newest stand first on the page
    for slug, path in reversed(bundles().items()):
        try:
            registry.catalog.adapter(slug)
        except UnknownAdapter:
            tell(1.0, f"Adding the adapter {slug}")
            take_in(registry, base_for, read_bundle_file(path), actor=APP)
