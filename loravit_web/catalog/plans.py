"""Consequences of a change of the catalog, to be confirmed before the change is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from loravit_web.access.rights import Right
from loravit_web.catalog.actions import CatalogActions
from loravit_web.catalog.reliability import SPLITS
from loravit_web.errors import LoraVitError
from loravit_web.util.text import listed, plural
from registry import DEFAULT_ALIAS, Alias, Registry, Version, VersionInUse, validate_alias

ChangeKind = Literal["promote", "rollback", "withdraw", "archive", "restore", "delete", "delete_adapter"]
"""``delete`` concerns a version."""
NEEDED: Mapping[ChangeKind, Right] = {
    "promote": "curate",
    "rollback": "curate",
    "withdraw": "retire",
    "archive": "retire",
    "restore": "retire",
    "delete": "retire",
    "delete_adapter": "manage",
}
"""Right that each change needs."""


class AliasMissing(LoraVitError):
    """A promotion or a rollback without an alias."""


class ReasonMissing(LoraVitError):
    """A withdrawal without a reason."""


@dataclass(frozen=True)
class CatalogChange:
    """A requested change of the catalog.

    Attributes:
        kind: Kind of the change.
        ref: Reference of the exact version, also if the change concerns the whole adapter.
        alias: Alias to move, or an empty text.
        reason: Reason of a withdrawal, or an empty text.
    """

    kind: ChangeKind
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
        change: The requested change.
        consequences: Consequences, one sentence each.
        confirm: Label of the button that confirms the change.
        harmless: Whether the change needs no confirmation: no one else notices it, or it is easy to undo.
        note: Additional information, which may change at any time and is not compared.
    """

    change: CatalogChange
    consequences: tuple[str, ...]
    confirm: str
    harmless: bool = False
    note: str = field(default="", compare=False)


def plan_of(registry: Registry, change: CatalogChange) -> Plan:
    """Return the current consequences of a change.

    Args:
        registry: Registry as the visitor sees it.
        change: The requested change.

    Raises:
        AliasMissing: If an alias is needed.
        ReasonMissing: If a reason is needed.
        RegistryError: If the change is not possible.
    """
    version = registry.catalog.version(change.ref)
    if change.kind in ("promote", "rollback") and not change.alias:
        raise AliasMissing("No alias is selected. Pick one, or type a new one.")
    aliases = {one.alias: one for one in registry.aliases.list(version.slug)}
    if change.kind == "promote":
        return _promotion(registry, change, version, aliases.get(validate_alias(change.alias)))
    if change.kind == "rollback":
        target = registry.aliases.rollback_target(version.slug, change.alias)
        return _rollback(change, version.slug, aliases[change.alias].version, target)
    if change.kind == "withdraw":
        naming = [name for name, one in aliases.items() if one.version == version.version]
        return _withdrawal(registry, change, version, naming)
    if change.kind == "restore":
        return Plan(change, (f"{version.title} returns to the catalog.",), "Restore", harmless=True)
    if change.kind == "delete":
        return _deletion(registry, change, registry.deletions.deletable_version(change.ref))
    if change.kind == "delete_adapter":
        registry.deletions.deletable_adapter(version.slug)
        return _whole_deletion(registry, change, version)
    return _archiving(registry, change, version)


def carry_out(actions: CatalogActions, change: CatalogChange) -> str:
    """Make a change, and return a sentence about what was done.

    Args:
        actions: Actions of the visitor.
        change: The requested change.

    Raises:
        NotAllowed: If the visitor may not make the change.
        RegistryError: If the change is no longer possible.
    """
    number = change.ref.partition("@")[2]
    if change.kind == "promote":
        alias = actions.promote(change.ref, change.alias)
        return f"{alias.slug}@{alias.alias} now points to version {alias.version}."
    if change.kind == "rollback":
        alias = actions.rollback(change.slug, change.alias)
        return f"{alias.slug}@{alias.alias} points to version {alias.version} again."
    if change.kind == "withdraw":
        version = actions.withdraw(change.slug, int(number), change.reason.strip())
        return f"{version.ref} is withdrawn."
    if change.kind == "delete":
        actions.delete_version(change.ref)
        return f"{change.ref} is deleted."
    if change.kind == "delete_adapter":
        actions.delete_adapter(change.slug)
        return f"{change.slug} is deleted."
    if change.kind == "archive":
        adapter = actions.archive(change.slug)
        return f"{adapter.title} is archived. Set the status to Archived to find and restore it."
    adapter = actions.restore(change.slug)
    return f"{adapter.title} is back in the catalog and in the list of tasks."


def _promotion(registry: Registry, change: CatalogChange, version: Version, now: Alias | None) -> Plan:
    name = f"{version.slug}@{change.alias}"
    if now is None or now.version == version.version:
        confirm = f"Promote to {change.alias}"
        return Plan(change, (f"{name} will point to version {version.version}.",), confirm, harmless=True)
    return Plan(
        change,
        (
            f"{name} moves from version {now.version} to version {version.version}.",
            *_accuracies(registry.catalog.version(now.ref), version),
            f"All links and clients that use {name} get version {version.version}.",
            "You can roll back.",
        ),
        f"Move {change.alias} to version {version.version}",
    )


def _rollback(change: CatalogChange, slug: str, now: int, target: int) -> Plan:
    name = f"{slug}@{change.alias}"
    return Plan(
        change,
        (
            f"{name} moves from version {now} back to version {target}.",
            f"All links and clients that use {name} get version {target}.",
        ),
        f"Roll {change.alias} back to version {target}",
    )


def _withdrawal(registry: Registry, change: CatalogChange, version: Version, naming: list[str]) -> Plan:
    if naming:
        raise VersionInUse(version.ref, naming)
    if not change.reason.strip():
        raise ReasonMissing("Enter the reason for the withdrawal. Anyone who requests the version sees it.")
    left = _left(registry, version)
    after = (
        f"{version.slug} without a version then means version {left[0].version}."
        if left
        else "No other version is left, so the task disappears from all lists."
    )
    return Plan(
        change,
        (
            f"No one will be able to use {version.ref} again. Its number and history are kept.",
            after,
            f"Anyone who requests {version.ref} sees this reason: {change.reason.strip()}",
            "This cannot be undone.",
        ),
        f"Withdraw version {version.version} for good",
        note=_asked(registry, version.slug, version.version),
    )


def _deletion(registry: Registry, change: CatalogChange, version: Version) -> Plan:
    consequences = [f"{version.ref} and its files are deleted. Its number is not used again."]
    left = _left(registry, version)
    has_default = DEFAULT_ALIAS in {one.alias for one in registry.aliases.list(version.slug)}
    is_newest = version.withdrawn_at is None and all(one.version < version.version for one in left)
    if is_newest and not has_default:
        after = (
            f"{version.slug} without a version then means version {left[0].version}."
            if left
            else "No usable version is left, so the task disappears from all lists."
        )
        consequences.append(after)
    consequences.append(f"Links and clients that name {version.ref} get an error.")
    if version.run_id is not None:
        consequences.append("Its run and its training images are kept.")
    return Plan(
        change,
        (*consequences, "This cannot be undone."),
        f"Delete version {version.version} for good",
        note=_asked(registry, version.slug, version.version),
    )


def _whole_deletion(registry: Registry, change: CatalogChange, version: Version) -> Plan:
    slug, names = version.slug, [one.alias for one in registry.aliases.list(version.slug)]
    versions = plural(len(registry.catalog.versions(slug)), "version")
    named = f", the {'alias' if len(names) == 1 else 'aliases'} {listed(names)}" if names else ""
    return Plan(
        change,
        (
            f"{version.title} is deleted with {versions}{named} and its history.",
            f"Links and clients that use {slug} get an error.",
            f"Another adapter can then be published as {slug}.",
            "Its runs and its training images are kept, and images in its pool without labels are deleted.",
            "This cannot be undone.",
        ),
        f"Delete {slug} for good",
        note=_asked(registry, slug, None),
    )


def _left(registry: Registry, version: Version) -> list[Version]:
    """Return the usable other versions of an adapter, newest first."""
    others = registry.catalog.versions(version.slug)
    return [one for one in others if one.withdrawn_at is None and one.id != version.id]


def _accuracies(now: Version, then: Version) -> list[str]:
    """Return a sentence if the new version is less accurate on a split than the present one."""
    for split in SPLITS:
        before, after = now.evaluation(split), then.evaluation(split)
        if before is not None and after is not None:
            if after.accuracy >= before.accuracy:
                return []
            points = 100 * (before.accuracy - after.accuracy)
            return [
                f"Version {then.version} is {points:.1f} points less accurate on {split} images: "
                f"{after.accuracy:.1%} instead of {before.accuracy:.1%}."
            ]
    return []


def _archiving(registry: Registry, change: CatalogChange, version: Version) -> Plan:
    return Plan(
        change,
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
