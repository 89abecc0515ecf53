"""Decorator for actions that need a right."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from loravit_web.access.rights import Right, Visitor


class HasVisitor(Protocol):
    """An object that acts for a visitor."""

    visitor: Visitor


A = TypeVar("A", bound=HasVisitor)
P = ParamSpec("P")
R = TypeVar("R")


def needs(right: Right) -> Callable[[Callable[Concatenate[A, P], R]], Callable[Concatenate[A, P], R]]:
    """Return a decorator that makes a method raise `NotAllowed` for a visitor without the right."""

    def guarded(action: Callable[Concatenate[A, P], R]) -> Callable[Concatenate[A, P], R]:
        @functools.wraps(action)
        def checked(self: A, /, *args: P.args, **kwargs: P.kwargs) -> R:
            self.visitor.must(right)
            return action(self, *args, **kwargs)

        return checked

    return guarded
