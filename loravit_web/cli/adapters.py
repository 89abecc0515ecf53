"""What the shell's words about one adapter do; `cli` says how they are called."""

from __future__ import annotations

import argparse
from typing import Any

from loravit_web.access.rights import SHELL
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
        alias = registry.aliases.promote(
            options.ref, options.alias, actor=SHELL.name, allow_protected=options.protected
        )
    _tell_alias(options, alias)
    return 0


def rollback(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        alias = registry.aliases.rollback(
            options.slug, options.alias, actor=SHELL.name, allow_protected=options.protected
        )
    _tell_alias(options, alias)
    return 0


def _tell_alias(options: argparse.Namespace, alias: Any) -> None:
    from loravit_web.cli.catalog_views import alias_document

    output(options, alias_document(alias), lambda: f"{alias.slug}@{alias.alias} is {alias.ref} now.")


def aliases(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.catalog_views import aliases_document, aliases_text

    with open_registry(settings) as registry:
        if options.remove is not None:
            registry.aliases.remove(
                options.slug, options.remove, actor=SHELL.name, allow_protected=options.protected
            )
        if options.protect is not None:
            registry.aliases.protect(options.slug, options.protect, actor=SHELL.name)
        if options.unprotect is not None:
            registry.aliases.unprotect(options.slug, options.unprotect, actor=SHELL.name)
        document = aliases_document(registry, options.slug)
    output(options, document, lambda: aliases_text(document))
    return 0


def withdraw(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        found = registry.catalog.version(options.ref)
        version = registry.catalog.withdraw(found.slug, found.version, options.reason, actor=SHELL.name)
    document = {"adapter": version.ref, "withdrawn": version.withdrawn_reason}
    output(options, document, lambda: f"{version.ref} is withdrawn: {version.withdrawn_reason}.")
    return 0


def tag(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        adapter = registry.catalog.tag(
            options.slug, add=options.tags, remove=options.remove, actor=SHELL.name
        )
    document = {"slug": adapter.slug, "tags": list(adapter.tags)}
    output(options, document, lambda: f"{adapter.slug}: {', '.join(adapter.tags) or 'no tags'}.")
    return 0


def describe(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        adapter = registry.catalog.describe(
            options.slug, title=options.title, description=options.description, actor=SHELL.name
        )
    document = {"slug": adapter.slug, "title": adapter.title, "description": adapter.description}
    output(options, document, lambda: f"{adapter.title}\n{adapter.description}".rstrip())
    return 0


def archive(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        adapter = registry.catalog.archive(options.slug, actor=SHELL.name)
    output(options, {"slug": adapter.slug, "archived": True}, lambda: f"{adapter.slug} is archived.")
    return 0


def restore(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        adapter = registry.catalog.restore(options.slug, actor=SHELL.name)
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
