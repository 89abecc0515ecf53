"""What the shell's words about one adapter do; `cli` says how they are called."""

from __future__ import annotations

import argparse
from typing import Any

from loravit_web.access.rights import SHELL
from loravit_web.catalog.actions import CatalogActions
from loravit_web.cli.shell import open_registry, output
from loravit_web.settings.environment import Settings


def show(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.catalog_views import shown_document, shown_text

    slug, at, _name = options.ref.partition("@")
    with open_registry(settings) as registry:
        adapter = registry.catalog.adapter(slug)
        versions = [registry.catalog.version(options.ref)] if at else registry.catalog.versions(slug)
        document = shown_document(registry, adapter, versions)
    output(options, document, lambda: shown_text(document))
    return 0


def promote(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        alias = CatalogActions(registry, SHELL).promote(
            options.ref, options.alias, allow_protected=options.protected
        )
    _tell_alias(options, alias)
    return 0


def rollback(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        alias = CatalogActions(registry, SHELL).rollback(
            options.slug, options.alias, allow_protected=options.protected
        )
    _tell_alias(options, alias)
    return 0


def _tell_alias(options: argparse.Namespace, alias: Any) -> None:
    from loravit_web.cli.catalog_views import alias_document

    output(options, alias_document(alias), lambda: f"{alias.slug}@{alias.alias} is {alias.ref} now.")


def aliases(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.catalog_views import aliases_document, aliases_text

    with open_registry(settings) as registry:
        actions = CatalogActions(registry, SHELL)
        if options.remove is not None:
            actions.remove_alias(options.slug, options.remove, allow_protected=options.protected)
        if options.protect is not None:
            actions.protect_alias(options.slug, options.protect)
        if options.unprotect is not None:
            actions.unprotect_alias(options.slug, options.unprotect)
        document = aliases_document(registry, options.slug)
    output(options, document, lambda: aliases_text(document))
    return 0


def withdraw(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        found = registry.catalog.version(options.ref)
        version = CatalogActions(registry, SHELL).withdraw(found.slug, found.version, options.reason)
    document = {"adapter": version.ref, "withdrawn": version.withdrawn_reason}
    output(options, document, lambda: f"{version.ref} is withdrawn: {version.withdrawn_reason}.")
    return 0


def tag(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        adapter = CatalogActions(registry, SHELL).describe(
            options.slug, add_tags=options.tags, remove_tags=options.remove
        )
    document = {"slug": adapter.slug, "tags": list(adapter.tags)}
    output(options, document, lambda: f"{adapter.slug}: {', '.join(adapter.tags) or 'no tags'}.")
    return 0


def describe(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        adapter = CatalogActions(registry, SHELL).describe(
            options.slug, title=options.title, description=options.description
        )
    document = {"slug": adapter.slug, "title": adapter.title, "description": adapter.description}
    output(options, document, lambda: f"{adapter.title}\n{adapter.description}".rstrip())
    return 0


def archive(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        adapter = CatalogActions(registry, SHELL).archive(options.slug)
    output(options, {"slug": adapter.slug, "archived": True}, lambda: f"{adapter.slug} is archived.")
    return 0


def restore(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        adapter = CatalogActions(registry, SHELL).restore(options.slug)
    document = {"slug": adapter.slug, "archived": False}
    output(options, document, lambda: f"{adapter.slug} is in the catalog again.")
    return 0


def events(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.catalog_views import event_document
    from loravit_web.cli.views import table

    with open_registry(settings) as registry:
        found = registry.catalog.events(options.slug, limit=options.limit)
    documents = [event_document(event) for event in found]
    columns = ["at", "actor", "kind", "what", "payload"]
    output(options, documents, lambda: table(documents, columns, "Nothing has happened yet."))
    return 0
