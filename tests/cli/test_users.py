"""``users``: who may sign in."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.cli.conftest import Json, Text

PASSWORD = "a long enough password"
Typed = Callable[..., None]


class Terminal(io.StringIO):
    """Standard input with a person in front of it."""

    def isatty(self) -> bool:
        """Say that this is a terminal."""
        return True


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Let a person answer the questions for a password."""

    def answer(*passwords: str) -> None:
        given = iter(passwords)
        monkeypatch.setattr("sys.stdin", Terminal())
        monkeypatch.setattr("getpass.getpass", lambda _prompt: next(given))

    return answer


@pytest.fixture
def ann(run_json: Json, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The document about ann, an editor whose password came from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD + "\n"))
    document: dict[str, object] = run_json("users", "add", "ann", "--role", "editor", "--password-stdin")
    return document


def test_an_added_user_is_listed(ann: dict[str, object], run_json: Json) -> None:
    assert list(ann) == ["name", "role", "from", "password", "since"]
    assert (ann["name"], ann["role"], ann["from"], ann["password"]) == ("ann", "editor", "password", True)
    assert run_json("users", "list") == [ann]


def test_a_new_user_is_a_viewer_by_default(typed: Typed, run_json: Json) -> None:
    typed(PASSWORD, PASSWORD)
    assert run_json("users", "add", "bob")["role"] == "viewer"


def test_two_different_passwords_at_a_terminal_change_nothing(
    typed: Typed, refusal: Text, run_json: Json
) -> None:
    typed(PASSWORD, "another password")
    assert (
        refusal("users", "add", "bob") == "The two passwords are different. Nothing was changed. Try again."
    )
    assert run_json("users", "list") == []


def test_a_user_gets_another_role(ann: dict[str, object], run_json: Json, text: Text) -> None:
    assert run_json("users", "role", "ann", "admin")["role"] == "admin"
    assert text("users", "role", "ann", "viewer") == "The role of ann is now viewer.\n"


def test_a_removed_user_stays_in_the_list_without_a_password(ann: dict[str, object], run_json: Json) -> None:
    removed = run_json("users", "remove", "ann")
    assert (removed["password"], removed["role"]) == (False, "viewer")
    assert run_json("users", "list") == [removed]


def test_people_read_a_table(ann: dict[str, object], text: Text) -> None:
    head, row = text("users", "list").splitlines()
    assert head.split() == ["name", "role", "from", "password", "since"]
    assert row.split()[:4] == ["ann", "editor", "password", "True"]


def test_a_team_without_users_says_so(text: Text) -> None:
    assert text("users", "list") == "There are no users yet.\n"


@pytest.mark.parametrize("words", [["role", "bob", "admin"], ["remove", "bob"]], ids=" ".join)
def test_an_unknown_user_is_one_sentence(words: list[str], refusal: Text) -> None:
    assert "bob" in refusal("users", *words)
