"""Versions of the catalog as what is handed out: a bundle, and a picture of what they were trained on."""

from __future__ import annotations

from loravit_web.adapters.files.bundle import Bundle, write_bundle
from loravit_web.adapters.files.fileset import THUMBNAIL_FILE
from registry import Registry, Version


def bundle_of(registry: Registry, ref: str) -> tuple[Version, Bundle]:
    """Return a version, and all that goes with it.

    Raises:
        RegistryError: if there is no such version, or its files are damaged.
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
    """Return file name and bytes of a version's bundle.

    Raises:
        RegistryError: if there is no such version, or its files are damaged.
    """
    version, bundle = bundle_of(registry, ref)
    return f"{version.slug}-v{version.version}.zip", write_bundle(bundle)


def thumbnail_of(registry: Registry, version: Version) -> bytes | None:
    """Return the picture in WEBP of what a version was trained on, where it has one."""
    return registry.catalog.read_file(version, THUMBNAIL_FILE)
