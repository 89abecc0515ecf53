"""Errors meant for people become a toast; anything else is logged and stays a generic one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from html import escape
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from loravit_web.errors import LoraVitError
from loravit_web.ui.kit.markup import notice
from registry import RegistryError

P = ParamSpec("P")
R = TypeVar("R")


def plain(text: str) -> str:
    """Text as a toast shows it letter by letter: toasts draw HTML."""
    return escape(text, quote=False)


def told_at(place: gr.HTML) -> Callable[[Callable[P, dict[Any, Any]]], Callable[P, dict[Any, Any]]]:
    """Make a handler's typed errors visible in that place: without the queue, which toasts need, answers come
    a tenth of a second earlier.
    """

    def decorated(handler: Callable[P, dict[Any, Any]]) -> Callable[P, dict[Any, Any]]:
        @functools.wraps(handler)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> dict[Any, Any]:
            try:
                return handler(*args, **kwargs)
            except (LoraVitError, RegistryError) as error:
                return {place: notice(error.in_public, kind="error")}

        return wrapped

    return decorated


def toast(error: LoraVitError | RegistryError) -> gr.Error:
    """A typed error for whoever asked, in a page or over HTTP."""
    return gr.Error(plain(error.in_public), title="That did not work", print_exception=False)


def told(handler: Callable[P, R]) -> Callable[P, R]:
    """Make a handler's typed errors visible where the user is."""

    @functools.wraps(handler)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return handler(*args, **kwargs)
        except (LoraVitError, RegistryError) as error:
            raise toast(error) from error

    return wrapped
