"""Changes of several adapters at once, with their consequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from loravit_web.catalog.actions import CatalogActions
from loravit_web.errors import LoraVitError
from loravit_web.util.text import listed, plural
from registry import Registry

BulkKind = Literal["tag", "archive"]


class NothingSelected(LoraVitError):
    """A change of several adapters without an adapter or a tag."""


@dataclass(frozen=True)
class BulkChange:
    """A requested change of several adapters.

    Attributes:
        kind: Kind of the change.
        slugs: Slugs of the adapters.
        tags: Tags to add.
    """

    kind: BulkKind
    slugs: tuple[str, ...]
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class BulkPlan:
    """A requested change with its current consequences.

    Attributes:
        change: The requested change.
        consequences: Consequences, one sentence each.
        confirm: Label of the button that confirms the change.
        note: Additional information.
    """

    change: BulkChange
    consequences: tuple[str, ...]
    confirm: str
    note: str = ""


def archiving(registry: Registry, slugs: tuple[str, ...]) -> BulkPlan:
    """Return what archiving several adapters would do.

    Args:
        registry: Registry as the visitor sees it.
        slugs: Slugs of the adapters.

    Raises:
        NothingSelected: If there are no adapters.
        RegistryError: If there is no such adapter.
    """
    titles = [registry.catalog.adapter(slug).title for slug in slugs]
    if not titles:
        raise NothingSelected("No adapter is selected. Select one in the list.")
    n = sum(registry.usage.total(slug).n for slug in slugs)
    return BulkPlan(
        BulkChange("archive", slugs),
        (
            f"{listed(titles)} disappear{'s' if len(titles) == 1 else ''} from the list of tasks and the "
            "catalog for all users.",
            "Existing links and API clients keep working.",
            "You can restore each of them.",
        ),
        f"Archive {plural(len(titles), 'adapter')}",
        note=f"Together they have received {plural(n, 'request')} so far.",
    )


def carry_out_bulk(actions: CatalogActions, registry: Registry, change: BulkChange) -> str:
    """Make a change of several adapters, and return a sentence about what was done.

    The rights are checked for all adapters before the first one is changed.

    Args:
        actions: Actions of the visitor.
        registry: Registry as the visitor sees it.
        change: The requested change.

    Raises:
        NothingSelected: If there are no adapters or no tags.
        NotAllowed: If the visitor may not make the change of one of them.
        RegistryError: If there is no such adapter, or a tag is invalid.
    """
    if not change.slugs or (change.kind == "tag" and not change.tags):
        raise NothingSelected("Nothing is selected. Select adapters in the list, and enter a tag.")
    adapters = [registry.catalog.adapter(slug) for slug in change.slugs]
    counted = plural(len(adapters), "adapter")
    if change.kind == "tag":
        for adapter in adapters:
            actions.describe(adapter.slug, add_tags=change.tags)
        tags = listed([f"#{tag}" for tag in change.tags])
        return f"{counted} now {'has' if len(adapters) == 1 else 'have'} {tags}."
    actions.visitor.must("retire")
    for adapter in adapters:
        actions.visitor.must_own(adapter.owner, adapter.title)
    for adapter in adapters:
        actions.archive(adapter.slug)
    return f"{counted} archived. Set the status to Archived to find and restore them."
