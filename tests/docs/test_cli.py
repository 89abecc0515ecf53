"""cli.md lists every command and option of the shell, and none that is not there."""

from __future__ import annotations

import contextlib
import io
import re
from functools import cache

import pytest

from loravit_web.cli import main
from tests.docs.markdown import DOCS, DOCUMENTS, names_of, rows_of, sections_of, text_of

SECTIONS = {**sections_of(DOCS / "cli.md", 2), **sections_of(DOCS / "cli.md", 3)}
COMMANDS = {heading.strip("`"): text for heading, text in SECTIONS.items() if heading.startswith("`")}
GROUPS = {command.rpartition(" ")[0] for command in COMMANDS if " " in command}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
WORD = re.compile(r"^[ │|]{2,6}([a-z][a-z-]*)(?: {2,}|$)", re.MULTILINE)
"""A command in the help of a group: alone at the beginning of a line, before its description."""


@cache
def help_of(command: str) -> str:
    """Return what a command prints with ``--help``."""
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        patch.setenv("COLUMNS", "300")
        patch.setenv("NO_COLOR", "1")
        main.main([*command.split(), "--help"])
    return printed.getvalue()


def options_in(text: str) -> set[str]:
    return {option for row in rows_of(text) for option in OPTION.findall(row[0])}


def test_the_document_lists_exactly_the_commands_and_groups() -> None:
    single = {command for command in COMMANDS if " " not in command}
    assert set(WORD.findall(help_of(""))) == single | {group for group in GROUPS if " " not in group}


@pytest.mark.parametrize("group", sorted(GROUPS))
def test_the_document_lists_exactly_the_commands_of_a_group(group: str) -> None:
    inside = [command.removeprefix(f"{group} ") for command in COMMANDS if command.startswith(f"{group} ")]
    listed = {command.partition(" ")[0] for command in inside}
    assert set(WORD.findall(help_of(group))) == listed


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_the_document_lists_exactly_the_options_of_a_command(command: str) -> None:
    assert options_in(COMMANDS[command]) == set(OPTION.findall(help_of(command))) - {"--help"}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_choice_that_the_document_gives_an_option_is_in_its_help(command: str) -> None:
    for row in rows_of(COMMANDS[command]):
        for spelled in names_of(row[0]):
            option, _, value = spelled.partition(" ")
            for choice in value.split("|") if "|" in value else []:
                assert re.search(rf"\b{re.escape(choice)}\b", help_of(command)), f"{option} {choice}"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_required_option_is_called_required(command: str) -> None:
    usage = re.search(r"```text\n(.*)\n```", COMMANDS[command])
    named = set(OPTION.findall(usage[1])) if usage else set()
    required = {names_of(row[0])[0].split()[0] for row in rows_of(COMMANDS[command]) if "required" in row[1]}
    assert named == required


def test_every_command_that_a_document_runs_is_listed() -> None:
    for document in DOCUMENTS:
        for line in re.findall(r"python -m loravit_web ([a-z]+(?: [a-z-]+){0,2})", text_of(document)):
            words = line.split()
            begun = {" ".join(words[:count]) for count in range(1, len(words) + 1)}
            assert begun & set(COMMANDS), f"{document.name}: {line}"
