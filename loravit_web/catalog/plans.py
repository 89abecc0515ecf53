"""Consequences of a change of the catalog, to be confirmed before the change is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from loravit_web.catalog.actions import CatalogActions
from loravit_web.errors import LoraVitError
from registry import Alias, Registry, Version, VersionInUse, validate_alias

WishKind = Literal["promote", "rollback", "withdraw", "archive", "restore"]


class AliasMissing(LoraVitError):
    """A promotion or a rollback without an alias."""


class ReasonMissing(LoraVitError):
    """A withdrawal without a reason."""


@dataclass(frozen=True)
class Wish:
    """A requested change of the catalog.

    Attributes:
        kind: Kind of the change.
        ref: Reference of the exact version, also if the change concerns the whole adapter.
        alias: Alias to move, or an empty text.
        reason: Reason of a withdrawal, or an empty text.
    """

    kind: WishKind
    ref: str
    alias: str = ""
    reason: str = ""

    @property
    def slug(self) -> str:
        """Slug of the adapter."""
        return self.ref.partition("@")[0]


@dataclass(frozen=True)
class Plan:
    """A requested change with its current consequences. An equal plan later means that nothing changed since.

    Attributes:
        wish: The requested change.
        consequences: Consequences, one sentence each.
        confirm: Label of the button that confirms the change.
        harmless: Whether the change needs no confirmation: no one else notices it, or it is easy to undo.
        note: Additional information, which may change at any time and is not compared.
    """

    wish: Wish
    consequences: tuple[str, ...]
    confirm: str
    harmless: bool = False
    note: str = field(default="", compare=False)


def planned(registry: Registry, wish: Wish) -> Plan:
    """Return the current consequences of a change.

    Args:
        registry: Registry as the visitor sees it.
        wish: The requested change.

    Raises:
        AliasMissing: If an alias is needed.
        ReasonMissing: If a reason is needed.
        RegistryError: If the change is not possible.
    """
    version = registry.catalog.version(wish.ref)
    if wish.kind in ("promote", "rollback") and not wish.alias:
        raise AliasMissing("No alias is selected. Pick one, or type a new one.")
    aliases = {one.alias: one for one in registry.aliases.list(version.slug)}
    if wish.kind == "promote":
        return _promotion(wish, version, aliases.get(validate_alias(wish.alias)))
    if wish.kind == "rollback":
        target = registry.aliases.rollback_target(version.slug, wish.alias)
        return _rollback(wish, version.slug, aliases[wish.alias].version, target)
    if wish.kind == "withdraw":
        naming = [name for name, one in aliases.items() if one.version == version.version]
        return _withdrawal(registry, wish, version, naming)
    if wish.kind == "restore":
        return Plan(wish, (f"{version.title} returns to the catalog.",), "Restore", harmless=True)
    return _archiving(registry, wish, version)


def carried_out(actions: CatalogActions, wish: Wish) -> str:
    """Make a change, and return a sentence about what was done.

    Args:
        actions: Actions of the visitor.
        wish: The requested change.

    Raises:
        NotAllowed: If the visitor may not make the change.
        RegistryError: If the change is no longer possible.
    """
    number = wish.ref.partition("@")[2]
    if wish.kind == "promote":
        alias = actions.promote(wish.ref, wish.alias)
        return f"{alias.slug}@{alias.alias} now points to version {alias.version}."
    if wish.kind == "rollback":
        alias = actions.rollback(wish.slug, wish.alias)
        return f"{alias.slug}@{alias.alias} points to version {alias.version} again."
    if wish.kind == "withdraw":
        version = actions.withdraw(wish.slug, int(number), wish.reason.strip())
        return f"{version.ref} is withdrawn."
    if wish.kind == "archive":
        adapter = actions.archive(wish.slug)
        return f"{adapter.title} is archived. Set the status to Archived to find and restore it."
    adapter = actions.restore(wish.slug)
    return f"{adapter.title} is back in the catalog and in the list of tasks."


def _promotion(wish: Wish, version: Version, now: Alias | None) -> Plan:
    name = f"{version.slug}@{wish.alias}"
    if now is None or now.version == version.version:
        return Plan(wish, (f"{name} will point to version {version.version}.",), "Promote", harmless=True)
    return Plan(
        wish,
        (
            f"{name} moves from version {now.version} to version {version.version}.",
            f"All links and clients that use {name} get version {version.version}.",
            "You can roll back.",
        ),
        f"Move {wish.alias} to version {version.version}",
    )


def _rollback(wish: Wish, slug: str, now: int, target: int) -> Plan:
    name = f"{slug}@{wish.alias}"
    return Plan(
        wish,
        (
            f"{name} moves from version {now} back to version {target}.",
            f"All links and clients that use {name} get version {target}.",
        ),
        f"Roll {wish.alias} back to version {target}",
    )


def _withdrawal(registry: Registry, wish: Wish, version: Version, naming: list[str]) -> Plan:
    if naming:
        raise VersionInUse(version.ref, naming)
    if not wish.reason.strip():
        raise ReasonMissing("Enter the reason for the withdrawal. Anyone who requests the version sees it.")
    left = [
        one
        for one in registry.catalog.versions(version.slug)
        if one.withdrawn_at is None and one.id != version.id
    ]
    after = (
        f"{version.slug} without a version then means version {left[0].version}."
        if left
        else "No other version is left, so the task disappears from all lists."
    )
    return Plan(
        wish,
        (
            f"No one will be able to use {version.ref} again. Its number and history are kept.",
            after,
            f"Anyone who requests {version.ref} sees this reason: {wish.reason.strip()}",
            "This cannot be undone.",
        ),
        f"Withdraw version {version.version} for good",
        note=_asked(registry, version.slug, version.version),
    )


def _archiving(registry: Registry, wish: Wish, version: Version) -> Plan:
    return Plan(
        wish,
        (
            f"{version.title} disappears from the list of tasks and the catalog for all users.",
            "Existing links and API clients keep working.",
            "You can restore it.",
        ),
        "Archive",
        note=_asked(registry, version.slug, None),
    )


def _asked(registry: Registry, slug: str, number: int | None) -> str:
    totals = registry.usage.totals(slug)
    n = sum(total.n for version, total in totals.items() if number in (None, version))
    what = "The adapter" if number is None else f"Version {number}"
    return f"{what} has received {n:,} request{'' if n == 1 else 's'} so far."
