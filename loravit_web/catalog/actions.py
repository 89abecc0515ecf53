"""What a visitor can change in the catalog. Each action checks the right that it needs."""

from __future__ import annotations

import re
from collections.abc import Collection

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from registry import Adapter, Alias, Registry, Version


class CatalogActions:
    """Changes of the catalog by one visitor; their name is recorded with each change."""

    def __init__(self, registry: Registry, visitor: Visitor) -> None:
        """Act for a visitor.

        Args:
            registry: as the visitor sees it.
        """
        self.visitor = visitor
        self._registry = registry

    @needs("curate")
    def describe(
        self,
        slug: str,
        *,
        title: str | None = None,
        description: str | None = None,
        add_tags: Collection[str] = (),
        remove_tags: Collection[str] = (),
    ) -> Adapter:
        """Change what people read about an adapter, all that is given or nothing."""
        return self._registry.catalog.describe(
            slug,
            title=title,
            description=description,
            add_tags=add_tags,
            remove_tags=remove_tags,
            actor=self.visitor.name,
        )

    @needs("curate")
    def give_texts(self, slug: str, title: str, description: str, tags: str) -> Adapter:
        """Give an adapter its texts; tags that are not named any more are taken away.

        Args:
            tags: separated by commas or spaces.

        Raises:
            RegistryError: if a text or tag can't be used; nothing is changed then.
        """
        wanted = {tag.lower() for tag in re.split(r"[,\s]+", tags) if tag}
        present = set(self._registry.catalog.adapter(slug).tags)
        return self.describe(
            slug,
            title=title,
            description=description,
            add_tags=wanted - present,
            remove_tags=present - wanted,
        )

    @needs("curate")
    def promote(self, ref: str, alias: str, *, allow_protected: bool = True) -> Alias:
        """Make an alias name a version.

        Args:
            ref: The version, as ``slug@3``.
            alias: Such as ``production``.
            allow_protected: Move a protected alias as well, if the visitor may manage.

        Raises:
            AliasProtected: If the alias is protected and must stay.
            RegistryError: If there is no such version, or the alias cannot be used.
        """
        return self._registry.aliases.promote(
            ref, alias, actor=self.visitor.name, allow_protected=self._may_move(allow_protected)
        )

    @needs("curate")
    def rollback(self, slug: str, alias: str, *, allow_protected: bool = True) -> Alias:
        """Make an alias name the version that it named before.

        Args:
            slug: The adapter.
            alias: Such as ``production``.
            allow_protected: Move a protected alias as well, if the visitor may manage.

        Raises:
            AliasProtected: If the alias is protected and must stay.
            RegistryError: If there is no such alias, or it named nothing before.
        """
        return self._registry.aliases.rollback(
            slug, alias, actor=self.visitor.name, allow_protected=self._may_move(allow_protected)
        )

    @needs("curate")
    def remove_alias(self, slug: str, alias: str, *, allow_protected: bool = True) -> None:
        """Remove an alias; the version that it named stays.

        Args:
            slug: The adapter.
            alias: Such as ``production``.
            allow_protected: Remove a protected alias as well, if the visitor may manage.

        Raises:
            AliasProtected: If the alias is protected and must stay.
            RegistryError: If there is no such alias.
        """
        self._registry.aliases.remove(
            slug, alias, actor=self.visitor.name, allow_protected=self._may_move(allow_protected)
        )

    @needs("manage")
    def protect_alias(self, slug: str, alias: str) -> Alias:
        """Keep an alias where it is; only a visitor who may manage can move it then."""
        return self._registry.aliases.protect(slug, alias, actor=self.visitor.name)

    @needs("manage")
    def unprotect_alias(self, slug: str, alias: str) -> Alias:
        """Let an alias be moved again."""
        return self._registry.aliases.unprotect(slug, alias, actor=self.visitor.name)

    @needs("retire")
    def withdraw(self, slug: str, version: int, reason: str) -> Version:
        """Take a version out of use for good; whoever asks for it is told the reason."""
        return self._registry.catalog.withdraw(
            self._own_adapter(slug), version, reason, actor=self.visitor.name
        )

    @needs("retire")
    def archive(self, slug: str) -> Adapter:
        """Take an adapter out of the catalog's lists; `restore` brings it back."""
        return self._registry.catalog.archive(self._own_adapter(slug), actor=self.visitor.name)

    @needs("retire")
    def restore(self, slug: str) -> Adapter:
        """Bring an archived adapter back."""
        return self._registry.catalog.restore(self._own_adapter(slug), actor=self.visitor.name)

    def _may_move(self, allow_protected: bool) -> bool:
        return allow_protected and self.visitor.may("manage")

    def _own_adapter(self, slug: str) -> str:
        adapter = self._registry.catalog.adapter(slug)
        self.visitor.must_own(adapter.owner, adapter.title)
        return adapter.slug
