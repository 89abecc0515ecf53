"""Changes of the catalog by a visitor. Each action checks the right that it needs."""

from __future__ import annotations

import re
from collections.abc import Collection

from loravit_web.access.guard import needs
from loravit_web.access.rights import Visitor
from registry import Adapter, Alias, Deletion, Registry, Thresholds, Version


class CatalogActions:
    """Changes of the catalog by one visitor, whose name is recorded with each change.

    Args:
        registry: Registry as the visitor sees it.
        visitor: Visitor who makes the changes.
    """

    def __init__(self, registry: Registry, visitor: Visitor) -> None:
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
        """Change texts and tags of an adapter, all of them or none.

        Args:
            slug: Slug of the adapter.
            title: New title, or None to keep it.
            description: New description, or None to keep it.
            add_tags: Tags to add.
            remove_tags: Tags to remove.

        Returns:
            The changed adapter.

        Raises:
            NotAllowed: If the visitor may not change the catalog.
            RegistryError: If there is no such adapter, or a text or a tag is invalid.
        """
        return self._registry.catalog.describe(
            slug,
            title=title,
            description=description,
            add_tags=add_tags,
            remove_tags=remove_tags,
            actor=self.visitor.name,
        )

    @needs("curate")
    def replace_texts(self, slug: str, title: str, description: str, tags: str) -> Adapter:
        """Replace the texts and the tags of an adapter, all of them or none.

        Args:
            slug: Slug of the adapter.
            title: New title.
            description: New description.
            tags: New tags, separated by commas or spaces.

        Returns:
            The changed adapter.

        Raises:
            NotAllowed: If the visitor may not change the catalog.
            RegistryError: If there is no such adapter, or a text or a tag is invalid.
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
        """Point an alias to a version.

        Args:
            ref: Reference of the version, such as ``slug@3``.
            alias: Name of the alias, such as ``production``.
            allow_protected: Whether an admin also moves a protected alias.

        Returns:
            The moved alias.

        Raises:
            NotAllowed: If the visitor may not change the catalog.
            AliasProtected: If the alias is protected and `allow_protected` or the right to manage is missing.
            RegistryError: If there is no such version, or the alias is invalid.
        """
        return self._registry.aliases.promote(
            ref, alias, actor=self.visitor.name, allow_protected=self._may_move(allow_protected)
        )

    @needs("curate")
    def rollback(self, slug: str, alias: str, *, allow_protected: bool = True) -> Alias:
        """Point an alias to its previous version.

        Args:
            slug: Slug of the adapter.
            alias: Name of the alias, such as ``production``.
            allow_protected: Whether an admin also moves a protected alias.

        Returns:
            The moved alias.

        Raises:
            NotAllowed: If the visitor may not change the catalog.
            AliasProtected: If the alias is protected and `allow_protected` or the right to manage is missing.
            RegistryError: If there is no such alias, or it has no previous version.
        """
        return self._registry.aliases.rollback(
            slug, alias, actor=self.visitor.name, allow_protected=self._may_move(allow_protected)
        )

    @needs("curate")
    def remove_alias(self, slug: str, alias: str, *, allow_protected: bool = True) -> None:
        """Remove an alias. Its version is kept.

        Args:
            slug: Slug of the adapter.
            alias: Name of the alias, such as ``production``.
            allow_protected: Whether an admin also removes a protected alias.

        Raises:
            NotAllowed: If the visitor may not change the catalog.
            AliasProtected: If the alias is protected and `allow_protected` or the right to manage is missing.
            RegistryError: If there is no such alias.
        """
        self._registry.aliases.remove(
            slug, alias, actor=self.visitor.name, allow_protected=self._may_move(allow_protected)
        )

    @needs("manage")
    def protect_alias(self, slug: str, alias: str) -> Alias:
        """Protect an alias, so that only an admin can move it.

        Args:
            slug: Slug of the adapter.
            alias: Name of the alias.

        Returns:
            The protected alias.

        Raises:
            NotAllowed: If the visitor is not an admin.
            RegistryError: If there is no such alias.
        """
        return self._registry.aliases.protect(slug, alias, actor=self.visitor.name)

    @needs("manage")
    def unprotect_alias(self, slug: str, alias: str) -> Alias:
        """Remove the protection of an alias.

        Args:
            slug: Slug of the adapter.
            alias: Name of the alias.

        Returns:
            The alias without protection.

        Raises:
            NotAllowed: If the visitor is not an admin.
            RegistryError: If there is no such alias.
        """
        return self._registry.aliases.unprotect(slug, alias, actor=self.visitor.name)

    @needs("curate")
    def set_thresholds(self, ref: str, thresholds: Thresholds) -> Version:
        """Set the thresholds above or below which answers of a version are called unlike or unsure.

        The files of the version stay as they are.

        Args:
            ref: Reference of the version, such as ``slug@3``.
            thresholds: The thresholds; ``AS_TRAINED`` resets all of them.

        Returns:
            The version with its thresholds.

        Raises:
            NotAllowed: If the visitor may not change the catalog.
            RegistryError: If there is no such version, it is withdrawn, or a threshold is out of range.
        """
        return self._registry.thresholds.set(ref, thresholds, actor=self.visitor.name)

    @needs("curate")
    def title_class(self, ref: str, class_name: str, title: str) -> Version:
        """Give a class of a version a title, with which it answers. The version is not trained again.

        Args:
            ref: Reference of the version, such as ``slug@3``.
            class_name: Name of the class.
            title: The title; an empty one restores the name of the training.

        Returns:
            The version with its titles.

        Raises:
            NotAllowed: If the visitor may not change the catalog.
            RegistryError: If there is no such version or class, or the title cannot be used.
        """
        return self._registry.class_titles.put(ref, class_name, title, actor=self.visitor.name)

    @needs("retire")
    def withdraw(self, slug: str, version: int, reason: str) -> Version:
        """Withdraw a version for good.

        Args:
            slug: Slug of the adapter.
            version: Number of the version.
            reason: Reason, which is shown to users who request the version.

        Returns:
            The withdrawn version.

        Raises:
            NotAllowed: If the visitor may not withdraw, or the adapter belongs to another user.
            RegistryError: If there is no such version, or an alias points to it.
        """
        return self._registry.catalog.withdraw(
            self._own_adapter(slug), version, reason, actor=self.visitor.name
        )

    @needs("retire")
    def archive(self, slug: str) -> Adapter:
        """Remove an adapter from the lists of the catalog. `restore` undoes this.

        Args:
            slug: Slug of the adapter.

        Returns:
            The archived adapter.

        Raises:
            NotAllowed: If the visitor may not archive, or the adapter belongs to another user.
            RegistryError: If there is no such adapter.
        """
        return self._registry.catalog.archive(self._own_adapter(slug), actor=self.visitor.name)

    @needs("retire")
    def restore(self, slug: str) -> Adapter:
        """Restore an archived adapter.

        Args:
            slug: Slug of the adapter.

        Returns:
            The restored adapter.

        Raises:
            NotAllowed: If the visitor may not restore, or the adapter belongs to another user.
            RegistryError: If there is no such adapter.
        """
        return self._registry.catalog.restore(self._own_adapter(slug), actor=self.visitor.name)

    @needs("retire")
    def delete_version(self, ref: str) -> Deletion:
        """Delete a version for good that no alias ever named.

        Args:
            ref: Reference of the version, such as ``slug@3``.

        Returns:
            What was deleted.

        Raises:
            NotAllowed: If the visitor may not withdraw, or the adapter belongs to another user.
            RegistryError: If there is no such version, or something depends on it.
        """
        self._own_adapter(ref.partition("@")[0])
        return self._registry.deletions.delete_version(ref, actor=self.visitor.name)

    @needs("manage")
    def delete_adapter(self, slug: str) -> Deletion:
        """Delete an adapter for good, with its versions, aliases and history.

        Args:
            slug: Slug of the adapter.

        Returns:
            What was deleted.

        Raises:
            NotAllowed: If the visitor is not an admin.
            RegistryError: If there is no such adapter, or a run for it is queued or running.
        """
        return self._registry.deletions.delete_adapter(slug, actor=self.visitor.name)

    def _may_move(self, allow_protected: bool) -> bool:
        return allow_protected and self.visitor.may("manage")

    def _own_adapter(self, slug: str) -> str:
        adapter = self._registry.catalog.adapter(slug)
        self.visitor.must_own(adapter.owner, adapter.title)
        return adapter.slug
