"""What the shell's words about users do; `cli` says how they are called."""

from __future__ import annotations

import argparse
import getpass
import sys
from typing import Any

from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL
from loravit_web.cli.shell import open_registry, output
from loravit_web.errors import LoraVitError
from loravit_web.settings.environment import Settings


class PasswordsDiffer(LoraVitError):
    """A password that was typed in two ways."""


def add(options: argparse.Namespace, settings: Settings) -> int:
    password = _asked(options)
    with open_registry(settings) as registry:
        user = UserActions(registry, SHELL).add(options.name, password, options.role)
    output(options, _document(user, True), lambda: f"{user.username} can sign in, as {user.role}.")
    return 0


def role(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        user = UserActions(registry, SHELL).set_role(options.name, options.role)
        signs_in = registry.users.password_hash(user.username) is not None
    output(options, _document(user, signs_in), lambda: f"{user.username} is {user.role} now.")
    return 0


def remove(options: argparse.Namespace, settings: Settings) -> int:
    with open_registry(settings) as registry:
        user = UserActions(registry, SHELL).remove(options.name)
    text = f"Nobody signs in as {user.username} any more; what was done under the name stays in the history."
    output(options, _document(user, False), lambda: text)
    return 0


def listing(options: argparse.Namespace, settings: Settings) -> int:
    from loravit_web.cli.views import table

    with open_registry(settings) as registry:
        documents = [
            _document(user, registry.users.password_hash(user.username) is not None)
            for user in registry.users.list()
        ]
    columns = ["name", "role", "from", "password", "since"]
    output(options, documents, lambda: table(documents, columns, "There is no user yet."))
    return 0


def _asked(options: argparse.Namespace) -> str:
    """A password from standard input, or asked for twice where somebody sits at a terminal."""
    if options.password_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise PasswordsDiffer("The two passwords differ: nothing was changed.")
    return password


def _document(user: Any, signs_in: bool) -> dict[str, Any]:
    return {
        "name": user.username,
        "role": user.role,
        "from": user.provider,
        "password": signs_in,
        "since": user.created_at.isoformat(),
    }
