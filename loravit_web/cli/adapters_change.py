"""``adapters``: change aliases, tags and texts, withdraw versions, archive and restore adapters."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from loravit_web.access.rights import SHELL
from loravit_web.catalog.actions import CatalogActions
from loravit_web.catalog.plans import CatalogChange, ChangeKind, carry_out, plan_of
from loravit_web.catalog.reliability import NO_RELIABILITY, SplitReliability, reliability_of_version
from loravit_web.cli.shell import (
    AsJson,
    Document,
    current_settings,
    not_yet,
    open_registry,
    output,
    refuse_together,
    table,
)
from loravit_web.training.files.reliability import UNSURE
from registry import AS_TRAINED, Alias, AliasMove, Registry, Version

Slug = Annotated[str, typer.Argument(metavar="SLUG", help="The adapter.")]
Protected = Annotated[bool, typer.Option("--protected", help="Allow it for a protected alias.")]

Yes = Annotated[bool, typer.Option("--yes", help="Delete it. Without this, only show what would happen.")]

app = typer.Typer(help="Change adapters.")


@app.command()
def promote(
    ref: Annotated[str, typer.Argument(metavar="SLUG@V", help="Version to point the alias to.")],
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Name of the alias, such as production.")],
    protected: Protected = False,
    as_json: AsJson = False,
) -> None:
    """Point an alias to a version."""
    with open_registry() as registry:
        moved = CatalogActions(registry, SHELL).promote(ref, alias, allow_protected=protected)
    output(as_json, alias_document(moved), lambda: _moved_text(moved))


@app.command()
def rollback(
    slug: Slug,
    alias: Annotated[str, typer.Argument(metavar="ALIAS", help="Name of the alias.")],
    protected: Protected = False,
    as_json: AsJson = False,
) -> None:
    """Point an alias back to its previous version."""
    with open_registry() as registry:
        moved = CatalogActions(registry, SHELL).rollback(slug, alias, allow_protected=protected)
    output(as_json, alias_document(moved), lambda: _moved_text(moved))


@app.command()
def aliases(
    slug: Slug,
    remove: Annotated[str | None, typer.Option(metavar="ALIAS", help="Remove this alias.")] = None,
    protect: Annotated[
        str | None, typer.Option(metavar="ALIAS", help="Protect this alias from being moved.")
    ] = None,
    unprotect: Annotated[
        str | None, typer.Option(metavar="ALIAS", help="Allow this alias to be moved again.")
    ] = None,
    protected: Protected = False,
    as_json: AsJson = False,
) -> None:
    """List the aliases of an adapter and their moves, or change one."""
    if sum(option is not None for option in (remove, protect, unprotect)) > 1:
        refuse_together("--remove", "--protect", "--unprotect")
    with open_registry() as registry:
        actions = CatalogActions(registry, SHELL)
        if remove is not None:
            actions.remove_alias(slug, remove, allow_protected=protected)
        if protect is not None:
            actions.protect_alias(slug, protect)
        if unprotect is not None:
            actions.unprotect_alias(slug, unprotect)
        document = aliases_document(registry, slug)
    output(as_json, document, lambda: aliases_text(document))


@app.command()
def thresholds(
    ref: Annotated[
        str, typer.Argument(metavar="SLUG[@V|@ALIAS]", help="The version, by default the newest.")
    ],
    unlike: Annotated[
        float | None,
        typer.Option(
            metavar="F",
            help="Call an image unlike the training images above this multiple of the trained threshold.",
        ),
    ] = None,
    unsure: Annotated[
        float | None,
        typer.Option(metavar="F", help="Call an answer unsure below this confidence, 0 to 1."),
    ] = None,
    as_trained: Annotated[
        bool, typer.Option("--as-trained", help="Reset the thresholds to those of the training.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the thresholds of a version and how well it tells what it does not know, or change them."""
    if as_trained and not (unlike is None and unsure is None):
        refuse_together("--as-trained", "--unlike", "--unsure")
    with open_registry() as registry:
        version = registry.catalog.version(ref)
        wanted = AS_TRAINED if as_trained else version.thresholds
        if unlike is not None:
            wanted = replace(wanted, unlike=unlike)
        if unsure is not None:
            wanted = replace(wanted, unsure=unsure)
        if wanted != version.thresholds:
            version = CatalogActions(registry, SHELL).set_thresholds(version.ref, wanted)
        document = thresholds_document(registry, version)
    output(as_json, document, lambda: thresholds_text(document))


@app.command("title-class")
def title_class(
    ref: Annotated[str, typer.Argument(metavar="SLUG[@V|@ALIAS]", help="The version.")],
    class_name: Annotated[str, typer.Argument(metavar="CLASS", help="Name of the class, or its title.")],
    title: Annotated[
        str | None, typer.Argument(metavar="TITLE", help="Title with which the version answers.")
    ] = None,
    as_trained: Annotated[
        bool, typer.Option("--as-trained", help="Restore the name that the class had in the training.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Give a class of a version another title. The version is not trained again, and its files stay."""
    if (title is None) is not as_trained:
        refuse_together("TITLE", "--as-trained")
    with open_registry() as registry:
        version = CatalogActions(registry, SHELL).title_class(ref, class_name, title or "")
    document = {
        "adapter": version.ref,
        "class_names": list(version.class_names),
        "titles": dict(version.class_titles),
    }
    output(as_json, document, lambda: f"{version.ref} answers with {', '.join(version.shown_classes)}.")


@app.command()
def withdraw(
    ref: Annotated[str, typer.Argument(metavar="SLUG@V", help="The version.")],
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Reason, shown to everyone who requests the version.")
    ],
    as_json: AsJson = False,
) -> None:
    """Withdraw a version for good. Its number and history are kept."""
    with open_registry() as registry:
        found = registry.catalog.version(ref)
        version = CatalogActions(registry, SHELL).withdraw(found.slug, found.version, reason)
    document = {"adapter": version.ref, "withdrawn": version.withdrawn_reason}
    output(as_json, document, lambda: f"{version.ref} is withdrawn: {version.withdrawn_reason}.")


@app.command()
def tag(
    slug: Slug,
    tags: Annotated[list[str] | None, typer.Argument(metavar="TAG", help="Tags to add.")] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Tag to remove. Repeat it to remove several.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add tags to an adapter, or remove them."""
    with open_registry() as registry:
        adapter = CatalogActions(registry, SHELL).describe(
            slug, add_tags=tags or (), remove_tags=remove or ()
        )
    document = {"slug": adapter.slug, "tags": list(adapter.tags)}
    output(as_json, document, lambda: f"{adapter.slug}: {', '.join(adapter.tags) or 'no tags'}.")


@app.command()
def describe(
    slug: Slug,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="New title.")] = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="New description.")] = None,
    as_json: AsJson = False,
) -> None:
    """Change the title or the description of an adapter."""
    with open_registry() as registry:
        adapter = CatalogActions(registry, SHELL).describe(slug, title=title, description=description)
    document = {"slug": adapter.slug, "title": adapter.title, "description": adapter.description}
    output(as_json, document, lambda: f"{adapter.title}\n{adapter.description}".rstrip())


@app.command()
def archive(slug: Slug, as_json: AsJson = False) -> None:
    """Archive an adapter, which removes it from the lists of the catalog."""
    with open_registry() as registry:
        adapter = CatalogActions(registry, SHELL).archive(slug)
    document = {"slug": adapter.slug, "archived": True}
    output(as_json, document, lambda: f"{adapter.slug} is archived.")


@app.command()
def restore(slug: Slug, as_json: AsJson = False) -> None:
    """Restore an archived adapter."""
    with open_registry() as registry:
        adapter = CatalogActions(registry, SHELL).restore(slug)
    document = {"slug": adapter.slug, "archived": False}
    output(as_json, document, lambda: f"{adapter.slug} is back in the catalog.")


@app.command()
def delete(
    ref: Annotated[str, typer.Argument(metavar="SLUG[@V]", help="The adapter, or one of its versions.")],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a version that no alias ever named, or a whole adapter, for good."""
    with open_registry() as registry:
        kind: ChangeKind = "delete" if "@" in ref else "delete_adapter"
        plan = plan_of(registry, CatalogChange(kind, registry.catalog.version(ref).ref))
        if yes:
            carry_out(CatalogActions(registry, SHELL), plan.change)
            if kind == "delete_adapter":
                from loravit_web.datasets.pool.store import PoolStore

                PoolStore.of(current_settings()).remove(plan.change.slug)
    name = plan.change.ref if kind == "delete" else plan.change.slug
    consequences = [*plan.consequences, plan.note]
    document = {"adapter": name, "deleted": yes, "consequences": consequences}
    output(as_json, document, lambda: f"{name} is deleted." if yes else not_yet(consequences))


def thresholds_document(registry: Registry, version: Version) -> Document:
    """Return the thresholds of a version, null where it is as trained, and its reliability with them."""
    return {
        "adapter": version.ref,
        "unlike": version.thresholds.unlike,
        "unsure": version.thresholds.unsure,
        "reliability": reliability_document(reliability_of_version(registry, version)),
    }


def reliability_document(found: SplitReliability | None) -> Document | None:
    """Return the reliability of a version as JSON-ready values."""
    if found is None:
        return None
    told = found.told
    return {
        "split": found.split,
        "images": told.n,
        "unlike": told.unlike,
        "unsure": told.unsure,
        "sure": told.sure,
        "sure_correct": told.correct,
        "calibration_error": found.calibration_error,
        "sentences": list(found.sentences),
    }


def thresholds_text(document: Document) -> str:
    """Return `thresholds_document` as text."""
    unlike, unsure = document["unlike"], document["unsure"]
    factor = "" if unlike is None else f"{unlike:g} x "
    lines = [
        document["adapter"],
        f"unlike: above {factor}the trained threshold",
        f"unsure: below a confidence of {UNSURE if unsure is None else unsure:g}"
        + (" (as trained)" if unsure is None else ""),
    ]
    found = document["reliability"]
    return "\n".join([*lines, *(found["sentences"] if found else [NO_RELIABILITY])])


def alias_document(alias: Alias) -> Document:
    """Return an alias as JSON-ready values."""
    return {
        "alias": alias.alias,
        "adapter": alias.ref,
        "protected": alias.protected,
        "moved_at": alias.moved_at.isoformat(timespec="seconds"),
        "moved_by": alias.moved_by,
    }


def aliases_document(registry: Registry, slug: str) -> Document:
    """Return the aliases of an adapter, the computed `latest`, and all moves, newest first."""
    newest = registry.catalog.adapter(slug).newest
    return {
        "slug": slug,
        "latest": newest.ref if newest is not None else None,
        "aliases": [alias_document(alias) for alias in registry.aliases.list(slug)],
        "history": [_move_document(move) for move in registry.aliases.history(slug)],
    }


def aliases_text(document: Document) -> str:
    """Return `aliases_document` as text."""
    columns = ["alias", "adapter", "protected", "moved_at", "moved_by"]
    latest = f"latest: {document['latest'] or 'all versions are withdrawn'}"
    empty = "No aliases yet. Promote a version to create one."
    parts = [latest, table(document["aliases"], columns, empty)]
    if document["history"]:
        columns = ["at", "alias", "kind", "from", "to", "by"]
        parts.append("History\n" + table(document["history"], columns, ""))
    return "\n\n".join(parts)


def _moved_text(alias: Alias) -> str:
    return f"{alias.slug}@{alias.alias} now points to {alias.ref}."


def _move_document(move: AliasMove) -> Document:
    return {
        "at": move.moved_at.isoformat(timespec="seconds"),
        "alias": move.alias,
        "kind": move.kind,
        "from": move.before,
        "to": move.after,
        "by": move.moved_by,
    }
