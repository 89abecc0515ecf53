"""All commands: their words, exit codes and errors, and what they load."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
import typer

from loravit_web import __main__ as entry
from loravit_web.cli import shell
from loravit_web.cli.main import app, main
from registry import Registry, Run
from tests.cli.conftest import Json, Text

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "timm", "gradio", "pandas", "numpy", "PIL", "alembic"}
OPTIONS = {
    "train": "--name --preset --base --image-size --blocks --targets --adapter-type --rank --alpha --dropout "
    "--rslora --no-rslora --pooling --prefix-length --epochs --min-steps --batch-size --lr --weight-decay "
    "--label-smoothing --max-images --validation-fraction --patience --clip --seed --mirror --no-mirror "
    "--json",
    "predict": "--task --top-k --json --csv",
    "adapters list": "--base --type --status --tag --alias --owner --min-accuracy --sort --search --page "
    "--limit --json",
    "adapters export": "--json",
    "adapters import": "--json",
    "adapters push": "--private --revision --json",
    "adapters pull": "--name --json",
    "adapters promote": "--protected --json",
    "adapters rollback": "--protected --json",
    "adapters aliases": "--remove --protect --unprotect --protected --json",
    "adapters thresholds": "--unlike --unsure --as-trained --json",
    "adapters show": "--json",
    "adapters withdraw": "--reason --json",
    "adapters tag": "--remove --json",
    "adapters describe": "--title --description --json",
    "adapters archive": "--json",
    "adapters restore": "--json",
    "adapters events": "--limit --json",
    "bases list": "--json",
    "bases show": "--json",
    "bases add": "--file --architecture --from-hub --license --card --mean --std --json",
    "runs list": "--status --slug --search --page --limit --json",
    "runs show": "--json --points",
    "runs cancel": "--json --keep",
    "runs resume": "--json",
    "runs retry": "--json --batch-size",
    "compare": "--json",
    "users add": "--role --password-stdin --json",
    "users role": "--json",
    "users remove": "--json",
    "users list": "--json",
    "serve": "--host --port",
    "worker": "--idle-exit",
    "backup": "--json",
    "restore": "--replace --json",
    "doctor": "--mend --json",
}
"""What scripts may rely on: a command or an option may join, and none may go."""


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command below one, by its words."""
    if not hasattr(command, "commands"):
        yield " ".join(words), command
        return
    for name, inner in command.commands.items():
        yield from commands(inner, (*words, name))


def test_every_command_has_the_options_that_scripts_rely_on() -> None:
    found = {
        words: {*(option for param in command.params for option in (*param.opts, *param.secondary_opts))}
        for words, command in commands(typer.main.get_command(app))
    }
    assert set(OPTIONS) <= set(found)
    for words, options in OPTIONS.items():
        assert set(options.split()) <= found[words], words


@pytest.mark.parametrize("words", ["", "adapters", "runs", "users", *OPTIONS])
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_and_group_explains_itself_in_plain_text(words: str, option: str, text: Text) -> None:
    printed = text(*words.split(), option)
    assert printed.startswith("Usage: loravit")
    assert "\x1b" not in printed
    assert not set("╭│╰─") & set(printed)


def test_every_option_and_argument_has_a_help_text() -> None:
    for words, command in commands(typer.main.get_command(app)):
        assert command.help.endswith("."), words
        for param in command.params:
            assert param.help.endswith("."), f"{words}: {param.name}"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "Missing command"),
        (["trian"], "No such command 'trian'"),
        (["adapters"], "Missing command"),
        (["adapters", "list", "--colour", "red"], "--colour"),
        (["adapters", "list", "--sort", "size"], "'accuracy'"),
        (["adapters", "list", "--limit", "many"], "--limit"),
        (["adapters", "promote", "pets@1"], "ALIAS"),
        (["adapters", "withdraw", "pets@1"], "--reason"),
        (["runs", "show", "abcdef", "more"], "more"),
        (["train", "sample:digits"], "--name"),
        (["train", "sample:digits", "--name", "x", "--preset", "slow"], "'quick'"),
        (["predict", "x.png"], "--task"),
        (["users", "role", "ann", "king"], "'editor'"),
    ],
)
def test_words_that_cannot_be_understood_are_exit_code_2(
    words: list[str], hint: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert hint in printed.err
    assert "Usage: loravit" in printed.err
    assert not home.exists()


def test_a_stopped_command_says_so_in_one_line(monkeypatch: pytest.MonkeyPatch, refusal: Text) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shell, "current_settings", interrupt)
    assert refusal("users", "list") == "Stopped."


def test_a_bad_setting_is_one_sentence(monkeypatch: pytest.MonkeyPatch, refusal: Text) -> None:
    monkeypatch.setenv("LORAVIT_MODE", "party")
    assert "LORAVIT_MODE is party" in refusal("users", "list")


def test_a_database_out_of_reach_is_one_sentence_without_the_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("psycopg")
    # an engine that never connects must not be the one whose dialect the suite shares
    monkeypatch.setattr("registry.database.postgres.create_engine", sqlalchemy.create_engine)
    monkeypatch.setenv("LORAVIT_DATABASE_URL", "postgresql+psycopg://me:secret@127.0.0.1:1/name")
    assert main(["runs", "list"]) == 1
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: The database postgresql://127.0.0.1:1/name cannot be read")
    assert err.count("\n") == 1
    assert "postgresql://127.0.0.1:1/name cannot be read" in out
    assert "secret" not in out + err


@pytest.mark.parametrize(
    ("started", "program"),
    [("/usr/bin/loravit", "loravit"), ("/app/loravit_web/__main__.py", "python -m loravit_web")],
)
def test_help_names_the_program_as_it_was_started(
    started: str, program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [started, "users", "--help"])
    assert entry.run() == 0
    assert capsys.readouterr().out.startswith(f"Usage: {program} users ")


def environment(home: Path) -> dict[str, str]:
    """The environment of a fresh interpreter that works on a data folder."""
    return {**os.environ, "LORAVIT_HOME": str(home), "PYTHONPATH": str(ROOT)}


def test_a_reader_that_stops_early_ends_the_command_without_a_traceback(home: Path, pets: None) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-m", "loravit_web", "adapters", "events"],
        env=environment(home),
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (1, "")


def test_commands_for_the_registry_load_nothing_that_computes(
    home: Path, registry: Registry, cats: list[Run], pets: None, tmp_path: Path, run_json: Json
) -> None:
    registry.runs.finish(cats[0].lease, "interrupted")
    backup = str(tmp_path / "backup.zip")
    words = [
        ["--help"],
        ["train", "--help"],
        ["users", "list"],
        ["users", "add", "ann", "--password-stdin"],
        ["users", "role", "ann", "editor"],
        ["users", "remove", "ann"],
        ["adapters", "list", "--search", "cats"],
        ["adapters", "show", "pets"],
        ["adapters", "promote", "pets@1", "production"],
        ["adapters", "promote", "pets@2", "production"],
        ["adapters", "rollback", "pets", "production"],
        ["adapters", "aliases", "pets", "--remove", "production"],
        ["adapters", "withdraw", "pets@3", "--reason", "mislabelled"],
        ["adapters", "tag", "pets", "indoor"],
        ["adapters", "describe", "pets", "--title", "Our pets"],
        ["adapters", "archive", "pets"],
        ["adapters", "restore", "pets"],
        ["adapters", "events"],
        ["runs", "list"],
        ["runs", "show", cats[0].id],
        ["runs", "resume", cats[0].id],
        ["runs", "cancel", cats[0].id],
        ["compare", "cats@1", "birds"],
        ["backup", backup],
        ["restore", backup, "--replace"],
    ]
    code = (
        "import contextlib, io, json, sys\n"
        "import loravit_web.__main__\n"
        "from loravit_web.cli.main import main\n"
        f"for words in {words!r}:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        assert main(words) == 0, words\n"
        f"    print(json.dumps([' '.join(words), sorted({HEAVY!r} & set(sys.modules))]))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(home),
        input="a long enough password\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    loaded = dict(json.loads(line) for line in ran.stdout.splitlines())
    assert len(loaded) == len(words)
    assert {command: modules for command, modules in loaded.items() if modules} == {}
