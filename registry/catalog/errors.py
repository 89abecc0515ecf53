"""Errors of versions in use and of aliases; see `registry.errors`."""

from collections.abc import Sequence

from registry.errors import NotFound, RegistryError


class VersionInUse(RegistryError):
    """A version that cannot be withdrawn while aliases name it."""

    def __init__(self, ref: str, aliases: Sequence[str]) -> None:
        super().__init__(ref, aliases)
        self.ref = ref
        self.aliases = tuple(aliases)

    def __str__(self) -> str:
        names, verb = " and ".join(self.aliases), "names" if len(self.aliases) == 1 else "name"
        return (
            f"{self.ref} cannot be withdrawn while {names} {verb} it. Move {names} to another version first."
        )


class InvalidAlias(RegistryError):
    """A name that cannot be an alias.

    Attributes:
        problem: what is wrong and what works, without a final period.
    """

    def __init__(self, alias: str, problem: str) -> None:
        super().__init__(alias, problem)
        self.alias = alias
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.alias!r} cannot be an alias: {self.problem}."


class UnknownAlias(NotFound):
    """An alias that an existing adapter does not have.

    Attributes:
        known: the aliases that it has.
    """

    def __init__(self, slug: str, alias: str, known: Sequence[str]) -> None:
        super().__init__(slug, alias, known)
        self.slug = slug
        self.alias = alias
        self.known = tuple(known)

    def __str__(self) -> str:
        if self.known:
            return f"{self.slug} has no alias {self.alias!r}. Its aliases are {', '.join(self.known)}."
        return f"{self.slug} has no alias {self.alias!r}. Promote one of its versions to create it."


class AliasProtected(RegistryError):
    """A protected alias that the caller may not move or remove."""

    def __init__(self, slug: str, alias: str) -> None:
        super().__init__(slug, alias)
        self.slug = slug
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"{self.alias} of {self.slug} is protected. Ask a user who may move protected aliases, or remove "
            "its protection first."
        )


class NothingToRollBack(RegistryError):
    """An alias that named no other version that can still be used."""

    def __init__(self, slug: str, alias: str) -> None:
        super().__init__(slug, alias)
        self.slug = slug
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"{self.alias} of {self.slug} named no other version that can still be used. "
            "Promote a version instead."
        )


class UnknownClass(NotFound):
    """A class that an existing version does not have."""

    def __init__(self, ref: str, name: str) -> None:
        super().__init__(ref, name)
        self.ref = ref
        self.name = name

    def __str__(self) -> str:
        return f"{self.ref} has no class {self.name[:80]!r}. Use one of the classes on its card."
