"""``users``: manage the members who may sign in to the app of a team."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from loravit_web.access.actions import UserActions
from loravit_web.access.rights import SHELL
from loravit_web.cli.shell import AsJson, Document, open_registry, output, table
from loravit_web.errors import LoraVitError
from registry import Role, User

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name to sign in with.")]

app = typer.Typer(help="Manage the users who may sign in to the app of a team.")


class PasswordsDiffer(LoraVitError):
    """Two different entries of a new password."""


@app.command()
def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="Role of the user.")] = "viewer",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a user, or give an existing user a new password and role."""
    password = _password(from_stdin=password_stdin)
    with open_registry() as registry:
        user = UserActions(registry, SHELL).add(name, password, role)
    output(as_json, user_document(user, True), lambda: f"{user.username} can sign in as {user.role}.")


@app.command("role")
def set_role(
    name: Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="Role of the user.")],
    as_json: AsJson = False,
) -> None:
    """Change the role of a user."""
    with open_registry() as registry:
        user = UserActions(registry, SHELL).set_role(name, role)
        signs_in = registry.users.password_hash(user.username) is not None
    document = user_document(user, signs_in)
    output(as_json, document, lambda: f"The role of {user.username} is now {user.role}.")


@app.command()
def remove(name: Name, as_json: AsJson = False) -> None:
    """Remove a user, who can no longer sign in."""
    with open_registry() as registry:
        user = UserActions(registry, SHELL).remove(name)
    text = f"{user.username} can no longer sign in. The history of their changes is kept."
    output(as_json, user_document(user, False), lambda: text)


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List all users by name."""
    with open_registry() as registry:
        documents = [
            user_document(user, registry.users.password_hash(user.username) is not None)
            for user in registry.users.list()
        ]
    columns = ["name", "role", "from", "password", "since"]
    output(as_json, documents, lambda: table(documents, columns, "There are no users yet."))


def user_document(user: User, has_password: bool) -> Document:
    """Return a user as JSON-ready values."""
    return {
        "name": user.username,
        "role": user.role,
        "from": user.provider,
        "password": has_password,
        "since": user.created_at.isoformat(),
    }


def _password(*, from_stdin: bool) -> str:
    """Return a password from standard input, or ask for it twice at a terminal."""
    if from_stdin or not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Password again: ") != password:
        raise PasswordsDiffer("The two passwords are different. Nothing was changed. Try again.")
    return password
