"""What a change of the catalog will do, told before it is done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from loravit_web.catalog.actions import CatalogActions
from loravit_web.errors import LoraVitError
from registry import Alias, Registry, Version, VersionInUse, validate_alias

WishKind = Literal["promote", "rollback", "withdraw", "archive", "restore"]


class AliasMissing(LoraVitError):
    """An alias is to be moved and none was chosen."""


class ReasonMissing(LoraVitError):
    """A version is to be withdrawn without a word."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants to be changed.

    Attributes:
        ref: the exact version; of its adapter where the whole adapter is meant.
    """

    kind: WishKind
    ref: str
    alias: str = ""
    reason: str = ""

    @property
    def slug(self) -> str:
        """The adapter."""
        return self.ref.partition("@")[0]


@dataclass(frozen=True)
class Plan:
    """A wish and its consequences as they are now; the same plan later means that nothing came between.

    Attributes:
        consequences: one sentence each.
        confirm: what the button says that does it.
        harmless: nobody else notices, or it is undone with a click: no need to ask twice.
        note: what is good to know besides; it may change at any time.
    """

    wish: Wish
    consequences: tuple[str, ...]
    confirm: str
    harmless: bool = False
    note: str = field(default="", compare=False)


def planned(registry: Registry, wish: Wish) -> Plan:
    """What the wish would do now.

    Raises:
        LoraVitError, RegistryError: if it can't be granted, with what to do instead.
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
    """Grant a wish; what was done and what comes next, in words.

    Raises:
        LoraVitError, RegistryError: if the visitor may not, or it can't be done any more.
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
