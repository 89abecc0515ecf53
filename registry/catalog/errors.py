"""What can't be done with aliases; the rules of `registry.errors` hold here too."""

from collections.abc import Sequence

from registry.errors import NotFound, RegistryError


class VersionInUse(RegistryError):
    """The version can't be withdrawn while aliases name it."""

    def __init__(self, ref: str, aliases: Sequence[str]) -> None:
        super().__init__(ref, aliases)
        self.ref = ref
        self.aliases = tuple(aliases)

    def __str__(self) -> str:
        names, verb = " and ".join(self.aliases), "names" if len(self.aliases) == 1 else "name"
        return (
            f"{self.ref} can't be withdrawn while {names} {verb} it; move {names} to another version first."
        )


class InvalidAlias(RegistryError):
    """A name that no alias may have."""

    def __init__(self, alias: str, problem: str) -> None:
        super().__init__(alias, problem)
        self.alias = alias
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.alias!r} can't be an alias: {self.problem}."


class UnknownAlias(NotFound):
    """The adapter exists, this alias of it doesn't."""

    def __init__(self, slug: str, alias: str, known: Sequence[str]) -> None:
        super().__init__(slug, alias, known)
        self.slug = slug
        self.alias = alias
        self.known = tuple(known)

    def __str__(self) -> str:
        if self.known:
            return f"{self.slug} has no alias {self.alias!r}; it has {', '.join(self.known)}."
        return f"{self.slug} has no alias {self.alias!r}; promote one of its versions to make one."


class AliasProtected(RegistryError):
    """The alias is moved or removed only by those who may move protected ones."""

    def __init__(self, slug: str, alias: str) -> None:
        super().__init__(slug, alias)
        self.slug = slug
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"{self.alias} of {self.slug} is protected; ask somebody who may move protected aliases, "
            "or take its protection away first."
        )


class NothingToRollBack(RegistryError):
    """The alias has named no other version that could still be used."""

    def __init__(self, slug: str, alias: str) -> None:
        super().__init__(slug, alias)
        self.slug = slug
        self.alias = alias

    def __str__(self) -> str:
        return (
            f"{self.alias} of {self.slug} has named no other version that is still in use; "
            "promote a version instead."
        )
